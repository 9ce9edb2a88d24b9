"""What was asked: a list in memory, and one JSON line a request in a file.

Rules: a line is written, and flushed, before the first byte of its answer; no key is in it.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from captoolkit.support import files
from captoolkit.support.cancel import Closing

MOST_KEPT = 100_000  # visits in memory; the file has them all


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request and how it was met.

    Attributes:
        path: without the query.
        model: as the request names it, None where it names none.
        audio_sha256: of the newest audio's bytes, decoded; None where none arrived.
        status: of the answer, None where there was none.
        request_id: the answer's.
        streams: events were asked for.
        fault: the kind of the fault that was played.
    """

    method: str
    path: str
    model: str | None
    audio_sha256: str | None
    status: int | None
    request_id: str
    streams: bool = False
    fault: str | None = None


class Journal(Closing):
    """Keeps visits."""

    def __init__(self, file: Path | None = None) -> None:
        self._visits: deque[Visit] = deque(maxlen=MOST_KEPT)
        self._lock = threading.Lock()  # whoever reads is in another thread
        self._stream = None
        if file is not None:
            with files.writing(file):
                self._stream = file.open("a", encoding="utf-8", newline="\n")

    @property
    def visits(self) -> list[Visit]:
        """What was asked so far, in the order in which it was answered."""
        with self._lock:
            return list(self._visits)

    def add(self, visit: Visit) -> None:
        """Keep a visit."""
        with self._lock:
            self._visits.append(visit)
        if self._stream is None:
            return
        line = {
            "path": visit.path,
            "model": visit.model,
            "audio_sha256": visit.audio_sha256,
            "status": visit.status,
            "request_id": visit.request_id,
            "fault": visit.fault,
        }
        self._stream.write(json.dumps(line, ensure_ascii=True) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._stream is not None:
            self._stream.close()
