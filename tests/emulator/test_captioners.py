"""Tests of captoolkit's captioners against the emulator; the two share no code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import captoolkit
from captoolkit.captioners.base import PaidCaptioner
from captoolkit.captioners.registry import open_captioner
from captoolkit.emulator import Emulator
from captoolkit.errors import ServiceConnectionError, ServiceError
from captoolkit.model import Caption
from captoolkit.planning.options import ViaName
from tests.support.emulator_requests import StartEmulator

KEY = "sk-rehearsal-0123456789"


def request_caption(
    emulator: Emulator, name: str, sound: Path, *, via: ViaName = "base64", streamed: bool = False
) -> tuple[Caption, str]:
    """Return the caption of a sound, and the streamed text."""
    pieces: list[str] = []
    base_url = {"dashscope": emulator.native_url, "openai": emulator.compatible_url}[name]
    with (
        open_captioner(name, base_url=base_url, api_key=KEY) as captioner,
        captoolkit.prepare(sound, via=via) as prepared,
    ):
        assert isinstance(captioner, PaidCaptioner)
        (segment,) = prepared
        caption = captioner.caption(segment, on_text=pieces.append if streamed else None)
    return caption, "".join(pieces)


@pytest.mark.parametrize("name", ["dashscope", "openai"])
def test_every_form_gives_the_same_caption(emulator: Emulator, fixtures: Path, name: str) -> None:
    """Inline and uploaded, streamed and not: text and token counts are identical."""
    captions = []
    for via in ("base64", "upload"):
        for streamed in (False, True):
            caption, streamed_text = request_caption(
                emulator, name, fixtures / "speech.amr", via=via, streamed=streamed
            )
            assert streamed_text == (caption.text if streamed else "")
            assert caption.finish_reason == "stop"
            captions.append((caption.text, caption.usage))
    assert captions == [captions[0]] * 4
    assert captions[0][1].audio_tokens == 57  # 4.52 s, 12.5 a second


@pytest.mark.parametrize(
    ("fault", "via", "expected"),
    [
        ("throttle", "base64", (ServiceError, 429, 1.0)),
        ("key", "base64", (ServiceError, 401, None)),
        ("error500", "base64", (ServiceError, 500, None)),
        ("html", "base64", (ServiceError, 502, None)),
        ("redirect", "base64", (ServiceError, 307, None)),
        ("download-error", "base64", (ServiceError, 400, None)),
        ("reset", "base64", (ServiceConnectionError, None, None)),
        ("half", "base64", (ServiceConnectionError, 200, None)),
        ("break", "base64", (ServiceConnectionError, 200, None)),
        ("bigheader", "base64", (ServiceConnectionError, None, None)),
        ("policy-throttle", "upload", (ServiceError, 429, 1.0)),
        ("upload-expired", "upload", (ServiceError, 403, None)),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", ["dashscope", "openai"])
def test_every_fault_is_one_error_line(
    start: StartEmulator,
    fixtures: Path,
    name: str,
    streamed: bool,
    fault: str,
    via: ViaName,
    expected: Any,
) -> None:
    """The errors differ by type, status and retry time, and show no key."""
    emulator = start(faults=[fault])
    with pytest.raises(ServiceError) as caught:
        request_caption(emulator, name, fixtures / "speech.amr", via=via, streamed=streamed)
    error = caught.value
    assert (type(error), error.status_code, error.retry_after_s) == expected
    assert str(error).isprintable()
    assert KEY not in f"{error} {vars(error)}"


def test_a_conversation_has_several_turns(emulator: Emulator, fixtures: Path) -> None:
    """The emulator serves Qwen-Audio's prompt, system message and several turns."""
    with captoolkit.Conversation(
        base_url=emulator.native_url, api_key=KEY, system="Be brief."
    ) as talk:
        first = talk.ask("What is it?", audio=fixtures / "speech.amr")
        second = talk.ask("How loud is it?")
    assert first.usage.audio_tokens == second.usage.audio_tokens == 113  # 25 a second
    assert len(talk.messages) == 4
