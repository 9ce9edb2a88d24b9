"""Saving is all or nothing, and harms no file that exists."""

from __future__ import annotations

import base64
import dataclasses
import gc
import hashlib
import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from captoolkit.api.plan import plan
from captoolkit.api.prepare import prepare
from captoolkit.errors import (
    InputError,
    LimitError,
    OutputError,
    OutputExistsError,
    UsageError,
)
from captoolkit.events import Event, Progressed, SegmentReady, Started
from captoolkit.media.source import OpenSource
from captoolkit.model import Action
from captoolkit.pipeline.prepared import Prepared
from captoolkit.planning.options import FormatName
from tests.support.preparations import (
    COUNT,
    PIECES,
    RATE_HZ,
    digest,
    listing,
    saved_names,
)
from tests.support.processes import has_children
from tests.support.sound import tone, write_wav


def test_saving_writes_segments_and_manifest(talk: Path, tmp_path: Path) -> None:
    """The folder is made if needed, receives exactly these files, and they stay."""
    out = tmp_path / "deep" / "out"
    with prepare(talk, **PIECES) as prepared:
        segments = prepared.save(out)
        assert listing(out) == saved_names("talk", COUNT)
    assert [segment.path for segment in segments] == [
        out / name for name in saved_names("talk", COUNT)[:-1]
    ]
    assert listing(out) == saved_names("talk", COUNT)


def test_saving_needs_no_context(talk: Path, tmp_path: Path) -> None:
    """The short form leaves the files and nothing else."""
    segments = prepare(talk, **PIECES).save(str(tmp_path / "out"))
    gc.collect()
    assert all(segment.path.exists() for segment in segments)
    assert listing(tmp_path / "out") == saved_names("talk", COUNT)


@pytest.mark.parametrize("taken", [0, 1, 5, COUNT])
def test_saving_continues_an_iteration(talk: Path, tmp_path: Path, taken: int) -> None:
    """Segments that were iterated before are saved like the others, and made once."""
    with prepare(talk, **PIECES) as prepared:
        before = list(itertools.islice(prepared, taken))
        segments = prepared.save(tmp_path / "out")
        assert [segment.sha256 for segment in before] == [
            segment.sha256 for segment in segments[:taken]
        ]
    assert [digest(segment.path) for segment in segments] == [one.sha256 for one in segments]
    assert listing(tmp_path / "out") == saved_names("talk", COUNT)


@pytest.mark.parametrize("second", ["other", "out/inner", "."])
def test_saving_twice_makes_two_copies(talk: Path, tmp_path: Path, second: str) -> None:
    """The second folder gets the same files and the first keeps its own, wherever the two are."""
    outs = tmp_path / "x" / "out", tmp_path / "x" / second
    with prepare(talk, **PIECES) as prepared:
        for out in outs:
            prepared.save(out)
    for out in outs:
        assert sorted(path.name for path in out.iterdir() if path.is_file()) == saved_names(
            "talk", COUNT
        )
    for name in saved_names("talk", COUNT):
        assert digest(outs[0] / name) == digest(outs[1] / name)


def test_stem_names_the_files(talk: Path, tmp_path: Path) -> None:
    """`stem` names the segments and the manifest, also in a second save."""
    with prepare(talk, **PIECES) as prepared:
        prepared.save(tmp_path / "out", stem="会议 %d")
        prepared.save(tmp_path / "out", stem="-again")
    assert listing(tmp_path / "out") == sorted(
        [*saved_names("会议 %d", COUNT), *saved_names("-again", COUNT)]
    )


@pytest.mark.parametrize("stem", ["", ".", "..", "a/b", "../a", "/a", "a\0b"])
def test_stem_is_a_plain_name(talk: Path, tmp_path: Path, stem: str) -> None:
    """No file is written outside the folder."""
    with prepare(talk, **PIECES) as prepared, pytest.raises(UsageError, match="plain name"):
        prepared.save(tmp_path / "out", stem=stem)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.name != "posix", reason="such names exist on POSIX only")
@pytest.mark.parametrize("stem", ["-i", "line\nbreak", "caf\udce9\udcff", 'it\'s "%d"', ".hidden"])
def test_source_may_have_any_name(talk: Path, tmp_path: Path, stem: str) -> None:
    """Unusual names of sources are the names of their segments, and stand in the manifest."""
    source = tmp_path / f"{stem}.wav"
    shutil.copy(talk, source)
    prepare(source, **PIECES).save(tmp_path / "out")
    assert listing(tmp_path / "out") == sorted(saved_names(stem, COUNT))
    manifest = json.loads((tmp_path / "out" / f"{stem}.manifest.json").read_text(encoding="utf-8"))
    assert manifest["source"]["path"] == str(source)
    assert [one["file"] for one in manifest["segments"]] == saved_names(stem, COUNT)[:-1]


