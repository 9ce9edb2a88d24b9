"""What is asked, whichever protocol it came by, and what a model takes of it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from captoolkit.emulator import refusals
from captoolkit.emulator.refusals import RefusedError
from captoolkit.model import Target

MAX_DATA_URIS = 250  # a request (Model Studio, error code page)
ROLES = frozenset({"system", "user", "assistant"})
DATA_SCHEME = "data:"

# Maps one part of a message's content to its kind, `audio` or `text`, and what it holds.
PartReader = Callable[[Mapping[str, Any]], tuple[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message: who says it, and its parts by kind."""

    role: str
    audios: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request, read.

    Attributes:
        streams: the answer comes as events.
        incremental: each event holds what is new, not everything so far.
        tells_usage: a stream of the compatible protocol ends with the tokens.
        max_tokens: the answer is cut off there; None where nothing was said.
    """

    model: str
    turns: tuple[Turn, ...]
    streams: bool = False
    incremental: bool = True
    tells_usage: bool = True
    max_tokens: int | None = None

    @property
    def audios(self) -> tuple[str, ...]:
        """Every audio in the request, the newest last."""
        return tuple(audio for turn in self.turns for audio in turn.audios)

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text in the request, the newest last."""
        return tuple(text for turn in self.turns for text in turn.texts)

    @property
    def question(self) -> str:
        """What the newest message asks; empty when it is audio alone (voice chat)."""
        return " ".join(self.turns[-1].texts) if self.turns else ""


def read_turns(messages: object, read_part: PartReader) -> tuple[Turn, ...]:
    """Return the messages of either protocol.

    Raises:
        RefusedError: they are no list of messages.
    """
    if not isinstance(messages, list) or not messages:
        raise RefusedError(refusals.NO_INPUT)
    return tuple(_read_turn(message, read_part) for message in messages)


def _read_turn(message: object, read_part: PartReader) -> Turn:
    if not isinstance(message, dict):
        raise RefusedError(refusals.NO_INPUT)
    content = message.get("content")
    if isinstance(content, str):
        return Turn(role=str(message.get("role")), texts=(content,))
    if not isinstance(content, list):
        raise RefusedError(refusals.NO_INPUT)
    held: dict[str, list[str]] = {"audio": [], "text": []}
    for part in content:
        kind, value = read_part(part) if isinstance(part, dict) else ("", None)
        if kind not in held or not isinstance(value, str):
            raise RefusedError(refusals.UNKNOWN_PART)
        held[kind].append(value)
    return Turn(
        role=str(message.get("role")), audios=tuple(held["audio"]), texts=tuple(held["text"])
    )


def read_count(parameters: Mapping[str, Any], name: str) -> int | None:
    """Return a parameter that is a number above zero, None where it is not given.

    Raises:
        RefusedError: it is something else.
    """
    value = parameters.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise RefusedError(refusals.out_of_range(name, 2**31 - 1))
    return value


def refuse_unfit(ask: Ask, target: Target) -> None:
    """Refuse what a model does not take, before its audio is looked at.

    Raises:
        RefusedError: in the order in which the gateway and then the model would.
    """
    data_uris = [audio for audio in ask.audios if audio.startswith(DATA_SCHEME)]
    longest = target.limit("max_base64_chars")
    if longest is not None and any(len(uri) > longest for uri in data_uris):
        raise RefusedError(refusals.large_item(int(longest)))
    if len(data_uris) > MAX_DATA_URIS:
        raise RefusedError(refusals.many_items(MAX_DATA_URIS))
    roles = [turn.role for turn in ask.turns]
    if roles[-1] != "user" or not ROLES.issuperset(roles):
        raise RefusedError(refusals.BAD_ROLES)
    if "system" in roles and not target.system:
        raise RefusedError(refusals.NO_SYSTEM)
    if len(roles) - roles.count("system") > 1 and not target.turns:
        raise RefusedError(refusals.NO_TURNS)
    if ask.texts and not target.prompt:
        raise RefusedError(refusals.NO_TEXT)
    if not ask.audios:
        raise RefusedError(refusals.NO_AUDIO)
    most = target.limit("files_per_request")
    if most is not None and len(ask.audios) > most:
        raise RefusedError(refusals.many_audios(int(most)))
