"""Locks and other values that each forked process makes for itself.

Rules: a fork copies the locks of the process, but not the threads that hold them. So the child
replaces each lock that outlives one call, and each object that has such a lock: a web server may
fork while some of its threads use captoolkit.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


def call_in_fork(renew: Callable[[], None]) -> None:
    """Call `renew` in each child that this process forks, before anything else runs there."""
    if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
        os.register_at_fork(after_in_child=renew)


class PerProcess(Generic[Value]):
    """A value of a module that each forked process makes for itself.

    Args:
        make: makes the value.

    Attributes:
        value: the value of this process.
    """

    def __init__(self, make: Callable[[], Value]) -> None:
        self._make = make
        self.value = make()
        call_in_fork(self._renew)

    def _renew(self) -> None:
        self.value = self._make()
