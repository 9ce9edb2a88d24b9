"""Run ffmpeg: a child process with limits of time, and the reason of its failure.

Rules: every wait for ffmpeg is bounded. Every child is reaped, also when the caller raises.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from captoolkit.errors import ToolError, ToolTimeoutError
from captoolkit.media import child_processes
from captoolkit.support import files
from captoolkit.support.cancel import Closing
from captoolkit.support.forked import PerProcess, call_in_fork

STALL_S = 60.0  # longest single wait for output, or for room in the input
TOTAL_S = 6 * 3600.0  # longest total wait for one ffmpeg, without the caller's own time
STDERR_TAIL_BYTES = 4096
# ffmpeg's message about a file of another kind, which lists all demuxers that it may use; and its
# replacement.
NOT_LISTED = "Format not on whitelist"
UNREAD_KIND = "a playlist, a script, subtitles or a picture"

Result = TypeVar("Result")


class Process(Closing):
    """A running ffmpeg, which always ends.

    A context manager; leaving it ends the child in any case. One thread may read while another one
    writes.

    Args:
        argv: the program and its arguments.
        feed: True to write to its standard input.
        total_s: the longest total wait.
        stall_s: the longest single wait; `STALL_S` if None.
        tail_bytes: how many of the last bytes of its standard error are kept.
        writes: the file or the folder that it writes. A change there counts as progress, so that a
            single wait may last longer.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        feed: bool = False,
        total_s: float = TOTAL_S,
        stall_s: float | None = None,
        tail_bytes: int = STDERR_TAIL_BYTES,
        writes: Path | None = None,
    ) -> None:
        self.argv = tuple(argv)
        self._owner = os.getpid()
        self._total_s = total_s
        self._stall_s = STALL_S if stall_s is None else stall_s
        self._writes = writes
        self._waited_s = 0.0
        self._waiting_since: dict[int, float] = {}  # by thread
        self._overdue = False
        self._ended = threading.Event()
        self._closing = threading.Lock()
        self._tail = bytearray()
        self._tail_bytes = tail_bytes
        try:
            self._child = child_processes.start(argv, feed=feed)
        except OSError as error:
            raise ToolError(f"ffmpeg cannot be started ({error.strerror})", argv=argv) from error
        with _REGISTERING.value:
            _RUNNING.add(self)
        self._helpers = (
            threading.Thread(target=self._drain_stderr, daemon=True),
            threading.Thread(target=self._watch, daemon=True),
        )
        for helper in self._helpers:
            helper.start()

    def read(self, size_bytes: int) -> bytes:
        """Return `size_bytes` of output, fewer only at its end."""
        assert self._child.stdout is not None
        stdout = self._child.stdout
        return self._run_watched(lambda: stdout.read(size_bytes))

    def read_all(self, limit_bytes: int) -> bytes:
        """Return all output.

        Raises:
            ToolError: there is more than `limit_bytes`.
        """
        data = self.read(limit_bytes + 1)
        if len(data) > limit_bytes:
            raise self._error(f"ffmpeg printed more than {limit_bytes:,} bytes")
        return data

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of output as they come, without their ends."""
        assert self._child.stdout is not None
        stdout = self._child.stdout
        rest = b""
        while chunk := self._run_watched(lambda: stdout.read1(1 << 16)):  # type: ignore[attr-defined]
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
        if rest:
            yield rest

    def write(self, data: bytes | memoryview) -> None:
        """Write to ffmpeg's standard input.

        Raises:
            ToolError: ffmpeg ended before it had read everything.
        """
        assert self._child.stdin is not None
        stdin = self._child.stdin
        try:
            self._run_watched(lambda: stdin.write(data))
        except (BrokenPipeError, OSError):
            self.finish()
            raise self._error("ffmpeg ended before it had read its input") from None

    def end_input(self) -> None:
        """Close ffmpeg's standard input."""
        assert self._child.stdin is not None
        with self._closing, contextlib.suppress(BrokenPipeError):  # its exit status has the reason
            self._child.stdin.close()

    def wait(self) -> int:
        """Wait for the end and return the exit status (negative: ended by that signal).

        Raises:
            ToolTimeoutError: ffmpeg made no progress and was ended.
        """
        status = self._run_watched(lambda: child_processes.reap(self._child))
        self._helpers[0].join()
        return status

    def finish(self) -> None:
        """Wait for the end.

        Raises:
            ToolError: ffmpeg failed; holds the argument list and the tail of stderr.
        """
        if self._child.stdin is not None:
            self.end_input()
        status = self.wait()
        if status < 0 and not self._tail.strip():
            raise self._error(f"ffmpeg was ended by {signal.Signals(-status).name}")
        if status != 0:
            raise self._error(f"ffmpeg failed ({last_line(self.stderr_tail)})")

    def close(self) -> None:
        """End the child if it runs, reap it, and close its pipes; may be called twice."""
        if os.getpid() != self._owner:  # in a fork of this process: the child belongs to the parent
            return
        if self._child.poll() is None:
            self.kill()
        child_processes.reap(self._child)
        self._ended.set()
        for helper in self._helpers:
            helper.join()
        with self._closing:  # closing a pipe in two threads at once may fail in the second
            for pipe in (self._child.stdin, self._child.stdout, self._child.stderr):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):  # unsent input of an ended child
                        pipe.close()

    @property
    def stderr_tail(self) -> str:
        """The end of ffmpeg's standard error."""
        return self._tail.decode(errors="replace")

    def _run_watched(self, blocking: Callable[[], Result]) -> Result:
        """Run a call that waits for ffmpeg, under the time limits of `_watch`."""
        thread, since = threading.get_ident(), time.monotonic()
        self._waiting_since[thread] = since
        try:
            return blocking()
        finally:
            del self._waiting_since[thread]
            self._waited_s += time.monotonic() - since
            if self._overdue:
                raise self._timeout()

    def _watch(self) -> None:
        """End the child when a caller has waited for it too long. Runs in a thread."""
        written, changed_at = _state(self._writes), -math.inf
        while not self._ended.wait(min(1.0, self._stall_s / 4)):
            now, found = time.monotonic(), _state(self._writes)
            if found != written:
                written, changed_at = found, now
            since = min(tuple(self._waiting_since.values()), default=None)
            waiting_s = now - since if since is not None else 0.0
            stalled_s = min(waiting_s, now - changed_at)
            if stalled_s > self._stall_s or self._waited_s + waiting_s > self._total_s:
                self._overdue = True
                self.kill()
                return

    def kill(self) -> None:
        """Kill the child and its own children: the program may be a wrapper script."""
        child_processes.kill(self._child)

    def _drain_stderr(self) -> None:
        """Keep the last of stderr, so that the child never blocks on it. Runs in a thread."""
        assert self._child.stderr is not None
        while chunk := self._child.stderr.read1(1 << 16):  # type: ignore[attr-defined]
            self._tail += chunk
            del self._tail[: -self._tail_bytes]

    def _error(self, problem: str) -> ToolError:
        return ToolError(
            problem,
            argv=self.argv,
            returncode=self._child.returncode,
            stderr_tail=self.stderr_tail,
        )

    def _timeout(self) -> ToolTimeoutError:
        return ToolTimeoutError(
            f"ffmpeg was ended: no progress within {self._stall_s:g} s",
            fix="try again on a less busy machine, or check whether the file is damaged",
            argv=self.argv,
            returncode=self._child.returncode,
            stderr_tail=self.stderr_tail,
        )


