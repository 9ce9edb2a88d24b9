"""A conversation as JSON: its captioner, its turns, and where each sound is.

Rules: the format is `captoolkit.conversation/1`; a conversation that is written and read has the
same turns. The document never holds a key, nor the login or the query of a URL, which may be one.
A sound is recorded by the absolute path of its file or by its URL, with the hash of its bytes, so
that a changed file is noticed. A sound in memory has neither, and cannot be recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict, cast

import msgspec

from captoolkit.errors import InputError, SourceNotFoundError, UsageError
from captoolkit.media.source import is_web_url
from captoolkit.model import USAGE_FIELDS, Caption, CaptionerInfo, Cost, Usage
from captoolkit.support import exact_json, files

FORMAT_NAME = "captoolkit.conversation/"
FORMAT = f"{FORMAT_NAME}1"
MARK = FORMAT_NAME.encode()
MARK_WITHIN = 4096  # bytes: other programs may write the names in another order
GIVE_A_CONVERSATION = "give the file that `captoolkit ask --continue` or `Conversation.save` wrote"


class SavedOptions(TypedDict, total=False):
    """The options of a service that belong to a conversation.

    A key is none of them, and permissions to send a key or to send unencrypted have to be given
    again: a file from elsewhere must not grant them. Other options in a file are left out.
    """

    dialect: str | None
    max_tokens: int | None
    parameters: dict[str, Any] | None
    region: str | None
    seed: int | None
    system: str | None
    temperature: float | None
    timeout: str | float | tuple[str | float, str | float] | None
    top_p: float | None
    workspace: str | None


class SavedSound(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The place and the hash of a sound.

    Attributes:
        place: the absolute path of a file, or a URL without login and query.
        sha256: of the file's bytes, in hexadecimal.
    """

    place: str
    sha256: str

    def check(self) -> None:
        """Refuse a file that is missing or has changed; a URL is checked when it is fetched.

        Raises:
            SourceNotFoundError: there is no such file.
            InputError: the file's bytes are different, or it cannot be read.
        """
        if is_web_url(self.place):
            return
        path = Path(self.place)
        if not path.is_file():
            raise SourceNotFoundError(
                f"{self.place}: the conversation is about this file, which is gone",
                fix="put it back, or begin another conversation",
                path=self.place,
            )
        try:
            found = files.sha256(path)
        except OSError as error:
            raise InputError(
                f"{self.place} cannot be read ({error.strerror or error})",
                fix="check its permissions",
                path=self.place,
            ) from error
        if found != self.sha256:
            raise self._changed()

    def compare(self, sha256: str) -> None:
        """Refuse other bytes than those that the earlier answers are about.

        Raises:
            InputError: the hash is another one.
        """
        if sha256 and self.sha256 and sha256 != self.sha256:
            raise self._changed()

    def _changed(self) -> InputError:
        return InputError(
            f"{self.place} has changed since the conversation was saved: the earlier answers are "
            "about other sound",
            fix="restore the file, or begin another conversation about it",
            path=self.place,
        )


class SavedAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An answer as a service gave it."""

    text: str
    finish_reason: str | None
    request_id: str | None
    usage: dict[str, int | None]

    @classmethod
    def of(cls, caption: Caption) -> SavedAnswer:
        """Return the record of an answer."""
        return cls(
            text=caption.text,
            finish_reason=caption.finish_reason,
            request_id=caption.request_id,
            usage=_counted(caption.usage),
        )

    def caption(self) -> Caption:
        """Return the answer."""
        return Caption(
            text=self.text,
            finish_reason=self.finish_reason,
            request_id=self.request_id,
            usage=usage_in(self.usage),
        )


class SavedTurn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question, the sound that came with it, and the answer."""

    question: str | None
    audio: SavedSound | None
    answer: SavedAnswer


class SavedConversation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document.

    Attributes:
        options: the options that the conversation was opened with, as far as a file keeps them.
        usage, cost: of all requests so far; answers from the ledger count nothing.
    """

    format: str
    captioner: dict[str, str | None]
    target: str | None
    via: str
    options: SavedOptions
    turns: tuple[SavedTurn, ...]
    usage: dict[str, int | None]
    cost: dict[str, str] | None

    @property
    def info(self) -> CaptionerInfo:
        """The captioner."""
        return CaptionerInfo(
            name=self.captioner.get("name") or "",
            model=self.captioner.get("model") or "",
            base_url=self.captioner.get("base_url"),
        )


# msgspec crashes if threads are the first to read a type at the same time: it is read here.
msgspec.json.Decoder(SavedConversation)


def render(
    info: CaptionerInfo,
    *,
    target: str | None,
    via: str,
    options: Mapping[str, object],
    turns: tuple[SavedTurn, ...],
    usage: Usage,
    cost: Cost | None,
) -> str:
    """Return the document of a conversation as indented JSON."""
    kept = {name: options[name] for name in SavedOptions.__annotations__ if name in options}
    document = SavedConversation(
        format=FORMAT,
        captioner={"name": info.name, "model": info.model, "base_url": info.base_url},
        target=target,
        via=via,
        options=cast("SavedOptions", kept),
        turns=turns,
        usage=_counted(usage),
        cost={"currency": cost.currency, "amount": str(cost.amount)} if cost else None,
    )
    return exact_json.render(msgspec.to_builtins(document))


def parse(text: str | bytes, *, path: str = "the conversation") -> SavedConversation:
    """Return the conversation in a document.

    Raises:
        InputError: the text is no JSON, or no conversation of this version; the error has the
            place.
    """
    try:
        document = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no JSON object ({error})", fix=GIVE_A_CONVERSATION) from error
    version = str(document.get("format"))
    if version != FORMAT:
        is_other_version = version.startswith(FORMAT_NAME)
        raise InputError(
            f"{path} is {'of another version' if is_other_version else 'no conversation'} "
            f"(format: {version[:60]!r})",
            fix="use the captoolkit that wrote it" if is_other_version else GIVE_A_CONVERSATION,
        )
    try:
        return msgspec.convert(document, SavedConversation)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {error}", fix=GIVE_A_CONVERSATION) from error


def read(path: Path) -> SavedConversation:
    """Return the conversation in a file.

    Raises:
        InputError: the file cannot be read, or holds no conversation.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror or error})", fix=GIVE_A_CONVERSATION
        ) from error
    return parse(content, path=str(path))


def usage_in(numbers: Mapping[str, int | None]) -> Usage:
    """Return the usage in a document; other names in it are ignored."""
    return Usage(**{name: numbers.get(name) for name in USAGE_FIELDS})


def refuse_memory() -> UsageError:
    """Return the error of a sound that has neither a path nor a URL."""
    return UsageError(
        "a sound of this conversation is in memory, so that nothing can refer to it",
        fix="ask about a file or a URL to save the conversation",
    )


def _counted(usage: Usage) -> dict[str, int | None]:
    """Return the numbers that the service counted."""
    return {name: getattr(usage, name) for name in USAGE_FIELDS if getattr(usage, name) is not None}
