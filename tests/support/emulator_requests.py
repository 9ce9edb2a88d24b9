"""Requests to an emulator, and small sounds to send."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import soundfile
from numpy.typing import NDArray

from captoolkit.emulator import Emulator
from captoolkit.emulator.chat import ModelAnswer
from tests.support.sound import tone

CAPTIONER, QWEN_AUDIO = "qwen3-omni-30b-a3b-captioner", "qwen-audio-turbo"
NATIVE_PATH = "/services/aigc/multimodal-generation/generation"
HEADERS = {"Authorization": "Bearer sk-rehearsal"}

StartEmulator = Callable[..., Emulator]


def wav(samples: NDArray[np.float32], rate_hz: int = 8000) -> bytes:
    """Return a WAV file with 16-bit samples, of shape (frames, 1)."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format="WAV", subtype="PCM_16")
    return file.getvalue()


def beep(seconds: float = 1.0, frequency_hz: float = 440.0) -> bytes:
    """Return a WAV file with a tone."""
    return wav(tone(seconds, rate_hz=8000, frequency_hz=frequency_hz))


def data_uri(data: bytes) -> str:
    """Return a data URI in the form of Model Studio's pages: without a media type."""
    return f"data:;base64,{base64.b64encode(data).decode()}"


def native_body(
    *parts: dict[str, str], model: str = CAPTIONER, **parameters: object
) -> dict[str, Any]:
    """Return a request of the native protocol with one user message."""
    return {
        "model": model,
        "input": {"messages": [{"role": "user", "content": list(parts)}]},
        "parameters": parameters,
    }


def chat_body(audio: str, *, model: str = CAPTIONER, **more: object) -> dict[str, Any]:
    """Return a request of the compatible protocol with one audio."""
    part = {"type": "input_audio", "input_audio": {"data": audio}}
    return {"model": model, "messages": [{"role": "user", "content": [part]}], **more}


def post_native(emulator: Emulator, body: object, **headers: str) -> httpx.Response:
    """Send a request over the native protocol; header names are written with `_`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = emulator.native_url + NATIVE_PATH
    return httpx.post(url, json=body, headers={**HEADERS, **named}, timeout=60)


def post_chat(emulator: Emulator, body: object) -> httpx.Response:
    """Send a request over the compatible protocol."""
    url = emulator.compatible_url + "/chat/completions"
    return httpx.post(url, json=body, headers=HEADERS, timeout=60)


def caption_of(response: httpx.Response) -> str:
    """Return the text of a native answer."""
    text: str = response.json()["output"]["choices"][0]["message"]["content"][0]["text"]
    return text


def three_token_answer(*, audio_apart: bool = False) -> ModelAnswer:
    """Return an answer of three tokens about a sound of 152."""
    return ModelAnswer(
        request_id="r-1",
        model="m",
        tokens=("The", " audio", " ends."),
        finish_reason="stop",
        audio_tokens=152,
        text_tokens=8,
        audio_apart=audio_apart,
        created_s=1,
    )
