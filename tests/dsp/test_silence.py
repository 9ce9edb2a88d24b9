from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from captoolkit.dsp.silence import HOP_S, HopLevelMeter, silences, threshold_db
from tests.support.sound import silence, tone

Sound = NDArray[np.float32]
Levels = NDArray[np.float64]
Spans = tuple[tuple[int, int], ...]

RATE_HZ = 16_000
MARGIN_S = 0.5
HOPS_PER_S = 10
NIGHT_HOPS = 8 * 3600 * HOPS_PER_S


def noise(seconds: float, *, level_db: float, rate_hz: int = RATE_HZ, seed: int = 1) -> Sound:
    """White noise of that level under full scale, shape (frames, 1)."""
    made = np.random.default_rng(seed).standard_normal((round(seconds * rate_hz), 1))
    return (made * 10 ** (level_db / 20)).astype(np.float32)


def voice(seconds: float) -> Sound:
    """Bursts like syllables, four a second, with short pauses between them."""
    made = noise(seconds, level_db=-15)
    syllables = np.arange(len(made)) * 4 // RATE_HZ * RATE_HZ // 4
    made[np.arange(len(made)) - syllables > 0.15 * RATE_HZ] = 0
    return made


def quiet(seconds: float) -> Sound:
    """Digital silence at the rate of these tests."""
    return silence(seconds, rate_hz=RATE_HZ)


def over(background_db: float, *parts: Sound) -> Sound:
    """Sounds one after another, over a steady noise."""
    joined = np.concatenate(parts)
    return joined + noise(len(joined) / RATE_HZ, level_db=background_db, seed=2)


def heard(*blocks: NDArray[np.float32] | NDArray[np.int16], rate_hz: int = RATE_HZ) -> Levels:
    """The levels of the blocks."""
    meter = HopLevelMeter(rate_hz)
    for block in blocks:
        meter.feed(block)
    return meter.levels_db()


def left_out(sound: Sound, *, at_least_s: Fraction | float = 10, rate_hz: int = RATE_HZ) -> Spans:
    """The spans of a sound that may be left out, in samples."""
    return silences(
        heard(sound, rate_hz=rate_hz),
        rate_hz=rate_hz,
        total_samples=len(sound),
        at_least_s=at_least_s,
    )


def in_seconds(spans: Spans, rate_hz: int = RATE_HZ) -> list[tuple[float, float]]:
    """The spans in seconds."""
    return [(start / rate_hz, end / rate_hz) for start, end in spans]


def left_out_of(levels_db: Levels, *, at_least_s: Fraction | float = 10) -> list[list[float]]:
    """The spans that may be left out of a recording with those levels, in seconds."""
    spans = silences(
        levels_db, rate_hz=1000, total_samples=100 * len(levels_db), at_least_s=at_least_s
    )
    return [[start / 1000, end / 1000] for start, end in spans]


def hush(hops: int, *, level_db: float, seed: int = 1) -> Levels:
    """The levels of steady noise, which vary by a decibel."""
    return np.random.default_rng(seed).normal(level_db, 1.0, hops)


# ------------------------------------------------------------------------------ the meter


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_levels_are_those_of_the_sound(rate_hz: int) -> None:
    """A tone of known level has that level in each 100 ms, at any rate."""
    amplitude = 10 ** (-20 / 20) * 2**0.5
    levels_db = heard(tone(2, rate_hz=rate_hz, amplitude=amplitude), rate_hz=rate_hz)
    assert len(levels_db) == 2 / HOP_S
    assert levels_db == pytest.approx(np.full(20, -20.0), abs=0.8)


@pytest.mark.parametrize("level_db", [-30, -60, -85])
def test_levels_of_noise(level_db: float) -> None:
    """The loudest 10 ms of noise are slightly above its level."""
    levels_db = heard(noise(5, level_db=level_db))
    assert levels_db == pytest.approx(np.full(50, level_db + 0.8), abs=1)


