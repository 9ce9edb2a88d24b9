from __future__ import annotations

import base64
import dataclasses
import gc
import hashlib
import http.server
import io
import itertools
import json
import multiprocessing
import os
import pickle
import shutil
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from captoolkit.api.plan import plan
from captoolkit.api.prepare import prepare
from captoolkit.api.probe import probe
from captoolkit.api.split import split
from captoolkit.errors import (
    CaptoolkitError,
    InputError,
    LimitError,
    NoAudioError,
    NotMediaError,
    OutputError,
    OutputExistsError,
    SourceNotFoundError,
    UsageError,
)
from captoolkit.events import Event, Progressed, SegmentReady, Started
from captoolkit.media.frame_index import read_frame_index
from captoolkit.media.source import OpenSource
from captoolkit.model import Action, Span
from captoolkit.pipeline.prepared import Prepared
from captoolkit.pipeline.segment import ReadySegment
from captoolkit.planning.options import FormatName
from tests.support.processes import has_children
from tests.support.sound import Convert, Sound, level_dbfs, noise, silence, tone, write_wav

RATE_HZ = 44_100
PIECES: dict[str, Any] = {"format": "wav", "segment": "3s"}
MP3_PIECES: dict[str, Any] = {"format": "mp3", "segment": "3s"}
COUNT = 8  # of such pieces are made of the recording below
PAUSES_S = (6.5, 11.4, 18.0, 23.7)  # middles of silences in the other one
PAUSE_S = 0.4
LENGTH_S = 30.0
CLICKS_S = tuple(0.71 + 1.3 * number for number in range(22))


@pytest.fixture(autouse=True)
def spool(temporary: Path) -> Iterator[Path]:
    """The system's temporary folder: empty afterwards, and no child runs any more."""
    yield temporary
    gc.collect()
    assert listing(temporary) == []
    assert not has_children()


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings to prepare."""
    return tmp_path_factory.mktemp("recordings")


@pytest.fixture(scope="module")
def talk(recordings: Path) -> Path:
    """24 s of noise at 16 kHz, one channel."""
    return write_wav(recordings / "talk.wav", noise(24.0, rate_hz=16_000), rate_hz=16_000)


@pytest.fixture(scope="module")
def clicks(recordings: Path) -> Path:
    """30 s of murmur with clicks at known samples and silences at known places, in stereo."""
    sound = noise(LENGTH_S, rate_hz=RATE_HZ, amplitude=0.05)
    for middle_s in PAUSES_S:
        first = round((middle_s - PAUSE_S / 2) * RATE_HZ)
        sound[first : first + round(PAUSE_S * RATE_HZ)] = 0
    for click_s in CLICKS_S:
        at = round(click_s * RATE_HZ)
        sound[at - 4 : at + 5] = 0.9 * np.hanning(11)[1:-1, None]
    path = recordings / "clicks.flac"
    soundfile.write(str(path), np.repeat(sound, 2, axis=1), RATE_HZ)
    return path


@pytest.fixture(scope="module")
def small_mp3(recordings: Path, convert: Convert, talk: Path) -> Path:
    """An MP3 that the service takes as it is."""
    return convert(talk, recordings / "small.mp3", ["-b:a", "64k"])


def listing(folder: Path) -> list[str]:
    """Everything below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def names(stem: str, count: int, suffix: str = "wav") -> list[str]:
    """What a saved preparation consists of."""
    return [
        *(f"{stem}.{number:03d}.{suffix}" for number in range(1, count + 1)),
        f"{stem}.manifest.json",
    ]


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def joined(segments: Iterator[ReadySegment] | tuple[ReadySegment, ...]) -> NDArray[np.float32]:
    """The sound of all segments, one after another."""
    return np.concatenate([segment.to_array()[0] for segment in segments])


def raises_at(kind: type[Event], count: int = 1) -> Any:
    """An `on_event` that raises at the given event of that kind."""
    seen = itertools.count(1)

    def on_event(event: Event) -> None:
        if isinstance(event, kind) and next(seen) == count:
            raise ZeroDivisionError(kind.__name__)

    return on_event


# ------------------------------------------------------------------------- what comes out


@pytest.mark.parametrize("wish", ["wav", "mp3"])
def test_segments_tile_the_source(clicks: Path, wish: FormatName) -> None:
    """Segment follows segment from the first sample to the last, and none is misplaced."""
    with prepare(clicks, format=wish, segment="6s") as prepared:
        segments = list(prepared)
        arrays = [segment.to_array() for segment in segments]

    spans = [segment.source_span for segment in segments]
    assert len(spans) == 5
    assert spans[0].start_samples == 0
    assert spans[-1].end_samples == LENGTH_S * RATE_HZ
    for before, after in itertools.pairwise(spans):
        assert before.end_samples == after.start_samples
    for span, (sound, rate_hz) in zip(spans, arrays, strict=True):
        assert len(sound) / rate_hz == pytest.approx(span.duration_s, abs=0.0021)
        inside = [at for at in CLICKS_S if span.start_s + 0.02 < at < span.end_s - 0.02]
        assert inside
        for click_s in inside:
            local = round((click_s - span.start_s) * rate_hz)
            around = rate_hz // 100
            found = int(np.argmax(np.abs(sound[local - around : local + around, 0])))
            assert abs(found - around) <= 0.0003 * rate_hz


