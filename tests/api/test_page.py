"""Pages with the sound of their recording, and pictures of plans."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import re
import sys
import zlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

import captoolkit
from captoolkit.api import page as picturing
from captoolkit.errors import UsageError
from captoolkit.media import measure_file
from captoolkit.media.probe_file import probe
from captoolkit.model import Status
from captoolkit.timeline import Provenance, losses
from captoolkit.timeline.value import Timeline
from tests.support.sound import silence, tone, write_wav

RATE_HZ = 16_000


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A WAV file of six seconds: a tone, a pause, a tone."""
    parts = [tone(2.5, rate_hz=RATE_HZ), silence(1, rate_hz=RATE_HZ), tone(2.5, rate_hz=RATE_HZ)]
    return write_wav(tmp_path / "a tone.wav", *parts, rate_hz=RATE_HZ)


@pytest.fixture
def timeline(sound: Path) -> Timeline:
    """The timeline of that file by the local captioner."""
    return captoolkit.caption(sound, segment=3)


def data_of(page: str) -> dict[str, object]:
    """The data of the page's script."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert found is not None
    read: dict[str, object] = json.loads(found[1])
    return read


@pytest.mark.parametrize(
    "name", ["\ud800.wav", "a\0b.wav", "long" * 2000], ids=["half", "nul", "long"]
)
def test_a_name_that_no_file_can_have_is_a_missing_recording(
    name: str, timeline: Timeline, tmp_path: Path
) -> None:
    """A timeline from elsewhere may hold any path and any note; its page can be written."""
    source = dataclasses.replace(timeline.source, path=f"/in/{name}")
    odd = dataclasses.replace(timeline, source=source, notes=("half \ud800 a letter",))
    text = captoolkit.page(odd, timeline_folder=tmp_path)
    assert "sound, because" in text
    assert "half \ufffd a letter" in text
    text.encode()


def test_a_page_has_the_waveform_and_the_place_of_its_recording(
    timeline: Timeline, sound: Path
) -> None:
    """The page looks for its recording at the relative path, the old path, in its folder."""
    beside = captoolkit.page(timeline, folder=sound.parent)
    assert data_of(beside)["envelope"] is not None
    assert 'src="a%20tone.wav"' in beside
    assert data_of(beside)["places"] == ["a%20tone.wav", sound.as_uri()]
    below = data_of(captoolkit.page(timeline, folder=sound.parent / "pages"))
    assert below["places"] == ["../a%20tone.wav", sound.as_uri(), "a%20tone.wav"]
    (sound.parent / "pages").mkdir()
    (sound.parent / "pages" / "a tone.wav").write_bytes(b"another file")
    other = data_of(captoolkit.page(timeline, folder=sound.parent / "pages"))
    assert other["places"] == ["../a%20tone.wav", sound.as_uri()]
    assert data_of(captoolkit.page(timeline))["places"] == [sound.as_uri()]


def test_a_recording_that_moved_with_its_timeline_is_found(
    timeline: Timeline, sound: Path, tmp_path: Path
) -> None:
    """A recording is found beside its timeline, or below a folder that moved with it."""
    for place in ("moved/a tone.wav", f"again/out/../{sound.parent.name}/a tone.wav"):
        (tmp_path / "again" / "out").mkdir(parents=True, exist_ok=True)
        moved = tmp_path / place
        moved.parent.mkdir(parents=True, exist_ok=True)
        sound = sound.rename(moved)
        folder = tmp_path / place.split("/")[0] / ("out" if "out" in place else "")
        page = captoolkit.page(timeline, timeline_folder=folder)
        assert data_of(page)["places"] == [sound.resolve().as_uri()]
    other = tmp_path / "other" / "a tone.wav"
    other.parent.mkdir()
    other.write_bytes(sound.read_bytes()[:-4] + b"abcd")
    page = captoolkit.page(timeline, timeline_folder=other.parent)
    assert "There is no sound, because no such file" in page.replace("\n", " ")


def test_a_timeline_with_its_envelope_needs_no_decode(timeline: Timeline, sound: Path) -> None:
    """A page of a timeline with an envelope has a waveform without its recording."""
    assert timeline.envelope is not None
    with_sound = data_of(captoolkit.page(timeline))["envelope"]
    sound.unlink()
    page = captoolkit.page(timeline)
    assert data_of(page)["envelope"] == with_sound
    assert "There is no sound, because" in page
    before = dataclasses.replace(timeline, envelope=None)
    assert data_of(captoolkit.page(before))["envelope"] is None


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="its names are always Unicode")
def test_a_name_that_is_no_unicode_is_linked(sound: Path) -> None:
    """The bytes of a file name are percent-encoded in the link."""
    odd = sound.rename(os.fsdecode(os.fsencode(sound.parent) + b"/caf\xe9: 100%.wav"))
    page = captoolkit.page(captoolkit.caption(odd), folder=odd.parent)
    assert 'src="caf%E9%3A%20100%25.wav"' in page
    assert page.encode("utf-8")


def test_without_its_recording_a_page_says_what_is_missing(timeline: Timeline, sound: Path) -> None:
    """A missing, broken or changed recording gives one sentence and no waveform."""
    told = {}
    sound.write_bytes(b"no sound at all")
    told["broken"] = captoolkit.page(timeline)
    write_wav(sound, tone(4, rate_hz=RATE_HZ), rate_hz=RATE_HZ)
    told["it lasts 0:04.000, not 0:06.000"] = captoolkit.page(timeline)
    sound.unlink()
    told["no such file"] = captoolkit.page(timeline)
    for path in ("source", "https://example.com/a.wav"):
        source = dataclasses.replace(timeline.source, path=path)
        elsewhere = dataclasses.replace(timeline, source=source)
        told[f"no file on a disk {path}"] = captoolkit.page(elsewhere)
    for page in told.values():
        assert "There is no sound, because " in page
        assert data_of(page)["envelope"] is not None
        assert "<audio" in page
        assert " src=" not in page.partition("<audio")[2].partition(">")[0]
    assert "it lasts 0:04.000, not 0:06.000" in told["it lasts 0:04.000, not 0:06.000"]


def test_another_recording_of_the_same_length_is_not_shown(timeline: Timeline, sound: Path) -> None:
    """A recording with another size or other bytes is not linked, and the page says so."""
    write_wav(sound, tone(6, rate_hz=RATE_HZ), rate_hz=RATE_HZ)
    assert sound.stat().st_size == timeline.source.size_bytes
    other_bytes = captoolkit.page(timeline)
    sound.write_bytes(sound.read_bytes() + b"LIST\x04\x00\x00\x00INFO")
    larger = captoolkit.page(timeline)
    for page, why in [
        (other_bytes, "it is as large as it was and has other bytes"),
        (larger, "it has 192,056 bytes, not 192,044"),
    ]:
        assert f"because the file has changed since it was captioned: {why}." in page
    with pytest.raises(UsageError, match="has changed since it was captioned"):
        captoolkit.page(timeline, embed_audio=True)


def test_a_timeline_of_stretches_says_where_they_are_from(timeline: Timeline, sound: Path) -> None:
    """A sentence names the recordings and their places if the clock is not a recording's own."""
    told = "no sound, because the timeline&#39;s clock is no recording&#39;s own: at "
    for odd, expected in [
        (
            timeline.slice(2, 4, from_zero=True),
            "0:00.000 lies a tone.wav from 0:02.000 to 0:04.000.",
        ),
        (timeline.shifted(1), "0:01.000 lies a tone.wav from 0:00.000 to 0:06.000."),
        (
            Timeline.joined([timeline.slice(0, 1, from_zero=True)] * 5),
            "0:02.000 lies a tone.wav from 0:00.000 to 0:01.000, and 2 more.",
        ),
    ]:
        page = captoolkit.page(odd, folder=sound.parent)
        assert told in page
        assert expected in page
        assert data_of(page)["envelope"] is None
    pieces = [timeline.slice(None, 3, from_zero=True), timeline.slice(3, from_zero=True)]
    assert data_of(captoolkit.page(Timeline.joined(pieces)))["envelope"] is not None


