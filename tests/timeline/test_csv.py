from __future__ import annotations

from pathlib import Path

import pytest

from captoolkit.timeline import render, save
from tests.support.timelines import TimelineOf


def test_a_table_runs_nothing(timeline_of: TimelineOf) -> None:
    """No cell begins with a character that starts a formula in a spreadsheet."""
    text = render(timeline_of("=1", "+1", "-1", "@a"), "csv")
    assert text.count(", =1,") + text.count(", +1,") + text.count(", -1,") == 3
    assert ", @a," in text
    assert text.endswith("\r\n")
    assert all(line.endswith("\r") for line in text.split("\n")[:-1])


def test_a_row_has_the_times_the_status_and_the_texts(timeline_of: TimelineOf) -> None:
    """The header names the columns, and every line ends in CRLF."""
    timeline = timeline_of("A dog, a cat.", holes=("timed out",))
    assert render(timeline, "csv", csv_bom=False) == (
        "index,start_s,end_s,status,text,error,finish_reason,request_id,details\r\n"
        '1,0.000000,1.000000,ok,"A dog, a cat.",,,,\r\n'
        "2,1.000000,2.000000,failed,,timed out,,,\r\n"
    )


@pytest.mark.parametrize("text", ["＝1", "\n=1", "\n\n-1", "\r\n+1", "＠a", "\u2028=1"])
def test_a_formula_behind_a_line_end_or_in_full_width_is_text(
    text: str, timeline_of: TimelineOf
) -> None:
    """Spreadsheets skip leading line ends and read full-width signs."""
    cell = render(timeline_of(text), "csv").split(",ok,")[1].lstrip('"')
    assert cell.startswith(" ")


def test_excel_finds_a_byte_order_mark(timeline_of: TimelineOf, tmp_path: Path) -> None:
    """The file begins with the three bytes unless `csv_bom` is False."""
    save(timeline_of("雨声。"), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes().startswith(b"\xef\xbb\xbfindex,")
    save(timeline_of("雨声。"), tmp_path / "b.csv", csv_bom=False)
    assert (tmp_path / "b.csv").read_bytes().startswith(b"index,")
