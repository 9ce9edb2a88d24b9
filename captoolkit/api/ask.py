"""`Conversation`: questions to a model about sound, in turns that build on each other.

Rules: a question that the model cannot take is refused before anything is sent. A question without
an answer is not recorded, so that it can be repeated. A sound is prepared once, to the limits of
the model, and sent again with each later turn, because the services keep no history. Questions
follow the same rules as captions: ledger, budget, rate limit and retries.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self, Unpack, cast
from urllib.parse import urlencode

from captoolkit.api import conversation_file
from captoolkit.api.asking_run import (
    AskingOptions,
    CaptionOptions,
    RunOptions,
    read_run_options,
    refuse_unknown_price,
)
from captoolkit.api.conversation_file import SavedAnswer, SavedConversation, SavedSound, SavedTurn
from captoolkit.api.plan import read_request
from captoolkit.api.prepare import open_prepared
from captoolkit.captioners.base import (
    ConversationalCaptioner,
    ServiceOptions,
    is_paid,
    ways_to,
)
from captoolkit.captioners.messages import Message, Role
from captoolkit.captioners.registry import (
    DEFAULT_QUESTION_CAPTIONER,
    names_that_answer,
    open_captioner,
    row_of,
    service_of,
)
from captoolkit.dispatch.budget import cost_of
from captoolkit.dispatch.conversation_turn import Sound, TurnMessage, ask_turn
from captoolkit.dispatch.ledger import Ledger
from captoolkit.errors import CancelledError, UsageError
from captoolkit.events import Event, OnEvent, TextArrived, ignore
from captoolkit.media.source import is_web_url, local_file
from captoolkit.model import Caption, Cost, Usage, Via
from captoolkit.pipeline.event_gate import EventGate
from captoolkit.planning import transport
from captoolkit.planning.options import DeliveryOptions
from captoolkit.support import files
from captoolkit.support.cancel import Closing, StoppedError
from captoolkit.support.keywords import (
    count_cores,
    documents,
    refuse_unknown_names,
    require_type,
)
from captoolkit.units import format_length

if TYPE_CHECKING:
    from captoolkit.captioners.base import Captioner, OnText
    from captoolkit.media.source import Source


class ConversationOptions(DeliveryOptions, ServiceOptions, AskingOptions, total=False):
    """The keyword arguments of `Conversation`."""


OPTION_TYPES = (DeliveryOptions, ServiceOptions, AskingOptions)
KEYWORDS = ("captioner", "on_event", *ConversationOptions.__annotations__)


@dataclass(slots=True, kw_only=True)
class _Turn:
    """An answered question.

    Attributes:
        place: where its sound is, for a document; None without sound or for a sound in memory.
        sound: the sound, prepared; None without sound, or before a loaded sound is needed.
    """

    question: str | None
    has_audio: bool
    place: SavedSound | None
    sound: Sound | None
    answer: Caption


class Conversation(Closing):
    """Questions about sound and their answers, in turn; a context manager.

    ```python
    with captoolkit.Conversation("dashscope") as conversation:
        print(conversation.ask("Which language is this?", audio="welcome.mp3").text)
        print(conversation.ask("Is the speaker happy?").text)
        conversation.save("welcome.json")
    with captoolkit.Conversation.load("welcome.json") as conversation:
        print(conversation.ask("How old is the speaker?").text)
    ```

    Attributes:
        requested: the number of questions that were sent to the service.
        recalled: the number of answers from the ledger.
        usage: the tokens of all requests, also of those before the conversation was saved.
    """

    @documents(*OPTION_TYPES)
    def __init__(
        self,
        captioner: str | Captioner = DEFAULT_QUESTION_CAPTIONER,
        *,
        on_event: OnEvent = ignore,
        **options: Unpack[ConversationOptions],
    ) -> None:
        """Open a conversation; nothing is sent yet.

        Args:
            captioner: `dashscope` or `openai`, or an open captioner that answers questions. An
                open captioner stays open, and takes no `ServiceOptions` here.
            on_event: receives `RetryScheduled`, `TextArrived` and `Warned`; the index of an event
                is the number of the question.
            **options: `ConversationOptions`.

        Raises:
            UsageError: an option is invalid, or the captioner answers no questions.
            KeyMissingError: the service needs a key and neither option nor environment has one.
            OutputError: the ledger cannot be used.
            TypeError: there is no option of that name.
        """
        refuse_unknown_names("Conversation", options, KEYWORDS)
        require_type("on_event", on_event, Callable, "a function of one event")
        self.requested = self.recalled = 0
        self.usage = Usage()
        self._on_event = on_event
        self._options = options
        self._via = options.get("via", Via.BASE64)
        self._run: RunOptions = read_run_options(cast("CaptionOptions", options))
        self._turns: list[_Turn] = []
        self._ledger: Ledger | None = None
        with contextlib.ExitStack() as resources:
            self._captioner = _open(captioner, options, resources)
            self._service = service_of(self._captioner, target=options.get("target"))
            transport.candidates(str(self._via), has_url=True, ways=ways_to(self._captioner))
            if is_paid(self._captioner):
                refuse_unknown_price(self._run.budget, self._service)
                self._ledger = resources.enter_context(
                    Ledger(options.get("ledger"), clock=self._run.clock)
                )
            self._resources = resources.pop_all()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._captioner.info!r})"

    @property
    def messages(self) -> list[Message]:
        """The questions and answers so far, without the system message.

        The `audio` of a message is the path or URL of its sound, or `in memory`.
        """
        messages: list[Message] = []
        for turn in self._turns:
            place = "in memory" if turn.place is None else turn.place.place
            audio = place if turn.has_audio else None
            messages += [
                Message(role=Role.USER, text=turn.question, audio=audio),
                Message(role=Role.ASSISTANT, text=turn.answer.text),
            ]
        return messages

    @property
    def cost(self) -> Cost | None:
        """The cost of all requests, None if the price or the usage is unknown."""
        return cost_of(self.usage, self._service.price)

    def ask(
        self, text: str | None = None, *, audio: Source | None = None, on_text: OnText | None = None
    ) -> Caption:
        """Ask the next question and return the answer.

        The ledger answers a question if it has an answer to the same sounds, earlier questions and
        options. Otherwise captoolkit sends it, and retries transient errors.

        Args:
            text: the question; None for a voice chat, in which the sound holds the question
                (`qwen-audio-turbo-latest`, `qwen-audio-turbo-2024-12-04` and
                `qwen2-audio-instruct` understand that).
            audio: a source as for `prepare`, for this question and all later ones; captoolkit
                prepares it for the model if it does not fit unchanged.
            on_text: receives the answer piece by piece; not called for an answer from the ledger.
                A retry, which `RetryScheduled` announces, begins the answer again.

        Raises:
            UsageError: the model cannot take the question, or there is no question.
            CancelledError: `stop` was set, or `close` called in the meantime.
            InputError, ToolError, OutputError, LimitError: the sound cannot be prepared, or has
                changed since the conversation was saved.
            ServiceError: no answer came; the question may be repeated.
            CaptoolkitError: `max_cost` does not allow the request.
        """
        text = text or None
        new = Message(role=Role.USER, text=text, audio=None if audio is None else "")
        self._captioner.check_messages([*self.messages, new])
        for turn in self._turns:
            self._prepare_loaded(turn)
        place, sound = (None, None) if audio is None else self._prepare(audio)
        turns = [*self._messages_of_turns(), TurnMessage(role=Role.USER, text=text, sound=sound)]
        answer = self._answer(turns, on_text, path="" if place is None else place.place)
        self._turns.append(
            _Turn(
                question=text,
                has_audio=audio is not None,
                place=place,
                sound=sound,
                answer=answer,
            )
        )
        return answer

    # ------------------------------------------------------------------------ save and resume

    def to_json(self) -> str:
        """Return the conversation as JSON, without a key and without the bytes of a sound.

        A sound is recorded by its path or URL and its hash. The login and the query of a URL, which
        may be secret, are left out.

        Raises:
            UsageError: a sound is in memory, so that it has no path and no URL.
        """
        target = self._options.get("target")
        info, query = self._captioner.info, self._service.query
        if query:  # Azure's `api-version`: a part of the address
            info = dataclasses.replace(info, base_url=f"{info.base_url}?{urlencode(query)}")
        return conversation_file.render(
            info,
            target=target if isinstance(target, str | None) else target.name,
            via=str(self._via),
            options={name: value for name, value in self._options.items() if value is not None},
            turns=tuple(map(_saved, self._turns)),
            usage=self.usage,
            cost=self.cost,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the conversation to a file, whole or not at all; an earlier one is replaced.

        Raises:
            UsageError: as `to_json`.
            OutputExistsError: the file exists and is no conversation.
            OutputError: the file cannot be written.
        """
        mark, within = conversation_file.MARK, conversation_file.MARK_WITHIN
        files.refuse_foreign(Path(path), mark, "conversation", within=within)
        files.write_whole(Path(path), self.to_json(), overwrite=True)

    @classmethod
    def from_json(
        cls,
        document: str | bytes,
        *,
        on_event: OnEvent = ignore,
        **options: Unpack[ConversationOptions],
    ) -> Self:
        """Return the conversation in a JSON document; nothing is sent yet.

        Args:
            document: as `to_json` returns it.
            on_event: as for `Conversation`.
            **options: `ConversationOptions`; they replace those in the document. The document holds
                no key: it comes from the environment, or from `api_key`, which goes to the server
                that the document names unless `base_url` is given.

        Raises:
            InputError: the document is no conversation, or a file has changed.
            UsageError, KeyMissingError, OutputError, TypeError: as `Conversation`.
        """
        saved = conversation_file.parse(document)
        return cls._resume(saved, on_event, options)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        on_event: OnEvent = ignore,
        **options: Unpack[ConversationOptions],
    ) -> Self:
        """Return the conversation in a file; nothing is sent yet.

        Args:
            path: a file that `save` wrote.
            on_event: as for `Conversation`.
            **options: as for `from_json`.

        Raises:
            InputError: the file cannot be read or is no conversation, or a sound has changed.
            UsageError, KeyMissingError, OutputError, TypeError: as `Conversation`.
        """
        return cls._resume(conversation_file.read(Path(path)), on_event, options)

    @classmethod
    def _resume(
        cls, saved: SavedConversation, on_event: OnEvent, options: ConversationOptions
    ) -> Self:
        for turn in saved.turns:
            if turn.audio is not None:
                turn.audio.check()
        kept = {
            "model": saved.info.model,
            "base_url": saved.info.base_url,
            "target": saved.target,
            "via": saved.via,
            **saved.options,
        }
        if options.get("region") is not None and options.get("base_url") is None:
            del kept["base_url"]  # the caller names another place
        given = {name: value for name, value in options.items() if value is not None}
        conversation = cls(
            saved.info.name, on_event=on_event, **cast("ConversationOptions", kept | given)
        )
        conversation.usage = conversation_file.usage_in(saved.usage)
        conversation._turns = [
            _Turn(
                question=turn.question,
                has_audio=turn.audio is not None,
                place=turn.audio,
                sound=None,
                answer=turn.answer.caption(),
            )
            for turn in saved.turns
        ]
        return conversation

    def close(self) -> None:
        """Remove the prepared sounds, close the ledger and a captioner that was opened here."""
        self._resources.close()

    # ------------------------------------------------------------------------------ one question

    def _answer(self, messages: list[TurnMessage], on_text: OnText | None, *, path: str) -> Caption:
        """Return the answer from the ledger or the service, and count it."""
        if self._ledger is None:
            sent = [message.for_service(self._captioner) for message in messages]
            answer = self._captioner.ask(sent, on_text=on_text)
            self.requested += 1
            self.usage += answer.usage
            return answer
        run = dataclasses.replace(self._run, stream=on_text is not None)
        gate = EventGate(_pass_on(self._on_event, on_text), run.stop)
        context = run.context(self._service, self._ledger)
        index = len(self._turns) + 1
        try:
            outcome = ask_turn(
                self._captioner, messages, context, gate=gate, path=path, index=index
            )
        except StoppedError:
            raise CancelledError(
                "this conversation was cancelled", fix="begin another one, or load it again"
            ) from None
        if outcome.error is not None:
            raise outcome.error
        usage = dataclasses.replace(outcome.entry.usage, predicted_input_tokens=None)
        self.requested += outcome.requested
        self.recalled += outcome.recalled
        if not outcome.recalled:
            self.usage += usage
        return Caption(
            text=outcome.entry.text or "",
            finish_reason=outcome.entry.finish_reason,
            request_id=outcome.entry.request_id,
            usage=usage,
        )

    def _messages_of_turns(self) -> list[TurnMessage]:
        messages: list[TurnMessage] = []
        for turn in self._turns:
            messages += [
                TurnMessage(role=Role.USER, text=turn.question, sound=turn.sound),
                TurnMessage(role=Role.ASSISTANT, text=turn.answer.text),
            ]
        return messages

    def _prepare_loaded(self, turn: _Turn) -> None:
        """Prepare the sound of a loaded turn, and refuse it if its bytes have changed."""
        if turn.sound is not None or turn.place is None:
            return
        place, turn.sound = self._prepare(turn.place.place)
        if place is not None:
            turn.place.compare(place.sha256)

    def _prepare(self, audio: Source) -> tuple[SavedSound | None, Sound]:
        """Return where a sound is, and the sound itself in one segment."""
        target = self._service.target
        request = read_request(
            audio, {"via": self._via}, target=target, ways=ways_to(self._captioner)
        )
        with contextlib.ExitStack() as opened:
            prepared = opened.enter_context(
                open_prepared(audio, request, jobs=count_cores(), on_event=ignore)
            )
            plan = prepared.plan
            if len(plan.spans) > 1:
                longest_s = plan.max_segment_samples / plan.track.sample_rate_hz
                raise UsageError(
                    f"it lasts {format_length(plan.track.duration_s)}, and {target.name} hears "
                    f"{format_length(longest_s)} at a time",
                    fix="ask about a part of it: `captoolkit prepare` makes parts that fit",
                )
            (segment,) = prepared
            source = prepared.source
            self._resources.push(opened.pop_all())  # an upload may read the file later
        has_place = local_file(audio) is not None or is_web_url(source.path)
        place = SavedSound(place=source.path, sha256=source.sha256) if has_place else None
        return place, Sound(segment=segment)


