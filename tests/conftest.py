"""Fixtures that several folders of tests use, and the option `--quick`."""

from __future__ import annotations

import gc
import itertools
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import imageio_ffmpeg
import pytest
from hypothesis import settings

from captoolkit.media.ffmpeg import find
from tests.support.clips import BytesClip
from tests.support.older_ffmpeg import limit_of, limits_met
from tests.support.paths import CORPUS, FIXTURES
from tests.support.preparations import listing, make_talk
from tests.support.processes import own_children
from tests.support.recorder import Recorder
from tests.support.sound import ODD_LENGTH_S, noise, write_wav
from tests.support.web import Web

# The machines that run this are shared: a slow example says nothing about the code.
settings.register_profile("captoolkit", deadline=None)
settings.load_profile("captoolkit")

# `--quick` runs these folders and the modules directly in tests/: they start few processes.
QUICK_FOLDERS = {"drawing", "dsp", "planning", "services", "support", "timeline", "tests"}
SLOW_MODULES = {
    "test_typing",
    "test_bench",
    "test_corpus",
    "test_fidelity",
    "test_fixtures",
    "test_html_in_browser",
    "test_loudness",
    "test_measure_house",
    "test_sending",
}
PROXY_VARIABLES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--quick`."""
    parser.addoption("--quick", action="store_true", help="run the tests of pure code only")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out, with `--quick`, the modules that start many processes."""
    if not config.getoption("--quick") or collection_path.is_dir():
        return None
    is_quick = collection_path.parent.name in QUICK_FOLDERS
    return True if not is_quick or collection_path.stem in SLOW_MODULES else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let a test fail that meets a limit of an ffmpeg other than the tested release."""
    if find().is_tested:
        return
    for item in items:
        limit = limit_of(item.nodeid)
        if limit is not None:
            item.add_marker(pytest.mark.xfail(reason=limit, strict=False))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print one line for each limit of the ffmpeg in use."""
    reports = terminalreporter.stats.get("xfailed", [])
    for line in limits_met([report.wasxfail for report in reports]):
        terminalreporter.write_line(f"ffmpeg {find().version} {line}")


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


@pytest.fixture
def spool(temporary: Path) -> Iterator[Path]:
    """The system's temporary folder, which must be empty after the test."""
    yield temporary
    gc.collect()
    assert listing(temporary) == []


@pytest.fixture(scope="session")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 s of noise at 16 kHz, one channel."""
    return make_talk(tmp_path_factory.mktemp("talk"))


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


@pytest.fixture(scope="session")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The ledger of each test, in one folder: `mktemp` lists all folders of all earlier tests."""
    folder = tmp_path_factory.mktemp("ledgers")
    return (folder / f"{number}.sqlite3" for number in itertools.count())


@pytest.fixture(autouse=True)
def _bare_ledger(ledgers: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every test begin with nothing asked, and leave the user's own ledger alone."""
    monkeypatch.setenv("CAPTOOLKIT_LEDGER", str(next(ledgers)))


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """A server that keeps what it is sent."""
    server = Recorder()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def every_child_ends() -> Iterator[None]:
    """No test may leave a child behind; a browser that several tests share is there before."""
    before = own_children()
    yield
    assert own_children() <= before


@pytest.fixture(scope="session")
def stereo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain WAV of an odd length: noise, 44.1 kHz, two channels."""
    path = tmp_path_factory.mktemp("stereo") / "noise.wav"
    return write_wav(path, noise(ODD_LENGTH_S, rate_hz=44_100, channels=2), rate_hz=44_100)


@pytest.fixture
def web() -> Iterator[Web]:
    """A server that no media file may lead to."""
    server = Web()
    yield server
    server.close()


@pytest.fixture
def elsewhere() -> Iterator[Recorder]:
    """Another such server, at another port."""
    server = Recorder()
    yield server
    server.close()


@pytest.fixture
def clip() -> BytesClip:
    """A segment whose Base64 text holds `+`, `/` and `=`."""
    return BytesClip(content=b"RIFF\xfb\xff\xbf" + bytes(range(256)))
