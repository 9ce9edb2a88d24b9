"""What is answered, before a protocol writes it down. Pure.

There is no tokenizer here: a token of text is a word with the space before it, or one character
where a script has no spaces. Audio is counted by the rate in the target's row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from captoolkit.emulator.chat_request import Ask
from captoolkit.emulator.refusals import Refusal
from captoolkit.model import Target
from captoolkit.services.price import audio_tokens

JSON, EVENTS = "application/json", "text/event-stream;charset=UTF-8"

# Rows whose `input_tokens` leave the audio out (Model Studio, "Audio understanding (Qwen-Audio)",
# the page's sample answer); the captioner's include it.
AUDIO_APART = frozenset({"qwen-audio"})

_SOLID = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef"  # scripts and punctuation without spaces
_TOKEN = re.compile(rf"\s*(?:[{_SOLID}]|[^\s{_SOLID}]+)|\s+$")

# What an answer to a question begins with: nobody here has understood it.
UNANSWERED = "This is a rehearsal: the question is not answered, what can be measured is told. "


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model says, token by token, and what it counts."""

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
        """Everything that is said."""
        return "".join(self.tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP answer as a value.

    Attributes:
        parts: the body: one part for a document, one part for each event of a stream.
        streams: it is sent as it comes, without a length.
        failure: an event that could end the stream, or a document in place of the body, that tells
            of an error although the status is 200.
    """

    status: int
    parts: tuple[bytes, ...]
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = JSON
    streams: bool = False
    failure: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """How one protocol is read and written.

    Attributes:
        read: JSON object and headers (names in lower case) -> what is asked; raises RefusedError.
        answer: what to say, and what was asked -> the reply.
        refuse: refusal, request id, whether a stream was asked for -> the reply.
        is_compatible: it is OpenAI's, which not every model has.
    """

    read: Callable[[Mapping[str, Any], Mapping[str, str]], Ask]
    answer: Callable[[Answer, Ask], Reply]
    refuse: Callable[[Refusal, str, bool], Reply]
    is_compatible: bool


def encoded(body: Mapping[str, Any]) -> bytes:
    """Return a JSON document as the services write it: no spaces, UTF-8 as it is.

    What a client sent may be repeated in it, and cannot always be encoded.
    """
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def tokens_of(text: str) -> tuple[str, ...]:
    """Return the tokens that make up a text.

    ```python
    >>> tokens_of("It is loud. Then quiet"), tokens_of("安静 now")
    (('It', ' is', ' loud.', ' Then', ' quiet'), ('安', '静', ' now'))

    ```
    """
    return tuple(match[0] for match in _TOKEN.finditer(text))


def input_tokens(ask: Ask, target: Target, durations_s: list[Fraction]) -> tuple[int, int]:
    """Return what is counted for the audio, and for everything else in the request."""
    text = int(target.limit("text_tokens") or 0)
    text += sum(len(tokens_of(words)) for words in ask.texts)
    return sum(audio_tokens(target, duration_s) for duration_s in durations_s), text


def make_answer(
    ask: Ask,
    target: Target,
    *,
    measured: str,
    counted: tuple[int, int],
    request_id: str,
    created_s: int,
) -> Answer:
    """Return what is said about the newest audio.

    Args:
        ask: what was asked.
        target: the model's row.
        measured: what the local captioner says of it.
        counted: as `input_tokens` returns it.
        request_id: the request's.
        created_s: now, in seconds since 1970.
    """
    said = tokens_of((UNANSWERED if ask.question else "") + measured)
    limits = [len(said), ask.max_tokens, target.limit("max_output_tokens")]
    most = min(int(limit) for limit in limits if limit is not None)
    return Answer(
        request_id=request_id,
        model=ask.model,
        tokens=said[:most],
        finish_reason="stop" if most == len(said) else "length",
        audio_tokens=counted[0],
        text_tokens=counted[1],
        audio_apart=target.name in AUDIO_APART,
        created_s=created_s,
    )