_RUNNING: weakref.WeakSet[Process] = weakref.WeakSet()
_REGISTERING = PerProcess(threading.Lock)
call_in_fork(_RUNNING.clear)  # those of the parent


def end_all() -> None:
    """End every ffmpeg of this process; the threads that wait for one get a ToolError."""
    child_processes.forget_last_words()
    with _REGISTERING.value:
        running = tuple(_RUNNING)
    for process in running:
        process.kill()


def _state(path: Path | None) -> list[tuple[str, int, int]]:
    """The size and time of a file, or of each file in a folder; they change while ffmpeg writes.

    At the end of an MP4 ffmpeg only moves bytes, which changes the time alone.
    """
    states = []
    with contextlib.suppress(OSError):  # not there yet, or just gone
        places = path.iterdir() if path and path.is_dir() else filter(None, [path])
        for place in places:
            found = place.stat()
            states.append((place.name, found.st_size, found.st_mtime_ns))
    return sorted(states)


def last_line(text: str) -> str:
    """Return the last line of ffmpeg's standard error, printable and without `[module @ 0x]`."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = lines[-1] if lines else "it gave no reason"
    line = line.partition("] ")[2] or line if line.startswith("[") else line
    line = UNREAD_KIND if line.startswith(NOT_LISTED) else line
    return "".join(char if char.isprintable() else "?" for char in line)[:300]


# ffmpeg's messages when the system refuses a write, and the system's error numbers.
WRITE_ERRORS = {
    "No space left on device": errno.ENOSPC,
    "File name too long": errno.ENAMETOOLONG,
    "Disk quota exceeded": errno.EDQUOT,
    "File too large": errno.EFBIG,
    "was ended by SIGXFSZ": errno.EFBIG,  # the same with the limit of the process
}


@contextlib.contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn the failure of an ffmpeg that writes `path` into an OutputError if the disk caused it.

    Raises:
        OutputError: the system refused a write of ffmpeg.
        ToolError: ffmpeg failed otherwise.
    """
    try:
        yield
    except ToolError as error:
        for message, number in WRITE_ERRORS.items():
            if message in error.stderr_tail or message in error.problem:
                raise files.output_error(path, OSError(number, message)) from error
        raise
