"""Model Studio's own protocol (DashScope), the server's side. Pure.

Sources: Model Studio, "Audio understanding (Qwen3-Omni-Captioner)" and "Audio understanding
(Qwen-Audio)"; how a stream is framed is the latter page's sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from captoolkit.emulator import refusals
from captoolkit.emulator.chat_request import Ask, read_count, read_turns
from captoolkit.emulator.refusals import Refusal, RefusedError
from captoolkit.emulator.replies import EVENTS, Answer, Reply, Wire, encoded

STREAM_HEADER = "x-dashscope-sse"
RUNNING = "null"  # the finish reason of an event that is not the last: a text


def read(document: Mapping[str, Any], headers: Mapping[str, str]) -> Ask:
    """Return what is asked.

    `parameters` may be missing, as in the pages' samples, but not be anything else than an object.

    Raises:
        RefusedError: it is no request of this protocol.
    """
    model = document.get("model")
    if not isinstance(model, str) or not model:
        raise RefusedError(refusals.NO_MODEL)
    given = document.get("input")
    if not isinstance(given, dict):
        raise RefusedError(refusals.NO_INPUT)
    parameters = document.get("parameters", {})
    if not isinstance(parameters, dict):
        raise RefusedError(refusals.NO_PARAMETERS)
    return Ask(
        model=model,
        turns=read_turns(given.get("messages"), _part),
        streams=headers.get(STREAM_HEADER) == "enable",
        incremental=parameters.get("incremental_output") is True,
        max_tokens=read_count(parameters, "max_tokens"),
    )


def _part(part: Mapping[str, Any]) -> tuple[str, object]:
    """One part: an object with one key, which is its kind."""
    return next(iter(part.items())) if len(part) == 1 else ("", None)


def answer(said: Answer, ask: Ask) -> Reply:
    """Return the answer as one document or as events."""
    failure = _failure(refusals.FAILED, said.request_id)
    if not ask.streams:
        body = _document(said, said.text, said.finish_reason, len(said.tokens))
        return Reply(status=200, parts=(encoded(body),), failure=encoded(failure))
    documents = list(_stream(said, incremental=ask.incremental))
    events = (_event(i, "result", 200, body) for i, body in enumerate(documents, start=1))
    return Reply(
        status=200,
        parts=tuple(events),
        media_type=EVENTS,
        streams=True,
        failure=_event(len(documents), "error", refusals.FAILED.status, failure),
    )


def refuse(refusal: Refusal, request_id: str, streams: bool) -> Reply:
    """Return a refusal; what the model refuses comes as an event where a stream was asked for."""
    body = _failure(refusal, request_id)
    if streams and refusal.by_model:
        event = _event(1, "error", refusal.status, body)
        return Reply(status=refusal.status, parts=(event,), media_type=EVENTS)
    return Reply(status=refusal.status, parts=(encoded(body),))


def _stream(said: Answer, *, incremental: bool) -> Iterator[dict[str, Any]]:
    """The documents of a stream; as in the page's sample, one in the middle holds no text."""
    total = len(said.tokens)
    for count, token in enumerate(said.tokens, start=1):
        text = token if incremental else "".join(said.tokens[:count])
        yield _document(said, text, RUNNING, count)
        if count == (total + 1) // 2:
            yield _document(said, "", RUNNING, count)
    yield _document(said, "" if incremental else said.text, said.finish_reason, total)


def _document(said: Answer, text: str, finish_reason: str, output_tokens: int) -> dict[str, Any]:
    message = {"content": [{"text": text}] if text else [], "role": "assistant"}
    return {
        "output": {"choices": [{"message": message, "finish_reason": finish_reason}]},
        "usage": _usage(said, output_tokens),
        "request_id": said.request_id,
    }


def _usage(said: Answer, output_tokens: int) -> dict[str, Any]:
    if said.audio_apart:
        return {
            "audio_tokens": said.audio_tokens,
            "output_tokens": output_tokens,
            "input_tokens": said.text_tokens,
        }
    input_tokens = said.audio_tokens + said.text_tokens
    return {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
        "input_tokens_details": {
            "audio_tokens": said.audio_tokens,
            "text_tokens": said.text_tokens,
        },
        "output_tokens_details": {"text_tokens": output_tokens},
    }


def _failure(refusal: Refusal, request_id: str) -> dict[str, str]:
    return {"code": refusal.code, "message": refusal.message, "request_id": request_id}


def _event(number: int, kind: str, status: int, body: Mapping[str, Any]) -> bytes:
    """One event; there is no space after the colons."""
    head = f"id:{number}\nevent:{kind}\n:HTTP_STATUS/{status}\ndata:"
    return head.encode() + encoded(body) + b"\n\n"


WIRE = Wire(read=read, answer=answer, refuse=refuse, is_compatible=False)
