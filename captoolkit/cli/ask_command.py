"""`captoolkit ask`: a conversation with a model about a file."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from captoolkit.cli import basic_options as basic
from captoolkit.cli import shared_options as shared
from captoolkit.cli.app import COMMANDS, run_each
from captoolkit.cli.help_sections import SectionedCommand
from captoolkit.cli.option_types import FilePlace, complete_path
from captoolkit.cli.show import name_options, print_line, print_message, print_text
from captoolkit.errors import SourceNotFoundError, UsageError
from captoolkit.units import format_count

if TYPE_CHECKING:
    from captoolkit.api.ask import Conversation
    from captoolkit.events import Event
    from captoolkit.model import Cost


FILE_NAME = re.compile(r"\S*\w\.[A-Za-z][A-Za-z0-9]{1,4}")  # an ending, and no space


@click.command("ask", cls=SectionedCommand, short_help=COMMANDS["ask"])
@click.argument("arguments", metavar="[FILE] [QUESTION]...", nargs=-1, shell_complete=complete_path)
@click.option(
    "--continue",
    "saved",
    metavar="CONVERSATION.json",
    type=FilePlace(dir_okay=False, path_type=Path),
    shell_complete=complete_path,
    help="Continue the conversation in this file, and write it there after each answer; begin one "
    "if there is no such file. The file holds no key and no sound.",
)
@shared.question_captioner
@shared.target_of_model
@shared.via_or_auto
@shared.question_requests
@basic.quiet
@basic.debug
def command(
    arguments: tuple[str, ...], saved: Path | None, debug: bool, fresh: bool, **options: Any
) -> int:
    """Ask a model about FILE. Each QUESTION is a turn; the model receives all earlier turns too.

    The answers are written to standard output, on a terminal as they arrive. Without a QUESTION the
    sound is the question (voice chat; use --model qwen-audio-turbo-latest). FILE must not be longer
    than the model hears at a time; captoolkit prepares it if necessary. Model Studio's captioner
    takes no questions, so captoolkit refuses them before it sends anything.

    Transient errors are retried. The ledger answers a question if the same conversation has had it
    before. - as FILE reads standard input.

    With --continue, FILE may be left out: the conversation has its sounds. A first argument that
    is an existing file, a URL or a name such as talk.mp3 is a FILE: a further sound.
    """
    options["resume"] = not fresh
    is_begun = saved is not None and saved.exists()
    file, questions = _file_and_questions(arguments, is_begun=is_begun)
    name = str(saved) if file is None else file
    return run_each([name], lambda _: _converse(file, questions, saved, options), debug=debug)


def _file_and_questions(
    arguments: tuple[str, ...], *, is_begun: bool
) -> tuple[str | None, tuple[str, ...]]:
    """Return the sound of the first question, None without one, and the questions.

    A first argument such as `talk.mp3` is a file, also without such a file: a misspelled name is
    refused, and not sent as a question.

    Raises:
        UsageError: there are no arguments, or a question is an existing file: a pattern such as
            `*.wav` would pay for questions that are names.
    """
    from captoolkit.media.source import is_web_url

    if not arguments:
        raise UsageError("there is nothing to ask", fix="give a FILE, and a QUESTION about it")
    first = arguments[0]
    for question in arguments[1:]:
        if _is_file(question):
            raise UsageError(
                f"{question} is a file, and a QUESTION is a text",
                fix="ask about one FILE; --continue adds a further one to the conversation",
            )
    is_sound = is_web_url(first) or _is_file(first) or FILE_NAME.fullmatch(first)
    if is_begun and not is_sound:
        return None, arguments
    return arguments[0], arguments[1:] or ("",)


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # a question may be longer than the name of a file
        return False


def _converse(
    file: str | None, questions: tuple[str, ...], saved: Path | None, options: dict[str, Any]
) -> None:
    """Ask all questions, and write the conversation after each answer.

    Raises:
        UsageError, SourceNotFoundError: there is no such file. This needs no key, so it is first.
    """
    from captoolkit.api.ask import Conversation
    from captoolkit.dispatch.ledger_place import default_path
    from captoolkit.media.source import is_web_url, refuse_url
    from captoolkit.support import files

    if file == "-" and saved is not None:
        raise UsageError("--continue records the place of FILE, and - has none", fix="name a file")
    if file and file != "-" and not is_web_url(file):
        refuse_url(file)
        if not os.path.lexists(file):
            raise SourceNotFoundError(
                "no such file", fix="give a FILE, and a QUESTION about it", path=file
            )
    if saved is not None:
        files.refuse_shared(
            [("--continue", saved), ("--ledger", options["ledger"] or default_path())]
        )
        files.refuse_unwritable_file(saved)
    display = _AnswerDisplay()
    captioner = _captioner(options.pop("captioner"), options["target"])
    if saved is not None and saved.exists():
        _refuse_other_captioner(saved, captioner)
        given = {name: value for name, value in options.items() if _is_given(name)}
        opened = Conversation.load(saved, on_event=display.show_event, **given)
    else:
        opened = Conversation(captioner, on_event=display.show_event, **options)
    with opened as conversation:
        before = conversation.usage.total_tokens or 0, conversation.cost
        for number, question in enumerate(questions):
            audio: str | BinaryIO | None = None if _knows(conversation, file) else file
            if file == "-":
                audio = None if number else sys.stdin.buffer
            display.answer(conversation, question, audio=audio, is_first=not number)
            if saved is not None:
                conversation.save(saved)
        print_message(_summary(conversation, *before))


def _refuse_other_captioner(saved: Path, captioner: str) -> None:
    """Refuse a captioner that the user gave and that is not the one of the conversation."""
    from captoolkit.api import conversation_file

    own = conversation_file.read(saved).info.name
    if _is_given("captioner") and captioner != own:
        raise UsageError(
            f"the conversation in {saved} is with --captioner {own}",
            fix="leave out --captioner, or begin another conversation",
        )


def _captioner(name: str | None, target: str | None) -> str:
    """Return the captioner: the given one, else the one that the target needs, else the default."""
    from captoolkit.captioners.registry import DEFAULT_QUESTION_CAPTIONER, question_captioner_of
    from captoolkit.services import catalogue

    if name is not None:
        return name
    if target is None:
        return DEFAULT_QUESTION_CAPTIONER
    return question_captioner_of(catalogue.target(target))


def _is_given(name: str) -> bool:
    """Return whether the user gave an option, so that it replaces the conversation's own."""
    source = click.get_current_context().get_parameter_source(name)
    return name == "resume" or source is click.core.ParameterSource.COMMANDLINE


