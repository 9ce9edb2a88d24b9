from __future__ import annotations

import dataclasses
import io
import json
import re
import tarfile
from collections import defaultdict
from pathlib import Path

import pytest

from captoolkit.jobs.chunks import chunk_of, chunks_of, split_chunk
from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.results.recording_rows import RecordingRow, RowStatus
from captoolkit.jobs.stores.object_store import open_store
from captoolkit.jobs.work import Task, work_on
from captoolkit.support import files
from tests.support.batches import listed, rows_of, task_of, write_recordings

NAMES = ("talks/a.wav", "talks/a.b.wav", "talks/a-2.wav", "b.wav")
# The rule by which WebDataset (`webdataset.tariterators.base_plus_ext`) splits a member's name.
WEBDATASET_NAME = re.compile(r"^((?:.*/|)[^.]+)[.]([^/]*)$")


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A folder with recordings whose names are alike."""
    return write_recordings(tmp_path / "in", NAMES)


def packed(inputs: list[Input], out: str | Path, **facts: object) -> list[RecordingRow]:
    """Do a chunk with the tar layout, in segments of a second."""
    task = task_of(inputs, out, layout="tar", options={"segment": "1s"})
    return work_on(dataclasses.replace(task, **facts))  # type: ignore[arg-type]


def members_of(data: bytes) -> dict[str, bytes]:
    """The members of a tar file by name, in order."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = {}
        for member in tar:
            stream = tar.extractfile(member)
            assert stream is not None
            assert (member.mtime, member.uid, member.gid, member.uname) == (0, 0, 0, "")
            found[member.name] = stream.read()
        return found


def test_members_have_the_keys_that_webdataset_expects(recordings: Path, tmp_path: Path) -> None:
    """Each segment is one sample of a sound and its facts; members are sorted."""
    rows = packed(listed(recordings), tmp_path / "out")
    members = members_of((tmp_path / "out/shard-000000.tar").read_bytes())
    assert list(members) == sorted(members)
    samples: dict[str, dict[str, bytes]] = defaultdict(dict)
    for name, data in members.items():
        match = WEBDATASET_NAME.match(name)
        assert match is not None
        samples[match[1]][match[2]] = data
    assert len(samples) == 2 * len(NAMES)
    assert all(set(sample) == {"json", "wav"} for sample in samples.values())
    for row in rows:
        for segment in row.segments:
            shard, _, member = (segment.file or "").partition("#")
            assert shard == "shard-000000.tar"
            facts = json.loads(members[member.replace(".wav", ".json")])
            assert (facts["id"], facts["sha256"]) == (row.id, segment.sha256)


def test_the_same_recordings_give_the_same_bytes(recordings: Path, tmp_path: Path) -> None:
    """Bytes depend neither on the order of the chunk nor on the store or the time."""
    inputs = listed(recordings)
    packed(inputs, tmp_path / "one")
    packed(inputs[::-1], tmp_path / "two")
    for name in ("shard-000000.tar", "shard-000000.jsonl"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_second_attempt_takes_the_rows_of_the_first(recordings: Path, s3: str) -> None:
    """The rows next to a tar file mark it as complete: nothing is read or made again."""
    first = packed(listed(recordings), s3)
    version = open_store(s3).stat("shard-000000.tar").version
    inputs = listed(recordings)
    for path in recordings.rglob("*.wav"):
        path.unlink()
    again = packed(inputs, s3)
    assert [dataclasses.replace(row, worker_s=0.0) for row in first] == again
    assert open_store(s3).stat("shard-000000.tar").version == version


def test_a_recording_that_failed_is_tried_again_in_a_file_of_its_own(
    recordings: Path, tmp_path: Path
) -> None:
    """The tar file of a chunk stays as it is; the rest of the chunk gets its own name."""
    path, out = recordings / "b.wav", tmp_path / "out"
    whole = path.read_bytes()
    path.write_bytes(b"damaged")
    rows = {row.id: row for row in packed(listed(recordings), out)}
    assert rows["b.wav"].status is RowStatus.FAILED
    before = (out / "shard-000000.tar").read_bytes()
    path.write_bytes(whole)
    task = task_of([], out, layout="tar", options={"segment": "1s"})
    rest = chunk_of(listed(path), number=0, is_part=True)
    (row,) = work_on(dataclasses.replace(task, chunk=rest))
    assert row.is_finished
    assert (out / "shard-000000.tar").read_bytes() == before
    assert len(members_of((out / f"shard-000000-{rest.id}.tar").read_bytes())) == 4


def test_shards_together_are_the_whole(recordings: Path, tmp_path: Path) -> None:
    """Each Nth chunk of the listing, in N runs, gives the files of one run over all chunks."""
    chunks = list(chunks_of(listed(recordings), "prepare", most=1))
    base = task_of([], "", layout="tar", options={"segment": "1s"})

    def run(out: Path, numbers: range) -> None:
        for number in numbers:
            task: Task = dataclasses.replace(base, chunk=chunks[number], out=str(out))
            rows_of(task)

    run(tmp_path / "whole", range(len(chunks)))
    for shard in range(3):
        run(tmp_path / "shards", range(shard, len(chunks), 3))
    whole, shards = (
        {path.name: files.sha256(path) for path in (tmp_path / name).glob("*")}
        for name in ("whole", "shards")
    )
    assert whole == shards
    assert len(whole) == 2 * len(NAMES)


def test_parts_of_a_chunk_keep_its_number(recordings: Path) -> None:
    """The recordings of a chunk that ended its worker are parts of it."""
    chunk = chunk_of(listed(recordings), number=7)
    parts = split_chunk(chunk)
    assert [part.inputs[0] for part in parts] == list(chunk.inputs)
    assert {(part.number, part.is_part) for part in parts} == {(7, True)}


def test_a_later_run_keeps_the_tar_file_of_other_recordings(tmp_path: Path) -> None:
    """A name that holds other recordings is not replaced: the chunk's id is added."""
    out = tmp_path / "out"
    (first,) = packed(listed(write_recordings(tmp_path / "a", ["a.wav"])), out)
    before = (out / "shard-000000.tar").read_bytes()
    inputs = listed(write_recordings(tmp_path / "b", ["b.wav"]))
    (second,) = packed(inputs, out)
    id = chunk_of(inputs).id
    assert (out / "shard-000000.tar").read_bytes() == before
    assert first.segments[0].file == "shard-000000.tar#a_001.wav"
    assert second.segments[0].file == f"shard-000000-{id}.tar#b_001.wav"
    assert (out / f"shard-000000-{id}.jsonl").exists()
    written_ns = (out / f"shard-000000-{id}.tar").stat().st_mtime_ns
    (again,) = packed(inputs, out)
    assert again.segments == second.segments
    assert (out / f"shard-000000-{id}.tar").stat().st_mtime_ns == written_ns


def test_a_changed_recording_is_packed_again(tmp_path: Path) -> None:
    """Earlier rows count only for recordings of the same size and version."""
    folder, out = write_recordings(tmp_path / "in", ["a.wav"]), tmp_path / "out"
    packed(listed(folder), out)
    write_recordings(folder, ["a.wav"], seconds=3.0)
    (row,) = packed(listed(folder), out)
    assert (row.duration_s, len(row.segments)) == (3.0, 3)
    assert len(members_of((out / "shard-000000.tar").read_bytes())) == 6
