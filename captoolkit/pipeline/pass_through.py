"""The source itself as the only segment: not a byte is changed."""

from __future__ import annotations

from collections.abc import Iterator

from captoolkit.errors import InputError, SourceNotFoundError
from captoolkit.media import encode
from captoolkit.pipeline.job import Job
from captoolkit.pipeline.report import Report
from captoolkit.pipeline.segment import Folder, ReadySegment
from captoolkit.support.cancel import Closing


class PassThrough(Closing):
    """The one segment of a plan that passes a file through."""

    def __init__(self, job: Job, report: Report) -> None:
        self._job = job
        self._report = report

    def __iter__(self) -> Iterator[ReadySegment]:
        """Yield the source, if it still is what was planned with."""
        path, plan = self._job.source, self._job.plan
        try:
            sha256, size_bytes = encode.sha256(path), path.stat().st_size
        except OSError as error:
            raise SourceNotFoundError(
                f"it can no longer be read ({error.strerror})",
                fix="leave it in its place until the work is done",
                path=path,
            ) from error
        if size_bytes != plan.info.size_bytes:
            raise InputError(
                "it changed while it was being prepared", fix="wait until it is complete", path=path
            )
        (span,) = plan.spans
        self._report.progressed(span.duration_s)
        yield ReadySegment(
            index=1,
            source_span=span,
            file=path.name,
            size_bytes=size_bytes,
            sha256=sha256,
            folder=Folder(path.parent),
        )

    def halt(self) -> None:
        """Nothing runs."""

    def close(self) -> None:
        """Nothing runs."""
