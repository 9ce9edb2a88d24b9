from __future__ import annotations

import pysubs2

from captoolkit.timeline import render
from tests.support.timelines import TimelineOf


def test_a_vtt_file_looks_like_this(timeline_of: TimelineOf) -> None:
    """A file has a signature and numbered cues with a full stop in their times."""
    assert render(timeline_of("A dog barks.\n\nRain.", silences=1), "vtt") == (
        "WEBVTT\n"
        "\n"
        "1\n00:00:00.000 --> 00:00:01.000\nA dog barks.\nRain.\n"
        "\n"
        "2\n00:00:01.000 --> 00:00:02.000\n[silence]\n"
    )


def test_text_is_escaped_by_the_rules_of_webvtt(timeline_of: TimelineOf) -> None:
    """Escapes are escaped once, and text contains no arrow."""
    text = render(timeline_of("Q&A &lt; <b>x</b> --> y"), "vtt")
    assert text.splitlines()[-1] == "Q&amp;A &amp;lt; &lt;b&gt;x&lt;/b&gt; --&gt; y"


def test_pysubs2_reads_the_cues_too(timeline_of: TimelineOf) -> None:
    """A second reader finds the same cues, with the text as it is escaped."""
    captions = ("雨声。\n\n“滴答”", "They count:\n42", "a & b")
    found = pysubs2.SSAFile.from_string(render(timeline_of(*captions), "vtt"), format_="vtt")
    assert [cue.plaintext for cue in found] == ["雨声。\n“滴答”", "They count: 42", "a &amp; b"]


def test_two_time_stamps_in_a_line_are_no_cue_times(timeline_of: TimelineOf) -> None:
    """Pysubs2 takes a line with two time stamps for the times of a cue."""
    text = render(timeline_of("from 00:00:07.000 until 00:00:09.000", "b"), "vtt")
    found = pysubs2.SSAFile.from_string(text, format_="vtt")
    assert [(cue.start, cue.end, cue.plaintext) for cue in found] == [
        (0, 1000, "from 00:00:07.000 until\n00:00:09.000"),
        (1000, 2000, "b"),
    ]