def test_a_bit_rate_may_be_written_as_people_write_it(talk: Path) -> None:
    """A bit rate is taken as a text, as lengths are; a text that is none is refused in words."""
    made = plan(talk, bit_rate="64k").encoding
    assert made is not None
    assert made == plan(talk, bit_rate=64_000).encoding
    assert made.bit_rate == 64_000
    with pytest.raises(UsageError, match="'loud' is not a bit rate; write 64k"):
        plan(talk, bit_rate="loud")


def test_cuts_fall_into_the_silences(clicks: Path) -> None:
    """Where there is a pause within reach, the cut lies in it."""
    with prepare(clicks, format="mp3", segment="6s") as prepared:
        cuts = [segment.source_span.end_s for segment in prepared][:-1]
    assert [abs(at - pause) < PAUSE_S / 2 for at, pause in zip(cuts, PAUSES_S, strict=True)] == [
        True
    ] * 4


def test_no_sample_is_lost_or_doubled(talk: Path) -> None:
    """Lossless segments put together are the source, sample by sample."""
    with prepare(talk, format="wav", segment="5s") as prepared:
        assert prepared.plan.action is Action.ENCODE
        sound = joined(tuple(prepared))
    np.testing.assert_allclose(
        sound, soundfile.read(str(talk), dtype="float32", always_2d=True)[0], atol=1e-7
    )


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_any_rate_is_tiled(tmp_path: Path, rate_hz: int, channels: int) -> None:
    """The spans are on the source's own clock, whatever rate the segments have."""
    sound = noise(7.217, rate_hz=rate_hz, channels=channels)
    path = write_wav(tmp_path / "talk.wav", sound, rate_hz=rate_hz)
    with prepare(path, **PIECES) as prepared:
        spans = [segment.source_span for segment in prepared]
    edges = [span.start_samples for span in spans] + [len(sound)]
    assert spans == [
        Span(start_samples=start, end_samples=end, rate_hz=rate_hz)
        for start, end in itertools.pairwise(edges)
    ]
    assert edges[0] == 0


def test_out_of_phase_channels_do_not_cancel(fixtures: Path) -> None:
    """L = -R comes out as loud as one of the channels."""
    truth = json.loads((fixtures / "out-of-phase.flac.json").read_text(encoding="utf-8"))
    with prepare(fixtures / "out-of-phase.flac") as prepared:
        level = level_dbfs(joined(tuple(prepared)))
        assert any("cancel each other" in reason for reason in prepared.plan.reasons)
    assert level == pytest.approx(truth["channel_levels_dbfs"][0], abs=0.7)


@pytest.mark.parametrize("dead", [0, 1])
def test_a_dead_channel_does_not_halve_the_level(tmp_path: Path, dead: int) -> None:
    """One silent channel is left out of the mix."""
    sound = np.repeat(tone(4.0, rate_hz=RATE_HZ), 2, axis=1)
    sound[:, dead] = 0
    path = write_wav(tmp_path / "talk.wav", sound, rate_hz=RATE_HZ)
    with prepare(path, format="wav") as prepared:
        level = level_dbfs(joined(tuple(prepared)))
    assert level == pytest.approx(level_dbfs(tone(4.0, rate_hz=RATE_HZ)), abs=0.05)


def test_the_chosen_track_is_prepared(fixtures: Path) -> None:
    """A language chooses the sound that is sent."""
    path = fixtures / "two-languages.mp4"
    with prepare(path, track="zho", format="wav") as prepared:
        (segment,) = prepared
        assert prepared.source.track == 2
    assert segment.source_span == Span(start_samples=0, end_samples=110_250, rate_hz=22_050)
    with pytest.raises(NoAudioError, match="no sound track 3"):
        prepare(path, track=3)


def test_silence_can_be_prepared(tmp_path: Path) -> None:
    """Digital silence from end to end is cut and encoded like anything else."""
    path = write_wav(tmp_path / "a.wav", silence(9.0, rate_hz=16_000), rate_hz=16_000)
    with prepare(path, **PIECES) as prepared:
        assert level_dbfs(joined(tuple(prepared))) < -80
        assert len(prepared.segments) == 3


# ----------------------------------------------------------------------------- as it goes


def test_a_segment_is_ready_while_later_ones_do_not_exist(talk: Path) -> None:
    """The first segment can be sent long before the last one is made."""
    with prepare(talk, **MP3_PIECES) as prepared:
        expected = len(prepared.plan.spans)
        first = next(iter(prepared))
        made = listing(first.path.parent)
        assert first.read_bytes()
        assert len(prepared.segments) == 1
        assert expected == COUNT
        assert len(made) < COUNT - 1


def test_nothing_happens_before_somebody_asks(talk: Path, spool: Path) -> None:
    """Preparing alone plans: no event, no file, no child."""
    events: list[Event] = []
    with prepare(talk, on_event=events.append, **MP3_PIECES) as prepared:
        assert (events, listing(spool), prepared.segments) == ([], [], ())
        assert not has_children()


