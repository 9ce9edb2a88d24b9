"""The protocols of captioners, and how to add a captioner.

A captioner turns one finished segment into one `Caption`. It knows no source, no cutting, no
timeline, no retry and no money: the verb that calls it does.

How to add a captioner: one file, one row and one test.

1. Write `captioners/NAME.py` with a class that has the members of `Captioner` below (`Closing` from
   `captoolkit.support.cancel` has the context manager), and a function that opens it::

       def open_captioner(service: Service, settings: CaptionerSettings) -> Captioner: ...

   `service` is resolved: the captioner's `info` with its model, the target, and for a captioner
   with an HTTP interface the checked endpoint, region, dialect, price and rates. `settings` holds
   the options that the caller gave, with the key that may go to the endpoint. A captioner with a
   `service` attribute (`ServiceBacked`) keeps the resolved service for the verbs.
2. Raise `ServiceError`, or a subclass, for a segment that gets no caption, with the reason in
   one line and the service's own words as `message=`, which the retry rules read; never return an
   empty caption for a failure. Requests over HTTP go through `net/client.py`. Building requests
   and reading answers are pure functions on bytes, so that tests need no network.
3. Add a `CaptionerRow` to `CAPTIONERS` in `captioners/registry.py`: its name, one line for
   `--captioner`, the module, the default model and the options that it takes. The command line and
   its help texts are made from this table; `scripts/make_reference.py` adds them to the
   documentation.
4. Write `tests/captioners/test_NAME.py`; a service is tested against a real server on 127.0.0.1.

Models with limits or prices of their own get a target in `services/targets.toml`; without one the
default target's limits are kept.

A captioner may have more members, each group a protocol below: its answers cost money and may be
streamed (`PaidCaptioner`), it accepts sound in other ways than Base64 (`HasTransports`), it answers
questions (`ConversationalCaptioner`), it measures samples without a file (`MeasuringCaptioner`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypedDict, TypeGuard, runtime_checkable

from captoolkit.model import Caption, CaptionerInfo, Target, Via
from captoolkit.pipeline.caption_meter import CaptionMeter, OpenCaptionMeter

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
    """The input of a captioner: one finished segment."""

    @property
    def path(self) -> Path:
        """The file."""
        ...

    @property
    def start_s(self) -> float:
        """Its start on the recording's clock, in seconds."""
        ...

    @property
    def via(self) -> Via:
        """How it is sent to a service."""
        ...

    @property
    def url(self) -> str | None:
        """The URL of the same file on the web, which may be a secret; None without one."""
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


# Seconds, or a text that `units.parse_duration` reads; two of them are silence and total.
Timeout = str | float | tuple[str | float, str | float]


class ServiceOptions(TypedDict, total=False):
    """The options of a captioner that asks a service: which model, and where.

    Attributes:
        model: the service's name of the model; None is the first model of the target, else
            `qwen3-omni-30b-a3b-captioner` for captions and `qwen-audio-turbo` for questions.
        region: such as `singapore` or `beijing`; None is that of the model's row, else Singapore.
            With a `base_url` it names the region for prices.
        base_url: another server, with the ending that the services' SDKs use: `.../api/v1` for
            `dashscope`, `.../compatible-mode/v1` or `.../v1` for `openai`.
        api_key: the key for the server of `base_url` or `region`. If None, the variable of the
            target (`DASHSCOPE_API_KEY` for Model Studio) is read, and its key is sent to the
            target's own hosts and to this machine, and to no other host.
        system: the system message, for a model that takes one.
        dialect: how a chat completion carries sound: `model-studio`, `audio-url` or `openai`; None
            is the target's, else the one that the base URL suggests.
        max_tokens: the most tokens of an answer; None leaves it to the service. A smaller number
            lowers the worst case that `max_cost` reserves.
        temperature: the randomness of the answer; None leaves it to the service.
        top_p: the share of likely tokens that the answer is drawn from; None leaves it to the
            service.
        seed: for answers that repeat, where the service can do that.
        parameters: further members of the request, by name, as JSON values; they replace those of
            the target, and None leaves one out.
        timeout: the longest time without a byte of the answer, and in total: one duration for both
            (`"1h"`), or two (`"60s,10m"`); None is the target's, else 300 s and 900 s.
        insecure_http: allow plain http to a private address, such as a server in the local network.
        send_key: send the key of the target's variable to the server of `base_url`, even if the
            target does not name its host; with `insecure_http`, even unencrypted.
        workspace: the id of the Model Studio workspace that requests count for.
    """

    model: str | None
    region: str | None
    base_url: str | None
    api_key: str | None
    system: str | None
    dialect: str | None
    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    seed: int | None
    parameters: Mapping[str, Any] | None
    timeout: Timeout | None
    insecure_http: bool | None
    send_key: bool | None
    workspace: str | None


