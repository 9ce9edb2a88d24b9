"""Facts about the files that were read last: planning and making read the same file twice.

Rules: a fact counts only while the file has the same size, times and place on its disk. Only a few
facts are kept, for each process on its own.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

from captoolkit.support import files
from captoolkit.support.forked import PerProcess

Fact = TypeVar("Fact")
State = tuple[str, int, int, int, int, int]


class RecentFiles(Generic[Fact]):
    """The last facts about files.

    Args:
        size: the number of facts to keep.
        weigh: the weight of a fact.
        most: the greatest weight of all facts together.
    """

    def __init__(
        self, size: int, *, weigh: Callable[[Fact], float] = lambda _: 0, most: float = 0
    ) -> None:
        self._size = size
        self._weigh = weigh
        self._most = most
        self._guard = PerProcess(threading.Lock)
        self._facts: OrderedDict[tuple[State, Hashable], Fact] = OrderedDict()

    def put(self, state: State | None, key: Hashable, fact: Fact) -> None:
        """Keep a fact about the file that had this state when it was read."""
        if state is None:
            return
        with self._guard.value:
            self._facts[state, key] = fact
            self._facts.move_to_end((state, key))
            while len(self._facts) > self._size or self._weight() > self._most:
                self._facts.popitem(last=False)

    def _weight(self) -> float:
        return sum(map(self._weigh, self._facts.values()))

    def get(self, state: State | None, key: Hashable) -> Fact | None:
        """Return the fact about the file in this state, None if absent."""
        if state is None:
            return None
        with self._guard.value:
            return self._facts.get((state, key))


def state_of(path: str | Path) -> State | None:
    """Return the state of a file: its name, place, size and times; None if it is gone."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    times = (found.st_mtime_ns, found.st_ctime_ns)
    return (files.absolute(path), found.st_dev, found.st_ino, found.st_size, *times)
