"""One turn of a conversation: all of its messages are one question to the ledger and the service.

Rules: a turn follows the order of `asker.py` (ledger, budget, rate limiter, request, retries), so a
repeated question is answered from the ledger. The key of a turn holds the hash of each sound and
the text of each message, and no reference to a sound: uploads and signed links change. The budget
counts the sounds and texts of all turns, because the service reads and bills them again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

from captoolkit.captioners.base import Clip, ConversationalCaptioner, OnText, PaidCaptioner
from captoolkit.captioners.messages import Message, Role
from captoolkit.dispatch.asker import Outcome, PaidAsker
from captoolkit.dispatch.context import RunContext
from captoolkit.model import Caption, Fact, Span, Via
from captoolkit.pipeline.event_gate import EventGate
from captoolkit.pipeline.segment import Folder, ReadySegment
from captoolkit.services.limits import EARLIER_AUDIO_TOKENS
from captoolkit.services.price import UNSTATED_TEXT_TOKENS, audio_tokens
from captoolkit.services.service import Service
from captoolkit.support.cancel import Closing

TEXT_TOKENS = "text_tokens"
# A tokenizer of bytes makes no more tokens than the text has bytes; captoolkit has no tokenizer.
# Role names and the like are counted once: the bytes of a question have room for its own.
UPPER_BOUND = "the bytes of the texts and the tokens of the earlier sounds of the conversation"


@dataclass(slots=True, kw_only=True)
class Sound:
    """A prepared sound of a conversation.

    Attributes:
        segment: the prepared file; it exists until its preparation is closed.
        reference: the text that stands for the sound in a message; None until it is sent.
    """

    segment: ReadySegment
    reference: str | None = None

    def refer(self, captioner: ConversationalCaptioner) -> str:
        """Return the reference; make it, with an upload if necessary, when it is first needed.

        Raises:
            ServiceError: the sound could not be uploaded.
        """
        if self.reference is None:
            self.reference = captioner.audio_reference(self.segment)
        return self.reference


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnMessage:
    """One message of a turn: a question with or without sound, or an answer."""

    role: Role
    text: str | None = None
    sound: Sound | None = None

    def for_service(self, captioner: ConversationalCaptioner) -> Message:
        """Return the message in the form that the service receives.

        Raises:
            ServiceError: the sound could not be uploaded.
        """
        audio = None if self.sound is None else self.sound.refer(captioner)
        return Message(role=self.role, text=self.text, audio=audio)

    def identity(self) -> dict[str, str | None]:
        """Return the message with the hash of its sound: a part of the ledger's key."""
        audio = None if self.sound is None else self.sound.segment.sha256
        return {"role": self.role.value, "text": self.text, "audio": audio}


class TurnCaptioner(Closing):
    """The messages of one turn as a captioner, which `PaidAsker` asks for one caption.

    Attributes:
        info: that of the captioner.
        recipe: the captioner's recipe and all messages.
    """

    def __init__(
        self,
        captioner: ConversationalCaptioner,
        messages: Sequence[TurnMessage],
        *,
        recipe: str,
    ) -> None:
        self._captioner = captioner
        self._messages = messages
        self.info = captioner.info
        content = {
            "recipe": recipe,
            "messages": [message.identity() for message in messages],
        }
        self.recipe = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    def caption(self, clip: Clip, *, on_text: OnText | None = None) -> Caption:
        """Return the answer to the last message; `clip` is not read."""
        messages = [message.for_service(self._captioner) for message in self._messages]
        return self._captioner.ask(messages, on_text=on_text)

    def close(self) -> None:
        """Do nothing: the conversation closes its captioner."""


def ask_turn(
    captioner: ConversationalCaptioner,
    messages: Sequence[TurnMessage],
    context: RunContext,
    *,
    gate: EventGate,
    path: str,
    index: int,
) -> Outcome:
    """Return the outcome of a turn of a captioner that may charge for its answers.

    Args:
        captioner: a `PaidCaptioner` as well.
        messages: all messages, the question last.
        context: a context of this turn alone, so that its errors do not end later turns.
        gate: receives the events.
        path: the name of the newest sound, for events.
        index: the number of the turn, from 1, for events.

    Raises:
        StoppedError: the conversation was cancelled.
        BaseException: the receiver of the events raised it.
    """
    assert isinstance(captioner, PaidCaptioner)
    turn = TurnCaptioner(captioner, messages, recipe=captioner.recipe)
    sounds = [message.sound.segment for message in messages if message.sound is not None]
    segment = sounds[-1] if sounds else _segment_without_sound()
    context = replace(context, service=_count_earlier(context.service, messages, sounds[:-1]))
    # The turn makes the reference itself, once for all later turns.
    segment = replace(segment, index=index, via=Via.BASE64)
    return PaidAsker(turn, context, path=path, gate=gate).ask(segment)


def _segment_without_sound() -> ReadySegment:
    """Return the segment of a conversation in text alone, which has a key but no file."""
    return ReadySegment(
        index=0,
        source_span=Span(start_samples=0, end_samples=0, rate_hz=1),
        file="",
        size_bytes=0,
        sha256=sha256(b"").hexdigest(),
        folder=Folder(Path()),
    )


def _count_earlier(
    service: Service, messages: Sequence[TurnMessage], earlier: Sequence[ReadySegment]
) -> Service:
    """Return the service with the texts and the earlier sounds added to a request's tokens."""
    target = service.target
    tokens = {
        TEXT_TOKENS: sum(len((message.text or "").encode()) for message in messages)
        + int(target.limit(TEXT_TOKENS) or UNSTATED_TEXT_TOKENS),
        EARLIER_AUDIO_TOKENS: sum(
            audio_tokens(target, sound.source_span.exact_s) for sound in earlier
        ),
    }
    facts = {
        name: Fact(value=Fraction(count), source=UPPER_BOUND, checked="")
        for name, count in tokens.items()
    }
    return replace(service, target=replace(target, facts={**target.facts, **facts}))
