"""The record of all requests: a list in memory, and one JSON line for each in a file.

Rules: a line is written and flushed before the first byte of the reply. No key is recorded.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from captoolkit.support import files
from captoolkit.support.cancel import Closing

LINE_START = b'{"path": '
MAX_IN_MEMORY = 100_000  # requests; the file holds all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRequest:
    """One request and the outcome of its reply.

    Attributes:
        path: without the query.
        model: the model that the request names; None if it names none.
        audio_sha256: of the newest audio's decoded bytes; None if no audio arrived.
        status: the reply's HTTP status; None if there was no reply.
        request_id: the reply's.
        streams: the client requested events.
        fault: the kind of the injected fault.
    """

    method: str
    path: str
    model: str | None
    audio_sha256: str | None
    status: int | None
    request_id: str
    streams: bool = False
    fault: str | None = None


class RequestJournal(Closing):
    """Keeps the recorded requests; reading and adding are thread-safe.

    Attributes:
        most_in_flight: the highest number of requests inside `in_flight` at one moment.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.most_in_flight = 0
        self._in_flight = 0
        self._requests: deque[RecordedRequest] = deque(maxlen=MAX_IN_MEMORY)
        self._lock = threading.Lock()
        self._stream = None
        if file is not None:
            files.refuse_foreign(file, LINE_START, "log of requests")
            with files.writing(file):
                self._stream = file.open("a", encoding="utf-8", newline="\n")

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests so far, in the order of their replies."""
        with self._lock:
            return list(self._requests)

    @contextlib.contextmanager
    def in_flight(self) -> Iterator[None]:
        """Count a request that is being answered."""
        with self._lock:
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= 1

    def add(self, request: RecordedRequest) -> None:
        """Record a request."""
        with self._lock:
            self._requests.append(request)
        if self._stream is None:
            return
        line = {
            "path": request.path,
            "model": request.model,
            "audio_sha256": request.audio_sha256,
            "status": request.status,
            "request_id": request.request_id,
            "fault": request.fault,
        }
        self._stream.write(json.dumps(line, ensure_ascii=True) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._stream is not None:
            self._stream.close()
