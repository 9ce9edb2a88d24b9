"""Tests of `captoolkit ledger`, and of costs and the ledger in `captoolkit caption`."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest

from captoolkit.dispatch.ledger import Ledger
from tests.support.command_line import Run, run_on_terminal, start_captoolkit
from tests.support.model_studio import ANSWER
from tests.support.recorder import Recorder


@pytest.fixture
def asked(run: Run, fixtures: Path, tmp_path: Path, recorder: Recorder) -> tuple[object, ...]:
    """The arguments of a run that sent three requests."""
    recorder.answer(ANSWER)
    argv: tuple[object, ...] = (
        "caption",
        fixtures / "hammering-mandarin.flac",
        "--segment",
        "15s",
        "-y",
    )
    argv += ("--captioner", "dashscope", "--base-url", f"{recorder.url}/api/v1", "-o", tmp_path)
    assert run(*argv).status == 0
    assert len(recorder.seen) == 3
    return argv


def test_a_second_run_sends_nothing(
    run: Run, asked: tuple[object, ...], tmp_path: Path, recorder: Recorder
) -> None:
    """The timeline is identical and no request is sent; `--no-resume` sends them again."""
    written = (tmp_path / "hammering-mandarin.json").read_bytes()
    again = run(*asked)
    assert again.status == 0
    assert len(recorder.seen) == 3
    assert (tmp_path / "hammering-mandarin.json").read_bytes() == written
    assert again.err.splitlines()[-1].split()[1:7] == ["3", "0", "3", "0", "0", "-"]
    assert run(*asked, "--no-resume").status == 0
    assert len(recorder.seen) == 6
    assert run(*asked, "--ledger", tmp_path / "another.sqlite3").status == 0
    assert len(recorder.seen) == 9


def test_it_lists_exports_and_prunes(
    run: Run, asked: tuple[object, ...], recorder: Recorder
) -> None:
    """The records are listed, exported as JSON lines, and deleted by `--prune`."""
    listed = run("ledger")
    head, *rows = listed.out.splitlines()
    assert head.split()[2:] == ["state", "model", "tokens", "answer"]
    assert len(rows) == 3
    assert all("answered" in row and "559" in row and "一个人说" in row for row in rows)
    lines = [json.loads(line) for line in run("ledger", "--export").out.splitlines()]
    assert [line["text"] for line in lines] == ["一个人说：“好”。"] * 3
    assert len({line["audio_sha256"] for line in lines}) == 3
    assert "0 records deleted" in run("ledger", "--prune", "30d").err
    assert "3 records deleted" in run("ledger", "--prune", "all").err
    emptied = run("ledger")
    assert (emptied.out, emptied.err.endswith(": no request is recorded)\n")) == ("", True)
    run(*asked)
    assert len(recorder.seen) == 6


def test_listing_creates_no_ledger(run: Run, tmp_path: Path) -> None:
    """Without a ledger the list is empty, and no file is created."""
    path = tmp_path / "folder" / "none.sqlite3"
    ran = run("ledger", "--ledger", path)
    assert (ran.status, ran.out) == (0, "")
    assert "no request is recorded" in ran.err
    copied = run("ledger", "--ledger", path, "--backup", tmp_path / "copy")
    assert (copied.status, copied.out) == (1, "")
    assert "there is no ledger to copy" in copied.err
    assert not path.parent.exists()


def test_two_actions_at_once_are_refused(run: Run, tmp_path: Path) -> None:
    """Neither is done: `--backup` would not hold what `--prune` deletes, or would."""
    ran = run("ledger", "--prune", "all", "--backup", tmp_path / "copy")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("age", ["soon", "d", "-1d", "0", "1", "30", "1.5", " 7 ", "", "0d"])
def test_an_invalid_age_is_refused(run: Run, age: str) -> None:
    """A typing error deletes nothing."""
    ran = run("ledger", "--prune", age)
    assert ran.status == 2
    assert f"{age!r} is no age; write 30d, 12h, 45m, 90s or all" in ran.err


def test_a_damaged_ledger_is_one_error_line(
    run: Run, fixtures: Path, tmp_path: Path, recorder: Recorder
) -> None:
    """No request is sent that cannot be recorded."""
    (tmp_path / "bad").write_text("garbage")
    argv = ("--captioner", "dashscope", "--base-url", f"{recorder.url}/api/v1", "-o", "-")
    ran = run("caption", fixtures / "speech.amr", *argv, "--ledger", tmp_path / "bad")
    assert ran.status == 1
    (line,) = ran.err.splitlines()
    assert "is damaged, or not a ledger (file is not a database); move it away" in line
    assert recorder.seen == []


def test_costs_are_shown_and_capped(
    run: Run, fixtures: Path, tmp_path: Path, recorder: Recorder
) -> None:
    """The price range comes first; the cap covers all files together; holes share a line."""
    recorder.answer(ANSWER)
    argv: tuple[object, ...] = ("--captioner", "dashscope", "-o", tmp_path)
    argv += ("--base-url", f"{recorder.url}/api/v1")
    argv += ("--region", "singapore", "--segment", "15s", "--concurrency", "1")
    sources = (fixtures / "hammering-mandarin.flac", fixtures / "speech.amr")
    small = run("caption", *sources, *argv, "--max-cost", "0.05")
    assert small.status == 2
    assert "--max-cost 0.05 is too small for one request" in small.err
    assert recorder.seen == []
    ran = run("caption", *sources, *argv, "--max-cost", "0.1020")
    assert ran.status == 1
    assert "2 files: 629 input tokens in 4 requests" in ran.err
    assert "USD 0.0024 for the input, 0.4036 at most" in ran.err
    assert len(recorder.seen) == 1
    assert re.search(r"segments \d to \d: not sent: 0.1001 is left", ran.err)
    total = next(line for line in ran.err.splitlines() if line.startswith("total"))
    assert total.split() == ["total", "4", "1", "0", "3", "559", "USD", "0.001831"]


def test_text_is_streamed_to_standard_error(run: Run, fixtures: Path, recorder: Recorder) -> None:
    """Standard output holds only the timeline; segments are in order."""
    recorder.answer(ANSWER)
    argv = ("--captioner", "dashscope", "--base-url", f"{recorder.url}/api/v1", "--stream")
    source = fixtures / "hammering-mandarin.flac"
    ran = run("caption", source, "--segment", "15s", *argv, "-f", "json", "-o", "-")
    assert ran.status == 0
    lines = [line for line in ran.err.splitlines() if line.startswith("[")]
    assert lines == [f"[{number}] 一个人说：“好”。" for number in (1, 2, 3)]
    assert json.loads(ran.out)["entries"]


def test_a_refused_key_is_one_error_line(
    run: Run, fixtures: Path, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty segments do not give forty errors, nor a timeline of holes."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-test-0123456789")
    answer = {"code": "InvalidApiKey", "message": "Invalid API-key provided.", "request_id": "r-1"}
    recorder.answer(answer, status=401)
    argv = ("--captioner", "dashscope", "--base-url", f"{recorder.url}/api/v1", "-o", tmp_path)
    ran = run("caption", fixtures / "hammering-mandarin.flac", "--segment", "1s", *argv)
    assert ran.status == 1
    errors = [line for line in ran.err.splitlines() if line.startswith("error")]
    assert len(errors) == 1
    assert "InvalidApiKey" in errors[0]
    assert "by default that of DASHSCOPE_API_KEY" in errors[0]
    assert "r-1" in errors[0]
    assert len(recorder.seen) <= 4
    assert list(tmp_path.glob("*.json")) == []


# --------------------------------------------------------------------------- on a terminal


def test_a_paid_run_on_a_terminal_asks_for_confirmation(
    fixtures: Path, tmp_path: Path, recorder: Recorder
) -> None:
    """`n` sends nothing; `y` and `--yes` send the request."""
    recorder.answer(ANSWER)
    argv = ["caption", str(fixtures / "speech.amr"), "--captioner", "dashscope", "-o"]
    argv += [str(tmp_path), "-y", "--base-url", f"{recorder.url}/api/v1", "--region", "singapore"]
    status, shown = run_on_terminal(*argv, typed=b"n\n")
    assert status == 1
    assert "USD 0.0002 for the input, 0.1005 at most" in shown
    assert f"Send at most 1 request to {recorder.url}/api/v1?" in shown
    assert "answers in the ledger cost nothing" in shown
    assert "no request was sent" in shown
    status, shown = run_on_terminal(*argv, typed=b"\x04")
    assert status == 130
    assert "\nerror: interrupted" in shown.replace("\r", "")
    assert recorder.seen == []
    status, shown = run_on_terminal(*argv, "--yes", "--max-cost", "0.05")
    assert status == 2  # the confirmation is skipped, the cap is not
    assert recorder.seen == []
    assert run_on_terminal(*argv, typed=b"y\n")[0] == 0
    assert len(recorder.seen) == 1
    status, shown = run_on_terminal(*argv, "--yes", "--no-resume")
    assert status == 0
    assert "Send " not in shown
    assert "in the ledger" not in shown.partition("file ")[0]
    assert len(recorder.seen) == 2


def test_a_free_run_asks_for_no_confirmation(
    fixtures: Path, tmp_path: Path, recorder: Recorder
) -> None:
    """Neither the local captioner nor an own server asks; the local one is not recorded."""
    recorder.answer(ANSWER)
    local = ["caption", str(fixtures / "speech.amr"), "-o", str(tmp_path), "-y"]
    assert run_on_terminal(*local)[0] == 0
    with Ledger() as ledger:
        assert list(ledger.records()) == []
    own = [*local, "--captioner", "dashscope", "--base-url", f"{recorder.url}/api/v1"]
    assert run_on_terminal(*own)[0] == 0
    assert len(recorder.seen) == 1


def test_ctrl_c_does_not_wait_for_an_answer(
    fixtures: Path, tmp_path: Path, recorder: Recorder
) -> None:
    """A service that does not answer does not delay the exit."""
    recorder.hang()
    argv = ["caption", str(fixtures / "speech.amr"), "--captioner", "dashscope", "-o"]
    argv += [str(tmp_path), "--base-url", f"{recorder.url}/api/v1"]
    with start_captoolkit(*argv) as child:
        while not recorder.seen:
            recorder.released.wait(0.01)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=20)
    assert child.returncode == 130
    assert "interrupted" in err
    assert "answers so far; run it again with --skip-existing to continue." in err
    assert list(tmp_path.iterdir()) == []


def test_it_copies_the_ledger(run: Run, asked: tuple[object, ...], tmp_path: Path) -> None:
    """`--backup` writes a ledger with the same answers."""
    copy = tmp_path / "copy.sqlite3"
    ran = run("ledger", "--backup", copy)
    assert (ran.status, ran.out) == (0, f"{copy}\n")
    exported = run("ledger", "--ledger", copy, "--export").out
    assert exported == run("ledger", "--export").out
    assert len(exported.splitlines()) == 3
