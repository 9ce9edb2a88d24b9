"""The lease of a job: one driver at a time asks a service about the recordings of one OUT.

Rules: a lease is a numbered file, `.captoolkit/leases/000001.json`, that is created only if it does
not exist, so exactly one driver gets each number. The driver with the highest number holds the
lease. It renews its file; a lease that is not renewed for `EXPIRES_S`, or whose driver has ended on
this machine, is free. A driver that has lost its lease sends no further request.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from typing import Any

from captoolkit.errors import CaptoolkitError, InputError, OutputError
from captoolkit.jobs.stores.base_store import Store
from captoolkit.support.cancel import Closing

LEASES = ".captoolkit/leases/"
RENEW_S = 20.0
EXPIRES_S = 120.0


class Lease(Closing):
    """The lease of this driver, renewed by a thread until it is closed.

    Args:
        store: OUT.
        run_id: the name of the run.

    Raises:
        CaptoolkitError: another driver holds the lease.
        OutputError, InputError: the store cannot be used.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self._store = store
        self._fields = {"run": run_id, "host": socket.gethostname(), "pid": os.getpid()}
        self._name = self._take()
        self._renewed_s = _elapsed_s()
        self._is_lost = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="captoolkit-lease", daemon=True)
        self._thread.start()

    @property
    def is_held(self) -> bool:
        """Whether this driver still holds the lease."""
        return not self._is_lost and _elapsed_s() - self._renewed_s < EXPIRES_S

    def close(self) -> None:
        """Release the lease; may be called twice."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._thread.join()
        if self.is_held:
            self._store.write(self._name, self._text(is_released=True))

    def _take(self) -> str:
        """Create the file of the next number, if the last lease is free."""
        names = sorted(file.name for file in self._store.list(LEASES))
        number = 1
        if names:
            number = int(names[-1].removeprefix(LEASES).removesuffix(".json")) + 1
            self._refuse_held(names[-1])
        name = f"{LEASES}{number:06}.json"
        if not self._store.write_new(name, self._text()):
            raise self._held(self._read(name))
        for old in names:
            self._store.remove(old)
        return name

    def _refuse_held(self, name: str) -> None:
        """Refuse a lease that another driver holds."""
        there = self._read(name)
        if there.get("released") or time.time() - float(there.get("renewed_s", 0)) > EXPIRES_S:
            return
        is_here = there.get("host") == self._fields["host"]
        if is_here and not _is_running(int(there.get("pid", 0))):
            return
        raise self._held(there)

    def _held(self, there: dict[str, Any]) -> CaptoolkitError:
        return CaptoolkitError(
            f"another run asks about the recordings of {self._store.url}: process "
            f"{there.get('pid')} on {there.get('host')}",
            fix=f"wait for its end, or end it; its lease expires after {EXPIRES_S:.0f} s",
        )

    def _read(self, name: str) -> dict[str, Any]:
        try:
            return dict(json.loads(self._store.read(name)))
        except (ValueError, InputError):  # it is just being written, or was replaced
            return {"renewed_s": time.time()}

    def _text(self, *, is_released: bool = False) -> bytes:
        fields = {**self._fields, "renewed_s": time.time(), "released": is_released}
        return json.dumps(fields).encode()

    def _renew(self) -> None:
        while not self._closed.wait(RENEW_S):
            try:
                if max(file.name for file in self._store.list(LEASES)) != self._name:
                    self._is_lost = True
                    return
                now_s = _elapsed_s()
                self._store.write(self._name, self._text())
                self._renewed_s = now_s
            except (OutputError, InputError, ValueError):
                continue  # the lease expires if the store stays away


def _elapsed_s() -> float:
    """Return the time since the start of the machine: setting the clock does not change it.

    The time in which the machine was suspended counts, where the system counts it.
    """
    boot_time: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot_time is None else time.clock_gettime(boot_time)


def _is_running(pid: int) -> bool:
    """Return whether a process of this machine is running; True if that is not known."""
    if os.name == "nt":  # there `os.kill(pid, 0)` sends Ctrl-C
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's process
        return True
    return True
