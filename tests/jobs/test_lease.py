"""Tests of the lease: one driver at a time asks about the recordings of OUT."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from captoolkit.errors import CaptoolkitError
from captoolkit.jobs.lease import EXPIRES_S, LEASES, Lease
from captoolkit.jobs.stores.object_store import open_store


def write_lease(folder: Path, number: int, **fields: object) -> None:
    """Write the lease of another driver."""
    path = folder / f"{LEASES}{number:06}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(fields))


def test_one_of_many_drivers_gets_the_lease(tmp_path: Path) -> None:
    """Of drivers that begin at the same moment, one goes on and the others are refused."""
    store = open_store(str(tmp_path))

    def take(number: int) -> Lease | None:
        try:
            return Lease(store, f"run-{number}")
        except CaptoolkitError:
            return None

    with ThreadPoolExecutor(8) as pool:
        leases = [lease for lease in pool.map(take, range(8)) if lease is not None]
    assert len(leases) == 1
    assert leases[0].is_held
    leases[0].close()


def test_a_released_lease_is_free_at_once(tmp_path: Path) -> None:
    """The next driver takes the next number, and only its file stays."""
    store = open_store(str(tmp_path))
    for number in range(3):
        with Lease(store, f"run-{number}") as lease:
            assert lease.is_held
    assert [file.name for file in store.list(LEASES)] == [f"{LEASES}000003.json"]


def test_the_message_names_the_process_that_holds_it(tmp_path: Path) -> None:
    """A lease of another machine is respected until it expires."""
    write_lease(tmp_path, 4, host="elsewhere", pid=17, renewed_s=time.time())
    with pytest.raises(CaptoolkitError, match="process 17 on elsewhere"):
        Lease(open_store(str(tmp_path)), "run")
    write_lease(tmp_path, 4, host="elsewhere", pid=17, renewed_s=time.time() - EXPIRES_S - 1)
    with Lease(open_store(str(tmp_path)), "run") as lease:
        assert lease.is_held


def test_the_lease_of_a_dead_process_of_this_machine_is_free(tmp_path: Path) -> None:
    """After SIGKILL of a driver the next run needs not wait."""
    code = (
        "import sys, os, signal; from captoolkit.jobs.lease import Lease; "
        "from captoolkit.jobs.stores.object_store import open_store; "
        "Lease(open_store(sys.argv[1]), 'run'); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    with Lease(open_store(str(tmp_path)), "another") as lease:
        assert lease.is_held
