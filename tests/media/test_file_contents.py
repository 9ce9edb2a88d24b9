from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from captoolkit.media.file_contents import read_contents


def test_packets_tags_and_times_are_listed(fixtures: Path, tmp_path: Path) -> None:
    """Two reads of one stream are equal, and two tracks differ."""
    path = fixtures / "two-languages.mp4"
    found = read_contents(path, [0, 1, 2], tmp_path)
    again = read_contents(path, [1], tmp_path)
    assert found.streams[1].digest == again.streams[1].digest != found.streams[2].digest
    assert found.streams[1].count == len(found.streams[1].starts) > 100
    assert abs(found.streams[1].end_s - 5) < Fraction(1, 10)
    assert found.tags["major_brand"] == "isom"
    assert (found.chapters, found.texts, found.fault) == ((), (), "")
