from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from captoolkit.captioners.acoustic import AcousticCaptioner, table
from captoolkit.captioners.acoustic.words import SCALES, TERMS
from captoolkit.captioners.base import Captioner, Clip, Samples
from captoolkit.model import CaptionerInfo, Usage, Via
from tests.support.sound import silence, tone

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 16_000


@dataclass(slots=True)
class ArraySamples:
    """An array of shape (frames, channels) that comes in blocks."""

    content: NDArray[np.float32]
    rate_hz: int
    channels: int

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(self.content), 50_000):
            yield self.content[start : start + 50_000]


@dataclass(frozen=True, slots=True)
class ArrayClip:
    """A segment that is there as samples only; counts how often it was decoded."""

    content: NDArray[np.float32]
    rate_hz: int = RATE
    decoded: list[bool] = field(default_factory=list)
    start_s: float = 0.0
    via: Via = Via.BASE64
    url: str | None = None

    @property
    def path(self) -> Path:
        """There is no file."""
        raise NotImplementedError

    def read_bytes(self) -> bytes:
        """There are no bytes."""
        raise NotImplementedError

    def data_uri(self, media_type: str = "") -> str:
        """There is nothing to send."""
        raise NotImplementedError

    def samples(self) -> AbstractContextManager[Samples]:
        """Hand out the array."""
        self.decoded.append(True)
        return nullcontext(ArraySamples(self.content, self.rate_hz, self.content.shape[1]))


def said(*parts: NDArray[np.floating], rate_hz: int = RATE) -> str:
    """What the captioner says of arrays of shape (frames, channels), one after another."""
    sound = np.concatenate(parts).astype(np.float32)
    with AcousticCaptioner() as captioner:
        return captioner.caption(ArrayClip(sound, rate_hz)).text


def verdict(*parts: NDArray[np.floating], rate_hz: int = RATE) -> str:
    """The first sentence, the one to decide by."""
    return said(*parts, rate_hz=rate_hz).partition("\n\n")[0]


def noise(seconds: float, *, level_db: float = -20.0, channels: int = 1) -> NDArray[np.float64]:
    """White noise of a given RMS level, the same each time, shape (frames, channels)."""
    wave = np.random.default_rng(7).standard_normal((round(seconds * RATE), channels))
    return np.asarray(wave * 10 ** (level_db / 20))


