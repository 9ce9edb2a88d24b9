from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from captoolkit.emulator import Emulator, refusals, routes
from captoolkit.emulator.replies import UNANSWERED
from tests.emulator.conftest import (
    CAPTIONER,
    HEADERS,
    NATIVE_PATH,
    QWEN_AUDIO,
    Start,
    ask,
    beep,
    caption_of,
    chat,
    chat_body,
    data_uri,
    native_body,
    wav,
)
from tests.support.sound import silence, tone


def test_both_protocols_say_the_same_of_a_sound(emulator: Emulator) -> None:
    """The text is the local captioner's, the counts are those of the model's row."""
    uri = data_uri(beep(3))
    native = ask(emulator, native_body({"audio": uri})).json()
    compatible = chat(emulator, chat_body(uri)).json()
    text = native["output"]["choices"][0]["message"]["content"][0]["text"]
    assert text == compatible["choices"][0]["message"]["content"]
    assert "440 Hz" in text
    assert native["usage"]["input_tokens_details"] == {"audio_tokens": 38, "text_tokens": 8}
    assert native["usage"]["input_tokens"] == compatible["usage"]["prompt_tokens"] == 46


def test_a_request_id_is_in_the_header_the_body_and_the_journal(emulator: Emulator) -> None:
    """One id, by which an answer can be found again; each request has its own."""
    first = ask(emulator, native_body({"audio": data_uri(beep())}))
    second = chat(emulator, chat_body(data_uri(beep())))
    assert first.headers["X-Request-Id"] == first.json()["request_id"]
    assert second.json()["id"] == f"chatcmpl-{second.headers['X-Request-Id']}"
    kept = [visit.request_id for visit in emulator.requests]
    assert kept == [one.headers["X-Request-Id"] for one in (first, second)]
    assert len(set(kept)) == 2


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, refusals.NO_KEY.message),
        ({"Authorization": "Bearer"}, refusals.BAD_KEY.message),
        ({"Authorization": "Basic abc"}, refusals.BAD_KEY.message),
    ],
)
def test_a_request_without_a_key_is_refused(
    emulator: Emulator, headers: dict[str, str], message: str
) -> None:
    """With 401 in either protocol, whatever else is in it."""
    native = httpx.post(emulator.native_url + NATIVE_PATH, json={}, headers=headers)
    assert (native.status_code, native.json()["code"]) == (401, "InvalidApiKey")
    assert native.json()["message"] == message
    url = emulator.compatible_url + "/chat/completions"
    compatible = httpx.post(url, json={}, headers=headers)
    assert (compatible.status_code, compatible.json()["error"]["code"]) == (401, "invalid_api_key")
    models = httpx.get(emulator.compatible_url + "/models", headers=headers)
    assert models.status_code == 401


def test_models_are_those_of_the_targets(emulator: Emulator) -> None:
    """Every alias of Qwen-Audio answers natively; the compatible mode has the captioner only."""
    for model in (QWEN_AUDIO, "qwen-audio-turbo-latest", "qwen2-audio-instruct"):
        body = native_body({"audio": data_uri(beep())}, model=model)
        assert ask(emulator, body).status_code == 200
    unsupported = chat(emulator, chat_body(data_uri(beep()), model=QWEN_AUDIO))
    assert unsupported.status_code == 404
    assert unsupported.json()["error"]["code"] == "model_not_supported"
    listed = httpx.get(emulator.compatible_url + "/models", headers=HEADERS).json()["data"]
    assert [row["id"] for row in listed] == [CAPTIONER]
    unknown = ask(emulator, native_body({"audio": data_uri(beep())}, model="qwen-9"))
    assert (unknown.status_code, unknown.json()["code"]) == (404, "ModelNotFound")


def test_a_conversation_is_counted_whole_and_answered_about_its_newest_sound(
    emulator: Emulator,
) -> None:
    """System message, question, answer, and a question more, without audio of its own."""
    turns = [
        {"role": "system", "content": [{"text": "Be brief."}]},
        {"role": "user", "content": [{"audio": data_uri(beep(2))}, {"text": "What is it?"}]},
        {"role": "assistant", "content": [{"text": "A tone."}]},
        {"role": "user", "content": [{"text": "How high?"}]},
    ]
    body = {"model": QWEN_AUDIO, "input": {"messages": turns}, "parameters": {}}
    answer = ask(emulator, body)
    assert caption_of(answer).startswith(UNANSWERED)
    assert answer.json()["usage"] == {
        "audio_tokens": 50,
        "output_tokens": answer.json()["usage"]["output_tokens"],
        "input_tokens": 9,
    }
    assert emulator.requests[-1].audio_sha256 == hashlib.sha256(beep(2)).hexdigest()


