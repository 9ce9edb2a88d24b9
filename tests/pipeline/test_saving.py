from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path

import pytest

from captoolkit.errors import InputError, OutputError, OutputExistsError
from captoolkit.model import Plan, Span
from captoolkit.pipeline import saving
from captoolkit.pipeline.segment import Folder, ReadySegment
from captoolkit.pipeline.segment_names import SegmentNames
from captoolkit.planning.options import ParsedOptions
from captoolkit.planning.prepare_plan import make_plan
from captoolkit.support import files
from tests.support.media_values import CAPTIONER, media, track


@pytest.fixture
def plan() -> Plan:
    """A plan of six MP3 segments."""
    sound = track(6)
    options = ParsedOptions(format="mp3", segment_s=Fraction(1))
    return make_plan(media(sound), sound, CAPTIONER, options=options)


TALK = SegmentNames.of("talk")


def written(folder: Path, name: str, content: bytes, *, index: int = 1) -> ReadySegment:
    """A finished segment with that content."""
    (folder / name).write_bytes(content)
    return ReadySegment(
        index=index,
        source_span=Span(start_samples=0, end_samples=44_100, rate_hz=44_100),
        file=name,
        size_bytes=len(content),
        sha256=files.sha256(folder / name),
        folder=Folder(folder),
    )


def manifest_of(*segments: ReadySegment) -> str:
    """As much of a manifest as saving reads."""
    rows = [{"file": one.file, "sha256": one.sha256} for one in segments]
    return json.dumps({"segments": rows})


def test_segments_elsewhere_are_copied(plan: Plan, tmp_path: Path) -> None:
    """A segment of another folder or another name is copied; one in its place is not touched."""
    folder, elsewhere = Folder(tmp_path / "in"), tmp_path / "out"
    folder.path.mkdir()
    elsewhere.mkdir()
    away = written(elsewhere, "source.mp3", b"away")
    there = dataclasses.replace(
        written(folder.path, "talk.002.mp3", b"there", index=2), folder=folder
    )
    gathered = saving.gather(plan, [away, there], folder, names=TALK, source=Path("a.wav"))
    assert [one.path for one in gathered] == [
        folder.path / "talk.001.mp3",
        folder.path / "talk.002.mp3",
    ]
    assert [one.read_bytes() for one in gathered] == [b"away", b"there"]
    assert away.path.read_bytes() == b"away"


def test_a_changed_file_is_not_copied(plan: Plan, tmp_path: Path) -> None:
    """A source that was written to after its hash was computed is refused by its own name."""
    folder = Folder(tmp_path / "in")
    folder.path.mkdir()
    away = written(tmp_path, "source.mp3", b"away")
    away.path.write_bytes(b"changed")
    with pytest.raises(InputError, match="it changed") as caught:
        saving.gather(plan, [away], folder, names=TALK, source=Path("a.wav"))
    assert caught.value.path == "a.wav"


def test_inputs_and_existing_files_are_not_replaced(tmp_path: Path) -> None:
    """Existing segments need `overwrite`; inputs are refused even with it."""
    (tmp_path / "talk.001.mp3").write_bytes(b"x")
    names = ["talk.001.mp3", "talk.manifest.json"]
    with pytest.raises(OutputExistsError):
        saving.refuse_outputs(tmp_path, names, overwrite=False, inputs=files.FileSet([]))
    (tmp_path / names[0]).replace(tmp_path / names[1])  # only the manifest of another run
    with pytest.raises(OutputExistsError):
        saving.refuse_outputs(tmp_path, names, overwrite=False, inputs=files.FileSet([]))
    saving.refuse_outputs(tmp_path, names, overwrite=True, inputs=files.FileSet([]))
    with pytest.raises(OutputError, match="is an input"):
        saving.refuse_outputs(
            tmp_path, names, overwrite=True, inputs=files.FileSet([tmp_path / names[1]])
        )


def test_only_unchanged_segments_of_an_earlier_run_are_removed(tmp_path: Path) -> None:
    """Files of other stems, changed files and spared files stay."""
    out, staged = tmp_path / "out", tmp_path / "staged"
    out.mkdir()
    staged.mkdir()
    names = ["talk.001.mp3", "talk.002.mp3", "talk.003.mp3", "talk.004.mp3", "notes.txt"]
    earlier = [written(out, name, name.encode()) for name in names]
    (out / TALK.manifest).write_text(manifest_of(*earlier), encoding="utf-8")
    (out / "talk.003.mp3").write_bytes(b"edited")
    new = written(staged, "talk.001.mp3", b"new")

    text = manifest_of(new)
    spare = files.FileSet([out / "talk.004.mp3"])
    saving.commit(staged, out, names=TALK, segments=["talk.001.mp3"], text=text, spare=spare)

    assert sorted(path.name for path in out.iterdir()) == [
        "notes.txt",
        "talk.001.mp3",
        "talk.003.mp3",
        "talk.004.mp3",
        "talk.manifest.json",
    ]
    assert (out / "talk.001.mp3").read_bytes() == b"new"
    assert (out / TALK.manifest).read_text(encoding="utf-8") == text


def test_a_move_that_fails_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    """A staged file is missing: the earlier segment and its manifest are still there."""
    out, staged = tmp_path / "out", tmp_path / "staged"
    out.mkdir()
    staged.mkdir()
    earlier = written(out, "talk.001.mp3", b"earlier")
    described = out / TALK.manifest
    described.write_text(manifest_of(earlier), encoding="utf-8")
    written(staged, "talk.001.mp3", b"new")
    names = ["talk.001.mp3", "talk.002.mp3"]
    with pytest.raises(OutputError):
        saving.commit(staged, out, names=TALK, segments=names, text="{}", spare=files.FileSet([]))
    assert earlier.path.read_bytes() == b"earlier"
    assert described.read_text(encoding="utf-8") == manifest_of(earlier)
    assert sorted(path.name for path in out.iterdir()) == ["talk.001.mp3", "talk.manifest.json"]
