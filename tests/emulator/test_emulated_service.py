"""Tests of the service behind the HTTP application: models, counts, refusals, temporary files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx
import pytest

from captoolkit.emulator import Emulator
from captoolkit.emulator.chat import UNANSWERED
from tests.support.emulator_requests import (
    CAPTIONER,
    HEADERS,
    QWEN_AUDIO,
    StartEmulator,
    beep,
    caption_of,
    chat_body,
    data_uri,
    native_body,
    post_chat,
    post_native,
    wav,
)
from tests.support.sound import silence, tone


def test_models_are_those_of_the_targets(emulator: Emulator) -> None:
    """Qwen-Audio's aliases have the native protocol; only the captioner has both."""
    for model in (QWEN_AUDIO, "qwen-audio-turbo-latest", "qwen2-audio-instruct"):
        body = native_body({"audio": data_uri(beep())}, model=model)
        assert post_native(emulator, body).status_code == 200
    unsupported = post_chat(emulator, chat_body(data_uri(beep()), model=QWEN_AUDIO))
    assert unsupported.status_code == 404
    assert unsupported.json()["error"]["code"] == "model_not_supported"
    listed = httpx.get(emulator.compatible_url + "/models", headers=HEADERS).json()["data"]
    assert CAPTIONER in [row["id"] for row in listed]
    assert QWEN_AUDIO not in [row["id"] for row in listed]
    unknown = post_native(emulator, native_body({"audio": data_uri(beep())}, model="qwen-9"))
    assert (unknown.status_code, unknown.json()["code"]) == (404, "ModelNotFound")


def test_a_conversation_is_counted_whole_and_answered_about_its_newest_sound(
    emulator: Emulator,
) -> None:
    """The last question of four messages has no audio of its own."""
    messages = [
        {"role": "system", "content": [{"text": "Be brief."}]},
        {"role": "user", "content": [{"audio": data_uri(beep(2))}, {"text": "What is it?"}]},
        {"role": "assistant", "content": [{"text": "A tone."}]},
        {"role": "user", "content": [{"text": "How high?"}]},
    ]
    body = {"model": QWEN_AUDIO, "input": {"messages": messages}, "parameters": {}}
    answer = post_native(emulator, body)
    assert caption_of(answer).startswith(UNANSWERED)
    assert answer.json()["usage"] == {
        "audio_tokens": 50,
        "output_tokens": answer.json()["usage"]["output_tokens"],
        "input_tokens": 9,
    }
    assert emulator.requests[-1].audio_sha256 == hashlib.sha256(beep(2)).hexdigest()


def test_qwen_audio_cuts_at_thirty_seconds_and_the_captioner_does_not(emulator: Emulator) -> None:
    """A clip of 40 s counts 750 tokens at 25 a second, and 500 at 12.5."""
    uri = data_uri(wav(tone(40, rate_hz=8000)))
    cut = post_native(emulator, native_body({"audio": uri}, model=QWEN_AUDIO)).json()["usage"]
    assert (cut["audio_tokens"], "total_tokens" in cut) == (750, False)
    whole = post_native(emulator, native_body({"audio": uri})).json()["usage"]
    assert whole["input_tokens_details"]["audio_tokens"] == 500


def test_the_services_refusals_come_through(emulator: Emulator) -> None:
    """Both protocols refuse bad audio with the same message."""
    for data, message in ((b"", "The audio is empty"), (b"no sound", "cannot be opened")):
        native = post_native(emulator, native_body({"audio": data_uri(data)}))
        compatible = post_chat(emulator, chat_body(data_uri(data)))
        assert native.status_code == compatible.status_code == 400
        assert message in native.json()["message"] == compatible.json()["error"]["message"]


def test_an_internal_failure_is_a_500_without_a_traceback(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An unusable folder fails the request with the service's message; the log has the reason."""
    folder = emulator._service._folder
    folder.rmdir()
    folder.write_text("in the way")
    try:
        failed = post_native(emulator, native_body({"audio": data_uri(beep())}))
    finally:
        folder.unlink()
    assert (failed.status_code, failed.json()["code"]) == (500, "InternalError")
    assert "Traceback" not in failed.text
    assert "the emulator failed on request" in caplog.text


def test_nothing_of_a_request_stays_on_the_disk(emulator: Emulator) -> None:
    """The audio is removed with the reply, accepted or refused."""
    folder: Path = emulator._service._folder
    post_native(emulator, native_body({"audio": data_uri(wav(silence(1, rate_hz=8000)))}))
    post_native(emulator, native_body({"audio": data_uri(b"no sound")}))
    assert list(folder.iterdir()) == []


def test_a_user_defined_target_is_served_with_its_limits(
    start: StartEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The emulator serves added models, and they replace a built-in model of the same name."""
    rows = tmp_path / "targets.toml"
    rows.write_text(
        '[sources.mine]\ntitle = "mine"\nchecked = "2026-11-20"\n\n[targets.mine]\ntitle = "mine"\n'
        f'models = ["{CAPTIONER}", "shorter"]\naccepts = {{ wav = ["pcm_s16le"] }}\n'
        '[targets.mine.limits]\nmax_duration_s = { value = 2, source = "mine" }\n'
    )
    monkeypatch.setenv("CAPTOOLKIT_TARGETS", str(rows))
    emulator = start()
    for model in (CAPTIONER, "shorter"):
        fits, too_long = (
            post_native(emulator, native_body({"audio": data_uri(beep(seconds))}, model=model))
            for seconds in (2, 2.1)
        )
        assert fits.status_code == 200
        assert "The audio is too long" in too_long.text
