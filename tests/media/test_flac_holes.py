"""A FLAC that lacks bytes in the middle: no sound behind the hole is early."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import captoolkit
from captoolkit.bitstream import flac
from captoolkit.errors import NotMediaError
from captoolkit.media import decode, decode_in_process, flac_holes
from captoolkit.media.probe_file import probe
from tests.support.sound import noise

RATE_HZ = 16_000
SECONDS = 20
FRAME = 4096  # samples of a frame of libsndfile's


def holed(folder: Path, *places: float, part: float = 0.1, channels: int = 1) -> Path:
    """Return a FLAC of noise that lacks a part of its bytes behind each of some places."""
    sound = noise(SECONDS, rate_hz=RATE_HZ, channels=channels)
    soundfile.write(str(folder / "whole.flac"), sound, RATE_HZ, subtype="PCM_16")
    data = (folder / "whole.flac").read_bytes()
    for place in sorted(places, reverse=True):
        at = int(len(data) * place)
        data = data[:at] + data[at + int(len(data) * part) :]
    path = folder / "holed.flac"
    path.write_bytes(data)
    return path


def heard(path: Path, *, dtype: str = "int16", **options: Any) -> np.ndarray:
    """Decode a span of the track."""
    track = probe(path).default_track
    with decode.TrackDecoder(path, track=track, dtype=dtype, **options) as decoder:
        return np.concatenate([block.copy() for block in decoder])


def heard_both(
    folder: Path, places: tuple[float, ...], part: float
) -> tuple[Path, np.ndarray, np.ndarray]:
    """Return a FLAC with holes, its sound, and the sound that it had before, of the same length."""
    path = holed(folder, *places, part=part)
    whole, found = heard(folder / "whole.flac"), heard(path)
    assert len(found) == len(whole)
    return path, found, whole


@pytest.mark.parametrize("decoder", ["", decode_in_process.FFMPEG])
@pytest.mark.parametrize(
    ("places", "part"), [((0.4,), 0.1), ((0.2, 0.6), 0.1), ((0.03,), 0.005), ((0.5,), 0.003)]
)
def test_sound_behind_a_hole_keeps_its_place(
    decoder: str,
    places: tuple[float, ...],
    part: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each sample is the one of the whole file, or part of a silence as long as the hole."""
    monkeypatch.setenv(decode_in_process.ENVIRONMENT_VARIABLE, decoder)
    path, found, whole = heard_both(tmp_path, places, part)
    changed = np.flatnonzero((found != whole)[:, 0])
    assert not found[changed].any()
    missing = len(places) * part * len(whole)
    assert missing - FRAME < len(changed) < missing + 2 * FRAME * len(places)  # torn frames too
    for start in (changed[0] - 5_000, changed[0] + 5_000, changed[-1] + 5_000):
        span = heard(path, start_samples=int(start), end_samples=int(start) + 9_000)
        assert np.array_equal(span, found[start : start + 9_000])


