"""Kill a forked process with SIGKILL just before one of its operations on files."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

OPERATIONS = frozenset({"open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "shutil.rmtree"})


def die_before_operation(number: int, folder: str) -> None:
    """Kill this process before its operation with that number, from 0, on paths in `folder`."""
    left = number

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in OPERATIONS and str(arguments[0]).startswith(folder):
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    sys.addaudithook(count)


def was_killed(work: Callable[[], object], number: int, folder: object) -> bool:
    """Call `work` in a fork that dies before operation `number`; False if it ends before that."""
    child = os.fork()
    if child == 0:
        die_before_operation(number, str(folder))
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the work has failed"
    return os.WIFSIGNALED(status)
