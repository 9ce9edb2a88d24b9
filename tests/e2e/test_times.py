"""Times are those that a player shows: in files with gaps, overlaps, late sound and edit lists."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

import captoolkit
from captoolkit.model import Action, Status
from captoolkit.pipeline.prepared import Prepared
from captoolkit.timeline.json import parse, render
from tests.support.clocked_files import (
    AAC_FRAME,
    MARKS_S,
    RATE_HZ,
    SECONDS,
    ClockedFiles,
    are_at,
    marks_by_libsndfile,
)

Maker = Callable[[ClockedFiles], Path]

PRIMING_S = AAC_FRAME / RATE_HZ  # counted as sound where a container does not state it
FRAME_S = 0.05  # a frame of each codec here is shorter


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, ffmpeg: str) -> ClockedFiles:
    """The maker of all files."""
    return ClockedFiles(tmp_path_factory.mktemp("clocked"), ffmpeg)


def slow(names: Iterable[str], *slow_names: str) -> list[Any]:
    """The names of cases, some of them for the slow tests."""
    return [
        pytest.param(name, marks=pytest.mark.slow) if name in slow_names else name for name in names
    ]


def placed(files: ClockedFiles, prepared: Prepared, out: Path) -> tuple[list[float], Any]:
    """The marks of all segments on the source's clock, and the manifest."""
    prepared.save(out)
    (described,) = out.glob("*.manifest.json")
    manifest = json.loads(described.read_text())
    found = []
    for segment in manifest["segments"]:
        path = out / segment["file"]
        marks = files.marks(path)
        if path.suffix == ".wav":
            assert are_at(marks_by_libsndfile(path), marks, within_s=0.002)
        found += [segment["start_s"] + mark for mark in marks]
    return found, manifest


# ------------------------------------------------------------------------------------- gaps


def lost(first_s: float, last_s: float) -> list[float]:
    """The marks that remain without a stretch."""
    return [mark for mark in MARKS_S if not first_s <= mark <= last_s]


GAPS: dict[str, tuple[Maker, Sequence[float]]] = {
    "MPEG-TS": (lambda files: files.joined_stream("gap.ts", 4, 8, 8), lost(4, 8)),
    "MPEG-TS, 15 s": (
        lambda files: files.joined_stream("long-gap.ts", 4, 4, 19),
        [1, 3, *(mark + 15 for mark in MARKS_S if mark > 4)],
    ),
    "Opus in Ogg": (lambda files: files.without_pages("gap.opus", "libopus", 4, 9), lost(4, 8)),
    "Vorbis": (lambda files: files.without_pages("gap.ogg", "libvorbis", 4, 9), lost(4, 8)),
    "AAC in MP4": (lambda files: files.with_gap("gap.mp4", "aac", 4, 8), lost(4, 8)),
    "Opus in WebM": (lambda files: files.with_gap("gap.webm", "libopus", 4, 8), lost(4, 8)),
    "AAC in Matroska": (lambda files: files.with_gap("gap.mkv", "aac", 4, 8), lost(4, 8)),
    "FLV": (lambda files: files.with_gap("gap.flv", "aac", 4, 8), lost(4, 8)),
}


@pytest.mark.parametrize("name", slow(GAPS, "AAC in Matroska", "FLV"))
def test_a_gap_is_silence_in_what_is_encoded_and_lies_between_copied_pieces(
    files: ClockedFiles, tmp_path: Path, name: str
) -> None:
    """All sound after the gap is at the time that a player shows, and a warning names the gap."""
    make, marks = GAPS[name]
    path = make(files)

    found, manifest = placed(files, captoolkit.prepare(path, segment="6s"), tmp_path / "made")

    assert are_at(found, marks, within_s=FRAME_S)
    assert "gap of" in manifest["reasons"][-1]
    assert manifest["action"] == "encode"
    assert manifest["source"]["duration_s"] == manifest["segments"][-1]["end_s"]

    found, manifest = placed(files, captoolkit.split(path, parts=2), tmp_path / "pieces")

    assert manifest["action"] == "copy"
    (gap,) = manifest["skipped"]
    assert gap["reason"] == "a gap in its time stamps"
    assert are_at(found, marks, within_s=2 * FRAME_S)


