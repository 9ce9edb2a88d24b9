"""Captions on standard error as they come."""

from __future__ import annotations

import pytest

from captoolkit.cli.live_text import Streamed
from captoolkit.events import EntryReady, RetryScheduled, TextArrived, Warned
from captoolkit.model import Entry, Span, Status

SPAN = Span(start_samples=0, end_samples=1, rate_hz=1)


def piece(index: int, text: str) -> TextArrived:
    """A piece of a segment's caption."""
    return TextArrived(path="a.wav", index=index, text=text)


def end(index: int, text: str = "", status: Status = Status.OK) -> EntryReady:
    """The end of a segment."""
    entry = Entry(index=index, source_span=SPAN, status=status, text=text)
    return EntryReady(path="a.wav", entry=entry)


def test_segments_that_come_mixed_are_written_one_after_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The first without a caption is seen as it comes; what comes of later ones is kept."""
    with Streamed("a.wav") as screen:
        screen.show(piece(2, "rain"))
        screen.show(piece(1, "A "))
        assert capsys.readouterr().err == "[1] A "
        screen.show(piece(2, " falls"))
        screen.show(Warned(path="a.wav", message="odd"))
        screen.show(piece(1, "dog"))
        screen.show(end(2, "rain falls"))
        assert capsys.readouterr().err == "\nwarning: a.wav: odd\ndog"
        screen.show(end(1, "A dog"))
        assert capsys.readouterr().err == "\n[2] rain falls\n"
        screen.show(end(3, status=Status.FAILED))
        screen.show(end(4, "known already\n\x1b[31mred"))
    assert capsys.readouterr().err == "[3] (no caption)\n[4] known already\n?[31mred\n"


def test_half_a_caption_is_not_taken_for_one(capsys: pytest.CaptureFixture[str]) -> None:
    """A segment that fails after text had come says so, whether or not it was seen."""
    with Streamed("a.wav") as screen:
        screen.show(piece(1, "A do"))
        screen.show(piece(2, "Ra"))
        screen.show(end(2, status=Status.FAILED))
        screen.show(end(1, status=Status.FAILED))
    assert capsys.readouterr().err == "[1] A do\n[1] (no caption)\n[2] (no caption)\n"


def test_a_segment_that_is_asked_again_begins_anew(capsys: pytest.CaptureFixture[str]) -> None:
    """What had come of it is void, and it is said why."""
    with Streamed("a.wav") as screen:
        screen.show(piece(1, "A do"))
        screen.show(RetryScheduled(path="a.wav", index=1, wait_s=1, reason="it broke"))
        screen.show(piece(1, "A cat"))
        screen.show(end(1, "A cat"))
    told = "[1] A do\na.wav: segment 1 is asked about again: it broke\n[1] A cat\n"
    assert capsys.readouterr().err == told
