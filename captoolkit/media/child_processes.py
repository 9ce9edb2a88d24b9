"""Start child processes and end them with this process. The only module that starts a process.

Rules: arguments are a list and no shell reads them. A child receives no keys and no signal of the
terminal. Every child ends with this process, even if SIGKILL ends it: a watcher, a small shell
script, waits on a pipe that closes when this process ends for any reason, and then kills all
children that are left. It is started with the first child and shared by all of them. Two records
lead the watcher to the children: their process groups, which this process writes to the pipe, and
an environment variable, which also finds a child whose parent was killed while it started it (on
systems with /proc). The watcher also prints the lines of `last_words` that are left, because C code
in this process may end it without an exception. Without /bin/sh, and on Windows, there is no
watcher: a child then ends when it next reads from this process or writes to it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence

from captoolkit.support.forked import call_in_fork

PIPE_BYTES = 1 << 16
# Variables that colour the header which captoolkit parses, or make ffmpeg write a log.
UNWANTED_ENVIRONMENT = frozenset({"AV_LOG_FORCE_256COLOR", "AV_LOG_FORCE_COLOR", "FFREPORT"})
# ffmpeg reads untrusted files, so it receives no keys.
SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD")
MAX_WORDS = 500  # characters of a line of `last_words`: a write to the watcher stays in one piece
PARENT_VARIABLE = "CAPTOOLKIT_PARENT"  # in a child's environment: which watcher it belongs to

SHELL = "/bin/sh"
# Reads "+ GROUP" and "- GROUP" lines until the pipe closes; "end" means that no child is left. "!"
# forgets all lines to print, "! TEXT" adds one. Then it prints them, and kills the remaining groups
# and, twice, every process that has the variable ($1): a child between fork and exec does not show
# it yet. The outer shell exits at once, so that the watcher is no child of this process and
# `os.wait` in the caller's program does not wait for it.
WATCHER = """
exec 3<&0 4>&2 </dev/null 2>/dev/null
(
  left=" "
  words=""
  while read -r sign group; do
    case $sign in
      +) left="$left$group " ;;
      -) case $left in *" $group "*) left="${left%% $group *} ${left#* $group }" ;; esac ;;
      !) [ -n "$group" ] && words="$words$group
" || words="" ;;
      end) exit ;;
    esac
  done <&3
  printf '%s' "$words" >&4
  for group in $left; do kill -9 "-$group"; done
  for round in 1 2; do
    for file in $(grep -ls "$1" /proc/[0-9]*/environ); do
      process=${file#/proc/}
      kill -9 "${process%/environ}"
    done
    [ $round = 2 ] || sleep 0.3
  done
) &
"""


def start(argv: Sequence[str], *, feed: bool) -> subprocess.Popen[bytes]:
    """Start a program with pipes for its output and, with `feed`, for its input.

    Raises:
        OSError: the system cannot start it.
    """
    mark = WATCHER_OF_THIS_PROCESS.mark()
    child = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=PIPE_BYTES,
        env=_environment() | mark,
        # Ctrl-C reaches captoolkit alone, which then ends the child and removes its files.
        start_new_session=sys.platform != "win32",
    )
    WATCHER_OF_THIS_PROCESS.add(child.pid)
    if hasattr(os, "SCHED_BATCH"):
        # ffmpeg's threads hand each other a few hundred samples at a time. As batch work they do
        # not interrupt one another, which takes a sixth off the time to decode and encode.
        with contextlib.suppress(OSError):
            os.sched_setscheduler(child.pid, os.SCHED_BATCH, os.sched_param(0))
    return child


@contextlib.contextmanager
def last_words(line: str) -> Iterator[None]:
    """Let the watcher print a line if this process ends inside the block, for any reason."""
    key = WATCHER_OF_THIS_PROCESS.add_words(line)
    try:
        yield
    finally:
        WATCHER_OF_THIS_PROCESS.remove_words(key)


def reap(child: subprocess.Popen[bytes]) -> int:
    """Wait for the end of a child, and return its exit status."""
    status = child.wait()
    WATCHER_OF_THIS_PROCESS.remove(child.pid)
    return status


def kill(child: subprocess.Popen[bytes]) -> None:
    """Kill a child and its own children: the program may be a wrapper script."""
    if sys.platform == "win32":
        child.kill()
    elif child.poll() is None:  # the system may reuse the number of a reaped child
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def _environment() -> dict[str, str]:
    """The environment without variables that would change ffmpeg's output or may hold a secret."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in UNWANTED_ENVIRONMENT
        and not any(word in name.upper() for word in SECRET_WORDS)
    }


