"""The outcomes of inputs, the summary of them, and the file of `--report`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from captoolkit.errors import InputError, OutputError, OutputExistsError
from captoolkit.jobs.commands.outcomes import (
    MAX_REASONS,
    InputOutcome,
    OutcomeStatus,
    OutcomeSummary,
    ReportFile,
)
from captoolkit.jobs.listing.inputs import Input


def done(name: str, status: OutcomeStatus = OutcomeStatus.DONE) -> InputOutcome:
    """An input of a minute in two segments."""
    return InputOutcome(
        input=name, path=name, status=status, segments=2, duration_s=60.0, size_bytes=1_000_000,
        tokens=750, out=f"out/{name}", seconds=1.5,
    )  # fmt: skip


def failed(name: str, problem: str) -> InputOutcome:
    """An input that failed."""
    error = InputError(problem, fix="check it", path=name)
    return InputOutcome.failure(Input(id=name, url=name, relative=name), name, error)


def test_a_row_holds_the_warnings() -> None:
    """A report names the oddities of each input; most have none."""
    assert done("a").row()["warnings"] == []
    odd = dataclasses.replace(done("a"), warnings=("It is odd.",))
    assert odd.row()["warnings"] == ["It is odd."]


def test_a_summary_groups_the_reasons() -> None:
    """The same problem of many files is one line with an example; the name is no difference."""
    summary = OutcomeSummary()
    for outcome in (
        done("a"),
        done("b", OutcomeStatus.KEPT),
        failed("c.wav", "c.wav is empty"),
        failed("d.wav", "d.wav is empty"),
        failed("e.wav", "it has no sound"),
    ):
        summary.add(outcome)
    assert summary.lines(out="out", left=2) == [
        "1 made, 1 kept from an earlier run, 3 failed, 2 not finished; "
        "4 segments, 2:00 of sound, 2.00 MB, 1,500 audio tokens; in out",
        "  2 failed: FILE is empty (c.wav)",
        "  1 failed: it has no sound (e.wav)",
    ]
    fields = summary.fields(out="out")
    assert (fields["done"], fields["kept"], fields["failed"], fields["segments"]) == (1, 1, 3, 4)
    assert fields["reasons"][0] == {"problem": "FILE is empty", "count": 2, "example": "c.wav"}


def test_a_summary_names_the_file_in_the_way() -> None:
    """The example of an output that exists is that output, and not the recording."""
    summary = OutcomeSummary()
    for name in ("a", "b"):
        path = f"out/{name}.srt"
        error = OutputExistsError(f"{path} exists", fix="choose another name", path=path)
        item = Input(id=name, url=name, relative=name)
        summary.add(InputOutcome.failure(item, f"in/{name}.wav", error))
    assert summary.lines(out="out")[1:] == ["  2 failed: FILE exists (out/a.srt)"]


def test_a_summary_lists_a_bounded_number_of_reasons() -> None:
    """A thousand different problems do not fill the screen."""
    summary = OutcomeSummary()
    for number in range(1000):
        summary.add(failed(f"{number}.wav", f"problem {number}"))
    lines = summary.lines(out="out")
    assert len(lines) == MAX_REASONS + 2
    assert lines[-1] == "  and 990 more reasons"


def test_a_report_has_a_row_for_each_input(tmp_path: Path) -> None:
    """A row is on the disk as soon as its input ends; an earlier report is replaced."""
    path = tmp_path / "new" / "report.jsonl"
    for _ in range(2):
        report = ReportFile(path)
        report.add(done("a"))
        assert len(path.read_text(encoding="utf-8").splitlines()) == 1
        report.add(failed("b", "it has no sound"))
        report.close()
    first, second = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert (first["status"], first["segments"], first["duration_s"], first["error"]) == (
        "done", 2, 60.0, None,
    )  # fmt: skip
    expected = {"class": "InputError", "problem": "it has no sound", "fix": "check it"}
    assert (second["status"], second["error"]) == ("failed", expected)


def test_a_report_holds_names_that_are_not_utf8(tmp_path: Path) -> None:
    """They are escaped as in the other JSON files, and the row can be read."""
    path = tmp_path / "report.jsonl"
    report = ReportFile(path)
    report.add(done("b\udcffad.wav"))
    report.close()
    assert json.loads(path.read_text(encoding="utf-8"))["input"] == "b\udcffad.wav"


def test_a_report_never_replaces_another_file(tmp_path: Path) -> None:
    """Not without `-y`; an input not even with it."""
    path = tmp_path / "talk.wav"
    path.write_bytes(b"RIFF")
    with pytest.raises(OutputExistsError, match="is no report"):
        ReportFile(path)
    with pytest.raises(OutputError, match="is an input"):
        ReportFile(path, overwrite=True, spare=[str(path)])
    assert path.read_bytes() == b"RIFF"
    ReportFile(path, overwrite=True).close()
    ReportFile(None).add(done("a"))
