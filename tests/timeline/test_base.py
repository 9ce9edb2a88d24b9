from __future__ import annotations

import sys
from pathlib import Path

import pytest

from captoolkit.errors import UsageError
from captoolkit.timeline import FORMATS, Format, FormatOptions, check, losses, render
from tests.support.timelines import TimelineOf

MODULE = '''
"""A made-up format: index and text of each entry, in a frame of a chosen mark."""

from captoolkit.errors import UsageError
from captoolkit.timeline.wording import text_in_one_line


def render(timeline, *, frame_rate=None):
    check(frame_rate=frame_rate)
    lines = (f"{entry.index}@{frame_rate} {text_in_one_line(entry)}" for entry in timeline.entries)
    return "\\n".join(lines) + "\\n"


def losses(timeline, *, frame_rate=None):
    return [f"{len(timeline.entries)} entries have no times."]


def check(*, frame_rate=None):
    if frame_rate == 13:
        raise UsageError("13 is unlucky")
'''


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A format that consists of one module file and one row."""
    (tmp_path / "made_up_format.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    row = Format(
        name="made-up",
        extension="made",
        title="a made-up format",
        module="made_up_format",
        has_cues=True,
        options=("frame_rate",),
    )
    monkeypatch.setitem(FORMATS, row.name, row)
    monkeypatch.delitem(sys.modules, "made_up_format", raising=False)
    return row.name


def test_a_format_is_one_module_and_one_row(made_up: str, timeline_of: TimelineOf) -> None:
    """The recipe in `timeline/base.py`: render, losses, check, options and spread all work."""
    timeline = timeline_of("A dog. Rain.", silences=1)
    assert render(timeline, made_up) == "1@None A dog. Rain.\n2@None [silence]\n"
    assert render(timeline, made_up, frame_rate=24) == "1@24 A dog. Rain.\n2@24 [silence]\n"
    assert render(timeline, made_up, spread=True).count("\n") == 3
    assert losses(timeline, made_up) == ["2 entries have no times."]
    with pytest.raises(UsageError, match="13 is unlucky"):
        check(made_up, frame_rate=13)


def test_the_typed_options_are_those_of_the_rows() -> None:
    """`FormatOptions` has `spread` and each option that a row names, and no other."""
    named = {option for row in FORMATS.values() for option in row.options}
    assert set(FormatOptions.__annotations__) == {"spread", *named}


def test_a_format_gets_only_its_own_options(timeline_of: TimelineOf) -> None:
    """An option of another format is ignored, so that one call can write several formats."""
    timeline = timeline_of("A dog.")
    assert render(timeline, "srt", frame_rate=24) == render(timeline, "srt")
