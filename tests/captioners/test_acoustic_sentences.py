"""The sentences of the local captioner on made sounds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support.sound import silence, tone

if TYPE_CHECKING:
    from numpy.typing import NDArray
from tests.support.acoustic import (
    RATE,
    caption_of,
    check_sentences,
    clicks,
    examples,
    night,
    noise,
    summary_of,
)


def test_a_clip_without_samples_says_so() -> None:
    """An empty clip is described as nothing."""
    assert caption_of(np.zeros((0, 2))) == "Nothing: the clip holds no samples."


def test_a_single_sample_is_too_short() -> None:
    """One sample has a peak and no other figure."""
    text = caption_of(np.full((1, 1), 0.5))
    assert text.startswith("Too short to describe: 1 sample (0.062 ms)")
    assert "Sample peak -6.0 dBFS" in text


def test_digital_silence_is_nothing() -> None:
    """Zeros are digital silence, and so is a constant, which has an offset."""
    assert caption_of(np.zeros((RATE, 1))) == "Nothing: digital silence from beginning to end."
    assert "DC offset of 25.0% of full scale." in caption_of(np.full((RATE, 1), 0.25))


def test_hush_is_almost_nothing() -> None:
    """Faint noise is described as almost nothing."""
    assert summary_of(noise(600.0, level_db=-66.0)) == (
        "Almost nothing: near-silent for 100% of the time, and the level never exceeds -65 dBFS."
    )


def test_a_still_night_tells_of_its_events() -> None:
    """The summary counts the events and gives the place and level of the loudest."""
    text = caption_of(night(hush_db=-66.0))
    assert re.match(
        r"Almost entirely near-silent \(99% of the time\), with 3 events: the loudest peaks at "
        r"3:1[234] with -24 dBFS, 42 dB above the background\.",
        text,
    )
    assert "3 events stand out from the background by 15 dB or more and fill 5" in text
    assert "(1% of the time)" in text


def test_a_night_above_the_threshold_of_silence_tells_of_its_events() -> None:
    """Events above a recorder's noise are found if that noise is not near-silent."""
    text = caption_of(night(hush_db=-48.0))
    assert text.startswith("Quiet background (-48 dBFS) with 3 events: the loudest peaks at 3:1")
    assert "Never near-silent." in text
    assert "Between the events, the sound is noise-like" in text


@pytest.mark.parametrize("length_s", [0.02, 0.05, 0.1, 0.15])
def test_a_short_loud_event_is_not_called_faint(length_s: float) -> None:
    """A knock above a quiet background is short, and never too faint to describe."""
    sound = noise(30.0, level_db=-45.0)
    knock = tone(length_s, rate_hz=RATE, frequency_hz=1000.0, amplitude=0.45)
    sound[12 * RATE : 12 * RATE + len(knock), :1] += knock
    assert "Too little reaches" not in caption_of(sound)


def test_a_single_event_has_its_place() -> None:
    """One event is in the singular, with its start and end."""
    sound = night(hush_db=-48.0)[: 120 * RATE]
    assert "with 1 event: it peaks at 1:1" in caption_of(sound)
    assert (
        "1 event stands out from the background by 15 dB or more: from 1:12 to 1:14"
        in caption_of(sound)
    )


def test_a_long_night_has_hours_on_its_clock() -> None:
    """Places after an hour have hours."""
    low = 8000
    sound = np.zeros((3700 * low, 1), np.float32)
    sound[3661 * low : 3663 * low] = tone(2.0, rate_hz=low)
    assert "1 event reaches -55 dBFS: from 1:01:01 to 1:01:03" in caption_of(sound, rate_hz=low)


@pytest.mark.parametrize(
    ("sound", "judged"),
    [
        (noise(10.0, level_db=-14.0), "Loud, steady and uneventful."),
        (noise(10.0, level_db=-50.0), "Quiet, steady and uneventful."),
        (clicks(0.3, seconds=60.0), "Soft, very uneven and busy."),
        (tone(3.0, rate_hz=RATE), "Very loud."),
    ],
)
def test_the_figures_begin_with_a_judgement(sound: NDArray[np.floating], judged: str) -> None:
    """The figures begin with loudness, and with evenness and onsets if the clip is long enough."""
    assert caption_of(sound).partition("\n\n")[2].startswith(judged)


