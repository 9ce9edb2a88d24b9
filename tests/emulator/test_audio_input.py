from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from captoolkit.emulator import audio_input
from captoolkit.emulator.audio_input import Fetcher
from captoolkit.emulator.refusals import RefusedError
from captoolkit.emulator.storage import Uploads
from captoolkit.model import Target
from captoolkit.services import catalogue
from tests.emulator.conftest import CAPTIONER, beep, data_uri
from tests.support.recorder import Recorder

ROW = catalogue.target("qwen3-omni-captioner")
SMALL = catalogue.target("qwen-audio")  # takes 10 MB by URL


def fetcher(folder: Path, target: Target = ROW) -> Fetcher:
    """One that brings audio to a folder."""
    storage = Uploads(folder)
    return Fetcher(folder=folder, target=target, model=CAPTIONER, uploads=storage, resolves=True)


@pytest.mark.parametrize("media_type", ["", "audio/wav", "audio/mpeg;codecs=x"])
def test_a_data_uri_is_decoded(tmp_path: Path, media_type: str) -> None:
    """Whatever media type it names, and none."""
    sound = beep()
    uri = data_uri(sound).replace("data:", f"data:{media_type}")
    fetched = fetcher(tmp_path).fetch(uri, "0")
    assert fetched.path.read_bytes() == sound
    assert fetched.sha256 == hashlib.sha256(sound).hexdigest()


@pytest.mark.parametrize(
    "reference",
    [
        "data:audio/wav,RIFF",
        "data:;base64,A",
        "data:;base64,QUI=\n",
        "data:;base64,é",
        "UklGRgAA",
        "file:///etc/passwd",
        "ftp://127.0.0.1/a.wav",
        "http://[::1/a.wav",
        "http:///a.wav",
        "",
    ],
)
def test_what_is_no_reference_is_refused(tmp_path: Path, reference: str) -> None:
    """Bare Base64 text and files of this machine too, in the service's words."""
    with pytest.raises(RefusedError, match="does not appear to be valid"):
        fetcher(tmp_path).fetch(reference, "0")


def test_a_url_on_this_machine_is_fetched(tmp_path: Path, recorder: Recorder) -> None:
    """With its query, and without anybody's key."""
    sound = beep()
    recorder.answer(sound, headers={"Content-Length": str(len(sound))})
    fetched = fetcher(tmp_path).fetch(f"{recorder.url}/a.wav?token=1", "0")
    assert fetched.path.read_bytes() == sound
    (seen,) = recorder.seen
    assert (seen.method, seen.path) == ("GET", "/a.wav?token=1")
    assert "authorization" not in seen.headers


@pytest.mark.parametrize("host", ["example.com", "192.0.2.1", "127.0.0.1.example.com", "0.0.0.0"])
def test_no_other_host_is_asked(tmp_path: Path, host: str) -> None:
    """A rehearsal does not leave the machine."""
    with pytest.raises(RefusedError, match="Failed to download multimodal content"):
        fetcher(tmp_path).fetch(f"http://{host}/a.wav", "0")


@pytest.mark.parametrize(
    ("status", "headers", "refusal"),
    [
        (404, {}, "Failed to download"),
        (302, {"Location": "/b.wav"}, "Failed to download"),
        (403, {}, "Don't have authorization"),
        (200, {"Content-Length": "10000001"}, "file size is too large"),
        (200, {"Content-Length": "9"}, "Failed to download"),
    ],
)
def test_a_media_host_that_does_not_give_the_file(
    tmp_path: Path, recorder: Recorder, status: int, headers: dict[str, str], refusal: str
) -> None:
    """Redirects are not followed, sizes are believed where they refuse, halves are not taken."""
    recorder.answer(b"half", status=status, headers=headers)
    with pytest.raises(RefusedError, match=refusal):
        fetcher(tmp_path, SMALL).fetch(f"{recorder.url}/a.wav", "0")


def test_a_media_host_must_say_how_long_the_file_is(tmp_path: Path, recorder: Recorder) -> None:
    """As at the service, a body without a length is refused."""
    recorder.pour(1 << 20)
    with pytest.raises(RefusedError, match="Missing Content-Length of multimodal url"):
        fetcher(tmp_path).fetch(f"{recorder.url}/a.wav", "0")


def test_a_media_host_that_hangs_is_given_up(
    tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the words for a timeout."""
    monkeypatch.setattr(audio_input, "WAIT_S", 0.1)
    recorder.hang()
    with pytest.raises(RefusedError, match="Download multimodal file timed out"):
        fetcher(tmp_path).fetch(f"{recorder.url}/a.wav", "0")
