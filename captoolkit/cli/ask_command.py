"""`captoolkit ask`: questions about a file, in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from captoolkit.cli import options
from captoolkit.cli.app import COMMANDS, for_each
from captoolkit.cli.show import note, plural, say, say_piece

if TYPE_CHECKING:
    from captoolkit.api.ask import Conversation
    from captoolkit.model import Caption
    from captoolkit.planning.options import ViaName


@click.command("ask", short_help=COMMANDS["ask"])
@click.argument("file", metavar="FILE")
@click.argument("questions", metavar="[QUESTION]...", nargs=-1)
@options.asked_options
@options.talking_options
@options.debug_option
def command(
    file: str,
    questions: tuple[str, ...],
    captioner: str,
    target: str | None,
    via: ViaName,
    debug: bool,
    **chosen: Any,
) -> int:
    """Ask a model about FILE: each QUESTION is a turn, heard with all that was said before.

    The answers are written to standard output as they come. Without a QUESTION the sound itself is
    the question (voice chat, for which take --model qwen-audio-turbo-latest). FILE must not be
    longer than the model hears at a time; it is prepared if it does not fit as it is. What the
    captioner of Model Studio does not take (it describes one sound and takes no questions) is
    refused before anything is sent.
    """
    from captoolkit.api.ask import Conversation

    def talk(name: str) -> None:
        with Conversation(captioner, target=target, via=via, **chosen) as conversation:
            answers = [
                _ask(conversation, question, audio=None if number else name, number=number)
                for number, question in enumerate(questions or ("",))
            ]
        tokens = sum(answer.usage.total_tokens or 0 for answer in answers)
        note(f"{plural(len(answers), 'answer')}, {plural(tokens, 'token')}")

    return for_each([file], talk, debug=debug)


def _ask(conversation: Conversation, question: str, *, audio: str | None, number: int) -> Caption:
    """Ask one question and write its answer as it comes, a blank line after the one before."""
    begun = False

    def tell(piece: str) -> None:
        nonlocal begun
        if number and not begun:
            say()
        begun = True
        say_piece(piece)

    try:
        answer = conversation.ask(question, audio=audio, on_text=tell)
    finally:
        if begun:
            say()
    if answer.finish_reason == "length":
        note("warning: the answer was cut off at its longest")
    return answer
