from __future__ import annotations

import re

from captoolkit.timeline import losses, render
from tests.support.captions import NASTY
from tests.support.timelines import TimelineOf, hours_of


def test_each_line_is_a_time_and_a_title() -> None:
    """From one hour on a time has hours."""
    assert render(hours_of(3), "youtube") == "0:00 Hour 0.\n1:00:00 Hour 1.\n2:00:00 Hour 2.\n"
    assert losses(hours_of(3), "youtube") == []


def test_a_description_has_no_angle_brackets(timeline_of: TimelineOf) -> None:
    """YouTube refuses them in a description."""
    text = render(timeline_of(*NASTY.values()), "youtube")
    assert not set("<>") & set(text)
    assert all(re.match(r"\d:\d\d \S", line) for line in text.splitlines())


def test_a_list_that_youtube_ignores_is_a_loss(timeline_of: TimelineOf) -> None:
    """Too few, too short or late chapters are not shown."""
    (loss,) = losses(timeline_of("One.", "Two.").shifted(1), "youtube")
    assert loss == (
        "YouTube does not show these chapters: there are 2, not 3 or more; "
        "the first does not begin at 0:00; 2 of them last less than 10 s."
    )
    many = losses(timeline_of(*["It rains and rains."] * 300), "youtube")
    assert "characters" in many[-1]
