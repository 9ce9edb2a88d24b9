from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captoolkit.captioners.acoustic.measure import Measurements, Measurer
from captoolkit.errors import UsageError
from tests.support.sound import silence, tone

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 16_000
RATES = (8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000)


def measured(
    *parts: NDArray[np.floating], rate_hz: int = RATE, block: int = 65_536
) -> Measurements:
    """Measure arrays of shape (frames, channels) one after another, in blocks."""
    sound = np.concatenate(parts).astype(np.float32)
    measurer = Measurer(rate_hz=rate_hz, channels=sound.shape[1])
    for start in range(0, len(sound), block):
        measurer.feed(sound[start : start + block])
    return measurer.finish()


def noise(
    seconds: float, *, level_db: float = -20.0, rate_hz: int = RATE, channels: int = 1
) -> NDArray[np.float32]:
    """White noise of a given RMS level, the same each time, shape (frames, channels)."""
    random = np.random.default_rng(20_240_229)
    wave = random.standard_normal((round(seconds * rate_hz), channels)) * 10 ** (level_db / 20)
    return wave.astype(np.float32)


def clicks(*at_s: float, seconds: float, rate_hz: int = RATE) -> NDArray[np.float32]:
    """Single samples of 0.8 in digital silence, shape (frames, 1)."""
    sound = silence(seconds, rate_hz=rate_hz)
    sound[[round(place * rate_hz) for place in at_s]] = 0.8
    return sound


def places_s(found: Measurements) -> list[tuple[float, float]]:
    """The near-silences of a clip in seconds."""
    step_s = found.step_samples / found.rate_hz
    return [
        (round(each.start_step * step_s, 3), round(each.end_step * step_s, 3))
        for each in found.near_silences
    ]


# ------------------------------------------------------------------------ how samples arrive


@st.composite
def cuts_of(draw: st.DrawFn, samples: int) -> list[int]:
    """Some places to cut that many samples at."""
    return sorted(draw(st.lists(st.integers(0, samples), max_size=12)))


EVENTFUL = np.concatenate(
    [
        np.hstack([noise(1.3), noise(1.3, level_db=-30.0)]),
        np.hstack([tone(1.1, rate_hz=RATE, amplitude=1.2).clip(-1, 1)] * 2),
        np.zeros((14_321, 2), np.float32),
        np.hstack([clicks(0.1, 0.4, 0.7, seconds=1.0), noise(1.0, level_db=-70.0)]),
    ]
)


@settings(max_examples=25, deadline=None)
@given(cuts=cuts_of(len(EVENTFUL)))
def test_figures_do_not_depend_on_the_blocks(cuts: list[int]) -> None:
    """The same samples give the same figures to the last bit, wherever they are cut."""
    measurer = Measurer(rate_hz=RATE, channels=2)
    for start, end in zip([0, *cuts], [*cuts, len(EVENTFUL)], strict=True):
        measurer.feed(EVENTFUL[start:end])
    assert measurer.finish() == measured(EVENTFUL)


def test_figures_do_not_depend_on_single_samples_as_blocks() -> None:
    """Blocks of one frame give what one block gives."""
    sound = EVENTFUL[:7000]
    assert measured(sound, block=1) == measured(sound)


def test_blocks_are_left_as_they_are() -> None:
    """What is fed belongs to the caller: faults are silenced in a copy."""
    block = np.array([[np.nan], [0.5]], np.float32)
    measurer = Measurer(rate_hz=RATE, channels=1)
    measurer.feed(block)
    assert measurer.finish().faulty == 1
    assert np.isnan(block[0, 0])


@pytest.mark.parametrize(("rate_hz", "channels"), [(0, 1), (16_000, 0)])
def test_a_clip_without_rate_or_channels_is_refused(rate_hz: int, channels: int) -> None:
    """What cannot be measured is refused at once."""
    with pytest.raises(UsageError, match="must be at least 1"):
        Measurer(rate_hz=rate_hz, channels=channels)


# ---------------------------------------------------------------------------- peaks, clipping


@pytest.mark.parametrize("at", [0, 1, 31_999, 32_000, 47_999])
def test_the_sample_peak_is_found_where_it_is(at: int) -> None:
    """The peak is the largest sample and its place that sample's, also beside a tile's edge."""
    sound = noise(3.0, level_db=-40.0)
    sound[at] = -0.75
    found = measured(sound)
    assert (found.peak, found.peak_sample) == (0.75, at)


