"""A captioner that asks a service: a wire protocol, a resolved service, and a client.

Rules: messages that the model does not take are refused before anything is sent. The question is
the same for each way of sending the sound, streamed or not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from captoolkit.captioners.answer_stream import ignore_text, read
from captoolkit.captioners.answers import ReadPart
from captoolkit.captioners.base import CaptionerSettings, Clip, OnText
from captoolkit.captioners.failures import UPLOAD_REFUSED
from captoolkit.captioners.messages import Message, Role, check_messages
from captoolkit.captioners.request_options import read_timeouts
from captoolkit.captioners.uploads import OSS_SCHEME, RESOLVE_HEADERS, upload
from captoolkit.errors import ServiceError, UsageError
from captoolkit.model import Caption, Via
from captoolkit.net.client import Client
from captoolkit.net.connections import DEFAULT_LIMITS, HttpLimits
from captoolkit.net.http_messages import ServiceRequest
from captoolkit.services.keys import key_variable, own_headers
from captoolkit.services.regions import COMPATIBLE, NATIVE
from captoolkit.services.service import Service
from captoolkit.support.cancel import Closing

WORKSPACE_HEADER = "X-DashScope-WorkSpace"  # Model Studio, "DashScope API reference"
CONTENT_REFUSED = frozenset({400, 415, 422, 500})
NO_SUCH_PATH = frozenset({404, 405})
NO_PARAMETERS: Mapping[str, Any] = MappingProxyType({})


class BuildRequest(Protocol):
    """Encodes messages as a request."""

    def __call__(
        self,
        model: str,
        messages: Sequence[Message],
        *,
        streamed: bool,
        parameters: Mapping[str, Any],
    ) -> ServiceRequest:
        """Return the request to `model`; its answer arrives piece by piece if `streamed`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WireProtocol:
    """The protocol of one kind of service.

    Attributes:
        name: the captioner's name in the registry.
        build: encodes messages as a request.
        read_part: reads one document of an answer.
        cumulates: whether the pieces of a stream may each hold all the text so far.
        ways: the ways in which it carries sound.
        has_media_type: whether `build` needs the media type of sound.
        advise: advice for a refusal, from the service's message; None where it has none.
    """

    name: str
    build: BuildRequest
    read_part: ReadPart
    cumulates: bool
    ways: frozenset[Via]
    has_media_type: bool = False
    advise: Callable[[str], str | None] = lambda message: None