def _has_standard_error() -> bool:
    try:
        os.fstat(2)
    except OSError:
        return False
    return True


class _Watcher:
    """The watcher of a process: started when it is first needed, and again if it was killed."""

    def __init__(self) -> None:
        self._guard = threading.RLock()  # the garbage collector may end a `last_words`
        self._pipe: int | None = None
        self._mark = ""
        self._groups: set[int] = set()
        self._words: dict[object, str] = {}

    def mark(self) -> dict[str, str]:
        """Return the variable by which the watcher finds a child; starts the watcher."""
        with self._guard:
            if self._pipe is None:
                self._start()
            return {PARENT_VARIABLE: self._mark}

    def add(self, group: int) -> None:
        """Note a child's process group."""
        with self._guard:
            self._groups.add(group)
            self._write(f"+ {group}\n")

    def remove(self, group: int) -> None:
        """Forget the process group of a child that has ended."""
        with self._guard:
            if group in self._groups:
                self._groups.discard(group)
                self._write(f"- {group}\n")

    def add_words(self, line: str) -> object:
        """Add a line to print if this process ends; returns the key to remove it by."""
        key = object()
        with self._guard:
            if self._pipe is None:
                self._start()
            self._words[key] = " ".join(line.split())[:MAX_WORDS]
            self._write_words()
        return key

    def remove_words(self, key: object | None = None) -> None:
        """Forget a line, or all of them."""
        with self._guard:
            if key is None:
                self._words.clear()
            else:
                self._words.pop(key, None)
            self._write_words()

    def close(self) -> None:
        """End the watcher, which kills the children that are left."""
        self.remove_words()
        with self._guard:
            if not self._groups:
                self._write("end\n")
            self._close()

    def forget(self) -> None:
        """In a fork of the process: leave the watcher to the process that started it."""
        self._guard = threading.RLock()  # the garbage collector may end a `last_words`
        self._groups.clear()
        self._words.clear()
        self._close()

    def _start(self) -> None:
        self._mark = f"{os.getpid()}-{secrets.token_hex(8)}"
        if sys.platform == "win32" or not os.access(SHELL, os.X_OK):
            return
        read_end, write_end = os.pipe()
        try:
            subprocess.run(
                [SHELL, "-c", WATCHER, "captoolkit-watcher", f"{PARENT_VARIABLE}={self._mark}"],
                stdin=read_end,
                stdout=subprocess.DEVNULL,
                stderr=None if _has_standard_error() else subprocess.DEVNULL,
                cwd="/",  # the watcher keeps no folder in use
                env={"PATH": os.defpath},
                start_new_session=True,
                check=False,
            )
        finally:
            os.close(read_end)
        os.set_blocking(write_end, False)
        self._pipe = write_end
        for group in self._groups:
            self._write(f"+ {group}\n")
        self._write_words()

    def _write_words(self) -> None:
        lines = dict.fromkeys(self._words.values())
        self._write("".join(["!\n", *(f"! {line}\n" for line in lines)]))

    def _write(self, line: str) -> None:
        if self._pipe is None:
            return
        try:
            os.write(self._pipe, line.encode())
        except BlockingIOError:  # the watcher is stopped; the variable still leads to the child
            return
        except OSError:  # it was killed; the next child starts another one
            self._close()

    def _close(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            os.close(pipe)


def forget_last_words() -> None:
    """Print no line of `last_words`: this process ends on purpose."""
    WATCHER_OF_THIS_PROCESS.remove_words()


WATCHER_OF_THIS_PROCESS = _Watcher()
atexit.register(WATCHER_OF_THIS_PROCESS.close)
call_in_fork(WATCHER_OF_THIS_PROCESS.forget)
