"""What every captioner is, and how to add one.

A captioner turns one finished segment into one `Caption`. It is thin: it knows no sources, no
cutting, no timeline, no retry and no money; those belong to the verb that calls it.

How to add a captioner, in four steps:

1. Write `captioners/NAME.py` with a class that has the three members of `Captioner` below. What
   it sends and how it reads the answer should be pure functions on bytes, so that they can be
   tested without a network; whatever is sent goes through `client.py`.
2. Raise `ServiceError` (or a child of it) when no caption comes of it, with the reason in one
   line. Never return an empty caption for a failure.
3. Add one line to `CAPTIONERS` in `captioners/registry.py`: the name, how to open it; and name it
   in the help of `--captioner` in `cli/options.py`.
4. Give its models a row in `services/targets.toml` if they have limits or prices of their own,
   and test it against a real server on 127.0.0.1.

It may promise more, each by one protocol below: that its answers cost something and may be read as
they come (`PaidCaptioner`), that sound can reach it in several ways (`Reachable`), that it can be
talked with (`Answering`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypedDict, runtime_checkable

from captoolkit.model import Caption, CaptionerInfo, Target, Via

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from captoolkit.captioners.messages import Message
    from captoolkit.services.service import Service


class Samples(Protocol):
    """The decoded sound of a clip, block by block."""

    rate_hz: int
    channels: int

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield blocks of shape (frames, channels), float32 in [-1, 1], until the sound ends."""
        ...


class Clip(Protocol):
    """What a captioner is given: one finished segment, ready to use."""

    @property
    def path(self) -> Path:
        """Where the file is."""
        ...

    @property
    def start_s(self) -> float:
        """Where it begins on its recording's clock, in seconds."""
        ...

    @property
    def via(self) -> Via:
        """How it is to travel to a service."""
        ...

    @property
    def url(self) -> str | None:
        """Where on the web the same file lies; None where it lies nowhere. It may be a secret."""
        ...

    def read_bytes(self) -> bytes:
        """Return the file's bytes."""
        ...

    def data_uri(self, media_type: str = "") -> str:
        """Return `data:MEDIA_TYPE;base64,...`, without line breaks."""
        ...

    def samples(self) -> AbstractContextManager[Samples]:
        """Decode the clip at its own rate and channels, block by block."""
        ...


class ServiceOptions(TypedDict, total=False):
    """The options of a captioner that asks a service: which model, and where.

    Attributes:
        model: the service's name of the model; None is the first model of the target, else
            `qwen3-omni-30b-a3b-captioner` for captions and `qwen-audio-turbo` for questions.
        region: `singapore` or `beijing`; None is the region in the model's row, else Singapore.
            With a `base_url` it names the region whose prices hold.
        base_url: another server, with the ending that the services' SDKs use: `.../api/v1` for
            `dashscope`, `.../compatible-mode/v1` or `.../v1` for `openai`.
        api_key: the key for the server of `base_url` or `region`. If None, `DASHSCOPE_API_KEY` is
            sent to Model Studio's own hosts and to this machine, and to no other host.
        system: the system message, for a model that takes one.
    """

    model: str | None
    region: str | None
    base_url: str | None
    api_key: str | None
    system: str | None


class CaptionerOptions(ServiceOptions, total=False):
    """The options of `open_captioner`.

    Attributes:
        prompt: the question about each segment, for a model that takes a prompt.
    """

    prompt: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionerSettings:
    """The options that a captioner is opened with; None for an option that was not given."""

    target: str | Target | None = None
    model: str | None = None
    region: str | None = None
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    prompt: str | None = None
    system: str | None = None


class Captioner(Protocol):
    """Something that can be asked what is to be heard. Safe to use from several threads."""

    @property
    def info(self) -> CaptionerInfo:
        """Name, model and base URL, as the timeline records them; never a key."""
        ...

    def caption(self, clip: Clip) -> Caption:
        """Return what is to be heard in `clip`.

        Raises:
            ServiceError: no caption came of it.
        """
        ...

    def close(self) -> None:
        """Let go of connections; may be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...


@runtime_checkable
class ServiceBacked(Protocol):
    """A captioner that the registry has resolved a service for."""

    @property
    def service(self) -> Service:
        """The service: its target, host, prices and rates."""
        ...


@runtime_checkable
class Reachable(Protocol):
    """A captioner to which sound can travel otherwise than as Base64 text."""

    @property
    def ways(self) -> frozenset[Via]:
        """The ways that there are."""
        ...


def ways_to(captioner: Captioner) -> frozenset[Via]:
    """Return the ways that sound can travel to a captioner."""
    return captioner.ways if isinstance(captioner, Reachable) else frozenset({Via.BASE64})


OnText = Callable[[str], None]


@runtime_checkable
class PaidCaptioner(Captioner, Protocol):
    """A captioner whose answers cost something: they are written down, and may be streamed."""

    @property
    def recipe(self) -> str:
        """All that a request says beside the sound: who is asked for what, and how; never a key.

        Two requests with the same recipe and the same sound ask the same question.
        """
        ...

    def caption(self, clip: Clip, *, on_text: OnText | None = None) -> Caption:
        """Return what is to be heard in `clip`; with `on_text`, hand out each piece as it comes.

        Raises:
            ServiceError: no caption came of it.
        """
        ...


@runtime_checkable
class Answering(Captioner, Protocol):
    """A captioner that can be talked with."""

    def refuse(self, messages: Sequence[Message]) -> None:
        """Raise for messages that hold more than the model takes.

        Raises:
            UsageError: they do.
        """
        ...

    def reference(self, clip: Clip) -> str:
        """Return what a message says in place of a clip's sound.

        Raises:
            ServiceError: the clip could not be brought to where the service can fetch it.
        """
        ...

    def ask(self, messages: Sequence[Message], *, on_text: OnText | None = None) -> Caption:
        """Return the answer to the last of the messages; with `on_text`, as it comes.

        Raises:
            ServiceError: no answer came of it.
            UsageError: they hold more than the model takes.
        """
        ...
