"""Where to cut: a running sound comes in, pieces come out that tile it without gap or overlap.

Rules: pieces are balanced (what is left is shared out anew after each cut), none is longer than the
limit, and each cut lies at the quietest point within reach of its balanced place. Only that
neighbourhood is held and analysed; everything before it has already gone on to its encoder.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from captoolkit.planning.levels import quietest

Block = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class CutRule:
    """How a sound is to be cut, all in samples of that sound.

    Attributes:
        total: how long it is expected to be; a longer one is cut on, a shorter one just ends.
        pieces: how many are wanted.
        longest: no piece is longer.
        reach: how far a cut may move from its balanced place, either way.
    """

    total: int
    pieces: int
    longest: int
    reach: int
    rate_hz: int

    def __post_init__(self) -> None:
        if min(self.pieces, self.longest, self.rate_hz) < 1 or self.reach < 0:
            raise ValueError(f"no sound can be cut by {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CutWindow:
    """Where the next cut may fall, and where it would if all were equally quiet.

    `needed` is how much of the sound must have come in before it is decided.
    """

    earliest: int
    balanced: int
    latest: int
    needed: int


def balanced_edges(total: int, pieces: int) -> tuple[int, ...]:
    """Return the `pieces + 1` edges of equal pieces, to the sample.

    ```python
    >>> balanced_edges(10, 3)
    (0, 3, 7, 10)

    ```
    """
    return tuple((2 * index * total + pieces) // (2 * pieces) for index in range(pieces + 1))


def next_window(rule: CutRule, *, start: int, pieces_left: int) -> CutWindow | None:
    """Return where the piece that begins at `start` may end; None if it is the last one.

    The window leaves enough for the pieces after it: none of them can be forced over the limit.
    """
    left = rule.total - start
    if pieces_left <= 1 and left <= rule.longest:
        return None
    pieces_left = max(2, pieces_left)
    balanced = start + (2 * left + pieces_left) // (2 * pieces_left)
    earliest = max(balanced - rule.reach, rule.total - (pieces_left - 1) * rule.longest, start + 1)
    latest = min(balanced + rule.reach, start + rule.longest)
    earliest = min(earliest, latest)
    balanced = min(max(balanced, earliest), latest)
    return CutWindow(earliest=earliest, balanced=balanced, latest=latest, needed=latest)


def cut(blocks: Iterable[Block], rule: CutRule) -> Iterator[tuple[int, Block]]:
    """Yield (piece, block) pairs: the blocks that came in, parted at the cuts.

    Args:
        blocks: the sound, arrays of shape (frames, channels), of any lengths.
        rule: how to cut it.

    Yields:
        The piece's number from 0 and some of its samples, in order; a piece may come in many
        blocks. All that is yielded, put together, is what came in.
    """
    start, done, piece = 0, 0, 0  # done: samples already yielded
    held = _Held()
    for block in blocks:
        held.add(block)
        while True:
            window = _window_ahead(rule, start=start, piece=piece)
            if done + held.frames < window.needed:
                ready = held.take(max(0, window.earliest - _context(rule) - done))
                break
            at = _cut_in(held, window, rule, first=done)
            yield from ((piece, part) for part in held.take(at - done))
            start = done = at
            piece += 1
        for part in ready:
            done += len(part)
            yield piece, part
    yield from ((piece, part) for part in held.take(held.frames))


def _window_ahead(rule: CutRule, *, start: int, piece: int) -> CutWindow:
    """The next window; for the last piece the one that is used only if the sound goes on."""
    window = next_window(rule, start=start, pieces_left=rule.pieces - piece)
    if window is not None:
        return window
    latest = start + rule.longest
    earliest = max(start + 1, latest - rule.reach)
    # One sample more than the longest piece: only then is there something to cut off.
    return CutWindow(earliest=earliest, balanced=latest, latest=latest, needed=latest + 1)


def _cut_in(held: _Held, window: CutWindow, rule: CutRule, *, first: int) -> int:
    """The sample at which to cut, looking at what is held, which begins at sample `first`."""
    from_sample = max(first, window.earliest - _context(rule))
    sound = held.view(from_sample - first, window.latest - first)
    near = window.balanced - from_sample
    at = from_sample + quietest(sound, rate_hz=rule.rate_hz, near=near)
    return min(max(at, window.earliest), window.latest)


def _context(rule: CutRule) -> int:
    """How much sound before a window helps to judge its first points."""
    return rule.rate_hz // 10


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