def test_a_tone_is_described_as_one() -> None:
    """A sine of 440 Hz is tonal, has 440 Hz, and is mono."""
    text = caption_of(tone(10.0, rate_hz=RATE, amplitude=0.3))
    assert "The sound is tonal for 100% of the sounding time." in text
    assert "Pitch 440 Hz, periodic for 100% of the sounding time." in text
    assert "Its power centres on 440 Hz (mid-range)" in text
    assert "Sample peak -10.5 dBFS" in text
    assert "nothing is clipped" in text
    assert text.endswith("Mono.")


def test_noise_is_described_as_noise() -> None:
    """White noise is noise-like and bright and has no pitch."""
    text = caption_of(noise(10.0))
    assert "The sound is noise-like for 100% of the sounding time." in text
    assert "No pitch." in text
    assert "(bright)" in text


def test_a_regular_train_is_described_by_its_interval() -> None:
    """Regular clicks are described with their interval."""
    text = caption_of(clicks(0.55, seconds=30.0))
    assert "54 onsets (108 a minute), regular: one about every 0.55 s." in text


def test_silences_are_told_with_their_places() -> None:
    """The longest silences are named in time order, and the others are counted."""
    loud = tone(30.0, rate_hz=RATE)
    gaps = [silence(seconds, rate_hz=RATE) for seconds in (10, 2, 1, 20, 5)]
    text = caption_of(*(part for gap in gaps for part in (loud, gap)))
    assert (
        "Near-silent for 20% of the time: from 0:30 to 0:40, from 2:13 to 2:33, from 3:03 to 3:08 "
        "and 2 shorter stretches; digital silence for 20% of the time."
    ) in text


def test_sound_above_full_scale_is_not_called_clipped() -> None:
    """Floats above full scale have their share, and are clipped only where their top is flat."""
    sound = tone(10.0, rate_hz=RATE, amplitude=2.5, frequency_hz=403.0)
    text = caption_of(sound)
    assert "Sample peak 8.0 dBFS" in text
    assert "; 74% of the samples are above full scale; nothing is clipped." in text
    text = caption_of(sound.clip(-2, 2))
    assert "74% of the samples are above full scale; clipped in 8,060 places (41% of the" in text
    assert "; clipped in 8,060 places (74% of the samples)" in caption_of(sound.clip(-1, 1))


def test_clipping_is_told_with_number_share_and_place() -> None:
    """The sentence on clipping has the number, the share and the places."""
    sound = tone(10.0, rate_hz=RATE, amplitude=0.5)
    sound[2 * RATE : 2 * RATE + 80] = 1.0
    sound[5 * RATE : 5 * RATE + 80] = -1.0
    text = caption_of(sound)
    assert "clipped in 2 places (0.10% of the samples), between 0:02.0 and 0:05.0." in text


def test_opposite_channels_are_said_to_cancel() -> None:
    """L = -R is described as out of phase, with its correlation."""
    left = tone(6.0, rate_hz=RATE)
    text = caption_of(np.hstack([left, -left]))
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
    """One sentence describes the relation between the channels."""
    assert sentence in caption_of(sound)


def test_six_channels_say_how_their_loudness_was_taken() -> None:
    """The text states the assumed order of six channels."""
    assert "For it the channels count as 5.1 in the order of WAV files." in caption_of(
        noise(3.0, channels=6)
    )


def test_an_offset_is_told() -> None:
    """The sentence names the channel with an offset and its value."""
    text = caption_of(noise(6.0, channels=2) + np.array([0.0, -0.03]))
    assert text.endswith("DC offset of -3.0% of full scale in channel 2.")


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (1, "1 sample is faulty (no number or absurdly large) and was taken as zero."),
        (9, "9 samples are faulty (no number or absurdly large) and were taken as zero."),
    ],
)
def test_faulty_samples_are_told(number: int, sentence: str) -> None:
    """The sentence counts the faulty samples, in singular and plural."""
    sound = noise(6.0)
    sound[100 : 100 + number] = np.nan
    assert sentence in caption_of(sound)


def test_a_rate_too_low_to_hear_is_told() -> None:
    """Below 8 kHz only levels are measured, and the text says so."""
    text = caption_of(noise(10.0), rate_hz=4000)
    assert "A sample rate of 4000 Hz is too low for loudness" in text
    assert "LUFS" not in text


def test_a_short_clip_has_no_loudness_figure() -> None:
    """Three tenths of a second have no loudness, and the text says so."""
    text = caption_of(tone(0.3, rate_hz=RATE))
    assert "Too short for a loudness figure (0.4 s are needed)." in text


def test_examples_are_whole_sentences() -> None:
    """Texts of all kinds are whole sentences with valid figures."""
    for text in examples():
        check_sentences(text)
