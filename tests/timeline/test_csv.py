from __future__ import annotations

from captoolkit.timeline import render
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
    assert render(timeline_of("A dog, a cat.", holes=("timed out",)), "csv") == (
        "index,start_s,end_s,status,text,error,finish_reason,request_id,details\r\n"
        '1,0.000000,1.000000,ok,"A dog, a cat.",,,,\r\n'
        "2,1.000000,2.000000,failed,,timed out,,,\r\n"
    )
