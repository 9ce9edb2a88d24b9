"""Tests of the progress of a batch on a terminal."""

from __future__ import annotations

import json

import pytest

from captoolkit.cli import show
from captoolkit.cli.batch_progress import BatchBar, describe
from captoolkit.events import BatchProgressed, RetryScheduled, Warned


def test_the_bar_shows_rate_and_cost(capfd: pytest.CaptureFixture[str]) -> None:
    """Without a terminal nothing is drawn, and the last progress is kept for the end."""
    progress = BatchProgressed(
        path="out", total=None, done=12, failed=0, kept=0, running=2, requested=30, recalled=1
    )
    assert describe(progress) == "12, 30 requests"
    with BatchBar("caption") as bar:
        bar.show(progress)
    assert bar.last is progress
    assert capfd.readouterr() == ("", "")


def test_progress_as_json_is_an_object_a_second_and_one_at_the_end(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Warnings are objects as well; retries are lines of -v."""
    show.configure(progress="json")
    with BatchBar("prepare") as bar:
        for number in range(9):
            bar.show(
                BatchProgressed(
                    path="out",
                    total=8,
                    done=number,
                    failed=0,
                    kept=2,
                    running=1,
                    elapsed_s=number / 4,
                )
            )
        bar.show(Warned(path="a.wav", message="it is short"))
        bar.show(RetryScheduled(path="a.wav", index=1, wait_s=1, reason="it broke"))
    events = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [event.get("done") for event in events] == [0, 4, 8, None]
    assert events[0]["event"] == "progress"
    assert (events[0]["total"], events[0]["kept"], events[0]["running"]) == (8, 2, 1)
    assert events[-1] == {"event": "warning", "input": "a.wav", "text": "it is short"}


def test_retries_are_lines_of_verbose(capfd: pytest.CaptureFixture[str]) -> None:
    """Without -v a service that throttles prints no line for each request."""
    retry = RetryScheduled(path="a.wav", index=1, wait_s=1, reason="it broke")
    for is_verbose in (False, True):
        show.configure(is_verbose=is_verbose)
        with BatchBar("caption") as bar:
            bar.show(retry)
    assert capfd.readouterr().err == "a.wav: segment 1 is requested again: it broke\n"