def test_events_tell_the_story_in_order(talk: Path) -> None:
    """Started, then progress that only grows, and each segment once."""
    events: list[Event] = []
    with prepare(talk, on_event=events.append, **MP3_PIECES) as prepared:
        segments = list(prepared)
    assert events[0] == Started(path=str(talk), plan=prepared.plan)
    progress = [event for event in events if isinstance(event, Progressed)]
    assert [one.done_s for one in progress] == sorted({one.done_s for one in progress})
    assert (progress[-1].done_s, progress[-1].total_s) == (24.0, 24.0)
    ready = [event.segment for event in events if isinstance(event, SegmentReady)]
    assert ready == segments
    assert {event.path for event in events} == {str(talk)}


def test_iterating_again_begins_with_what_is_there(talk: Path) -> None:
    """Two readers see the same segments; nothing is made twice."""
    events: list[Event] = []
    with prepare(talk, on_event=events.append, **MP3_PIECES) as prepared:
        some = list(itertools.islice(prepared, 3))
        everything = list(prepared)
        again = list(prepared)
    assert everything[:3] == some
    assert again == everything
    assert sum(isinstance(event, SegmentReady) for event in events) == COUNT


# ------------------------------------------------------------------------------ the end


def test_breaking_out_leaves_nothing(talk: Path, spool: Path) -> None:
    """Leaving the loop and the context ends the encoders and removes the files."""
    with prepare(talk, **MP3_PIECES) as prepared:
        for segment in prepared:
            if segment.index == 2:
                break
        assert listing(spool)
    assert listing(spool) == []
    assert not has_children()


def test_forgetting_to_close_leaves_nothing_for_long(talk: Path, spool: Path) -> None:
    """What is dropped unfinished ends when it is collected; a segment's file lives as it does."""
    first = next(iter(prepare(talk, **MP3_PIECES)))
    gc.collect()
    assert first.path.exists()
    assert not has_children()
    del first
    gc.collect()
    assert listing(spool) == []


def test_a_list_of_segments_can_be_used(talk: Path, spool: Path) -> None:
    """Without a `with` the files are there as long as somebody holds a segment."""
    segments = list(prepare(talk, **PIECES))
    gc.collect()
    assert all(segment.path.is_file() for segment in segments)
    del segments
    gc.collect()
    assert listing(spool) == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, GeneratorExit])
def test_an_exception_in_the_loop_leaves_nothing(
    talk: Path, spool: Path, error: type[BaseException]
) -> None:
    """What the caller raises passes through, and takes everything with it."""

    def interrupted() -> None:
        with prepare(talk, **MP3_PIECES) as prepared:
            for _ in prepared:
                raise error

    with pytest.raises(error):
        interrupted()
    assert listing(spool) == []
    assert not has_children()


@pytest.mark.parametrize(
    ("kind", "count"), [(Started, 1), (Progressed, 1), (Progressed, 11), (SegmentReady, 3)]
)
def test_an_exception_in_on_event_reaches_the_caller(
    talk: Path, tmp_path: Path, spool: Path, kind: type[Event], count: int
) -> None:
    """What `on_event` raises ends the work, leaves nothing, and nothing is saved."""
    prepared = prepare(talk, on_event=raises_at(kind, count), **MP3_PIECES)
    with prepared, pytest.raises(ZeroDivisionError, match=kind.__name__):
        prepared.save(tmp_path / "out")
    assert listing(spool) == []
    assert not (tmp_path / "out").exists() or listing(tmp_path / "out") == []
    assert not has_children()