def clicks(interval_s: float, *, seconds: float) -> NDArray[np.float32]:
    """A click at every interval, in digital silence."""
    sound = silence(seconds, rate_hz=RATE)
    sound[RATE // 2 :: round(interval_s * RATE)] = 0.8
    return sound


def night(*, hush_db: float, minutes: int = 10) -> NDArray[np.float64]:
    """Hush, with a tone of 2 s after 1:12, a burst of noise after 3:12 and a fainter one."""
    sound = noise(60 * minutes, level_db=hush_db)
    sound[72 * RATE : 74 * RATE] += tone(2.0, rate_hz=RATE, frequency_hz=600.0, amplitude=0.05)
    sound[192 * RATE : 194 * RATE] += noise(2.0, level_db=-24.0)
    sound[431 * RATE : 432 * RATE] += noise(1.0, level_db=-32.0)
    return sound


# --------------------------------------------------------------------------------- its manners


def test_places_are_on_the_recordings_clock() -> None:
    """A segment from the middle says where in the recording its loudest moment is."""
    sound = silence(40.0, rate_hz=RATE)
    sound[12 * RATE : 13 * RATE] = tone(1.0, rate_hz=RATE, frequency_hz=500.0)
    early, late = (
        AcousticCaptioner().caption(ArrayClip(sound, start_s=start_s)).text
        for start_s in (0.0, 600.0)
    )
    assert "at 0:12" in early
    assert "at 10:12" in late
    assert "0:12" not in late.replace("10:12", "")


def test_it_is_a_captioner_of_its_own_name() -> None:
    """Name and version are recorded, and it can be closed as often as one likes."""
    captioner: Captioner = AcousticCaptioner()
    assert captioner.info == CaptionerInfo(name="acoustic", model="acoustic/1", base_url=None)
    captioner.close()
    captioner.close()


def test_a_caption_is_whole_and_costs_nothing() -> None:
    """It always comes to its end, spends no tokens and decodes the clip once."""
    clip = ArrayClip(tone(1.0, rate_hz=RATE))
    as_clip: Clip = clip
    caption = AcousticCaptioner().caption(as_clip)
    assert (caption.finish_reason, caption.request_id, caption.usage) == ("stop", None, Usage())
    assert clip.decoded == [True]


# ---------------------------------------------------------------------------- what is decided


def test_a_clip_without_samples_says_so() -> None:
    """Nothing at all is said to be nothing."""
    assert said(np.zeros((0, 2))) == "Nothing: the clip holds no samples."


def test_a_single_sample_is_too_short() -> None:
    """One sample has a peak and nothing else."""
    text = said(np.full((1, 1), 0.5))
    assert text.startswith("Too short to describe: 1 sample (0.062 ms)")
    assert "Sample peak -6.0 dBFS" in text


def test_digital_silence_is_nothing() -> None:
    """Zeros are digital silence, and a constant is one with an offset."""
    assert said(np.zeros((RATE, 1))) == "Nothing: digital silence from beginning to end."
    assert "DC offset of 25.0% of full scale." in said(np.full((RATE, 1), 0.25))


def test_hush_is_almost_nothing() -> None:
    """Faint noise is not worth asking about."""
    assert verdict(noise(600.0, level_db=-66.0)) == (
        "Almost nothing: near-silent for 100% of the time, and the level never exceeds -65 dBFS."
    )


def test_a_still_night_tells_of_its_events() -> None:
    """A hush with a few sounds says how many, where the loudest is and how loud."""
    text = said(night(hush_db=-66.0))
    assert re.match(
        r"Almost entirely near-silent \(99% of the time\), with 3 events: the loudest peaks at "
        r"3:1[234] with -24 dBFS, 42 dB above the background\.",
        text,
    )
    assert "3 events stand out from the background by 15 dB or more and fill 5" in text
    assert "(1% of the time)" in text


def test_a_night_above_the_threshold_of_silence_tells_of_its_events() -> None:
    """Where the recorder's own noise is not near-silent, the events still stand out."""
    text = said(night(hush_db=-48.0))
    assert text.startswith("Quiet background (-48 dBFS) with 3 events: the loudest peaks at 3:1")
    assert "Never near-silent." in text
    assert "Between the events, the sound is noise-like" in text


def test_a_single_event_has_its_place() -> None:
    """One event is in the singular and given from where to where."""
    sound = night(hush_db=-48.0)[: 120 * RATE]
    assert "with 1 event: it peaks at 1:1" in said(sound)
    assert "1 event stands out from the background by 15 dB or more: from 1:12 to 1:14" in said(
        sound
    )


def test_a_long_night_has_hours_on_its_clock() -> None:
    """Places beyond an hour are given as hours."""
    low = 8000
    sound = np.zeros((3700 * low, 1), np.float32)
    sound[3661 * low : 3663 * low] = tone(2.0, rate_hz=low)
    assert "1 event reaches -55 dBFS: from 1:01:01 to 1:01:03" in said(sound, rate_hz=low)


@pytest.mark.parametrize(
    ("sound", "beginning"),
    [
        (noise(10.0, level_db=-14.0), "Loud, steady and uneventful: -11.2 LUFS, no onsets."),
        (noise(10.0, level_db=-50.0), "Quiet, steady and uneventful: -47.2 LUFS, no onsets."),
        (
            clicks(0.3, seconds=60.0),
            "Soft, very uneven and busy: -36.0 LUFS, 199 onsets (199 a minute), "
            "partly near-silent (1% of the time).",
        ),
        (
            np.concatenate([noise(40.0), np.zeros((20 * RATE, 1))]),
            "Loud, very uneven and uneventful: -17.2 LUFS, no onsets, "
            "partly near-silent (33% of the time).",
        ),
        (tone(3.0, rate_hz=RATE), "Very loud: -9.7 LUFS."),
        (tone(0.3, rate_hz=RATE), "Very loud: up to -9 dBFS."),
    ],
)
def test_other_sounds_are_summed_up(sound: NDArray[np.floating], beginning: str) -> None:
    """The first sentence has loudness, evenness and onsets, as far as the clip is long enough."""
    assert verdict(sound).split(":")[0] == beginning.split(":")[0]
    figures = [float(number) for number in re.findall(r"-?\d+\.?\d*", verdict(sound))]
    expected = [float(number) for number in re.findall(r"-?\d+\.?\d*", beginning)]
    assert figures == pytest.approx(expected, abs=1.0)


# ------------------------------------------------------------------------------ what is told


def test_a_tone_is_described_as_one() -> None:
    """A sine of 440 Hz is tonal, has 440 Hz, and is mono."""
    text = said(tone(10.0, rate_hz=RATE, amplitude=0.3))
    assert "The sound is tonal for 100% of the sounding time." in text
    assert "Pitch 440 Hz, periodic for 100% of the sounding time." in text
    assert "Its power centres on 440 Hz (mid-range)" in text
    assert "Sample peak -10.5 dBFS" in text
    assert "nothing is clipped" in text
    assert text.endswith("Mono.")


def test_noise_is_described_as_noise() -> None:
    """White noise is noise-like and bright and has no pitch."""
    text = said(noise(10.0))
    assert "The sound is noise-like for 100% of the sounding time." in text
    assert "No pitch." in text
    assert "(bright)" in text


def test_a_regular_train_is_described_by_its_interval() -> None:
    """Clicks every 0.55 s are said to come about every 0.55 s."""
    text = said(clicks(0.55, seconds=30.0))
    assert "54 onsets (108 a minute), regular: one about every 0.55 s." in text


def test_silences_are_told_with_their_places() -> None:
    """The longest silences are named in the order of time, the others counted."""
    loud = tone(30.0, rate_hz=RATE)
    gaps = [silence(seconds, rate_hz=RATE) for seconds in (10, 2, 1, 20, 5)]
    text = said(*(part for gap in gaps for part in (loud, gap)))
    assert (
        "Near-silent for 20% of the time: from 0:30 to 0:40, from 2:13 to 2:33, from 3:03 to 3:08 "
        "and 2 shorter stretches; digital silence for 20% of the time."
    ) in text


def test_clipping_is_told_with_number_share_and_place() -> None:
    """Clipping says how often, how much and where."""
    sound = tone(10.0, rate_hz=RATE, amplitude=0.5)
    sound[2 * RATE : 2 * RATE + 80] = 1.0
    sound[5 * RATE : 5 * RATE + 80] = -1.0
    text = said(sound)
    assert "clipped in 2 places (0.10% of the samples), between 0:02.0 and 0:05.0." in text


def test_opposite_channels_are_said_to_cancel() -> None:
    """L = -R is out of phase, with the figure."""
    left = tone(6.0, rate_hz=RATE)
    text = said(np.hstack([left, -left]))
    assert "Stereo, out of phase (correlation -1.00); mixed to mono it cancels out." in text


@pytest.mark.parametrize(
    ("sound", "sentence"),
    [
        (np.hstack([noise(6.0)] * 2), "Both channels are identical."),
        (np.hstack([noise(6.0), np.zeros((6 * RATE, 1))]), "The right channel is dead."),
        (np.hstack([np.zeros((6 * RATE, 1)), noise(6.0)]), "The left channel is dead."),
        (noise(6.0, channels=2), "Stereo, wide (correlation 0.00)."),
        (
            np.hstack([noise(6.0), noise(6.0) / 4]),
            "Stereo, almost mono (correlation 1.00); the left channel is 12 dB louder.",
        ),
        (np.hstack([noise(6.0)] * 8), "All 8 channels are identical."),
        (noise(6.0, channels=3), "3 channels."),
        (noise(6.0, channels=4) * [1, 0, 0, 1], "4 channels; dead: 2 and 3."),
    ],
)
def test_channels_are_described(sound: NDArray[np.floating], sentence: str) -> None:
    """What the channels have to do with each other is said in one sentence."""
    assert sentence in said(sound)


def test_six_channels_say_how_their_loudness_was_taken() -> None:
    """The order of the channels is an assumption, so it is told."""
    assert "For it the channels count as 5.1 in the order of WAV files." in said(
        noise(3.0, channels=6)
    )


def test_an_offset_is_told() -> None:
    """A channel whose mean is off is named with the figure."""
    text = said(noise(6.0, channels=2) + np.array([0.0, -0.03]))
    assert text.endswith("DC offset of -3.0% of full scale in channel 2.")


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (1, "1 sample is faulty (no number or absurdly large) and was taken as zero."),
        (9, "9 samples are faulty (no number or absurdly large) and were taken as zero."),
    ],
)
def test_faulty_samples_are_told(number: int, sentence: str) -> None:
    """What was wrong with the samples is said, in the right number."""
    sound = noise(6.0)
    sound[100 : 100 + number] = np.nan
    assert sentence in said(sound)


