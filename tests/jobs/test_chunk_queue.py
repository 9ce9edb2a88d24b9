"""Tests of the queue of chunks: what is left of a listing, read ahead by a thread."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from captoolkit.errors import InputError
from captoolkit.jobs.chunk_queue import ChunkQueue, Redo, Selection
from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.results.recipe import ResultLayout
from captoolkit.jobs.results.recording_rows import RecordingRow, RowIndex, RowStatus


def recording(number: int, *, size_bytes: int = 1000) -> Input:
    """Return an input."""
    name = f"{number:04}.wav"
    return Input(id=name, url=f"/in/{name}", relative=name, size_bytes=size_bytes, version="v")


def row(number: int, status: RowStatus) -> RecordingRow:
    """Return the row of an input."""
    each = recording(number)
    return RecordingRow(
        id=each.id, url=each.url, size_bytes=each.size_bytes, version=each.version, status=status
    )


def ids_of(queue: ChunkQueue) -> list[str]:
    """Take all chunks; return the ids of their inputs."""
    ids = []
    while not queue.is_empty:
        chunk = queue.take(timeout_s=5)
        ids += [each.id for each in chunk.inputs] if chunk is not None else []
    return sorted(ids)


ROWS = [
    row(0, RowStatus.DONE),
    row(1, RowStatus.SILENT),
    row(2, RowStatus.FAILED),
    row(3, RowStatus.QUARANTINED),
    row(4, RowStatus.HOLES),
]


@pytest.mark.parametrize(
    ("selection", "left"),
    [
        (Selection(), {4, 5, 6}),
        (Selection(retry_failed=True), {2, 3, 4, 5, 6}),
        (Selection(verifies_content=True), {0, 1, 4, 5, 6}),
        (Selection(redo=Redo.ALL), set(range(7))),
    ],
    ids=["rest", "retry-failed", "content", "all"],
)
def test_the_rest_of_a_listing_is_left(selection: Selection, left: set[int]) -> None:
    """Recordings with a row are kept, as the options want it; holes are always asked again."""
    listing = [recording(number) for number in range(7)]
    with ChunkQueue(listing, "probe", index=RowIndex(ROWS), selection=selection) as queue:
        assert queue.has_chunks()
        assert ids_of(queue) == [f"{number:04}.wav" for number in sorted(left)]
        assert queue.total == len(left)
        assert queue.is_read


@pytest.mark.parametrize(("redo", "left"), [(Redo.NONE, []), (Redo.CHANGED, ["0000.wav"])])
def test_a_changed_recording_is_counted_or_done(redo: Redo, left: list[str]) -> None:
    """Another size is another recording."""
    selection = Selection(redo=redo)
    listing = [recording(0, size_bytes=2000)]
    with ChunkQueue(listing, "probe", index=RowIndex(ROWS), selection=selection) as queue:
        assert queue.has_chunks() is bool(left)
        assert ids_of(queue) == left
    assert selection.changed == (redo is Redo.NONE)


def test_chunks_of_tar_files_keep_their_numbers() -> None:
    """A chunk is a part of the whole listing, whatever is done and whichever shard this is."""
    listing = [recording(number) for number in range(500)]
    whole = ChunkQueue(
        listing, "prepare", index=RowIndex([]), selection=Selection(), layout=ResultLayout.TAR
    )
    with whole:
        assert whole.has_chunks()
        numbers = []
        while not whole.is_empty:
            chunk = whole.take(timeout_s=5)
            numbers += [chunk.number] if chunk is not None else []
    shards = []
    for shard in range(2):
        with ChunkQueue(
            listing,
            "prepare",
            index=RowIndex([]),
            selection=Selection(),
            layout=ResultLayout.TAR,
            shard=(shard, 2),
        ) as queue:
            while not queue.is_empty:
                chunk = queue.take(timeout_s=5)
                shards += [chunk.number] if chunk is not None else []
    assert sorted(shards) == numbers == list(range(len(numbers)))


def test_a_listing_that_cannot_be_read_is_an_error_of_the_run() -> None:
    """The chunks before it are given, then its error is raised."""

    def listing() -> Iterator[Input]:
        yield recording(1)
        raise InputError("the listing ends in the middle")

    with (
        ChunkQueue(listing(), "probe", index=RowIndex([]), selection=Selection()) as queue,
        pytest.raises(InputError, match="ends in the middle"),
    ):
        ids_of(queue)