@pytest.mark.parametrize("first", [0, 100, 31_990, 31_998, 31_999, 32_000, 47_990])
def test_runs_at_full_scale_are_counted_where_they_are(first: int) -> None:
    """A run is one run and of its length, also across a tile's edge and up to the end."""
    sound = noise(3.0, level_db=-40.0)
    sound[first : first + 10] = 1.0
    clipping = measured(sound).clipping
    assert (clipping.runs, clipping.first_sample, clipping.last_sample) == (1, first, first)
    assert clipping.share == pytest.approx(10 / 48_000)


def test_two_samples_at_full_scale_are_no_clipping() -> None:
    """A single full peak is the sound itself; three in a row are not."""
    sound = noise(1.0, level_db=-40.0)
    sound[[10, 11, 20, 22, 24]] = 1.0
    assert measured(sound).clipping.runs == 0
    sound[12] = -1.0
    assert measured(sound).clipping.runs == 1


def test_runs_are_counted_in_each_channel() -> None:
    """Clipping in any channel counts, and the share is that of all samples."""
    sound = noise(1.0, level_db=-40.0, channels=3)
    sound[50:60, 2] = 1.0
    sound[20:25, 1] = -1.0
    clipping = measured(sound).clipping
    assert (clipping.runs, clipping.first_sample, clipping.last_sample) == (2, 20, 50)
    assert clipping.share == pytest.approx(15 / 48_000)


def test_a_clipped_sine_clips_twice_a_period() -> None:
    """A sine driven over full scale has a run on every half wave."""
    found = measured(tone(2.0, rate_hz=RATE, amplitude=2.0, frequency_hz=100.0).clip(-1, 1))
    assert found.clipping.runs == 400
    assert found.clipping.share == pytest.approx(2 / 3, abs=0.02)


def test_a_full_scale_sine_is_not_clipped() -> None:
    """A sine that just reaches full scale is whole."""
    assert measured(tone(2.0, rate_hz=RATE, amplitude=1.0, frequency_hz=440.0)).clipping.runs == 0


# ---------------------------------------------------------------------------- level, silence


@pytest.mark.parametrize("rate_hz", RATES)
def test_silences_are_found_where_they_are(rate_hz: int) -> None:
    """Digital and near silence are found at their places at every rate."""
    found = measured(
        tone(2.0, rate_hz=rate_hz),
        silence(1.0, rate_hz=rate_hz),
        tone(3.0, rate_hz=rate_hz),
        noise(1.5, level_db=-65.0, rate_hz=rate_hz),
        tone(0.5, rate_hz=rate_hz),
        rate_hz=rate_hz,
    )
    places = np.array(places_s(found))
    assert places == pytest.approx(np.array([(2.0, 3.0), (6.0, 7.5)]), abs=0.11)
    assert found.flat_steps == pytest.approx(10, abs=1)


def test_a_pause_shorter_than_half_a_second_is_no_silence() -> None:
    """Four tenths of a second are a pause, five are a silence."""
    loud, pause = tone(1.0, rate_hz=RATE), silence(0.4, rate_hz=RATE)
    assert places_s(measured(loud, pause, loud)) == []
    assert places_s(measured(loud, pause, pause[:1600], loud)) == [(1.0, 1.5)]


def test_what_is_left_over_at_the_end_counts() -> None:
    """A sound in the last fraction of a step is not lost."""
    found = measured(silence(1.0, rate_hz=RATE), tone(0.06, rate_hz=RATE))
    assert found.steps == 11
    assert not found.still
    assert found.loudest_db > -15