@given(
    sizes=st.lists(st.integers(0, 3000), max_size=30),
    rate_hz=st.sampled_from([100, 1_000, 1_234, 8_000]),
    channels=st.integers(1, 3),
)
def test_blocks_make_no_difference(sizes: list[int], rate_hz: int, channels: int) -> None:
    """The levels do not depend on the blocks; there is one for each tenth of a second begun."""
    frames = sum(sizes)
    made = np.random.default_rng(frames).standard_normal((frames, channels)) * 0.1 + 0.3
    sound = made.astype(np.float32)
    edges = list(itertools.accumulate(sizes, initial=0))
    blocks = [sound[start:end] for start, end in itertools.pairwise(edges)]
    levels_db = heard(*blocks, rate_hz=rate_hz)
    assert levels_db == pytest.approx(heard(sound, rate_hz=rate_hz), abs=1e-6)
    assert 0 <= len(levels_db) * rate_hz / HOPS_PER_S - frames <= rate_hz / HOPS_PER_S


def test_levels_may_be_asked_for_on_the_way() -> None:
    """Reading the levels early changes nothing, even within a hop."""
    sound = noise(1.23, level_db=-30)
    meter = HopLevelMeter(RATE_HZ)
    meter.feed(sound[:9_000])
    assert len(meter.levels_db()) == 6
    meter.feed(sound[9_000:])
    assert np.array_equal(meter.levels_db(), heard(sound))


def test_hops_do_not_drift() -> None:
    """At a rate that is no multiple of 100, an hour has the same number of hops."""
    meter = HopLevelMeter(1_009)
    for _ in range(3600):
        meter.feed(np.zeros((1_009, 1), np.float32))
    assert len(meter.levels_db()) == 3600 * HOPS_PER_S


def test_sixteen_bits_have_the_levels_of_floats() -> None:
    """Integers are scaled by the full scale of their type."""
    floats = noise(2, level_db=-30)
    integers = np.round(floats * 32768).astype(np.int16)
    assert heard(integers) == pytest.approx(heard(floats), abs=0.01)
    assert heard(integers.astype(np.int32) << 16) == pytest.approx(heard(floats), abs=0.01)


def test_loudest_channel_counts() -> None:
    """Neither a dead channel nor two channels that cancel lower the level."""
    one = noise(1, level_db=-50)
    for other in (np.zeros_like(one), -one):
        assert np.array_equal(heard(np.hstack([one, other])), heard(one))


@pytest.mark.parametrize("milliseconds", [5, 10, 20])
def test_short_tick_has_its_own_level(milliseconds: int) -> None:
    """A tick far shorter than 100 ms has nearly the level of a longer one."""
    sound = quiet(1)
    tick = tone(milliseconds / 1000, rate_hz=RATE_HZ, frequency_hz=2_000, amplitude=0.01)
    sound[8_400 : 8_400 + len(tick)] = tick
    assert heard(sound)[5] == pytest.approx(-43, abs=3.5)


@pytest.mark.parametrize("offset", [0.4, -1.0])
def test_offset_is_silence(offset: float) -> None:
    """A constant of any size is silent, in 16 bits too."""
    sound = np.full((RATE_HZ, 1), offset, np.float32)
    assert heard(sound).max() < -110
    assert heard((sound * 32767).astype(np.int16)).max() < -110


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_impossible_samples_count_as_nothing(bad: float) -> None:
    """NaN and infinity count as zero and change no other level."""
    sound = noise(2, level_db=-30)
    clean = heard(sound)
    sound[5_000:5_003] = bad
    assert heard(sound) == pytest.approx(clean, abs=0.5)
    assert heard(np.full((RATE_HZ, 2), bad, np.float32)).max() == -120
    signalling = np.full((RATE_HZ, 2), 0x7FA00001, np.uint32).view(np.float32)
    assert heard(signalling).max() == -120


def test_rate_without_sound_is_refused() -> None:
    """A rate below one sample per 10 ms is an error."""
    with pytest.raises(ValueError, match="rate_hz=99"):
        HopLevelMeter(99)


# -------------------------------------------------------------------------- the threshold


@pytest.mark.parametrize(
    ("loud_db", "expected_db"),
    [(-3, -60), (-15, -60), (-20, -65), (-40, -85), (-45, -90), (-70, -90), (-120, -90)],
)
def test_threshold_follows_the_recording(loud_db: float, expected_db: float) -> None:
    """The threshold is 45 dB below the loud level, between -90 and -60 dBFS."""
    assert threshold_db(np.array([-100.0] * 5000 + [loud_db] * 10)) == expected_db


