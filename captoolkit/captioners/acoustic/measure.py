"""Measure a clip in one pass: blocks in, one `Measurements` out.

Rules: nothing here has words for what it finds. Blocks are cut into tiles first, so the figures do
not depend on how the samples arrived. Samples are never kept; what remains of them is a few numbers
for each hop or step, together some 7 MB an hour. Times are in steps of 0.1 s or in samples, on the
clip's own clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from captoolkit.dsp.channels import Channels, describe_channels
from captoolkit.dsp.character import Character, describe_frames
from captoolkit.dsp.level_meters import ClipMeter, LevelCurve, LevelMeter, SampleMeter
from captoolkit.dsp.loudness import LOWEST_RATE_HZ, Loudness, LoudnessMeter
from captoolkit.dsp.onsets import Onsets, describe_onsets, find_onsets
from captoolkit.dsp.spectrum import Frames, SpectrumMeter
from captoolkit.dsp.stretches import (
    FLOOR_DB,
    Background,
    Stretch,
    background,
    inside,
    near_silences,
)
from captoolkit.dsp.tiles import HOPS_PER_STEP, Clock, Tiler, silence_faults
from captoolkit.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPARSE_EVENTS_SHARE = 0.2
"""Events that fill less of the clip than this are described apart from the background."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clipping:
    """Runs of samples at full scale, over all channels; places in samples of the clip."""

    runs: int
    share: float
    first_sample: int
    last_sample: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """Everything that was measured.

    Attributes:
        start_s: where the clip begins in its recording; the figures below count from there.
        samples: frames in the clip.
        step_samples: frames in one step of the level curve.
        steps: how many the level curve has; 0 for a clip shorter than one step, of which only the
            samples are described.
        still: whether no sample ever changes: digital silence throughout.
        faulty: samples that were NaN, infinite or absurdly large, taken as zero, over all channels.
        peak: the largest absolute sample, 1.0 is full scale.
        loudest_db: the level of the loudest step, in dBFS; the floor of the curve at the least.
        near_silences: in time order.
        flat_steps: steps of the near-silences in which no sample moves.
        background: None for a clip too short to have one.
        loudness: None where the rate is too low for the weighting.
        onsets: None where the rate is too low, as is `character`.
        character: of the events when they are sparse, else of the whole; None when nothing sounds.
        character_between: of the rest when the events are sparse; None when they are not, or when
            nothing sounds there.
    """

    rate_hz: int
    start_s: float
    samples: int
    step_samples: int
    steps: int
    still: bool
    faulty: int
    peak: float
    peak_sample: int
    clipping: Clipping
    channels: Channels
    loudest_db: float
    near_silences: tuple[Stretch, ...]
    flat_steps: int
    background: Background | None
    loudness: Loudness | None
    onsets: Onsets | None
    character: Character | None
    character_between: Character | None

    @property
    def duration_s(self) -> float:
        """The length of the clip in seconds."""
        return self.samples / self.rate_hz

    @property
    def has_sparse_events(self) -> bool:
        """Whether something stands out, but only for a small part of the time."""
        return has_sparse_events(self.background, steps=self.steps)


def has_sparse_events(found: Background | None, *, steps: int) -> bool:
    """Return whether there are events and they fill less than `SPARSE_EVENTS_SHARE` of the time."""
    return found is not None and 0 < found.event_steps < SPARSE_EVENTS_SHARE * steps