@pytest.mark.parametrize("decoder", ["", decode_in_process.FFMPEG])
@pytest.mark.parametrize(("places", "part"), [((0.4, 0.85), 0.05), ((0.4, 0.9), 0.04)])
def test_a_hole_shortly_before_the_end_moves_no_sound(
    decoder: str,
    places: tuple[float, ...],
    part: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither libFLAC nor ffmpeg can jump there, and ffmpeg drops the first frame behind it."""
    monkeypatch.setenv(decode_in_process.ENVIRONMENT_VARIABLE, decoder)
    path, found, whole = heard_both(tmp_path, places, part)
    assert np.all((found == whole) | (found == 0))
    assert np.mean(found == 0) < 2 * part + 2 * FRAME / len(whole) * 2
    for start in (len(whole) - 16_000, len(whole) - 6_000):
        assert np.array_equal(heard(path, start_samples=start, seek=True), found[start:])


MIX = [[0.5, 0.5, 0, 0, 0.25, 0.25], [0, 0, 0.5, 0.5, 0, 0]]


@pytest.mark.parametrize(
    ("channels", "dtype", "options"),
    [
        (6, "float32", {}),
        (6, "int16", {}),
        (2, "int32", {}),
        (1, "float64", {}),
        (6, "float32", {"mix": MIX}),
    ],
)
def test_sound_that_ffmpeg_converts_keeps_its_place(
    channels: int, dtype: str, options: dict[str, Any], tmp_path: Path
) -> None:
    """More than two channels, and samples of other types than float32 and int16."""
    path = holed(tmp_path, 0.3, 0.7, part=0.02, channels=channels)
    whole = heard(tmp_path / "whole.flac", dtype=dtype, **options)
    found = heard(path, dtype=dtype, **options)
    assert found.dtype == whole.dtype
    assert found.shape == whole.shape
    assert np.all((found == whole) | (found == 0))
    assert 0.03 < np.mean(found == 0) < 0.1
    start, end = int(0.65 * len(whole)), int(0.8 * len(whole))
    span = heard(path, dtype=dtype, start_samples=start, end_samples=end, **options)
    assert np.array_equal(span, found[start:end])


def test_a_file_of_six_channels_is_resampled_over_its_holes(tmp_path: Path) -> None:
    """The sound behind a hole has its place at another rate as well."""
    path = holed(tmp_path, 0.4, part=0.05, channels=6)
    whole = heard(tmp_path / "whole.flac", dtype="float32", rate_hz=8_000)
    found = heard(path, dtype="float32", rate_hz=8_000)
    assert found.shape == whole.shape
    assert np.allclose(found[-40_000:], whole[-40_000:], atol=1e-6)


def test_a_file_with_chapters_is_treated_alike(tmp_path: Path) -> None:
    """Ffmpeg reads its chapters, but the last frame proves its length."""
    data = holed(tmp_path, 0.4, 0.85, part=0.05).read_bytes()
    texts = (b"CHAPTER001=00:00:00.000", b"CHAPTER001NAME=one")
    fields = (b"", *texts)  # the program that wrote the file comes first
    parts = [len(field).to_bytes(4, "little") + field for field in fields]
    parts.insert(1, len(texts).to_bytes(4, "little"))
    content = b"".join(parts)
    path = tmp_path / "chapters.flac"
    path.write_bytes(data[:42] + b"\4" + len(content).to_bytes(3) + content + data[42:])
    whole, found = heard(tmp_path / "whole.flac"), heard(path)
    assert len(found) == len(whole)
    assert np.all((found == whole) | (found == 0))


def test_the_recording_has_a_warning(tmp_path: Path) -> None:
    """A hole is reported with its place and length; the segments last as long as the whole file."""
    with captoolkit.prepare(holed(tmp_path, 0.5)) as prepared:
        (segment,) = prepared
        assert segment.source_span.duration_s == SECONDS
        (warning,) = prepared.warnings
    assert " s of its sound are missing or damaged after " in warning
    assert warning.startswith("2.")
    (tmp_path / "whole.flac").replace(tmp_path / "other.flac")
    assert flac_holes.warnings(tmp_path / "other.flac") == []


def test_a_file_of_false_headers_is_not_searched_for_long(tmp_path: Path) -> None:
    """The search ends at a number of headers, and the file is refused in one line."""
    data = holed(tmp_path, 0.5).read_bytes()
    first = data.index(b"\xff\xf8")
    false = data[first : first + 4] + b"\7"
    false += bytes([flac.crc8(false)])
    path = tmp_path / "slow.flac"
    path.write_bytes(data[: len(data) // 3] + false * (1 << 15) + data[len(data) // 3 :])
    track = probe(path).default_track
    with pytest.raises(NotMediaError, match="more headers of FLAC frames than frames"):
        flac_holes.is_damaged(path, track)
    with pytest.raises(NotMediaError):
        heard(path)


def test_no_thread_is_left_for_a_stretch_that_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each stretch has an ffmpeg of its own, and the threads that watch it end with it."""
    monkeypatch.setenv(decode_in_process.ENVIRONMENT_VARIABLE, decode_in_process.FFMPEG)
    path, threads = holed(tmp_path, 0.2, 0.6), threading.active_count()
    heard(path)
    assert threading.active_count() == threads


@pytest.mark.parametrize("decoder", ["", decode_in_process.FFMPEG])
def test_a_flac_whose_begin_was_cut_off_begins_with_its_first_frame(
    decoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As players show it; its header states the old length, and its frames the old places."""
    monkeypatch.setenv(decode_in_process.ENVIRONMENT_VARIABLE, decoder)
    holed(tmp_path, 0.5)
    whole, data = heard(tmp_path / "whole.flac"), (tmp_path / "whole.flac").read_bytes()
    first = data.index(b"\xff\xf8")
    path = tmp_path / "cut.flac"
    path.write_bytes(data[:first] + data[data.index(data[first : first + 4] + b"\2", first) :])
    assert probe(path).default_track.duration_samples == len(whole) - 2 * FRAME
    assert np.array_equal(heard(path), whole[2 * FRAME :])
    assert np.array_equal(heard(path, start_samples=70_000), whole[2 * FRAME + 70_000 :])
