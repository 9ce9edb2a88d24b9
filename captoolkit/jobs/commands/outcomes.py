"""The outcome of the work on each input, and the summary of all of them.

An outcome is a row of `--report` and an object of `--progress json`; `docs/reference/reports.md`
describes both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from captoolkit.errors import CaptoolkitError, OutputError
from captoolkit.support import files
from captoolkit.units import format_clock, format_size

if TYPE_CHECKING:
    from captoolkit.jobs.listing.inputs import Input
    from captoolkit.model import MediaInfo, Track
    from captoolkit.timeline.value import Timeline

MAX_REASONS = 10  # reasons of failures that a summary lists
_ROW_START = b'{"input":'


class OutcomeStatus(StrEnum):
    """The end of the work on an input."""

    DONE = "done"
    KEPT = "kept"  # an earlier run had done it
    HOLES = "holes"  # the timeline has failed segments
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOutcome:
    """The end of the work on one input.

    Attributes:
        input: the id of the input.
        path: its path or URL, for display.
        status: done, kept, holes or failed.
        segments: the number of its segments.
        duration_s: the length of its sound; None if it is not known.
        size_bytes: the size of the files made from it.
        tokens: the tokens that the service counts; None if it counts none.
        out: the manifest or timeline that describes the result.
        seconds: the time that the work took.
        warnings: oddities of the input, and differences between the plan and the result.
        error: the reason of a failure.
    """

    input: str
    path: str
    status: OutcomeStatus
    segments: int = 0
    duration_s: float | None = None
    size_bytes: int = 0
    tokens: int | None = None
    out: str | None = None
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    error: CaptoolkitError | None = None

    @classmethod
    def failure(cls, item: Input, path: str, error: CaptoolkitError) -> InputOutcome:
        """Return the outcome of an input that failed."""
        return cls(input=item.id, path=path, status=OutcomeStatus.FAILED, error=error)

    @classmethod
    def of_source(cls, item: Input, path: str, info: MediaInfo, track: Track) -> InputOutcome:
        """Return the outcome of an input that was only read: the length and size of the source."""
        return cls(
            input=item.id,
            path=path,
            status=OutcomeStatus.DONE,
            duration_s=track.duration_s,
            size_bytes=info.size_bytes,
            warnings=info.warnings,
        )

    @classmethod
    def captioned(
        cls,
        item: Input,
        path: str,
        timeline: Timeline,
        *,
        out: Path | None,
        size_bytes: int,
        seconds: float,
        is_kept: bool,
        warnings: tuple[str, ...] = (),
    ) -> InputOutcome:
        """Return the outcome of an input with a timeline.

        Args:
            item: the input.
            path: its path or URL, for display.
            timeline: its captions.
            out: the JSON timeline, or the first of other files; None for standard output.
            size_bytes: the size of its files.
            seconds: the time that the work took.
            is_kept: whether an earlier run has made it.
            warnings: those of its preparation; a timeline that is kept has none.
        """
        from captoolkit.model import Status

        status = OutcomeStatus.HOLES if timeline.holes else OutcomeStatus.DONE
        return cls(
            input=item.id,
            path=path,
            status=OutcomeStatus.KEPT if is_kept else status,
            segments=sum(entry.status is not Status.SILENT for entry in timeline.entries),
            duration_s=timeline.source.span.duration_s,
            size_bytes=size_bytes,
            tokens=timeline.usage.audio_tokens,
            out=None if out is None else str(out),
            seconds=seconds,
            warnings=warnings,
        )

    def row(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        error = self.error
        return {
            "input": self.input,
            "path": self.path,
            "status": self.status.value,
            "segments": self.segments,
            "duration_s": None if self.duration_s is None else round(self.duration_s, 6),
            "bytes": self.size_bytes,
            "tokens": self.tokens,
            "out": self.out,
            "seconds": round(self.seconds, 3),
            "warnings": [*self.warnings],
            "error": error and {"class": type(error).__name__, **_parts(error)},
        }


def _parts(error: CaptoolkitError) -> Mapping[str, str]:
    return {"problem": error.problem, "fix": error.fix}


class OutcomeSummary:
    """The sums of many outcomes."""

    def __init__(self) -> None:
        self.counts: Counter[OutcomeStatus] = Counter()
        self.segments = 0
        self.duration_s = 0.0
        self.size_bytes = 0
        self.tokens = 0
        self.reasons: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def add(self, outcome: InputOutcome) -> None:
        """Count an outcome."""
        self.counts[outcome.status] += 1
        self.segments += outcome.segments
        self.duration_s += outcome.duration_s or 0.0
        self.size_bytes += outcome.size_bytes
        self.tokens += outcome.tokens or 0
        if outcome.error is not None:
            reason, example = outcome.error.problem, outcome.path
            place = outcome.error.path
            if isinstance(outcome.error, OutputError) and place and place in reason:
                example = place  # the file in the way, not the recording
            for name in (place, outcome.path):  # the same reason for many files
                reason = reason.replace(name, "FILE") if name else reason
            self.reasons[reason] += 1
            self.examples.setdefault(reason, example)

    def lines(self, *, out: str | None, left: int = 0, done: str = "made") -> list[str]:
        """Return the summary as sentences.

        Args:
            out: the place of the files, for display; None if there are no files.
            left: the number of inputs that were not finished.
            done: the word for inputs that are done.
        """
        counts = [
            f"{self.counts[status]:,} {word}"
            for status, word in (
                (OutcomeStatus.DONE, done),
                (OutcomeStatus.KEPT, "kept from an earlier run"),
                (OutcomeStatus.HOLES, "with failed segments"),
                (OutcomeStatus.FAILED, "failed"),
            )
            if self.counts[status] or status is OutcomeStatus.DONE
        ]
        counts += [f"{left:,} not finished"] if left else []
        figures = [
            f"{self.segments:,} segment{'' if self.segments == 1 else 's'}",
            f"{format_clock(self.duration_s)} of sound",
            format_size(self.size_bytes),
        ]
        figures += [f"{self.tokens:,} audio tokens"] if self.tokens else []
        place = "" if out is None else f"; in {out}"
        lines = [", ".join(counts) + f"; {', '.join(figures)}{place}"]
        for reason, count in self.reasons.most_common(MAX_REASONS):
            lines.append(f"  {count:,} failed: {reason} ({self.examples[reason]})")
        others = len(self.reasons) - MAX_REASONS
        return lines + ([f"  and {others:,} more reasons"] if others > 0 else [])

    def fields(self, *, out: str | None, left: int = 0) -> dict[str, Any]:
        """Return the summary as JSON values."""
        return {
            **{status.value: self.counts[status] for status in OutcomeStatus},
            "not_finished": left,
            "segments": self.segments,
            "duration_s": round(self.duration_s, 6),
            "bytes": self.size_bytes,
            "tokens": self.tokens,
            "out": out,
            "reasons": [
                {"problem": reason, "count": count, "example": self.examples[reason]}
                for reason, count in self.reasons.most_common()
            ],
        }


class ReportFile:
    """The file of `--report`: a JSON object a line, for each input as it ends.

    Args:
        path: the file; None writes nothing. A report of an earlier run is replaced.
        overwrite: replace a file that is no report as well.
        spare: files that are never replaced.

    Raises:
        OutputExistsError: the file exists and is no report.
        OutputError: it cannot be written.
    """

    def __init__(
        self, path: Path | None, *, overwrite: bool = False, spare: Iterable[str] = ()
    ) -> None:
        self._path = path
        self._stream: IO[str] | None = None
        if path is None:
            return
        files.FileSet(spare).refuse([path])
        if not overwrite:
            fix = "choose another name, or pass -y to replace it"
            files.refuse_foreign(path, _ROW_START, "report", fix=fix)
        with files.writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = path.open("w", encoding="utf-8", newline="\n")

    def add(self, outcome: InputOutcome) -> None:
        """Write a row; it is on the disk when this returns."""
        if self._stream is not None and self._path is not None:
            import json

            from captoolkit.support.exact_json import escape

            with files.writing(self._path):
                line = json.dumps(outcome.row(), ensure_ascii=False)
                self._stream.write(f"{escape(line)}\n")
                self._stream.flush()

    def close(self) -> None:
        """Close the file; may be called twice.

        Raises:
            OutputError: its last rows cannot be written.
        """
        stream, self._stream = self._stream, None
        if stream is not None and self._path is not None:
            with files.writing(self._path):
                stream.close()
