"""How much sound many recordings hold, while most of them have not been opened."""

from __future__ import annotations

from collections.abc import Sequence


class SoundLeft:
    """Seconds of sound: done, and in total.

    The length of a recording that has not been opened is predicted from its size, by the seconds a
    byte of those that have; a recording of unknown size counts with the mean length.

    Args:
        sizes_bytes: the size of each recording, None if it is not known.

    Attributes:
        finished: the number of recordings that are finished.
        done_s: the sound that is done, also of recordings that are not finished.
    """

    def __init__(self, sizes_bytes: Sequence[int | None]) -> None:
        self.finished = 0
        self.done_s = 0.0
        self._unopened = len(sizes_bytes)
        self._unopened_bytes = sum(size or 0 for size in sizes_bytes)
        self._opened_bytes = 0
        self._opened_s = 0.0
        self._running: dict[object, tuple[float, float]] = {}

    @property
    def total_s(self) -> float | None:
        """The sound in total; None before a recording has been opened."""
        opened = self.finished + len(self._running)
        if not self._opened_s:
            return None
        if self._unopened_bytes and self._opened_bytes:
            left_s = self._unopened_bytes * self._opened_s / self._opened_bytes
        else:
            left_s = self._unopened * self._opened_s / max(1, opened)
        return self._opened_s + left_s

    def update(self, key: object, size_bytes: int | None, *, done_s: float, total_s: float) -> None:
        """Note how far the work on a recording is; `key` is the work."""
        if key not in self._running:
            self._open(size_bytes)
        before_s, length_s = self._running.get(key, (0.0, 0.0))
        self.done_s += done_s - before_s
        self._opened_s += total_s - length_s
        self._running[key] = (done_s, total_s)

    def finish(self, key: object, size_bytes: int | None) -> None:
        """Note that the work on a recording has ended, whether it was done or failed."""
        if key not in self._running:  # it was kept, or could not be opened
            self._unopened -= 1
            self._unopened_bytes -= size_bytes or 0
            self.finished += 1
            return
        done_s, total_s = self._running.pop(key)
        self.done_s += total_s - done_s
        self.finished += 1

    def _open(self, size_bytes: int | None) -> None:
        self._unopened -= 1
        self._unopened_bytes -= size_bytes or 0
        self._opened_bytes += size_bytes or 0
