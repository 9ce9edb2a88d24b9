"""Threads of a new process that call a function for the first time at the same moment."""

from __future__ import annotations

import subprocess
import sys

ROUNDS = 6  # one alone shows a race in about a third of the cases
SCRIPT = """
import sys, threading
sys.setswitchinterval(1e-6)
{setup}
barrier = threading.Barrier(8)
def call():
    barrier.wait()
    {call}
threads = [threading.Thread(target=call) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def statuses(setup: str, call: str) -> set[int]:
    """Return the exit statuses of processes whose threads make a call after some statements."""
    script = SCRIPT.format(setup=setup, call=call)
    argv = [sys.executable, "-c", script]
    return {subprocess.run(argv, timeout=30, check=False).returncode for _ in range(ROUNDS)}
