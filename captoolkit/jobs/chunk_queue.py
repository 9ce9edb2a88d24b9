"""The chunks that are left to do: the listing without the recordings that OUT has rows of.

Rules: a thread reads the listing ahead of the workers, so the number of recordings is known soon.
Chunks wait compressed: a million recordings take a few dozen megabytes.
"""

from __future__ import annotations

import pickle
import queue
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from captoolkit.jobs.chunks import Chunk, chunk_of, chunks_of
from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.results.recipe import ResultLayout
from captoolkit.jobs.results.recording_rows import RowIndex, RowState
from captoolkit.support.cancel import Closing


class Redo(StrEnum):
    """Which recordings with a row are done again."""

    NONE = "none"
    CHANGED = "changed"
    ALL = "all"


@dataclass(slots=True, kw_only=True)
class Selection:
    """Which recordings of a listing are done, and how many are not.

    Attributes:
        redo: which finished recordings are done again.
        retry_failed: whether recordings that failed or are quarantined are done again.
        verifies_content: whether finished recordings are read again and compared by their hash.
        kept: the number of finished recordings.
        changed: the number of finished recordings that have changed and are kept.
        failed_before: the number of recordings that failed in an earlier run and are kept.
    """

    redo: Redo = Redo.NONE
    retry_failed: bool = False
    verifies_content: bool = False
    kept: int = 0
    changed: int = 0
    failed_before: int = 0

    def includes(self, state: RowState) -> bool:
        """Return whether a recording in that state is done; count one that is not."""
        if state in (RowState.NEW, RowState.HOLES) or self.redo is Redo.ALL:
            return True
        if state in (RowState.FAILED, RowState.QUARANTINED):
            self.failed_before += not self.retry_failed
            return self.retry_failed
        if state is RowState.CHANGED:
            self.changed += self.redo is Redo.NONE
            return self.redo is Redo.CHANGED
        self.kept += not self.verifies_content
        return self.verifies_content


class ChunkQueue(Closing):
    """The chunks to do, in order, read ahead by a thread.

    Args:
        inputs: the listing.
        verb: the verb.
        index: the rows of OUT.
        selection: which recordings are done.
        layout: with `TAR`, chunks are made of the whole listing, because they name the tar files.
        shard: I and N, to take each Nth chunk of the whole listing.

    Attributes:
        total: the number of recordings to do that have been read so far.
    """

    def __init__(
        self,
        inputs: Iterable[Input],
        verb: str,
        *,
        index: RowIndex,
        selection: Selection,
        layout: ResultLayout = ResultLayout.FILES,
        shard: tuple[int, int] | None = None,
    ) -> None:
        self.selection = selection
        self.total = 0
        self._index = index
        self._chunks: queue.SimpleQueue[bytes | BaseException | None] = queue.SimpleQueue()
        self._first: Chunk | None = None
        self._is_read = False
        self._is_taken = False
        self._closed = threading.Event()
        chunks = self._chunks_of_all if layout is ResultLayout.TAR else self._chunks_of_rest
        self._thread = threading.Thread(
            target=self._read, args=(chunks, inputs, verb, shard), daemon=True
        )
        self._thread.start()

    @property
    def is_read(self) -> bool:
        """Whether the listing has been read to its end."""
        return self._is_read

    @property
    def is_empty(self) -> bool:
        """Whether the last chunk has been taken."""
        return self._is_taken and self._first is None

    def has_chunks(self) -> bool:
        """Wait for the first chunk; return whether there is one.

        Raises:
            CaptoolkitError: the listing cannot be read.
        """
        if self._first is None and not self._is_taken:
            self._first = self._next(None)
        return self._first is not None

    def take(self, *, timeout_s: float = 0.0) -> Chunk | None:
        """Return the next chunk; None after the last one, or if none is ready in time.

        Raises:
            CaptoolkitError: the listing cannot be read.
        """
        if self._first is not None:
            chunk, self._first = self._first, None
            return chunk
        return None if self._is_taken else self._next(timeout_s)

    def _next(self, timeout_s: float | None) -> Chunk | None:
        """Return the next chunk; None for `timeout_s` waits as long as it takes."""
        try:
            packed = self._chunks.get(block=timeout_s != 0, timeout=timeout_s or None)
        except queue.Empty:
            return None
        if packed is None:
            self._is_taken = True
            return None
        if isinstance(packed, BaseException):
            self._is_taken = True
            raise packed
        chunk: Chunk = pickle.loads(zlib.decompress(packed))  # noqa: S301 - packed by this process
        return chunk

    def close(self) -> None:
        """End the thread; may be called twice."""
        self._closed.set()
        self._thread.join(timeout=10)

    def _read(
        self,
        chunks: Callable[[Iterable[Input], str, tuple[int, int] | None], Iterator[Chunk]],
        inputs: Iterable[Input],
        verb: str,
        shard: tuple[int, int] | None,
    ) -> None:
        try:
            for chunk in chunks(inputs, verb, shard):
                if self._closed.is_set():
                    return
                self.total += len(chunk.inputs)
                self._chunks.put(zlib.compress(pickle.dumps(chunk)))
            self._is_read = True
            self._chunks.put(None)
        except BaseException as error:
            self._chunks.put(error)

    def _is_to_do(self, recording: Input) -> bool:
        return self.selection.includes(self._index.state_of(recording))

    def _chunks_of_rest(
        self, inputs: Iterable[Input], verb: str, shard: tuple[int, int] | None
    ) -> Iterator[Chunk]:
        return chunks_of(filter(self._is_to_do, inputs), verb)

    def _chunks_of_all(
        self, inputs: Iterable[Input], verb: str, shard: tuple[int, int] | None
    ) -> Iterator[Chunk]:
        for chunk in chunks_of(inputs, verb):
            if shard is None or chunk.number % shard[1] == shard[0]:
                rest = [each for each in chunk.inputs if self._is_to_do(each)]
                if len(rest) == len(chunk.inputs):
                    yield chunk
                elif rest:
                    yield chunk_of(rest, number=chunk.number, is_part=True)
