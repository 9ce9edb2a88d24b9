from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import captoolkit
from captoolkit.api.prepare import prepare
from captoolkit.errors import CancelledError, InputError, NotMediaError, UsageError
from captoolkit.events import Event, Progressed, SegmentReady, Started
from captoolkit.model import Action
from captoolkit.pipeline.prepared import Prepared
from captoolkit.pipeline.segment import ReadySegment
from tests.support.paths import ROOT
from tests.support.processes import has_children
from tests.support.sound import Convert, noise, write_wav

PATIENCE_S = 30


@pytest.fixture(autouse=True)
def spool(temporary: Path) -> Iterator[Path]:
    """The system's temporary folder; no child runs afterwards."""
    yield temporary
    assert not has_children()


@pytest.fixture(scope="module")
def mp3(tmp_path_factory: pytest.TempPathFactory, convert: Convert) -> Path:
    """Four minutes whose frames are copied, by several threads."""
    folder = tmp_path_factory.mktemp("recordings")
    wav = write_wav(folder / "talk.wav", noise(240.0, rate_hz=16_000), rate_hz=16_000)
    return convert(wav, folder / "talk.mp3", ["-b:a", "64k"])


def threads() -> list[str]:
    """The names of captoolkit's running threads."""
    return [one.name for one in threading.enumerate() if one.name.startswith("captoolkit")]


class Closer:
    """An `on_event` that closes the preparation at the given event of a kind."""

    def __init__(self, kind: type[Event], number: int = 1) -> None:
        self._kind = kind
        self._left = itertools.count(number, -1)
        self.work: Prepared | None = None

    def __call__(self, event: Event) -> None:
        """Close it, if it is that event."""
        if isinstance(event, self._kind) and next(self._left) == 1:
            assert self.work is not None
            self.work.close()


@pytest.mark.parametrize("kind", [Progressed, SegmentReady])
@pytest.mark.parametrize("number", [1, 9, 40])
def test_closing_in_an_event_leaves_nothing(
    mp3: Path, spool: Path, kind: type[Event], number: int
) -> None:
    """When the loop has ended no thread runs, and the files of the threads are removed."""
    cancel = Closer(kind, number)
    cancel.work = prepare(mp3, segment="2s", jobs=8, on_event=cancel)
    with pytest.raises(CancelledError, match="is closed"):
        list(cancel.work)
    assert threads() == []
    assert list(spool.rglob("*")) == []


@pytest.mark.parametrize("options", [{"segment": "2s"}, {"format": "wav"}, {}])
def test_closing_before_the_work_begins(mp3: Path, spool: Path, options: dict[str, Any]) -> None:
    """Closed inside `Started`, it does no work and raises that it is closed."""
    told: list[Event] = []
    cancel = Closer(Started)

    def on_event(event: Event) -> None:
        told.append(event)
        cancel(event)

    cancel.work = prepare(mp3, on_event=on_event, **options)
    with pytest.raises(UsageError, match="is closed"):
        list(cancel.work)
    assert [type(event) for event in told] == [Started]
    assert threads() == []
    assert list(spool.rglob("*")) == []


@pytest.mark.parametrize("options", [{}, {"format": "wav"}])
def test_several_threads_see_all_segments(mp3: Path, options: dict[str, Any]) -> None:
    """Each thread that iterates gets every segment, each made once, and none gets an error."""
    ready: list[Event] = []

    def note(event: Event) -> None:
        if isinstance(event, SegmentReady):
            ready.append(event)

    together = threading.Barrier(4)
    with (
        prepare(mp3, segment="4s", on_event=note, **options) as work,
        ThreadPoolExecutor(4) as pool,
    ):

        def take() -> list[ReadySegment]:
            together.wait(PATIENCE_S)
            return list(work)

        taken = [future.result(PATIENCE_S) for future in [pool.submit(take) for _ in range(4)]]
        assert taken == [list(work.segments)] * 4
        assert len(ready) == len(work.segments) == len(work.plan.spans)


