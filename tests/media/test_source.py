from __future__ import annotations

import contextlib
import functools
import http.server
import io
import os
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import captoolkit
from captoolkit.errors import InputError, SourceNotFoundError, UsageError
from captoolkit.media.probe_file import probe
from captoolkit.media.source import (
    MAX_STEM_BYTES,
    OpenSource,
    open_source,
    public_url,
    refuse_url,
    stem_of,
)
from captoolkit.net.download import download
from captoolkit.planning.options import FormatName
from captoolkit.support.cancel import StoppedError, ended_when
from tests.support.paths import FIXTURES
from tests.support.sound import noise, write_wav

RATE_HZ = 16_000


class Pipe(io.RawIOBase):
    """A stream that can only be read, a few bytes at a time, as a socket would give them."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return False."""
        return False

    def readinto(self, buffer: Any) -> int:
        """Read at most 1000 bytes."""
        part, self._rest = self._rest[: min(1000, len(buffer))], self._rest[1000:]
        buffer[: len(part)] = part
        return len(part)


SOUND = noise(0.5, rate_hz=RATE_HZ)
INTEGERS = np.rint(SOUND * 32767).astype(np.int16)


def audio_segment(samples: NDArray[np.int16], *, rate_hz: int = RATE_HZ) -> Any:
    """The same sound as media tools that use pydub hold it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # there may be no ffmpeg on PATH
        import pydub
    return pydub.AudioSegment(
        samples.tobytes(), sample_width=2, frame_rate=rate_hz, channels=samples.shape[1]
    )


def kinds_of_source(path: Path) -> dict[str, Any]:
    """One recording in every form of a source."""
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
        "big-endian": (INTEGERS.astype(">i2"), RATE_HZ),
        "strided": (np.repeat(INTEGERS, 2, axis=0)[::2], RATE_HZ),
        "one dimension": (INTEGERS[:, 0], RATE_HZ),
        "AudioSegment": audio_segment(INTEGERS),
    }


NAMES = [
    "str", "path", "bytes", "bytearray", "memoryview", "BytesIO", "stream", "int16", "int32",
    "float32", "float64", "big-endian", "strided", "one dimension", "AudioSegment",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_source_is_the_same_sound(tmp_path: Path, temporary: Path, name: str) -> None:
    """Every source becomes a file with exactly its samples, until it is closed."""
    path = tmp_path / "talk.wav"
    soundfile.write(str(path), INTEGERS, RATE_HZ)

    opened = open_source(kinds_of_source(path)[name])

    samples, rate_hz = soundfile.read(str(opened.path), dtype="float64", always_2d=True)
    np.testing.assert_array_equal(samples, INTEGERS / 32768)
    assert rate_hz == RATE_HZ
    assert probe(opened.path).default_track.duration_samples == len(INTEGERS)
    assert bool(list(temporary.iterdir())) == (name not in ("str", "path"))
    opened.close()
    opened.close()
    assert list(temporary.iterdir()) == []
    assert path.exists()


def test_a_path_stays_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path becomes absolute; a link is not resolved."""
    path = write_wav(tmp_path / "talk.wav", SOUND, rate_hz=RATE_HZ)
    (tmp_path / "link.wav").symlink_to(path)
    monkeypatch.chdir(tmp_path)
    assert open_source("link.wav").path == tmp_path / "link.wav"


def test_a_stream_is_read_from_where_it_stands(temporary: Path, stereo: Path) -> None:
    """Bytes that the caller has read already are not part of the source."""
    stream = io.BytesIO(b"a line before\n" + stereo.read_bytes())
    stream.readline()
    opened = open_source(stream)
    assert opened.path.read_bytes() == stereo.read_bytes()
    opened.close()


# -------------------------------------------------------------------------- streams


@contextlib.contextmanager
def fed(write: Callable[[bytes], Any], close: Callable[[], Any], data: bytes) -> Iterator[None]:
    """Write data in small pieces while the block runs."""

    def feed() -> None:
        for start in range(0, len(data), 1000):
            write(data[start : start + 1000])
        close()

    thread = threading.Thread(target=feed)
    thread.start()
    yield
    thread.join()


