"""Recordings that the end-to-end tests prepare."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.preparations import listing, make_clicks, make_talk
from tests.support.sound import Convert


@pytest.fixture(autouse=True)
def spool(temporary: Path) -> Iterator[Path]:
    """The system's temporary folder, which must be empty after each test."""
    yield temporary
    gc.collect()
    assert listing(temporary) == []


@pytest.fixture(scope="session")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 s of noise at 16 kHz, one channel."""
    return make_talk(tmp_path_factory.mktemp("talk"))


@pytest.fixture(scope="session")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 s of murmur with clicks and silences at known samples, in stereo."""
    return make_clicks(tmp_path_factory.mktemp("clicks"))


@pytest.fixture(scope="session")
def small_mp3(tmp_path_factory: pytest.TempPathFactory, convert: Convert, talk: Path) -> Path:
    """An MP3 that the service takes unchanged."""
    return convert(talk, tmp_path_factory.mktemp("small") / "small.mp3", ["-b:a", "64k"])