def test_a_rate_too_low_to_hear_is_told() -> None:
    """Below 8 kHz only levels are measured, and that is said."""
    text = said(noise(10.0), rate_hz=4000)
    assert "A sample rate of 4000 Hz is too low for loudness" in text
    assert "LUFS" not in text


def test_a_short_clip_has_no_loudness_figure() -> None:
    """Three tenths of a second are too short for LUFS, and that is said."""
    text = said(tone(0.3, rate_hz=RATE))
    assert "Too short for a loudness figure (0.4 s are needed)." in text


# ------------------------------------------------------------------------------------- words

# Words that carry no judgement: with those of the table they are all that is ever said.
PLAIN = """
a about above absurdly alike all an and are as at beginning below between both by centres channel
channels clip correlation count dc describe end events every exceeds figure files fill for from
full holds in integrated intervals is it its large left less lies little loudest loudness low
minute more needed never no nothing number of on one onsets or order peak peaks percentile pitch
place places power rate reach reaches right sample samples say scale short shorter sound stand
stands stereo stretch stretches taken th than that the their they time to too up was wav were what
where with zero
"""
UNITS = frozenset({"db", "dbfs", "hz", "khz", "lufs", "min", "ms", "s"})
SOURCES = re.compile(
    r"\b(speech|speak\w*|talk\w*|voices?|vocal\w*|sing\w*|music\w*|song|melod\w*|instrument\w*|rain"
    r"|wind|water|birds?|dogs?|bark\w*|cars?|engines?|traffic|people|man|woman|child\w*|crowd"
    r"|laugh\w*|cough\w*|snor\w*|footsteps?|doors?|clock|drums?|piano|guitar|alarm|hum|hiss)\b",
    re.IGNORECASE,
)


