from __future__ import annotations

import io
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from captoolkit.audio.probe import probe
from captoolkit.audio.source import open_source
from captoolkit.errors import UsageError
from tests.audio.conftest import noise
from tests.conftest import write_wav

RATE_HZ = 16_000


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temporary folder, empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


class Pipe(io.RawIOBase):
    """A stream that can only be read, a few bytes at a time, as a socket would give them."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It cannot be sought in."""
        return False

    def readinto(self, buffer: Any) -> int:
        """Give at most 1000 bytes."""
        part, self._rest = self._rest[: min(1000, len(buffer))], self._rest[1000:]
        buffer[: len(part)] = part
        return len(part)


SOUND = noise(0.5, rate_hz=RATE_HZ)
INTEGERS = np.rint(SOUND * 32767).astype(np.int16)


def audio_segment(samples: NDArray[np.int16]) -> Any:
    """What a media tool that uses pydub hands over."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # there may be no ffmpeg on PATH
        import pydub
    return pydub.AudioSegment(
        samples.tobytes(), sample_width=2, frame_rate=RATE_HZ, channels=samples.shape[1]
    )


def kinds_of_source(path: Path) -> dict[str, Any]:
    """One recording in all forms that a caller may have it in."""
    data = path.read_bytes()
    floats = (INTEGERS / 32768).astype(np.float32)
    return {
        "str": str(path),
        "path": path,
        "bytes": data,
        "bytearray": bytearray(data),
        "memoryview": memoryview(data),
        "BytesIO": io.BytesIO(data),
        "stream": Pipe(data),
        "int16": (INTEGERS, RATE_HZ),
        "int32": (INTEGERS.astype(np.int32) << 16, RATE_HZ),
        "float32": (floats, RATE_HZ),
        "float64": (floats.astype(np.float64), np.int64(RATE_HZ)),
        "one dimension": (INTEGERS[:, 0], RATE_HZ),
        "AudioSegment": audio_segment(INTEGERS),
    }


NAMES = [
    "str", "path", "bytes", "bytearray", "memoryview", "BytesIO", "stream", "int16", "int32",
    "float32", "float64", "one dimension", "AudioSegment",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_source_is_the_same_sound(tmp_path: Path, spool: Path, name: str) -> None:
    """Whatever the caller has becomes a file with exactly its samples, until it is closed."""
    path = tmp_path / "talk.wav"
    soundfile.write(str(path), INTEGERS, RATE_HZ)

    opened = open_source(kinds_of_source(path)[name])

    samples, rate_hz = soundfile.read(str(opened.path), dtype="float64", always_2d=True)
    np.testing.assert_array_equal(samples, INTEGERS / 32768)
    assert rate_hz == RATE_HZ
    assert probe(opened.path).default_track.duration_samples == len(INTEGERS)
    assert bool(list(spool.iterdir())) == (name not in ("str", "path"))
    opened.close()
    opened.close()
    assert list(spool.iterdir()) == []
    assert path.exists()


def test_a_path_stays_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative name is made absolute, a link is kept as it is."""
    path = write_wav(tmp_path / "talk.wav", SOUND, rate_hz=RATE_HZ)
    (tmp_path / "link.wav").symlink_to(path)
    monkeypatch.chdir(tmp_path)
    assert open_source("link.wav").path == tmp_path / "link.wav"


def test_a_stream_is_read_from_where_it_stands(spool: Path, stereo: Path) -> None:
    """What the caller has read already is the caller's."""
    stream = io.BytesIO(b"a line before\n" + stereo.read_bytes())
    stream.readline()
    opened = open_source(stream)
    assert opened.path.read_bytes() == stereo.read_bytes()
    opened.close()


@pytest.mark.parametrize("url", ["http://example.com/a.mp3", "https://example.com/a.mp3?x=1"])
def test_a_url_is_refused_with_advice(spool: Path, url: str) -> None:
    """A URL is no file name, and says what to do instead."""
    with pytest.raises(UsageError, match=r"is a URL.*; download it and give the file"):
        open_source(url)


WRONG: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "a number": lambda: 5,
    "a list": lambda: [0.0, 1.0],
    "an array alone": lambda: SOUND,
    "three things": lambda: (SOUND, RATE_HZ, 1),
    "a text stream": lambda: io.StringIO("words"),
    "no rate": lambda: (SOUND, None),
    "rate zero": lambda: (SOUND, 0),
    "a negative rate": lambda: (SOUND, -8_000),
    "a broken rate": lambda: (SOUND, 16_000.5),
    "no samples": lambda: (SOUND[:0], RATE_HZ),
    "three dimensions": lambda: (SOUND[None], RATE_HZ),
    "no dimension": lambda: (np.float32(1), RATE_HZ),
    "channels first": lambda: (SOUND.T, RATE_HZ),
    "bytes as samples": lambda: (INTEGERS.astype(np.uint8), RATE_HZ),
    "complex samples": lambda: (SOUND.astype(np.complex64), RATE_HZ),
    "samples of text": lambda: (np.array(["a", "b"]), RATE_HZ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_source_is_refused(spool: Path, name: str) -> None:
    """A wrong argument is a UsageError with a fix, and leaves no file."""
    with pytest.raises(UsageError):
        open_source(WRONG[name]())
    assert list(spool.iterdir()) == []


def test_a_stream_that_fails_leaves_no_file(spool: Path) -> None:
    """What the caller's stream raises reaches the caller, and nothing stays behind."""

    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise ValueError("torn")

    with pytest.raises(ValueError, match="torn"):
        open_source(Broken())
    assert list(spool.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="mode bits are POSIX's")
def test_a_spooled_source_is_private(spool: Path) -> None:
    """What was in memory is not shown to other users of the machine."""
    opened = open_source(b"secret")
    assert os.stat(opened.path.parent).st_mode & 0o077 == 0  # noqa: PTH116
    opened.close()
