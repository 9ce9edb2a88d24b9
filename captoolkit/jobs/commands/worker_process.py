"""A process that works on one recording after another, for a thread of its parent.

Rules: a worker is never a fork of this process, because a fork copies the locks of other threads.
A server without other threads, which has imported captoolkit already, forks it: the worker starts
soon and shares that memory. Where there is no such server (Windows), the worker is spawned. The
parent gives it one call at a time; events come back while it works, in order and in batches, and
then the result or the error. A worker ends when it is stopped, when it receives SIGTERM, and when
its parent ends: it ends its ffmpegs, its work stops at the next event and removes its files. The
signals of a terminal are left to the parent. A worker that dies is one error of the call.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Any, Generic, TypeVar

from captoolkit.errors import ToolError
from captoolkit.events import Event, OnEvent
from captoolkit.media import ffmpeg_process
from captoolkit.support import files
from captoolkit.support.cancel import Closing, StoppedError

END_INTERVAL_S = 0.2  # between two rounds of ending ffmpegs while the work stops
END_S = 10.0  # a worker that does not stop within this time is killed
BATCH_S = 0.1  # events wait at most this long for others, or for the next event
MAX_SOCKET_FOLDER_BYTES = 80  # a socket's path has at most 103 bytes on some systems
TERMINAL_SIGNALS = ("SIGINT", "SIGHUP")
# Modules that the server of workers imports; most are imported late elsewhere.
PRELOADED = (
    "captoolkit.jobs.commands.worker_process",
    "captoolkit.api.prepare",
    "captoolkit.api.split",
    "ffmpeg",
    "soundfile",
    "wave",
)

Item = TypeVar("Item")
Result = TypeVar("Result")

# Works on one item: called with the item, its share of the jobs, and an `on_event`.
Work = Callable[[Item, int, OnEvent], Result]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The end of a call: its result, or its error with the traceback in the worker."""

    result: Any = None
    error: BaseException | None = None
    trace: str = ""


class WorkerProcess(Closing, Generic[Item, Result]):
    """A worker process and the connection to it; `close` stops it and waits for its end.

    Args:
        work: the work on one item; it is pickled, as are items, events, results and errors.
    """

    def __init__(self, work: Work[Item, Result]) -> None:
        context = _context(type(work).__module__)
        self._connection, theirs = context.Pipe()
        self._sending = threading.Lock()
        self._process = context.Process(
            target=_serve,
            args=(theirs, work, dict(os.environ)),
            name="captoolkit-worker",
            daemon=True,
        )
        try:
            with _terminal_signals_blocked():  # until the worker ignores them
                self._process.start()
        except OSError as error:
            self._connection.close()
            raise ToolError(
                f"a worker process cannot be started ({error.strerror or error})",
                fix="pass --jobs 1",
            ) from error
        finally:
            theirs.close()

    @property
    def is_alive(self) -> bool:
        """Whether the process can take another call."""
        return self._process.is_alive()

    def call(self, item: Item, jobs: int, on_event: OnEvent) -> Result:
        """Let the worker work on an item, pass its events on, and return the result.

        Raises:
            ToolError: the worker died.
            BaseException: the work, or `on_event`, raised it.
        """
        try:
            self._send((item, jobs))
            while True:
                try:
                    events, outcome = self._connection.recv()
                except (EOFError, ConnectionError):
                    raise self._death() from None
                for event in events:
                    on_event(event)
                if outcome is not None:
                    return self._unwrap(outcome)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the work, without waiting; may be called twice."""
        self._send(None)

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()

    def close(self) -> None:
        """Stop the work and wait for the end of the process; may be called twice."""
        self.stop()
        self._process.join(END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._connection.close()

    def _send(self, message: object) -> None:
        with self._sending, contextlib.suppress(OSError):  # it died: `recv` finds its end
            self._connection.send(message)

    def _unwrap(self, outcome: _Outcome) -> Result:
        if outcome.error is None:
            result: Result = outcome.result
            return result
        outcome.error.add_note(f"In a worker process:\n{outcome.trace}")
        raise outcome.error

    def _death(self) -> ToolError:
        self._process.join(END_S)
        status = self._process.exitcode
        cause = f"with status {status}"
        if status is not None and status < 0:
            with contextlib.suppress(ValueError):
                cause = f"by {signal.Signals(-status).name}"
        return ToolError(
            f"the process that worked on it was ended ({cause})",
            fix="try it alone; perhaps there was no memory left",
            returncode=status,
        )


def _context(module: str) -> SpawnContext | ForkServerContext:
    """Return the way to start workers for work that a module defines."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    # The server's socket lies in a folder of ours, which the next run removes after SIGKILL.
    config = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    if "tempdir" not in config:
        folder = files.make_staging(None)
        atexit.register(files.remove_folder, folder)
        config["tempdir"] = str(folder)
    if len(os.fsencode(config["tempdir"])) > MAX_SOCKET_FOLDER_BYTES:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module, *PRELOADED])
    return context


