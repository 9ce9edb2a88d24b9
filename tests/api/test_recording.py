"""A source is opened after the options are read: an invalid option costs no request and no copy."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import captoolkit
from captoolkit.api.recording import open_file, open_recording
from captoolkit.errors import CaptoolkitError, InputError, NoAudioError, UsageError
from captoolkit.planning.options import ParsedOptions
from tests.support.clocked_files import ClockedFiles
from tests.support.sound import tone, write_wav
from tests.support.web import Web

Verb = Callable[..., Any]


def acaption(source: str, **options: Any) -> object:
    """Call the coroutine."""
    return asyncio.run(captoolkit.acaption(source, **options))


def ask(source: str, **options: Any) -> object:
    """Ask a question about a source."""
    with captoolkit.Conversation(**{"api_key": "sk-test", **options}) as conversation:
        return conversation.ask("What is it?", audio=source)


PLANNED: tuple[Verb, ...] = (
    captoolkit.plan,
    captoolkit.prepare,
    captoolkit.caption,
    captoolkit.captions,
    acaption,
)
CUT: tuple[Verb, ...] = (*PLANNED, captoolkit.split)
CAPTIONED: tuple[Verb, ...] = (captoolkit.caption, captoolkit.captions, acaption)
RUN: tuple[Verb, ...] = (captoolkit.prepare, captoolkit.split, *CAPTIONED)
# Options that no recording can satisfy, and the verbs that take them.
INVALID: tuple[tuple[tuple[Verb, ...], dict[str, Any]], ...] = (
    (CUT, {"segment": "soon"}),
    (CUT, {"segment": 0}),
    (CUT, {"max_segment": "0s"}),
    (CUT, {"max_segment": "0.5s"}),
    (CUT, {"parts": 0}),
    (CUT, {"parts": "three"}),
    (CUT, {"track": 0}),
    (CUT, {"track": 1.5}),
    (CUT, {"max_duration": "for ever"}),
    (PLANNED, {"target": "unheard-of"}),
    (PLANNED, {"via": "pigeon"}),
    (PLANNED, {"format": "opus"}),
    (PLANNED, {"format": "aac", "target": "vllm"}),
    (PLANNED, {"quality": "best"}),
    (PLANNED, {"effort": "some"}),
    (PLANNED, {"bit_rate": "loud"}),
    (PLANNED, {"bit_rate": 5}),
    (PLANNED, {"format": "wav", "bit_rate": "64k"}),
    (PLANNED, {"format": "mp3", "sample_rate_hz": 12_345}),
    (PLANNED, {"sample_rate_hz": 16e3}),
    (PLANNED, {"channels": 3}),
    (PLANNED, {"skip_silence": "0.1s"}),
    (RUN, {"jobs": 0}),
    (RUN, {"jobs": "all"}),
    (RUN, {"on_event": "print"}),
    ((captoolkit.split,), {"exact": "yes"}),
    ((captoolkit.split,), {"at": "silences"}),
    ((captoolkit.split,), {"at": "chapters", "parts": 2}),
    (CAPTIONED, {"captioner": "nobody"}),
    (CAPTIONED, {"captioner": 3}),
    (CAPTIONED, {"captioner": "dashscope"}),  # without a key
    (CAPTIONED, {"captioner": "dashscope", "region": "moon"}),
    (CAPTIONED, {"captioner": "openai", "base_url": "ftp://example.com", "api_key": "k"}),
    (CAPTIONED, {"captioner": "acoustic", "model": "x"}),
    (CAPTIONED, {"via": "upload"}),  # the acoustic captioner takes no uploads
    (CAPTIONED, {"concurrency": 0}),
    (CAPTIONED, {"concurrency": True}),
    (CAPTIONED, {"resume": "no"}),
    (CAPTIONED, {"stream": 1}),
    (CAPTIONED, {"ledger": 3}),
    (CAPTIONED, {"clock": 3}),
    (CAPTIONED, {"stop": "now"}),
    (CAPTIONED, {"max_cost": "much"}),
    (CAPTIONED, {"run_timeout_s": "soon"}),
    (CAPTIONED, {"run_timeout_s": -1}),
    (CAPTIONED, {"run_timeout_s": float("nan")}),
    (CAPTIONED, {"retry_policy": 3}),
    (CAPTIONED, {"captioner": "dashscope", "api_key": "k", "ledger": "/dev/null/ledger"}),
    ((ask,), {"captioner": "nobody"}),
    ((ask,), {"captioner": "acoustic"}),
    ((ask,), {"target": "unheard-of"}),
    ((ask,), {"via": "pigeon"}),
    ((ask,), {"region": "moon"}),
)
CALLS = [(verb, options) for verbs, options in INVALID for verb in verbs]


def name_of(value: object) -> str:
    """The name of a case."""
    return getattr(value, "__name__", str(value))


@pytest.mark.parametrize(("verb", "options"), CALLS, ids=name_of)
def test_invalid_options_cost_no_request(web: Web, verb: Verb, options: dict[str, Any]) -> None:
    """Each verb raises before it requests the source from its server."""
    with pytest.raises(CaptoolkitError):
        verb(f"{web.url}/talk.wav", **options)
    assert web.asked == []


@pytest.mark.parametrize("verb", [*CUT, ask], ids=name_of)
def test_misspelt_options_cost_no_request(web: Web, verb: Verb) -> None:
    """An unknown keyword argument is Python's own error, and names the function."""
    with pytest.raises(TypeError, match=r"\(\) got an unexpected keyword argument 'segmnt'"):
        verb(f"{web.url}/talk.wav", segmnt="30s")
    assert web.asked == []


