"""Fixtures of the timeline tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from captoolkit.api.page import page
from captoolkit.model import SourceInfo
from captoolkit.timeline.value import Timeline
from tests.support import timelines
from tests.support.sound import silence, tone, write_wav
from tests.support.timelines import RATE_HZ, TimelineOf
from tests.support.visits import CHROMIUMS, Open, Visit, of_file


@pytest.fixture(scope="session")
def source_of() -> Callable[[int], SourceInfo]:
    """The function that describes a recording of a length in samples."""
    return timelines.source_of


@pytest.fixture(scope="session")
def timeline_of() -> timelines.TimelineOf:
    """The function that makes a timeline of captions, failures and silences."""
    return timelines.timeline_of


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium of this machine."""
    found = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if found is None:
        pytest.skip(f"no browser here: none of {', '.join(CHROMIUMS)} is on PATH")
    options = ["--autoplay-policy=no-user-gesture-required", "--mute-audio"]
    if os.name == "posix" and os.geteuid() == 0:
        options.append("--no-sandbox")  # it refuses to run as root otherwise
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=options)
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Open a page's text as a file; fails if the page reported an error."""
    visits: list[Visit] = []

    def open_page(text: str, *, name: str = "page.html", **options: Any) -> Visit:
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        visits.append(Visit(browser, file, **options))
        return visits[-1]

    yield open_page
    for one in visits:
        one.context.close()
        assert all(url.startswith(("file:", "data:")) for url in one.requests)


@pytest.fixture
def recorded(tmp_path: Path, timeline_of: TimelineOf) -> Timeline:
    """A sound file of eight seconds, and its timeline with a failure and a silence."""
    timeline = timeline_of(
        "A dog barks twice.",
        "Rain.\n\nMore rain, and a dog.",
        "A door",
        "Nothing",
        "Wind",
        "A bell",
        holes=("the service answered 500",),
        silences=1,
    )
    parts = [tone(5.5, rate_hz=RATE_HZ), silence(2.5, rate_hz=RATE_HZ)]
    path = write_wav(tmp_path / "night & day #1.wav", *parts, rate_hz=RATE_HZ)
    return of_file(timeline, path)


@pytest.fixture
def opened(visit: Open, recorded: Timeline, tmp_path: Path) -> Visit:
    """The page of `recorded`, next to the sound file."""
    return visit(page(recorded, folder=tmp_path))
