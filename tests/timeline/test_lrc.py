"""LRC, read back with ffmpeg's demuxer."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import srt

from captoolkit.timeline import render
from captoolkit.timeline.value import Timeline
from tests.support.captions import NASTY, shown_words, words
from tests.support.timelines import TimelineOf, hours_of


def read(ffmpeg: str, path: Path, timeline: Timeline) -> list[srt.Subtitle]:
    """Return the lines with text, as ffmpeg reads them."""
    path.write_text(render(timeline, "lrc"), encoding="utf-8", newline="\n")
    argv = [ffmpeg, "-v", "error", "-f", "lrc", "-i", str(path), "-f", "srt", "-c", "copy", "-"]
    text = subprocess.run(argv, check=True, capture_output=True).stdout.decode()
    return [cue for cue in srt.parse(text) if cue.content]


def test_ffmpeg_finds_each_line_at_its_time(
    ffmpeg: str, timeline_of: TimelineOf, tmp_path: Path
) -> None:
    """A line with brackets, times or many minutes is one line of text."""
    captions = {name: text for name, text in NASTY.items() if "long" not in name}
    found = read(ffmpeg, tmp_path / "a.lrc", timeline_of(*captions.values()))
    assert [cue.start.total_seconds() for cue in found] == list(range(len(captions)))
    for cue, caption in zip(found, captions.values(), strict=True):
        assert words(cue.content.replace("<", "＜")) == shown_words(caption)
    late = read(ffmpeg, tmp_path / "b.lrc", hours_of(30))
    assert late[-1].start.total_seconds() == 29 * 3600


def test_an_empty_line_ends_an_entry_before_a_gap(timeline_of: TimelineOf) -> None:
    """The first and the third entry end where the next line begins."""
    timeline = timeline_of("One.", "Two.", "Three.")
    timeline = replace(timeline, entries=(timeline.entries[0], timeline.entries[2]))
    assert render(timeline, "lrc").splitlines() == [
        "[ti:night in the harbour]",
        "[length:0:03]",
        "[re:captoolkit]",
        "[00:00.00]One.",
        "[00:01.00]",
        "[00:02.00]Three.",
        "[00:03.00]",
    ]


def test_a_time_in_a_caption_is_text(timeline_of: TimelineOf) -> None:
    """Players would take a bracket with a time for the time of another line."""
    text = render(timeline_of("[00:12.00] hum <00:13.00> [x]", silences=1), "lrc")
    assert text.splitlines()[3:5] == [
        "[00:00.00]［00:12.00] hum ＜00:13.00> [x]",
        "[00:01.00]［silence]",
    ]
