"""Model Studio's OpenAI-compatible mode, the server's side. Pure.

Source: Model Studio, "Audio understanding (Qwen3-Omni-Captioner)".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from captoolkit.emulator import refusals
from captoolkit.emulator.chat_request import Ask, read_count, read_turns
from captoolkit.emulator.refusals import Refusal, RefusedError
from captoolkit.emulator.replies import EVENTS, Answer, Reply, Wire, encoded

DONE = b"data: [DONE]\n\n"


def read(document: Mapping[str, Any], headers: Mapping[str, str]) -> Ask:
    """Return what is asked.

    Raises:
        RefusedError: it is no request of this protocol.
    """
    model = document.get("model")
    if not isinstance(model, str) or not model:
        raise RefusedError(refusals.NO_MODEL)
    options = document.get("stream_options")
    tells_usage = isinstance(options, dict) and options.get("include_usage") is True
    limits = ("max_completion_tokens", "max_tokens")
    counts = [count for name in limits if (count := read_count(document, name)) is not None]
    return Ask(
        model=model,
        turns=read_turns(document.get("messages"), _part),
        streams=document.get("stream") is True,
        tells_usage=tells_usage,
        max_tokens=min(counts, default=None),
    )


def _part(part: Mapping[str, Any]) -> tuple[str, object]:
    """One part: `type` names the key that holds it."""
    if part.get("type") == "input_audio":
        audio = part.get("input_audio")
        return "audio", audio.get("data") if isinstance(audio, dict) else None
    return ("text", part.get("text")) if part.get("type") == "text" else ("", None)


def answer(said: Answer, ask: Ask) -> Reply:
    """Return the answer as one document or as events."""
    failure = _failure(refusals.FAILED, said.request_id)
    if not ask.streams:
        message = {"content": said.text, "role": "assistant"}
        choice = {"message": message, **_ending(said.finish_reason)}
        body = _document(said, "chat.completion", [choice], _usage(said))
        return Reply(status=200, parts=(encoded(body),), failure=encoded(failure))
    return Reply(
        status=200,
        parts=(*map(_event, _stream(said, ask)), DONE),
        media_type=EVENTS,
        streams=True,
        failure=_event(failure),
    )


def refuse(refusal: Refusal, request_id: str, streams: bool) -> Reply:
    """Return a refusal, which is one document even where a stream was asked for."""
    return Reply(status=refusal.status, parts=(encoded(_failure(refusal, request_id)),))


def _stream(said: Answer, ask: Ask) -> Iterator[dict[str, Any]]:
    deltas = [{"content": "", "role": "assistant"}, *({"content": token} for token in said.tokens)]
    for delta in deltas:
        yield _chunk(said, [{"delta": delta, **_ending(None)}])
    yield _chunk(said, [{"delta": {"content": ""}, **_ending(said.finish_reason)}])
    if ask.tells_usage:
        yield _chunk(said, [], usage=_usage(said))


def _chunk(said: Answer, choices: list[Any], usage: Any = None) -> dict[str, Any]:
    return _document(said, "chat.completion.chunk", choices, usage)


def _ending(finish_reason: str | None) -> dict[str, Any]:
    return {"finish_reason": finish_reason, "index": 0, "logprobs": None}


def _document(said: Answer, kind: str, choices: list[Any], usage: Any) -> dict[str, Any]:
    return {
        "choices": choices,
        "object": kind,
        "usage": usage,
        "created": said.created_s,
        "system_fingerprint": None,
        "model": said.model,
        "id": f"chatcmpl-{said.request_id}",
    }


def _usage(said: Answer) -> dict[str, Any]:
    input_tokens, output_tokens = said.audio_tokens + said.text_tokens, len(said.tokens)
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
        "prompt_tokens_details": {
            "audio_tokens": said.audio_tokens,
            "text_tokens": said.text_tokens,
        },
        "completion_tokens_details": {"text_tokens": output_tokens},
    }


def _failure(refusal: Refusal, request_id: str) -> dict[str, Any]:
    error = {
        "message": refusal.message,
        "type": refusal.kind,
        "param": None,
        "code": refusal.compatible_code,
    }
    return {"error": error, "request_id": request_id}


def _event(body: Mapping[str, Any]) -> bytes:
    """One event; there is a space after the colon."""
    return b"data: " + encoded(body) + b"\n\n"


WIRE = Wire(read=read, answer=answer, refuse=refuse, is_compatible=True)