@pytest.mark.parametrize("kind", [Started, Progressed])
@pytest.mark.parametrize("options", [{}, {"format": "wav"}])
def test_asking_for_a_segment_inside_an_event_does_not_hang(
    mp3: Path, options: dict[str, Any], kind: type[Event]
) -> None:
    """A callback that waits for a segment is refused, because the worker waits for the callback."""
    works: list[Prepared] = []

    def greedy(event: Event) -> None:
        if isinstance(event, kind):
            list(works[0])

    works.append(prepare(mp3, segment="4s", on_event=greedy, **options))
    with works[0] as work, pytest.raises(UsageError, match="inside on_event"):
        list(work)


ENDING = """
import atexit, pathlib, sys, threading
from captoolkit import UsageError, prepare
from captoolkit.events import SegmentReady

def pause(event):
    if isinstance(event, SegmentReady) and event.segment.index == 2:
        ready.set()
        ended.wait()

def save():
    try:
        prepare(sys.argv[1], segment="2s", on_event=pause).save(sys.argv[2])
    except UsageError as error:
        print(error.problem)

def go_on():  # after captoolkit's own functions
    ended.set()
    thread.join()

ready, ended = threading.Event(), threading.Event()
atexit.register(go_on)
thread = threading.Thread(target=save, daemon=True)
thread.start()
ready.wait()
"""


def test_end_of_the_program_saves_no_part(tmp_path: Path) -> None:
    """A daemon thread that saves when the program ends leaves all segments or none."""
    sound = noise(20, rate_hz=8000)
    wav, out = write_wav(tmp_path / "a.wav", sound, rate_hz=8000), tmp_path / "out"
    command = [sys.executable, "-c", ENDING, str(wav), str(out)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.stderr) == ("this preparation is closed\n", "")
    assert not out.exists() or not [*out.iterdir()]


def test_sound_that_ffmpeg_cannot_decode_is_not_called_short(
    tmp_path: Path, convert: Convert
) -> None:
    """Frames of 65,535 samples of six channels are too large for ffmpeg, without any message."""
    wav = write_wav(tmp_path / "a.wav", noise(5, rate_hz=16_000, channels=6), rate_hz=16_000)
    flac = convert(wav, tmp_path / "a.flac", ["-frame_size", "65535", "-strict", "-2"])
    with pytest.raises(NotMediaError, match="none of its sound can be decoded"):
        prepare(flac).save(tmp_path / "out")


def test_closing_ends_the_ffmpeg_that_unwraps(
    tmp_path: Path, mp3: Path, convert: Convert, spool: Path
) -> None:
    """Closing in another thread ends the ffmpeg that extracts frames; the error says closed."""
    bare = convert(mp3, tmp_path / "bare.mp3", ["-c", "copy", "-write_xing", "0"])
    whole = tmp_path / "whole.mp3"
    whole.write_bytes(bare.read_bytes() * 20)
    long = convert(whole, tmp_path / "long.mkv", ["-c", "copy"])
    work = prepare(long, segment="10m")
    assert work.plan.action is Action.COPY
    with ThreadPoolExecutor(1) as pool:
        taking = pool.submit(list, work)
        while not list(spool.rglob("stream.mp3")) and not taking.done():
            threading.Event().wait(0.002)
        work.close()
        with pytest.raises(UsageError, match="is closed"):
            taking.result(PATIENCE_S)
    assert list(spool.rglob("*")) == []


def test_the_repr_counts_the_segments(mp3: Path) -> None:
    """It states the source, the segments that are ready, and the state of the work."""
    with prepare(mp3, parts=2) as prepared:
        assert repr(prepared) == f"<Prepared from {str(mp3)!r}: 0 segments so far, made on demand>"
        list(prepared)
        assert repr(prepared) == f"<Prepared from {str(mp3)!r}: 2 segments so far, complete>"


