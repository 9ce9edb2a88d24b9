"""Tests of the group of commands, exit statuses and signals."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import click
import httpx
import pytest

import captoolkit
import captoolkit.cli
from captoolkit.cli import app, doctor_command
from tests.support.command_line import Run, emulating
from tests.support.paths import ROOT


def test_help_lists_every_command_in_short(run: Run) -> None:
    """`--help` and `-h` print the same text, with status 0."""
    ran = run("--help")
    assert ran.status == 0
    assert ran.out == run("-h").out
    for name in ("probe", "plan", "prepare", "caption", "export", "targets", "doctor"):
        assert f"\n  {name} " in ran.out


def test_the_version_is_the_packages(run: Run) -> None:
    """`--version` prints name and version."""
    assert run("--version").out == f"captoolkit {captoolkit.__version__}\n"


def test_numpy_gets_one_thread_unless_the_user_decides(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command limits the threads of OpenBLAS; a number that the user has set stays."""
    for given, expected in ((None, "1"), ("3", "3")):
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", given or "")
        if given is None:
            monkeypatch.delenv("OPENBLAS_NUM_THREADS")
        run("--version")
        assert os.environ["OPENBLAS_NUM_THREADS"] == expected


def test_an_unknown_command_is_wrong_usage(run: Run) -> None:
    """The error names the command, and the status is 2."""
    ran = run("frobnicate")
    assert ran.status == 2
    assert "frobnicate" in ran.err


def test_a_word_that_is_no_command_is_explained(run: Run, tmp_path: Path) -> None:
    """A misspelled command is suggested, and a file in its place is called a file."""
    assert "No such command 'prepar'. Did you mean 'prepare'?" in run("prepar").err
    sound = tmp_path / "talk.wav"
    sound.touch()
    ran = run(sound)
    assert ran.status == 2
    assert f"'{sound}' is a file, not a command" in ran.err
    assert "Did you mean 'caption'?" in run("batch", "captoin").err
    assert f"such as: captoolkit batch probe {sound}" in run("batch", sound).err


