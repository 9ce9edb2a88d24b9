"""Every judging word of the descriptions, and its threshold.

`SCALES` turn a figure into a word; `TERMS` are words for things that are present or not. The
sentences use no other word to judge a sound. `speech` and `music` name a source, because a model
hears it; no other word does. `table()` returns both for the documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from captoolkit.captioners.acoustic import measure, sections
from captoolkit.dsp import level_meters, lines, onsets, pitch, spectrum, stretches


@dataclass(frozen=True, slots=True)
class Scale:
    """Words along one figure.

    Attributes:
        of: the figure, as the table names it.
        unit: its unit, empty for a plain number.
        steps: the lowest value for each word, ascending; the first is minus infinity.
    """

    of: str
    unit: str
    steps: tuple[tuple[float, str], ...]

    def word(self, value: float) -> str:
        """Return the word for a value.

        ```python
        >>> LOUDNESS.word(-40.0), LOUDNESS.word(-40.1)
        ('soft', 'quiet')

        ```
        """
        return [word for start, word in self.steps if start <= value or start == -inf][-1]

    @property
    def words(self) -> tuple[str, ...]:
        """All words of the scale, in order."""
        return tuple(word for _, word in self.steps)


LOUDNESS = Scale(
    "LUFS, integrated (without that, dBFS of the loudest 0.1 s); of a background, its dBFS",
    "",
    (
        (-inf, "very quiet"),
        (-55.0, "quiet"),
        (-40.0, "soft"),
        (-28.0, "moderate"),
        (-18.0, "loud"),
        (-10.0, "very loud"),
    ),
)
SILENCE = Scale(
    "near-silent share of the time",
    "%",
    (
        (-inf, "partly"),
        (50.0, "mostly"),
        (95.0, "almost entirely"),
    ),
)
ACTIVITY = Scale(
    "onsets a minute",
    "",
    ((-inf, "uneventful"), (10.0, "eventful"), (60.0, "busy")),
)
EVENNESS = Scale(
    "L10 - L90, the levels exceeded 10 % and 90 % of the time, counted from -70 dBFS up",
    "dB",
    ((-inf, "steady"), (6.0, "uneven"), (15.0, "very uneven")),
)
BRIGHTNESS = Scale(
    "centre of the power of the median frame",
    "Hz",
    ((-inf, "dark"), (300.0, "mid-range"), (2000.0, "bright")),
)
WIDTH = Scale(
    "correlation of two channels",
    "",
    ((-inf, "out of phase"), (-0.5, "wide"), (0.5, "narrow"), (0.95, "almost mono")),
)
SCALES = (LOUDNESS, SILENCE, ACTIVITY, EVENNESS, BRIGHTNESS, WIDTH)

MOSTLY = 0.5
"""At this share a clip is named after one kind of frame."""
ALMOST_ALL = 0.95
OFFSET_FROM = 0.005
BALANCE_FROM_DB = 3.0
MONO_LOSS_FROM_DB = 6.0
ONE_PITCH_WITHIN = 1.03
"""A pitch range narrower than half a semitone is one figure."""

TERMS = {
    "speech": (
        f"the model of the extra `hear` gives speech {sections.SPEECH_FROM:.0%} or more, as a mean "
        f"over 0.1 s, for {sections.SPEECH_S} s; gaps below {sections.PAUSE_S:.0f} s do not end it"
    ),
    "music": (
        f"the same model gives music {sections.MUSIC_FROM:.0%} or more for {sections.MUSIC_S:.0f} "
        f"s (gaps up to {sections.MUSIC_GAP_S} s), and the strongest line of the spectrum moves: "
        f"less than half of the windows of 2 s are within {sections.LINE_STAYS_WITHIN:.0%} of one "
        "frequency; nor is it mostly voice-like without speech"
    ),
    "speech over music": "both at the same time",
    "voice-like sound": (
        f"windows of 2 s, {sections.VOICED_SHARE:.0%} or more of the frames with a pitch between "
        f"{sections.VOICE_LOW_HZ:.0f} and {sections.VOICE_HIGH_HZ:.0f} Hz, which glides by "
        f"{sections.GLIDE_LOW} to {sections.GLIDE_HIGH} semitones in 40 ms (median), while the "
        f"level rises and falls by {sections.SYLLABLE_DB:.0f} dB {sections.SYLLABLES_LOW:.0f} to "
        f"{sections.SYLLABLES_HIGH:.0f} times a second; two windows at least, or the "
        "only one of a clip below 4 s"
    ),
    "pause": f"{sections.SHORT_PAUSE_S} s or more without speech, or near-silent, within a voice",
    "pitch about": (
        f"the median pitch of a voice between {sections.VOICE_LOW_HZ:.0f} and "
        f"{sections.VOICE_HIGH_HZ:.0f} Hz"
    ),
    "single strokes every": (
        f"regular onsets {sections.STROKES_FROM_S} s or more apart, after which the level falls by "
        f"{sections.STROKE_DB:.0f} dB within {sections.STROKE_S} s; `tones`, which may last "
        "longer, if most windows of 2 s are one tone"
    ),
    "steady tone at": (
        f"windows of 2 s with {lines.TONE_SHARE:.0%} of the power within {lines.TONE_WITHIN_HZ:.0f}"
        " Hz of one frequency and its multiples"
    ),
    "mains hum at": (
        "lines at two or more of the first three multiples of 50 or 60 Hz, in the median of all "
        f"windows {lines.HUM_LINE_DB:.0f} dB above the neighbouring frequencies, the highest "
        f"{lines.HUM_STRONG_DB:.0f} dB"
    ),
    "noise": "a section in which half or more of the sounding frames are noise-like",
    "tonal sound": "a section in which half or more of the sounding frames are tonal",
    "mixed sound": "a section that is neither noise nor tonal",
    "steady noise": "noise of which the levels exceeded 10 % and 90 % of the time differ by < 6 dB",
    "silence": (
        f"a near-silent section of {sections.SHORTEST_S[sections.Kind.SILENCE]:.0f} s or more; "
        f"next to a steady tone, of {sections.TONE_GAP_S} s or more"
    ),
    "above 8 kHz": (
        "half or more of the power lies above 8 kHz, where models that take 16 kHz hear nothing"
    ),
    "nothing": "no samples, or digital silence throughout",
    "almost nothing": f"near-silent for {ALMOST_ALL:.0%} of the time or more, and no event",
    "level": "RMS of 0.1 s without its mean, of the loudest channel; a full-scale sine: -3 dBFS",
    "digital silence": "near-silent, and no sample of any channel changes within 0.1 s",
    "near-silent": (
        f"level below {stretches.NEAR_SILENCE_DB:.0f} dBFS for {stretches.SILENCE_S} s or longer, "
        "digital silence included"
    ),
    "background": (
        "the level exceeded 90 % of the time (L90 of ISO 1996-1), in clips of "
        f"{stretches.BACKGROUND_FROM_S:.0f} s or more"
    ),
    "event": (
        f"a stretch {stretches.EVENT_DB:.0f} dB or more above the background (or above "
        f"{stretches.HEARABLE_DB:.0f} dBFS where that is fainter); dips of up to "
        f"{stretches.EVENT_GAP_S:.0f} s do not end it"
    ),
    "background with events": f"the events fill less than {measure.SPARSE_EVENTS_SHARE:.0%}",
    "clipped": (
        f"{level_meters.CLIP_RUN_SAMPLES} or more samples of a channel in a row at 16-bit full "
        "scale; where such a run exceeds full scale, as floats can, that many samples and "
        f"{level_meters.FLAT_TOP_SHARE:.1%} of the run have its largest value"
    ),
    "above full scale": "samples of floats, or of a lossy codec, that a gain brings into range",
    "onset": (
        f"the spectrum rises by {onsets.RISE_DB} dB or more, as a mean over its bands, against the "
        "second around it"
    ),
    "regular": (
        f"{onsets.REGULAR_SHARE:.0%} of the intervals between onsets, and at least "
        f"{onsets.REGULAR_INTERVALS}, lie within {onsets.REGULAR_WITHIN:.0%} of their median"
    ),
    "irregular": "there are intervals enough, and they are not regular",
    "sounding": f"a frame of 50 ms at {spectrum.SOUNDING_DB:.0f} dBFS or above",
    "tonal": (
        f"a sounding frame that is periodic or of flatness below {spectrum.TONAL_DB:.0f} dB; of a "
        "clip: half of them or more"
    ),
    "noise-like": (
        f"a sounding frame that is not periodic, of flatness above {spectrum.NOISE_DB:.0f} dB; "
        "of a clip: half of them or more"
    ),
    "mixed": "neither tonal nor noise-like",
    "periodic": (
        f"a sounding frame whose autocorrelation reaches {pitch.PERIODIC_FROM} and whose neighbour "
        f"repeats within {pitch.LIKE_PITCH:.0%} of the same rate; a pitch is given where "
        f"{spectrum.PITCH_SHARE:.0%} or more of the sounding frames are periodic"
    ),
    "identical": "every sample is the same in all channels",
    "dead": (
        f"a channel below {level_meters.DEAD_BELOW_DB:.0f} dBFS while another is above "
        f"{level_meters.ALIVE_ABOVE_DB:.0f} dBFS"
    ),
    "loses": f"the mean of two channels has {MONO_LOSS_FROM_DB:.0f} dB less power than they have",
    "cancels out": "the mean of two channels has 60 dB less power than they have",
    "louder": f"the levels of two channels differ by {BALANCE_FROM_DB:.0f} dB or more",
    "offset": f"the mean of a channel is {OFFSET_FROM:.1%} of full scale or more",
    "faulty": "a sample that is NaN, infinite or more than 60 dB beyond full scale",
}


def table() -> str:
    """Return all words with their thresholds as a Markdown table."""
    rows = [
        f"| {word} | {_reach(scale, place)} |"
        for scale in SCALES
        for place, word in enumerate(scale.words)
    ]
    rows += [f"| {word} | {meaning} |" for word, meaning in TERMS.items()]
    return "\n".join(["| word | when |", "| --- | --- |", *rows])


def _reach(scale: Scale, place: int) -> str:
    unit = f" {scale.unit}" if scale.unit else ""
    start = scale.steps[place][0]
    if place + 1 == len(scale.steps):
        return f"{scale.of}: {start:g}{unit} or more"
    end = scale.steps[place + 1][0]
    return f"{scale.of}: below {end:g}{unit}" + ("" if start == -inf else f", from {start:g}{unit}")