def test_a_gap_inside_a_copied_piece_is_in_the_manifest(
    files: ClockedFiles, tmp_path: Path
) -> None:
    """A file of copied packets lacks the sound of the gap, and its own time stamps keep it."""
    path = files.with_gap("inside.mkv", "aac", 2, 5)

    _, manifest = placed(files, captoolkit.split(path, segment="10s"), tmp_path)

    gaps = [gap for segment in manifest["segments"] for gap in segment.get("gaps", [])]
    gaps += manifest["skipped"]
    assert len(gaps) == 1
    assert gaps[0]["end_s"] - gaps[0]["start_s"] == pytest.approx(3, abs=FRAME_S)


def test_an_overlap_is_dropped(files: ClockedFiles, tmp_path: Path) -> None:
    """Sound whose time has been heard already is left out, and the rest keeps its time."""
    path = files.joined_stream("overlap.ts", 8, 6, 6)

    found, manifest = placed(files, captoolkit.prepare(path, segment="6s"), tmp_path / "made")

    assert are_at(found, MARKS_S, within_s=FRAME_S)
    assert "one overlap of 2.0" in manifest["reasons"][-1]
    assert captoolkit.split(path, parts=2).plan.action is Action.ENCODE


def test_joined_streams_follow_each_other(files: ClockedFiles, tmp_path: Path) -> None:
    """A clock that starts anew is neither a gap nor an overlap: no sound is lost."""
    path = files.joined_stream("joined.ts", 6, 6, 0)

    found, manifest = placed(files, captoolkit.prepare(path), tmp_path / "made")

    assert are_at(found, MARKS_S, within_s=3 * FRAME_S)
    assert "sets its clock anew once" in manifest["reasons"][-1]


def test_a_clock_of_33_bits_that_overflows_is_no_gap(files: ClockedFiles) -> None:
    """A transport stream may run past the largest time stamp."""
    path = files.encoded("wrap.ts", "-c:a", "aac", "-output_ts_offset", str(2**33 / 90_000 - 5))

    info = captoolkit.probe(path)

    assert info.warnings == ()
    assert info.default_track.duration_s == pytest.approx(SECONDS, abs=FRAME_S)


# ------------------------------------------------------------------------------- late sound

LATE_S = 4.07
LATE = {
    "late.mp4": ("-c:v", "mpeg4", "-c:a", "aac"),
    "late.mov": ("-c:v", "mpeg4", "-c:a", "pcm_s16le"),
    "late.mkv": ("-c:v", "mpeg4", "-c:a", "libmp3lame"),
    "late.ts": ("-c:v", "mpeg2video", "-c:a", "aac"),
    "late.mpg": ("-c:v", "mpeg1video", "-c:a", "mp2"),
    "late.flv": ("-c:v", "flv", "-c:a", "aac"),
    "late.webm": ("-c:v", "libvpx", "-c:a", "libopus"),
}


@pytest.mark.parametrize("name", slow(LATE, "late.mov", "late.mpg", "late.flv", "late.webm"))
def test_late_sound_has_the_times_of_the_film(
    files: ClockedFiles, tmp_path: Path, name: str
) -> None:
    """Segments and pieces are on the file's clock; the time before the sound is skipped."""
    path = files.with_picture(name, *LATE[name], late_s=LATE_S)

    for work in (captoolkit.prepare(path, segment="6s"), captoolkit.split(path, parts=2)):
        found, manifest = placed(files, work, tmp_path / work.plan.action.value / work.plan.suffix)

        assert are_at(found, [mark + LATE_S for mark in MARKS_S], within_s=FRAME_S)
        start_s = manifest["source"]["start_s"]
        assert start_s == pytest.approx(LATE_S, abs=FRAME_S)
        assert manifest["skipped"] == [
            {"start_s": 0, "end_s": start_s, "reason": "the sound begins later"}
        ]
        assert manifest["source"]["duration_s"] == pytest.approx(LATE_S + SECONDS, abs=FRAME_S)