def test_a_file_that_begins_with_a_dash_is_explained(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name reads like options; the message states how to write it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-talk.wav").touch()
    ran = run("probe", "-talk.wav")
    assert ran.status == 2
    assert "No such option '-t'. To name the file, write ./-talk.wav\n" in ran.err


def test_an_error_of_the_system_names_its_file(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only an error without a file is one of standard output."""

    @click.command()
    def fail() -> None:
        raise PermissionError(13, "Permission denied", "/secret/talk.wav")

    monkeypatch.setattr(app.app, "get_command", lambda *_: fail)
    ran = run("probe")
    assert (ran.status, ran.err) == (1, "error: /secret/talk.wav: Permission denied\n")


def test_only_debug_shows_a_traceback(run: Run, tmp_path: Path) -> None:
    """Without `--debug` a failure is one error line."""
    missing = tmp_path / "none.wav"
    assert "Traceback" not in run("probe", missing).err
    assert "Traceback" in run("probe", missing, "--debug").err


def _no_other_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the threads of other tests: with one, an interrupt ends the process at once."""
    monkeypatch.setattr(threading, "active_count", lambda: 1)


def test_a_second_interrupt_is_no_traceback(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """It may leave a condition of `threading` without its lock, which is then released twice."""
    _no_other_thread(monkeypatch)

    @click.command()
    def wait() -> None:
        lock = threading.Lock()
        with lock:
            lock.release()
            raise KeyboardInterrupt

    monkeypatch.setattr(doctor_command, "command", wait)
    assert run("doctor").status == 130


def test_a_missing_key_is_one_line(run: Run, fixtures: Path) -> None:
    """An error that is a `RuntimeError` as well is no bug: one line, and the status 1."""
    argv = ("--captioner", "dashscope", "--region", "singapore", "-o", "-")
    ran = run("caption", fixtures / "speech.amr", *argv)
    assert ran.status == 1
    assert ran.err.startswith("error: dashscope-intl.aliyuncs.com needs a key")
    assert ran.err.count("\n") == 1


def test_an_interrupt_of_the_report_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A further signal while captoolkit reports the first one and removes its files is ignored."""
    _no_other_thread(monkeypatch)

    @click.command()
    def wait() -> None:
        raise KeyboardInterrupt

    class Interrupting(io.StringIO):
        def write(self, text: str) -> int:
            signal.raise_signal(signal.SIGINT)
            return super().write(text)

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(doctor_command, "command", wait)
    monkeypatch.setattr(sys, "stderr", Interrupting())
    assert app.run(["doctor"]) == 130
    assert signal.getsignal(signal.SIGINT) is before


def test_a_closed_pipe_is_no_traceback(fixtures: Path) -> None:
    """`captoolkit targets NAME | head -1` prints no error."""
    argv = [sys.executable, "-m", "captoolkit", "targets", "qwen3-omni-captioner"]
    program = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert program.stdout is not None
    program.stdout.close()
    _, err = program.communicate()
    assert b"Traceback" not in err
    assert b"Exception" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
@pytest.mark.parametrize(
    ("command", "status", "out", "error"),
    [
        ("probe - <&-", 1, "", "error: standard input: "),
        (
            "export - -f srt <&-",
            1,
            "",
            "error: standard input: it cannot be read (Bad file descriptor)",
        ),
        ("targets >&-", 1, "", "error: standard output cannot be written (Bad file descriptor)"),
        ("targets <&- 2>&-", 0, "qwen3-omni-captioner", ""),
        ("probe none.wav <&- >&- 2>&-", 1, "", ""),
    ],
)
def test_a_closed_stream_is_no_traceback(command: str, status: int, out: str, error: str) -> None:
    """A parent may close standard streams: only a command that needs one of them fails."""
    line = f"exec {sys.executable} -m captoolkit {command}"
    ran = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert ran.returncode == status
    assert ran.stdout.startswith(out)
    assert ran.stderr.startswith(error)
    assert ran.stderr.count("\n") == bool(error)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="POSIX signals")
@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT"])
def test_a_signal_that_the_parent_ignores_stays_ignored(name: str) -> None:
    """A shell ignores SIGINT for its background jobs, and nohup SIGHUP: captoolkit does too."""
    number = int(getattr(signal, name))
    start_ignoring = (
        f"import os, signal, sys; signal.signal({number}, signal.SIG_IGN); "
        "os.execv(sys.executable, [sys.executable, '-m', 'captoolkit', *sys.argv[1:]])"
    )

    def start(*argv: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", start_ignoring, *map(str, argv)]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, text=True, cwd=ROOT, **pipes)

    with emulating(start=start) as (process, url):
        process.send_signal(number)
        assert httpx.get(url, timeout=30).status_code == 404
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0  # the usual end of a server


def test_adding_a_command_is_one_file_and_one_row(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recipe in `app.py` is complete: the group lists, documents and runs the command."""
    (tmp_path / "count_command.py").write_text(NEW_COMMAND, encoding="utf-8")
    monkeypatch.setattr(captoolkit.cli, "__path__", [*captoolkit.cli.__path__, str(tmp_path)])
    monkeypatch.setitem(app.COMMANDS, "count", "Count the bytes of files.")
    assert "count    Count the bytes of files." in run("--help").out
    assert "Print the size of each FILE." in run("count", "--help").out
    (tmp_path / "a").write_bytes(b"12345")
    counted = run("count", tmp_path / "a", tmp_path / "none")
    assert (counted.status, counted.out) == (1, "5\n")
    assert counted.err == f"error: {tmp_path / 'none'}: no such file; check the name\n"
    sys.modules.pop("captoolkit.cli.count_command")


NEW_COMMAND = '''
import click

from captoolkit.cli import basic_options as basic
from captoolkit.cli.app import COMMANDS, run_inputs
from captoolkit.cli.show import print_line


@click.command("count", short_help=COMMANDS["count"])
@basic.inputs
@basic.debug
def command(inputs, debug):
    """Print the size of each FILE."""
    from pathlib import Path
    from captoolkit.errors import SourceNotFoundError

    def count(item):
        name = item.source()
        if not Path(name).exists():
            raise SourceNotFoundError("no such file", fix="check the name", path=name)
        print_line(str(Path(name).stat().st_size))

    return run_inputs(inputs, count, debug=debug)
'''


@pytest.mark.parametrize("name", sorted(app.COMMANDS))
def test_the_help_of_a_command_loads_only_click(name: str) -> None:
    """`captoolkit NAME --help` imports no other library."""
    code = (
        "import sys; bare = set(sys.modules); from captoolkit.cli import main; "
        f"main([{name!r}, '--help']); new = {{m.split('.')[0] for m in set(sys.modules) - bare}}; "
        "print(*(new - set(sys.stdlib_module_names)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stderr.split()) <= {"captoolkit", "click", "colorama"}
