from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from captoolkit.captioners.acoustic.measure import Measurer
from captoolkit.dsp.loudness import Loudness, k_weighting
from tests.support.sound import silence, tone

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TOLERANCE_LU = 0.3
INTEGRATED = re.compile(r"I:\s+(-?[\d.]+) LUFS")

Sound = Callable[[int], "NDArray[np.float32]"]


def loudness(sound: NDArray[np.float32], rate_hz: int) -> Loudness:
    """The loudness of an array of shape (frames, channels)."""
    measurer = Measurer(rate_hz=rate_hz, channels=sound.shape[1])
    measurer.feed(sound.astype(np.float32))
    found = measurer.finish().loudness
    assert found is not None
    return found


def ffmpeg_lufs(ffmpeg: str, sound: NDArray[np.float32], rate_hz: int) -> float:
    """The loudness of the same samples by ffmpeg's `ebur128` filter."""
    argv = [ffmpeg, "-nostats", "-f", "f32le", "-ar", str(rate_hz), "-ac", str(sound.shape[1])]
    argv += ["-i", "-", "-af", "ebur128=framelog=quiet", "-f", "null", "-"]
    raw = np.ascontiguousarray(sound, "<f4").tobytes()
    done = subprocess.run(argv, input=raw, capture_output=True, check=True)
    return float(INTEGRATED.findall(done.stderr.decode())[-1])


def noise(rate_hz: int) -> NDArray[np.float32]:
    """Ten seconds of white noise."""
    wave = np.random.default_rng(5).standard_normal((10 * rate_hz, 1)) / 10
    return wave.astype(np.float32)


def rumble(rate_hz: int) -> NDArray[np.float32]:
    """A tone so low that the weighting removes most of it."""
    return tone(10.0, rate_hz=rate_hz, frequency_hz=40.0)


def stereo(rate_hz: int) -> NDArray[np.float32]:
    """A tone on one side, another on the other."""
    left = tone(10.0, rate_hz=rate_hz, frequency_hz=1000.0, amplitude=0.2)
    return np.hstack([left, tone(10.0, rate_hz=rate_hz, frequency_hz=3000.0, amplitude=0.05)])


def surround(rate_hz: int) -> NDArray[np.float32]:
    """Six channels of noise at different levels, the fourth the loudest by far."""
    wave = np.random.default_rng(6).standard_normal((10 * rate_hz, 6))
    return (wave * [0.01, 0.02, 0.03, 0.3, 0.04, 0.05]).astype(np.float32)


def gated(rate_hz: int) -> NDArray[np.float32]:
    """Loud and faint stretches and silence, for both gates."""
    levels = (0.3, 0.001, 0.1, 0.0, 0.2, 0.01)
    parts = [tone(2.5, rate_hz=rate_hz, frequency_hz=500.0, amplitude=level) for level in levels]
    return np.concatenate(parts)


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("sound", [noise, rumble, stereo, surround, gated])
def test_integrated_loudness_is_that_of_ffmpeg(sound: Sound, rate_hz: int, ffmpeg: str) -> None:
    """At every rate and for every kind of signal the loudness matches an independent meter."""
    samples = sound(rate_hz)
    expected = ffmpeg_lufs(ffmpeg, samples, rate_hz)
    assert loudness(samples, rate_hz).integrated_lufs == pytest.approx(expected, abs=TOLERANCE_LU)


@pytest.mark.corpus
@pytest.mark.parametrize(
    "name", ["jfk.flac", "english-60s.flac", "multilingual.mp3", "arabic.wav", "german.wav"]
)
def test_loudness_of_recordings_is_that_of_ffmpeg(name: str, corpus: Path, ffmpeg: str) -> None:
    """The loudness of real recordings matches an independent meter."""
    samples, rate_hz = soundfile.read(str(corpus / name), dtype="float32", always_2d=True)
    expected = ffmpeg_lufs(ffmpeg, samples, rate_hz)
    assert loudness(samples, rate_hz).integrated_lufs == pytest.approx(expected, abs=TOLERANCE_LU)


