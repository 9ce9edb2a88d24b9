"""Recordings that the end-to-end tests prepare."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.preparations import make_clicks
from tests.support.sound import Convert


@pytest.fixture(autouse=True)
def spool_is_empty(spool: Path) -> None:
    """Each test leaves the system's temporary folder empty."""


@pytest.fixture(scope="session")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 s of murmur with clicks and silences at known samples, in stereo."""
    return make_clicks(tmp_path_factory.mktemp("clicks"))


@pytest.fixture(scope="session")
def small_mp3(tmp_path_factory: pytest.TempPathFactory, convert: Convert, talk: Path) -> Path:
    """An MP3 that the service takes unchanged."""
    return convert(talk, tmp_path_factory.mktemp("small") / "small.mp3", ["-b:a", "64k"])
