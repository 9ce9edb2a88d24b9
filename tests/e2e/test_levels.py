"""The level of what is shipped: turned down where it does not fit, brought to a loudness, reported.

Both readers judge: ffmpeg and libsndfile.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import captoolkit
from captoolkit.services import rows
from tests.support.sound import Convert

RATE_HZ = 16_000
SECONDS = 12


def tones(peak: float, *, channels: int = 1) -> NDArray[np.float32]:
    """Bursts of 443 Hz with a peak, over a faint hiss.

    ffmpeg may take a tone of a whole number of samples for MPEG-TS.
    """
    at = np.arange(SECONDS * RATE_HZ) / RATE_HZ
    sound = np.sin(2 * np.pi * 443 * at) * (at % 2 < 1)
    sound += np.random.default_rng(0).normal(0, 1e-4, len(at))
    sound *= peak / np.abs(sound).max()
    return np.stack([sound] * channels, axis=1).astype(np.float32)


def read(path: Path, ffmpeg: str) -> NDArray[np.float32]:
    """A file's samples by ffmpeg; libsndfile must return the same peak."""
    argv = [ffmpeg, "-nostdin", "-v", "error", "-i", str(path), "-f", "f32le", "-"]
    found = np.frombuffer(subprocess.run(argv, check=True, capture_output=True).stdout, np.float32)
    other, _ = soundfile.read(path, dtype="float32")
    assert np.abs(other).max() == pytest.approx(np.abs(found).max(), abs=0.01)
    return found


def level_db(sound: NDArray[np.float32]) -> float:
    """The mean level in dBFS."""
    return float(10 * np.log10((sound.astype(np.float64) ** 2).mean()))


def loudness(path: Path, ffmpeg: str) -> tuple[float, float]:
    """Integrated loudness and true peak by ffmpeg's own meter."""
    argv = [
        ffmpeg,
        "-nostdin",
        "-hide_banner",
        "-i",
        str(path),
        "-af",
        "ebur128=peak=true",
        "-f",
        "null",
        "-",
    ]
    text = subprocess.run(argv, check=True, capture_output=True, text=True).stderr
    summary = text.rpartition("Summary:")[2]
    lufs, peak = re.search(r"I:\s*(\S+) LUFS", summary), re.search(r"Peak:\s*(\S+) dBFS", summary)
    assert lufs
    assert peak
    return float(lufs[1]), float(peak[1])


KINDS = {
    "float.wav": ["-c:a", "pcm_f32le"],
    "double.wav": ["-c:a", "pcm_f64le"],
    "float.caf": ["-c:a", "pcm_f32be"],
    "float.mka": ["-c:a", "pcm_f32le"],
    "float.wv": ["-c:a", "wavpack"],
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("format", ["wav", "mp3"])
def test_float_above_full_scale_is_turned_down_once(
    tmp_path: Path, convert: Convert, ffmpeg: str, name: str, format: Literal["wav", "mp3"]
) -> None:
    """The peak fits, the shape of the sound stays, and plan and manifest give the gain."""
    source = tmp_path / "source.wav"
    soundfile.write(source, tones(3.0), RATE_HZ, subtype="FLOAT")
    path = convert(source, tmp_path / name, KINDS[name])
    with captoolkit.prepare(path, format=format) as prepared:
        (segment,) = prepared.save(tmp_path / "out")
        found = read(segment.path, ffmpeg)
    assert prepared.plan.gain_db == pytest.approx(-9.55, abs=0.01)
    document = json.loads((tmp_path / "out" / f"{path.stem}.manifest.json").read_text())
    assert document["gain_db"] == prepared.plan.gain_db
    assert any("turned down by 9.5" in reason for reason in document["reasons"])
    assert prepared.warnings == ()
    assert 0.9 < np.abs(found).max() <= 1.1
    gain_db = level_db(found) - level_db(tones(3.0))
    lame_db = 0.45 if format == "mp3" else 0  # LAME turns all sound down by it
    assert gain_db == pytest.approx(prepared.plan.gain_db - lame_db, abs=0.1)


@pytest.mark.parametrize("segment", [None, 4])
def test_an_array_is_treated_as_a_file(ffmpeg: str, segment: int | None) -> None:
    """An array above full scale is turned down, by the same gain in all its segments."""
    with captoolkit.prepare((tones(2.0), RATE_HZ), format="wav", segment=segment) as prepared:
        peaks = [np.abs(read(one.path, ffmpeg)).max() for one in prepared]
    assert prepared.plan.gain_db == pytest.approx(-6.03, abs=0.01)
    assert peaks == pytest.approx([1.0] * len(peaks), abs=0.01)


def test_no_numbers_are_a_warning(ffmpeg: str) -> None:
    """NaN and infinity are counted, for files and arrays, and do not hide the peak."""
    sound = tones(2.0, channels=2)
    sound[100:103, 0], sound[200, 1] = np.nan, np.inf
    with captoolkit.prepare((sound, RATE_HZ)) as prepared:
        (segment,) = prepared
        assert np.isfinite(read(segment.path, ffmpeg)).all()
    assert [text[:16] for text in prepared.warnings] == ["4 of its samples"]
    assert prepared.plan.gain_db == pytest.approx(-6.03, abs=0.05)


def test_without_a_gain_the_clipping_is_reported(ffmpeg: str) -> None:
    """`none` clips, and the warning gives the share and the gain that avoids it."""
    sound = tones(2.0)
    with captoolkit.prepare((sound, RATE_HZ), gain="none") as prepared:
        (segment,) = prepared
        assert np.abs(read(segment.path, ffmpeg)).max() <= 1
    share = f"({(np.abs(sound) > 1).mean():.2%})"
    (warning,) = prepared.warnings
    assert share in warning
    assert "gain=-6.1 would avoid that" in warning
    assert prepared.plan.gain_db == 0


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "opus"])
@pytest.mark.parametrize("gain", [-6.0, 6.0])
def test_a_stated_gain_is_applied_to_any_recording(
    tmp_path: Path, convert: Convert, ffmpeg: str, suffix: str, gain: float
) -> None:
    """The level changes by that many dB, also of a file that would pass through."""
    source = tmp_path / "source.wav"
    soundfile.write(source, tones(0.25), RATE_HZ, subtype="PCM_16")
    path = convert(source, tmp_path / f"talk.{suffix}", [])
    with captoolkit.prepare(path, gain=gain, format="wav") as prepared:
        (segment,) = prepared
        found = level_db(read(segment.path, ffmpeg))
    assert found - level_db(read(path, ffmpeg)) == pytest.approx(gain, abs=0.1)