@contextlib.contextmanager
def _terminal_signals_blocked() -> Iterator[None]:
    """Let a process that this thread starts begin without the signals of the terminal."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # It starts with the first process, and leaves these signals unblocked when it does.
    resource_tracker.ensure_running()
    numbers = [getattr(signal, name) for name in TERMINAL_SIGNALS]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# ------------------------------------------------------------------------ in the worker process


def _serve(connection: Connection, work: Work[Any, Any], environment: Mapping[str, str]) -> None:
    """Carry out calls until the worker is stopped. Runs in the worker process."""
    os.environ.clear()  # a server that forks has the environment of its own start
    os.environ.update(environment)
    _Server(connection, work).run()


class _Server:
    """The worker's side of the connection."""

    def __init__(self, connection: Connection, work: Work[Any, Any]) -> None:
        self._connection = connection
        self._work = work
        self._status = 0
        self._stop = threading.Event()
        self._calls: queue.SimpleQueue[tuple[Any, int] | None] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._events: list[Event] = []
        self._sent_at_s = 0.0

    def run(self) -> None:
        """Carry out the calls that arrive."""
        for name in TERMINAL_SIGNALS:
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._terminate)
        threading.Thread(target=self._receive, daemon=True).start()
        while (call := self._calls.get()) is not None and not self._stop.is_set():
            self._carry_out(*call)
        sys.exit(self._status)

    def _terminate(self, number: int, frame: object) -> None:
        self._status = 128 + number  # as a shell states it
        self._begin_end()

    def _receive(self) -> None:
        """Take calls; end the work after the last one. Runs in a thread."""
        with contextlib.suppress(EOFError, OSError):  # the parent has ended
            while (call := self._connection.recv()) is not None:
                self._calls.put(call)
        self._begin_end()

    def _begin_end(self) -> None:
        if not self._stop.is_set():
            self._stop.set()
            self._calls.put(None)
            threading.Thread(target=self._end, daemon=True).start()

    def _end(self) -> None:
        """End ffmpegs until the process ends, and end it if its work does not. Runs in a thread."""
        until = time.monotonic() + END_S
        while time.monotonic() < until:
            ffmpeg_process.end_all()  # work that waits for one may be hours from its next event
            time.sleep(END_INTERVAL_S)
        os._exit(1)

    def _carry_out(self, item: Any, jobs: int) -> None:
        try:
            outcome = _Outcome(result=self._work(item, jobs, self._report))
        except BaseException as error:
            if self._stop.is_set():  # the parent sees the end of the process
                return
            outcome = _Outcome(error=error, trace=traceback.format_exc())
        self._send(outcome)

    def _report(self, event: Event) -> None:
        """Keep an event, and send all that are kept if it is time; the `on_event` of the work."""
        if self._stop.is_set():
            raise StoppedError
        with self._guard:
            self._events.append(event)
            is_due = time.monotonic() - self._sent_at_s >= BATCH_S
        if is_due:
            self._send(None)

    def _send(self, outcome: _Outcome | None) -> None:
        """Send the kept events, and the outcome if the call has ended."""
        with self._guard:
            events, self._events = self._events, []
            self._sent_at_s = time.monotonic()
            try:
                self._connection.send((events, outcome))
            except (pickle.PicklingError, TypeError, AttributeError) as error:
                text = f"the outcome of the work cannot be pickled ({error}): {outcome}"
                self._connection.send(([], _Outcome(error=RuntimeError(text))))
            except OSError:  # the parent has ended, and so does the worker
                self._begin_end()
