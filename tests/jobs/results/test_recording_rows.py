from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.results.recording_rows import (
    DigestTable,
    RecordingRow,
    RowIndex,
    RowSegment,
    RowState,
    RowStatus,
    parse_row,
    read_rows,
    render_row,
    write_rows,
)
from captoolkit.jobs.stores.base_store import Store
from captoolkit.jobs.stores.object_store import open_store

ANY_NAME = st.characters()  # also the surrogates of names that are no UTF-8
SECONDS = st.floats(0, 1e6, allow_nan=False)
SEGMENTS = st.builds(
    RowSegment,
    file=st.none() | st.text(),
    start_s=SECONDS,
    end_s=SECONDS,
    duration_s=SECONDS,
    sha256=st.text(),
    status=st.sampled_from(["", "ok", "failed", "silent"]),
    text=st.none() | st.text(),
    usage=st.none()
    | st.dictionaries(st.sampled_from(["audio_tokens"]), st.integers(0), min_size=1),
)
ROWS = st.builds(
    RecordingRow,
    id=st.text(ANY_NAME),
    url=st.text(ANY_NAME),
    size_bytes=st.none() | st.integers(0, 2**63),
    version=st.none() | st.text(),
    status=st.sampled_from(list(RowStatus)),
    error=st.text(),
    tries=st.integers(1, 9),
    duration_s=st.none() | SECONDS,
    segments=st.lists(SEGMENTS, max_size=3).map(tuple),
    warnings=st.lists(st.text(), max_size=2).map(tuple),
)


def row_of(id: str, status: RowStatus = RowStatus.DONE, version: str = "etag:1") -> RecordingRow:
    """A row with an id and a version."""
    return RecordingRow(id=id, url=f"s3://b/{id}", size_bytes=1, version=version, status=status)


def input_of(id: str, version: str = "etag:1") -> Input:
    """The input of `row_of`."""
    return Input(id=id, url=f"s3://b/{id}", relative=id, size_bytes=1, version=version)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty folder as a store."""
    return open_store(str(tmp_path))


@given(ROWS)
def test_a_row_is_one_line_and_is_read_back(row: RecordingRow) -> None:
    """Any text survives; a line break in it does not end the line."""
    text = render_row(row)
    assert text.count("\n") == 1
    assert parse_row(text.encode()) == row


def test_fields_of_a_later_version_are_left_out() -> None:
    """An older captoolkit reads the rows of a newer one."""
    text = render_row(row_of("a")).replace("{", '{"colour":"red",', 1)
    assert parse_row(text) == row_of("a")


def test_rows_of_a_chunk_are_written_once(store: Store) -> None:
    """A run commits a chunk once; the file keeps the first rows."""
    assert write_rows(store, "1", "c", [row_of("a")])
    assert not write_rows(store, "1", "c", [row_of("b")])
    assert list(read_rows(store)) == [row_of("a")]


def test_the_last_row_of_a_recording_counts(store: Store) -> None:
    """A later run replaces the rows of an earlier one, recording by recording."""
    write_rows(store, "20260101T0000", "c", [row_of("a", RowStatus.FAILED), row_of("b")])
    write_rows(store, "20260102T0000", "d", [row_of("a")])
    assert {row.id: row.status for row in read_rows(store)} == {"a": "done", "b": "done"}


@pytest.mark.parametrize(
    ("recording", "state"),
    [
        (input_of("done"), RowState.FINISHED),
        (input_of("done", "etag:2"), RowState.CHANGED),
        (input_of("failed"), RowState.FAILED),
        (input_of("failed", "etag:2"), RowState.NEW),
        (input_of("holes"), RowState.HOLES),
        (input_of("holes", "etag:2"), RowState.HOLES),
        (Input(id="done", url="s3://b/done", relative="done"), RowState.FINISHED),
        (Input(id="done", url="s3://c/done", relative="done"), RowState.CHANGED),
        (Input(id="failed", url="s3://b/failed", relative="failed"), RowState.FAILED),
        (input_of("other"), RowState.NEW),
        (
            Input(id="done", url="s3://c/done", relative="x", size_bytes=1, version="etag:1"),
            "changed",
        ),
    ],
)
def test_an_input_is_compared_with_its_row(recording: Input, state: RowState) -> None:
    """Id, place, size and version decide whether a recording is done."""
    index = RowIndex(
        [row_of("done"), row_of("failed", RowStatus.FAILED), row_of("holes", RowStatus.HOLES)]
    )
    assert index.state_of(recording) == state
    assert len(index) == 3


def test_a_path_is_the_same_from_every_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative and an absolute path name the same recording."""
    row = RecordingRow(id="a", url=str(tmp_path / "a.wav"), status=RowStatus.DONE)
    monkeypatch.chdir(tmp_path)
    assert RowIndex([row]).state_of(Input(id="a", url="a.wav", relative="a.wav")) == "finished"


@given(st.dictionaries(st.text(), st.binary(min_size=3, max_size=3)))
def test_a_digest_table_is_a_map(items: dict[str, bytes]) -> None:
    """It returns each value under its text, and the first one stays."""
    table = DigestTable(3)
    for text, value in items.items():
        assert table.get(text) is None
        assert table.add(text, value)
        assert not table.add(text, b"xyz")
    assert {text: table.get(text) for text in items} == items
    assert len(table) == len(items)