def test_a_knock_does_not_make_a_recording_loud() -> None:
    """A sound shorter than a second does not raise the threshold."""
    soft = np.full(6000, -65.0)
    soft[100:109] = -3
    assert threshold_db(soft) == -90


@pytest.mark.parametrize(("hops", "expected_db"), [(0, -90), (1, -60), (9, -60)])
def test_threshold_of_next_to_nothing(hops: int, expected_db: float) -> None:
    """A recording shorter than a second has a threshold."""
    assert threshold_db(np.full(hops, -10.0)) == expected_db


# ----------------------------------------------------------------------- what is left out


@pytest.mark.parametrize("background_db", [-200, -95, -80, -70])
def test_pause_over_room_tone_is_left_out(background_db: float) -> None:
    """A long pause is left out except its margins, exact to the hop."""
    ((start_s, end_s),) = in_seconds(left_out(over(background_db, voice(5), quiet(20), voice(5))))
    assert start_s == pytest.approx(5 + MARGIN_S, abs=0.2)  # the last syllable ends before 5 s
    assert end_s == pytest.approx(25 - MARGIN_S)


def test_at_the_ends_all_is_left_out() -> None:
    """There is no margin at the start and the end of the recording."""
    sound = np.concatenate([quiet(15), voice(5), quiet(15.05)])
    (first, last) = left_out(sound)
    assert first == (0, round(14.5 * RATE_HZ))
    assert last[1] == len(sound)


@pytest.mark.parametrize(("pause_s", "is_left_out"), [(9.8, False), (10, True), (10.3, True)])
def test_only_long_silences(pause_s: float, is_left_out: bool) -> None:
    """Silences shorter than the given length are kept."""
    loud = tone(5, rate_hz=RATE_HZ)
    assert bool(left_out(np.concatenate([loud, quiet(pause_s), loud]))) == is_left_out


def test_pauses_between_words_are_kept() -> None:
    """Speech with its pauses has no silence."""
    parts = [part for _ in range(5) for part in (voice(3), quiet(2))]
    assert left_out(over(-75, *parts), at_least_s=5) == ()


def test_offset_hides_no_silence() -> None:
    """A pause is found in a recording with a constant offset."""
    sound = np.concatenate([voice(5), quiet(20), voice(5)])
    assert left_out(sound + np.float32(0.2)) == left_out(sound)


def test_rate_of_the_meter_does_not_matter() -> None:
    """Levels measured at 16 kHz give the same times in a recording at 44.1 kHz."""
    sound = np.concatenate([voice(5), quiet(20), voice(5)])
    spans = silences(heard(sound), rate_hz=44_100, total_samples=30 * 44_100, at_least_s=10)
    assert in_seconds(spans, 44_100) == in_seconds(left_out(sound))


# -------------------------------------------------------------------------- what is kept


def rain(seconds: float) -> Sound:
    """Steady, soft rain."""
    return noise(seconds, level_db=-50)


@pytest.mark.parametrize(
    "sound",
    [
        pytest.param(rain(40), id="alone"),
        pytest.param(np.concatenate([voice(10), rain(40), voice(10)]), id="between loud speech"),
        pytest.param(over(-50, tone(5, rate_hz=RATE_HZ), quiet(40)), id="after a loud tone"),
    ],
)
def test_soft_rain_is_kept(sound: Sound) -> None:
    """Steady rain at -50 dBFS is kept, alone and next to loud sound."""
    assert left_out(sound) == ()


def test_silence_around_soft_rain_is_left_out() -> None:
    """Digital silence around soft rain is left out."""
    sound = np.concatenate([quiet(20), rain(20), quiet(20)])
    assert in_seconds(left_out(sound)) == [(0, 19.5), (40.5, 60)]


@pytest.mark.parametrize("level_db", [-55, -65, -75, -85])
def test_hush_alone_is_kept(level_db: float) -> None:
    """A recording of only a steady hush is kept."""
    assert left_out(noise(60, level_db=level_db)) == ()


@pytest.mark.parametrize("sound", [quiet(60), noise(60, level_db=-96), quiet(0), quiet(0.05)])
def test_silence_all_through_is_kept(sound: Sound) -> None:
    """A recording of only silence is kept, because there must be something to send."""
    assert left_out(sound, at_least_s=0.01) == ()