def vocabulary() -> frozenset[str]:
    """Every word that may be said."""
    judging = [*TERMS, *(word for scale in SCALES for word in scale.words)]
    return (
        frozenset(PLAIN.split())
        | UNITS
        | {part for word in judging for part in re.findall(r"[a-z]+", word)}
    )


def examples() -> Iterator[str]:
    """Texts of every kind."""
    left = tone(6.0, rate_hz=RATE)
    yield said(np.zeros((0, 1)))
    yield said(np.full((1, 1), 0.5))
    yield said(np.zeros((RATE, 1)))
    yield said(np.full((RATE, 2), 0.25))
    yield said(noise(60.0, level_db=-66.0))
    yield said(noise(60.0, level_db=-90.0))
    yield said(night(hush_db=-66.0, minutes=8))
    yield said(night(hush_db=-48.0, minutes=8))
    yield said(night(hush_db=-120.0, minutes=8))
    yield said(np.concatenate([noise(20.0), np.zeros((30 * RATE, 1)), left]))
    yield said(clicks(0.55, seconds=40.0), noise(10.0, level_db=-30.0))
    yield said(np.hstack([left, -left]), np.full((4, 2), np.nan))
    yield said(np.hstack([left, 0 * left]))
    yield said(np.hstack([left, noise(6.0)]))
    yield said(np.hstack([left, -left + 0.2 * noise(6.0)]))
    yield said(noise(6.0, channels=8) * 10 + 0.1)
    yield said(noise(10.0, level_db=-30.0) + tone(10.0, rate_hz=RATE, amplitude=0.05))
    yield said(tone(0.2, rate_hz=RATE))
    yield said(noise(1.0), rate_hz=100)


def test_every_word_is_plain_or_in_the_table() -> None:
    """Whatever is measured, nothing is said but plain words and those with a threshold."""
    allowed = vocabulary()
    for text in examples():
        words = {word.lower() for word in re.findall(r"[A-Za-z]+", text)}
        assert words <= allowed, f"{sorted(words - allowed)} in {text!r}"


def test_no_word_says_what_made_the_sound() -> None:
    """Sources are neither in the vocabulary nor in the table."""
    assert not SOURCES.search(" ".join(sorted(vocabulary())))
    assert not SOURCES.search(table())


def test_the_table_has_every_judging_word_with_its_threshold() -> None:
    """Each word of each scale and each term has a row, and each row says when."""
    rows = [line.strip("| ").split(" | ") for line in table().splitlines()[2:]]
    assert [word for word, _ in rows] == [
        *(word for scale in SCALES for word in scale.words),
        *TERMS,
    ]
    assert all(len(when) > 10 for _, when in rows)


@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale.words[0])
def test_words_change_exactly_at_their_thresholds(scale: object) -> None:
    """A word holds from its threshold up to the next one."""
    found = next(each for each in SCALES if each is scale)
    starts = [start for start, _ in found.steps]
    assert starts[0] == -inf
    assert starts == sorted(starts)
    for before, (start, word) in zip(found.words, found.steps[1:], strict=False):
        assert found.word(start) == word
        assert found.word(float(np.nextafter(start, -inf))) == before


