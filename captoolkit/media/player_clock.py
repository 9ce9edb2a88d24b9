"""The player's clock: where the decoded sound of a track departs from its time stamps.

A player shows the time stamps of a file; a decoder returns the sound of packets without the gaps
between them. ffmpeg lists the decoded frames of a track with their time stamps, in the same decode
that counts the samples, and this module finds the discontinuities.

Rules: a gap counts as silence. Sound of a time that has passed already (an overlap) is dropped.
A clock that starts again (files joined end to end) is no gap and no overlap: the sound goes on.
Smaller differences, and those that last for a moment only, are the jitter of time stamps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from captoolkit.model import Discontinuity
from captoolkit.units import rescale

# The smallest gap, overlap, or late start. ffmpeg's own `aresample=async` corrects a difference
# from 0.1 s on (`min_hard_comp`), and players likewise; below are the rounding of containers that
# count milliseconds, the jitter of live recorders, and the priming of codecs.
TOLERANCE_S = Fraction(1, 10)
# A difference must last for as long as this: a single wrong time stamp moves no sound.
LASTING_S = Fraction(1, 2)
# A longer gap is a clock that was set anew, and so is a longer overlap (ffmpeg's limit for the
# latter, `dts_delta_threshold`), or one that leads back to the beginning.
LONGEST_GAP_S = 3600
LONGEST_OVERLAP_S = 10
BEGINNING_S = 2

# ffmpeg writes no time stamp that is earlier than the one before it. This filter lets the time
# stamps rise by so many more ticks for each sample, so that those of an overlap rise as well.
RISE = 4096
RISING = f"asetpts=PTS+N*{RISE}"

SILENT_BLOCK_SAMPLES = 1 << 16
MAX_BOXES = 4096  # of an MP4, in front of its first fragment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Block: TypeAlias = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedSound:
    """The decoded samples of a track, and where they depart from the time stamps.

    Attributes:
        samples: the number of decoded samples.
        discontinuities: gaps and overlaps, in order.
        restarts: the decoded samples at which the clock starts again.
    """

    samples: int
    discontinuities: tuple[Discontinuity, ...]
    restarts: tuple[int, ...]

    @property
    def clock_samples(self) -> int:
        """The length of the sound on the player's clock."""
        return self.samples + sum(one.samples for one in self.discontinuities)


class _ClockReader:
    """Compares time stamps with the sound that precedes them; both count samples.

    A time stamp is judged as soon as those of the next `LASTING_S` are known.
    """

    def __init__(self, rate_hz: int) -> None:
        self.found: list[Discontinuity] = []
        self.restarts: list[int] = []
        self._tolerance = int(TOLERANCE_S * rate_hz)
        self._lasting = int(LASTING_S * rate_hz)
        self._rate_hz = rate_hz
        self._waiting: deque[tuple[int, int]] = deque()  # time stamp, samples decoded before it
        self._first: int | None = None
        self._offset = 0  # of time stamps from decoded samples, with the discontinuities so far

    def add(self, stamp: int, decoded: int) -> None:
        """Add the time stamp of a frame that follows `decoded` samples."""
        if self._first is None:
            self._first = self._offset = stamp
        self._waiting.append((stamp, decoded))
        while decoded - self._waiting[0][1] > self._lasting:
            self._judge(*self._waiting.popleft())

    def finish(self, total: int) -> None:
        """Judge the last time stamps of a sound of `total` samples."""
        while self._waiting:
            self._judge(*self._waiting.popleft())
        self.found = list(_effective(self.found, self.restarts, total))

    def _judge(self, stamp: int, decoded: int) -> None:
        """Take note of a discontinuity before a frame, if the frames after it agree."""
        ahead = stamp - decoded - self._offset
        if abs(ahead) < self._tolerance:
            return
        all_ahead = [ahead, *(other - at - self._offset for other, at in self._waiting)]
        step = min(all_ahead) if ahead > 0 else max(all_ahead)
        if abs(step) < self._tolerance or (step > 0) != (ahead > 0):
            return
        self._offset += step
        is_restart = stamp - (self._first or 0) < BEGINNING_S * self._rate_hz
        longest_s = LONGEST_GAP_S if step > 0 else LONGEST_OVERLAP_S
        if abs(step) > longest_s * self._rate_hz or (step < 0 and is_restart):
            self.restarts.append(decoded)
        else:
            self.found.append(Discontinuity(at_samples=decoded, samples=step))


def _effective(
    found: Iterable[Discontinuity], restarts: Iterable[int], total: int
) -> Iterator[Discontinuity]:
    """Yield the gaps that become silence and the overlaps that are dropped, in order.

    No overlap reaches beyond the next discontinuity. An overlap that is longer than the sound up to
    there continues behind it: another overlap adds to the rest, a gap shortens it. The rest ends
    with the track, and where the clock was set anew.
    """
    steps: list[tuple[int, int | None]] = [(one.at_samples, one.samples) for one in found]
    steps = sorted([*steps, *((at, None) for at in restarts)], key=lambda one: one[0])
    ends = [*(at for at, _ in steps[1:]), total]
    repeated = 0  # samples of an overlap that are not dropped yet
    for (at, step), end in zip(steps, ends, strict=False):
        ahead = 0 if step is None else step - repeated
        samples = max(ahead, at - end)
        repeated = samples - ahead
        if samples:
            yield Discontinuity(at_samples=at, samples=samples)


