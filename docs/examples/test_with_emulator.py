"""A test of a program that calls Model Studio through its SDK."""

from collections.abc import Iterator
from typing import Any

import pytest

from captoolkit.emulator import Emulator


@pytest.fixture
def model_studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Model Studio on this machine, without cost."""
    with Emulator() as emulator:
        monkeypatch.setenv("DASHSCOPE_API_KEY", "any")
        monkeypatch.setattr("dashscope.base_http_api_url", emulator.native_url)
        yield emulator


def test_a_clip_is_captioned(model_studio: Emulator) -> None:
    """The SDK receives a caption, and the emulator has seen the sound."""
    from dashscope import MultiModalConversation

    answer: Any = MultiModalConversation.call(
        model="qwen3-omni-30b-a3b-captioner",
        messages=[{"role": "user", "content": [{"audio": "file://fixtures/speech.amr"}]}],
        api_key="any",
    )
    assert answer.status_code == 200
    assert model_studio.requests[-1].audio_sha256
