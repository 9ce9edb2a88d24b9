"""What all tests share: where real recordings lie, and sounds whose truth is known."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile
from hypothesis import settings
from numpy.typing import NDArray

from tests.recorder import Recorder

# The machines that run this are shared: a slow example says nothing about the code.
settings.register_profile("captoolkit", deadline=None)
settings.load_profile("captoolkit")

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "fixtures"
CORPUS = ROOT.parent / "shared" / "corpus"

PROXY_VARIABLES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The folder of generated sounds that come with the project."""
    return FIXTURES


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temporary folder, of this test alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real recordings beside the project."""
    if not CORPUS.is_dir():
        pytest.skip("the real recordings are not beside this checkout")
    return CORPUS


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    """The ffmpeg that comes with the package, to make and to read media independently of us."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


@pytest.fixture(scope="session")
def convert(ffmpeg: str) -> Callable[[Path, Path, Sequence[str]], Path]:
    """Run a plain ffmpeg command: `convert(source, result, options)`."""

    def run(source: Path, result: Path, options: Sequence[str] = ()) -> Path:
        argv = [ffmpeg, "-v", "error", "-y", "-i", str(source), *options, str(result)]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
        return result

    return run


@pytest.fixture(scope="session")
def decoded_samples(ffmpeg: str) -> Callable[[Path], int]:
    """Count what a full decode of the first sound track gives, by a plain ffmpeg command."""

    def count(path: Path) -> int:
        argv = [ffmpeg, "-v", "error", "-i", str(path), "-map", "0:a:0"]
        argv += ["-f", "s16le", "-ac", "1", "-"]
        raw = subprocess.run(argv, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        return len(raw.stdout) // 2

    return count


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep keys and proxies of whoever runs the tests out of them."""
    for name in ("DASHSCOPE_API_KEY", "OPENAI_API_KEY", *PROXY_VARIABLES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(autouse=True)
def _bare_ledger(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every test begin with nothing asked, and leave the user's own ledger alone."""
    folder = tmp_path_factory.mktemp("ledger")
    monkeypatch.setenv("CAPTOOLKIT_LEDGER", str(folder / "ledger.sqlite3"))


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """A server that keeps what it is sent."""
    server = Recorder()
    yield server
    server.close()


def children_of(parent: int) -> list[int]:
    """The processes that `parent` has started and not reaped, Python's own helper left out."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            status = (entry / "stat").read_text()
            command = (entry / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        is_child = int(status.rpartition(")")[2].split()[1]) == parent
        if is_child and b"multiprocessing.resource_tracker" not in command:
            found.append(int(entry.name))
    return found


def tone(
    seconds: float, *, rate_hz: int, frequency_hz: float = 440.0, amplitude: float = 0.5
) -> NDArray[np.float32]:
    """A sine, shape (frames, 1)."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = amplitude * np.sin(2 * np.pi * frequency_hz * time_s)
    return wave.astype(np.float32)[:, None]


def silence(seconds: float, *, rate_hz: int) -> NDArray[np.float32]:
    """Digital silence, shape (frames, 1)."""
    return np.zeros((round(seconds * rate_hz), 1), np.float32)


def write_wav(
    path: Path, *parts: NDArray[np.float32], rate_hz: int, subtype: str = "PCM_16"
) -> Path:
    """Write arrays of shape (frames, channels) one after another."""
    soundfile.write(str(path), np.concatenate(parts), rate_hz, subtype=subtype)
    return path
