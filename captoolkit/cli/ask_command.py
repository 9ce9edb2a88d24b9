"""`captoolkit ask`: a conversation with a model about a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from captoolkit.cli import shared_options as shared
from captoolkit.cli.app import COMMANDS, run_each
from captoolkit.cli.option_types import complete_path
from captoolkit.cli.show import plural, print_line, print_message, print_text

if TYPE_CHECKING:
    from captoolkit.api.ask import Conversation
    from captoolkit.model import Caption


@click.command("ask", short_help=COMMANDS["ask"])
@click.argument("file", metavar="FILE", shell_complete=complete_path)
@click.argument("questions", metavar="[QUESTION]...", nargs=-1)
@shared.question_captioner
@shared.target_of_model
@shared.via_or_auto
@shared.debug
def command(
    file: str,
    questions: tuple[str, ...],
    captioner: str,
    debug: bool,
    **options: Any,
) -> int:
    """Ask a model about FILE. Each QUESTION is a turn; the model receives all earlier turns too.

    The answers are written to standard output as they arrive. Without a QUESTION the sound is the
    question (voice chat; use --model qwen-audio-turbo-latest). FILE must not be longer than the
    model hears at a time; captoolkit prepares it if necessary. Model Studio's captioner takes no
    questions, so captoolkit refuses them before it sends anything.
    """
    from captoolkit.api.ask import Conversation

    def converse(name: str) -> None:
        with Conversation(captioner, **options) as conversation:
            answers = [
                _ask(conversation, question, audio=None if number else name, number=number)
                for number, question in enumerate(questions or ("",))
            ]
        tokens = sum(answer.usage.total_tokens or 0 for answer in answers)
        print_message(f"{plural(len(answers), 'answer')}, {plural(tokens, 'token')}")

    return run_each([file], converse, debug=debug)


def _ask(conversation: Conversation, question: str, *, audio: str | None, number: int) -> Caption:
    """Ask one question and write its answer as it arrives, after a blank line if not the first."""
    has_text = False

    def show(text: str) -> None:
        nonlocal has_text
        if number and not has_text:
            print_line()
        has_text = True
        print_text(text)

    try:
        answer = conversation.ask(question, audio=audio, on_text=show)
    finally:
        if has_text:
            print_line()
    if answer.finish_reason == "length":
        print_message("warning: the answer reached the model's length limit and is cut off")
    return answer
