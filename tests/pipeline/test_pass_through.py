from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from captoolkit import Prepared, prepare
from captoolkit.errors import InputError, SourceNotFoundError
from captoolkit.events import Event, Progressed
from captoolkit.model import Action
from captoolkit.support import files

EVENTS: list[Event] = []


@pytest.fixture
def speech(fixtures: Path, tmp_path: Path) -> Path:
    """An AMR file that fits as it is."""
    return Path(shutil.copy(fixtures / "speech.amr", tmp_path / "speech.amr"))


@pytest.fixture
def prepared(speech: Path) -> Iterator[Prepared]:
    """A preparation that passes the file through."""
    EVENTS.clear()
    with prepare(speech, on_event=EVENTS.append) as opened:
        assert opened.plan.action is Action.PASS_THROUGH
        yield opened


def test_the_source_is_the_only_segment(prepared: Prepared, speech: Path) -> None:
    """Same file, same bytes; the whole length is reported as progress."""
    (segment,) = prepared
    assert segment.path == speech
    assert segment.sha256 == files.sha256(speech)
    assert segment.size_bytes == speech.stat().st_size
    assert (segment.source_span,) == prepared.plan.spans
    (progress,) = (event for event in EVENTS if isinstance(event, Progressed))
    assert progress.done_s == progress.total_s


def test_discarding_and_closing_keep_the_source(prepared: Prepared, speech: Path) -> None:
    """The source is never removed."""
    (segment,) = prepared
    prepared.discard(segment)
    prepared.close()
    assert speech.is_file()


def test_a_source_that_grows_is_refused(prepared: Prepared, speech: Path) -> None:
    """A file that is still being written is not the file of the plan."""
    with speech.open("ab") as stream:
        stream.write(b"\0" * 32)
    with pytest.raises(InputError, match="it changed while it was being prepared"):
        list(prepared)


def test_a_source_that_disappears_is_refused(prepared: Prepared, speech: Path) -> None:
    """The error names the file."""
    speech.unlink()
    with pytest.raises(SourceNotFoundError) as caught:
        list(prepared)
    assert caught.value.path == str(speech)
