"""Talking with a model about sound: questions in turn, each heard with all that was said before.

Rules: what the model does not take is refused before anything is sent; a question that gets no
answer leaves no trace, so that it can be asked again; sound is prepared once, for the model's
limits, and sent again with each turn, because the services remember nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from captoolkit.api.prepare import prepare
from captoolkit.captioners.base import Answering, ways_to
from captoolkit.captioners.messages import Message, Role
from captoolkit.captioners.registry import (
    DEFAULT_QUESTION_CAPTIONER,
    names_that_answer,
    open_captioner,
    row_of,
    service_of,
)
from captoolkit.errors import UsageError
from captoolkit.model import Caption, Target
from captoolkit.support.cancel import Closing
from captoolkit.units import format_length

if TYPE_CHECKING:
    from captoolkit.captioners.base import Captioner, OnText
    from captoolkit.media.source import Source


class Conversation(Closing):
    """Questions about sound and their answers, in turn; a context manager.

    ```python
    with captoolkit.Conversation("dashscope") as conversation:
        print(conversation.ask("What is being said?", audio="welcome.mp3").text)
        print(conversation.ask("Who would say such a thing?").text)
    ```

    Attributes:
        messages: all that has been said and heard so far, without the system message.
    """

    def __init__(
        self,
        captioner: str | Captioner = DEFAULT_QUESTION_CAPTIONER,
        *,
        model: str | None = None,
        region: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        system: str | None = None,
        target: str | Target | None = None,
        via: str = "base64",
    ) -> None:
        """Open a conversation; nothing is sent yet.

        Args:
            captioner: `dashscope` or `openai`, or one of these that is open already (and stays
                so); then the options up to `system` are its own.
            model: the service's model; `qwen-audio-turbo` if None.
            region: which of Model Studio's hosts is asked; the one that the model's row names (for
                the default model Beijing) if None.
            base_url: another host, ending as the SDKs' do; takes the place of `region`.
            api_key: the key; `DASHSCOPE_API_KEY` of the environment if None.
            system: what to tell the model beforehand.
            target: the limits to keep; those of the model if None.
            via: how sound travels: `base64`, `upload`, `url` or `auto`.

        Raises:
            UsageError: an option cannot be, or the captioner cannot be talked with.
            KeyMissingError: the service needs a key and there is none.
        """
        given = {
            "model": model,
            "region": region,
            "base_url": base_url,
            "api_key": api_key,
            "system": system,
        }
        self._is_ours = isinstance(captioner, str)
        opened = (
            _opened(captioner, target, given)
            if isinstance(captioner, str)
            else _as_it_is(captioner, given)
        )
        self._captioner = _answering(opened)
        self._service = service_of(opened, target=target)
        self._via = via
        self.messages: list[Message] = []

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._captioner.info!r})"

    def ask(
        self, text: str | None = None, *, audio: Source | None = None, on_text: OnText | None = None
    ) -> Caption:
        """Ask the next question and return the answer.

        Args:
            text: the question; None for a voice chat, in which the sound holds it (understood by
                `qwen-audio-turbo-latest`, `qwen-audio-turbo-2024-12-04`, `qwen2-audio-instruct`).
            audio: a source as for `prepare`, heard with this question and with all later ones;
                prepared for the model if it does not fit as it is.
            on_text: receives the answer piece by piece as it comes.

        Raises:
            UsageError: the model takes no such question, or there is none.
            InputError, ToolError, OutputError, LimitError: the sound cannot be prepared.
            ServiceError: no answer came; the question may be asked again.
        """
        self._captioner.refuse([*self.messages, _question(text, None if audio is None else "")])
        heard = None if audio is None else self._heard(audio)
        question = _question(text, heard)
        answer = self._captioner.ask([*self.messages, question], on_text=on_text)
        self.messages += [question, Message(role=Role.ASSISTANT, text=answer.text)]
        return answer

    def close(self) -> None:
        """Let go of connections that were opened here; may be called twice."""
        if self._is_ours:
            self._captioner.close()

    def _heard(self, audio: Source) -> str:
        """What a request says in place of the sound, made to fit the model."""
        row, ways = self._service.target, ways_to(self._captioner)
        with prepare(audio, target=row, via=self._via, ways=ways) as prepared:
            plan = prepared.plan
            if len(plan.spans) > 1:
                longest_s = plan.max_segment_samples / plan.track.sample_rate_hz
                raise UsageError(
                    f"it lasts {format_length(plan.track.duration_s)}, and {row.name} hears "
                    f"{format_length(longest_s)} at a time",
                    fix="ask about a part of it: `captoolkit prepare` makes parts that fit",
                )
            (segment,) = prepared
            return self._captioner.reference(segment)


def _question(text: str | None, audio: str | None) -> Message:
    return Message(role=Role.USER, text=text or None, audio=audio)


def _opened(name: str, target: str | Target | None, given: dict[str, Any]) -> Captioner:
    """A captioner opened for a conversation: what is not said is said for the usual model."""
    usual = (
        row_of(name).question_model if target is None and given["model"] is None else given["model"]
    )
    return open_captioner(name, target=target, **{**given, "model": usual})


def _as_it_is(captioner: Captioner, given: dict[str, Any]) -> Captioner:
    """A captioner that is open already, whose options are settled."""
    named = [name for name, value in given.items() if value is not None]
    if named:
        raise UsageError(
            f"{named[0]} cannot be given to a captioner that is open already",
            fix="open the captioner with it",
        )
    return captioner


def _answering(captioner: Captioner) -> Answering:
    if not isinstance(captioner, Answering):
        raise UsageError(
            f"the {captioner.info.name} captioner cannot be asked questions",
            fix=f"take {' or '.join(names_that_answer())}",
        )
    return captioner