@pytest.mark.parametrize("samples", [1, 799, 800, 15_999, 16_000, 16_001, 31_999, 32_001, 40_000])
def test_stillness_is_told_at_every_length(samples: int) -> None:
    """A constant is still however long it is, and one different sample anywhere ends that."""
    sound = np.full((samples, 2), 0.25, np.float32)
    assert measured(sound).still
    for at in {1 % samples, samples // 2, samples - 1} - {0}:
        moved = sound.copy()
        moved[at, 1] = 0.5
        assert not measured(moved).still


def test_an_offset_is_measured_and_makes_no_level() -> None:
    """A constant offset is said for each channel, and changes neither level nor loudness."""
    plain = noise(6.0, level_db=-50.0, channels=2)
    found, without = measured(plain + np.array([0.1, -0.02], np.float32)), measured(plain)
    assert found.channels.offsets == pytest.approx((0.1, -0.02), abs=1e-4)
    assert found.loudest_db == pytest.approx(without.loudest_db, abs=0.1)
    assert found.channels.levels_db == pytest.approx(without.channels.levels_db, abs=0.1)


@pytest.mark.parametrize("level_db", [-60.0, -45.0, -30.0])
def test_events_stand_out_of_the_background(level_db: float) -> None:
    """Bursts 20 dB above a background are events at their places, whatever the background."""
    sound = noise(60.0, level_db=level_db)
    for start_s in (10, 30, 50):
        sound[start_s * RATE : (start_s + 2) * RATE] *= 10.0
    sound[30 * RATE : 31 * RATE] *= 1.5
    background = measured(sound).background
    assert background is not None
    assert background.l90_db == pytest.approx(level_db, abs=0.5)
    starts = [event.stretch.start_step for event in background.events]
    ends = [event.stretch.end_step for event in background.events]
    assert (starts, ends) == ([100, 300, 500], [120, 320, 520])
    loudest = max(background.events, key=lambda event: event.peak_db)
    assert loudest.peak_db == pytest.approx(level_db + 23.5, abs=0.6)
    assert 300 <= loudest.peak_step < 310


def test_what_rises_by_less_is_no_event() -> None:
    """Ten decibels above the background do not stand out."""
    sound = noise(30.0, level_db=-40.0)
    sound[10 * RATE : 12 * RATE] *= 10 ** (10 / 20)
    background = measured(sound).background
    assert background is not None
    assert background.events == ()


def test_a_short_dip_does_not_end_an_event() -> None:
    """Two bursts half a second apart are one event, three seconds apart they are two."""
    sound = noise(60.0, level_db=-60.0)
    for start_s in (10.0, 11.5, 40.0, 44.0):
        sound[round(start_s * RATE) : round((start_s + 1) * RATE)] *= 30.0
    background = measured(sound).background
    assert background is not None
    starts = [event.stretch.start_step for event in background.events]
    assert starts == [100, 400, 440]


def test_a_background_of_digital_silence_lets_only_the_audible_stand_out() -> None:
    """Against nothing at all, a whisper at -80 dBFS is no event and one at -40 dBFS is."""
    sound = silence(60.0, rate_hz=RATE)
    sound[5 * RATE : 6 * RATE] = noise(1.0, level_db=-80.0)
    sound[25 * RATE : 26 * RATE] = noise(1.0, level_db=-40.0)
    background = measured(sound).background
    assert background is not None
    assert [event.stretch.start_step for event in background.events] == [250]


# ------------------------------------------------------------------------------------ onsets


def bursts(*starts_s: float, length_s: float, seconds: float, bed_db: float) -> NDArray[np.float32]:
    """Tones of 660 Hz that begin and break off hard, over a bed of noise."""
    sound = noise(seconds, level_db=bed_db)
    burst = tone(length_s, rate_hz=RATE, frequency_hz=660.0, amplitude=0.3)
    for start_s in starts_s:
        start = round(start_s * RATE)
        sound[start : start + len(burst)] += burst
    return sound


@pytest.mark.parametrize("bed_db", [-120.0, -70.0, -50.0])
@pytest.mark.parametrize("length_s", [0.03, 0.2, 0.9])
def test_each_burst_is_one_onset(length_s: float, bed_db: float) -> None:
    """A tone that begins counts once, and its end does not count."""
    starts_s = (1.0, 2.5, 4.01, 6.2, 8.33)
    sound = bursts(*starts_s, length_s=length_s, seconds=10.0, bed_db=bed_db)
    onsets = measured(sound).onsets
    assert onsets is not None
    assert onsets.count == len(starts_s)


@pytest.mark.parametrize("interval_s", [0.12, 0.25, 0.55, 1.0, 7.3])
def test_a_regular_train_of_clicks_gives_its_interval(interval_s: float) -> None:
    """Clicks at equal distances are regular and their distance is found."""
    times_s = np.arange(12) * interval_s + 0.5
    onsets = measured(clicks(*times_s.tolist(), seconds=float(times_s[-1]) + 0.5)).onsets
    assert onsets is not None
    assert onsets.count == 12
    assert onsets.interval_s == pytest.approx(interval_s, abs=0.004)


def test_a_missing_click_does_not_end_regularity() -> None:
    """One interval in ten may be wrong."""
    times_s = [0.5 + 0.4 * number for number in range(12) if number != 5]
    onsets = measured(clicks(*times_s, seconds=6.0)).onsets
    assert onsets is not None
    assert onsets.interval_s == pytest.approx(0.4, abs=0.004)


def test_clicks_at_random_are_irregular() -> None:
    """Clicks without a common interval have none."""
    times_s = np.cumsum(np.random.default_rng(3).uniform(0.15, 1.5, 30))
    onsets = measured(clicks(*times_s.tolist(), seconds=float(times_s[-1]) + 0.5)).onsets
    assert onsets is not None
    assert onsets.count == 30
    assert onsets.interval_s is None


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 48_000])
def test_steady_noise_and_steady_tones_have_no_onsets(rate_hz: int) -> None:
    """What does not begin has no onset, although noise is never still."""
    for sound in (noise(60.0, rate_hz=rate_hz), tone(60.0, rate_hz=rate_hz)):
        onsets = measured(sound, rate_hz=rate_hz).onsets
        assert onsets is not None
        assert onsets.count == 0


