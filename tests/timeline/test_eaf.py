"""ELAN files, read back with pympi."""

from __future__ import annotations

from pathlib import Path

import pympi

from captoolkit.timeline import save
from tests.support.timelines import TimelineOf


def test_pympi_finds_the_tier_and_the_recording(timeline_of: TimelineOf, tmp_path: Path) -> None:
    """Each entry is an annotation in milliseconds, with its paragraphs."""
    save(timeline_of("A dog.\n\nRain.", holes=("timed out",)), tmp_path / "a.eaf")
    document = pympi.Eaf(str(tmp_path / "a.eaf"))
    assert list(document.get_tier_names()) == ["captions"]
    assert sorted(document.get_annotation_data_for_tier("captions")) == [
        (0, 1000, "A dog.\n\nRain."),
        (1000, 2000, "[no caption: timed out]"),
    ]
    (media,) = document.media_descriptors
    assert media["MEDIA_URL"] == "file:///recordings/night%20in%20the%20harbour.flac"
    assert media["RELATIVE_MEDIA_URL"] == "./night%20in%20the%20harbour.flac"


def test_pympi_can_edit_and_save_it(timeline_of: TimelineOf, tmp_path: Path) -> None:
    """A second annotation is added behind the first."""
    path = tmp_path / "a.eaf"
    save(timeline_of("A dog."), path)
    document = pympi.Eaf(str(path))
    document.add_annotation("captions", 2000, 3000, "Rain.")
    document.to_file(str(tmp_path / "b.eaf"))
    found = pympi.Eaf(str(tmp_path / "b.eaf")).get_annotation_data_for_tier("captions")
    assert sorted(found) == [(0, 1000, "A dog."), (2000, 3000, "Rain.")]