@contextlib.contextmanager
def pipe(data: bytes, *, buffering: int = -1) -> Iterator[Any]:
    """The reading end of a real pipe, into which another thread writes."""
    reading, writing = os.pipe()
    with (
        open(reading, "rb", buffering=buffering) as stream,  # noqa: PTH123 - it has no path
        fed(functools.partial(os.write, writing), functools.partial(os.close, writing), data),
    ):
        yield stream


@contextlib.contextmanager
def connection(data: bytes) -> Iterator[Any]:
    """The receiving end of a real socket, as a file object."""
    ours, theirs = socket.socketpair()
    with ours, ours.makefile("rb") as stream, fed(theirs.sendall, theirs.close, data):
        yield stream


@pytest.mark.parametrize("buffering", [-1, 0])
def test_a_pipe_is_read_to_its_end(temporary: Path, stereo: Path, buffering: int) -> None:
    """A stream that cannot seek and returns short reads is read whole."""
    data = stereo.read_bytes()
    with pipe(data, buffering=buffering) as stream:
        opened = open_source(stream)
    assert opened.path.read_bytes() == data
    assert (opened.name, opened.stem) == ("source", "source")
    opened.close()
    assert list(temporary.iterdir()) == []


def test_a_socket_is_read_to_its_end(temporary: Path, stereo: Path) -> None:
    """A socket is read whole."""
    data = stereo.read_bytes()
    with connection(data) as stream:
        opened = open_source(stream)
    assert opened.path.read_bytes() == data
    opened.close()


def test_standard_input_is_read_to_its_end(stereo: Path) -> None:
    """`sys.stdin.buffer` is a source; `<stdin>` is not used as a file name."""
    code = (
        "import sys; from captoolkit.media.source import open_source; "
        "opened = open_source(sys.stdin.buffer); "
        "print(opened.name, opened.stem, opened.path.stat().st_size); opened.close()"
    )
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, check=True, capture_output=True, input=stereo.read_bytes())
    assert done.stdout.decode().split() == ["source", "source", str(stereo.stat().st_size)]


@pytest.mark.skipif(sys.platform == "win32", reason="its pipes always wait")
def test_a_stream_that_does_not_wait_is_refused(temporary: Path) -> None:
    """An empty read of a non-blocking stream is not its end, so the stream is refused."""
    reading, writing = os.pipe()
    os.write(writing, b"RIFF")
    os.set_blocking(reading, False)
    with open(reading, "rb", buffering=0) as stream:  # noqa: PTH123 - it has no path
        with pytest.raises(UsageError, match="a non-blocking stream"):
            open_source(stream)
        os.close(writing)
    assert list(temporary.iterdir()) == []


def test_a_stream_is_called_what_its_file_is(temporary: Path, stereo: Path) -> None:
    """An open file gives the source its name."""
    with stereo.open("rb") as stream:
        opened = open_source(stream)
    assert (opened.name, opened.stem) == (str(stereo), "noise")
    opened.close()


# ----------------------------------------------------------------------------- URLs


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the URL at which a real server serves it."""
    folder = tmp_path / "shared"
    folder.mkdir()
    handler = functools.partial(_QuietHandler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


def test_a_url_is_fetched(temporary: Path, shared: tuple[Path, str], stereo: Path) -> None:
    """A URL becomes a local file until it is closed; its name holds no secrets."""
    folder, url = shared
    (folder / "my talk.wav").write_bytes(stereo.read_bytes())
    asked = f"{url}/my%20talk.wav?signature=hunter2#t=1".replace("//", "//me:hunter2@")

    opened = open_source(asked, fetch=download)

    assert opened.path.read_bytes() == stereo.read_bytes()
    assert (opened.name, opened.stem) == (f"{url}/my%20talk.wav", "my talk")
    opened.close()
    assert list(temporary.iterdir()) == []


def test_a_url_that_cannot_be_fetched_leaves_no_file(
    temporary: Path, shared: tuple[Path, str]
) -> None:
    """The download's error reaches the caller, and no file stays behind."""
    with pytest.raises(SourceNotFoundError, match="HTTP 404"):
        open_source(f"{shared[1]}/talk.wav", fetch=download)
    assert list(temporary.iterdir()) == []


