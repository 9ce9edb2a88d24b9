"""Fixtures of the tests of frames."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.frame_files import (
    Listing,
    Made,
    Packet,
)
from tests.support.sound import Convert


@pytest.fixture(scope="session")
def listing(ffmpeg: str) -> Listing:
    """List the packets of ffmpeg's demuxer: the size and checksum of each."""

    def packets(path: Path) -> list[Packet]:
        argv = [ffmpeg, "-v", "quiet", "-i", str(path), "-map", "0:a:0", "-c", "copy"]
        result = subprocess.run([*argv, "-f", "framecrc", "-"], check=True, capture_output=True)
        rows = (line.split(b",") for line in result.stdout.splitlines() if line[:1] != b"#")
        return [(int(row[4]), int(row[5], 16)) for row in rows]

    return packets


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file name that each example of a property may write to."""
    return tmp_path_factory.mktemp("scratch") / "talk"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, stereo: Path, convert: Convert) -> Made:
    """Encode a file once and return its bytes: `made("mp3", options)`."""
    folder, files = tmp_path_factory.mktemp("made"), dict[tuple[str, str], bytes]()

    def make(extension: str, options: str = "") -> bytes:
        if (extension, options) not in files:
            path = convert(stereo, folder / f"talk.{extension}", options.split())
            files[extension, options] = path.read_bytes()
        return files[extension, options]

    return make
