from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from captoolkit.errors import ToolError, ToolTimeoutError
from captoolkit.media import ffmpeg
from captoolkit.media import ffmpeg_process as tool
from captoolkit.media.probe_file import probe
from tests.support.processes import has_children, posix, python, script

FOREVER = python("import time; time.sleep(600)")
LONG_S = 30.0  # far more than anything here needs


def test_a_child_that_stalls_is_ended() -> None:
    """A child without output is ended after the stall limit."""
    began = time.monotonic()
    with tool.Process(FOREVER, stall_s=0.2) as process:
        with pytest.raises(ToolTimeoutError) as caught:
            process.read(1)
        assert caught.value.argv == tuple(FOREVER)
    assert time.monotonic() - began < LONG_S
    assert not has_children()


def test_a_child_that_takes_no_input_is_ended() -> None:
    """A child that never reads its input is ended after the stall limit."""
    process = tool.Process(FOREVER, feed=True, stall_s=0.2)
    with process, pytest.raises(ToolTimeoutError):
        process.write(bytes(1 << 22))
    assert not has_children()


def test_a_child_that_never_exits_is_ended() -> None:
    """A child that closes its output and does not exit is ended after the stall limit."""
    quiet = python("import os, time; os.close(1); time.sleep(600)")
    with tool.Process(quiet, stall_s=1.0) as process:
        assert process.read(1) == b""
        with pytest.raises(ToolTimeoutError):
            process.finish()


def test_a_child_that_writes_a_file_makes_progress(stereo: Path, tmp_path: Path) -> None:
    """A copy may take longer than the stall limit while its file grows."""
    made = tmp_path / "copy.wav"
    argv = [ffmpeg.find().path, "-v", "error", "-nostdin", "-readrate", "4", "-i", str(stereo)]
    argv += ["-c", "copy", "-flush_packets", "1", str(made)]
    with tool.Process(argv, stall_s=0.3, writes=made) as process:
        process.finish()
    assert made.stat().st_size >= stereo.stat().st_size
    made.unlink()
    with (
        tool.Process(argv, stall_s=0.3) as process,
        pytest.raises(ToolTimeoutError, match=r"no progress within 0\.3 s"),
    ):
        process.finish()


def test_a_child_whose_file_no_longer_changes_is_ended(tmp_path: Path) -> None:
    """A file that has stopped changing is no progress."""
    made = tmp_path / "made"
    writer = python("import sys, time; open(sys.argv[1], 'w').close(); time.sleep(600)", str(made))
    with tool.Process(writer, stall_s=0.3, writes=tmp_path) as process:
        with pytest.raises(ToolTimeoutError):
            process.finish()
        assert made.exists()


def test_a_child_that_drips_is_ended_at_the_total() -> None:
    """A child with slow progress is ended at the total limit."""
    drip = python("import os, time\nwhile True: os.write(1, b'.'); time.sleep(0.01)")
    began = time.monotonic()
    process = tool.Process(drip, total_s=0.3, stall_s=0.8)
    with process, pytest.raises(ToolTimeoutError):
        process.read(1 << 20)
    assert time.monotonic() - began < LONG_S
    assert not has_children()


def test_the_time_of_the_caller_is_not_the_time_of_the_child() -> None:
    """The time between two calls does not count towards the limits."""
    echo = python("import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())")
    with tool.Process(echo, feed=True, total_s=3.0, stall_s=0.4) as process:
        time.sleep(1.0)
        process.write(b"still here")
        process.end_input()
        time.sleep(0.6)
        process.wait()
        assert process.read_all(100) == b"still here"


@posix
def test_a_script_around_the_program_ends_with_it(tmp_path: Path) -> None:
    """An ffmpeg that a wrapper script started is ended together with it."""
    wrapper = script(tmp_path / "wrapper", "sleep 600 &", "echo $!", "wait")
    began = time.monotonic()
    with tool.Process([str(wrapper)], stall_s=0.3) as process:
        inner = int(_first_line(process))
        with pytest.raises(ToolTimeoutError):
            process.read(1)
    assert time.monotonic() - began < LONG_S
    assert _is_gone(inner)


def _first_line(process: tool.Process) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        line += process.read(1)
    return line


def _is_gone(pid: int) -> bool:
    """Whether a process has ended, even if its parent has not reaped it."""
    for _ in range(100):
        status = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout.strip()
        if not status or status.startswith("Z"):
            return True
        time.sleep(0.05)
    return False


def test_a_flood_of_errors_does_not_block() -> None:
    """Standard error is always drained, and only its tail is kept."""
    code = (
        "import os, sys\nfor n in range(2000): os.write(2, b'%06d' % n + b'x' * 2000)\nprint('ok')"
    )
    with tool.Process(python(code), tail_bytes=1000) as process:
        assert process.read_all(100).strip() == b"ok"
        process.finish()
        assert process.stderr_tail == "x" * 1000


