"""Timelines to write: one second for each entry, on a 48 kHz clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from captoolkit.model import CaptionerInfo, Entry, SourceInfo, Span, Status
from captoolkit.timeline.value import Timeline

RATE_HZ = 48_000


@pytest.fixture(scope="session")
def source_of() -> Callable[[int], SourceInfo]:
    """Return a function that describes a recording of so many samples."""
    return _source


@pytest.fixture(scope="session")
def timeline_of() -> Callable[..., Timeline]:
    """Return a function that makes a timeline: captions, then holes, then silences."""
    return _timeline


def _source(duration_samples: int) -> SourceInfo:
    return SourceInfo(
        path="/recordings/night in the harbour.flac",
        sha256="ab" * 32,
        size_bytes=123_456,
        container="flac",
        codec="flac",
        sample_rate_hz=RATE_HZ,
        channels=2,
        track=1,
        duration_samples=duration_samples,
    )


def _timeline(*texts: str, holes: tuple[str, ...] = (), silences: int = 0) -> Timeline:
    """Return captions, then holes with these reasons, then silences."""
    said = [
        *((Status.OK, text, None) for text in texts),
        *((Status.FAILED, "", reason) for reason in holes),
        *((Status.SILENT, "", None) for _ in range(silences)),
    ]
    entries = tuple(
        Entry(
            index=index,
            source_span=Span(
                start_samples=(index - 1) * RATE_HZ, end_samples=index * RATE_HZ, rate_hz=RATE_HZ
            ),
            status=status,
            text=text,
            error=error,
        )
        for index, (status, text, error) in enumerate(said, 1)
    )
    return Timeline(
        source=_source(len(entries) * RATE_HZ),
        captioner=CaptionerInfo(name="acoustic", model="acoustic-1"),
        entries=entries,
    )
