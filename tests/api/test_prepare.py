"""The verb `prepare`."""

from __future__ import annotations

import http.server
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from captoolkit.api.prepare import prepare
from captoolkit.api.probe import probe
from captoolkit.errors import (
    NoAudioError,
    NotMediaError,
)
from captoolkit.events import Event, Progressed, SegmentReady, Started
from captoolkit.model import Span
from tests.support.frame_files import TAILS, indexed, with_information_packet
from tests.support.preparations import (
    MP3_PIECES,
    PIECES,
    listing,
)
from tests.support.processes import has_children
from tests.support.sound import Convert

pytestmark = pytest.mark.usefixtures("spool")


def test_chosen_track_is_prepared(fixtures: Path) -> None:
    """A language selects the sound track."""
    path = fixtures / "two-languages.mp4"
    with prepare(path, track="zho", format="wav") as prepared:
        (segment,) = prepared
        assert prepared.source.track == 2
    assert segment.source_span == Span(start_samples=0, end_samples=110_250, rate_hz=22_050)
    with pytest.raises(NoAudioError, match="no sound track 3"):
        prepare(path, track=3)


def test_prepare_only_plans(talk: Path, spool: Path) -> None:
    """Before the first segment is requested there is no event, no file and no child process."""
    events: list[Event] = []
    with prepare(talk, on_event=events.append, **MP3_PIECES) as prepared:
        assert (events, listing(spool), prepared.segments) == ([], [], ())
        assert not has_children()


def test_events_arrive_in_order(talk: Path) -> None:
    """`Started` is first, progress only grows, and each segment is reported once."""
    events: list[Event] = []
    with prepare(talk, on_event=events.append, **MP3_PIECES) as prepared:
        segments = list(prepared)
    assert events[0] == Started(path=str(talk), plan=prepared.plan)
    progress = [event for event in events if isinstance(event, Progressed)]
    assert [one.done_s for one in progress] == sorted({one.done_s for one in progress})
    assert (progress[-1].done_s, progress[-1].total_s) == (24.0, 24.0)
    ready = [event.segment for event in events if isinstance(event, SegmentReady)]
    assert ready == segments
    assert {event.path for event in events} == {str(talk)}


@pytest.mark.parametrize("name", ["not-media.wav", "empty.wav", "playlist.mp3"])
def test_file_that_is_no_media_is_refused(fixtures: Path, name: str) -> None:
    """The error comes before anything is made."""
    with pytest.raises(NotMediaError):
        prepare(fixtures / name)


def test_url_is_downloaded_and_named_without_secrets(talk: Path, tmp_path: Path) -> None:
    """A URL gives the same segments as the file, and its query appears nowhere."""

    class Shelf(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(talk.parent))

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/{talk.name}?signature=secret"
        prepare(url, **PIECES).save(tmp_path / "web")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    prepare(talk, **PIECES).save(tmp_path / "disk")
    manifests = [(tmp_path / way / f"{talk.stem}.manifest.json") for way in ("web", "disk")]
    web, disk = (json.loads(path.read_text(encoding="utf-8")) for path in manifests)
    assert web["segments"] == disk["segments"]
    assert web["source"]["path"] == url.partition("?")[0]
    assert "secret" not in manifests[0].read_text(encoding="utf-8")


@pytest.mark.parametrize("tail", ["ape with a picture", "many zeros", "lyrics3v2", "text"])
def test_what_follows_the_last_frame_is_not_encoded(
    talk: Path, convert: Convert, tmp_path: Path, tail: str
) -> None:
    """An encoded segment ends with the recording, without a warning, also for libsndfile."""
    path = convert(talk, tmp_path / "talk.mp3", ["-ar", "44100", "-id3v2_version", "0"])
    path.write_bytes(path.read_bytes() + TAILS[tail])
    with prepare(path, format="wav", sample_rate_hz=44_100) as prepared:
        (segment,) = prepared
        frames = soundfile.info(segment.path).frames
    assert prepared.warnings == ()
    assert frames == segment.source_span.samples == 24 * 44_100


@pytest.mark.parametrize("ending", ["mka", "avi"])
def test_an_information_packet_causes_no_cut(
    talk: Path, convert: Convert, tmp_path: Path, ending: str
) -> None:
    """MP3 whose first packet is its Xing or Info frame stays one segment, with all its frames."""
    plain = convert(talk, tmp_path / "talk.mp3", ["-b:a", "64k"])
    path = with_information_packet(plain.read_bytes(), convert, tmp_path / f"packed.{ending}")
    sizes = indexed(plain).sizes
    with prepare(path) as prepared:
        (segment,) = prepared
        assert (indexed(segment.path).sizes == sizes).all()
    with prepare(path, parts=2) as prepared:
        pieces = [indexed(one.path).sizes for one in prepared]
        ends = [one.source_span.end_s for one in prepared]
    assert (np.concatenate(pieces) == sizes).all()
    assert ends[-1] == probe(path).tracks[0].duration_s
