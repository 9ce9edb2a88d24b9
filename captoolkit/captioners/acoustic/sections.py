"""The sections of a clip: the kinds of sound with their places.

Rules, by step of 0.1 s; a later rule overrides an earlier one:

- *Mixed*, *tonal* or *noise* is a step by the frames of the two seconds around it.
- *A steady tone* is a window of 2 s that is one tone by the rule in `dsp/lines.py`, without its
  steps that are `TONE_FALLS_DB` fainter than the loudest; the tones of neighbouring windows within
  `LINE_STAYS_WITHIN` are one section.
- *Voice-like* is a window of 2 s in which at least `VOICED_SHARE` of the frames have a pitch
  between `VOICE_LOW_HZ` and `VOICE_HIGH_HZ` that glides by a median of `GLIDE_LOW` to `GLIDE_HIGH`
  semitones from frame to frame, and in which the level rises and falls by `SYLLABLE_DB` between
  `SYLLABLES_LOW` and `SYLLABLES_HIGH` times a second; one of its neighbours is voice-like as well,
  unless the clip, below 4 s, has no other window.
- *Silence* is a near-silence (`dsp/stretches.py`).
- *Music* is a stretch of at least `MUSIC_S` in which the model's confidence stays above
  `MUSIC_FROM`, and which is not one tone: its strongest line moves. A stretch that is mostly
  voice-like without speech is not named music.
- *Speech* is a stretch of at least `SPEECH_S` in which the confidence is above `SPEECH_FROM`;
  pauses of up to `PAUSE_S` do not end it.
- *Single strokes* are regular onsets between speech, voice and music, after which the level falls
  by `STROKE_DB` within `STROKE_S`, or single tones, which may be longer.

A section that is shorter than `SHORTEST_S` of its kind becomes part of its longer neighbour. A
steady tone takes less: next to it a silence is a section from `TONE_GAP_S` on, and short stretches
of mixed, tonal and noise that follow each other are one stretch, of the kind that takes half of it
or more, else mixed.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from captoolkit.dsp.onsets import describe_onsets
from captoolkit.dsp.pitch import steady
from captoolkit.dsp.spectrum import NOISE_DB, SOUNDING_POWER, TONAL_DB
from captoolkit.dsp.stretches import Stretch, mask_of, stretches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from captoolkit.captioners.acoustic.band_meter import BandFigures
    from captoolkit.captioners.acoustic.hearing import Heard

SPEECH_FROM = 0.5
SPEECH_S = 0.5
PAUSE_S = 3.0
SHORT_PAUSE_S = 0.5
MUSIC_FROM = 0.9
MUSIC_S = 5.0
MUSIC_GAP_S = 0.2
LINE_STAYS_WITHIN = 0.01
TONE_FALLS_DB = 20.0
TONE_GAP_S = 0.5
VOICED_SHARE = 0.12
VOICE_LOW_HZ = 70.0
VOICE_HIGH_HZ = 400.0
GLIDE_LOW = 0.2
GLIDE_HIGH = 2.0
SYLLABLE_DB = 3.0
SYLLABLES_LOW = 2.0
SYLLABLES_HIGH = 8.0
FEWEST_PAIRS = 4
STROKE_DB = 10.0
STROKE_S = 0.2
STROKES_FROM_S = 0.2
AROUND_S = 2.0
MOSTLY = 0.5


class Kind(StrEnum):
    """The kinds of sections."""

    SPEECH = "speech"
    SPEECH_OVER_MUSIC = "speech over music"
    MUSIC = "music"
    VOICE = "voice-like sound"
    STROKES = "single strokes"
    TONE = "steady tone"
    NOISE = "noise"
    TONAL = "tonal sound"
    MIXED = "mixed sound"
    SILENCE = "silence"


SHORTEST_S = dict.fromkeys(Kind, 2.0) | {
    Kind.SPEECH: SPEECH_S,
    Kind.TONE: 0.5,
    Kind.SPEECH_OVER_MUSIC: 1.0,
    Kind.MUSIC: MUSIC_S,
}
CHARACTERS = (Kind.MIXED, Kind.TONAL, Kind.NOISE)
CONTENT = (Kind.SPEECH, Kind.SPEECH_OVER_MUSIC, Kind.MUSIC, Kind.VOICE)
"""Kinds that may have onsets of their own."""
KINDS = tuple(Kind)
CODES = {kind: code for code, kind in enumerate(Kind)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundSection:
    """One kind of sound in a stretch of a clip.

    Attributes:
        kind: the kind of sound.
        stretch: where it is, in steps.
        tone_hz: the frequency of a steady tone, or of the tones of strokes; None without one.
        pitch_hz: the median pitch of a voice; None if it has too few frames with a pitch.
        pauses: the number of pauses of a voice of `SHORT_PAUSE_S` or more.
        interval_s: the interval of strokes.
        spread_db: the range of the level between the 10th and the 90th percentile.
    """

    kind: Kind
    stretch: Stretch
    tone_hz: float | None = None
    pitch_hz: float | None = None
    pauses: int = 0
    interval_s: float | None = None
    spread_db: float = 0.0


def find_sections(
    band: BandFigures,
    *,
    level_db: NDArray[np.float32],
    silences: Sequence[Stretch],
    onset_frames: NDArray[np.intp],
    step_s: float,
) -> tuple[SoundSection, ...]:
    """Return the sections of a clip in time order; together they cover it."""
    steps = len(level_db)
    if not steps:
        return ()
    finder = _SectionFinder(band, step_s=step_s, steps=steps)
    labels = finder.labels(level_db, silences, onset_frames)
    is_spoken = finder.is_spoken & ~mask_of(silences, steps=steps)
    sections = (
        SoundSection(
            kind=KINDS[code % len(Kind)],
            stretch=Stretch(start_step=start, end_step=end),
            tone_hz=finder.tone_hz(code),
            interval_s=finder.interval_s(code),
        )
        for start, end, code in merge_short(labels, step_s=step_s)
    )
    return tuple(finder.described(section, level_db, is_spoken) for section in sections)


class _SectionFinder:
    """Brings the figures of frames and windows to the steps of a clip."""

    def __init__(self, band: BandFigures, *, step_s: float, steps: int) -> None:
        self._band, self._step_s, self._steps = band, step_s, steps
        self._frame_steps = band.frame_steps(step_s=step_s, steps=steps)
        self._periodic = steady(band.frames.pitch_hz)
        self._tones = number_tones(band)
        self._intervals_s: list[float] = []
        self.is_spoken = np.ones(steps, bool)  # until the model separates pauses from words

    def labels(
        self,
        level_db: NDArray[np.float32],
        silences: Sequence[Stretch],
        onset_frames: NDArray[np.intp],
    ) -> NDArray[np.intp]:
        """Return the label of each step: the code of its kind, with the number of its tone."""
        labels = self._characters()
        tones = self._of_windows(self._tones) * self._is_loud(level_db)
        labels[tones > 0] = CODES[Kind.TONE] + len(Kind) * tones[tones > 0]
        labels[self._of_windows(voice_windows(self._band)) > 0] = CODES[Kind.VOICE]
        labels[mask_of(silences, steps=self._steps)] = CODES[Kind.SILENCE]
        if self._band.heard is not None:
            self._label_heard(labels, self._band.heard)
        self._label_strokes(labels, onset_frames)
        return labels

    def _label_strokes(self, labels: NDArray[np.intp], onset_frames: NDArray[np.intp]) -> None:
        hop_s = self._band.hop_s
        for stretch in stretches(~np.isin(labels, [CODES[kind] for kind in CONTENT])):
            start_s, end_s = stretch.start_step * self._step_s, stretch.end_step * self._step_s
            is_inside = (onset_frames * hop_s >= start_s) & (onset_frames * hop_s < end_s)
            frames = onset_frames[is_inside]
            interval_s = describe_onsets(frames, frame_s=hop_s).interval_s
            if interval_s is None or not are_strokes(self._band, frames, interval_s):
                continue
            self._intervals_s.append(interval_s)
            first = int(frames[0] * hop_s / self._step_s)
            # Nothing rises at the beginning of a clip, so a stroke there is no onset.
            if not stretch.start_step and abs(first - interval_s / self._step_s) <= 1:
                first = 0
            end = min(stretch.end_step, int((frames[-1] * hop_s + interval_s) / self._step_s) + 1)
            labels[first:end] = CODES[Kind.STROKES] + len(Kind) * len(self._intervals_s)

    def interval_s(self, label: int) -> float | None:
        """Return the interval of the strokes with a label, None for other kinds."""
        number, code = divmod(label, len(Kind))
        return self._intervals_s[number - 1] if KINDS[code] is Kind.STROKES else None

    def _is_loud(self, level_db: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return the steps within `TONE_FALLS_DB` of the loudest step of their window."""
        at = ((np.arange(self._steps) + 0.5) * self._step_s / self._band.window_s).astype(np.intp)
        loudest_db = np.full(at[-1] + 1, -200.0, np.float32)
        np.maximum.at(loudest_db, at, level_db)
        is_loud: NDArray[np.bool_] = level_db >= loudest_db[at] - TONE_FALLS_DB
        return is_loud

    def _label_heard(self, labels: NDArray[np.intp], heard: Heard) -> None:
        self.is_spoken = self._spoken(heard.speech)
        gap = round(PAUSE_S / self._step_s)
        speech = mask_of(stretches(self.is_spoken, gap=gap), steps=self._steps)
        music = self._music(heard.music, is_voice=labels == CODES[Kind.VOICE])
        labels[music] = CODES[Kind.MUSIC]
        labels[speech] = CODES[Kind.SPEECH]
        labels[speech & music] = CODES[Kind.SPEECH_OVER_MUSIC]

    def tone_hz(self, label: int) -> float | None:
        """Return the frequency of the tone with a label, None for other kinds."""
        number, code = divmod(label, len(Kind))
        if KINDS[code] is not Kind.TONE:
            return None
        return float(np.median(self._band.lines.frequency_hz[self._tones == number]))

    def _characters(self) -> NDArray[np.intp]:
        """Return the label of each step by the frames around it: mixed, tonal or noise."""
        frames = self._band.frames
        sounding = frames.power >= SOUNDING_POWER
        is_tonal = sounding & (self._periodic | (frames.flatness_db < TONAL_DB))
        is_noise = sounding & ~self._periodic & (frames.flatness_db > NOISE_DB)
        sums = [self._around(mask) for mask in (sounding, is_tonal, is_noise)]
        labels = np.full(self._steps, CODES[Kind.MIXED])
        labels[sums[1] >= MOSTLY * np.maximum(sums[0], 1)] = CODES[Kind.TONAL]
        labels[sums[2] >= MOSTLY * np.maximum(sums[0], 1)] = CODES[Kind.NOISE]
        labels[sums[0] == 0] = CODES[Kind.SILENCE]
        return labels

    def _around(self, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return how many frames of a mask lie in the two seconds around each step."""
        counts = np.bincount(self._frame_steps[mask], minlength=self._steps)
        total = np.concatenate([[0], np.cumsum(counts)])
        reach, places = round(AROUND_S / 2 / self._step_s), np.arange(self._steps)
        end = np.minimum(places + reach + 1, self._steps)
        return np.asarray(total[end] - total[np.maximum(places - reach, 0)], np.float64)

    def _of_windows(self, windows: NDArray[np.integer]) -> NDArray[np.integer]:
        """Return the numbers of windows for each step, shape (steps,); 0 after the last window."""
        at = ((np.arange(self._steps) + 0.5) * self._step_s / self._band.window_s).astype(np.intp)
        numbers: NDArray[np.integer] = np.append(windows, 0)[np.minimum(at, len(windows))]
        return numbers

    def _confidence(self, heard: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the mean confidence of the model in each step."""
        at = np.minimum(
            (np.arange(len(heard)) / 100 / self._step_s).astype(np.intp), self._steps - 1
        )
        total = np.bincount(at, weights=heard, minlength=self._steps)
        return np.asarray(total / np.maximum(np.bincount(at, minlength=self._steps), 1))

    def _spoken(self, heard: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return the steps of speech, without its pauses."""
        shortest = max(1, round(SPEECH_S / self._step_s))
        mask = self._confidence(heard) >= SPEECH_FROM
        gap = round(SHORT_PAUSE_S / self._step_s) - 1
        return mask_of(stretches(mask, shortest=shortest, gap=gap), steps=self._steps)

    def _music(
        self, heard: NDArray[np.float32], *, is_voice: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Return the steps of music."""
        mask = self._confidence(heard) >= MUSIC_FROM
        found = stretches(
            mask,
            shortest=round(MUSIC_S / self._step_s),
            gap=round(MUSIC_GAP_S / self._step_s),
        )
        is_doubtful = is_voice & ~self.is_spoken
        named = [
            each
            for each in found
            if not self._is_one_tone(each)
            and is_doubtful[each.start_step : each.end_step].mean() <= MOSTLY
        ]
        music = mask_of(named, steps=self._steps)
        return mask_of(stretches(music, gap=round(PAUSE_S / self._step_s)), steps=self._steps)

    def _is_one_tone(self, stretch: Stretch) -> bool:
        _, frequency_hz = self._windows_in(stretch)
        if not len(frequency_hz):
            return True
        middle_hz = float(np.median(frequency_hz))
        stays = abs(frequency_hz - middle_hz) <= LINE_STAYS_WITHIN * middle_hz
        return bool(stays.mean() > MOSTLY)

    def _windows_in(self, stretch: Stretch) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Return which windows of a stretch are one tone, and their strongest lines."""
        lines, per_window = self._band.lines, self._band.window_s / self._step_s
        first = round(stretch.start_step / per_window)
        reach = slice(first, max(round(stretch.end_step / per_window), first + 1))
        has_line = lines.frequency_hz[reach] > 0
        return lines.is_one_tone[reach][has_line], lines.frequency_hz[reach][has_line]

    def described(
        self, section: SoundSection, level_db: NDArray[np.float32], sounds: NDArray[np.bool_]
    ) -> SoundSection:
        """Return a section with its figures."""
        reach = slice(section.stretch.start_step, section.stretch.end_step)
        low, high = np.percentile(level_db[reach], (10, 90))
        section = replace(section, spread_db=float(high - low))
        if section.kind is Kind.STROKES:
            is_tone, frequency_hz = self._windows_in(section.stretch)
            if is_tone.sum() > MOSTLY * len(is_tone):
                return replace(section, tone_hz=float(np.median(frequency_hz[is_tone])))
        if section.kind in (Kind.SPEECH, Kind.SPEECH_OVER_MUSIC, Kind.VOICE):
            pauses = stretches(~sounds[reach], shortest=round(SHORT_PAUSE_S / self._step_s))
            return replace(section, pauses=len(pauses), pitch_hz=self._pitch_hz(section.stretch))
        return section

    def _pitch_hz(self, stretch: Stretch) -> float | None:
        pitch_hz, at = self._band.frames.pitch_hz, self._frame_steps
        chosen = self._periodic & (at >= stretch.start_step) & (at < stretch.end_step)
        chosen &= (pitch_hz >= VOICE_LOW_HZ) & (pitch_hz <= VOICE_HIGH_HZ)
        return float(np.median(pitch_hz[chosen])) if chosen.sum() >= FEWEST_PAIRS else None


def number_tones(band: BandFigures) -> NDArray[np.integer]:
    """Return 0 for each window that is no tone; windows of one tone have one number, from 1."""
    numbers = np.zeros(len(band.lines.power), np.intp)
    number, last_hz = 0, 0.0
    for window, is_tone in enumerate(band.lines.is_one_tone.tolist()):
        now_hz = float(band.lines.frequency_hz[window]) if is_tone else 0.0
        if is_tone:
            number += abs(now_hz - last_hz) > LINE_STAYS_WITHIN * now_hz
            numbers[window] = number
        last_hz = now_hz
    return numbers


def voice_windows(band: BandFigures) -> NDArray[np.integer]:
    """Return 1 for each window of `band.lines` that is voice-like, else 0."""
    per_window = band.window_s / (2 * band.hop_s)
    pitch_hz = band.frames.pitch_hz
    voiced = steady(pitch_hz) & (pitch_hz >= VOICE_LOW_HZ) & (pitch_hz <= VOICE_HIGH_HZ)
    voiced &= band.frames.power >= SOUNDING_POWER
    semitones = 12 * np.log2(np.maximum(pitch_hz, 1.0))
    found = np.zeros(len(band.lines.power), bool)
    for window in range(len(found)):
        frames = slice(round(window * per_window), round((window + 1) * per_window))
        hops = slice(2 * frames.start, 2 * frames.stop)
        is_voiced = voiced[frames]
        pairs = is_voiced[1:] & is_voiced[:-1]
        if is_voiced.mean() < VOICED_SHARE or pairs.sum() < FEWEST_PAIRS:
            continue
        glide = float(np.median(abs(np.diff(semitones[frames]))[pairs]))
        if GLIDE_LOW <= glide <= GLIDE_HIGH:
            syllables = count_syllables(band.rises.level_db[hops]) / band.window_s
            found[window] = SYLLABLES_LOW <= syllables <= SYLLABLES_HIGH
    if len(found) == 1:
        return np.asarray(found, np.intp)
    near = np.append(found[1:], False) | np.append(False, found[:-1])
    holes = np.append(found[1:], False) & np.append(False, found[:-1])
    return np.asarray((found & near) | holes, np.intp)


def count_syllables(level_db: NDArray[np.float32]) -> int:
    """Return how often a level of shape (frames,) rises and falls by `SYLLABLE_DB`.

    ```python
    >>> count_syllables(np.repeat(np.array([-60, -20, -60, -20, -60], np.float32), 5))
    2

    ```
    """
    count, is_rising, turn = 0, False, float(level_db[0]) if len(level_db) else 0.0
    padded = np.pad(np.maximum(level_db, -70.0), 1, mode="edge") if len(level_db) else level_db
    for level in np.convolve(padded, (0.25, 0.5, 0.25), "valid").tolist():
        if is_rising:
            turn = max(turn, level)
            if level < turn - SYLLABLE_DB:
                count, is_rising, turn = count + 1, False, level
        else:
            turn = min(turn, level)
            if level > turn + SYLLABLE_DB:
                is_rising, turn = True, level
    return count


def are_strokes(band: BandFigures, frames: NDArray[np.intp], interval_s: float) -> bool:
    """Return whether most of the onsets at `frames` are strokes or single tones."""
    if interval_s < STROKES_FROM_S:
        return False
    falls, lengths = [], []
    for start, end in itertools.pairwise(frames.tolist()):
        between = band.rises.level_db[start:end].tolist()
        highest = max(between)
        falls.append(highest - _median(between[len(between) // 2 :]))
        lengths.append(sum(level >= highest - STROKE_DB for level in between))
    is_short = np.median(lengths) * band.hop_s <= STROKE_S
    is_beep = len(band.lines.power) and band.lines.is_one_tone.mean() > MOSTLY
    return bool(np.median(falls) >= STROKE_DB and (is_short or is_beep))


def _median(values: list[float]) -> float:
    """The median of a few values, for which numpy takes longer."""
    ordered, middle = sorted(values), len(values) // 2
    return (ordered[middle] + ordered[-middle - 1]) / 2


def merge_short(labels: NDArray[np.intp], *, step_s: float) -> list[tuple[int, int, int]]:
    """Return the runs of equal labels as (start, end, label); short ones join a neighbour."""
    edges = np.flatnonzero(np.diff(labels)) + 1
    starts = [0, *edges.tolist()]
    ends = [*edges.tolist(), len(labels)]
    runs = [(start, end, int(labels[start])) for start, end in zip(starts, ends, strict=True)]
    runs = _join_short_characters(runs, step_s=step_s)
    lacking = [_lacking_steps(runs, at, step_s) for at in range(len(runs))]
    while len(runs) > 1:
        most = max(lacking)
        if most <= 0.5:
            break
        at = lacking.index(most)
        neighbours = [*runs[max(0, at - 1) : at], *runs[at + 1 : at + 2]]
        label = max(neighbours, key=lambda run: run[1] - run[0])[2]
        first = at - 1 if at and runs[at - 1][2] == label else at
        end = at + 2 if at + 1 < len(runs) and runs[at + 1][2] == label else at + 1
        runs[first:end] = [(runs[first][0], runs[end - 1][1], label)]
        lacking[first:end] = [0.0]
        for changed in range(max(0, first - 1), min(len(runs), first + 2)):
            lacking[changed] = _lacking_steps(runs, changed, step_s)
    return runs


def _lacking_steps(runs: list[tuple[int, int, int]], at: int, step_s: float) -> float:
    """How many steps a run lacks to be a section of its own; negative for a longer one."""
    start, end, _ = runs[at]
    return _shortest_s(runs, at) / step_s - (end - start)


def _kind(label: int) -> Kind:
    return KINDS[label % len(Kind)]


def _shortest_s(runs: list[tuple[int, int, int]], at: int) -> float:
    """The shortest length of a run as a section of its own."""
    kind = _kind(runs[at][2])
    near = [_kind(label) for _, _, label in (*runs[max(0, at - 1) : at], *runs[at + 1 : at + 2])]
    return TONE_GAP_S if kind is Kind.SILENCE and Kind.TONE in near else SHORTEST_S[kind]


def _join_short_characters(
    runs: list[tuple[int, int, int]], *, step_s: float
) -> list[tuple[int, int, int]]:
    """Return the runs; next to a tone, short ones of mixed, tonal and noise have one label."""

    def is_short(run: tuple[int, int, int]) -> bool:
        kind = _kind(run[2])
        return kind in CHARACTERS and (run[1] - run[0]) * step_s < SHORTEST_S[kind] - step_s / 2

    found: list[tuple[int, int, int]] = []
    groups = [(are_short, list(group)) for are_short, group in itertools.groupby(runs, is_short)]
    for at, (are_short, group) in enumerate(groups):
        near = [found[-1:], *(others[:1] for _, others in groups[at + 1 : at + 2])]
        if are_short and Kind.TONE in (_kind(run[2]) for one in near for run in one):
            found.append((group[0][0], group[-1][1], _common_label(group)))
        else:
            found += group
    return _joined(found)


def _common_label(runs: Sequence[tuple[int, int, int]]) -> int:
    """The label of half of the steps or more, else that of mixed sound."""
    lengths: dict[int, int] = {}
    for start, end, label in runs:
        lengths[label] = lengths.get(label, 0) + end - start
    label, length = max(lengths.items(), key=lambda item: item[1])
    return label if length >= MOSTLY * sum(lengths.values()) else CODES[Kind.MIXED]


def _joined(runs: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    joined: list[tuple[int, int, int]] = []
    for start, end, code in runs:
        if joined and joined[-1][2] == code:
            joined[-1] = (joined[-1][0], end, code)
        else:
            joined.append((start, end, code))
    return joined


def steps_of_kinds(sections: Sequence[SoundSection], *kinds: Kind) -> int:
    """Return how many steps the sections of some kinds last."""
    return sum(section.stretch.steps for section in sections if section.kind in kinds)
