from __future__ import annotations

import re
from dataclasses import replace

import pytest

from captoolkit.errors import UsageError
from captoolkit.model import Status
from captoolkit.timeline.editing import (
    SourcePart,
    coalesced,
    described,
    folded,
    moved_parts,
    read_statuses,
    text_matcher,
)
from tests.support.timelines import RATE_HZ, source_of


def part(start_samples: int, end_samples: int, at_samples: int) -> SourcePart:
    """A stretch of a recording of ten seconds."""
    source = source_of(10 * RATE_HZ)
    span = replace(source.span, start_samples=start_samples, end_samples=end_samples)
    return SourcePart(source=source, source_span=span, at_samples=at_samples)


def test_a_part_that_continues_another_is_merged_into_it() -> None:
    """Parts that continue in the recording and on the timeline are one part; others are not."""
    assert coalesced([part(0, 10, 5), part(10, 30, 15)]) == (part(0, 30, 5),)
    apart = (part(0, 10, 5), part(10, 30, 16))
    assert coalesced(apart) == apart


def test_moved_parts_are_cut_to_the_clock() -> None:
    """A part keeps only the stretch from zero to the end of the clock; outside it there is none."""
    assert moved_parts([part(0, 100, 0)], -30, 50) == [part(30, 80, 0)]
    assert moved_parts([part(0, 100, 0)], -100, 50) == []
    assert moved_parts([part(0, 100, 0)], 60, 50) == []


def test_one_description_stands_for_several_recordings() -> None:
    """Names and sizes are joined, facts that differ are `various`, and no hash is claimed."""
    one = part(0, 10, 0)
    other = replace(one, source=replace(one.source, path="/b/c.wav", codec="pcm_s16le"))
    both = described([one, other], one.source, rate_hz=96_000, duration_samples=20)
    assert both.path == "night in the harbour.flac + c.wav"
    assert (both.codec, both.container, both.sha256) == ("various", "flac", "")
    assert both.size_bytes == 2 * one.source.size_bytes
    assert (both.sample_rate_hz, both.duration_samples) == (96_000, 20)


def test_statuses_are_read_from_names() -> None:
    """One name, several names and None are accepted; an unknown name is an error."""
    assert read_statuses("ok") == {Status.OK}
    assert read_statuses([Status.FAILED, "silent"]) == {Status.FAILED, Status.SILENT}
    assert read_statuses(None) == set(Status)
    with pytest.raises(UsageError, match="use ok, failed, silent"):
        read_statuses("lost")


def test_a_search_ignores_case_width_and_line_ends() -> None:
    """A text matches by its folded words, a pattern exactly as it is written."""
    assert text_matcher("owl  CALLS")("An Ｏｗｌ\ncalls.")
    assert not text_matcher(re.compile("owl"))("An OWL calls.")
    assert text_matcher(None)("")
    assert folded("  Ａ\n b ") == "a b"