def test_short_event_in_silence_is_kept() -> None:
    """An event of 200 ms in silence is kept with half a second on either side."""
    sound = np.concatenate(
        [quiet(30), tone(0.2, rate_hz=RATE_HZ, amplitude=0.01), quiet(29.8)],
    )
    assert in_seconds(left_out(sound)) == [(0, 29.5), (30.7, 60)]


@pytest.mark.parametrize(("at_s", "lasts_s"), [(0, 60), (59.95, 60), (60, 60.02)])
def test_no_sliver_is_kept(at_s: float, lasts_s: float) -> None:
    """A tick at the start or the end is kept with at least a second around it."""
    sound = quiet(lasts_s)
    first = round(at_s * RATE_HZ)
    sound[first : first + 300] = noise(1, level_db=-20)[:300]
    ((start_s, end_s),) = in_seconds(left_out(sound))
    assert 1 <= lasts_s - (end_s - start_s) < 1.2


@pytest.mark.parametrize(("pause_hops", "expected"), [(19, []), (20, [[1.5, 2.5]])])
def test_no_sliver_is_left_out(pause_hops: int, expected: list[list[float]]) -> None:
    """Nothing shorter than a second is left out, at any given length."""
    levels_db = np.array([-20.0] * 10 + [-100.0] * pause_hops + [-20.0] * 10)
    assert left_out_of(levels_db, at_least_s=0.1) == expected


def test_tick_over_room_tone_is_kept() -> None:
    """A tick of 10 ms splits the silence around it."""
    sound = over(-75, voice(5), quiet(40), voice(5))
    drip = tone(0.01, rate_hz=RATE_HZ, frequency_hz=3_000, amplitude=0.01)
    sound[25 * RATE_HZ : 25 * RATE_HZ + len(drip)] += drip
    first, second = in_seconds(left_out(sound))
    assert (first[1], second[0]) == pytest.approx((24.5, 25.6))


# ----------------------------------------------------------------------------- long nights


def test_night_with_a_few_events() -> None:
    """Of eight hours of hush, the events are kept and the rest is left out."""
    night = hush(NIGHT_HOPS, level_db=-78)
    events_s = [1_000, 1_300, 9_999, 20_000]
    for at_s in events_s:
        night[at_s * HOPS_PER_S : (at_s + 2) * HOPS_PER_S] = -25
    spans = left_out_of(night)
    kept = list(itertools.pairwise([0, *itertools.chain(*spans), 28_800]))[::2]
    assert kept[1:-1] == [(at_s - MARGIN_S, at_s + 2 + MARGIN_S) for at_s in events_s]
    assert kept[0][1] - kept[0][0] == kept[-1][1] - kept[-1][0] == 0


@pytest.mark.parametrize("lasts_s", [0.1, 2, 60, 90])
def test_what_stands_out_of_the_hush_is_kept(lasts_s: float) -> None:
    """A distant owl or car 13 dB above the hush is kept."""
    night = hush(NIGHT_HOPS, level_db=-78)
    night[:20] = -12
    first, end = 200_000, 200_000 + round(lasts_s * HOPS_PER_S)
    night[first:end] = -65
    assert threshold_db(night) == -60
    (_, before), (after, _) = left_out_of(night)
    assert (before, after) == (first / 10 - MARGIN_S, end / 10 + MARGIN_S)


def test_calls_that_go_on_stand_out_too() -> None:
    """Sound in more than half of five minutes does not become the background."""
    night = hush(NIGHT_HOPS, level_db=-78)
    night[:20] = -12
    calls = night[100_000:103_005]
    calls[np.arange(len(calls)) % 10 < 6] = -65
    assert [end for _, end in left_out_of(night)] == [10_000 - MARGIN_S, 28_800]
    assert len(left_out_of(night)) == 2


def test_slow_change_of_the_hush_does_not_stand_out() -> None:
    """A hush that falls by 15 dB over a night is left out."""
    night = hush(NIGHT_HOPS, level_db=0) + np.linspace(-66, -81, NIGHT_HOPS)
    night[:20] = -12
    assert left_out_of(night) == [[2 + MARGIN_S, 28_800]]


# ------------------------------------------------------------------- what must always hold