URLS = ["http://me:hunter2@example.com/a.mp3", "HTTPS://example.com/a.mp3?x=hunter2#hunter2"]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("refuse", [open_source, refuse_url, probe])
def test_a_url_is_refused_with_advice(
    temporary: Path, url: str, refuse: Callable[[str], Any]
) -> None:
    """Without `fetch` a URL is refused, and the error names the alternative."""
    with pytest.raises(
        UsageError, match=r"example\.com/a\.mp3 is a URL.*; download it and give the file"
    ) as caught:
        refuse(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://", "https:///x", "https://[x", "https://h:hunter2/x"])
def test_what_is_no_url_is_refused_before_it_is_fetched(temporary: Path, url: str) -> None:
    """A malformed URL is refused, and its text is not repeated."""
    with pytest.raises(UsageError, match="the URL is malformed") as caught:
        open_source(url, fetch=download)
    assert "hunter2" not in str(caught.value)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (Path("https://example.com/a.mp3"), "the URL lost a slash; give it as text: https://"),
        ("HTTP:/example.com/a.mp3", "the URL lost a slash; give it as text: http://"),
        ("ftp://me:hunter2@example.com/a.mp3", "ftp: URLs are not supported"),
        ("RTSP://example.com/hunter2", "rtsp: URLs are not supported"),
        ("data:audio/wav;base64,hunter2", "data: URLs are not supported"),
        ("file:///hunter2.mp3", "file: URLs are not supported"),
        ("s3+x://hunter2", r"s3\+x: URLs are not supported"),
    ],
)
def test_other_kinds_of_url_are_refused(temporary: Path, source: Any, told: str) -> None:
    """The error names the scheme only, since the rest may be secret."""
    with pytest.raises(UsageError, match=f"no such file, and {told}") as caught:
        open_source(source, fetch=download)
    assert "hunter2" not in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="names there hold no colon")
@pytest.mark.parametrize(
    "name", ["ftp:talk.wav", "data:talk.wav", "https:/talk.wav", "rtsp:/a.wav"]
)
def test_a_file_may_be_called_as_a_url_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stereo: Path, name: str
) -> None:
    """An existing file is read even if its name looks like a URL."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(stereo.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert open_source(name, fetch=download).path == path
    assert probe(name).default_track.channels == 2


def test_a_drive_is_no_scheme() -> None:
    """One letter before a colon is a drive, not a scheme."""
    assert open_source("c://talk.wav").name.endswith("talk.wav")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://host/a/b/talk.mp3?sig=x", "https://host/a/b/talk.mp3"),
        ("HTTPS://me:s@e@Host:8443/talk.mp3#x", "https://Host:8443/talk.mp3"),
        ("http://me@[::1]:80?x", "http://[::1]:80"),
        ("https://me:pass/word@host/a.wav?sig=x", "https://(malformed)"),
        ("s3://key:secret@bucket/a#1@2.wav", "s3://bucket/a#1@2.wav"),
        ("memory://a@b.wav", "memory://a@b.wav"),
        ("talks/me@host.wav", "talks/me@host.wav"),
    ],
)
def test_the_name_of_a_url_holds_no_secret(url: str, name: str) -> None:
    """The public name of a URL has no user, password, query or fragment."""
    assert public_url(url) == name


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("album/talk.mkv", "talk"),
        ("album/talk.v2.mkv", "talk.v2"),
        (".hidden.wav", ".hidden"),
        ("source", "source"),
        ("", "source"),
        ("/", "source"),
        ("https://host/a/b/talk.mp3?sig=x/y.wav", "talk"),
        ("https://host/a/b/talk", "talk"),
        ("https://host/a/b/", "b"),
        ("https://host.example/", "host.example"),
        ("https://me:secret@Host.Example:8080?x=1", "host.example"),
        ("http://[::1]/", "__1"),
        ("https://host/m%C3%B6ve%20%26.mp3", "möve &"),
        ("https://host/%E5%BD%95%E9%9F%B3.mp3", "录音"),
        ("https://host/..%2F..%2Fetc%2Fpasswd.mp3", "_.._etc_passwd"),
        ("https://host/%2e%2e", "host"),
        ("https://host/..", "host"),
        ("https://host/a/.", "host"),
        ("https://../", "source"),
        ("https://host/%2F", "_"),
        ("https://host/a%5Cb%00c%0Ad.mp3", "a_b_c_d"),
        ("https://host/C:%5Cnul.mp3", "C__nul"),
        ("https://host/.hidden.mp3", "hidden"),
        ("https://host/talk .mp3", "talk"),
        ("https://host/%FF.mp3", "\N{REPLACEMENT CHARACTER}"),
        ("https://host/" + "%E5%BD%95" * 100 + ".mp3", "录" * 66),
    ],
)
def test_a_stem_is_a_plain_name(name: str, stem: str) -> None:
    """Every source gives a stem that every file system accepts."""
    assert OpenSource(Path("x"), name=name).stem == stem == stem_of(name)
    assert PurePosixPath(stem).name == stem
    assert len(stem.encode()) <= MAX_STEM_BYTES


def test_a_stream_that_is_called_by_a_url_keeps_its_secrets(temporary: Path) -> None:
    """The name of a stream that a library named by its URL holds no secrets."""
    stream = io.BytesIO(b"RIFF")
    stream.name = "https://me:hunter2@host/talk.mp3?hunter2"
    opened = open_source(stream)
    assert (opened.name, opened.stem) == ("https://host/talk.mp3", "talk")
    opened.close()


# ---------------------------------------------------------- same sound, same segments


def segments_of(source: Any) -> list[bytes]:
    """The prepared segments of a source."""
    with captoolkit.prepare(source, segment="2s") as prepared:
        return [segment.read_bytes() for segment in prepared]


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds at another rate and with more channels than the target takes."""
    path = tmp_path_factory.mktemp("talk") / "talk.wav"
    return write_wav(path, noise(3, rate_hz=44_100, channels=2), rate_hz=44_100)


