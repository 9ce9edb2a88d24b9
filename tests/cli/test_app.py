"""The group of commands, and what its ends mean to the shell."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import captoolkit
from tests.cli.conftest import Run


def test_help_lists_every_command_in_short(run: Run) -> None:
    """`--help` and `-h` show the same, with status 0."""
    ran = run("--help")
    assert ran.status == 0
    assert ran.out == run("-h").out
    for name in ("probe", "plan", "prepare", "caption", "export", "targets", "doctor"):
        assert f"\n  {name} " in ran.out


def test_the_version_is_the_packages(run: Run) -> None:
    """`--version` prints name and version."""
    assert run("--version").out == f"captoolkit {captoolkit.__version__}\n"


def test_an_unknown_command_is_wrong_usage(run: Run) -> None:
    """It is named, with status 2."""
    ran = run("frobnicate")
    assert ran.status == 2
    assert "frobnicate" in ran.err


def test_debug_shows_where_and_the_plain_run_does_not(run: Run, tmp_path: Path) -> None:
    """A traceback is only for those who ask."""
    missing = tmp_path / "none.wav"
    assert "Traceback" not in run("probe", missing).err
    assert "Traceback" in run("probe", missing, "--debug").err


def test_a_reader_that_leaves_early_is_no_traceback(fixtures: Path) -> None:
    """`captoolkit targets NAME | head -1` ends quietly."""
    argv = [sys.executable, "-m", "captoolkit", "targets", "qwen3-omni-captioner"]
    program = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert program.stdout is not None
    program.stdout.close()
    _, err = program.communicate()
    assert b"Traceback" not in err
    assert b"Exception" not in err


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="POSIX signals")
def test_nohup_is_heeded(fixtures: Path) -> None:
    """A signal that our caller told us to ignore stays ignored."""
    code = (
        "import os, signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
        "from captoolkit.cli.app import _signals_as_interrupts as heed\n"
        "with heed(): os.kill(os.getpid(), signal.SIGHUP); print('still here')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "still here\n"
