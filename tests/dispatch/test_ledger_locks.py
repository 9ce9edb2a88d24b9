from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from captoolkit.dispatch.ledger_locks import Owners
from tests.support.paths import ROOT

JOIN = (
    "import sys, pathlib\n"
    "from captoolkit.dispatch.ledger_locks import Owners\n"
    "owners = Owners(pathlib.Path(sys.argv[1]))\n"
    "owners.join()\n"
    "print(owners.me, flush=True)\n"
    "sys.stdin.read()\n"
)


def folder_of(tmp_path: Path) -> Path:
    """A folder of lock files, created as a ledger creates it."""
    folder = tmp_path / "owners"
    with Owners(folder).opening(timeout_s=1):
        assert folder.is_dir()
    return folder


def test_an_owner_is_alive_between_join_and_leave(tmp_path: Path) -> None:
    """Another owner in the same process sees it; leaving twice does no harm."""
    one, other = Owners(folder_of(tmp_path)), Owners(tmp_path / "owners")
    assert one.me != other.me
    assert one.is_alive(one.me)
    assert not other.is_alive(one.me)
    one.join()
    assert other.is_alive(one.me)
    one.leave()
    one.leave()
    assert not other.is_alive(one.me)


def test_a_killed_process_is_dead_at_once(tmp_path: Path) -> None:
    """The system releases its lock; the next owner removes its file."""
    folder = folder_of(tmp_path)
    argv = [sys.executable, "-c", JOIN, str(folder)]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as child:
        assert child.stdout is not None
        name = child.stdout.readline().strip()
        mine = Owners(folder)
        assert mine.is_alive(name)
        mine.join()
        assert (folder / f"{name}.lock").exists()
        child.kill()
        child.wait()
        assert not mine.is_alive(name)
    third = Owners(folder)
    third.join()
    assert not (folder / f"{name}.lock").exists()
    assert third.is_alive(mine.me)
    mine.leave()
    third.leave()
