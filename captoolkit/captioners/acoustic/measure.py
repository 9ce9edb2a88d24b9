"""Measure a clip in one pass: blocks in, one `Measurements` out.

Rules: this module chooses no words. Blocks are cut into tiles first, so the figures do not depend
on the blocks. Samples are not kept; the meters keep a few numbers per hop or step, about 7 MB per
hour. Times are steps of 0.1 s or samples, on the clip's own grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from captoolkit.captioners.acoustic.band_meter import BandFigures, BandMeter
from captoolkit.captioners.acoustic.sections import SoundSection, find_sections
from captoolkit.dsp.level_meters import (
    Channels,
    ClippingMeter,
    LevelCurve,
    LevelMeter,
    SampleMeter,
    describe_channels,
    peaks_of,
)
from captoolkit.dsp.lines import Hum
from captoolkit.dsp.loudness import LOWEST_RATE_HZ, Loudness, channel_weights
from captoolkit.dsp.onsets import Onsets, describe_onsets, find_onsets
from captoolkit.dsp.spectrum import Character, describe_frames
from captoolkit.dsp.stretches import (
    EVENT_GAP_S,
    FLOOR_DB,
    Background,
    SoundEvent,
    Stretch,
    background,
    mask_of,
    near_silences,
    stretches,
)
from captoolkit.dsp.tiles import FAULTY_ABOVE, HopGrid, Tiler, zero_faulty_samples
from captoolkit.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPARSE_EVENTS_SHARE = 0.2
"""Events that fill less of the clip than this are described separately from the background."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clipping:
    """Clipping over all channels; positions in samples of the clip.

    Attributes:
        runs: the number of clipped runs of samples.
        share: the share of the samples that are in them, 0 to 1.
        first_sample: where the first of them begins; meaningless without runs.
        last_sample: where the last of them begins.
        above_share: the share of the samples above full scale, clipped or not, 0 to 1.
        stretches: where they are, in time order; gaps of up to a second do not end a stretch.
        steps: the number of steps that have clipped samples.
    """

    runs: int
    share: float
    first_sample: int
    last_sample: int
    above_share: float
    stretches: tuple[Stretch, ...]
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """All figures of a clip.

    Attributes:
        start_s: the start of the clip in its recording; the positions below count from there.
        samples: frames in the clip.
        step_samples: frames in one step of the level curve.
        steps: steps in the level curve; 0 for a clip shorter than one step, which has only the
            figures of its samples.
        still: no sample ever changes: digital silence throughout.
        faulty: samples that were NaN, infinite or absurdly large and were set to zero, over all
            channels.
        peak: the largest absolute sample, 1.0 is full scale.
        loudest_db: the level of the loudest step, in dBFS; at least the floor of the curve.
        near_silences: in time order.
        flat_steps: the steps of the near-silences in which no sample changes.
        background: None for a clip that is too short.
        loudness: None if the rate is too low for the weighting.
        onsets: None if the rate is too low.
        character: of the events if they are sparse, else of the whole clip; None if nothing sounds
            or the rate is too low.
        character_between: of the rest if the events are sparse; None if they are not, or if nothing
            sounds there.
        sections: the kinds of sound in time order; empty if the rate is too low.
        hum: mains hum; None if absent.
        band_share: the share of the power in the band that models hear, 0 to 1.
        is_heard: whether the model for speech and music ran.
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
    sections: tuple[SoundSection, ...]
    hum: Hum | None
    band_share: float
    is_heard: bool

    @property
    def duration_s(self) -> float:
        """The length of the clip in seconds."""
        return self.samples / self.rate_hz

    @property
    def events(self) -> tuple[SoundEvent, ...]:
        """The events above the background, in time order."""
        return self.background.events if self.background else ()

    @property
    def has_sparse_events(self) -> bool:
        """Whether there are events, and they fill only a small part of the time."""
        return has_sparse_events(self.background, steps=self.steps)

    @property
    def silent_share(self) -> float:
        """The near-silent share of the time, 0 to 1."""
        return sum(stretch.steps for stretch in self.near_silences) / max(1, self.steps)


def has_sparse_events(background: Background | None, *, steps: int) -> bool:
    """Return whether there are events, filling less than `SPARSE_EVENTS_SHARE` of the time."""
    return background is not None and 0 < background.event_steps < SPARSE_EVENTS_SHARE * steps


class Measurer:
    """Measures one clip, block by block.

    ```python
    >>> measurer = Measurer(rate_hz=16_000, channels=1)
    >>> measurer.feed(np.zeros((16_000, 1), np.float32))
    >>> measurer.finish().flat_steps
    10

    ```
    """

    def __init__(
        self, *, rate_hz: int, channels: int, start_s: float = 0.0, hears: bool = False
    ) -> None:
        self._start_s = start_s
        if rate_hz < 1 or channels < 1:
            raise UsageError(f"{rate_hz=} and {channels=} must be at least 1")
        grid = HopGrid(rate_hz)
        self._grid, self._faulty = grid, 0
        self._tiler = Tiler(channels=channels, tile_samples=grid.tile_samples)
        self._samples = SampleMeter(channels=channels)
        self._clipped = ClippingMeter(channels=channels, step_samples=grid.step_samples)
        self._levels = LevelMeter(
            channels=channels, step_samples=grid.step_samples, weights=channel_weights(channels)
        )
        has_spectrum = rate_hz >= LOWEST_RATE_HZ
        self._band = (
            BandMeter(rate_hz=rate_hz, channels=channels, hears=hears) if has_spectrum else None
        )

    def feed(self, block: NDArray[np.float32]) -> None:
        """Measure the next block of shape (frames, channels)."""
        for tile in self._tiler.push(block):
            self._add(tile)

    def _add(self, tile: NDArray[np.float32], *, is_last: bool = False) -> None:
        peaks = peaks_of(tile)
        if not (peaks <= FAULTY_ABOVE).all():  # or NaN
            self._faulty += zero_faulty_samples(tile)
            peaks = peaks_of(tile)
        if tile.shape[1]:
            self._samples.feed(tile, peaks)
            self._clipped.feed(tile, peaks)
        covariance = self._levels.feed(tile)
        if self._band:
            self._band.feed(tile, covariance, is_last=is_last)

    def finish(self) -> Measurements:
        """Return the figures; do not feed the meter after this."""
        self._add(self._tiler.rest(), is_last=True)
        self._clipped.finish()
        return self._measurements(self._levels.finish())

    def _measurements(self, curve: LevelCurve) -> Measurements:
        grid, counts = self._grid, self._samples
        level_db = curve.level_db(floor_db=FLOOR_DB)
        steps_per_s = grid.rate_hz / grid.step_samples
        level = background(level_db, steps_per_s=steps_per_s)
        silences = near_silences(level_db, steps_per_s=steps_per_s)
        band = self._band.figures() if self._band else None
        step_s = grid.step_samples / grid.rate_hz
        character, between = _characters(band, level, step_s=step_s, steps=len(level_db))
        return Measurements(
            rate_hz=grid.rate_hz,
            start_s=self._start_s,
            samples=counts.samples,
            step_samples=grid.step_samples,
            steps=len(level_db),
            still=counts.still,
            faulty=self._faulty,
            peak=counts.peak,
            peak_sample=counts.peak_sample,
            clipping=self._clipping(steps=len(level_db)),
            channels=self._channels(),
            loudest_db=float(level_db.max(initial=FLOOR_DB)),
            near_silences=silences,
            flat_steps=int((curve.flat & mask_of(silences, steps=len(level_db))).sum()),
            background=level,
            loudness=band.loudness(curve.summed_power, step_s=step_s) if band else None,
            onsets=describe_onsets(find_onsets(band.rises), frame_s=band.hop_s) if band else None,
            character=character,
            character_between=between,
            sections=_sections(band, level_db, silences, step_s=step_s),
            hum=band.hum if band else None,
            band_share=band.mean_band_share(curve.summed_power) if band else 1.0,
            is_heard=band is not None and band.heard is not None,
        )

    def _clipping(self, *, steps: int) -> Clipping:
        clipped = self._clipped.clipped_steps(steps)
        gap = round(EVENT_GAP_S * self._grid.rate_hz / self._grid.step_samples)
        meter, samples = self._clipped, self._samples.samples * len(self._samples.sums)
        return Clipping(
            runs=meter.runs,
            share=meter.clipped / max(1, samples),
            first_sample=meter.first_sample,
            last_sample=meter.last_sample,
            above_share=meter.above / max(1, samples),
            stretches=stretches(clipped, gap=gap),
            steps=int(clipped.sum()),
        )

    def _channels(self) -> Channels:
        step_samples = self._grid.step_samples
        return describe_channels(
            self._levels.covariance,
            measured_samples=self._samples.samples // step_samples * step_samples,
            offsets=self._samples.sums / max(1, self._samples.samples),
            identical=self._samples.identical,
        )


def _sections(
    band: BandFigures | None,
    level_db: NDArray[np.float32],
    silences: tuple[Stretch, ...],
    *,
    step_s: float,
) -> tuple[SoundSection, ...]:
    if band is None:
        return ()
    return find_sections(
        band,
        level_db=level_db,
        silences=silences,
        onset_frames=find_onsets(band.rises),
        step_s=step_s,
    )


def _characters(
    band: BandFigures | None, background: Background | None, *, step_s: float, steps: int
) -> tuple[Character | None, Character | None]:
    """Return the characters of the events and of the rest, or of the whole clip and None."""
    if band is None:
        return None, None
    if background is None or not has_sparse_events(background, steps=steps):
        return describe_frames(band.frames, chosen=np.ones(len(band.frames.power), bool)), None
    in_events = mask_of([event.stretch for event in background.events], steps=steps)
    chosen = in_events[band.frame_steps(step_s=step_s, steps=steps)]
    return describe_frames(band.frames, chosen=chosen), describe_frames(band.frames, chosen=~chosen)
