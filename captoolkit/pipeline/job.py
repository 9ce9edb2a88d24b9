"""What is to be carried out and where, and the names of what is made."""

from __future__ import annotations

import hashlib
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from captoolkit.errors import SourceNotFoundError
from captoolkit.media import encode
from captoolkit.model import Encoding, Plan, Span
from captoolkit.pipeline.segment import Folder, ReadySegment
from captoolkit.services import rows
from captoolkit.support.cancel import Closing

MIN_NUMBER_WIDTH = 3  # talk.001.mp3
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A plan, the source as a file, and the folder in which segments are made."""

    plan: Plan
    source: Path
    folder: Folder
    stem: str

    def name(self, index: int) -> str:
        """Return the name of a segment."""
        return segment_name(self.stem, index, len(self.plan.spans), f".{self.plan.suffix}")

    def path(self, index: int) -> Path:
        """Return where a segment is made."""
        return self.folder.path / self.name(index)

    def check(self, index: int, encoding: Encoding, *, samples: int, tolerance: int = 0) -> None:
        """Read a finished segment back and hold it against what it was to be, but for its size.

        Raises:
            LimitError: it is not that; `encode.check` says how.
        """
        longest_s = rows.longest_s(self.plan.target)
        longest = None if longest_s is None else int(longest_s * encoding.sample_rate_hz)
        path = self.path(index)
        encode.check(path, encoding, samples=samples, tolerance=tolerance, max_samples=longest)

    def fits(self, index: int) -> bool:
        """Return whether a finished segment is as small as it must be."""
        return encode.fits(self.path(index), self.plan.max_segment_bytes)

    def tags(self, index: int) -> dict[str, str]:
        """Return the tags that a segment's file gets, its own title before the recording's."""
        titles = self.plan.titles[index - 1 : index]
        return dict(self.plan.tags) | ({"title": titles[0]} if any(titles) else {})

    def described(self, index: int, span: Span) -> ReadySegment:
        """Return what is to be said of a finished segment."""
        path = self.path(index)
        return ReadySegment(
            index=index,
            source_span=span,
            file=path.name,
            size_bytes=path.stat().st_size,
            sha256=encode.sha256(path),
            folder=self.folder,
        )


def segment_name(stem: str, index: int, segments: int, suffix: str) -> str:
    """Return the name of a finished segment: `talk.001.mp3`."""
    width = max(MIN_NUMBER_WIDTH, len(str(segments)))
    return f"{stem}.{index:0{width}d}{suffix}"


def is_segment_name(name: str, stem: str) -> bool:
    """Return whether `name` is one that `segment_name` makes of `stem`.

    ```python
    >>> is_segment_name("talk.001.mp3", "talk"), is_segment_name("talk.docx", "talk")
    (True, False)

    ```
    """
    return re.fullmatch(rf"{re.escape(stem)}\.\d{{{MIN_NUMBER_WIDTH},}}\.\w+", name) is not None


class Hashing(Closing):
    """The SHA-256 of a source, worked out in a thread while its segments are made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digest = hashlib.sha256()
        self._fault: OSError | None = None
        self._is_whole = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="captoolkit-hash", daemon=True)
        self._thread.start()

    def result(self) -> str:
        """Wait for it and return it, in hexadecimal; empty if it was stopped before the end.

        Raises:
            SourceNotFoundError: the source can no longer be read.
        """
        self._thread.join()
        if self._fault is not None:
            raise SourceNotFoundError(
                f"it can no longer be read ({self._fault.strerror})",
                fix="leave it in its place until the work is done",
                path=self._path,
            ) from self._fault
        return self._digest.hexdigest() if self._is_whole else ""

    def halt(self) -> None:
        """Stop reading without waiting for it."""
        self._stop.set()

    def close(self) -> None:
        """Stop reading; may be called twice."""
        self.halt()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _read(self) -> None:
        try:
            with self._path.open("rb", buffering=0) as stream:
                while not self._stop.is_set():
                    chunk = stream.read(CHUNK_BYTES)
                    if not chunk:
                        self._is_whole = True
                        return
                    self._digest.update(chunk)
        except OSError as error:
            self._fault = error
