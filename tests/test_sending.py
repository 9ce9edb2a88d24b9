"""How prepared sound travels to a service: inline, uploaded, or by its URL."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import captoolkit
from captoolkit.errors import UsageError
from captoolkit.model import Via
from captoolkit.timeline import render
from tests.support.model_studio import NATIVE_ANSWER, upload_policy
from tests.support.sound import tone, write_wav

if TYPE_CHECKING:
    from tests.support.recorder import Recorder

ASKED = "/api/v1/services/aigc/multimodal-generation/generation"
SIGNED = "signature=a%2Fb-secret"


def captioned(recorder: Recorder, source: Any, **options: Any) -> captoolkit.Timeline:
    """The timeline of a source, asked of the recorder."""
    data = {"data": upload_policy(recorder.url)}
    recorder.page("/api/v1/uploads", data)
    recorder.page("/oss", b"")
    recorder.page(ASKED, NATIVE_ANSWER)
    timeline = captoolkit.caption(
        source, captioner="dashscope", base_url=f"{recorder.url}/api/v1", **options
    )
    assert timeline.holes == ()
    return timeline


def heard(recorder: Recorder) -> list[str]:
    """What the service was given to hear, in each request."""
    return [
        seen.json["input"]["messages"][0]["content"][0]["audio"]
        for seen in recorder.seen
        if seen.path == ASKED
    ]


@pytest.fixture
def talk(recorder: Recorder, fixtures: Path) -> str:
    """The URL of a file that the service takes as it is."""
    recorder.page("/talk.amr", (fixtures / "speech.amr").read_bytes())
    return f"{recorder.url}/talk.amr?{SIGNED}"


def test_a_public_url_goes_as_it_is(recorder: Recorder, talk: str) -> None:
    """The service fetches it itself: whole, with its query, which nobody else is shown."""
    events: list[object] = []
    timeline = captioned(recorder, talk, via="url", on_event=events.append)
    assert heard(recorder) == [talk]
    assert SIGNED not in render(timeline, "json") + repr(events) + repr(timeline)


def test_a_url_that_does_not_fit_is_prepared_and_goes_another_way(
    recorder: Recorder, fixtures: Path
) -> None:
    """What has to be changed is changed here, and sent inline."""
    recorder.page("/talk.flac", (fixtures / "out-of-phase.flac").read_bytes())
    captioned(recorder, f"{recorder.url}/talk.flac", via="url")
    (sent,) = heard(recorder)
    assert sent.startswith("data:;base64,UklGR")  # RIFF
    captioned(recorder, f"{recorder.url}/talk.flac", via="url", segment="2s")
    assert all(sent.startswith("data:") for sent in heard(recorder))


def test_a_url_with_a_login_is_nobody_elses(recorder: Recorder, talk: str) -> None:
    """User and password are not handed on to the service."""
    with_login = talk.replace("http://", "http://me:hunter2@")
    with pytest.raises(UsageError, match="via=url: the source is no URL that"):
        captioned(recorder, with_login, via="url")
    captioned(recorder, with_login, via="auto")
    assert heard(recorder)[0].startswith("data:")
    assert all("hunter2" not in str(seen.body) for seen in recorder.seen)


def test_each_segment_is_uploaded_before_it_is_asked_about(
    recorder: Recorder, fixtures: Path
) -> None:
    """The bytes that are prepared arrive at the storage, and the request names them."""
    source = fixtures / "hammering-mandarin.flac"
    captioned(recorder, source, via="upload", segment="15s", concurrency=1)
    assert len(heard(recorder)) == 3
    assert len(set(heard(recorder))) == 3
    assert all(name.startswith("oss://") for name in heard(recorder))
    stored = [seen.body for seen in recorder.seen if seen.path == "/oss"]
    with captoolkit.prepare(source, via="upload", segment="15s") as prepared:
        for segment, body in zip(prepared, stored, strict=True):
            assert segment.via is Via.UPLOAD
            assert segment.read_bytes() in body


def test_auto_goes_by_size(recorder: Recorder, tmp_path: Path) -> None:
    """Four minutes of WAV go inline; five do not fit and are uploaded, undamaged."""
    for seconds, beginning in ((230, "data:"), (300, "oss://")):
        recorder.seen.clear()
        file = write_wav(tmp_path / f"{seconds}.wav", tone(seconds, rate_hz=16_000), rate_hz=16_000)
        captioned(recorder, file, via="auto")
        (sent,) = heard(recorder)
        assert sent.startswith(beginning)
        if beginning == "data:":
            assert base64.b64decode(sent.partition(",")[2]) == file.read_bytes()
        else:
            (stored,) = [seen.body for seen in recorder.seen if seen.path == "/oss"]
            assert file.read_bytes() in stored


def test_a_plan_says_which_way(fixtures: Path) -> None:
    """Before anything is made or sent."""
    plan = captoolkit.plan(fixtures / "out-of-phase.flac", via="auto")
    assert plan.via is Via.BASE64
    assert plan.reasons[-1].startswith("It is sent inside the request")


def test_a_captioner_of_ones_own_is_handed_segments(fixtures: Path) -> None:
    """The local captioner takes one way, whatever is left to choose; another is refused."""
    timeline = captoolkit.caption(fixtures / "speech.amr", via="auto")
    assert json.loads(render(timeline, "json"))["entries"][0]["status"] == "ok"
    with pytest.raises(UsageError, match="takes no sound that way"):
        captoolkit.caption(fixtures / "speech.amr", via="upload")
