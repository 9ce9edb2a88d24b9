"""Tests of the summary: counts of rows, and the reasons of failures."""

from __future__ import annotations

import dataclasses

import pytest

from captoolkit.jobs.results.recording_rows import RecordingRow, RowSegment, RowStatus
from captoolkit.jobs.results.summary import BatchSummary, FailureReason, Tally


def row(
    id: str, status: RowStatus, *, error: str = "", holes: tuple[str, ...] = ()
) -> RecordingRow:
    """Return a row with a reason, or with segments that have one each."""
    segments = tuple(
        RowSegment(file=None, start_s=0, end_s=1, duration_s=1, status="failed", error=reason)
        for reason in holes
    )
    return RecordingRow(
        id=id, url=id, status=status, error=error, duration_s=2.0, segments=segments
    )


def test_equal_reasons_are_counted_together() -> None:
    """The most frequent reason comes first, with an example; a hole counts once a recording."""
    tally = Tally()
    tally.add(row("a", RowStatus.DONE))
    tally.add(row("b", RowStatus.FAILED, error="no media"))
    tally.add(row("c", RowStatus.HOLES, holes=("refused", "refused")))
    tally.add(row("d", RowStatus.FAILED, error="no media"))
    assert tally.reasons == (
        FailureReason(error_class="", error="no media", count=2, example="b"),
        FailureReason(error_class="", error="refused", count=1, example="c"),
    )
    assert (tally.count, tally.done, tally.failures) == (4, 1, 2)
    assert tally.duration_s == 8.0


def test_a_reason_does_not_name_the_recording() -> None:
    """Errors that differ in the recording's own URL, or line of a manifest, count together."""
    tally = Tally()
    for url in ("s3://b/a.wav", "s3://b/c.wav"):
        tally.add(row(url, RowStatus.FAILED, error=f"{url}: there is no such file"))
        tally.add(row(url, RowStatus.FAILED, error=f"{url} cannot be read: denied"))
    for number in (2, 30):
        error = f"line {number} of m.jsonl is no JSON"
        tally.add(row(f"m.jsonl:{number}", RowStatus.FAILED, error=error))
    assert {(reason.error, reason.count) for reason in tally.reasons} == {
        ("a line of m.jsonl is no JSON", 2),
        ("there is no such file", 2),
        ("it cannot be read: denied", 2),
    }


def test_recordings_with_warnings_are_counted() -> None:
    """A recording counts once, with any number of warnings."""
    tally = Tally()
    tally.add(row("a", RowStatus.DONE))
    tally.add(dataclasses.replace(row("b", RowStatus.DONE), warnings=("It is odd.", "Very.")))
    assert (tally.done, tally.warned) == (2, 1)


@pytest.mark.parametrize(
    "missing",
    ["failed", "quarantined", "holes", "changed", "failed_before", "left"],
)
def test_a_batch_with_a_missing_result_is_not_complete(missing: str) -> None:
    """Finished and kept recordings alone make it complete."""
    assert BatchSummary(verb="probe", out="out", done=1, silent=1, kept=3).is_complete
    assert not BatchSummary(verb="probe", out="out", done=1, **{missing: 1}).is_complete  # type: ignore[arg-type]


def test_silent_entries_of_a_caption_are_no_segments() -> None:
    """The count agrees with that of the plain caption command."""
    silent = RowSegment(file=None, start_s=0.0, end_s=1.0, duration_s=1.0, status="silent")
    spoken = RowSegment(file=None, start_s=1.0, end_s=2.0, duration_s=1.0, status="ok", text="a")
    tally = Tally()
    tally.add(RecordingRow(id="a", url="a", status=RowStatus.DONE, segments=(silent, spoken)))
    assert tally.segments == 1
