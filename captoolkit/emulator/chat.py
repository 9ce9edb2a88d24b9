"""A request to a model and the model's answer, independent of the protocol. Pure.

There is no tokenizer here: a token of text is a word with the space before it, or one character in
scripts without spaces. Audio tokens follow the rate in the target's row, or `UNSTATED_RATE`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

from captoolkit.emulator import refusals
from captoolkit.emulator.refusals import RefusedError
from captoolkit.model import Target
from captoolkit.services.price import audio_tokens

MAX_DATA_URIS = 250  # in one request (Model Studio, error code page)
ROLES = frozenset({"system", "user", "assistant"})
DATA_SCHEME = "data:"

# Rows whose `input_tokens` leave the audio out (Model Studio, "Audio understanding (Qwen-Audio)",
# the page's sample answer); the captioner's include it.
AUDIO_APART = frozenset({"qwen-audio", "qwen-audio-stable"})

# Audio tokens a second where the row states none: one for each 100 ms (OpenAI API, "Managing
# costs" of the Realtime API; its page of gpt-audio states no rate).
UNSTATED_RATE = 10

_SOLID = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef"  # scripts and punctuation without spaces
_TOKEN = re.compile(rf"\s*(?:[{_SOLID}]|[^\s{_SOLID}]+)|\s+$")

# The beginning of every answer to a question: the emulator does not understand questions.
UNANSWERED = "This is a rehearsal: the question is not answered; the measurements follow. "

# Maps one part of a message's content, and its place in the request, to its kind, `audio` or
# `text`, and its value.
PartReader = Callable[[Mapping[str, Any], str], tuple[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """One message: its role, and its parts by kind."""

    role: str
    audios: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A parsed request.

    Attributes:
        streams: the answer is sent as events.
        incremental: each event holds only the new text; otherwise all text so far.
        includes_usage: a stream of the compatible protocol ends with the token counts.
        max_tokens: the length at which the answer is cut off; None if the request sets none.
        max_tokens_name: the parameter that sets it.
    """

    model: str
    messages: tuple[ChatMessage, ...]
    streams: bool = False
    incremental: bool = True
    includes_usage: bool = True
    max_tokens: int | None = None
    max_tokens_name: str = "max_tokens"

    @property
    def audios(self) -> tuple[str, ...]:
        """Every audio in the request, the newest last."""
        return tuple(audio for message in self.messages for audio in message.audios)

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text in the request, the newest last."""
        return tuple(text for message in self.messages for text in message.texts)

    @property
    def question(self) -> str:
        """The text of the newest message; empty if it is audio alone (voice chat)."""
        return " ".join(self.messages[-1].texts) if self.messages else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAnswer:
    """A model's answer, token by token, and its token counts."""

    request_id: str
    model: str
    tokens: tuple[str, ...]
    finish_reason: str
    audio_tokens: int
    text_tokens: int
    audio_apart: bool
    created_s: int

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.tokens)


# ------------------------------------------------------------------------------- the request


def read_messages(messages: object, read_part: PartReader) -> tuple[ChatMessage, ...]:
    """Return the messages of either protocol.

    Raises:
        RefusedError: `messages` is not a list of messages.
    """
    if not isinstance(messages, list) or not messages:
        raise RefusedError(refusals.NO_INPUT)
    return tuple(
        _read_message(message, read_part, f"messages[{number}]")
        for number, message in enumerate(messages)
    )


def _read_message(message: object, read_part: PartReader, place: str) -> ChatMessage:
    if not isinstance(message, dict):
        raise RefusedError(refusals.NO_INPUT)
    content = message.get("content")
    if isinstance(content, str):
        return ChatMessage(role=str(message.get("role")), texts=(content,))
    if not isinstance(content, list):
        raise RefusedError(refusals.NO_INPUT)
    values: dict[str, list[str]] = {"audio": [], "text": []}
    for number, part in enumerate(content):
        path = f"{place}.content[{number}]"
        kind, value = read_part(part, path) if isinstance(part, dict) else ("", None)
        if kind not in values or not isinstance(value, str):
            found = part.get("type") if isinstance(part, dict) else None
            raise RefusedError(refusals.UNKNOWN_PART.about(kind=found, path=path))
        values[kind].append(value)
    return ChatMessage(
        role=str(message.get("role")), audios=tuple(values["audio"]), texts=tuple(values["text"])
    )