def _knows(conversation: Conversation, file: str | None) -> bool:
    """Return whether the conversation has a sound already: it is sent with each question."""
    from captoolkit.media.source import is_web_url, public_url
    from captoolkit.support import files

    if file is None:
        return True
    place = public_url(file) if is_web_url(file) else files.absolute(file)
    return any(message.audio == place for message in conversation.messages)


def _summary(conversation: Conversation, tokens_before: int, cost_before: Cost | None) -> str:
    """Return the line at the end: answers, tokens and cost of this command."""
    answers = conversation.requested + conversation.recalled
    recalled = f" ({conversation.recalled} from the ledger)" if conversation.recalled else ""
    tokens = (conversation.usage.total_tokens or 0) - tokens_before
    line = f"{format_count(answers, 'answer')}{recalled}, {format_count(tokens, 'token')}"
    cost = conversation.cost
    if cost is not None:
        amount = cost.amount - (cost_before.amount if cost_before else 0)
        line += f", {amount:.6f} {cost.currency}"
    return line


class _AnswerDisplay:
    """Writes answers to standard output: on a terminal as they arrive, otherwise whole.

    An answer that breaks off is requested again and begins again; a file or a pipe must not hold
    its first part twice.
    """

    def __init__(self) -> None:
        self._is_live = sys.stdout.isatty()
        self._is_open_line = False
        self._is_separated = True

    def answer(
        self,
        conversation: Conversation,
        question: str,
        *,
        audio: str | BinaryIO | None,
        is_first: bool,
    ) -> None:
        """Ask one question and write its answer, after a blank line if it is not the first."""
        self._is_separated = is_first
        try:
            answer = conversation.ask(question, audio=audio, on_text=self._show_piece)
            if not self._is_open_line:
                self._write(answer.text)
        finally:
            self._end_line()
        if answer.finish_reason == "length":
            print_message("warning: the answer reached the model's length limit and is cut off")

    def show_event(self, event: Event) -> None:
        """Announce a retry, and show warnings."""
        from captoolkit.events import RetryScheduled, Warned

        match event:
            case RetryScheduled(reason=reason):
                self._end_line()
                print_message(f"the question is sent again: {name_options(reason)}")
            case Warned(message=message):
                self._end_line()
                print_message(f"warning: {name_options(message)}")

    def _show_piece(self, text: str) -> None:
        if self._is_live:
            self._write(text)

    def _write(self, text: str) -> None:
        if not self._is_separated:
            print_line()
            self._is_separated = True
        self._is_open_line = True
        print_text(text)

    def _end_line(self) -> None:
        if self._is_open_line:
            print_line()
        self._is_open_line = False