def test_manifest_agrees_with_the_files(clicks: Path, tmp_path: Path) -> None:
    """Every value in the manifest agrees with the files."""
    out = tmp_path / "out"
    with prepare(clicks, format="mp3", segment="6s") as prepared:
        segments = prepared.save(out)
        tokens = prepared.plan.audio_tokens

    manifest = json.loads((out / "clicks.manifest.json").read_text(encoding="utf-8"))

    assert manifest["format"] == "captoolkit.manifest/1"
    assert manifest["source"] == {
        "path": str(clicks), "sha256": digest(clicks), "bytes": clicks.stat().st_size,
        "container": "flac", "codec": "flac", "sample_rate_hz": RATE_HZ, "channels": 2,
        "track": 1, "duration_s": 30.0, "modified_ns": clicks.stat().st_mtime_ns,
    }  # fmt: skip
    options = {"format": "mp3", "segment": 6, "target": "qwen3-omni-captioner", "via": "base64"}
    assert manifest["made_by"] == {"verb": "prepare", "options": options, "cut_rule": 3}
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


@pytest.mark.parametrize("taken", [*saved_names("talk", COUNT)[::3], "talk.manifest.json"])
def test_existing_file_stops_the_save(talk: Path, tmp_path: Path, taken: str) -> None:
    """One existing name stops the save: the file stays, and no file is added."""
    out = tmp_path / "out"
    out.mkdir()
    (out / taken).write_text("mine")
    with (
        prepare(talk, **PIECES) as prepared,
        pytest.raises(OutputExistsError, match="overwrite=True"),
    ):
        prepared.save(out)
    assert listing(out) == [taken]
    assert (out / taken).read_text() == "mine"


def test_existing_result_is_found_before_the_work(talk: Path, tmp_path: Path) -> None:
    """The error for an existing result comes before any segment is made."""
    prepare(talk, **PIECES).save(tmp_path)
    events: list[Event] = []
    with pytest.raises(OutputExistsError):
        prepare(talk, on_event=events.append, **PIECES).save(tmp_path)
    assert events == []


def test_overwriting_replaces_the_earlier_result(talk: Path, tmp_path: Path) -> None:
    """Segments of the earlier manifest are removed; files that it does not list stay."""
    out = tmp_path / "out"
    prepare(talk, **PIECES).save(out)
    strangers = ["talk.099.wav", "talk.001.mp3", "notes.txt"]
    for name in strangers:
        (out / name).write_text("mine")

    prepare(talk, format="wav", segment="6s").save(out, overwrite=True)

    assert listing(out) == sorted([*saved_names("talk", 4), *strangers])
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
def test_invalid_manifest_removes_no_file(talk: Path, tmp_path: Path, content: bytes) -> None:
    """An invalid manifest, or one that names files elsewhere, is replaced and not obeyed."""
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "precious").write_text("mine")
    (out / "talk.manifest.json").write_bytes(content)
    prepare(talk, **PIECES).save(out, overwrite=True)
    assert listing(out) == saved_names("talk", COUNT)
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize("taken", ["talk.manifest.json", "talk.005.wav", "talk.008.wav"])
def test_folder_with_the_name_of_a_file_stops_the_save(
    talk: Path, tmp_path: Path, taken: str
) -> None:
    """Overwriting never replaces a folder, and no other file appears."""
    out = tmp_path / "out"
    (out / taken).mkdir(parents=True)
    with prepare(talk, **PIECES) as prepared, pytest.raises(OutputError):
        prepared.save(out, overwrite=True)
    assert listing(out) == [taken]


@pytest.mark.parametrize("below", ["", "deeper"])
def test_output_folder_that_is_a_file_is_refused(talk: Path, tmp_path: Path, below: str) -> None:
    """The error comes before any segment is made."""
    (tmp_path / "out").write_text("mine")
    events: list[Event] = []
    prepared = prepare(talk, on_event=events.append, **PIECES)
    with prepared, pytest.raises(OutputError, match="is not a folder"):
        prepared.save(tmp_path / "out" / below)
    assert (tmp_path / "out").read_text() == "mine"
    assert events == []


