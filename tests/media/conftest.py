"""Fixtures of the tests of media: the files of the table of formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.media_files import Kind, MediaMaker


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory, ffmpeg: str) -> MediaMaker:
    """A folder with what files are made of."""
    return MediaMaker(tmp_path_factory.mktemp("bench"), ffmpeg)


@pytest.fixture(scope="session")
def made(bench: MediaMaker) -> Callable[[Kind], Path]:
    """Make the file of a row, once."""

    def make(one: Kind) -> Path:
        path = bench.folder / one.name
        if not path.exists():
            one.make(bench, one, path)
        return path

    return make
