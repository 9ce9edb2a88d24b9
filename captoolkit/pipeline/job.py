"""The job of a preparation: the plan, the source as a file, the folder, and the segments' names."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from captoolkit.errors import SourceNotFoundError
from captoolkit.media import encode
from captoolkit.model import Caption, Encoding, Plan, Span
from captoolkit.pipeline.segment import Folder, ReadySegment
from captoolkit.pipeline.segment_names import SegmentNames
from captoolkit.pipeline.supervisor import Supervisor
from captoolkit.services import limits
from captoolkit.support import files

CHUNK_BYTES = 1 << 20
THREAD_BYTES = 1 << 20  # the hash of a smaller source takes no longer than the start of a thread


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A plan, the source as a file, and the folder in which segments are made."""

    plan: Plan
    source: Path
    folder: Folder
    names: SegmentNames

    def path(self, index: int) -> Path:
        """Return the path at which a segment is made."""
        suffix = f".{self.plan.suffix}"
        return self.folder.path / self.names.segment(index, len(self.plan.spans), suffix)

    def check(self, index: int, encoding: Encoding, *, samples: int, tolerance: int = 0) -> None:
        """Read a finished segment back and compare everything but its size with the plan.

        Raises:
            LimitError: it differs; see `encode.check`.
        """
        longest_s = limits.longest_s(self.plan.target)
        longest = None if longest_s is None else int(longest_s * encoding.sample_rate_hz)
        path = self.path(index)
        encode.check(path, encoding, samples=samples, tolerance=tolerance, max_samples=longest)

    def fits(self, index: int) -> bool:
        """Return whether a finished segment is within the size limit."""
        return encode.fits(self.path(index), self.plan.max_segment_bytes)

    def tags(self, index: int) -> dict[str, str]:
        """Return the tags of a segment's file; its own title replaces the recording's."""
        titles = self.plan.titles[index - 1 : index]
        return dict(self.plan.tags) | ({"title": titles[0]} if any(titles) else {})

    def describe(self, index: int, span: Span) -> ReadySegment:
        """Return the value that describes a finished segment; `span` is on the track's clock."""
        path = self.path(index)
        return ReadySegment(
            index=index,
            source_span=self.plan.track.on_file_clock(span),
            file=path.name,
            size_bytes=path.stat().st_size,
            sha256=files.sha256(path),
            folder=self.folder,
        )

    def describe_captioned(
        self, index: int, span: Span, captioned: Caption | Exception | None
    ) -> ReadySegment:
        """Return the value of a segment without a file; `span` is on the track's clock."""
        return ReadySegment(
            index=index,
            source_span=self.plan.track.on_file_clock(span),
            file="",
            size_bytes=0,
            sha256="",
            folder=self.folder,
            captioned=captioned,
        )


class Hashing:
    """The SHA-256 of a source, computed in a thread while the segments are made.

    The hash of a small source is computed before them, without a thread.
    """

    def __init__(self, path: Path, supervisor: Supervisor) -> None:
        self._path = path
        self._supervisor = supervisor
        self._digest = hashlib.sha256()
        self._error: OSError | None = None
        self._is_whole = False
        self._thread = None
        if _is_small(path):
            self._read()
        else:
            self._thread = supervisor.start_thread(self._read, "hash")

    def result(self) -> str:
        """Wait for the digest and return it in hexadecimal; empty if the supervisor was halted.

        Raises:
            SourceNotFoundError: the source can no longer be read.
        """
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise unreadable(self._path, self._error) from self._error
        return self._digest.hexdigest() if self._is_whole else ""

    def _read(self) -> None:
        """Read and hash the source."""
        try:
            with self._path.open("rb", buffering=0) as stream:
                while not self._supervisor.is_halted:
                    chunk = stream.read(CHUNK_BYTES)
                    if not chunk:
                        self._is_whole = True
                        return
                    self._digest.update(chunk)
        except OSError as error:
            self._error = error


def _is_small(path: Path) -> bool:
    try:
        return path.stat().st_size <= THREAD_BYTES
    except OSError:  # reading it gives the same error
        return True


def unreadable(path: Path, error: OSError) -> SourceNotFoundError:
    """Return the error for a source that was readable when it was planned."""
    return SourceNotFoundError(
        f"it can no longer be read ({error.strerror})",
        fix="leave it in its place until the work is done",
        path=path,
    )
