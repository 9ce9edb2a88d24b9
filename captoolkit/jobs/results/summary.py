"""The summary of a batch: how many recordings have which end, and why some failed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from captoolkit.jobs.results.recording_rows import RecordingRow, RowStatus
from captoolkit.model import Cost, Status, Usage

MOST_REASONS = 1000  # distinct reasons that are counted apart


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureReason:
    """A reason why recordings have no result.

    Attributes:
        error_class: the name of the error's class.
        error: the problem and the remedy.
        count: the number of recordings.
        example: the id of one of them.
    """

    error_class: str
    error: str
    count: int
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSummary:
    """The end of a batch.

    Attributes:
        verb: `probe`, `prepare`, `split` or `caption`.
        out: the place of the results.
        done: the recordings that this run has done; `silent` ones hold nothing to prepare.
        failed: the recordings that cannot be done.
        quarantined: the recordings that ended their worker, or took too long, too often.
        holes: the recordings with segments that have no caption.
        kept: the recordings that an earlier run has done.
        changed: the recordings that have changed since an earlier run did them, and are kept.
        failed_before: the recordings that failed in an earlier run, and were not tried again.
        left: the recordings that were not begun, because the run ended before.
        warned: the recordings of this run with warnings in their rows.
        segments: the number of segments of the recordings of this run.
        duration_s: the length of their sound.
        worker_s: the time that workers took for them.
        elapsed_s: the time that the run took.
        requested: the segments that were sent to the captioner; 0 for one that runs in the
            workers.
        recalled: the answers from the ledger.
        usage: the tokens of this run's requests.
        cost: their cost; None where it is not known.
        is_capped: whether the budget ended the run.
        error: the fault of the captioner that ended the run; None if none did.
        is_stopped: whether `max_failures` or `stop` ended the run.
        reasons: the reasons of failures, the most frequent first.
    """

    verb: str
    out: str
    done: int = 0
    silent: int = 0
    failed: int = 0
    quarantined: int = 0
    holes: int = 0
    kept: int = 0
    changed: int = 0
    failed_before: int = 0
    left: int = 0
    warned: int = 0
    segments: int = 0
    duration_s: float = 0.0
    worker_s: float = 0.0
    elapsed_s: float = 0.0
    requested: int = 0
    recalled: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: Cost | None = None
    is_capped: bool = False
    error: str | None = None
    is_stopped: bool = False
    reasons: tuple[FailureReason, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every recording of the listing has its result."""
        missing = self.failed + self.quarantined + self.holes + self.changed + self.failed_before
        is_ended = self.is_capped or self.is_stopped or self.error is not None
        return not missing and not self.left and not is_ended


class Tally:
    """Counts the rows of a run."""

    def __init__(self) -> None:
        self.statuses: Counter[RowStatus] = Counter()
        self.segments = self.warned = 0
        self.duration_s = self.worker_s = 0.0
        self._reasons: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], str] = {}

    def add(self, row: RecordingRow) -> None:
        """Count a row."""
        self.statuses[row.status] += 1
        self.segments += sum(each.status != Status.SILENT for each in row.segments)
        self.duration_s += row.duration_s or 0.0
        self.worker_s += row.worker_s
        self.warned += bool(row.warnings)
        if row.is_finished:
            return
        for reason in sorted(_reasons_of(row)):
            if reason not in self._reasons and len(self._reasons) >= MOST_REASONS:
                reason = ("", "other reasons")
            self._reasons[reason] += 1
            self._examples.setdefault(reason, row.id)

    @property
    def count(self) -> int:
        """The number of rows."""
        return self.statuses.total()

    @property
    def done(self) -> int:
        """The number of recordings that are done, silent ones included."""
        return self.statuses[RowStatus.DONE] + self.statuses[RowStatus.SILENT]

    @property
    def failures(self) -> int:
        """The number of recordings that failed or are quarantined."""
        return self.statuses[RowStatus.FAILED] + self.statuses[RowStatus.QUARANTINED]

    @property
    def reasons(self) -> tuple[FailureReason, ...]:
        """The reasons of failures, the most frequent first."""
        return tuple(
            FailureReason(
                error_class=reason[0], error=reason[1], count=count, example=self._examples[reason]
            )
            for reason, count in self._reasons.most_common()
        )


def _reasons_of(row: RecordingRow) -> set[tuple[str, str]]:
    """The error of a row without the name of its recording, or those of its segments."""
    if row.error:
        error = row.error.removeprefix(f"{row.url}: ")
        if error.startswith(f"{row.url} "):
            error = f"it{error.removeprefix(row.url)}"
        manifest, _, number = row.id.rpartition(":")
        if error.startswith(line := f"line {number} of {manifest} "):
            error = f"a line of {manifest} {error.removeprefix(line)}"
        return {(row.error_class, error)}
    return {("", segment.error) for segment in row.segments if segment.error}
