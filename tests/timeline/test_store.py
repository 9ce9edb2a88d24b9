from __future__ import annotations

from pathlib import Path

import pytest

import captoolkit
from captoolkit.errors import (
    InputError,
    OutputError,
    OutputExistsError,
    SourceNotFoundError,
    UsageError,
)
from captoolkit.timeline import Timeline, load, render, save
from tests.support.timelines import TimelineOf


def test_a_timeline_is_saved_and_loaded_again(timeline_of: TimelineOf, tmp_path: Path) -> None:
    """The file's ending selects the format, and `load` returns an equal timeline."""
    timeline = timeline_of("Rain.", holes=("lost",))
    save(timeline, tmp_path / "a.json")
    save(timeline, tmp_path / "a.SRT")
    save(timeline, tmp_path / "a", format="vtt")
    assert load(tmp_path / "a.json") == Timeline.load(tmp_path / "a.json") == timeline
    assert (tmp_path / "a.SRT").read_text(encoding="utf-8") == render(timeline, "srt")
    assert (tmp_path / "a").read_text(encoding="utf-8") == render(timeline, "vtt")


def test_saving_replaces_nothing_unless_asked(timeline_of: TimelineOf, tmp_path: Path) -> None:
    """An existing file stays unless `overwrite` is set."""
    path = tmp_path / "a.json"
    save(timeline_of("a"), path)
    with pytest.raises(OutputExistsError):
        save(timeline_of("b"), path)
    assert load(path) == timeline_of("a")
    save(timeline_of("b"), path, overwrite=True)
    assert load(path) == timeline_of("b")


def test_a_folder_is_not_replaced(timeline_of: TimelineOf, tmp_path: Path) -> None:
    """The error asks for a file; it does not offer `overwrite`."""
    for path, problem in ((tmp_path, "is a folder; name a file"), ("", "the name is empty")):
        with pytest.raises(OutputError, match=problem):
            save(timeline_of("A voice."), path, overwrite=True)


def test_what_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    """The error for a missing or invalid file has its path."""
    with pytest.raises(SourceNotFoundError) as missing:
        load(tmp_path / "none.json")
    assert missing.value.path == str(tmp_path / "none.json")
    odd = [("", "the name is empty"), ("a\0b", "cannot be read"), (".", "cannot be read")]
    for name, problem in odd:
        with pytest.raises(SourceNotFoundError, match=problem):
            load(name)
    path = tmp_path / "bad.json"
    for content, problem in [(b"\xff", r"not UTF-8 text \(byte 0\)"), (b"", "it is empty")]:
        path.write_bytes(content)
        with pytest.raises(InputError, match=problem) as bad:
            load(path)
        assert bad.value.path == str(path)


def test_save_takes_the_options_of_render(timeline_of: TimelineOf, tmp_path: Path) -> None:
    """A saved file is the rendered text, and an unknown option is an error that names `save`."""
    timeline = timeline_of("A dog barks. Rain falls.")
    save(timeline, tmp_path / "a.vtt", spread=True)
    text = (tmp_path / "a.vtt").read_text(encoding="utf-8")
    assert text == render(timeline, "vtt", spread=True)
    with pytest.raises(
        UsageError,
        match=r"save\(\) takes no option 'sprad'; use csv_bom, drop_frame, frame_rate, ",
    ):
        save(timeline, tmp_path / "b.vtt", sprad=True)  # type: ignore[call-arg]
    assert not (tmp_path / "b.vtt").exists()


def test_the_package_offers_both() -> None:
    """`captoolkit.load` and `captoolkit.save` are these functions."""
    assert captoolkit.load is load
    assert captoolkit.save is save


def test_an_unknown_ending_is_refused_and_no_ending_is_json(
    timeline_of: TimelineOf, tmp_path: Path
) -> None:
    """A file `a.sub` never holds JSON by surprise; a name without an ending does."""
    with pytest.raises(UsageError, match=r"the ending '\.sub' stands for no timeline format"):
        save(timeline_of("a"), tmp_path / "a.sub")
    assert not (tmp_path / "a.sub").exists()
    save(timeline_of("a"), tmp_path / "a")
    save(timeline_of("a"), tmp_path / "a.sub", format="srt")
    assert load(tmp_path / "a") == timeline_of("a")


def test_nine_days_have_three_digits_for_the_hours(timeline_of: TimelineOf) -> None:
    """SRT and WebVTT write the hours of a timeline that begins after 216 hours."""
    later = timeline_of("Rain.").shifted("216h")
    assert "216:00:00,000 --> " in render(later, "srt")
    assert "216:00:00.000 --> " in render(later, "vtt")
