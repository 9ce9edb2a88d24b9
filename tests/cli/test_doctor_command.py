"""`captoolkit doctor`."""

from __future__ import annotations

import json
import sys

import pytest

from tests.cli.conftest import Run


def test_it_shows_what_is_found_and_never_the_key(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ffmpeg, what it encodes, versions and folders; of the key only that it is set."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-doctor-0123456789")
    for argv in (("doctor",), ("doctor", "--json")):
        ran = run(*argv)
        assert ran.status == 0
        assert "libmp3lame" in ran.out
        assert "sk-doctor" not in ran.out + ran.err
    assert json.loads(ran.out)["key (DASHSCOPE_API_KEY)"] == "set"


def test_an_ffmpeg_that_will_not_do_is_status_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's choice is tried, and told when it is no ffmpeg."""
    monkeypatch.setenv("CAPTOOLKIT_FFMPEG", sys.executable)
    ran = run("doctor")
    assert ran.status == 1
    assert "is not an ffmpeg that runs" in ran.err
