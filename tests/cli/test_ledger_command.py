"""`captoolkit ledger`, and what `captoolkit caption` does with it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from captoolkit.dispatch.ledger import Ledger
from tests.cli.conftest import Run
from tests.cli.test_caption_command import ANSWER
from tests.support.recorder import Recorder


@pytest.fixture
def asked(run: Run, fixtures: Path, tmp_path: Path, recorder: Recorder) -> tuple[object, ...]:
    """The arguments of a run that has asked three times."""
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
    """The timeline is the same, and the table says that nobody was asked; unless told to."""
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
    """What was answered is seen, taken out as JSON lines, and forgotten on request."""
    listed = run("ledger")
    head, *rows = listed.out.splitlines()
    assert head.split()[2:] == ["state", "model", "tokens", "answer"]
    assert len(rows) == 3
    assert all("answered" in row and "559" in row and "一个人说" in row for row in rows)
    lines = [json.loads(line) for line in run("ledger", "--export").out.splitlines()]
    assert [line["text"] for line in lines] == ["一个人说：“好”。"] * 3
    assert len({line["audio_sha256"] for line in lines}) == 3
    assert "0 questions forgotten" in run("ledger", "--prune", "30d").err
    assert "3 questions forgotten" in run("ledger", "--prune", "all").err
    assert run("ledger").out == ""
    run(*asked)
    assert len(recorder.seen) == 6


def test_looking_at_no_ledger_makes_none(run: Run, tmp_path: Path) -> None:
    """Where nothing has been asked there is nothing to see, and no file is left."""
    path = tmp_path / "folder" / "none.sqlite3"
    ran = run("ledger", "--ledger", path)
    assert (ran.status, ran.out) == (0, "")
    assert "nothing has been asked yet" in ran.err
    assert not path.parent.exists()


@pytest.mark.parametrize("age", ["soon", "d", "-1d", "0", "1", "30", "1.5", " 7 ", "", "0d"])
def test_what_is_no_age_is_refused(run: Run, age: str) -> None:
    """A slip of the finger forgets nothing."""
    ran = run("ledger", "--prune", age)
    assert ran.status == 2
    assert f"{age!r} is no age; write 30d, 12h, 45m, 90s or all" in ran.err


def test_a_damaged_ledger_is_one_clear_line(
    run: Run, fixtures: Path, tmp_path: Path, recorder: Recorder
) -> None:
    """Nothing is sent while nothing can be written down."""
    (tmp_path / "bad").write_text("garbage")
    argv = ("--captioner", "dashscope", "--base-url", f"{recorder.url}/api/v1", "-o", "-")
    ran = run("caption", fixtures / "speech.amr", *argv, "--ledger", tmp_path / "bad")
    assert ran.status == 1
    (line,) = ran.err.splitlines()
    assert "is damaged, or not a ledger (file is not a database); move it away" in line
    assert recorder.seen == []


def test_money_is_told_and_capped(
    run: Run, fixtures: Path, tmp_path: Path, recorder: Recorder
) -> None:
    """The price range comes first; the cap holds for all files together; holes share a line."""
    recorder.answer(ANSWER)
    argv: tuple[object, ...] = ("--captioner", "dashscope", "-o", tmp_path)
    argv += ("--base-url", f"{recorder.url}/api/v1")
    argv += ("--region", "singapore", "--segment", "15s", "--concurrency", "1")
    sources = (fixtures / "hammering-mandarin.flac", fixtures / "speech.amr")
    small = run("caption", *sources, *argv, "--max-cost", "0.05")
    assert small.status == 2
    assert "max_cost=0.05 is too small: one request may cost USD 0.1" in small.err
    assert recorder.seen == []
    ran = run("caption", *sources, *argv, "--max-cost", "0.1020")
    assert ran.status == 1
    assert "USD 0.0021 for the input, 0.3030 at most" in ran.err
    assert len(recorder.seen) == 1
    assert "segments 2 to 3, 2 of them: not sent: 0.1002 is left" in ran.err
    together = ran.err.splitlines()[-1].split()
    assert together == ["together", "4", "1", "0", "3", "559", "USD", "0.001831"]


def test_text_is_streamed_to_standard_error(run: Run, fixtures: Path, recorder: Recorder) -> None:
    """Standard output stays the timeline's; segments come in order."""
    recorder.answer(ANSWER)
    argv = ("--captioner", "dashscope", "--base-url", f"{recorder.url}/api/v1", "--stream")
    source = fixtures / "hammering-mandarin.flac"
    ran = run("caption", source, "--segment", "15s", *argv, "-f", "json", "-o", "-")
    assert ran.status == 0
    lines = [line for line in ran.err.splitlines() if line.startswith("[")]
    assert lines == [f"[{number}] 一个人说：“好”。" for number in (1, 2, 3)]
    assert json.loads(ran.out)["entries"]