def steps_of(*levels_and_seconds: tuple[float, float]) -> NDArray[np.float32]:
    """A stereo sine of 1 kHz at 48 kHz with changing peak levels, as in EBU Tech 3341."""
    parts = [
        tone(seconds, rate_hz=48_000, frequency_hz=1000.0, amplitude=10 ** (level_db / 20))
        for level_db, seconds in levels_and_seconds
    ]
    return np.hstack([np.concatenate(parts)] * 2)


@pytest.mark.parametrize(
    ("levels_and_seconds", "lufs"),
    [
        ([(-23, 20)], -23.0),
        ([(-33, 20)], -33.0),
        ([(-36, 10), (-23, 60), (-36, 10)], -23.0),
        ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23.0),
        ([(-26, 20), (-20, 20.1), (-26, 20)], -23.0),
    ],
    ids=["case 1", "case 2", "case 3", "case 4", "case 5"],
)
def test_the_minimum_requirements_of_the_ebu_are_met(
    levels_and_seconds: list[tuple[float, float]], lufs: float
) -> None:
    """The first five cases of EBU Tech 3341 are within its tolerance of 0.1 LU."""
    found = loudness(steps_of(*levels_and_seconds), 48_000).integrated_lufs
    assert found == pytest.approx(lufs, abs=0.1)


def test_the_loudest_moment_is_found_where_it_is() -> None:
    """The momentary maximum has the loudness and the place of its 0.4 s."""
    sound = steps_of((-40, 5), (-20, 0.4), (-40, 5))
    found = loudness(sound, 48_000)
    assert found.momentary_lufs == pytest.approx(-20.0, abs=0.1)
    assert found.momentary_step == 50


def test_surrounds_at_the_sides_count_more() -> None:
    """In 7.1 in WAV order the fourth channel has weight 0 and the last two 1.41."""
    plain = loudness(tone(5.0, rate_hz=48_000), 48_000).integrated_lufs
    assert plain is not None
    gains = []
    for channel in range(8):
        sound = np.zeros((5 * 48_000, 8), np.float32)
        sound[:, channel] = tone(5.0, rate_hz=48_000)[:, 0]
        lufs = loudness(sound, 48_000).integrated_lufs
        gains.append(None if lufs is None else lufs - plain)
    assert gains[3] is None
    assert gains[6:] == pytest.approx([1.49, 1.49], abs=0.01)
    assert [*gains[:3], *gains[4:6]] == pytest.approx([0.0] * 5, abs=0.01)


def test_the_weighting_is_that_of_the_standard() -> None:
    """At 48 kHz the gain is that of the coefficients in BS.1770-4, tables 1 and 2."""
    delay = np.exp(-2j * np.pi * np.arange(24_001) / 48_000)
    shelf = (1.53512485958697 - 2.69169618940638 * delay + 1.19839281085285 * delay**2) / (
        1 - 1.69065929318241 * delay + 0.73248077421585 * delay**2
    )
    high_pass = (1 - 2 * delay + delay**2) / (
        1 - 1.99004745483398 * delay + 0.99007225036621 * delay**2
    )
    gain = k_weighting(48_000, fft_samples=48_000)
    assert abs(gain - shelf * high_pass).max() < 1e-4


def test_a_clip_shorter_than_a_block_has_no_loudness() -> None:
    """Less than 0.4 s has no block and no loudness; 0.4 s has one block."""
    short = loudness(tone(0.39, rate_hz=16_000), 16_000)
    assert (short.blocks, short.integrated_lufs, short.momentary_lufs) == (0, None, None)
    assert loudness(tone(0.4, rate_hz=16_000), 16_000).blocks == 1


@pytest.mark.parametrize("amplitude", [0.0, 1e-4])
def test_what_is_too_faint_has_no_loudness(amplitude: float) -> None:
    """Silence and very faint sound have the loudness None, not minus infinity."""
    found = loudness(silence(5.0, rate_hz=16_000) + tone(5.0, rate_hz=16_000) * amplitude, 16_000)
    assert (found.integrated_lufs, found.momentary_lufs) == (None, None)
    assert found.blocks == 47