# ------------------------------------------------------------------------------- robustness


def check(text: str) -> None:
    """A text is there, and holds no figure that is none and no sentence that is broken."""
    assert text.endswith(".")
    assert not re.search(r"\b(nan|inf|none|null|true|false)\b|[{}\[\]]|-0(\.0)? | {2}", text, re.I)
    for sentence in text.replace("\n\n", " ").split(". "):
        assert sentence[0].isupper() or sentence[0].isdigit(), sentence


def test_examples_are_whole_sentences() -> None:
    """Every kind of text is of whole sentences and true figures."""
    for text in examples():
        check(text)


@settings(max_examples=150, deadline=None)
@given(
    sound=npst.arrays(
        np.float32,
        st.tuples(st.integers(0, 3000), st.integers(1, 8)),
        elements=st.floats(width=32),
        fill=st.sampled_from([np.float32(0), np.float32(0.5), np.float32("nan")]),
    ),
    rate_hz=st.sampled_from([1, 7, 100, 999, 7999, 8000, 11_025, 37_811, 44_100, 192_000]),
)
@example(sound=np.zeros((1, 1), np.float32), rate_hz=192_000)
@example(sound=np.full((3000, 2), -np.inf, np.float32), rate_hz=8000)
@example(sound=np.full((3000, 1), np.float32(1e-45)), rate_hz=8000)
def test_no_samples_break_it(sound: NDArray[np.float32], rate_hz: int) -> None:
    """Whatever floats a file holds, at whatever rate, a true and readable text comes out."""
    check(said(sound, rate_hz=rate_hz))


SOUNDS: dict[str, Callable[[float], NDArray[np.floating]]] = {
    "noise": lambda seconds: noise(seconds, level_db=0.0),
    "tone": lambda seconds: tone(seconds, rate_hz=RATE, amplitude=1.0),
    "silence": lambda seconds: silence(seconds, rate_hz=RATE),
    "clicks": lambda seconds: clicks(0.2, seconds=seconds),
}


@settings(max_examples=40, deadline=None)
@given(
    parts=st.lists(
        st.tuples(
            st.floats(0.01, 4.0),
            st.floats(-130.0, 12.0),
            st.sampled_from(sorted(SOUNDS)),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_no_sequence_of_sounds_breaks_it(parts: Sequence[tuple[float, float, str]]) -> None:
    """Any sequence of tones, noise, clicks and silences is told in the same closed vocabulary."""
    text = said(*(SOUNDS[kind](seconds) * 10 ** (db / 20) for seconds, db, kind in parts))
    check(text)
    assert {word.lower() for word in re.findall(r"[A-Za-z]+", text)} <= vocabulary()


# ------------------------------------------------------------------------- real recordings


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "sentences"),
    [
        ("german.wav", ["1 event stands out", "from 0:07.4 to 0:11.8", "Mono."]),
        ("multilingual.mp3", ["busy", "digital silence for 3%"]),
        ("austen-0870.wav", ["Moderate", "DC offset of 0.7% of full scale."]),
        ("jfk.flac", ["Loud, very uneven and busy", "almost mono"]),
    ],
)
def test_recordings_are_described_as_they_are(
    name: str, sentences: list[str], corpus: Path
) -> None:
    """What is known of real recordings is what is said of them."""
    sound, rate_hz = soundfile.read(str(corpus / name), dtype="float32", always_2d=True)
    text = said(sound, rate_hz=rate_hz)
    check(text)
    for sentence in sentences:
        assert sentence in text


@pytest.mark.corpus
def test_every_recording_is_told_in_the_same_words(corpus: Path, ffmpeg: str) -> None:
    """Real sound of any kind is told in whole sentences and in the closed vocabulary."""
    for path in sorted(corpus.iterdir()):
        if path.suffix == ".md":
            continue
        argv = [ffmpeg, "-v", "error", "-i", str(path), "-f", "f32le", "-ar", "24000", "-ac", "2"]
        raw = subprocess.run([*argv, "-"], capture_output=True, check=True).stdout
        text = said(np.frombuffer(raw, "<f4").reshape(-1, 2), rate_hz=24_000)
        check(text)
        assert {word.lower() for word in re.findall(r"[A-Za-z]+", text)} <= vocabulary(), path.name