# How a request travels decides no answer: these are no part of a recipe.
SENDING_OPTIONS = frozenset({"dialect", "timeout", "insecure_http", "send_key", "workspace"})


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
    dialect: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    parameters: Mapping[str, Any] | None = None
    timeout: Timeout | None = None
    insecure_http: bool | None = None
    send_key: bool | None = None
    workspace: str | None = None


class Captioner(Protocol):
    """Describes clips; safe to use from several threads."""

    @property
    def info(self) -> CaptionerInfo:
        """Name, model and base URL, as the timeline records them; never a key."""
        ...

    def caption(self, clip: Clip) -> Caption:
        """Return the caption of `clip`.

        Raises:
            ServiceError: the clip gets no caption.
        """
        ...

    def close(self) -> None:
        """Release connections; may be called twice."""
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
class HasTransports(Protocol):
    """A captioner that accepts sound in other ways than as Base64 text."""

    @property
    def ways(self) -> frozenset[Via]:
        """The accepted ways."""
        ...


def ways_to(captioner: Captioner) -> frozenset[Via]:
    """Return the ways in which a captioner accepts sound."""
    return captioner.ways if isinstance(captioner, HasTransports) else frozenset({Via.BASE64})


@runtime_checkable
class MeasuringCaptioner(Captioner, Protocol):
    """A free captioner that measures samples, so that captoolkit need not write them to a file.

    captoolkit calls `open_meter` for a segment that it decodes and would write as WAV, and
    `caption` for any other segment. Both must return the same caption. Several threads
    may open and feed meters at the same time, each its own.
    """

    def open_meter(self, *, rate_hz: int, channels: int, start_s: float) -> CaptionMeter:
        """Return a meter for one segment.

        Args:
            rate_hz: the rate of its samples.
            channels: their number of channels.
            start_s: the start of the segment on the recording's clock, in seconds.
        """
        ...


def meter_of(captioner: Captioner) -> OpenCaptionMeter | None:
    """Return the function that begins a segment of a captioner; None if it needs files.

    A subclass or an object that changes `caption` alone needs files.
    """
    open_meter: OpenCaptionMeter | None = getattr(captioner, "open_meter", None)
    for owner in (captioner, *type(captioner).__mro__):
        members = getattr(owner, "__dict__", ())
        if "open_meter" in members:
            break
        if "caption" in members:
            return None
    return open_meter


OnText = Callable[[str], None]


@runtime_checkable
class PaidCaptioner(Captioner, Protocol):
    """A captioner with answers that cost money: the ledger keeps them, and they may be streamed."""

    @property
    def recipe(self) -> str:
        """Everything in a request except the sound and the key, as a part of the ledger's key.

        Two requests with the same recipe and the same sound ask the same question.
        """
        ...

    def caption(self, clip: Clip, *, on_text: OnText | None = None) -> Caption:
        """Return the caption of `clip`; pass each piece of text to `on_text` as it arrives.

        Raises:
            ServiceError: the clip gets no caption.
        """
        ...


def is_paid(captioner: Captioner) -> TypeGuard[PaidCaptioner]:
    """Return whether the answers of a captioner cost money.

    `recipe` alone decides: without the ledger, captoolkit would pay for an answer twice.
    """
    return hasattr(captioner, "recipe")


@runtime_checkable
class ConversationalCaptioner(Captioner, Protocol):
    """A captioner that answers questions."""

    def check_messages(self, messages: Sequence[Message]) -> None:
        """Refuse messages that the model does not take.

        Raises:
            UsageError: the model does not take one of them, or so many.
        """
        ...

    def audio_reference(self, clip: Clip) -> str:
        """Return the text that stands for a clip's sound in a message; upload the clip if needed.

        Raises:
            ServiceError: the clip could not be uploaded.
        """
        ...

    def ask(self, messages: Sequence[Message], *, on_text: OnText | None = None) -> Caption:
        """Return the answer to the last message; pass each piece to `on_text` as it arrives.

        Raises:
            ServiceError: no answer arrived.
            UsageError: the model does not take one of the messages, or so many.
        """
        ...
