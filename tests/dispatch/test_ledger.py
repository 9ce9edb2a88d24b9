"""No answer is paid for twice, whichever process requested it and however it ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from captoolkit.dispatch.ledger import Ledger
from captoolkit.errors import CaptoolkitError, OutputError, OutputExistsError, UsageError
from captoolkit.model import Caption
from captoolkit.support.cancel import CLOCK, CancelScope, StoppedError
from tests.support.captioning import CAPTION, InstantClock, question
from tests.support.paths import ROOT

GO = CancelScope()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of a ledger."""
    return tmp_path / "deep" / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    """A new ledger."""
    with Ledger(path) as opened:
        yield opened


def test_an_answer_is_found_again_by_sound_and_recipe(ledger: Ledger, path: Path) -> None:
    """The sound and the recipe together identify a question."""
    assert ledger.claim(question(), GO) is None
    ledger.answer(question(), CAPTION)
    with Ledger(path) as later:
        assert later.claim(question(), GO) == CAPTION
        assert later.claim(question(recipe='{"prompt": "and why?"}'), GO) is None
        assert later.claim(question(audio="b" * 64), GO) is None


def test_a_failure_is_no_answer(ledger: Ledger) -> None:
    """A recorded failure is not an answer."""
    assert ledger.claim(question(), GO) is None
    ledger.fail(question(), "it refused", request_id="r-9")
    (record,) = ledger.records()
    assert (record.state, record.error, record.request_id) == ("failed", "it refused", "r-9")
    assert ledger.claim(question(), GO) is None


def test_a_new_request_replaces_the_answer(ledger: Ledger) -> None:
    """Without `resume` a stored answer is not returned."""
    assert ledger.claim(question(), GO) is None
    ledger.answer(question(), CAPTION)
    assert ledger.claim(question(), GO, resume=False) is None
    ledger.answer(question(), Caption(text="other words"))
    known = ledger.claim(question(), GO)
    assert known is not None
    assert known.text == "other words"


def test_only_an_answer_replaces_an_answer(ledger: Ledger, path: Path) -> None:
    """A new request keeps the old answer until the new one arrives, even if the request fails."""
    assert ledger.claim(question(), GO) is None
    ledger.answer(question(), CAPTION)
    assert ledger.claim(question(), GO, resume=False) is None
    with Ledger(path) as other:
        assert other.claim(question(), CancelScope(deadline_s=CLOCK.now_s() + 1)) == CAPTION
    ledger.fail(question(), "it refused")
    assert ledger.claim(question(), GO) == CAPTION