def test_subtitles_of_late_sound_are_in_place(files: ClockedFiles, tmp_path: Path) -> None:
    """The timeline has the silence before the sound, and `embed` moves nothing a second time."""
    path = files.with_picture("film.mp4", *LATE["late.mp4"], late_s=LATE_S)

    timeline = captoolkit.caption(path, segment="6s")

    start_s = timeline.entries[1].source_span.start_s
    assert timeline.entries[0].status is Status.SILENT
    assert start_s == pytest.approx(LATE_S, abs=FRAME_S)
    assert parse(render(timeline)) == timeline
    captoolkit.embed(path, timeline, out=tmp_path / "out.mp4")
    files.run("-i", tmp_path / "out.mp4", tmp_path / "back.srt")
    assert (
        f"00:00:04,0{round(start_s * 1000) - 4000:02d} --> " in (tmp_path / "back.srt").read_text()
    )
    captoolkit.embed(files.wav, timeline, out=tmp_path / "sound.mka")
    files.run("-i", tmp_path / "sound.mka", tmp_path / "sound.srt")
    assert (tmp_path / "sound.srt").read_text().startswith("1\n00:00:00,000 --> ")


@pytest.mark.parametrize("name", ["early.mkv", "early.mp4", "early.ts"])
def test_sound_before_the_picture_begins_at_zero(files: ClockedFiles, name: str) -> None:
    """The file's clock begins with its first stream."""
    codecs = LATE[name.replace("early", "late")]

    track = captoolkit.probe(files.with_picture(name, *codecs, early_s=3)).default_track

    assert track.start_samples == 0


# ------------------------------------------------------------------------------- edit lists

EDITS: dict[str, tuple[Sequence[tuple[float, float | None]], Sequence[float], float]] = {
    "whole": ([(14, 0)], MARKS_S, 0),
    "head": ([(11.5, 2.5)], [mark - 2.5 for mark in MARKS_S if mark > 2], 0),
    "head, at a frame": (
        [(10, 150 * PRIMING_S)],
        [mark - 150 * PRIMING_S for mark in MARKS_S if 3.2 < mark < 13.2],
        0,
    ),
    "tail": ([(8.345, 0)], [1, 3, 5, 7], 0),
    "middle": ([(4.5, 0), (5.5, 8.5)], [1, 3, 5, 7, 9], 0),
    "three edits": ([(2, 0.5), (2, 6.5), (3, 10.3)], [0.5, 2.5, 4.7, 6.7], 0),
    "empty at the start": ([(2, None), (14, 0)], [mark + 2 for mark in MARKS_S], 2),
    "empty, and a head": ([(2, None), (8, 2.5)], [2.5, 4.5, 6.5, 8.5], 2),
}


@pytest.mark.parametrize("name", slow(EDITS, "whole", "head, at a frame", "empty, and a head"))
def test_an_edit_list_is_obeyed(files: ClockedFiles, tmp_path: Path, name: str) -> None:
    """No sound that was cut away is shipped, and times are those of the edited recording."""
    edits, marks, start_s = EDITS[name]
    path = files.with_edits(f"{name}.m4a", edits)
    is_edited = name not in ("whole", "tail", "empty at the start")

    for work in (captoolkit.prepare(path), captoolkit.split(path, parts=2)):
        found, manifest = placed(files, work, tmp_path / f"{work.plan.target is None}")

        assert are_at(found, marks, within_s=FRAME_S)
        assert manifest["source"].get("start_s", 0) == start_s
        assert (manifest["action"] == "encode") is is_edited
        assert any("edit list" in reason for reason in manifest["reasons"]) is is_edited
        ends_s = start_s + sum(length_s for length_s, at in edits if at is not None)
        assert manifest["source"]["duration_s"] == pytest.approx(ends_s, abs=FRAME_S)
        assert not any("promises" in reason for reason in manifest["reasons"])