@pytest.mark.parametrize("wanted", [-30.0, -23.0, (-16.0, -1.0), (-3.0, -6.0)])
def test_a_loudness_is_reached_within_the_true_peak(
    ffmpeg: str, wanted: float | tuple[float, float]
) -> None:
    """Ffmpeg's meter finds the loudness, or the true peak at its bound."""
    sound = tones(0.05)
    with captoolkit.prepare((sound, RATE_HZ), normalize=wanted, format="wav") as prepared:
        (segment,) = prepared
        lufs, true_peak = loudness(segment.path, ffmpeg)
    aim, bound = wanted if isinstance(wanted, tuple) else (wanted, -1.0)
    assert true_peak <= bound + 0.3
    assert lufs == pytest.approx(aim, abs=0.3) or true_peak == pytest.approx(bound, abs=0.3)


def test_a_row_can_state_the_loudness_that_a_service_prefers() -> None:
    """A recording is then brought to it, unless the caller wants another loudness or none."""
    text = """
[sources.page]
title = "A page"
checked = "2026-11-29"
[targets.radio]
title = "A station"
models = ["radio"]
accepts = { wav = ["pcm_s16le"] }
limits = {}
loudness = { lufs = -23, source = "page" }
"""
    target = rows.parse(text, origin="test")["radio"]
    source = (tones(0.05), RATE_HZ)
    plan = captoolkit.plan(source, target=target)
    assert plan.gain_db > 0
    assert captoolkit.plan(source, target=target, normalize="none").gain_db == 0
    assert captoolkit.plan(source, target=target, normalize=-33).gain_db == pytest.approx(
        plan.gain_db - 10, abs=0.02
    )


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
@pytest.mark.parametrize("options", [{"format": "wav"}, {"format": "mp3"}, {"max_segment": 5}])
def test_a_very_quiet_recording_is_reported(
    tmp_path: Path, convert: Convert, suffix: str, options: dict[str, object]
) -> None:
    """Below -40 dBFS the warning gives the peak and the gain; above it there is none."""
    for peak, is_quiet in ((0.003, True), (0.02, False)):
        source = tmp_path / f"{peak}.wav"
        soundfile.write(source, tones(peak), RATE_HZ, subtype="PCM_24")
        path = convert(source, tmp_path / f"{peak}.talk.{suffix}", ["-b:a", "128k"])
        with captoolkit.prepare(path, sample_rate_hz=16_000, **options) as prepared:  # type: ignore[arg-type]
            list(prepared)
        assert ["very quiet" in text for text in prepared.warnings] == [True] * is_quiet
        if is_quiet:
            assert "gain=49 would raise it to -1" in prepared.warnings[0]


def test_lossy_sound_above_full_scale_is_reported_with_its_share(
    tmp_path: Path, convert: Convert
) -> None:
    """Loud clipped sound decodes above full scale; the share of clipped samples is a warning."""
    source = tmp_path / "loud.wav"
    noise = np.random.default_rng(0).normal(0, 0.6, SECONDS * 44_100)
    soundfile.write(source, np.clip(noise, -1, 1), 44_100, subtype="PCM_16")
    path = convert(source, tmp_path / "loud.mp3", ["-b:a", "128k"])
    formats: tuple[Literal["wav", "mp3"], ...] = ("wav", "mp3")
    for format in formats:
        with captoolkit.prepare(path, format=format, sample_rate_hz=16_000) as prepared:
            list(prepared)
        (warning,) = prepared.warnings
        assert re.search(r"samples \(\d\.\d\d%\) are above full scale", warning)
        quieter = float(re.search(r"gain=(-[\d.]+)", warning)[1])  # type: ignore[index]
        with captoolkit.prepare(
            path,
            format=format,
            sample_rate_hz=16_000,
            gain=quieter,
        ) as prepared:
            list(prepared)
        assert prepared.warnings == ()
