"""The source itself is the only segment: captoolkit changes no byte of the file."""

from __future__ import annotations

from collections.abc import Iterator

from captoolkit.errors import InputError
from captoolkit.pipeline.event_gate import PrepareEvents
from captoolkit.pipeline.job import Job, unreadable
from captoolkit.pipeline.segment import Folder, ReadySegment
from captoolkit.support import files


class PassThrough:
    """The one segment of a plan that passes a file through."""

    def __init__(self, job: Job, events: PrepareEvents) -> None:
        self._job = job
        self._events = events

    def __iter__(self) -> Iterator[ReadySegment]:
        """Yield the source, if it is still the file that was planned with.

        Raises:
            SourceNotFoundError: the source can no longer be read.
            InputError: the size of the source has changed.
        """
        path, plan = self._job.source, self._job.plan
        try:
            sha256, size_bytes = files.sha256(path), path.stat().st_size
        except OSError as error:
            raise unreadable(path, error) from error
        if size_bytes != plan.info.size_bytes:
            raise InputError(
                "it changed while it was being prepared", fix="wait until it is complete", path=path
            )
        (span,) = plan.spans
        self._events.progressed(span.duration_s)
        yield ReadySegment(
            index=1,
            source_span=plan.track.on_file_clock(span),
            file=path.name,
            size_bytes=size_bytes,
            sha256=sha256,
            folder=Folder(path.parent),
        )
