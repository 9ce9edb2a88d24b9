"""A finished segment in memory, for captioners."""

from __future__ import annotations

import base64
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from captoolkit.captioners.base import Samples
from captoolkit.model import Via


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