class Measurer:
    """Takes the blocks of one clip and measures as they come.

    ```python
    >>> measurer = Measurer(rate_hz=16_000, channels=1)
    >>> measurer.feed(np.zeros((16_000, 1), np.float32))
    >>> measurer.finish().flat_steps
    10

    ```
    """

    def __init__(self, *, rate_hz: int, channels: int, start_s: float = 0.0) -> None:
        self._start_s = start_s
        if rate_hz < 1 or channels < 1:
            raise UsageError(f"{rate_hz=} and {channels=} must be at least 1")
        clock = Clock(rate_hz)
        self._clock, self._faulty = clock, 0
        self._tiler = Tiler(channels=channels, tile_samples=clock.tile_samples)
        self._counts = SampleMeter(channels=channels)
        self._clips = ClipMeter(channels=channels)
        self._levels = LevelMeter(channels=channels, step_samples=clock.step_samples)
        heard = rate_hz >= LOWEST_RATE_HZ
        self._loudness = LoudnessMeter(clock=clock, channels=channels) if heard else None
        self._spectrum = SpectrumMeter(clock=clock, channels=channels) if heard else None

    def feed(self, block: NDArray[np.float32]) -> None:
        """Take the next block of shape (frames, channels)."""
        for tile in self._tiler.push(block):
            self._take(tile)

    def _take(self, tile: NDArray[np.float32]) -> None:
        self._faulty += silence_faults(tile)
        self._counts.feed(tile)
        self._clips.feed(tile)
        self._levels.feed(tile)
        if self._loudness and self._spectrum:
            self._loudness.feed(tile)
            self._spectrum.feed(tile)

    def finish(self) -> Measurements:
        """Return the figures; nothing may be fed after this."""
        rest = self._tiler.rest()
        if rest.shape[1]:
            self._take(rest)
        self._clips.finish()
        return self._measurements(self._levels.finish())

    def _measurements(self, curve: LevelCurve) -> Measurements:
        clock, counts = self._clock, self._counts
        level_db = curve.level_db(floor_db=FLOOR_DB)
        steps_per_s = clock.rate_hz / clock.step_samples
        found = background(level_db, steps_per_s=steps_per_s)
        silences = near_silences(level_db, steps_per_s=steps_per_s)
        character, between = self._characters(found, steps=len(level_db))
        return Measurements(
            rate_hz=clock.rate_hz,
            start_s=self._start_s,
            samples=counts.samples,
            step_samples=clock.step_samples,
            steps=len(level_db),
            still=counts.still,
            faulty=self._faulty,
            peak=counts.peak,
            peak_sample=counts.peak_sample,
            clipping=self._clipping(),
            channels=self._channels(),
            loudest_db=float(level_db.max(initial=FLOOR_DB)),
            near_silences=silences,
            flat_steps=int((curve.flat & inside(silences, steps=len(level_db))).sum()),
            background=found,
            loudness=self._loudness.result() if self._loudness else None,
            onsets=self._onsets(),
            character=character,
            character_between=between,
        )

    def _clipping(self) -> Clipping:
        clips, samples = self._clips, self._counts.samples * len(self._counts.sums)
        return Clipping(
            runs=clips.runs,
            share=clips.clipped / max(1, samples),
            first_sample=clips.first_sample,
            last_sample=clips.last_sample,
        )

    def _channels(self) -> Channels:
        step_samples = self._clock.step_samples
        return describe_channels(
            self._levels.covariance,
            measured_samples=self._counts.samples // step_samples * step_samples,
            offsets=self._counts.sums / max(1, self._counts.samples),
            identical=self._counts.identical,
        )

    def _onsets(self) -> Onsets | None:
        if not self._spectrum:
            return None
        frame_s = self._clock.hop_samples / self._clock.rate_hz
        return describe_onsets(find_onsets(self._spectrum.rises()), frame_s=frame_s)

    def _characters(
        self, found: Background | None, *, steps: int
    ) -> tuple[Character | None, Character | None]:
        """Return the character of the events and of the rest, or of the whole and None."""
        if not self._spectrum:
            return None, None
        frames = self._spectrum.frames()
        if found is None or not has_sparse_events(found, steps=steps):
            return describe_frames(frames, chosen=np.ones(len(frames.power), bool)), None
        in_events = _frames_in_events(frames, found, steps=steps)
        return describe_frames(frames, chosen=in_events), describe_frames(frames, chosen=~in_events)


def _frames_in_events(frames: Frames, found: Background, *, steps: int) -> NDArray[np.bool_]:
    """Return which of the figured frames have their middle in an event, shape (frames,)."""
    in_events = inside([event.stretch for event in found.events], steps=steps)
    # Every second hop has figures, and a frame is two and a half hops long.
    middle_step = (2 * np.arange(len(frames.power)) + 1) // HOPS_PER_STEP
    return in_events[np.minimum(middle_step, steps - 1)]