# --------------------------------------------------------------------------- tones and noise


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("frequency_hz", [60.0, 110.0, 440.0, 1000.0, 1900.0])
def test_a_pure_tone_is_tonal_and_has_its_pitch(frequency_hz: float, rate_hz: int) -> None:
    """The pitch of a sine is its frequency within half a percent, at every rate."""
    character = measured(tone(1.0, rate_hz=rate_hz, frequency_hz=frequency_hz), rate_hz=rate_hz)
    found = character.character
    assert found is not None
    assert found.pitch_low_hz == pytest.approx(frequency_hz, rel=0.005)
    assert found.pitch_high_hz == pytest.approx(frequency_hz, rel=0.005)
    assert (found.tonal_share, found.noise_share, found.periodic_share) == (1.0, 0.0, 1.0)
    assert found.centroid_hz == pytest.approx(frequency_hz, rel=0.02)
    assert found.rolloff_hz == pytest.approx(frequency_hz, abs=40)


@pytest.mark.parametrize("fundamental_hz", [55.0, 100.0, 220.0, 700.0])
def test_a_sawtooth_has_the_pitch_of_its_fundamental(fundamental_hz: float) -> None:
    """Harmonics do not lead the pitch astray, nor an octave up or down."""
    time_s = np.arange(2 * RATE) / RATE
    harmonics = np.arange(1, 7000 / fundamental_hz)
    wave = sum(np.sin(2 * np.pi * fundamental_hz * n * time_s) / n for n in harmonics)
    found = measured(0.2 * np.asarray(wave)[:, None]).character
    assert found is not None
    assert found.pitch_low_hz == pytest.approx(fundamental_hz, rel=0.01)
    assert found.pitch_high_hz == pytest.approx(fundamental_hz, rel=0.01)
    assert found.tonal_share == 1.0


def test_a_tone_above_the_range_of_pitch_has_none() -> None:
    """A sine of 6 kHz is tonal and bright, and is not taken for one octaves below."""
    found = measured(tone(1.0, rate_hz=48_000, frequency_hz=6000.0), rate_hz=48_000).character
    assert found is not None
    assert found.pitch_low_hz is None
    assert found.tonal_share == 1.0
    assert found.centroid_hz == pytest.approx(6000, rel=0.01)


def test_a_glide_gives_the_range_of_its_pitch() -> None:
    """A tone that rises steadily from 200 to 400 Hz lies between 220 and 380 Hz for 80 %."""
    sweep_hz = np.linspace(200.0, 400.0, 10 * RATE)
    wave = 0.3 * np.sin(2 * np.pi * np.cumsum(sweep_hz) / RATE)
    found = measured(wave[:, None]).character
    assert found is not None
    assert found.pitch_low_hz == pytest.approx(220, abs=4)
    assert found.pitch_high_hz == pytest.approx(380, abs=4)


def coloured(exponent: float, rate_hz: int) -> NDArray[np.float32]:
    """Noise whose power falls with frequency to that power, from 20 Hz up."""
    spectrum = np.fft.rfft(noise(20.0, rate_hz=rate_hz)[:, 0])
    frequency_hz = np.fft.rfftfreq(20 * rate_hz, 1 / rate_hz)
    slope = np.where(frequency_hz < 20, 0.0, np.maximum(frequency_hz, 20.0) ** (-exponent / 2))
    wave = np.fft.irfft(spectrum * slope)
    return np.asarray(0.3 * wave / abs(wave).max(), np.float32)[:, None]


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0], ids=["white", "pink", "brown"])
def test_noise_of_any_colour_is_noise_without_pitch(exponent: float, rate_hz: int) -> None:
    """A slope of the spectrum is not taken for tones."""
    found = measured(coloured(exponent, rate_hz), rate_hz=rate_hz).character
    assert found is not None
    assert found.noise_share > 0.7
    assert found.tonal_share < 0.05
    assert found.pitch_low_hz is None


