"""Fixtures of the timeline tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from captoolkit.model import SourceInfo
from tests.support import timelines


@pytest.fixture(scope="session")
def source_of() -> Callable[[int], SourceInfo]:
    """The function that describes a recording of a length in samples."""
    return timelines.source_of


@pytest.fixture(scope="session")
def timeline_of() -> timelines.TimelineOf:
    """The function that makes a timeline of captions, failures and silences."""
    return timelines.timeline_of
