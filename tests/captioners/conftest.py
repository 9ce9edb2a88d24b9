"""What the captioners' tests share: a segment in memory and a second server."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from captoolkit.captioners.base import Samples
from captoolkit.model import Via
from tests.recorder import Recorder


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesClip:
    """A finished segment that lies in memory, and perhaps in a file as well."""

    content: bytes
    via: Via = Via.BASE64
    url: str | None = None
    file: Path | None = None

    @property
    def path(self) -> Path:
        """Where the same bytes lie, for a clip that has a file."""
        assert self.file is not None
        return self.file

    def read_bytes(self) -> bytes:
        """Return the bytes."""
        return self.content

    def data_uri(self, media_type: str = "") -> str:
        """Return the bytes as a data URI."""
        return f"data:{media_type};base64,{base64.b64encode(self.content).decode()}"

    @property
    def start_s(self) -> float:
        """It is a recording of its own."""
        return 0.0

    def samples(self) -> AbstractContextManager[Samples]:
        """Decode nothing: services are sent bytes."""
        raise NotImplementedError


@pytest.fixture
def elsewhere() -> Iterator[Recorder]:
    """Another such server, at another port."""
    server = Recorder()
    yield server
    server.close()


@pytest.fixture
def clip() -> BytesClip:
    """A segment whose Base64 text holds `+`, `/` and `=`."""
    return BytesClip(content=b"RIFF\xfb\xff\xbf" + bytes(range(256)))