def _pass_on(on_event: OnEvent, on_text: OnText | None) -> Callable[[Event], None]:
    """Return the receiver of a turn's events: the text goes to `on_text` as well."""

    def receive(event: Event) -> None:
        if on_text is not None and isinstance(event, TextArrived):
            on_text(event.text)
        on_event(event)

    return receive


def _saved(turn: _Turn) -> SavedTurn:
    if turn.has_audio and turn.place is None:
        raise conversation_file.refuse_memory()
    return SavedTurn(question=turn.question, audio=turn.place, answer=SavedAnswer.of(turn.answer))


def _open(
    captioner: str | Captioner, options: ConversationOptions, resources: contextlib.ExitStack
) -> ConversationalCaptioner:
    """Return the captioner; one that is opened here is closed with `resources`.

    A captioner by name is opened for its question model unless a model or a target is given.
    """
    own = {option: options.get(option) for option in ServiceOptions.__annotations__}
    if isinstance(captioner, str):
        if own["model"] is None and options.get("target") is None:
            own["model"] = row_of(captioner).question_model
        opened = open_captioner(
            captioner, target=options.get("target"), **cast("ServiceOptions", own)
        )
        resources.callback(opened.close)
        return _require_answers(opened)
    for name, value in own.items():
        if value not in (None, False):
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
