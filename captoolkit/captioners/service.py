"""A captioner that asks a service: a protocol, a model, and whoever carries the requests.

Rules: what the model does not take is refused before anything is sent; what is asked is the same
whichever way the sound travels and whether or not the answer is streamed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from captoolkit.captioners.answer_stream import ignore, read
from captoolkit.captioners.answers import ReadPart
from captoolkit.captioners.base import CaptionerSettings, Clip, OnText
from captoolkit.captioners.messages import Message, Role, refuse_excess
from captoolkit.captioners.uploads import OSS_SCHEME, RESOLVE, upload
from captoolkit.errors import ServiceError, UsageError
from captoolkit.model import Caption, Via
from captoolkit.net.client import Client
from captoolkit.net.http_messages import ServiceRequest, Transport
from captoolkit.services.keys import KEY_VARIABLE
from captoolkit.services.service import Service
from captoolkit.support.cancel import Closing


class Build(Protocol):
    """Puts messages into a request."""

    def __call__(
        self, model: str, messages: Sequence[Message], *, streamed: bool
    ) -> ServiceRequest:
        """Return the request that asks `model`; its answer comes piece by piece if `streamed`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WireProtocol:
    """How one kind of service is spoken to.

    Attributes:
        name: the captioner's name in the registry.
        build: puts messages into a request.
        read_part: reads one document of an answer.
        cumulates: whether the pieces of a stream may each hold all the text so far.
        has_uploads: whether its hosts take files to be asked about.
    """

    name: str
    build: Build
    read_part: ReadPart
    cumulates: bool
    has_uploads: bool


class ServiceCaptioner(Closing):
    """A captioner that asks a service; safe to use from several threads if its sender is.

    Attributes:
        ways: the ways that the sound may travel.
        recipe: all that a request says beside the sound, as JSON; never a key.
    """

    def __init__(
        self,
        protocol: WireProtocol,
        service: Service,
        sender: Transport,
        *,
        prompt: str | None = None,
        system: str | None = None,
        lacks_key: bool = False,
    ) -> None:
        self._protocol = protocol
        self._sender = sender
        self._prompt = prompt or None
        self._system = system or None
        self._lacks_key = lacks_key  # at a host to which the environment's key would go
        self.service = service
        self.info = service.info
        uploads = {Via.UPLOAD} if protocol.has_uploads else set[Via]()
        self.ways = frozenset({Via.BASE64, Via.URL} | uploads)
        self.recipe = self._recipe()
        self.refuse([self._question("")])

    @classmethod
    def open(
        cls, protocol: WireProtocol, service: Service, settings: CaptionerSettings
    ) -> ServiceCaptioner:
        """Return a captioner with connections of its own to the service's endpoint.

        Raises:
            UsageError: the model takes no prompt or no system message.
        """
        endpoint = service.endpoint
        if endpoint is None:
            raise ValueError(f"the {service.info.name} captioner has no base URL")
        client = Client(endpoint, api_key=settings.api_key)
        try:
            return cls(
                protocol,
                service,
                client,
                prompt=settings.prompt,
                system=settings.system,
                lacks_key=settings.api_key is None and endpoint.is_loopback,
            )
        except BaseException:
            client.close()
            raise

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.info!r})"

    def caption(self, clip: Clip, *, on_text: OnText | None = None) -> Caption:
        """Send the clip and return what the service says of it.

        Args:
            clip: goes the way it says itself (`clip.via`).
            on_text: receives the text piece by piece as it comes.

        Raises:
            ServiceError: no caption came of it.
            UsageError: the clip cannot travel that way.
        """
        return self.ask([self._question(self.reference(clip))], on_text=on_text)

    def ask(self, messages: Sequence[Message], *, on_text: OnText | None = None) -> Caption:
        """Send messages, the last of them a question, and return the answer to it.

        Raises:
            ServiceError: no answer came of it.
            UsageError: they hold more than the model takes.
        """
        self.refuse(messages)
        messages = self._messages(messages)
        request = self._protocol.build(self.info.model, messages, streamed=on_text is not None)
        if any(message.audio and message.audio.startswith(OSS_SCHEME) for message in messages):
            request = dataclasses.replace(request, headers={**request.headers, **RESOLVE})
        with self._advised(), self._sender.open(request) as arriving:
            return read(
                arriving,
                self._protocol.read_part,
                cumulates=self._protocol.cumulates,
                on_text=on_text or ignore,
            )

    def refuse(self, messages: Sequence[Message]) -> None:
        """Raise for messages that hold more than the model takes.

        Raises:
            UsageError: they do.
        """
        refuse_excess(self._messages(messages), self.service.model_row)

    def reference(self, clip: Clip) -> str:
        """Return what a request says in place of a clip's sound; uploads it if that is its way.

        Raises:
            ServiceError: it could not be uploaded.
            UsageError: it cannot travel that way.
        """
        if clip.via not in self.ways:
            raise UsageError(
                f"via={clip.via}: {self.info.base_url} takes no files", fix="send it as base64"
            )
        match clip.via:
            case Via.UPLOAD:
                with self._advised():
                    return upload(clip.path, model=self.info.model, sender=self._sender)
            case Via.URL:
                return clip.url or _refuse_without_url()
            case _:
                return clip.data_uri()

    def close(self) -> None:
        """Let go of connections; may be called twice."""
        self._sender.close()

    @contextlib.contextmanager
    def _advised(self) -> Iterator[None]:
        """Say of a refusal for want of a key that there was none, not that it is wrong."""
        try:
            yield
        except ServiceError as error:
            if error.status_code == 401 and self._lacks_key:
                error.fix = f"{KEY_VARIABLE} is not set: set it to a key that this server takes"
            raise

    def _question(self, audio: str) -> Message:
        return Message(role=Role.USER, audio=audio, text=self._prompt)

    def _messages(self, messages: Sequence[Message]) -> list[Message]:
        """The messages, after what is said to the model before all of them."""
        if self._system is None:
            return list(messages)
        return [Message(role=Role.SYSTEM, text=self._system), *messages]

    def _recipe(self) -> str:
        """What is asked beside the sound; Model Studio is one place, whatever its host."""
        asked: dict[str, object] = {
            "protocol": self._protocol.name,
            "base_url": self.service.place,
            "model": self.info.model,
            "prompt": self._prompt,
            "system": self._system,
            "parameters": {},
        }
        return json.dumps(asked, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _refuse_without_url() -> str:
    raise UsageError(
        "via=url: the sound has no URL", fix="give the URL itself, or send it as base64"
    )