@pytest.fixture(scope="module")
def segments(talk: Path) -> list[bytes]:
    """The segments of the talk, given as a path."""
    return segments_of(talk)


@pytest.mark.parametrize(
    "make",
    [
        str,
        Path.read_bytes,
        lambda path: io.BytesIO(path.read_bytes()),
        lambda path: soundfile.read(str(path), dtype="int16"),
        lambda path: soundfile.read(str(path), dtype="float32"),
        lambda path: soundfile.read(str(path), dtype="float64"),
        lambda path: audio_segment(soundfile.read(str(path), dtype="int16")[0], rate_hz=44_100),
    ],
    ids=["str", "bytes", "BytesIO", "int16", "float32", "float64", "AudioSegment"],
)
def test_the_same_sound_gives_the_same_segments(
    talk: Path, segments: list[bytes], make: Callable[[Path], Any]
) -> None:
    """Every form of a source gives the same segments, byte for byte."""
    assert len(segments) == 2
    assert segments_of(make(talk)) == segments


def test_the_same_sound_through_an_open_file(talk: Path, segments: list[bytes]) -> None:
    """An open file gives the same segments."""
    with talk.open("rb") as stream:
        assert segments_of(stream) == segments


@pytest.mark.parametrize("make", [pipe, connection])
def test_the_same_sound_through_a_pipe(
    talk: Path, segments: list[bytes], make: Callable[[bytes], Any]
) -> None:
    """A pipe, which can be read only once, gives the same segments."""
    with make(talk.read_bytes()) as stream:
        assert segments_of(stream) == segments


def test_the_same_sound_from_elsewhere(
    talk: Path, segments: list[bytes], shared: tuple[Path, str]
) -> None:
    """A URL gives the same segments."""
    folder, url = shared
    (folder / "talk.wav").write_bytes(talk.read_bytes())
    opened = open_source(f"{url}/talk.wav", fetch=download)
    assert segments_of(opened.path) == segments
    opened.close()