def test_after_a_failure_there_is_no_half_of_a_result(talk: Path, tmp_path: Path) -> None:
    """What failed once does not end as if it were complete."""
    with prepare(talk, on_event=raises_at(Progressed, 11), **MP3_PIECES) as prepared:
        with pytest.raises(ZeroDivisionError):
            list(prepared)
        with pytest.raises(UsageError, match="has failed before"):
            list(prepared)
        with pytest.raises(UsageError, match="has failed before"):
            prepared.save(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_closed_gives_no_more(talk: Path, tmp_path: Path) -> None:
    """A closed preparation says so, and may be closed again."""
    prepared = prepare(talk, **MP3_PIECES)
    next(iter(prepared))
    prepared.close()
    prepared.close()
    with pytest.raises(UsageError, match="is closed"):
        list(prepared)
    with pytest.raises(UsageError, match="is closed"):
        prepared.save(tmp_path / "out")
    assert not (tmp_path / "out").exists()


# -------------------------------------------------------------------------------- saving


def test_saving_leaves_segments_and_their_manifest(talk: Path, tmp_path: Path) -> None:
    """A folder, made if need be, receives exactly these files, and they stay."""
    out = tmp_path / "deep" / "out"
    with prepare(talk, **PIECES) as prepared:
        segments = prepared.save(out)
        assert listing(out) == names("talk", COUNT)
    assert [segment.path for segment in segments] == [
        out / name for name in names("talk", COUNT)[:-1]
    ]
    assert listing(out) == names("talk", COUNT)


def test_saving_needs_no_context(talk: Path, tmp_path: Path) -> None:
    """The short form leaves the files and nothing else."""
    segments = prepare(talk, **PIECES).save(str(tmp_path / "out"))
    gc.collect()
    assert all(segment.path.exists() for segment in segments)
    assert listing(tmp_path / "out") == names("talk", COUNT)


@pytest.mark.parametrize("taken", [0, 1, 5, COUNT])
def test_saving_goes_on_from_where_iterating_stopped(
    talk: Path, tmp_path: Path, taken: int
) -> None:
    """Segments that were taken before are saved like the others, once."""
    with prepare(talk, **PIECES) as prepared:
        before = list(itertools.islice(prepared, taken))
        segments = prepared.save(tmp_path / "out")
        assert [segment.sha256 for segment in before] == [
            segment.sha256 for segment in segments[:taken]
        ]
    assert [digest(segment.path) for segment in segments] == [one.sha256 for one in segments]
    assert listing(tmp_path / "out") == names("talk", COUNT)


@pytest.mark.parametrize("second", ["other", "out/inner", "."])
def test_saving_twice_makes_two_copies(talk: Path, tmp_path: Path, second: str) -> None:
    """The second folder gets the same files, and the first keeps its own, wherever both lie."""
    outs = tmp_path / "x" / "out", tmp_path / "x" / second
    with prepare(talk, **PIECES) as prepared:
        for out in outs:
            prepared.save(out)
    for out in outs:
        assert sorted(path.name for path in out.iterdir() if path.is_file()) == names("talk", COUNT)
    for name in names("talk", COUNT):
        assert digest(outs[0] / name) == digest(outs[1] / name)


def test_saving_under_another_name(talk: Path, tmp_path: Path) -> None:
    """A stem names the segments and the manifest, also after a first save."""
    with prepare(talk, **PIECES) as prepared:
        prepared.save(tmp_path / "out", stem="会议 %d")
        prepared.save(tmp_path / "out", stem="-again")
    assert listing(tmp_path / "out") == sorted([*names("会议 %d", COUNT), *names("-again", COUNT)])


@pytest.mark.parametrize("stem", ["", ".", "..", "a/b", "../a", "/a", "a\0b"])
def test_a_stem_is_a_plain_name(talk: Path, tmp_path: Path, stem: str) -> None:
    """Nothing lands outside the folder that was named."""
    with prepare(talk, **PIECES) as prepared, pytest.raises(UsageError, match="plain name"):
        prepared.save(tmp_path / "out", stem=stem)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.name != "posix", reason="such names exist on POSIX only")
@pytest.mark.parametrize("stem", ["-i", "line\nbreak", "caf\udce9\udcff", 'it\'s "%d"', ".hidden"])
def test_a_source_may_have_any_name(talk: Path, tmp_path: Path, stem: str) -> None:
    """The source's odd name is its segments' name, and the manifest tells it."""
    source = tmp_path / f"{stem}.wav"
    shutil.copy(talk, source)
    prepare(source, **PIECES).save(tmp_path / "out")
    assert listing(tmp_path / "out") == sorted(names(stem, COUNT))
    manifest = json.loads((tmp_path / "out" / f"{stem}.manifest.json").read_text(encoding="utf-8"))
    assert manifest["source"]["path"] == str(source)
    assert [one["file"] for one in manifest["segments"]] == names(stem, COUNT)[:-1]


def test_the_manifest_is_true(clicks: Path, tmp_path: Path) -> None:
    """Everything it says is found again in the files."""
    out = tmp_path / "out"
    with prepare(clicks, format="mp3", segment="6s") as prepared:
        segments = prepared.save(out)
        tokens = prepared.plan.audio_tokens

    manifest = json.loads((out / "clicks.manifest.json").read_text(encoding="utf-8"))

    assert manifest["format"] == "captoolkit.manifest/1"
    assert manifest["source"] == {
        "path": str(clicks), "sha256": digest(clicks), "bytes": clicks.stat().st_size,
        "container": "flac", "codec": "flac", "sample_rate_hz": RATE_HZ, "channels": 2,
        "track": 1, "duration_s": 30.0,
    }  # fmt: skip
    assert (manifest["action"], manifest["via"]) == ("encode", "base64")
    assert manifest["tokens"] == {"audio": tokens}
    assert manifest["encoding"]["format"] == "mp3"
    assert len(manifest["segments"]) == len(segments) == 5
    for one, segment in zip(manifest["segments"], segments, strict=True):
        data = (out / one["file"]).read_bytes()
        assert one["sha256"] == hashlib.sha256(data).hexdigest()
        assert one["bytes"] == len(data)
        assert one["base64_bytes"] == len(base64.b64encode(data))
        assert round(one["start_s"] * RATE_HZ) == segment.source_span.start_samples
        assert round(one["end_s"] * RATE_HZ) == segment.source_span.end_samples
        assert one["duration_s"] == pytest.approx(one["end_s"] - one["start_s"], abs=2e-6)


