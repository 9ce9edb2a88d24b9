"""Captioners and services for tests that ask a server on this machine, or none at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from captoolkit.captioners.answer_stream import read
from captoolkit.captioners.service_captioner import ServiceCaptioner, WireProtocol
from captoolkit.errors import ServiceError
from captoolkit.model import Caption, CaptionerInfo
from captoolkit.net.client import Client
from captoolkit.net.connections import HttpLimits
from captoolkit.net.http_messages import Response, ServiceRequest, StreamingResponse
from captoolkit.services.regions import NATIVE, endpoint_of, parse_base_url
from captoolkit.services.service import resolve_service
from tests.support.recorder import Recorder

KEY = "sk-secret-0123456789abcdef"
ASK = ServiceRequest(path="/ask", body=b'{"audio":"x"}')
ANSWER = {
    "output": {"choices": [{"message": {"content": [{"text": "Rain."}]}}]},
    "request_id": "r-1",
}


def address(recorder: Recorder) -> str:
    """Return the server as messages name it."""
    return recorder.url.removeprefix("http://")


def client_of(url: str, *, api_key: str | None = KEY, limits: HttpLimits | None = None) -> Client:
    """Return a client for a base URL."""
    endpoint = parse_base_url(url, NATIVE)
    return Client(endpoint, api_key=api_key, limits=limits or HttpLimits())


def failure_of(recorder: Recorder, *, limits: HttpLimits | None = None) -> Any:
    """Return the error of a request to the recorder."""
    client = client_of(f"{recorder.url}/api/v1", limits=limits)
    with pytest.raises(ServiceError) as caught:
        client.post(ASK)
    client.close()
    return caught.value


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
