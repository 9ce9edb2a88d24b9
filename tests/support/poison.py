"""Recordings that end the worker that opens them: preload this module into Dask's workers.

The names say how: `poison-sigkill`, `poison-segv`, `poison-memory`, `poison-endless`. A recording
called `poison-once-...` ends its worker the first time only, and leaves `NAME.opened` next to it.
An audit hook of Python sees each file that is opened; the code of captoolkit is as it is.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

MODULE = "tests.support.poison"


def dask_setup(worker: object) -> None:
    """Watch the files that a worker opens."""
    sys.addaudithook(_act)


def _act(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not isinstance(arguments[0], str | bytes | Path):
        return
    path = os.fsdecode(arguments[0])
    name = os.path.basename(path)  # noqa: PTH119 - a hook must not open anything
    is_source = name.startswith("poison-") and name.endswith(".wav") and name.count(".") == 1
    if not is_source or "r" not in str(arguments[1]):
        return
    if name.startswith("poison-once"):
        if os.path.exists(f"{path}.opened"):  # noqa: PTH110
            return
        os.close(os.open(f"{path}.opened", os.O_CREAT | os.O_WRONLY))
        os.kill(os.getpid(), signal.SIGKILL)
    elif name.startswith("poison-sigkill"):
        os.kill(os.getpid(), signal.SIGKILL)
    elif name.startswith("poison-segv"):
        ctypes.string_at(0)
    elif name.startswith("poison-memory"):
        pages = []
        for _ in range(3_000):
            pages.append(b"x" * 1_000_000)
            time.sleep(0.002)
    elif name.startswith("poison-endless"):
        while True:
            time.sleep(0.05)