@pytest.mark.parametrize("wish", [{}, PIECES, {"format": "wav", "segment": "9s"}])
def test_source_is_only_read(tmp_path: Path, small_mp3: Path, wish: dict[str, Any]) -> None:
    """Saving beside the source, twice, changes neither its bytes nor its time."""
    source = tmp_path / "out" / "talk.mp3"
    source.parent.mkdir()
    shutil.copy(small_mp3, source)
    before = digest(source), source.stat().st_mtime_ns, source.stat().st_ino
    prepare(source, **wish).save(source.parent)
    prepare(source, **wish).save(source.parent, overwrite=True)
    assert (digest(source), source.stat().st_mtime_ns, source.stat().st_ino) == before


def test_segment_never_replaces_its_source(talk: Path, tmp_path: Path) -> None:
    """Overwriting never replaces the recording that is being read."""
    source = tmp_path / "talk.003.wav"
    shutil.copy(talk, source)
    before = digest(source)
    with pytest.raises(OutputError, match="is an input and is not replaced"):
        prepare(source, **PIECES).save(tmp_path, stem="talk", overwrite=True)
    gc.collect()
    assert digest(source) == before
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["talk.003.wav"]


def test_source_from_an_earlier_run_is_kept(talk: Path, tmp_path: Path) -> None:
    """A segment of an earlier run that is now the source is not removed."""
    out = tmp_path / "out"
    prepare(talk, format="wav", segment="6s").save(out)
    source = out / "talk.004.wav"
    before = digest(source)
    prepare(source, format="mp3").save(out, stem="talk", overwrite=True)
    assert digest(source) == before
    assert listing(out) == ["talk.001.mp3", "talk.004.wav", "talk.manifest.json"]


def test_fitting_file_passes_through_unchanged(small_mp3: Path, tmp_path: Path) -> None:
    """A source that fits is copied byte by byte."""
    events: list[Event] = []
    with prepare(small_mp3, on_event=events.append) as prepared:
        assert prepared.plan.action is Action.PASS_THROUGH
        (segment,) = prepared
        assert segment.path == small_mp3
        (saved,) = prepared.save(tmp_path / "out")
    assert listing(tmp_path / "out") == saved_names("small", 1, "mp3")
    assert saved.path.read_bytes() == small_mp3.read_bytes()
    assert saved.sha256 == segment.sha256 == digest(small_mp3)
    assert [type(event) for event in events] == [Started, Progressed, SegmentReady]
    manifest = json.loads((tmp_path / "out" / "small.manifest.json").read_text(encoding="utf-8"))
    assert (manifest["action"], manifest["source"]["sha256"]) == ("pass-through", segment.sha256)


def test_discarding_keeps_saved_files(talk: Path, tmp_path: Path) -> None:
    """A saved file stays when its segment is discarded."""
    with prepare(talk, **PIECES) as prepared:
        for segment in prepared.save(tmp_path / "out"):
            prepared.discard(segment)
    assert listing(tmp_path / "out") == saved_names("talk", COUNT)


def test_discarded_segments_cannot_be_saved(talk: Path, tmp_path: Path) -> None:
    """The error names no temporary folder."""
    with prepare(talk, **PIECES) as prepared:
        for segment in prepared:
            prepared.discard(segment)
        with pytest.raises(UsageError, match="discarded cannot be saved"):
            prepared.save(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("room", ["the folder", "the system's temporary folder"])
@pytest.mark.parametrize("wish", ["wav", "mp3"])
def test_full_disk_is_an_output_error(
    talk: Path, tmp_path: Path, spool: Path, wish: FormatName, room: str
) -> None:
    """A full disk raises one clear error, and the partial files are removed."""
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


def test_segment_over_its_limit_is_withheld(talk: Path, tmp_path: Path) -> None:
    """A finished file that breaks a limit stops the work, and no file is left."""
    tight = dataclasses.replace(plan(talk, **PIECES), max_segment_bytes=100)
    with Prepared(tight, OpenSource(talk, name="talk.wav")) as prepared, pytest.raises(LimitError):
        prepared.save(tmp_path / "out")
    assert listing(tmp_path / "out") == []


def test_source_in_memory_is_named_source(talk: Path, tmp_path: Path) -> None:
    """A source without a name is called `source`, unless a stem names it."""
    prepare(talk.read_bytes(), **PIECES).save(tmp_path / "out")
    prepare(talk.read_bytes(), **PIECES).save(tmp_path / "out", stem="call")
    assert listing(tmp_path / "out") == sorted(
        [*saved_names("source", COUNT), *saved_names("call", COUNT)]
    )


def test_changed_source_is_not_saved(tmp_path: Path) -> None:
    """A file that passes through and changes meanwhile is refused."""
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