# --------------------------------------------------------------------- nothing is harmed


@pytest.mark.parametrize("taken", [*names("talk", COUNT)[::3], "talk.manifest.json"])
def test_nothing_existing_is_overwritten(talk: Path, tmp_path: Path, taken: str) -> None:
    """One name that is taken stops it all: what is there stays, and nothing is added."""
    out = tmp_path / "out"
    out.mkdir()
    (out / taken).write_text("mine")
    with prepare(talk, **PIECES) as prepared, pytest.raises(OutputExistsError, match="pass -y"):
        prepared.save(out)
    assert listing(out) == [taken]
    assert (out / taken).read_text() == "mine"


def test_an_earlier_result_is_noticed_before_any_work(talk: Path, tmp_path: Path) -> None:
    """Nobody waits for an hour to hear that the place is taken."""
    prepare(talk, **PIECES).save(tmp_path)
    events: list[Event] = []
    with pytest.raises(OutputExistsError):
        prepare(talk, on_event=events.append, **PIECES).save(tmp_path)
    assert events == []


def test_overwriting_replaces_the_earlier_result(talk: Path, tmp_path: Path) -> None:
    """What the earlier manifest lists and is no more goes; what it does not list stays."""
    out = tmp_path / "out"
    prepare(talk, **PIECES).save(out)
    strangers = ["talk.099.wav", "talk.001.mp3", "notes.txt"]
    for name in strangers:
        (out / name).write_text("mine")

    prepare(talk, format="wav", segment="6s").save(out, overwrite=True)

    assert listing(out) == sorted([*names("talk", 4), *strangers])
    manifest = json.loads((out / "talk.manifest.json").read_text(encoding="utf-8"))
    assert [digest(out / one["file"]) for one in manifest["segments"]] == [
        one["sha256"] for one in manifest["segments"]
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"null",
        b'{"segments": 5}',
        b'{"segments": [{"file": "../precious"}, {"file": "/precious"}, {"file": ".."}]}',
    ],
)
def test_overwriting_a_strange_manifest_harms_nothing_else(
    talk: Path, tmp_path: Path, content: bytes
) -> None:
    """A manifest that is none, or names files elsewhere, is replaced and not obeyed."""
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "precious").write_text("mine")
    (out / "talk.manifest.json").write_bytes(content)
    prepare(talk, **PIECES).save(out, overwrite=True)
    assert listing(out) == names("talk", COUNT)
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize("taken", ["talk.manifest.json", "talk.005.wav", "talk.008.wav"])
def test_a_folder_in_the_way_stops_it_all(talk: Path, tmp_path: Path, taken: str) -> None:
    """Even with overwriting a folder is not replaced, and no other file appears."""
    out = tmp_path / "out"
    (out / taken).mkdir(parents=True)
    with prepare(talk, **PIECES) as prepared, pytest.raises(OutputError):
        prepared.save(out, overwrite=True)
    assert listing(out) == [taken]


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_is_no_folder(talk: Path, tmp_path: Path, below: str) -> None:
    """An output folder that is a file is told before any work."""
    (tmp_path / "out").write_text("mine")
    events: list[Event] = []
    prepared = prepare(talk, on_event=events.append, **PIECES)
    with prepared, pytest.raises(OutputError, match="is not a folder"):
        prepared.save(tmp_path / "out" / below)
    assert (tmp_path / "out").read_text() == "mine"
    assert events == []


@pytest.mark.parametrize("wish", [{}, PIECES, {"format": "wav", "segment": "9s"}])
def test_the_source_is_only_read(tmp_path: Path, small_mp3: Path, wish: dict[str, Any]) -> None:
    """Saving beside the source, twice, leaves it as it was to the byte and the second."""
    source = tmp_path / "out" / "talk.mp3"
    source.parent.mkdir()
    shutil.copy(small_mp3, source)
    before = digest(source), source.stat().st_mtime_ns, source.stat().st_ino
    prepare(source, **wish).save(source.parent)
    prepare(source, **wish).save(source.parent, overwrite=True)
    assert (digest(source), source.stat().st_mtime_ns, source.stat().st_ino) == before


def test_a_segment_never_takes_the_place_of_its_source(talk: Path, tmp_path: Path) -> None:
    """Even with overwriting, the recording that is being read is not replaced."""
    source = tmp_path / "talk.003.wav"
    shutil.copy(talk, source)
    before = digest(source)
    with pytest.raises(OutputError, match="is an input and is not replaced"):
        prepare(source, **PIECES).save(tmp_path, stem="talk", overwrite=True)
    gc.collect()
    assert digest(source) == before
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["talk.003.wav"]


def test_a_source_that_an_earlier_run_made_is_kept(talk: Path, tmp_path: Path) -> None:
    """A stale segment that is now the source is not removed as stale."""
    out = tmp_path / "out"
    prepare(talk, format="wav", segment="6s").save(out)
    source = out / "talk.004.wav"
    before = digest(source)
    prepare(source, format="mp3").save(out, stem="talk", overwrite=True)
    assert digest(source) == before
    assert listing(out) == ["talk.001.mp3", "talk.004.wav", "talk.manifest.json"]