def test_the_tail_of_standard_error_is_kept() -> None:
    """The tail is the end of standard error, invalid bytes included."""
    code = "import os, sys; os.write(2, b'first ' + b'.' * 5000 + b' last \\xff'); sys.exit(7)"
    process = tool.Process(python(code))
    with process, pytest.raises(ToolError, match="ffmpeg failed") as caught:
        process.finish()
    assert caught.value.returncode == 7
    assert caught.value.stderr_tail.endswith(". last \ufffd")
    assert len(caught.value.stderr_tail) == tool.STDERR_TAIL_BYTES


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_leaving_on_an_exception_ends_the_child(error: type[BaseException]) -> None:
    """Any exception of the caller ends and reaps the child."""

    def interrupted() -> None:
        with tool.Process(FOREVER, feed=True) as process:
            process.write(b"x")
            assert has_children()
            raise error

    with pytest.raises(error):
        interrupted()
    assert not has_children()


def test_closing_twice_is_allowed() -> None:
    """The second `close` does nothing."""
    process = tool.Process(FOREVER)
    process.close()
    process.close()
    assert not has_children()


def test_a_failure_carries_the_command_and_the_reason(tmp_path: Path) -> None:
    """A failure has the argument list, the status and the tail of standard error."""
    argv = ffmpeg.compile_argv(ffmpeg.source(tmp_path / "nothing.wav").output("pipe:1", f="null"))
    with tool.Process(argv) as process, pytest.raises(ToolError) as caught:
        process.finish()
    assert caught.value.argv == tuple(argv)
    assert caught.value.returncode not in (0, None)
    assert "No such file or directory" in caught.value.stderr_tail


def test_writing_to_a_dead_child_raises_its_failure() -> None:
    """A broken pipe becomes the failure of the child."""
    died = python("import sys; sys.stderr.write('out of patience'); sys.exit(3)")
    process = tool.Process(died, feed=True)
    with process, pytest.raises(ToolError) as caught:
        process.write(bytes(1 << 22))
    assert caught.value.returncode == 3
    assert caught.value.stderr_tail == "out of patience"


def test_a_child_that_stops_reading_has_failed_even_with_status_zero() -> None:
    """Unread input is an error even if the child exits with 0."""
    process = tool.Process(python("import sys; sys.exit(0)"), feed=True)
    with process, pytest.raises(ToolError, match="ended before it had read its input"):
        process.write(bytes(1 << 22))


def test_a_missing_program_cannot_be_started(tmp_path: Path) -> None:
    """A failed start raises a ToolError, not an OSError."""
    with pytest.raises(ToolError, match="cannot be started"):
        tool.Process([str(tmp_path / "ffmpeg")])


def test_more_output_than_allowed_is_refused() -> None:
    """`read_all` raises beyond its limit."""
    process = tool.Process(python("print('x' * 100_000)"))
    with process, pytest.raises(ToolError, match="more than 1,000 bytes"):
        process.read_all(1000)


def test_lines_come_whole() -> None:
    """Lines are yielded whole, the last one with or without a line break."""
    with tool.Process(python("print('\\n'.join(map(str, range(50_000))), end='')")) as process:
        lines = [int(line) for line in process.lines()]
    assert lines == list(range(50_000))


def test_reading_and_writing_may_happen_at_once() -> None:
    """One thread feeds while another reads, and nothing is lost."""
    echo = python("import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)")
    read: list[bytes] = []
    sent = [bytes([number % 251]) * 70_000 for number in range(60)]
    with tool.Process(echo, feed=True) as process:
        reader = threading.Thread(target=lambda: read.append(process.read_all(1 << 24)))
        reader.start()
        for data in sent:
            process.write(data)
        process.end_input()
        reader.join(LONG_S)
        process.wait()
    assert b"".join(read) == b"".join(sent)


def test_a_child_without_input_reads_nothing() -> None:
    """A child never reads the standard input of captoolkit."""
    with tool.Process(python("import sys; print(len(sys.stdin.buffer.read()))")) as process:
        assert process.read_all(100).strip() == b"0"


def test_arguments_reach_the_child_as_they_are() -> None:
    """No shell interprets the arguments."""
    text = "$(echo a) `echo b` | cat > c; %PATH% 'd' \"e\" *"
    with tool.Process(python("import sys; print(sys.argv[1])", text)) as process:
        assert process.read_all(1000).decode().strip() == text


@posix
def test_a_child_has_its_own_session() -> None:
    """Ctrl-C in the terminal reaches captoolkit alone, which ends the child."""
    with tool.Process(python("import os; print(os.getsid(0))")) as process:
        assert int(process.read_all(100)) != os.getsid(0)


def test_the_environment_cannot_change_what_ffmpeg_prints(
    tmp_path: Path, stereo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables that colour ffmpeg's output or write a log are not passed on."""
    monkeypatch.setenv("AV_LOG_FORCE_COLOR", "1")
    monkeypatch.setenv("FFREPORT", f"file={tmp_path / 'report.log'}")

    assert len(probe(stereo).tracks) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "it gave no reason"),
        ("one\ntwo\n\n", "two"),
        ("[mp3 @ 0x5581] Header missing\n", "Header missing"),
        ("[unfinished", "[unfinished"),
        ("bad \x1b[31mred\x07", "bad ?[31mred?"),
        ("x" * 1000, "x" * 300),
    ],
    ids=["nothing", "last", "module", "bracket", "control", "long"],
)
def test_the_last_line_is_fit_to_show(text: str, line: str) -> None:
    """A reason has no addresses and control characters, and a limited length."""
    assert tool.last_line(text) == line
