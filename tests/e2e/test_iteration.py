"""Segments are made on demand, and every way to stop removes what is left."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import os
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from captoolkit.api.prepare import prepare
from captoolkit.errors import (
    InputError,
    SourceNotFoundError,
    UsageError,
)
from captoolkit.events import Event, Progressed, SegmentReady, Started
from tests.support.preparations import (
    COUNT,
    MP3_PIECES,
    PIECES,
    listing,
    raises_at,
)
from tests.support.processes import has_children


def test_segment_is_ready_before_later_ones_exist(talk: Path) -> None:
    """The first segment is ready long before the last one is made."""
    with prepare(talk, **MP3_PIECES) as prepared:
        expected = len(prepared.plan.spans)
        first = next(iter(prepared))
        made = listing(first.path.parent)
        assert first.read_bytes()
        assert len(prepared.segments) == 1
        assert expected == COUNT
        assert len(made) < COUNT - 1


def test_second_iteration_repeats_the_segments(talk: Path) -> None:
    """Two iterations give the same segments, and each segment is made once."""
    events: list[Event] = []
    with prepare(talk, on_event=events.append, **MP3_PIECES) as prepared:
        some = list(itertools.islice(prepared, 3))
        everything = list(prepared)
        again = list(prepared)
    assert everything[:3] == some
    assert again == everything
    assert sum(isinstance(event, SegmentReady) for event in events) == COUNT


def test_breaking_out_of_the_loop_removes_everything(talk: Path, spool: Path) -> None:
    """Leaving the loop and the context ends the encoders and removes the files."""
    with prepare(talk, **MP3_PIECES) as prepared:
        for segment in prepared:
            if segment.index == 2:
                break
        assert listing(spool)
    assert listing(spool) == []
    assert not has_children()


def test_unclosed_preparation_ends_when_it_is_collected(talk: Path, spool: Path) -> None:
    """The garbage collector ends the work; a segment keeps its file as long as it lives."""
    first = next(iter(prepare(talk, **MP3_PIECES)))
    gc.collect()
    assert first.path.exists()
    assert not has_children()
    del first
    gc.collect()
    assert listing(spool) == []


def test_list_of_segments_keeps_their_files(talk: Path, spool: Path) -> None:
    """Without a `with` the files exist as long as the segments do."""
    segments = list(prepare(talk, **PIECES))
    gc.collect()
    assert all(segment.path.is_file() for segment in segments)
    del segments
    gc.collect()
    assert listing(spool) == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, GeneratorExit])
def test_exception_in_the_loop_removes_everything(
    talk: Path, spool: Path, error: type[BaseException]
) -> None:
    """An exception of the caller passes through, and everything is removed."""

    def interrupted() -> None:
        with prepare(talk, **MP3_PIECES) as prepared:
            for _ in prepared:
                raise error

    with pytest.raises(error):
        interrupted()
    assert listing(spool) == []
    assert not has_children()


@pytest.mark.parametrize(
    ("kind", "count"), [(Started, 1), (Progressed, 1), (Progressed, 2), (SegmentReady, 3)]
)
def test_exception_in_on_event_reaches_the_caller(
    talk: Path, tmp_path: Path, spool: Path, kind: type[Event], count: int
) -> None:
    """An exception in `on_event` ends the work, and nothing is saved."""
    prepared = prepare(talk, on_event=raises_at(kind, count), **MP3_PIECES)
    with prepared, pytest.raises(ZeroDivisionError, match=kind.__name__):
        prepared.save(tmp_path / "out")
    assert listing(spool) == []
    assert not (tmp_path / "out").exists() or listing(tmp_path / "out") == []
    assert not has_children()


def test_failed_preparation_stays_failed(talk: Path, tmp_path: Path) -> None:
    """After a failure, iterating and saving raise again instead of ending early."""
    with prepare(talk, on_event=raises_at(Progressed, 2), **MP3_PIECES) as prepared:
        with pytest.raises(ZeroDivisionError):
            list(prepared)
        with pytest.raises(UsageError, match="has failed before"):
            list(prepared)
        with pytest.raises(UsageError, match="has failed before"):
            prepared.save(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_closed_preparation_gives_no_segments(talk: Path, tmp_path: Path) -> None:
    """A closed preparation raises an error, and may be closed again."""
    prepared = prepare(talk, **MP3_PIECES)
    next(iter(prepared))
    prepared.close()
    prepared.close()
    with pytest.raises(UsageError, match="is closed"):
        list(prepared)
    with pytest.raises(UsageError, match="is closed"):
        prepared.save(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_discarding_never_removes_the_source(small_mp3: Path) -> None:
    """The only segment of a fitting source is the source itself, and it stays."""
    with prepare(small_mp3) as prepared:
        for segment in prepared:
            prepared.discard(segment)
    assert small_mp3.exists()


def test_discarding_removes_the_file(talk: Path, spool: Path) -> None:
    """A discarded segment's file is removed while later ones are made."""
    with prepare(talk, **PIECES) as prepared:
        for segment in prepared:
            prepared.discard(segment)
            prepared.discard(segment)
            assert not segment.path.exists()
        assert [path for path in spool.rglob("*.*") if path.suffix == ".mp3"] == []


