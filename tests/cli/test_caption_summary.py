"""The table at the end of `captoolkit caption`."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from captoolkit.cli.caption_summary import MAX_ROWS, FileSummary, print_summary


def summary(index: int, *, failed: int = 0) -> FileSummary:
    """The figures of a file with three segments."""
    return FileSummary(
        name=f"{index}.wav",
        counts=(3, 2, 1, failed),
        tokens=100,
        cost=(Decimal("0.10"), "USD"),
        paths=(Path("out") / f"{index}.json",),
    )


def test_few_files_have_a_row_each(capsys: pytest.CaptureFixture[str]) -> None:
    """The last row is their sum; a single file has no sum."""
    print_summary([summary(1)])
    assert capsys.readouterr().err.splitlines() == [
        "file   segments  requested  from the ledger  failed  tokens  cost      written to",
        "1.wav  3         2          1                0       100     USD 0.10  out/1.json",
    ]
    print_summary([summary(1), summary(2)])
    *_, second, total = capsys.readouterr().err.splitlines()
    assert second.startswith("2.wav")
    assert total.split() == ["total", "6", "4", "2", "0", "200", "USD", "0.20"]


def test_a_local_captioner_has_no_columns_of_a_service(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither ledger nor tokens nor cost: the table fits into 80 columns."""
    print_summary([replace(summary(1), counts=(3, 3, 0, 0), tokens=None, cost=None)])
    assert capsys.readouterr().err.splitlines() == [
        "file   segments  requested  failed  written to",
        "1.wav  3         3          0       out/1.json",
    ]


def test_many_files_have_one_row_and_those_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    """More than twenty files are one row; files with failed segments keep theirs."""
    print_summary([summary(index, failed=index == 7) for index in range(30)])
    _, failed, total = capsys.readouterr().err.splitlines()
    assert failed.split()[0] == "7.wav"
    assert total.split()[:6] == ["30", "files", "90", "60", "30", "1"]
    assert total.endswith("out/")
    print_summary([summary(index, failed=1) for index in range(30)])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 + MAX_ROWS + 1 + 1
    assert lines[-1] == "10 more files with failed segments"


def test_no_file_has_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed if every file failed."""
    print_summary([])
    assert capsys.readouterr().err == ""
