"""The command line: each command parses its arguments, makes one library call, shows the result."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

GARBAGE_THRESHOLD = 20_000  # new objects in containers


def main(argv: Sequence[str] | None = None) -> int:
    """Run `captoolkit` with these arguments and return its exit status.

    0: done; 1: at least one input failed; 2: wrong usage; 130: interrupted.
    """
    # Modules and classes live as long as the program: looking for garbage among them after every
    # 700 new objects takes a twentieth of the time of a short command.
    gc.set_threshold(GARBAGE_THRESHOLD)
    # captoolkit multiplies no large matrices. While numpy loads, each thread of its OpenBLAS waits
    # in a loop, which takes as much time as the rest of a short command.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from captoolkit.cli.app import run

    if argv is not None:
        return run(list(argv))
    status = run(sys.argv[1:], is_program=True)
    # The program ends. Python would look for garbage among all modules once more, which takes a
    # tenth of the time of a short command.
    gc.freeze()
    return status
