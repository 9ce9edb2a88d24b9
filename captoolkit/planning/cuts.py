"""Where to cut: a running sound comes in, parts come out that tile it without gap or overlap.

Rules: each cut has a window of its own around its balanced place and lies at the quietest point in
it, whatever the other cuts do; so a recording can be cut from any of its windows on, by several
workers at once, and comes out the same. Windows never come so near to each other that a part could
be longer than the limit. Only a window is held and analysed; everything before it has already gone
on to its encoder.
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

FORCED_REACH_S = 30  # how far before the limit a cut may lie that only the limit asks for
UNLIMITED = 1 << 62
RUN_S = 600  # segments decoded in one go last about this long together, if they are short
RUN_SEGMENTS = 32  # and are no more than these


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Where a cut may fall, in samples, and where it would if all were equally quiet.

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
        """Whether there is nothing to choose."""
        return self.earliest == self.latest

    def at_rate(self, source_hz: int, stream_hz: int, *, begin: int = 0) -> Window:
        """Return it on the clock of a stream that begins at a sample of the source."""
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


def runs(spans: Sequence[Span]) -> tuple[tuple[Span, ...], ...]:
    """Return the segments in runs that are decoded in one go each, by different workers.

    A run ends where something is skipped, and is long enough to be worth a decoder of its own.
    It depends on the segments alone, never on the machine: the same file is cut the same way.
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
    """Yield (part, block) pairs: the blocks that came in, parted at the cuts.

    Args:
        blocks: the sound, arrays of shape (frames, channels), float32 or int16, of any lengths.
        windows: where to cut it, in order.
        rate_hz: its rate.
        longest: if the sound goes on after the last cut, no part of that is longer.

    Yields:
        The part's number from 0 and some of its samples, in order; a part may come in many blocks.
        All that is yielded, put together, is what came in.
    """
    held = _Held()
    done = part = 0  # done: samples already yielded
    ahead = _Ahead(windows, longest, reach=min(longest // 5, FORCED_REACH_S * rate_hz))
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


def places(blocks: Iterable[Block], windows: Iterable[Window], *, rate_hz: int) -> list[int]:
    """Return the samples at which `cut` would cut a sound that no limit bounds.

    There are fewer of them than windows where the sound ends before.
    """
    found, at, last = [], 0, 0
    for part, block in cut(blocks, windows, rate_hz=rate_hz, longest=UNLIMITED):
        if part != last:
            found.append(at)
            last = part
        at += len(block)
    return found


class _Ahead:
    """The window of the next cut: the ones wished for, then those that the limit forces.

    `needed` is how much of the sound must have come in before the cut is made.
    """

    def __init__(self, windows: Iterable[Window], longest: int, *, reach: int) -> None:
        self._windows = iter(windows)
        self._longest = longest
        self._reach = reach
        self.advance(0)

    def advance(self, start: int) -> None:
        """Go on to the next window; the part that ends in it begins at `start`."""
        wished = next(self._windows, None)
        latest = start + self._longest
        earliest = latest - self._reach
        self.window = wished or Window(earliest=earliest, balanced=latest, latest=latest)
        # A forced cut is made only if there is something to cut off.
        self.needed = self.window.latest + (wished is None)


def _cut_in(held: _Held, window: Window, rate_hz: int, *, first: int) -> int:
    """The sample at which to cut, looking at what is held, which begins at sample `first`."""
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
    """How much sound before a window helps to judge its first points."""
    return rate_hz // 10


class _Held:
    """Blocks that have come in and not gone out: a queue of arrays, cut where asked."""

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
        """Return frames [first, last) of what is held, without removing them."""
        return np.concatenate(self._blocks)[first:last]