@pytest.mark.parametrize("format", ["wav", "mp3"])
def test_what_is_no_number_is_the_same_in_an_array_and_in_a_file(
    tmp_path: Path, format: FormatName
) -> None:
    """NaN, Inf and values far over full scale are treated alike in arrays and in WAV files."""
    sound = noise(2, rate_hz=44_100, channels=2)
    sound[1000:1100] = np.nan
    sound[2000, 0], sound[3000, 1], sound[4000] = np.inf, -np.inf, 1e30
    path = write_wav(tmp_path / "odd.wav", sound, rate_hz=44_100, subtype="FLOAT")
    made = []
    for source in (path, (sound, 44_100)):
        with captoolkit.prepare(source, format=format) as prepared:
            made.append([segment.read_bytes() for segment in prepared])
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("samples", "heard"),
    [
        (np.array([0, 64, 128, 192, 255], np.uint8), [-1, -0.5, 0, 0.5, 127 / 128]),
        (np.array([-1, -0.5, 0, 0.25, 1.5], np.float16), [-1, -0.5, 0, 0.25, 1.5]),
    ],
)
def test_small_samples_are_kept_exactly(
    temporary: Path, samples: NDArray[Any], heard: list[float]
) -> None:
    """Unsigned 8-bit samples centre on 128, as in a WAV; float16 becomes float32."""
    opened = open_source((samples, RATE_HZ))
    found, _ = soundfile.read(str(opened.path), dtype="float64")
    assert found.tolist() == heard
    opened.close()


# ----------------------------------------------------------------- what is no source


class AsyncUpload:
    """An upload as asynchronous web frameworks hand it out."""

    async def read(self, size: int = -1) -> bytes:
        """Return no bytes but a coroutine."""
        return b""


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
    "8 bits with a sign": lambda: (INTEGERS.astype(np.int8), RATE_HZ),
    "16 bits without": lambda: (INTEGERS.astype(np.uint16), RATE_HZ),
    "64 bits": lambda: (INTEGERS.astype(np.int64), RATE_HZ),
    "truths": lambda: (INTEGERS > 0, RATE_HZ),
    "complex samples": lambda: (SOUND.astype(np.complex64), RATE_HZ),
    "samples of text": lambda: (np.array(["a", "b"]), RATE_HZ),
    "the rate first": lambda: (RATE_HZ, SOUND),
    "an open SoundFile": lambda: soundfile.SoundFile(FIXTURES / "tones-and-silences.wav"),
    "an asynchronous upload": AsyncUpload,
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_source_is_refused(temporary: Path, name: str) -> None:
    """An unsupported source raises a UsageError with a fix, and leaves no file."""
    with pytest.raises(UsageError):
        open_source(WRONG[name]())
    assert list(temporary.iterdir()) == []


def test_stream_without_end_ends_with_its_run(temporary: Path) -> None:
    """A cancelled run reads no further from a stream."""
    with (
        ended_when(lambda: True),
        pytest.raises(StoppedError),
        Path("/dev/zero").open("rb") as zeros,
    ):
        open_source(zeros)
    assert list(temporary.iterdir()) == []


def test_stream_at_its_end_is_refused_with_advice(temporary: Path) -> None:
    """A buffer that was just written is rewound by its caller, who learns how."""
    buffer = io.BytesIO()
    buffer.write(b"RIFF")
    with pytest.raises(UsageError, match=r"is at its end; rewind it with seek\(0\)"):
        open_source(buffer)
    assert list(temporary.iterdir()) == []


def test_an_empty_name_is_not_the_current_folder() -> None:
    """A script with an unset variable passes one."""
    with pytest.raises(SourceNotFoundError, match="the name is empty"):
        open_source("")


def test_a_stream_that_fails_leaves_no_file(temporary: Path) -> None:
    """An exception from the caller's stream reaches the caller, and no file stays behind."""

    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise ValueError("torn")

    with pytest.raises(ValueError, match="torn"):
        open_source(Broken())
    assert list(temporary.iterdir()) == []


def test_a_stream_that_breaks_is_not_the_disks_fault(temporary: Path) -> None:
    """A connection lost while it is read raises an InputError, not an OutputError."""
    ours, theirs = socket.socketpair()
    ours.settimeout(0.05)
    with ours, theirs, ours.makefile("rb") as stream, pytest.raises(InputError, match="broke"):
        open_source(stream)
    assert list(temporary.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="mode bits are POSIX's")
def test_a_spooled_source_is_private(temporary: Path) -> None:
    """Other users of the machine cannot read the temporary file of a source."""
    opened = open_source(b"secret")
    assert os.stat(opened.path.parent).st_mode & 0o077 == 0  # noqa: PTH116
    opened.close()


def test_the_type_of_a_source_loads_no_third_party_module() -> None:
    """`captoolkit.Source` serves in annotations at run time without importing numpy or pydub."""
    code = (
        "import sys, captoolkit; captoolkit.Source | None; "
        "assert not {'numpy', 'pydub'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
