"""The cuts of a stream: blocks of sound in, segments out that tile it without gap or overlap.

Rules: the segments of a plan form sections of about ten minutes. The cut between two sections is at
the quietest place near its planned one; the cuts inside a section are chosen together
(`cut_search`). Sections depend on the plan alone, and their cuts on the sound alone, so a worker
can begin at any section and finds the same cuts. At most one section is held in memory; the encoder
already has all sound before the first place where the next cut may be.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captoolkit.bitstream.encodings import spec_of
from captoolkit.dsp.quietest import CONTEXT_S, PowerMeter, hop_samples
from captoolkit.model import Plan, Span
from captoolkit.planning.cut_search import Division, LoudnessCurve, choose_cuts, quietest_sample
from captoolkit.planning.options import SHORTEST_S
from captoolkit.units import rescale

Block = NDArray[Any]  # float32 or int16

CUT_RULE = 3  # rises with each change that moves cuts; manifests record it
FORCED_REACH_S = 30  # how far before the limit a forced cut may be
UNLIMITED = 1 << 62
RUN_S = 600  # the segments of a section last about this long together
RUN_SEGMENTS = 32  # in a section at most
RUN_BYTES = 24 << 20  # of sound in a section that is held for its cuts: ten minutes of 16 kHz WAV


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Neighbouring segments that are cut together; all lengths and places are samples of one clock.

    Attributes:
        begin, end: as planned, or as decided.
        count: the number of segments; the greatest number if `is_fewest`.
        balanced: the balanced length of a segment of the same stretch, rounded up.
        shortest, longest: the length of a segment.
        reach: how far a cut may be from its planned place.
        moves: whether the end is a cut that may move; it is fixed otherwise.
        earlier, later: the number of segments of the same stretch of sound before its end and
            behind it.
        is_fewest: fewer segments are better.
        is_kept: False for a stretch that is left out.
        first: the index, from 1, of its first segment in the plan.
    """

    begin: int
    end: int
    count: int = 1
    balanced: int = 0
    shortest: int = 0
    longest: int = UNLIMITED
    reach: int = 0
    moves: bool = False
    earlier: int = 1
    later: int = 0
    is_fewest: bool = False
    is_kept: bool = True
    first: int = 1

    def at_rate(self, source_hz: int, stream_hz: int, *, begin: int = 0) -> Section:
        """Return the section on the clock of a stream that begins at a sample of the source.

        Lengths that the stream's clock cannot hold are rounded down. Its longest segment is a
        sample shorter where the end is rounded as well.
        """
        is_rounded = not self.moves and (self.end - begin) * stream_hz % source_hz

        def length(samples: int) -> int:
            whole, rest = divmod(samples * stream_hz, source_hz)
            return max(1, whole - (bool(is_rounded) or rest > 0))

        return replace(
            self,
            begin=rescale(self.begin - begin, source_hz, stream_hz),
            end=rescale(self.end - begin, source_hz, stream_hz),
            balanced=self.balanced * stream_hz // source_hz + 1,
            shortest=self.shortest * stream_hz // source_hz,
            longest=self.longest if self.longest == UNLIMITED else length(self.longest),
            reach=self.reach and length(self.reach),
        )

    def end_window(self, begin: int | None = None) -> Window:
        """Return where its end may be; the segments before and behind it then keep their limits.

        Args:
            begin: where the section really begins; anywhere within its reach if None.
        """
        if not self.moves:
            return Window(earliest=self.end, balanced=self.end, latest=self.end)
        room = max(0, self.longest - self.balanced)
        spare = max(0, self.balanced - 1 - self.shortest)
        before = self.earlier - self.count
        moved = begin - self.begin if begin is not None else 0
        least_moved, most_moved = moved, moved
        if begin is None and before:
            least_moved, most_moved = -self.reach, min(self.reach, before * room)
        # Half of the room behind it stays for the cuts there.
        earliest = max(
            -self.reach,
            -(room * max(2, self.later) // 2),
            least_moved - self.count * spare,
        )
        latest = min(self.reach, self.later * spare, most_moved + self.count * room)
        first = max(0, self.end + min(earliest, latest))
        last = max(first, self.end + latest)
        return Window(earliest=first, balanced=min(max(self.end, first), last), latest=last)

    def division(self, begin: int, end: int, count: int | None = None) -> Division:
        """Return how its sound between two decided ends is divided."""
        return Division(
            begin=begin,
            end=end,
            count=self.count if count is None else count,
            shortest=self.shortest,
            longest=self.longest,
            reach=self.reach,
            is_fewest=self.is_fewest,
        )


def plan_sections(plan: Plan) -> tuple[Section, ...]:
    """Return the sections of a plan on the source's clock, without the skipped stretches."""
    second_bytes = _second_bytes(plan)
    return tuple(
        section
        for first, spans in _stretches(plan)
        for section in _sections_of(plan, first, spans, second_bytes)
    )


def cut_rule(plan: Plan) -> int | None:
    """Return the number of the rule that chooses a plan's cuts; None if no cut is chosen."""
    is_chosen = any(section.count > 1 or section.moves for section in plan_sections(plan))
    return CUT_RULE if is_chosen else None


def _second_bytes(plan: Plan) -> int:
    """The size of a second of the sound that is encoded; 0 where frames are copied."""
    encoding = plan.encoding
    if encoding is None:
        return 0
    sample_type = encoding.sample_type or spec_of(encoding).input_type
    return encoding.sample_rate_hz * encoding.channels * np.dtype(sample_type).itemsize


def _stretches(plan: Plan) -> Iterator[tuple[int, list[Span]]]:
    """Yield the segments with cuts between them that may move, and the index of the first."""
    stretch: list[Span] = []
    for index, span in enumerate(plan.spans, start=1):
        if stretch and not (
            stretch[-1].end_samples == span.start_samples and span.start_samples not in plan.marks
        ):
            yield index - len(stretch), stretch
            stretch = []
        stretch.append(span)
    yield len(plan.spans) + 1 - len(stretch), stretch


def _sections_of(
    plan: Plan, first: int, spans: Sequence[Span], second_bytes: int
) -> Iterator[Section]:
    """Yield the sections of one stretch; each is full, but for the last one."""
    rate_hz, number = spans[0].rate_hz, len(spans)
    total = spans[-1].end_samples - spans[0].start_samples
    run_s = min(RUN_S, RUN_BYTES / second_bytes) if second_bytes else RUN_S
    length = -(-total // number)
    most = plan.longest_samples or plan.max_segment_samples
    count = max(1, min(RUN_SEGMENTS, -(-round(run_s * rate_hz) // length)))
    for begin in range(0, number, count):
        part = spans[begin : begin + count]
        yield Section(
            begin=part[0].start_samples,
            end=part[-1].end_samples,
            count=len(part),
            balanced=length,
            shortest=max(total // number // 2, min(total // number, int(SHORTEST_S * rate_hz))),
            longest=max(length, min(most, length * 3 // 2)),
            reach=plan.reach_samples,
            moves=begin + count < number,
            earlier=begin + len(part),
            later=number - begin - len(part),
            is_fewest=plan.is_fewest,
            first=first + begin,
        )


def decide_ends(sections: Iterable[Section], curves: Iterator[LoudnessCurve]) -> Iterator[Section]:
    """Yield the sections with their real begins and ends, which no longer move.

    Args:
        sections: in order.
        curves: the loudness around each end that moves, in order; an end stays at its
            planned place if they end early.
    """
    begin: int | None = None
    for section in sections:
        at, end = section.begin if begin is None else begin, section.end
        if section.moves:
            window = section.end_window(at)
            curve = next(curves, None)
            end = window.balanced if curve is None else _quietest_end(curve, window, section, at)
        yield replace(section, begin=at, end=end, moves=False)
        begin = end if section.moves else None


def quietest_in(curve: LoudnessCurve, window: Window) -> int:
    """Return the quietest sample of a window."""
    return quietest_sample(curve, window.earliest, window.balanced, window.latest)


def _quietest_end(curve: LoudnessCurve, window: Window, section: Section, begin: int) -> int:
    """The end of a section that begins at a sample.

    Of equally quiet places, that is taken which leaves no short segment in the section, if a
    segment less is better.
    """
    if section.is_fewest:
        whole = (window.balanced - begin) // section.longest * section.longest
        end = curve.sample((begin + whole - curve.origin) // curve.hop)  # the last place before it
        window = replace(window, balanced=max(window.earliest, end))
    return quietest_in(curve, window)


def balanced_edges(total: int, pieces: int) -> tuple[int, ...]:
    """Return the `pieces + 1` edges of equal pieces, to the sample.

    ```python
    >>> balanced_edges(10, 3)
    (0, 3, 7, 10)

    ```
    """
    return tuple((2 * index * total + pieces) // (2 * pieces) for index in range(pieces + 1))


def context_samples(rate_hz: int) -> int:
    """Return how much sound around a place is needed to measure it."""
    return int(rate_hz * CONTEXT_S) + hop_samples(rate_hz)


def cut(
    blocks: Iterable[Block], sections: Iterable[Section], *, rate_hz: int, longest: int
) -> Iterator[tuple[int | None, Block]]:
    """Yield (segment, block) pairs: the blocks of the stream, divided at the cuts.

    A sound that ends early has fewer segments than planned; a longer one is cut on behind its last
    section, before the limit.

    Args:
        blocks: the sound, arrays of shape (frames, channels), float32 or int16, of any lengths.
        sections: how to cut it, in order, on the clock of the stream.
        rate_hz: its rate.
        longest: the longest segment of the sound behind the last section.

    Yields:
        The segment's number from 0, or None for sound that is left out, and some of its samples, in
        order; a segment may come in many blocks. All yielded blocks together are the stream.
    """
    stream = _CutStream(sections, rate_hz, longest)
    for block in blocks:
        yield from stream.feed(block)
    yield from stream.finish()


class _CutStream:
    """The held sound of a stream, and the section that it belongs to."""

    def __init__(self, sections: Iterable[Section], rate_hz: int, longest: int) -> None:
        self._rate_hz = rate_hz
        self._longest = longest
        self._forced_reach = min(longest // 5, FORCED_REACH_S * rate_hz)
        self._sections = deque(sections)
        self._section = Section(begin=0, end=0, longest=longest)
        self._held = _BlockQueue()
        self._done = 0  # samples already yielded
        self._segment = 0  # number of the current segment
        self._last_cut = 0
        self._open(0)

    @property
    def _total(self) -> int:
        """How many samples have arrived."""
        return self._done + self._held.frames

    def feed(self, block: Block) -> Iterator[tuple[int | None, Block]]:
        """Add a block, and yield the sound of decided segments."""
        self._meter.feed(block[max(0, self._origin - self._total) :])
        self._held.add(block)
        while self._total >= self._needed:
            yield from self._close()
        yield from self._take(min(self._origin, self._needed))

    def finish(self) -> Iterator[tuple[int | None, Block]]:
        """Yield the rest of the sound."""
        while self._held.frames:
            if not self._is_forced and self._total > self._window.latest:
                yield from self._close()
            else:
                section, end = self._section, self._total
                if not self._is_forced and end > self._begin:
                    yield from self._cut_inside(end, _count_until(section, self._begin, end))
                yield from self._take(end)

    def _open(self, begin: int) -> None:
        """Make the next section the current one; behind the last one, cuts are forced."""
        context = context_samples(self._rate_hz)
        self._begin = begin
        self._is_forced = not self._sections
        if self._is_forced:
            latest = begin + self._longest
            earliest = latest - self._forced_reach
            self._window = Window(earliest=earliest, balanced=latest, latest=latest)
            self._needed = latest + 1  # a forced cut is made only if sound follows it
            self._origin = max(begin, earliest - context)
        else:
            self._section = self._sections.popleft()
            self._window = self._section.end_window(begin)
            self._needed = self._window.latest + context * self._section.moves
            self._origin = max(begin, self._first_place() - context)
            if self._section.moves:  # the longest section may end at a place
                self._origin -= (self._origin - begin) % hop_samples(self._rate_hz)
        self._meter = PowerMeter(self._rate_hz)
        for piece in self._held.since(max(0, self._origin - self._done)):
            self._meter.feed(piece)

    def _first_place(self) -> int:
        """The first sample at which the current section may be cut."""
        section = self._section
        if section.count == 1:
            if self._sections:
                return self._window.earliest
            return min(self._window.earliest, self._begin + self._longest - self._forced_reach)
        if section.is_fewest:
            return self._begin + section.shortest
        balanced = self._begin + (self._window.earliest - self._begin) // section.count
        return max(self._begin + section.shortest, balanced - section.reach)

    def _curve(self) -> LoudnessCurve:
        """The loudness of the sound that decides the cuts, without what the last block adds."""
        hop = hop_samples(self._rate_hz)
        power = self._meter.curve()[: max(0, self._needed - self._origin) // hop]
        return LoudnessCurve(origin=self._origin, hop=hop, power=power)

    def _close(self) -> Iterator[tuple[int | None, Block]]:
        """Cut the current section and open the next one."""
        if self._is_forced:
            end = quietest_in(self._curve(), self._window)
            yield from self._end_segment(end)
            self._open(end)
            return
        section = self._section
        end = section.end
        if section.moves:
            end = _quietest_end(self._curve(), self._window, section, self._begin)
        yield from self._cut_inside(end, section.count)
        if self._sections:
            yield from self._end_segment(end)
            self._open(end)
        else:  # the last segment goes on as long as the sound does
            self._open(self._last_cut)

    def _cut_inside(self, end: int, count: int) -> Iterator[tuple[int | None, Block]]:
        """Yield the segments of the current section but for the last one."""
        self._last_cut = self._begin
        section = self._section
        if count < 2:
            return
        for at in choose_cuts(self._curve(), section.division(self._begin, end, count)):
            yield from self._end_segment(at)
            self._last_cut = at

    def _end_segment(self, at: int) -> Iterator[tuple[int | None, Block]]:
        yield from self._take(at)
        self._segment += self._section.is_kept

    def _take(self, until: int) -> Iterator[tuple[int | None, Block]]:
        """Yield the held sound before a sample."""
        segment = self._segment if self._section.is_kept else None
        for piece in self._held.take(until - self._done):
            self._done += len(piece)
            yield segment, piece


def _count_until(section: Section, begin: int, end: int) -> int:
    """How many segments the sound of a section has that ends early."""
    length = max(1, (section.end - section.begin) // section.count)
    fewest = -(-(end - begin) // section.longest)
    return max(1, fewest, min(section.count, (2 * (end - begin) + length) // (2 * length)))


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

    def since(self, frames: int) -> Iterator[Block]:
        """Yield the held blocks without the first `frames`."""
        for block in self._blocks:
            if frames < len(block):
                yield block[max(0, frames) :]
            frames -= len(block)