@pytest.mark.skipif(os.name != "posix", reason="elsewhere an open file cannot be removed")
@pytest.mark.parametrize("fits", [False, True])
def test_deleted_source_is_an_input_error(
    talk: Path, small_mp3: Path, tmp_path: Path, fits: bool
) -> None:
    """A recording that is deleted before it is read is an input error, and no file is left."""
    source = tmp_path / "gone.mp3"
    shutil.copy(small_mp3 if fits else talk, source)

    def delete(event: Event) -> None:
        if isinstance(event, Started):
            source.unlink()

    options = {} if fits else PIECES
    prepared = prepare(source, on_event=delete, **options)
    with prepared, pytest.raises(InputError) as caught:
        prepared.save(tmp_path / "out")
    assert caught.value.path == str(source)
    assert listing(tmp_path / "out") == []


def test_preparation_works_in_another_process(fixtures: Path, tmp_path: Path) -> None:
    """A pickled preparation makes its segments in the other process; its files are read here."""
    source = fixtures / "hammering-mandarin.flac"
    spawning = multiprocessing.get_context("spawn")
    with (
        prepare(source, segment="15s") as prepared,
        ProcessPoolExecutor(1, mp_context=spawning) as pool,
    ):
        there = pool.submit(prepared.save, tmp_path / "there").result()
        here = prepared.save(tmp_path / "here")
    assert [one.sha256 for one in there] == [one.sha256 for one in here]
    assert {one.path.parent for one in there} == {tmp_path / "there"}
    assert [one.read_bytes() for one in there] == [one.read_bytes() for one in here]


def test_copy_of_a_saved_preparation_has_its_segments(fixtures: Path, tmp_path: Path) -> None:
    """A copy of a saved preparation has everything, and makes nothing again."""
    with prepare(fixtures / "hammering-mandarin.flac", segment="15s") as prepared:
        segments = prepared.save(tmp_path / "out")
        copy = pickle.loads(pickle.dumps(prepared))
    assert tuple(copy) == copy.segments == segments
    assert (copy.plan, copy.source, copy.skipped) == (prepared.plan, prepared.source, ())
    copy.save(tmp_path / "again")
    manifests = [tmp_path / one / "hammering-mandarin.manifest.json" for one in ("out", "again")]
    assert manifests[0].read_bytes() == manifests[1].read_bytes()


def test_copy_owns_no_files(fixtures: Path) -> None:
    """A copy of an unfinished preparation starts again, and removes no file of the original."""
    with prepare((fixtures / "hammering-mandarin.flac").read_bytes(), segment="15s") as prepared:
        first = next(iter(prepared))
        with pickle.loads(pickle.dumps(prepared)) as copy:
            assert copy.segments == ()
            assert next(iter(copy)).sha256 == first.sha256
        lent = pickle.loads(pickle.dumps(first))
        del copy, lent
        gc.collect()
        assert first.path.is_file()
        assert len(list(prepared)) == 3


def test_copy_without_its_source_is_an_input_error(fixtures: Path) -> None:
    """A source in memory goes when the original is closed; the error does not blame the sound."""
    with prepare((fixtures / "hammering-mandarin.flac").read_bytes(), segment="15s") as prepared:
        copy = pickle.loads(pickle.dumps(prepared))
    with copy, pytest.raises(SourceNotFoundError, match="the source is gone"):
        list(copy)