def test_valid_options_request_the_source(web: Web) -> None:
    """The server of these tests counts: with valid options each verb requests the source."""
    verbs: list[Verb] = [captoolkit.probe, *CUT, ask]
    for number, verb in enumerate(verbs, start=1):
        with pytest.raises(InputError):
            verb(f"{web.url}/talk.wav")
        assert len(web.asked) == number


@pytest.mark.parametrize("verb", CUT, ids=name_of)
def test_invalid_options_copy_nothing(temporary: Path, verb: Verb) -> None:
    """A source in memory is not written to a temporary file."""
    with pytest.raises(UsageError):
        verb(b"RIFF", parts=0)
    assert list(temporary.iterdir()) == []


# ------------------------------------------------------------------------------ recordings


def test_recording_is_the_chosen_track(fixtures: Path) -> None:
    """The options choose the track; a track that the file does not have is refused."""
    path = fixtures / "two-languages.mp4"
    with open_recording(path, ParsedOptions(track="zho")) as recording:
        assert recording.track.number == 2
        assert recording.info.path == recording.source.name == str(path)
    with pytest.raises(NoAudioError, match="no sound track 3"):
        open_recording(path, ParsedOptions(track=3))


def test_temporary_file_goes_when_the_recording_closes(temporary: Path, tmp_path: Path) -> None:
    """A source in memory is a temporary file until the recording is closed, or fails to open."""
    data = write_wav(tmp_path / "a.wav", tone(2.0, rate_hz=8_000), rate_hz=8_000).read_bytes()
    with open_recording(data, ParsedOptions()) as recording:
        assert recording.source.path.is_relative_to(temporary)
        plan = captoolkit.plan(tmp_path / "a.wav")
        info = dataclasses.replace(plan.info, path=str(recording.source.path))
        assert recording.named(dataclasses.replace(plan, info=info)).info.path == "source"
    assert list(temporary.iterdir()) == []
    with pytest.raises(InputError, match="it lasts 0:02, longer than the 0:01 allowed"):
        open_recording(data, ParsedOptions(max_duration_s=1))  # type: ignore[arg-type]
    assert list(temporary.iterdir()) == []


def test_sound_may_not_begin_later_than_a_recording_may_last(tmp_path: Path, ffmpeg: str) -> None:
    """The limit holds for the end of the sound on the file's clock, which a header may misstate."""
    late = ClockedFiles(tmp_path, ffmpeg).with_edits("late.m4a", [(11 * 3600, None), (5, 0)])
    with pytest.raises(InputError, match=r"begins at 11:00:00 .* and ends at 11:00:05, later than"):
        captoolkit.prepare(late, max_duration="11h")
    assert captoolkit.plan(late).track.duration_s == pytest.approx(5, abs=0.1)


def test_path_is_opened_in_place(tmp_path: Path) -> None:
    """A file on the disk is used where it is, and stays."""
    source = write_wav(tmp_path / "a.wav", tone(1.0, rate_hz=8_000), rate_hz=8_000)
    opened = open_file(source)
    opened.close()
    assert opened.path == source
    assert source.exists()