levels_made = st.lists(
    st.tuples(st.integers(1, 300), st.sampled_from([-120, -85, -72, -64, -50, -20])),
    max_size=12,
).map(lambda parts: np.array([float(db) for hops, db in parts for _ in range(hops)]))


@given(
    levels_db=levels_made,
    rate_hz=st.sampled_from([8_000, 11_025, 44_100]),
    at_least_s=st.one_of(st.floats(0.1, 20), st.fractions(Fraction(1, 10), 20)),
    short_of=st.floats(0, 1, exclude_max=True),
)
def test_spans_keep_the_rules(
    levels_db: Levels, rate_hz: int, at_least_s: float | Fraction, short_of: float
) -> None:
    """Spans are ordered and inside the recording, and no piece is shorter than a second."""
    total = int((len(levels_db) - short_of) * rate_hz / HOPS_PER_S) if len(levels_db) else 0
    spans = silences(levels_db, rate_hz=rate_hz, total_samples=total, at_least_s=at_least_s)
    edges = [0, *itertools.chain(*spans), total]
    assert edges == sorted(edges)
    hop = rate_hz / HOPS_PER_S + 1  # the last may be short, and edges are whole samples
    shortest = max(at_least_s - 2 * MARGIN_S, 1) * rate_hz - hop
    assert all(end - start >= shortest for start, end in spans)
    kept = [end - start for start, end in itertools.pairwise(edges)][::2]
    assert sum(kept) > 0 or not total
    assert all(samples == 0 or samples >= min(rate_hz - 1, total) for samples in kept)


@given(levels_db=levels_made, at_least_s=st.floats(0.1, 20))
def test_sound_and_its_margins_are_kept(levels_db: Levels, at_least_s: float) -> None:
    """No hop above the threshold is left out, nor the half second on either side."""
    loud_s = np.flatnonzero(levels_db >= threshold_db(levels_db)) / HOPS_PER_S
    for start_s, end_s in left_out_of(levels_db, at_least_s=at_least_s):
        near = (loud_s + 0.1 + MARGIN_S > start_s + 1e-6) & (loud_s - MARGIN_S < end_s - 1e-6)
        assert not near.any()


def test_longer_levels_than_the_recording_leave_nothing_beyond() -> None:
    """Levels after the last sample give no spans there."""
    levels_db = np.array([-20.0] * 50 + [-100.0] * 150 + [-20.0] * 50 + [-100.0] * 150)
    assert silences(levels_db, rate_hz=1000, total_samples=18_000, at_least_s=10) == (
        (5_500, 18_000),
    )


def test_longer_recording_than_the_levels_ends_with_its_silence() -> None:
    """A last sample from resampling is not kept alone."""
    levels_db = np.array([-20.0] * 50 + [-100.0] * 150)
    assert silences(levels_db, rate_hz=1000, total_samples=20_001, at_least_s=10) == (
        (5_500, 20_001),
    )


# --------------------------------------------------------------------- real recordings


@pytest.mark.corpus
@pytest.mark.parametrize(
    "name", ["jfk.flac", "english-60s.flac", "austen-0870.wav", "arabic.wav", "german.wav"]
)
def test_real_speech_and_the_rooms_around_it_are_kept(name: str, corpus: Path) -> None:
    """Rooms at -55 dBFS around real speech are kept."""
    sound, rate_hz = soundfile.read(corpus / name, dtype="float32", always_2d=True)
    assert left_out(sound, at_least_s=2, rate_hz=rate_hz) == ()


@pytest.mark.corpus
def test_real_sentence_in_a_muted_room(corpus: Path) -> None:
    """A real sentence is kept whole if the room around it is muted."""
    sound, rate_hz = soundfile.read(corpus / "german.wav", dtype="float32", always_2d=True)
    first, end = round(7.4 * rate_hz), round(11.9 * rate_hz)
    sound[:first] *= 1e-3
    sound[end:] *= 1e-3
    before, after = in_seconds(left_out(sound, at_least_s=3, rate_hz=rate_hz), rate_hz)
    assert before == pytest.approx((0, 7.4 - MARGIN_S), abs=0.11)
    assert after == pytest.approx((11.9 + MARGIN_S, len(sound) / rate_hz), abs=0.11)
