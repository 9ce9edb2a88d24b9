"""`Conversation`: questions to a model about sound, in turns that build on each other.

Rules: a question that the model cannot take is refused before anything is sent. A question without
an answer is not recorded, so that it can be repeated. A sound is prepared once, to the limits of
the model, and sent again with each later turn, because the services keep no history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack, cast

from captoolkit.api.plan import read_request
from captoolkit.api.prepare import open_prepared
from captoolkit.captioners.base import ConversationalCaptioner, ServiceOptions, ways_to
from captoolkit.captioners.messages import Message, Role
from captoolkit.captioners.registry import (
    DEFAULT_QUESTION_CAPTIONER,
    names_that_answer,
    open_captioner,
    row_of,
    service_of,
)
from captoolkit.errors import UsageError
from captoolkit.events import ignore
from captoolkit.model import Caption, Via
from captoolkit.planning import transport
from captoolkit.planning.options import DeliveryOptions
from captoolkit.support.cancel import Closing
from captoolkit.support.keywords import count_cores, documents, refuse_unknown_names
from captoolkit.units import format_length

if TYPE_CHECKING:
    from captoolkit.captioners.base import Captioner, OnText
    from captoolkit.media.source import Source


class ConversationOptions(DeliveryOptions, ServiceOptions, total=False):
    """The keyword arguments of `Conversation`."""


class Conversation(Closing):
    """Questions about sound and their answers, in turn; a context manager.

    ```python
    with captoolkit.Conversation("dashscope") as conversation:
        print(conversation.ask("Which language is this?", audio="welcome.mp3").text)
        print(conversation.ask("Is the speaker happy?").text)
    ```

    Attributes:
        messages: the questions and answers so far, without the system message.
    """

    @documents(DeliveryOptions, ServiceOptions)
    def __init__(
        self,
        captioner: str | Captioner = DEFAULT_QUESTION_CAPTIONER,
        **options: Unpack[ConversationOptions],
    ) -> None:
        """Open a conversation; nothing is sent yet.

        Args:
            captioner: `dashscope` or `openai`, or an open captioner that answers questions. An
                open captioner stays open, and takes only the options `target` and `via` here.
            **options: `ConversationOptions`.

        Raises:
            UsageError: an option is invalid, or the captioner answers no questions.
            KeyMissingError: the service needs a key and neither option nor environment has one.
            TypeError: there is no option of that name.
        """
        names = ("captioner", *ConversationOptions.__annotations__)
        refuse_unknown_names("Conversation", options, names)
        self._via = options.get("via", Via.BASE64)
        self._is_ours = isinstance(captioner, str)
        if isinstance(captioner, str):
            self._captioner = _open(captioner, options)
        else:
            self._captioner = _refuse_options(captioner, options)
        try:
            self._service = service_of(self._captioner, target=options.get("target"))
            transport.candidates(str(self._via), has_url=True, ways=ways_to(self._captioner))
        except UsageError:
            self.close()
            raise
        self.messages: list[Message] = []

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._captioner.info!r})"

    def ask(
        self, text: str | None = None, *, audio: Source | None = None, on_text: OnText | None = None
    ) -> Caption:
        """Ask the next question and return the answer.

        Args:
            text: the question; None for a voice chat, in which the sound holds the question
                (`qwen-audio-turbo-latest`, `qwen-audio-turbo-2024-12-04` and
                `qwen2-audio-instruct` understand that).
            audio: a source as for `prepare`, for this question and all later ones; captoolkit
                prepares it for the model if it does not fit unchanged.
            on_text: receives the answer piece by piece.

        Raises:
            UsageError: the model cannot take the question, or there is no question.
            InputError, ToolError, OutputError, LimitError: the sound cannot be prepared.
            ServiceError: no answer came; the question may be repeated.
        """
        self._captioner.check_messages(
            [*self.messages, _question(text, None if audio is None else "")]
        )
        question = _question(text, None if audio is None else self._reference(audio))
        answer = self._captioner.ask([*self.messages, question], on_text=on_text)
        self.messages += [question, Message(role=Role.ASSISTANT, text=answer.text)]
        return answer

    def close(self) -> None:
        """Close the captioner if it was opened here; may be called twice."""
        if self._is_ours:
            self._captioner.close()

    def _reference(self, audio: Source) -> str:
        """The text that stands for a sound in a message: a `data:` URI or a URL."""
        target = self._service.target
        request = read_request(
            audio, {"via": self._via}, target=target, ways=ways_to(self._captioner)
        )
        with open_prepared(audio, request, jobs=count_cores(), on_event=ignore) as prepared:
            plan = prepared.plan
            if len(plan.spans) > 1:
                longest_s = plan.max_segment_samples / plan.track.sample_rate_hz
                raise UsageError(
                    f"it lasts {format_length(plan.track.duration_s)}, and {target.name} hears "
                    f"{format_length(longest_s)} at a time",
                    fix="ask about a part of it: `captoolkit prepare` makes parts that fit",
                )
            (segment,) = prepared
            return self._captioner.audio_reference(segment)


def _question(text: str | None, audio: str | None) -> Message:
    return Message(role=Role.USER, text=text or None, audio=audio)


def _open(name: str, options: ConversationOptions) -> ConversationalCaptioner:
    """Open a captioner, for its question model unless a model or a target is given."""
    own = {option: options.get(option) for option in ServiceOptions.__annotations__}
    if own["model"] is None and options.get("target") is None:
        own["model"] = row_of(name).question_model
    opened = open_captioner(name, target=options.get("target"), **cast("ServiceOptions", own))
    try:
        return _require_answers(opened)
    except UsageError:
        opened.close()
        raise


def _refuse_options(captioner: Captioner, options: ConversationOptions) -> ConversationalCaptioner:
    """Return a captioner that is open already, unless options for opening one were given."""
    for name in ServiceOptions.__annotations__:
        if options.get(name) is not None:
            raise UsageError(
                f"{name} cannot be given to a captioner that is open already",
                fix="open the captioner with it",
            )
    return _require_answers(captioner)


def _require_answers(captioner: Captioner) -> ConversationalCaptioner:
    if not isinstance(captioner, ConversationalCaptioner):
        raise UsageError(
            f"the {captioner.info.name} captioner cannot be asked questions",
            fix=f"take {' or '.join(names_that_answer())}",
        )
    return captioner