def test_an_answer_that_cannot_be_written_stays_in_memory(ledger: Ledger, path: Path) -> None:
    """The answer is returned from memory; the same sound is not requested again."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON questions WHEN NEW.state = 'answered' "
            "BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
    soon = CancelScope(deadline_s=CLOCK.now_s() + 1)
    assert ledger.claim(question(), soon) is None
    with pytest.raises(OutputError, match="no room"):
        ledger.answer(question(), CAPTION)
    assert ledger.claim(question(), soon) == CAPTION
    assert ledger.claim(question(), soon, resume=False) is None


def test_a_second_ledger_in_the_same_process_costs_the_first_nothing(
    ledger: Ledger, path: Path
) -> None:
    """Opening the file again drops no lock, so another process loses no answer."""
    script = (
        "import sys\n"
        "from captoolkit.dispatch.ledger import Ledger\n"
        "with Ledger(sys.argv[1]) as ledger:\n"
        "    print(len(list(ledger.records())))\n"
    )
    argv = [sys.executable, "-c", script, str(path)]
    told = []
    for audio in ("a", "b"):
        ledger.claim(question(audio * 64), GO)
        ledger.answer(question(audio * 64), CAPTION)
        Ledger(path).close()
        told.append(subprocess.run(argv, check=True, capture_output=True).stdout)
    assert told == [b"1\n", b"2\n"]


def test_a_request_of_another_process_is_waited_for(ledger: Ledger, path: Path) -> None:
    """Two simultaneous runs of one recording pay once."""
    assert ledger.claim(question(), GO) is None
    found: list[Caption | None] = []

    def other_run() -> None:
        with Ledger(path) as other:
            found.append(other.claim(question(), GO))

    thread = threading.Thread(target=other_run)
    thread.start()
    thread.join(0.5)
    assert thread.is_alive()
    ledger.answer(question(), CAPTION)
    thread.join(20)
    assert found == [CAPTION]


def test_the_wait_for_another_process_can_be_cancelled(ledger: Ledger, path: Path) -> None:
    """A cancelled run does not wait for another."""
    assert ledger.claim(question(), GO) is None
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    with Ledger(path) as other, pytest.raises(StoppedError):
        other.claim(question(), CancelScope(stop=stop))


def test_the_wait_for_another_process_ends_at_the_deadline(ledger: Ledger, path: Path) -> None:
    """A run keeps its time limit even if another run hangs."""
    assert ledger.claim(question(), GO) is None
    soon = CancelScope(deadline_s=CLOCK.now_s() + 0.3)
    with Ledger(path) as other, pytest.raises(CaptoolkitError, match="the time limit of this run"):
        other.claim(question(), soon)


def test_the_requests_of_a_killed_process_are_free_at_once(path: Path) -> None:
    """SIGKILL during a request leaves an unanswered row and no lock."""
    script = (
        "import sys, threading, time\n"
        "from captoolkit.support.cancel import CancelScope\n"
        "from captoolkit.dispatch.ledger import Ledger\n"
        "from tests.support.captioning import CAPTION, question\n"
        "ledger = Ledger(sys.argv[1])\n"
        "ledger.claim(question('b' * 64), CancelScope())\n"
        "ledger.answer(question('b' * 64), CAPTION)\n"
        "ledger.claim(question(), CancelScope())\n"
        "print('asking', flush=True)\n"
        "time.sleep(60)\n"
    )
    argv = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"asking\n"
        with Ledger(path) as ledger:
            stop = threading.Event()
            threading.Timer(0.4, stop.set).start()
            with pytest.raises(StoppedError):  # it is alive
                ledger.claim(question(), CancelScope(stop=stop))
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            assert ledger.claim(question("b" * 64), GO) == CAPTION
            assert ledger.claim(question(), GO) is None
    with Ledger(path):
        locks = list(path.parent.glob("*-owners/*.lock"))
        assert len(locks) == 1  # that of the one who looks


def test_many_threads_and_processes_write_at_once(path: Path) -> None:
    """Four processes and their threads together claim each question exactly once."""
    script = (
        "import sys, threading\n"
        "from captoolkit.support.cancel import CancelScope\n"
        "from captoolkit.dispatch.ledger import Ledger\n"
        "from tests.support.captioning import CAPTION, question\n"
        "asked = []\n"
        "def work(ledger):\n"
        "    for n in range(40):\n"
        "        if ledger.claim(question(f'{n:064}'), CancelScope()) is None:\n"
        "            asked.append(n)\n"
        "            ledger.answer(question(f'{n:064}'), CAPTION)\n"
        "with Ledger(sys.argv[1]) as ledger:\n"
        "    threads = [threading.Thread(target=work, args=(ledger,)) for _ in range(3)]\n"
        "    [thread.start() for thread in threads]\n"
        "    [thread.join() for thread in threads]\n"
        "print(*asked)\n"
    )
    argv = [sys.executable, "-c", script, str(path)]
    children = [
        subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    outputs = [child.communicate()[0] for child in children]
    assert all(child.returncode == 0 for child in children)
    asked = sorted(int(word) for output in outputs for word in output.split())
    assert asked == list(range(40))


def test_only_its_owner_may_read_it(ledger: Ledger, path: Path) -> None:
    """Captions may be private: only the owner can read the file and its companions."""
    ledger.claim(question(), GO)
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


def test_other_files_are_refused(path: Path) -> None:
    """Garbage, another database, another version: the error says which, and gives a remedy."""
    path.parent.mkdir()
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(OutputError, match=r"is damaged, or not a ledger .*; move it away, or name"):
        Ledger(path)
    path.unlink()
    with sqlite3.connect(path) as theirs:
        theirs.execute("CREATE TABLE theirs (word TEXT)")
    theirs.close()
    with pytest.raises(OutputError, match="is a database, but not a ledger"):
        Ledger(path)
    path.unlink()
    Ledger(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 9")
    newer.close()
    with pytest.raises(OutputError, match="is of version 9; this captoolkit reads 1"):
        Ledger(path)
    with pytest.raises(OutputError, match="cannot be used"):
        Ledger(path / "under" / "a-file")


@pytest.mark.parametrize("begin", ["CREATE TABLE theirs (word TEXT)", "PRAGMA user_version = 3"])
def test_another_database_is_not_changed(tmp_path: Path, begin: str) -> None:
    """Captoolkit changes no byte of it and creates no file, even if it is empty."""
    path = tmp_path / "theirs.db"
    with contextlib.closing(sqlite3.connect(path)) as theirs:
        theirs.execute(begin)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="is a database, but not a ledger"):
        Ledger(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_ledger_is_an_error(path: Path) -> None:
    """Overwritten pages in the middle of the file are an error."""
    with Ledger(path) as ledger:
        for number in range(300):
            ledger.claim(question(f"{number:064}"), GO)
            ledger.answer(question(f"{number:064}"), CAPTION)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with Ledger(path) as ledger, pytest.raises(OutputError, match="is damaged"):
        list(ledger.records())


def test_pruning_deletes_old_rows(path: Path) -> None:
    """Old rows are deleted, and their text is no longer in the file."""
    clock = InstantClock()
    with Ledger(path, clock=clock) as ledger:
        for audio in ("a", "b"):
            ledger.claim(question(audio * 64), GO)
            ledger.answer(question(audio * 64), Caption(text=f"secret-{audio}"))
            clock.pass_by(86_400)
        assert ledger.prune(1.5 * 86_400) == 1
        assert [record.text for record in ledger.records()] == ["secret-b"]
        assert ledger.prune(0) == 1
    assert b"secret" not in path.read_bytes()


def test_pruning_keeps_requests_in_flight(ledger: Ledger, path: Path) -> None:
    """Requests in flight stay, so that others wait for their answers."""
    assert ledger.claim(question(), GO) is None
    with Ledger(path) as other:
        assert other.prune(0) == 0
        ledger.answer(question(), CAPTION)
        assert other.claim(question(), GO) == CAPTION


def test_records_are_json_lines(ledger: Ledger) -> None:
    """A record exports all fields as JSON."""
    ledger.claim(question(), GO)
    ledger.answer(question(), CAPTION)
    (record,) = ledger.records()
    line = record.to_json()
    assert "\n" not in line
    told = json.loads(line)
    assert (told["text"], told["usage"]["input_tokens"]) == (CAPTION.text, 7)
    assert told["state"] == "answered"
    assert told["asked_at"] <= told["ended_at"]


def test_in_memory_nothing_is_kept() -> None:
    """`:memory:` keeps answers for one run only."""
    with Ledger(":memory:") as ledger:
        assert ledger.claim(question(), GO) is None
        ledger.answer(question(), CAPTION)
        assert ledger.claim(question(), GO) == CAPTION
    with Ledger(":memory:") as ledger:
        assert ledger.claim(question(), GO) is None


def test_a_backup_has_all_answers_while_the_ledger_is_used(
    ledger: Ledger, path: Path, tmp_path: Path
) -> None:
    """The copy is one whole file, only for its owner; a second backup replaces it."""
    copy = tmp_path / "copies" / "ledger.sqlite3"
    for audio in ("a" * 64, "b" * 64):
        assert ledger.claim(question(audio), GO) is None
        ledger.answer(question(audio), CAPTION)
        ledger.backup(copy)
    assert [file.name for file in copy.parent.iterdir()] == ["ledger.sqlite3"]
    assert stat.S_IMODE(copy.stat().st_mode) & 0o077 == 0
    with Ledger(copy) as opened:
        assert [record.state for record in opened.records()] == ["answered"] * 2
        assert opened.claim(question("b" * 64), GO) == CAPTION
    with pytest.raises(UsageError, match="is the ledger itself"):
        ledger.backup(path)


def test_a_backup_replaces_no_other_file(ledger: Ledger, tmp_path: Path) -> None:
    """A typing error in the name costs no recording; an empty file is none."""
    recording = tmp_path / "talk.wav"
    recording.write_bytes(b"RIFF")
    with pytest.raises(OutputExistsError, match=r"talk\.wav exists and is no ledger; choose"):
        ledger.backup(recording)
    assert recording.read_bytes() == b"RIFF"
    (tmp_path / "empty").touch()
    ledger.backup(tmp_path / "empty")
    with pytest.raises(OutputExistsError, match="exists and is no ledger"):
        ledger.backup(tmp_path)


def test_a_backup_that_cannot_be_written_is_an_error(ledger: Ledger, tmp_path: Path) -> None:
    """The error names the copy; the ledger stays as it is."""
    (tmp_path / "a-file").write_text("mine")
    with pytest.raises(OutputError, match="a-file"):
        ledger.backup(tmp_path / "a-file" / "copy.sqlite3")
    assert ledger.claim(question(), GO) is None