def test_a_file_that_fits_passes_through_untouched(small_mp3: Path, tmp_path: Path) -> None:
    """The bytes of a fitting source are copied, not one of them changed."""
    events: list[Event] = []
    with prepare(small_mp3, on_event=events.append) as prepared:
        assert prepared.plan.action is Action.PASS_THROUGH
        (segment,) = prepared
        assert segment.path == small_mp3
        (saved,) = prepared.save(tmp_path / "out")
    assert listing(tmp_path / "out") == names("small", 1, "mp3")
    assert saved.path.read_bytes() == small_mp3.read_bytes()
    assert saved.sha256 == segment.sha256 == digest(small_mp3)
    assert [type(event) for event in events] == [Started, Progressed, SegmentReady]
    manifest = json.loads((tmp_path / "out" / "small.manifest.json").read_text(encoding="utf-8"))
    assert (manifest["action"], manifest["source"]["sha256"]) == ("pass-through", segment.sha256)


def test_discarding_never_removes_the_source(small_mp3: Path) -> None:
    """The only segment of a fitting source is the source itself, which nobody may remove."""
    with prepare(small_mp3) as prepared:
        for segment in prepared:
            prepared.discard(segment)
    assert small_mp3.exists()


def test_discarding_frees_the_disk(talk: Path, spool: Path) -> None:
    """A segment that was sent can go while later ones are made."""
    with prepare(talk, **PIECES) as prepared:
        for segment in prepared:
            prepared.discard(segment)
            prepared.discard(segment)
            assert not segment.path.exists()
        assert [path for path in spool.rglob("*") if path.is_file()] == []


def test_discarding_leaves_what_was_saved(talk: Path, tmp_path: Path) -> None:
    """What was saved belongs to the user."""
    with prepare(talk, **PIECES) as prepared:
        for segment in prepared.save(tmp_path / "out"):
            prepared.discard(segment)
    assert listing(tmp_path / "out") == names("talk", COUNT)


def test_what_was_discarded_cannot_be_saved(talk: Path, tmp_path: Path) -> None:
    """Saving says so in words of the user's, and names no folder of ours."""
    with prepare(talk, **PIECES) as prepared:
        for segment in prepared:
            prepared.discard(segment)
        with pytest.raises(UsageError, match="discarded cannot be saved"):
            prepared.save(tmp_path / "out")
    assert not (tmp_path / "out").exists()


# -------------------------------------------------------------------------- all or nothing


@pytest.mark.parametrize("room", ["the folder", "the system's temporary folder"])
@pytest.mark.parametrize("wish", ["wav", "mp3"])
def test_a_full_disk_is_told_and_leaves_nothing(
    talk: Path, tmp_path: Path, spool: Path, wish: FormatName, room: str
) -> None:
    """Running out of room is one clear error, and what was written is taken away again."""
    out = tmp_path / "small"
    out.mkdir()
    small = out if room == "the folder" else spool
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        prepared = prepare(talk, format=wish, segment="6s")
        with prepared, pytest.raises(OutputError, match="no room left"):
            prepared.save(out) if small is out else list(prepared)
        assert listing(small) == []
        assert not has_children()
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere an open file cannot be removed")
@pytest.mark.parametrize("fits", [False, True])
def test_a_source_that_vanishes_is_told(
    talk: Path, small_mp3: Path, tmp_path: Path, fits: bool
) -> None:
    """A recording that is deleted before it is read is the input's error; nothing is left."""
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


def test_a_segment_over_its_limit_is_never_shipped(talk: Path, tmp_path: Path) -> None:
    """A finished file that breaks a limit stops the work, and nothing is left."""
    tight = dataclasses.replace(plan(talk, **PIECES), max_segment_bytes=100)
    with Prepared(tight, OpenSource(talk, name="talk.wav")) as prepared, pytest.raises(LimitError):
        prepared.save(tmp_path / "out")
    assert listing(tmp_path / "out") == []


# ----------------------------------------------------------------------- damaged sources


def test_a_torn_file_is_prepared_to_where_it_ends(fixtures: Path, tmp_path: Path) -> None:
    """What is left of a cut-off recording is prepared, to the sample."""
    path = fixtures / "cut-off.flac"
    truth = json.loads((fixtures / "cut-off.flac.json").read_text(encoding="utf-8"))
    with prepare(path, format="wav", segment="1s") as prepared:
        segments = prepared.save(tmp_path / "out")
        assert prepared.source.duration_samples == truth["tracks"][0]["duration_samples"]
    assert segments[-1].source_span.end_samples == truth["tracks"][0]["duration_samples"]