def refuse_unfit(
    request: ChatRequest, target: Target, *, takes_every_message: bool = False
) -> None:
    """Refuse a request that the model does not take, before its audio is read.

    Args:
        request: the request.
        target: the model's row.
        takes_every_message: the server leaves it to the model which messages it understands.

    Raises:
        RefusedError: in the order in which the gateway and then the model would refuse.
    """
    data_uris = [audio for audio in request.audios if audio.startswith(DATA_SCHEME)]
    longest = target.limit("max_base64_chars")
    size_bytes = max(map(len, data_uris), default=0)
    if longest is not None and size_bytes > longest:
        raise RefusedError(refusals.large_item(int(longest), size_bytes))
    if len(data_uris) > MAX_DATA_URIS:
        raise RefusedError(refusals.many_items(MAX_DATA_URIS))
    if not takes_every_message:
        _refuse_messages(request, target)
    if target.must_stream and not request.streams:
        raise RefusedError(refusals.MUST_STREAM)
    most = target.limit("files_per_request")
    if most is not None and len(request.audios) > most:
        raise RefusedError(refusals.many_audios(int(most), len(request.audios)))


def _refuse_messages(request: ChatRequest, target: Target) -> None:
    """Refuse messages that the model does not understand."""
    roles = [message.role for message in request.messages]
    if roles[-1] != "user" or not ROLES.issuperset(roles):
        raise RefusedError(refusals.BAD_ROLES)
    if "system" in roles and not target.system:
        raise RefusedError(refusals.NO_SYSTEM)
    if len(roles) - roles.count("system") > 1 and not target.turns:
        raise RefusedError(refusals.NO_TURNS)
    if request.texts and not target.prompt:
        raise RefusedError(refusals.NO_TEXT)
    if not request.audios:
        raise RefusedError(refusals.NO_AUDIO)


def refuse_long_output(request: ChatRequest, most: int | None) -> None:
    """Refuse a request for a longer answer than the model writes.

    Raises:
        RefusedError: `max_tokens` is larger than `most`.
    """
    if most is not None and request.max_tokens is not None and request.max_tokens > most:
        raise RefusedError(refusals.long_output(request.max_tokens_name, request.max_tokens, most))


# -------------------------------------------------------------------------------- the answer


def tokens_of(text: str) -> tuple[str, ...]:
    """Return the tokens that make up a text.

    ```python
    >>> tokens_of("It is loud. Then quiet"), tokens_of("安静 now")
    (('It', ' is', ' loud.', ' Then', ' quiet'), ('安', '静', ' now'))

    ```
    """
    return tuple(match[0] for match in _TOKEN.finditer(text))


def count_input_tokens(
    request: ChatRequest, target: Target, durations_s: list[Fraction]
) -> tuple[int, int]:
    """Return the token counts of the audio and of everything else in the request."""
    text = int(target.limit("text_tokens") or 0)
    text += sum(len(tokens_of(words)) for words in request.texts)
    if target.limit("tokens_per_s") is None:
        return sum(ceil(UNSTATED_RATE * duration_s) for duration_s in durations_s), text
    return sum(audio_tokens(target, duration_s) for duration_s in durations_s), text


def make_answer(
    request: ChatRequest,
    target: Target,
    *,
    description: str,
    input_tokens: tuple[int, int],
    request_id: str,
    created_s: int,
) -> ModelAnswer:
    """Return the answer about the newest audio.

    Args:
        request: the request.
        target: the model's row.
        description: the local captioner's description of the audio.
        input_tokens: as `count_input_tokens` returns them.
        request_id: the request's.
        created_s: now, in seconds since 1970.
    """
    tokens = tokens_of((UNANSWERED if request.question else "") + description)
    limits = [len(tokens), request.max_tokens, target.limit("max_output_tokens")]
    most = min(int(limit) for limit in limits if limit is not None)
    return ModelAnswer(
        request_id=request_id,
        model=request.model,
        tokens=tokens[:most],
        finish_reason="stop" if most == len(tokens) else "length",
        audio_tokens=input_tokens[0],
        text_tokens=input_tokens[1],
        audio_apart=target.name in AUDIO_APART,
        created_s=created_s,
    )