def read_frames(lines: Iterable[bytes], *, rate_hz: int, has_time_stamps: bool) -> DecodedSound:
    """Return the length of decoded sound and its discontinuities.

    Args:
        lines: the `framecrc` listing of one-byte mono samples behind the filter `RISING`.
        rate_hz: the rate of the samples, and of the time stamps.
        has_time_stamps: whether the container stores time stamps; elsewhere ffmpeg makes them up.
    """
    decoded, last = 0, None
    reader = _ClockReader(rate_hz)
    for line in lines:
        if line.startswith(b"#"):
            continue
        fields = line.split(b",", 5)
        if has_time_stamps:
            written = int(fields[2])
            if written != last:  # else ffmpeg has replaced a time stamp
                reader.add(written - decoded * RISE, decoded)
            last = written
        decoded += int(fields[4])
    reader.finish(decoded)
    return DecodedSound(
        samples=decoded,
        discontinuities=tuple(reader.found),
        restarts=tuple(reader.restarts),
    )


def oddities(sound: DecodedSound, *, rate_hz: int) -> Iterator[str]:
    """Yield the discontinuities of a track, each as the rest of a sentence."""
    gaps = [one for one in sound.discontinuities if one.samples > 0]
    overlaps = [one for one in sound.discontinuities if one.samples < 0]
    if gaps:
        yield f"has {_listed('gap', gaps, rate_hz)}: silence on the clock of a player"
    if overlaps:
        yield f"has {_listed('overlap', overlaps, rate_hz)}: the repeated time is left out"
    if sound.restarts:
        at_s = sound.restarts[0] / rate_hz
        times = "once" if len(sound.restarts) == 1 else f"{len(sound.restarts):,} times"
        yield f"sets its clock anew {times}, first after {at_s:.3f} s: the sound goes on there"


def _listed(noun: str, found: Sequence[Discontinuity], rate_hz: int) -> str:
    total_s = sum(abs(one.samples) for one in found) / rate_hz
    first_s = found[0].at_samples / rate_hz
    if len(found) == 1:
        return f"one {noun} of {total_s:.3f} s in its time stamps, after {first_s:.3f} s of sound"
    return (
        f"{len(found):,} {noun}s in its time stamps, {total_s:.3f} s in all, the first after "
        f"{first_s:.3f} s of sound"
    )


def is_fragmented(file: Path) -> bool:
    """Return whether an MP4 consists of fragments, as live streams and their parts do.

    A box that reaches beyond the file, and more than `MAX_BOXES` without a fragment, count as none.
    """
    at, file_bytes = 0, file.stat().st_size
    with file.open("rb") as stream:
        for _ in range(MAX_BOXES):
            stream.seek(at)
            header = stream.read(16)
            if header[4:8] == b"moof":
                return True
            size = int.from_bytes(header[:4])
            size = int.from_bytes(header[8:]) if size == 1 else size
            at += size
            if len(header) < 8 or size < 8 or at >= file_bytes:  # 0: the last box
                return False
    return False


# ----------------------------------------------------------------------------- in decoded sound


def follow_clock(
    blocks: Iterable[Block], found: Sequence[Discontinuity], *, source_hz: int, rate_hz: int
) -> Iterator[Block]:
    """Yield the blocks of a whole track with silence in its gaps and without its overlaps.

    Args:
        blocks: all decoded samples of the track, shape (frames, channels), at `rate_hz`.
        found: the discontinuities, at `source_hz`, as `read_frames` returns them.
        source_hz: the track's own rate.
        rate_hz: the rate of the blocks; the edges are rounded to its samples without drift.
    """
    waiting = deque(found)
    at = drop = passed = 0  # `passed` is the sum of gaps less overlaps so far, at the track's rate
    for block in blocks:
        rest = block
        while waiting:
            ahead = rescale(waiting[0].at_samples, source_hz, rate_hz) - at
            if ahead > len(rest):
                break
            head, rest = rest[:ahead], rest[ahead:]
            at += len(head)
            yield head[drop:]
            drop -= min(drop, len(head))
            one = waiting.popleft()
            begin = one.at_samples + passed
            step = rescale(begin + one.samples, source_hz, rate_hz)
            step -= rescale(begin, source_hz, rate_hz)
            passed += one.samples
            drop += max(0, -step)
            yield from silent_blocks(step, block.shape[1], block.dtype)
        at += len(rest)
        yield rest[drop:]
        drop -= min(drop, len(rest))


def trimmed(blocks: Iterable[Block], start: int, end: int | None) -> Iterator[Block]:
    """Yield samples [start, end) of a sound; None is its end. No block is empty."""
    at = 0
    for block in blocks:
        last = len(block) if end is None else min(len(block), end - at)
        kept = block[max(0, start - at) : max(0, last)]
        if len(kept):
            yield kept
        at += len(block)
        if end is not None and at >= end:
            return


def silent_blocks(samples: int, channels: int, dtype: Any = "float32") -> Iterator[Block]:
    """Yield blocks of silence, shape (frames, channels)."""
    import numpy as np

    while samples > 0:
        length = min(samples, SILENT_BLOCK_SAMPLES)
        yield np.zeros((length, channels), dtype)
        samples -= length