def test_qwen_audio_cuts_at_thirty_seconds_and_the_captioner_does_not(emulator: Emulator) -> None:
    """The same 40 s: 750 tokens of 25 a second, and 500 of 12.5."""
    uri = data_uri(wav(tone(40, rate_hz=8000)))
    cut = ask(emulator, native_body({"audio": uri}, model=QWEN_AUDIO)).json()["usage"]
    assert (cut["audio_tokens"], "total_tokens" in cut) == (750, False)
    whole = ask(emulator, native_body({"audio": uri})).json()["usage"]
    assert whole["input_tokens_details"]["audio_tokens"] == 500


def test_the_services_refusals_come_through(emulator: Emulator) -> None:
    """What is wrong with the audio is told in both protocols, in the same words."""
    for data, message in ((b"", "The audio is empty"), (b"no sound", "cannot be opened")):
        native = ask(emulator, native_body({"audio": data_uri(data)}))
        compatible = chat(emulator, chat_body(data_uri(data)))
        assert native.status_code == compatible.status_code == 400
        assert message in native.json()["message"] == compatible.json()["error"]["message"]


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'"text"', b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(emulator: Emulator, content: bytes) -> None:
    """In one line, with the gateway's code, and the server lives on."""
    url = emulator.native_url + NATIVE_PATH
    refused = httpx.post(url, content=content, headers=HEADERS)
    assert (refused.status_code, refused.json()["code"]) == (400, "BadRequest.IllegalInput")


def test_a_body_that_is_too_large_is_read_to_its_end_and_refused(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client sees the answer instead of a connection that breaks while it sends."""
    monkeypatch.setattr(routes, "MAX_BODY_BYTES", 1 << 20)
    url = emulator.native_url + NATIVE_PATH
    refused = httpx.post(url, content=bytes(32 << 20), headers=HEADERS)
    assert (refused.status_code, refused.json()["code"]) == (400, "BadRequest.TooLarge")
    assert refused.json()["message"].endswith("max bytes to request body : 1048576")


def test_a_path_that_is_not_served_is_told_so(emulator: Emulator) -> None:
    """404 or 405, in the words of the protocol below whose path it is."""
    assert httpx.get(emulator.url).json()["code"] == "NotFound"
    assert httpx.put(emulator.native_url + NATIVE_PATH).json()["code"] == "MethodNotAllowed"
    wrong = httpx.post(emulator.compatible_url + "/embeddings", json={})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (404, "not_found")
    assert [visit.status for visit in emulator.requests] == [404, 405, 404]


def test_a_failure_of_our_own_is_a_500_and_no_traceback_on_the_wire(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk, say: the request fails in the service's words, the log says why."""
    folder = emulator._room._folder
    folder.rmdir()
    folder.write_text("in the way")
    try:
        failed = ask(emulator, native_body({"audio": data_uri(beep())}))
    finally:
        folder.unlink()
    assert (failed.status_code, failed.json()["code"]) == (500, "InternalError")
    assert "Traceback" not in failed.text
    assert "the emulator failed on request" in caplog.text


def test_many_at_once_each_get_their_own_answer(emulator: Emulator) -> None:
    """Forty clients, ten sounds: no answer goes to somebody else, and all are in the journal."""
    sounds = [beep(1, frequency_hz=200 + 50 * number) for number in range(10)]
    bodies = [native_body({"audio": data_uri(sound)}) for sound in sounds]
    alone = [caption_of(ask(emulator, body)) for body in bodies]
    assert len(set(alone)) == len(sounds)
    with ThreadPoolExecutor(40) as pool:
        together = list(pool.map(lambda n: caption_of(ask(emulator, bodies[n % 10])), range(40)))
    assert together == [alone[number % 10] for number in range(40)]
    assert len(emulator.requests) == 50
    assert {visit.status for visit in emulator.requests} == {200}


def test_nothing_of_a_request_stays_on_the_disk(emulator: Emulator) -> None:
    """Its audio goes with its answer, whichever that is."""
    folder: Path = emulator._room._folder
    ask(emulator, native_body({"audio": data_uri(wav(silence(1, rate_hz=8000)))}))
    ask(emulator, native_body({"audio": data_uri(b"no sound")}))
    assert list(folder.iterdir()) == []


def test_a_row_of_ones_own_is_served_with_its_limits(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that is added to the targets can be rehearsed, and replaces one of its name."""
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
            ask(emulator, native_body({"audio": data_uri(beep(seconds))}, model=model))
            for seconds in (2, 2.1)
        )
        assert fits.status_code == 200
        assert "The audio is too long" in too_long.text