@pytest.mark.parametrize("rate_hz", RATES)
def test_white_noise_centres_on_half_of_its_band(rate_hz: int) -> None:
    """Flat power up to half the rate has its centre at a quarter of it, 95 % below 95 %."""
    found = measured(noise(3.0, rate_hz=rate_hz), rate_hz=rate_hz).character
    assert found is not None
    assert found.centroid_hz == pytest.approx(rate_hz / 4, rel=0.03)
    assert found.rolloff_hz == pytest.approx(0.95 * rate_hz / 2, rel=0.02)


def test_sparse_events_are_described_apart_from_what_lies_between() -> None:
    """Tones in a bed of noise are tonal, the bed is noise-like."""
    sound = bursts(10.0, 30.0, length_s=2.0, seconds=60.0, bed_db=-50.0)
    found = measured(sound)
    assert found.has_sparse_events
    assert found.character is not None
    assert found.character_between is not None
    assert found.character.tonal_share > 0.9
    assert found.character.pitch_low_hz == pytest.approx(660, rel=0.01)
    assert found.character_between.noise_share > 0.95


# ---------------------------------------------------------------------------------- channels


def pair(left: NDArray[np.floating], right: NDArray[np.floating]) -> NDArray[np.floating]:
    """Two channels of shape (frames, 1) as one sound."""
    return np.hstack([left, right])


def test_channels_of_opposite_sign_are_heard_and_told() -> None:
    """L = -R has a correlation of -1, cancels in mono, and is as loud and tonal as L = R."""
    left = tone(6.0, rate_hz=RATE)
    found, alike = measured(pair(left, -left)), measured(pair(left, left))
    assert found.channels.correlation == pytest.approx(-1.0)
    assert found.channels.mono_loss_db is None
    assert alike.channels.identical
    assert not found.channels.identical
    assert replace(found, channels=alike.channels) == alike


def test_a_dead_channel_is_told_and_changes_neither_level_nor_silence() -> None:
    """The level is that of the channel that lives."""
    left = noise(6.0, level_db=-30.0)
    found, mono = measured(pair(left, np.zeros_like(left))), measured(left)
    assert found.channels.dead == (2,)
    assert found.channels.correlation is None
    assert found.background == mono.background
    assert found.loudness == mono.loudness


@pytest.mark.parametrize(("shared", "correlation"), [(0.0, 0.0), (0.5, 0.5), (0.9, 0.9)])
def test_correlation_is_the_power_that_is_shared(shared: float, correlation: float) -> None:
    """Two channels that share a part of their power correlate by that part."""
    common, own = noise(10.0), noise(20.0, channels=2)[-10 * RATE :]
    sound = np.sqrt(shared) * common + np.sqrt(1 - shared) * own
    assert measured(sound).channels.correlation == pytest.approx(correlation, abs=0.02)


def test_a_quieter_channel_is_told_by_its_level() -> None:
    """The levels of the channels differ by what was taken off."""
    left = noise(3.0)
    left_db, right_db = measured(pair(left, left / 2)).channels.levels_db
    assert left_db - right_db == pytest.approx(6.02, abs=0.01)


def test_dead_channels_are_found_among_many() -> None:
    """Of eight channels, those that hold nothing are named."""
    sound = noise(1.0, channels=8)
    sound[:, [2, 4]] = 0.0
    found = measured(sound)
    assert found.channels.dead == (3, 5)
    assert found.channels.count == 8


# ------------------------------------------------------------------------------------ faults


def test_faulty_samples_are_counted_and_poison_nothing() -> None:
    """NaN, infinity and absurd values count as zero, and every figure stays what it was."""
    sound = noise(6.0)
    sound[[100, 40_000, 40_001, 90_000]] = 0.0
    spoilt = sound.copy()
    spoilt[[100, 40_000, 40_001, 90_000], 0] = (np.nan, np.inf, -np.inf, 1e30)
    found = measured(spoilt)
    assert found.faulty == 4
    assert replace(found, faulty=0) == measured(sound)
