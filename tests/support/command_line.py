"""captoolkit's command line: called in this process, started as a program, shown on a terminal."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from tests.support.paths import ROOT
from tests.support.screen import Screen

# A shell without job control ignores SIGINT for its background jobs, and children inherit that.
# This small program restores the default action, then becomes captoolkit, with the same process id.
WITH_DEFAULT_SIGINT = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "os.execv(sys.executable, [sys.executable, '-m', 'captoolkit', *sys.argv[1:]])"
)
TERMINAL_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """The exit status of a command and the text of its two streams."""

    status: int
    out: str
    err: str


Run = Callable[..., Ran]


def start_captoolkit(*argv: object, **options: Any) -> subprocess.Popen[str]:
    """Start `captoolkit` as a program that obeys SIGINT; its streams are pipes."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-c", WITH_DEFAULT_SIGINT, *map(str, argv)]
    return subprocess.Popen(command, text=True, cwd=ROOT, **(pipes | options))


@contextmanager
def emulating(
    *argv: object, start: Callable[..., subprocess.Popen[str]] = start_captoolkit
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start `captoolkit emulate`; yield its process and the URL in its first line."""
    with start("emulate", *argv) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            if process.poll() is None:
                process.kill()


def run_on_terminal(
    *argv: object, typed: bytes = b"", stdout: Path | None = None
) -> tuple[int, str]:
    """Run `captoolkit` with a terminal as standard input and error; return status and screen."""
    pty = pytest.importorskip("pty", reason="this platform has no pseudo-terminals")
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "captoolkit", *map(str, argv)]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    with contextlib.ExitStack() as stack:
        data: int | IO[bytes] = subprocess.DEVNULL
        if stdout is not None:
            data = stack.enter_context(stdout.open("wb"))
        program = stack.enter_context(
            subprocess.Popen(command, stdin=terminal, stderr=terminal, stdout=data, env=environment)
        )
        os.close(terminal)
        os.write(controller, typed)
        screen = bytearray()
        with contextlib.suppress(OSError):  # Linux reports a closed terminal as an error
            while block := os.read(controller, 1 << 16):
                screen += block
    os.close(controller)
    return program.returncode, TERMINAL_CONTROL.sub("", screen.decode())


def screen_of_terminal(*argv: object, columns: int = 100) -> list[str]:
    """Run `captoolkit` with a terminal as all its streams; return the lines on the screen."""
    pty = pytest.importorskip("pty", reason="this platform has no pseudo-terminals")
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "captoolkit", *map(str, argv)]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": str(columns)}
    streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
    screen, written = Screen(columns), bytearray()
    with subprocess.Popen(command, env=environment, **streams):
        os.close(terminal)
        with contextlib.suppress(OSError):  # Linux reports a closed terminal as an error
            while block := os.read(controller, 1 << 16):
                written += block
    os.close(controller)
    screen.write(written.decode())
    return screen.lines


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, for at most a minute."""
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    pytest.fail("the condition did not hold within a minute")
