"""A small part of `scripts/damaged_files.py`: a damaged file ends in sound or in one error line."""

from __future__ import annotations

from pathlib import Path

import pytest

from captoolkit.bitstream import ogg
from scripts.damaged_files import try_file, with_checksums
from tests.support.paths import CORPUS
from tests.support.sound import Convert

COPIES = 8


@pytest.fixture
def opus(tmp_path: Path, convert: Convert) -> Path:
    """Two seconds of speech."""
    options = ["-t", "2", "-b:a", "20k", "-c:a", "libopus"]
    return convert(CORPUS / "austen-0870.wav", tmp_path / "speech.opus", options)


def test_damaged_copies_have_one_line_each(opus: Path, tmp_path: Path) -> None:
    """Neither command ends with a traceback, takes long, or forgets a file."""
    folder = tmp_path / "copies"
    folder.mkdir()
    trials = try_file(opus, folder, copies=COPIES, seed=3)
    for trial in trials.values():
        assert trial.faults == []
        assert trial.counts["done"]
        assert trial.counts["done"] + trial.counts["failed"] == COPIES


def test_damage_can_reach_the_decoders(opus: Path) -> None:
    """A page gets the checksum of its changed bytes."""
    data = opus.read_bytes()
    changed = data[:1000] + bytes([data[1000] ^ 1]) + data[1001:]
    assert ogg.read_pages(changed) == []
    assert len(ogg.read_pages(with_checksums(changed))) == len(ogg.read_pages(data))
