"""The cuts of a stream: blocks of sound in, parts out that tile it without gap or overlap.

Rules: each cut has a window around its balanced place and is made at the quietest point in it,
independently of the other cuts. A worker can therefore begin at any window and finds the same cuts.
Windows are so far apart that no part exceeds the limit. Only a window is held and analysed; the
encoder already has all sound before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captoolkit.dsp.quietest import quietest
from captoolkit.model import Span
from captoolkit.units import rescale

Block = NDArray[Any]  # float32 or int16

FORCED_REACH_S = 30  # how far before the limit a forced cut may be
UNLIMITED = 1 << 62
RUN_S = 600  # short segments are decoded together in runs of about this length
RUN_SEGMENTS = 32  # in a run at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The samples at which a cut may be, and its place if all of them are equally quiet.

    A fixed cut has a window of one sample.
    """

    earliest: int
    balanced: int
    latest: int

    def __post_init__(self) -> None:
        if not 0 <= self.earliest <= self.balanced <= self.latest:
            raise ValueError(f"{self} is no window")

    @property
    def is_fixed(self) -> bool:
        """Whether the cut has one place only."""
        return self.earliest == self.latest

    def at_rate(self, source_hz: int, stream_hz: int, *, begin: int = 0) -> Window:
        """Return the window on the clock of a stream that begins at a sample of the source."""
        places = (self.earliest, self.balanced, self.latest)
        earliest, balanced, latest = (rescale(at - begin, source_hz, stream_hz) for at in places)
        return Window(earliest=earliest, balanced=balanced, latest=latest)


def balanced_edges(total: int, pieces: int) -> tuple[int, ...]:
    """Return the `pieces + 1` edges of equal pieces, to the sample.

    ```python
    >>> balanced_edges(10, 3)
    (0, 3, 7, 10)

    ```
    """
    return tuple((2 * index * total + pieces) // (2 * pieces) for index in range(pieces + 1))


def window(edge: int, reach: int) -> Window:
    """Return the window of a cut that may move by `reach` either way."""
    return Window(earliest=max(0, edge - reach), balanced=edge, latest=edge + reach)


def group_runs(spans: Sequence[Span]) -> tuple[tuple[Span, ...], ...]:
    """Return the segments in runs; one decoder decodes each run, in a worker of its own.

    A run ends before a skipped stretch, and is long enough to be worth a decoder. Runs depend on
    the segments alone, never on the machine: the same file is always cut the same way.
    """
    parted: list[list[Span]] = []
    for span in spans:
        last = parted[-1] if parted else []
        if last and last[-1].end_samples == span.start_samples and not _is_full(last):
            last.append(span)
        else:
            parted.append([span])
    return tuple(map(tuple, parted))


def _is_full(run: Sequence[Span]) -> bool:
    samples = run[-1].end_samples - run[0].start_samples
    return samples >= RUN_S * run[0].rate_hz or len(run) >= RUN_SEGMENTS


def cut(
    blocks: Iterable[Block], windows: Iterable[Window], *, rate_hz: int, longest: int
) -> Iterator[tuple[int, Block]]:
    """Yield (part, block) pairs: the blocks of the stream, divided at the cuts.

    Args:
        blocks: the sound, arrays of shape (frames, channels), float32 or int16, of any lengths.
        windows: where to cut it, in order.
        rate_hz: its rate.
        longest: the longest part of the sound after the last window.

    Yields:
        The part's number from 0 and some of its samples, in order; a part may come in many blocks.
        All yielded blocks together are the stream.
    """
    held = _BlockQueue()
    done = part = 0  # done: samples already yielded
    ahead = _NextCut(windows, longest, reach=min(longest // 5, FORCED_REACH_S * rate_hz))
    for block in blocks:
        held.add(block)
        while done + held.frames >= ahead.needed:
            at = _cut_in(held, ahead.window, rate_hz, first=done)
            yield from ((part, piece) for piece in held.take(at - done))
            done = at
            part += 1
            ahead.advance(at)
        for piece in held.take(ahead.window.earliest - _context(rate_hz) - done):
            done += len(piece)
            yield part, piece
    yield from ((part, piece) for piece in held.take(held.frames))


def find_cuts(blocks: Iterable[Block], windows: Iterable[Window], *, rate_hz: int) -> list[int]:
    """Return the samples at which `cut` would cut a sound without a limit.

    A sound that ends early has fewer cuts than windows.
    """
    found, at, last = [], 0, 0
    for part, block in cut(blocks, windows, rate_hz=rate_hz, longest=UNLIMITED):
        if part != last:
            found.append(at)
            last = part
        at += len(block)
    return found


class _NextCut:
    """The window of the next cut: the planned ones, then those that the limit forces.

    `needed` is how many samples must have arrived before the cut is made.
    """

    def __init__(self, windows: Iterable[Window], longest: int, *, reach: int) -> None:
        self._windows = iter(windows)
        self._longest = longest
        self._reach = reach
        self.advance(0)

    def advance(self, start: int) -> None:
        """Move to the next window; the part that ends in it begins at `start`."""
        planned = next(self._windows, None)
        latest = start + self._longest
        earliest = latest - self._reach
        self.window = planned or Window(earliest=earliest, balanced=latest, latest=latest)
        # A forced cut is made only if sound follows it.
        self.needed = self.window.latest + (planned is None)


def _cut_in(held: _BlockQueue, window: Window, rate_hz: int, *, first: int) -> int:
    """The sample at which to cut, by the held sound, which begins at sample `first`."""
    if window.is_fixed:
        return window.balanced
    from_sample = max(first, window.earliest - _context(rate_hz))
    sound = held.view(from_sample - first, window.latest - first)
    return quietest_in(sound, window, rate_hz=rate_hz, first=from_sample)


def quietest_in(sound: Block, window: Window, *, rate_hz: int, first: int) -> int:
    """Return the sample at which to cut, where the sound begins at sample `first`."""
    at = first + quietest(sound, rate_hz=rate_hz, near=window.balanced - first)
    return min(max(at, window.earliest), window.latest)


def _context(rate_hz: int) -> int:
    """How much sound before a window is needed to judge its first points."""
    return rate_hz // 10


class _BlockQueue:
    """A queue of blocks: arrays in, pieces of any length out."""

    def __init__(self) -> None:
        self._blocks: deque[Block] = deque()
        self.frames = 0

    def add(self, block: Block) -> None:
        """Put a block at the end."""
        self._blocks.append(block)
        self.frames += len(block)

    def take(self, frames: int) -> list[Block]:
        """Remove that many frames from the front and return them."""
        taken = []
        while frames > 0 and self._blocks:
            block = self._blocks.popleft()
            if len(block) > frames:
                self._blocks.appendleft(block[frames:])
                block = block[:frames]
            frames -= len(block)
            self.frames -= len(block)
            if len(block):
                taken.append(block)
        return taken

    def view(self, first: int, last: int) -> Block:
        """Return frames [first, last) of the queue, without removing them."""
        return np.concatenate(self._blocks)[first:last]
