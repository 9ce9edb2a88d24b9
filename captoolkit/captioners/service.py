"""A captioner that asks a service: a protocol, a model, and whoever carries the requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from captoolkit.captioners.base import Clip, OnText
from captoolkit.captioners.exchange import Reply, Request, Sender
from captoolkit.closing import Closing
from captoolkit.model import Caption, CaptionerInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class WireProtocol:
    """How one kind of service is spoken to.

    Attributes:
        name: the captioner's name in the registry.
        build: model name, audio as a data URI -> request.
        read: reply -> caption, or ServiceError.
    """

    name: str
    build: Callable[[str, str], Request]
    read: Callable[[Reply], Caption]


class ServiceCaptioner(Closing):
    """A captioner that asks a service; safe to use from several threads if its sender is."""

    def __init__(self, protocol: WireProtocol, *, model: str, sender: Sender) -> None:
        self._protocol = protocol
        self._sender = sender
        self.info = CaptionerInfo(name=protocol.name, model=model, base_url=sender.base_url)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.info!r})"

    @property
    def recipe(self) -> str:
        """All that a request says beside the sound, as JSON; never a key."""
        info = self.info
        return json.dumps([info.name, info.base_url, info.model])

    def caption(self, clip: Clip, *, on_text: OnText | None = None) -> Caption:
        """Send the clip inline, as Base64, and return what the service says of it.

        Raises:
            ServiceError: no caption came of it.
        """
        request = self._protocol.build(self.info.model, clip.data_uri())
        said = self._protocol.read(self._sender.post(request))
        if on_text is not None:
            on_text(said.text)
        return said

    def close(self) -> None:
        """Let go of connections; may be called twice."""
        self._sender.close()