def test_a_file_that_holds_less_than_it_promises(
    talk: Path, tmp_path: Path, convert: Convert
) -> None:
    """A stretch that cannot be decoded shortens the sound, and a warning says so."""
    path = convert(talk, tmp_path / "talk.m4a", ["-c:a", "aac", "-b:a", "64k"])
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20_000] = b"\xff" * 20_000
    path.write_bytes(data)

    with prepare(path, **PIECES) as prepared:
        promised = prepared.plan.track.duration_samples
        segments = prepared.save(tmp_path / "out")
        found = prepared.source.duration_samples

    assert 16_000 * 15 < found < promised == 16_000 * 24
    assert segments[-1].source_span.end_samples == found
    assert [warning.startswith("It promises 24.000 s") for warning in prepared.warnings] == [True]
    manifest = json.loads((tmp_path / "out" / "talk.manifest.json").read_text(encoding="utf-8"))
    assert manifest["reasons"][-1] == prepared.warnings[0]
    assert manifest["source"]["duration_s"] == pytest.approx(found / 16_000, abs=1e-6)


def test_a_header_that_promises_more_is_not_passed_on(
    talk: Path, tmp_path: Path, convert: Convert
) -> None:
    """What would fit is not passed through: frames are copied without it, samples written anew."""
    mp3 = convert(talk, tmp_path / "short.mp3", ["-q:a", "5"])
    found = read_frame_index(mp3)
    assert found is not None
    quarter = len(found.sizes) // 4
    mp3.write_bytes(mp3.read_bytes()[: int(found.starts_of(quarter, quarter + 1)[0])])
    wav = tmp_path / "short.wav"
    wav.write_bytes(talk.read_bytes()[: talk.stat().st_size // 4])
    for source, action in ((mp3, Action.REMUX), (wav, Action.ENCODE)):
        assert "promises" in probe(source).warnings[0]
        with prepare(source) as prepared:
            (segment,) = prepared.save(tmp_path / action)
        assert prepared.plan.action is action
        assert any("promises more sound" in reason for reason in prepared.plan.reasons)
        made = probe(segment.path)
        assert made.warnings == ()
        assert b"Xing" not in segment.read_bytes()
        assert made.default_track.duration_s == pytest.approx(6.0, abs=0.5)


@pytest.mark.parametrize("name", ["not-media.wav", "empty.wav", "playlist.mp3"])
def test_what_is_no_media_is_refused(fixtures: Path, name: str) -> None:
    """What cannot be read is told before anything is made."""
    with pytest.raises(NotMediaError):
        prepare(fixtures / name)


# ---------------------------------------------------------------------- kinds of sources


def sources(path: Path) -> dict[str, Any]:
    """One recording in all forms a caller may have it in."""
    samples = soundfile.read(str(path), dtype="int16", always_2d=True)[0]
    return {
        "name": str(path),
        "bytes": path.read_bytes(),
        "BytesIO": io.BytesIO(path.read_bytes()),
        "array": (samples, 16_000),
        "floats": ((samples / 32768).astype(np.float32), 16_000),
    }


@pytest.mark.parametrize("kind", ["name", "bytes", "BytesIO", "array", "floats"])
def test_every_kind_of_source_gives_the_same_samples(talk: Path, kind: str) -> None:
    """The form in which a recording arrives makes no difference."""
    truth: Sound = soundfile.read(str(talk), dtype="float32", always_2d=True)[0]
    with prepare(sources(talk)[kind], format="wav", segment="6s") as prepared:
        np.testing.assert_allclose(joined(tuple(prepared)), truth, atol=1e-7)


def test_a_pipe_gives_the_same_samples(talk: Path) -> None:
    """A stream that cannot be sought in is read once and used like a file."""
    with subprocess.Popen(["cat", str(talk)], stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        with prepare(program.stdout, format="wav", segment="6s") as prepared:
            sound = joined(tuple(prepared))
    truth = soundfile.read(str(talk), dtype="float32", always_2d=True)[0]
    np.testing.assert_allclose(sound, truth, atol=1e-7)


def test_an_audiosegment_comes_back_as_one(talk: Path) -> None:
    """What came from pydub goes back to it: a media tool never has to touch a file."""
    with prepare(talk, format="wav", segment="6s") as prepared:
        before = next(iter(prepared)).to_audiosegment()
    with prepare(before) as prepared:
        (segment,) = prepared
        after = segment.to_audiosegment()
    assert after.raw_data == before.raw_data
    assert after.frame_rate == before.frame_rate == 16_000


def test_a_source_in_memory_can_be_saved(talk: Path, tmp_path: Path) -> None:
    """Without a name of its own it is called `source`, unless a stem says otherwise."""
    prepare(talk.read_bytes(), **PIECES).save(tmp_path / "out")
    prepare(talk.read_bytes(), **PIECES).save(tmp_path / "out", stem="call")
    assert listing(tmp_path / "out") == sorted([*names("source", COUNT), *names("call", COUNT)])


def test_a_url_is_fetched_and_named_without_its_secrets(talk: Path, tmp_path: Path) -> None:
    """A URL gives the same segments as the file; what only its owner may know is told nowhere."""

    class Shelf(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(talk.parent))

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/{talk.name}?signature=secret"
        prepare(url, **PIECES).save(tmp_path / "web")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    prepare(talk, **PIECES).save(tmp_path / "disk")
    manifests = [(tmp_path / way / f"{talk.stem}.manifest.json") for way in ("web", "disk")]
    web, disk = (json.loads(path.read_text(encoding="utf-8")) for path in manifests)
    assert web["segments"] == disk["segments"]
    assert web["source"]["path"] == url.partition("?")[0]
    assert "secret" not in manifests[0].read_text(encoding="utf-8")


# ------------------------------------------------------------------------------ planning


def test_a_plan_writes_nothing(talk: Path, tmp_path: Path, spool: Path) -> None:
    """Planning tells what preparing does, and leaves no trace, not even of bytes."""
    before = listing(tmp_path)
    planned = plan(talk, **PIECES)
    assert len(plan(talk.read_bytes(), **PIECES).spans) == len(planned.spans) == COUNT
    assert listing(tmp_path) == before
    with prepare(talk, **PIECES) as prepared:
        assert prepared.plan == planned


@pytest.mark.parametrize(
    "wish",
    [
        {"via": "pigeon"},
        {"target": "nobody"},
        {"format": "ogg"},
        {"quality": "best"},
        {"segment": "soon"},
        {"segment": 0},
        {"segment": -1},
        {"max_segment": "0s"},
        {"bit_rate": 5},
        {"format": "mp3", "sample_rate_hz": 12_345},
        {"channels": 3},
    ],
    ids=lambda wish: str(next(iter(wish.items()))),
)
def test_a_wish_that_cannot_be_is_refused(talk: Path, wish: dict[str, Any]) -> None:
    """Each is a UsageError before any work, and what was in memory is not left on the disk."""
    with pytest.raises(UsageError):
        prepare(talk.read_bytes(), **wish)


@pytest.mark.parametrize("verb", [plan, prepare])
def test_a_missing_source_is_told(tmp_path: Path, verb: Any) -> None:
    """Both verbs say which file is missing."""
    with pytest.raises(SourceNotFoundError) as caught:
        verb(tmp_path / "talk.wav")
    assert isinstance(caught.value, CaptoolkitError)
    assert caught.value.path == str(tmp_path / "talk.wav")


def test_a_source_that_changes_is_not_shipped(tmp_path: Path) -> None:
    """A file that passes untouched, and is written to meanwhile, is refused, at any size."""
    source = write_wav(tmp_path / "a.wav", tone(2.0, rate_hz=16_000), rate_hz=16_000)
    prepared = prepare(source)
    assert prepared.plan.action is Action.PASS_THROUGH
    list(prepared)
    with source.open("r+b") as stream:
        stream.seek(1_000)
        stream.write(b"other sound")
    with pytest.raises(InputError, match="it changed while it was being prepared"):
        prepared.save(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_lasts_too_long_is_refused(tmp_path: Path) -> None:
    """A header may promise years; the limit is told, and can be raised."""
    source = write_wav(tmp_path / "a.wav", tone(3.0, rate_hz=8_000), rate_hz=8_000)
    for verb in (plan, prepare, split):
        with pytest.raises(InputError, match="it lasts 0:03, longer than the 0:02 allowed"):
            verb(source, max_duration="2s")
        assert verb(source, max_duration=3)


def test_a_recording_is_probed_whichever_way_it_comes(tmp_path: Path) -> None:
    """A path, bytes and a stream hold the same, under the name that they are known by."""
    source = write_wav(tmp_path / "a.wav", tone(3.0, rate_hz=8_000), rate_hz=8_000)
    found = probe(source)
    assert found.path == str(source)
    for same in (source.read_bytes(), io.BytesIO(source.read_bytes()), str(source)):
        again = probe(same)
        assert (again.tracks, again.container) == (found.tracks, found.container)


# --------------------------------------------------------------------------- other processes


def test_a_preparation_travels_to_another_process(fixtures: Path, tmp_path: Path) -> None:
    """What is begun here is made there, and what is made there can be read here."""
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


def test_a_copy_of_what_is_saved_has_it(fixtures: Path, tmp_path: Path) -> None:
    """Segments, source, warnings and all: nothing is made again."""
    with prepare(fixtures / "hammering-mandarin.flac", segment="15s") as prepared:
        segments = prepared.save(tmp_path / "out")
        copy = pickle.loads(pickle.dumps(prepared))
    assert tuple(copy) == copy.segments == segments
    assert (copy.plan, copy.source, copy.skipped) == (prepared.plan, prepared.source, ())
    copy.save(tmp_path / "again")
    manifests = [tmp_path / one / "hammering-mandarin.manifest.json" for one in ("out", "again")]
    assert manifests[0].read_bytes() == manifests[1].read_bytes()


def test_a_copy_owns_nothing(fixtures: Path) -> None:
    """A copy of what is half made begins anew, and takes nothing away when it goes."""
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


def test_a_copy_whose_source_went_with_the_original_says_so(fixtures: Path) -> None:
    """What was only in memory goes when the original is closed; the sound is not to blame."""
    with prepare((fixtures / "hammering-mandarin.flac").read_bytes(), segment="15s") as prepared:
        copy = pickle.loads(pickle.dumps(prepared))
    with copy, pytest.raises(SourceNotFoundError, match="the source is gone"):
        list(copy)