def test_a_key_that_is_refused_is_one_line(
    run: Run, fixtures: Path, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty segments do not make forty errors, nor a timeline of holes."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-test-0123456789")
    answer = {"code": "InvalidApiKey", "message": "Invalid API-key provided.", "request_id": "r-1"}
    recorder.answer(answer, status=401)
    argv = ("--captioner", "dashscope", "--base-url", f"{recorder.url}/api/v1", "-o", tmp_path)
    ran = run("caption", fixtures / "hammering-mandarin.flac", "--segment", "1s", *argv)
    assert ran.status == 1
    errors = [line for line in ran.err.splitlines() if line.startswith("error")]
    assert len(errors) == 1
    assert "InvalidApiKey" in errors[0]
    assert "keys differ per region" in errors[0]
    assert "r-1" in errors[0]
    assert len(recorder.seen) <= 4
    assert list(tmp_path.glob("*.json")) == []


# --------------------------------------------------------------------------- on a terminal


def on_a_terminal(argv: list[str], typed: bytes) -> tuple[int, str]:
    """Run the command with a terminal as standard input and error; return status and screen."""
    pty = pytest.importorskip("pty", reason="there are no such terminals here")
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "captoolkit", *argv],
        stdin=terminal,
        stderr=terminal,
        stdout=subprocess.DEVNULL,
    ) as child:
        os.close(terminal)
        os.write(controller, typed)
        shown = bytearray()
        with contextlib.suppress(OSError):  # how Linux tells that the other end is closed
            while block := os.read(controller, 4096):
                shown += block
    os.close(controller)
    return child.returncode, shown.decode()


def test_on_a_terminal_the_price_is_agreed_to_first(
    fixtures: Path, tmp_path: Path, recorder: Recorder
) -> None:
    """No means that nothing is sent; yes, and --yes, that it is."""
    recorder.answer(ANSWER)
    argv = ["caption", str(fixtures / "speech.amr"), "--captioner", "dashscope", "-o"]
    argv += [str(tmp_path), "-y", "--base-url", f"{recorder.url}/api/v1", "--region", "singapore"]
    status, shown = on_a_terminal(argv, b"n\n")
    assert status == 1
    assert "USD 0.0002 for the input, 0.1005 at most" in shown
    assert f"Send at most 1 request to {recorder.url}/api/v1?" in shown
    assert "answers in the ledger cost nothing" in shown
    assert "nothing was asked" in shown
    assert recorder.seen == []
    status, shown = on_a_terminal([*argv, "--yes", "--max-cost", "0.05"], b"")
    assert status == 2  # the question is skipped, never the cap
    assert recorder.seen == []
    assert on_a_terminal(argv, b"y\n")[0] == 0
    assert len(recorder.seen) == 1
    status, shown = on_a_terminal([*argv, "--yes", "--no-resume"], b"")
    assert status == 0
    assert "Send " not in shown
    assert "in the ledger" not in shown.partition("file ")[0]
    assert len(recorder.seen) == 2


def test_what_costs_nothing_is_not_asked_about(
    fixtures: Path, tmp_path: Path, recorder: Recorder
) -> None:
    """Neither the local captioner nor a server of one's own; the local one is not written down."""
    recorder.answer(ANSWER)
    local = ["caption", str(fixtures / "speech.amr"), "-o", str(tmp_path), "-y"]
    assert on_a_terminal(local, b"")[0] == 0
    with Ledger() as ledger:
        assert list(ledger.records()) == []
    own = [*local, "--captioner", "dashscope", "--base-url", f"{recorder.url}/api/v1"]
    assert on_a_terminal(own, b"")[0] == 0
    assert len(recorder.seen) == 1


def test_ctrl_c_does_not_wait_for_an_answer(
    fixtures: Path, tmp_path: Path, recorder: Recorder
) -> None:
    """A service that says nothing for minutes does not hold up who wants to go."""
    recorder.hang()
    argv = ["caption", str(fixtures / "speech.amr"), "--captioner", "dashscope", "-o"]
    argv += [str(tmp_path), "--base-url", f"{recorder.url}/api/v1"]
    with subprocess.Popen(
        [sys.executable, "-m", "captoolkit", *argv], stderr=subprocess.PIPE, text=True
    ) as child:
        while not recorder.seen:
            recorder.released.wait(0.01)
        child.send_signal(signal.SIGINT)
        _, told = child.communicate(timeout=20)
    assert child.returncode == 130
    assert "interrupted" in told
    assert "in the ledger: the same again goes on from there" in told
    assert list(tmp_path.iterdir()) == []