def test_a_recording_is_put_into_the_page_only_if_it_is_small(
    timeline: Timeline, sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording that cannot be embedded is an error."""
    page = captoolkit.page(timeline, embed_audio=True)
    assert page.count('src="data:audio/wav;base64,') == page.count("data:audio/wav;base64,") == 1
    monkeypatch.setattr(picturing, "MAX_EMBEDDED_BYTES", 1000)
    with pytest.raises(UsageError, match=r"192\.04 kB, and at most 1\.00 kB go into a page"):
        captoolkit.page(timeline, embed_audio=True)
    sound.unlink()
    with pytest.raises(UsageError, match="cannot be put into the page"):
        captoolkit.page(timeline, embed_audio=True)


def test_another_track_than_the_one_that_plays_is_told(fixtures: Path) -> None:
    """A browser plays the default track; the page says so if another one was captioned."""
    of_second = captoolkit.caption(fixtures / "two-languages.mp4", track=2)
    assert "The captions are of sound track 2" in captoolkit.page(of_second)
    of_first = captoolkit.caption(fixtures / "two-languages.mp4", track=1)
    assert "The captions are of" not in captoolkit.page(of_first)


def test_the_envelope_of_a_decoded_recording_comes_with_its_captions(sound: Path) -> None:
    """Captioning measures the envelope while it decodes: the same one as a decode of its own."""
    timeline = captoolkit.caption(sound, segment=2, jobs=2)
    track = probe(str(sound)).default_track
    assert timeline.envelope == measure_file.envelope(sound, track)
    skipped = captoolkit.caption(sound, segment=2, skip_silence=1)
    assert skipped.envelope is not None
    assert skipped.envelope.duration_samples == 6 * RATE_HZ


def test_a_spectrogram_is_shown_on_request(timeline: Timeline) -> None:
    """The page has a spectrogram if that is requested, and states its size."""
    page = captoolkit.page(timeline, spectrogram=True)
    assert data_of(page)["spectrogram"] is not None
    assert re.search(r"The spectrogram below it takes [\d.]+ k?B of this page", page)
    assert data_of(captoolkit.page(timeline))["spectrogram"] is None


def test_a_shareable_page_holds_nothing_that_only_its_maker_needs(
    timeline: Timeline, sound: Path
) -> None:
    """Folders, the service's address, prompts, request numbers and messages are left out."""
    address = "http://10.0.0.5:8000/v1"
    entries = [
        dataclasses.replace(entry, request_id=f"request-{entry.index}")
        for entry in timeline.entries
    ]
    entries[-1] = dataclasses.replace(
        entries[-1], status=Status.FAILED, error="10.0.0.5:8000 cannot be reached"
    )
    made = dataclasses.replace(
        timeline,
        captioner=dataclasses.replace(timeline.captioner, base_url=address),
        entries=tuple(entries),
        made_by=Provenance(verb="caption", options={"prompt": "my words", "base_url": address}),
    )
    private = (address, "cannot be reached", "request-1", "my words", str(sound.parent))

    def content(*, shareable: bool = False) -> str:
        page = captoolkit.page(made, folder=sound.parent, shareable=shareable)
        packed = str(data_of(page)["timeline"])
        return page + zlib.decompress(base64.b64decode(packed)).decode()

    assert all(text in content() for text in private)
    shared = content(shareable=True)
    assert not any(text in shared for text in private)
    assert made.entries[0].text in shared
    page = captoolkit.page(made, folder=sound.parent / "pages", shareable=True)
    assert data_of(page)["places"] == ["a%20tone.wav"]
    (loss,) = losses(made, "html")
    assert address in loss
    assert losses(timeline, "html") == []


def test_entries_out_of_order_are_refused(timeline: Timeline) -> None:
    """A page refuses entries out of order, like every format."""
    reversed_entries = dataclasses.replace(timeline, entries=timeline.entries[::-1])
    with pytest.raises(UsageError, match="entry 2"):
        captoolkit.page(reversed_entries)


def test_a_preparation_draws_what_is_planned_and_then_what_was_made(sound: Path) -> None:
    """A planned cut has a reach; a final cut has none and is in the pause."""
    with captoolkit.prepare(sound, segment=4) as work:
        planned = Xml.fromstring(work.picture())
        list(work)
        made = Xml.fromstring(work.picture())
    assert "how far a cut may move" in "".join(planned.itertext())
    assert "how far a cut may move" not in "".join(made.itertext())
    assert "1 | 2 · silence at 0:0" in "".join(made.itertext())
    with pytest.raises(UsageError, match="closed"):
        work.picture()


@pytest.mark.parametrize("options", [{}, {"format": "mp3"}, {"parts": 3}])
def test_a_plan_marks_the_cuts_that_prepare_makes(fixtures: Path, options: dict[str, Any]) -> None:
    """The planned close-ups have the same captions as the final ones."""
    how = {"segment": 8, **options} if "parts" not in options else options
    with captoolkit.prepare(fixtures / "hammering-mandarin.flac", **how) as work:
        planned = re.findall(r"\d \| \d · [^<]*", work.picture())
        list(work)
        made = re.findall(r"\d \| \d · [^<]*", work.picture())
    assert len(made) == len(work.plan.spans) - 1
    assert planned == made


def test_a_source_that_is_no_file_is_drawn_too(sound: Path) -> None:
    """A recording given as bytes can be drawn."""
    with captoolkit.prepare(sound.read_bytes(), segment=4) as work:
        assert "6.0 s in 2 segments" in work.picture()
