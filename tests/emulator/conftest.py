"""What the emulator's tests share: running ones, sounds, and requests as bytes on a wire."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from captoolkit.emulator import Emulator
from tests.support.sound import tone

CAPTIONER, QWEN_AUDIO = "qwen3-omni-30b-a3b-captioner", "qwen-audio-turbo"
NATIVE_PATH = "/services/aigc/multimodal-generation/generation"
HEADERS = {"Authorization": "Bearer sk-rehearsal"}

Start = Callable[..., Emulator]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start an emulator that ends with the test."""
    started: list[Emulator] = []

    def call(**options: Any) -> Emulator:
        started.append(Emulator(**options))
        return started[-1]

    yield call
    for emulator in started:
        emulator.close()


@pytest.fixture
def emulator(start: Start) -> Emulator:
    """An emulator without faults."""
    return start()


def wav(samples: NDArray[np.float32], rate_hz: int = 8000) -> bytes:
    """A WAV file with 16-bit samples, of shape (frames, 1)."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format="WAV", subtype="PCM_16")
    return file.getvalue()


def beep(seconds: float = 1.0, frequency_hz: float = 440.0) -> bytes:
    """A WAV file with a tone."""
    return wav(tone(seconds, rate_hz=8000, frequency_hz=frequency_hz))


def data_uri(data: bytes) -> str:
    """As Model Studio's pages write it: without a media type."""
    return f"data:;base64,{base64.b64encode(data).decode()}"


def native_body(
    *parts: dict[str, str], model: str = CAPTIONER, **parameters: object
) -> dict[str, Any]:
    """A request of the native protocol with one message of the user's."""
    return {
        "model": model,
        "input": {"messages": [{"role": "user", "content": list(parts)}]},
        "parameters": parameters,
    }


def chat_body(audio: str, *, model: str = CAPTIONER, **more: object) -> dict[str, Any]:
    """A request of the compatible protocol with one audio."""
    part = {"type": "input_audio", "input_audio": {"data": audio}}
    return {"model": model, "messages": [{"role": "user", "content": [part]}], **more}


def ask(emulator: Emulator, body: object, **headers: str) -> httpx.Response:
    """Ask over the native protocol; names of headers are written with `_`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = emulator.native_url + NATIVE_PATH
    return httpx.post(url, json=body, headers={**HEADERS, **named}, timeout=60)


def chat(emulator: Emulator, body: object) -> httpx.Response:
    """Ask over the compatible protocol."""
    url = emulator.compatible_url + "/chat/completions"
    return httpx.post(url, json=body, headers=HEADERS, timeout=60)


def caption_of(response: httpx.Response) -> str:
    """The text of a native answer."""
    text: str = response.json()["output"]["choices"][0]["message"]["content"][0]["text"]
    return text