@pytest.mark.parametrize(
    ("sound_s", "parts", "lasts"), [(20, 2, "about 10 s each"), (7, 2, "2.99 s to 4.01 s")]
)
def test_the_manifest_names_the_range_of_lengths_once_if_it_is_one_length(
    tmp_path: Path, sound_s: int, parts: int, lasts: str
) -> None:
    """A silence of known place decides the cut; equal lengths are one length."""
    rate_hz, quiet_at_s = 16_000, 10 if sound_s == 20 else 3
    sound = noise(sound_s, rate_hz=rate_hz)
    sound[(quiet_at_s * rate_hz) - 4_000 : (quiet_at_s * rate_hz) + 4_000] = 0
    wav = write_wav(tmp_path / "talk.wav", sound, rate_hz=rate_hz)
    with prepare(wav, parts=parts, format="mp3") as prepared:
        prepared.save(tmp_path / "out")
    assert f"The 2 segments last {lasts}." in (tmp_path / "out" / "talk.manifest.json").read_text()


@pytest.mark.parametrize("options", [{"segment": "2s"}, {"segment": "2s", "format": "mp3"}])
def test_a_source_that_is_written_to_meanwhile_is_refused(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    """Its segments may be of different states; a later change, or removal, is accepted."""
    path = write_wav(tmp_path / "a.wav", noise(6, rate_hz=16_000), rate_hz=16_000)

    def append(event: Event) -> None:
        if isinstance(event, SegmentReady) and event.segment.index == 1:
            with path.open("ab") as stream:
                stream.write(bytes(64_000))

    with (
        prepare(path, on_event=append, **options) as prepared,
        pytest.raises(InputError, match="it changed while it was being prepared"),
    ):
        prepared.save(tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))
    with pytest.raises(InputError, match="it changed while it was being prepared"):
        captoolkit.caption(path, on_event=append, **options)
    with (
        captoolkit.captions(path, on_event=append, **options) as entries,
        pytest.raises(InputError, match="it changed while it was being prepared"),
    ):
        list(entries)
    with prepare(path, **options) as prepared:
        assert len([*prepared]) > 1
        path.unlink()
        prepared.save(tmp_path / "out")


def test_a_copy_of_a_source_that_grows_is_refused_as_such(tmp_path: Path, convert: Convert) -> None:
    """A piece holds other sound than planned, because a recorder still writes the file."""
    wav = write_wav(tmp_path / "a.wav", noise(12, rate_hz=16_000), rate_hz=16_000)
    path = convert(wav, tmp_path / "a.mp3", ["-c:a", "libmp3lame", "-write_xing", "0"])
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])

    def append(event: Event) -> None:
        if isinstance(event, Started):
            path.write_bytes(data)

    with (
        captoolkit.split(path, max_segment="4s", on_event=append) as pieces,
        pytest.raises(InputError, match="it changed while it was being prepared"),
    ):
        pieces.save(tmp_path / "out")


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (lambda path: path.unlink(), "the source is gone"),
        (lambda path: os.truncate(path, 9000), "it changed while it was being prepared"),
    ],
)
def test_a_source_that_is_removed_or_cut_off_meanwhile_is_named(
    tmp_path: Path, convert: Convert, harm: Callable[[Path], None], problem: str
) -> None:
    """The frames of a piece are read from the source, whose loss is no fault of the output."""
    wav = write_wav(tmp_path / "a.wav", noise(12, rate_hz=16_000), rate_hz=16_000)
    path = convert(wav, tmp_path / "a.mp3", ["-c:a", "libmp3lame"])
    with captoolkit.split(path, max_segment="4s") as pieces:
        next(iter(pieces))
        harm(path)
        with pytest.raises(InputError, match=problem):
            pieces.save(tmp_path / "out")
    assert not (tmp_path / "out").exists()
