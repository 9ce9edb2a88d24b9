"""Captioners and services for tests that ask a server on this machine, or none at all."""

from __future__ import annotations

from collections.abc import Iterator

from captoolkit.captioners.answer_stream import read
from captoolkit.captioners.service_captioner import ServiceCaptioner, WireProtocol
from captoolkit.model import Caption, CaptionerInfo
from captoolkit.net.client import Client
from captoolkit.net.http_messages import Response, StreamingResponse
from captoolkit.services.regions import endpoint_of
from captoolkit.services.service import resolve_service


def captioner_with(client: Client, protocol: WireProtocol, *, model: str = "m") -> ServiceCaptioner:
    """Return a captioner that sends its requests through `client`."""
    info = CaptionerInfo(name=protocol.name, model=model, base_url=client.base_url)
    return ServiceCaptioner(protocol, resolve_service(info, endpoint_of(client.base_url)), client)


def read_reply(protocol: WireProtocol, reply: Response) -> Caption:
    """Return the caption in an answer that has arrived as a whole."""
    return read(arriving(reply), protocol.read_part, cumulates=protocol.cumulates)


def arriving(reply: Response) -> StreamingResponse:
    """Return a complete reply as one that is still arriving, in one block."""
    blocks: Iterator[bytes] = iter([reply.body])
    return StreamingResponse(status_code=reply.status_code, headers=reply.headers, blocks=blocks)