class ServiceCaptioner(Closing):
    """A captioner that asks a service; safe to use from several threads.

    Attributes:
        info: name, model and base URL.
        service: the resolved service.
        ways: the ways in which it accepts sound.
        recipe: everything in a request except the sound and the key, as JSON.
    """

    def __init__(
        self,
        protocol: WireProtocol,
        service: Service,
        client: Client,
        *,
        prompt: str | None = None,
        system: str | None = None,
        lacks_key: bool = False,
    ) -> None:
        self._protocol = protocol
        self._client = client
        self._prompt = prompt or service.default_prompt
        self._system = system or None
        self._lacks_key = lacks_key
        self.service = service
        self.info = service.info
        self.ways = protocol.ways
        self.recipe = self._recipe()
        self.check_messages([self._question("")])

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
        row = service.row
        workspace = {WORKSPACE_HEADER: settings.workspace} if settings.workspace else {}
        client = Client(
            endpoint,
            api_key=settings.api_key,
            limits=_http_limits(read_timeouts(settings.timeout, row)),
            key_header=row.key_header if row else "",
            headers={**own_headers(endpoint, row), **workspace},
            query=service.query,
        )
        try:
            return cls(
                protocol,
                service,
                client,
                prompt=settings.prompt,
                system=settings.system,
                lacks_key=settings.api_key is None,
            )
        except BaseException:
            client.close()
            raise

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.info!r})"

    def caption(self, clip: Clip, *, on_text: OnText | None = None) -> Caption:
        """Send the clip in its own way (`clip.via`) and return its caption.

        Args:
            clip: a finished segment.
            on_text: receives the text piece by piece as it arrives.

        Raises:
            ServiceError: the clip gets no caption.
            UsageError: the service does not accept sound in that way.
        """
        return self.ask([self._question(self.audio_reference(clip))], on_text=on_text)

    def ask(self, messages: Sequence[Message], *, on_text: OnText | None = None) -> Caption:
        """Send messages, the last of them a question, and return the answer.

        Raises:
            ServiceError: no answer arrived.
            UsageError: the model does not take one of the messages, or so many.
        """
        self.check_messages(messages)
        messages = self._with_system_message(messages)
        request = self._protocol.build(
            self.info.model,
            messages,
            streamed=on_text is not None or self.service.must_stream,
            parameters=self.service.parameters,
        )
        if any(message.audio and message.audio.startswith(OSS_SCHEME) for message in messages):
            request = dataclasses.replace(request, headers={**request.headers, **RESOLVE_HEADERS})
        with self._explaining_refusals(), self._client.open(request) as response:
            return read(
                response,
                self._protocol.read_part,
                cumulates=self._protocol.cumulates,
                on_text=on_text or ignore_text,
            )

    def check_messages(self, messages: Sequence[Message]) -> None:
        """Refuse messages that the model does not take.

        Raises:
            UsageError: the model does not take one of the messages, or so many.
        """
        check_messages(self._with_system_message(messages), self.service.model_row)

    def audio_reference(self, clip: Clip) -> str:
        """Return the text that stands for a clip's sound in a message; upload it for `upload`.

        Raises:
            ServiceError: the clip could not be uploaded.
            UsageError: the service does not accept sound in that way.
        """
        if clip.via not in self.ways:
            raise UsageError(
                f"via={clip.via}: {self.info.base_url} takes no files", fix="send it as base64"
            )
        match clip.via:
            case Via.UPLOAD:
                with self._explaining_refusals():
                    return upload(clip.path, model=self.info.model, client=self._client)
            case Via.URL if clip.url:
                return clip.url
            case Via.URL:
                raise UsageError(
                    "via=url: the sound has no URL", fix="give the URL itself, or use via=base64"
                )
            case _ if self._protocol.has_media_type:
                return clip.data_uri(f"audio/{clip.path.suffix.lower().lstrip('.')}")
            case _:
                return clip.data_uri()

    def close(self) -> None:
        """Close all connections; may be called twice."""
        self._client.close()

    @contextlib.contextmanager
    def _explaining_refusals(self) -> Iterator[None]:
        """Replace the advice for a refused key, a path of another protocol, a form of content."""
        try:
            yield
        except ServiceError as error:
            if (error.code or "").startswith(UPLOAD_REFUSED):  # by the storage, which takes no key
                raise
            if error.status_code == 401:
                error.fix = self._advise_on_key() or error.fix
            elif error.status_code in NO_SUCH_PATH:
                error.fix = self._advise_on_path() or error.fix
            elif error.status_code in CONTENT_REFUSED and error.message:
                error.fix = self._protocol.advise(error.message) or error.fix
            raise

    def _advise_on_key(self) -> str | None:
        """Return advice for a refused or missing key; None at Model Studio's own hosts."""
        variable, endpoint = key_variable(self.service.row), self.service.endpoint
        if self._lacks_key:
            if endpoint is not None and endpoint.is_loopback:
                return f"{variable} is not set: set it to a key that this server takes"
            return f"no key was sent: allow it (`send_key`), and set {variable}"
        if endpoint is None or endpoint.is_model_studio:
            return None
        return (
            f"check the key, by default that of {variable}; "
            "`target` names another service and with it the variable of its key"
        )

    def _advise_on_path(self) -> str | None:
        """Return advice if the base URL ends as those of the other protocol do."""
        base_url = self.info.base_url or ""
        for own, other in ((NATIVE, COMPATIBLE), (COMPATIBLE, NATIVE)):
            if self._protocol.name == own.name and base_url.endswith(other.base_path):
                return (
                    f"take captioner={other.name} for a base URL that ends in {other.base_path}, "
                    f"or end it in {own.base_path}"
                )
        return None

    def _question(self, audio: str) -> Message:
        return Message(role=Role.USER, audio=audio, text=self._prompt)

    def _with_system_message(self, messages: Sequence[Message]) -> list[Message]:
        if self._system is None:
            return list(messages)
        return [Message(role=Role.SYSTEM, text=self._system), *messages]

    def _recipe(self) -> str:
        """Return the recipe; all hosts of Model Studio count as one place."""
        content: dict[str, object] = {
            "protocol": self._protocol.name,
            "base_url": self.service.place,
            "model": self.info.model,
            "prompt": self._prompt,
            "system": self._system,
            "parameters": dict(self.service.parameters),
        }
        return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _http_limits(timeouts_s: tuple[float, float] | None) -> HttpLimits:
    """Return the times of an exchange: silence and total, or the default."""
    if timeouts_s is None:
        return DEFAULT_LIMITS
    silence_s, total_s = timeouts_s
    return HttpLimits(
        read_s=silence_s,
        write_s=silence_s,
        answer_s=total_s,
        pool_s=max(DEFAULT_LIMITS.pool_s, total_s),
        upload_s=max(DEFAULT_LIMITS.upload_s, total_s),
    )
