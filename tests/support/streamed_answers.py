"""Streamed answers in OpenAI's protocol, and streamed requests to a recorder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from captoolkit.captioners.base import PaidCaptioner
from captoolkit.captioners.registry import open_captioner
from captoolkit.errors import ServiceError
from captoolkit.model import Caption

if TYPE_CHECKING:
    from tests.support.clips import BytesClip
    from tests.support.recorder import Recorder

KEY = "sk-test-0123456789abcdef"
PATHS = {"dashscope": "/api/v1", "openai": "/compatible-mode/v1"}


def chunk(text: str | None = None, *, finish: str | None = None, **more: Any) -> bytes:
    """Return one chunk of a stream in OpenAI's protocol."""
    delta: dict[str, Any] = {} if text is None else {"content": text}
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    document = {"id": "chatcmpl-1", "choices": choices, "usage": None, **more}
    return f"data: {json.dumps(document, ensure_ascii=False)}\n\n".encode()


COUNTED = chunk(
    choices=[],
    usage={
        "prompt_tokens": 160,
        "completion_tokens": 3,
        "total_tokens": 163,
        "prompt_tokens_details": {"audio_tokens": 152, "text_tokens": 8},
    },
)
DONE = b"data: [DONE]\n\n"

CHAT = (
    b'data: {"id":"chatcmpl-1","choices":[{"delta":{"role":"assistant","content":null}}]}\n\n',
    chunk(""),
    chunk("这段"),
    chunk("音频'"),
    chunk("", finish="stop"),
    COUNTED,
    DONE,
)


def streamed(recorder: Recorder, clip: BytesClip, name: str) -> tuple[Caption, list[str]]:
    """Return the caption of a streamed request, and the pieces of its text."""
    pieces: list[str] = []
    base_url = recorder.url + PATHS[name]
    with open_captioner(name, base_url=base_url, api_key=KEY) as captioner:
        assert isinstance(captioner, PaidCaptioner)
        return captioner.caption(clip, on_text=pieces.append), pieces


def failure(recorder: Recorder, clip: BytesClip, name: str) -> tuple[Any, list[str]]:
    """Return the error of a streamed request, and the pieces of text before it."""
    pieces: list[str] = []
    base_url = recorder.url + PATHS[name]
    with open_captioner(name, base_url=base_url, api_key=KEY) as captioner:
        assert isinstance(captioner, PaidCaptioner)
        with pytest.raises(ServiceError) as caught:
            captioner.caption(clip, on_text=pieces.append)
    return caught.value, pieces
