"""Sounds, files and stand-ins that the tests of the rooms that touch sound share."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from captoolkit.bitstream.frames import Frames
from tests.conftest import children_of, write_wav

Sound = NDArray[np.float32]
Convert = Callable[..., Path]
Count = Callable[[Path], int]

posix = pytest.mark.skipif(os.name != "posix", reason="stand-in programs are shell scripts")
ODD_LENGTH_S = 3.217


def noise(seconds: float, *, rate_hz: int, channels: int = 1, amplitude: float = 0.3) -> Sound:
    """The same noise each time, shape (frames, channels)."""
    random = np.random.default_rng(20)
    wave = amplitude * random.uniform(-1, 1, (round(seconds * rate_hz), channels))
    return wave.astype(np.float32)


def starts(index: Frames) -> NDArray[np.int64]:
    """The byte at which each frame of a file starts, shape (frames,)."""
    return index.starts_of(0, index.sizes.size)


def level_dbfs(sound: Sound) -> float:
    """Root mean square of all samples, in dB under full scale; -200 for digital silence."""
    power = float(np.mean(np.square(sound, dtype=np.float64)))
    return 10 * float(np.log10(max(power, 1e-20)))


def has_children() -> bool:
    """Whether this process has a child, running or not yet reaped."""
    return bool(children_of(os.getpid()))


@pytest.fixture(autouse=True)
def every_child_ends() -> Iterator[None]:
    """No test here may leave a child behind."""
    yield
    assert not has_children()


@pytest.fixture(scope="session")
def stereo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain WAV of an odd length: noise, 44.1 kHz, two channels."""
    path = tmp_path_factory.mktemp("stereo") / "noise.wav"
    return write_wav(path, noise(ODD_LENGTH_S, rate_hz=44_100, channels=2), rate_hz=44_100)


def script(path: Path, *lines: str) -> Path:
    """Write a shell script that can be run."""
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def python(code: str, *arguments: str) -> Sequence[str]:
    """The argument list of a program made of a few lines of Python."""
    return (sys.executable, "-c", code, *arguments)


class Web:
    """A real server on this machine that remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_error(404)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def web() -> Iterator[Web]:
    """A server that no media file may lead to."""
    server = Web()
    yield server
    server.close()
