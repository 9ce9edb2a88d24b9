"""What is said to a model and by it: pure values, before any protocol has put them into words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from captoolkit.errors import UsageError
from captoolkit.model import Target


class Role(StrEnum):
    """Whose words a message holds."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message: sound, words, or both.

    Attributes:
        audio: `data:;base64,...`, `oss://...` or an http(s) URL; None where there is no sound.
        text: the words; None where there are none.
    """

    role: Role
    audio: str | None = field(default=None, repr=False)  # megabytes, or a link that is signed
    text: str | None = None


def refuse_excess(messages: Sequence[Message], row: Target | None) -> None:
    """Refuse what a model does not take, before anything is sent.

    Args:
        messages: what would be sent.
        row: what the model takes; None where nobody knows, and then it takes everything.

    Raises:
        UsageError: it takes no prompt, no system message, one turn or so many sounds, and gets
            more; or there is nothing to answer.
    """
    if (
        not messages
        or messages[-1].role is not Role.USER
        or messages[-1] == Message(role=Role.USER)
    ):
        raise UsageError("there is nothing to ask", fix="give a question, a sound, or both")
    if row is None:
        return
    sounds = sum(message.audio is not None for message in messages)
    turns = sum(message.role is Role.USER for message in messages)
    most = row.limit("files_per_request")
    asked = (
        (row.system, "a system message", any(one.role is Role.SYSTEM for one in messages)),
        (row.prompt, "a prompt", any(one.text and one.role is Role.USER for one in messages)),
        (row.turns, "a second question", turns > 1),
        (False, f"more than {most} sound a request", most is not None and sounds > most),
        (row.prompt, "a request without sound", sounds == 0),
    )
    for is_taken, what, is_there in asked:
        if is_there and not is_taken:
            raise UsageError(
                f"{row.models[0]} does not take {what}: it describes one sound, and that is all",
                fix="leave it out, or ask a model that takes it (`captoolkit targets` says which)",
            )
