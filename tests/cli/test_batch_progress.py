"""Tests of the progress of a batch on a terminal."""

from __future__ import annotations

import pytest

from captoolkit.cli.batch_progress import BatchBar, describe
from captoolkit.events import BatchProgressed


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
