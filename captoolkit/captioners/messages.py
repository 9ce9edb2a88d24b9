"""The messages of a request, before a protocol encodes them, and the check against a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from captoolkit.errors import UsageError
from captoolkit.model import Target
from captoolkit.services import catalogue
from captoolkit.support.keywords import require_utf8


class Role(StrEnum):
    """The author of a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message: sound, text, or both.

    Attributes:
        audio: `data:;base64,...`, `oss://...` or an http(s) URL; None without sound.
        text: None without text.
    """

    role: Role
    audio: str | None = field(default=None, repr=False)  # megabytes, or a link that is signed
    text: str | None = None


def check_messages(messages: Sequence[Message], row: Target | None) -> None:
    """Refuse messages that a model does not take, before anything is sent.

    Args:
        messages: the messages of one request.
        row: the model's target; None for an unknown model, which is assumed to take everything.

    Raises:
        UsageError: there is no question, or it is no text; or the model takes no prompt, no system
            message, one turn or a limited number of sounds, and the messages hold more.
    """
    for message in messages:
        require_utf8("the question", message.text)
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
    has_question = any(one.text and one.role is Role.USER for one in messages)
    features = (
        (row.system, "a system message", any(one.role is Role.SYSTEM for one in messages)),
        (row.prompt, "a prompt", has_question),
        (row.turns, "a second question", turns > 1),
        (False, f"more than {most} sound a request", most is not None and sounds > most),
        (row.prompt, "a request without sound", sounds == 0),
    )
    for is_taken, feature, is_present in features:
        if is_present and not is_taken:
            is_own_server = bool(row.dialect) and not (row.hosted_by or row.base_url)
            models = " (`model`)" if is_own_server else f": {', '.join(_models_that_converse())}"
            raise UsageError(
                f"{row.models[0]} does not take {feature}: it describes one sound",
                fix=f"leave it out, or take a model that answers questions{models}",
            )


def _models_that_converse() -> list[str]:
    """Return the first model of each target that takes prompts, system messages and turns."""
    rows = catalogue.targets().values()
    able = [row for row in rows if row.models and row.prompt and row.system and row.turns]
    return list(dict.fromkeys(row.models[0] for row in able))
