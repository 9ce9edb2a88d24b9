"""Tests of the audio of a request: fetched, accepted, measured."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import captoolkit
from captoolkit.emulator import audio_input
from captoolkit.emulator.audio_input import AudioFetcher, accept, measure
from captoolkit.emulator.refusals import RefusedError
from captoolkit.emulator.storage import UploadStorage
from captoolkit.model import Target
from captoolkit.services import catalogue
from captoolkit.support.cancel import StoppedError
from tests.support.emulator_requests import CAPTIONER, beep, data_uri
from tests.support.recorder import Recorder
from tests.support.sound import silence, tone, write_wav

CAPTIONER_ROW = catalogue.target("qwen3-omni-captioner")
RATE_HZ = 8000
QWEN_AUDIO = catalogue.target("qwen-audio")  # takes 10 MB by URL


def fetcher(folder: Path, target: Target = CAPTIONER_ROW) -> AudioFetcher:
    """Return a fetcher that brings audio to a folder."""
    storage = UploadStorage(folder)
    return AudioFetcher(
        folder=folder, target=target, model=CAPTIONER, uploads=storage, resolves=True
    )


@pytest.mark.parametrize("media_type", ["", "audio/wav", "audio/mpeg;codecs=x"])
def test_a_data_uri_is_decoded(tmp_path: Path, media_type: str) -> None:
    """The media type may be any, or missing."""
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
def test_other_references_are_refused(tmp_path: Path, reference: str) -> None:
    """So are bare Base64 text and local files, with the service's message."""
    with pytest.raises(RefusedError, match="does not appear to be valid"):
        fetcher(tmp_path).fetch(reference, "0")


def test_a_url_on_this_machine_is_fetched(tmp_path: Path, recorder: Recorder) -> None:
    """The download keeps the URL's query and sends no key."""
    sound = beep()
    recorder.answer(sound, headers={"Content-Length": str(len(sound))})
    fetched = fetcher(tmp_path).fetch(f"{recorder.url}/a.wav?token=1", "0")
    assert fetched.path.read_bytes() == sound
    (seen,) = recorder.seen
    assert (seen.method, seen.path) == ("GET", "/a.wav?token=1")
    assert "authorization" not in seen.headers


@pytest.mark.parametrize("host", ["example.com", "192.0.2.1", "127.0.0.1.example.com", "0.0.0.0"])
def test_no_other_host_is_contacted(tmp_path: Path, host: str) -> None:
    """The emulator does not connect to other machines."""
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
def test_a_failed_download_is_refused(
    tmp_path: Path, recorder: Recorder, status: int, headers: dict[str, str], refusal: str
) -> None:
    """Redirects are not followed; a large announced size and an incomplete body are refused."""
    recorder.answer(b"half", status=status, headers=headers)
    with pytest.raises(RefusedError, match=refusal):
        fetcher(tmp_path, QWEN_AUDIO).fetch(f"{recorder.url}/a.wav", "0")


def test_a_download_needs_a_content_length(tmp_path: Path, recorder: Recorder) -> None:
    """As at the service, a body without a length is refused."""
    recorder.pour(1 << 20)
    with pytest.raises(RefusedError, match="Missing Content-Length of multimodal url"):
        fetcher(tmp_path).fetch(f"{recorder.url}/a.wav", "0")


def test_a_download_that_hangs_times_out(
    tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal is the one for a timeout."""
    monkeypatch.setattr(audio_input, "READ_TIMEOUT_S", 0.1)
    recorder.hang()
    with pytest.raises(RefusedError, match="Download multimodal file timed out"):
        fetcher(tmp_path).fetch(f"{recorder.url}/a.wav", "0")


# ---------------------------------------------------------------------------- accept, measure

Convert = Callable[[Path, Path, Sequence[str]], Path]


def test_the_description_is_the_local_captioners(fixtures: Path) -> None:
    """The description of a whole file is identical, each time."""
    path = fixtures / "tones-and-silences.wav"
    (entry,) = captoolkit.caption(path).entries
    sound = accept(path, CAPTIONER_ROW)
    texts = {measure(sound, threading.Event()) for _ in range(2)}
    assert texts == {f"{entry.text}\n\n{entry.details}"}


def test_qwen_audio_hears_the_first_thirty_seconds(tmp_path: Path) -> None:
    """The rest is neither counted nor measured, to the sample."""
    begin = tone(30, rate_hz=RATE_HZ)
    path = write_wav(tmp_path / "a.wav", begin, silence(15, rate_hz=RATE_HZ), rate_hz=RATE_HZ)
    alone = write_wav(tmp_path / "b.wav", begin, rate_hz=RATE_HZ)
    heard = [accept(one, QWEN_AUDIO) for one in (path, alone)]
    assert [sound.duration_s for sound in heard] == [30, 30]
    cut, whole = (measure(sound, threading.Event()) for sound in heard)
    assert cut == whole


def test_forty_minutes_are_taken_and_a_sample_more_is_not(tmp_path: Path) -> None:
    """The captioner's limit is exact to the sample."""
    samples = np.zeros((2400 * RATE_HZ + 1, 1), np.float32)
    longest = write_wav(tmp_path / "a.wav", samples[:-1], rate_hz=RATE_HZ, subtype="PCM_U8")
    assert accept(longest, CAPTIONER_ROW).duration_s == Fraction(2400)
    longer = write_wav(tmp_path / "b.wav", samples, rate_hz=RATE_HZ, subtype="PCM_U8")
    with pytest.raises(RefusedError, match="The audio is too long"):
        accept(longer, CAPTIONER_ROW)


def test_a_format_that_the_models_page_does_not_list_is_refused(
    tmp_path: Path, convert: Convert, fixtures: Path
) -> None:
    """The page lists AAC, but not FLAC."""
    source = fixtures / "tones-and-silences.wav"
    with pytest.raises(RefusedError, match="Input file format is not supported"):
        accept(convert(source, tmp_path / "a.flac", []), CAPTIONER_ROW)
    aac = convert(source, tmp_path / "a.aac", [])
    assert accept(aac, CAPTIONER_ROW).track.codec == "aac"


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (b"", "The audio is empty"),
        (b"RIFF", "cannot be opened"),
        (b"this is no audio at all" * 100, "cannot be opened"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "cannot be opened"),
    ],
)
def test_a_file_without_audio_is_refused(tmp_path: Path, content: bytes, refusal: str) -> None:
    """So are an empty file, half a header, text and playlists."""
    path = tmp_path / "clip"
    path.write_bytes(content)
    with pytest.raises(RefusedError, match=refusal):
        accept(path, CAPTIONER_ROW)


def test_a_header_without_a_sample_is_empty(tmp_path: Path) -> None:
    """A WAV file without samples is refused as empty."""
    path = write_wav(tmp_path / "a.wav", np.zeros((0, 1), np.float32), rate_hz=RATE_HZ)
    with pytest.raises(RefusedError, match="The audio is empty"):
        accept(path, CAPTIONER_ROW)


def test_the_stop_event_ends_a_measurement(tmp_path: Path) -> None:
    """Closing the emulator does not wait for a long clip."""
    path = write_wav(tmp_path / "a.wav", silence(5, rate_hz=RATE_HZ), rate_hz=RATE_HZ)
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        measure(accept(path, CAPTIONER_ROW), stop)
