"""Files of an earlier run: kept if they are what would be made, named with the reason if not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import captoolkit
from captoolkit import OutputExistsError
from tests.support.sound import noise, write_wav


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """A recording of four seconds."""
    write_wav(tmp_path / "talk.wav", noise(4, rate_hz=8000), rate_hz=8000)
    return tmp_path / "talk.wav"


def save(talk: Path, **options: Any) -> list[tuple[str, int]]:
    """Prepare in segments of two seconds, keep what exists; names and inodes of the segments."""
    with captoolkit.prepare(talk, **{"segment": "2s", **options}) as prepared:
        segments = prepared.save(talk.parent / "out", skip_existing=True)
        assert prepared.source.sha256
        return [(each.path.name, each.path.stat().st_ino) for each in segments]


def test_the_same_options_and_source_keep_the_files(talk: Path) -> None:
    """Nothing is written, however the options are spelled, and the segments are the saved ones."""
    first = save(talk)
    assert [name for name, _ in first] == ["talk.001.wav", "talk.002.wav"]
    assert save(talk, segment=2) == first
    assert save(talk, segment="00:00:02", target="qwen3-omni-captioner", max_duration="1h") == first


def test_a_source_that_was_copied_or_touched_is_the_same(talk: Path) -> None:
    """The hash decides where the time of change does not."""
    first = save(talk)
    os.utime(talk, ns=(1, 1))
    assert save(talk) == first
    (talk.parent / "copy").mkdir()
    moved = talk.rename(talk.parent / "copy/talk.wav")
    with captoolkit.prepare(moved, segment="2s") as prepared:
        segments = prepared.save(talk.parent / "out", skip_existing=True)
    assert [each.path.stat().st_ino for each in segments] == [inode for _, inode in first]


def change_source(talk: Path) -> None:
    """Replace the recording by another one of the same size."""
    write_wav(talk, noise(4, rate_hz=8000) * 0.5, rate_hz=8000)


def flip_byte(talk: Path) -> None:
    """Damage a segment, and keep its size."""
    path = talk.parent / "out/talk.002.wav"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def forget_options(talk: Path) -> None:
    """Turn the manifest into one of captoolkit 1.2."""
    path = talk.parent / "out/talk.manifest.json"
    document = json.loads(path.read_text())
    del document["made_by"], document["source"]["modified_ns"]
    path.write_text(json.dumps(document))


def forget_rule(talk: Path) -> None:
    """Turn the manifest into one that does not record the rule of its cuts."""
    path = talk.parent / "out/talk.manifest.json"
    document = json.loads(path.read_text())
    del document["made_by"]["cut_rule"]
    path.write_text(json.dumps(document))


def test_a_recording_in_one_segment_is_kept_whatever_the_rule_of_cuts(talk: Path) -> None:
    """No cut was chosen, so no rule can have changed one."""
    first = save(talk, segment="40m")
    manifest = json.loads((talk.parent / "out/talk.manifest.json").read_text())
    assert manifest["made_by"]["cut_rule"] is None
    forget_rule(talk)
    assert save(talk, segment="40m") == first


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (forget_rule, "was cut by rule 1 of another captoolkit, not by rule"),
        (change_source, "was made before its source changed"),
        (flip_byte, "its file talk.002.wav has changed since"),
        (lambda talk: (talk.parent / "out/talk.001.wav").unlink(), "talk.001.wav is missing"),
        (forget_options, "does not record the options that it was made with"),
        (lambda talk: (talk.parent / "out/talk.manifest.json").write_text("{"), "is no manifest"),
    ],
)
def test_what_was_made_otherwise_is_named_and_not_replaced(
    talk: Path, change: Callable[[Path], object], reason: str
) -> None:
    """The reason is in the message; `overwrite` makes the files again."""
    first = save(talk)
    change(talk)
    manifest = (talk.parent / "out/talk.manifest.json").read_bytes()
    with pytest.raises(OutputExistsError, match=reason):
        save(talk)
    assert (talk.parent / "out/talk.manifest.json").read_bytes() == manifest
    with captoolkit.prepare(talk, segment="2s") as prepared:
        prepared.save(talk.parent / "out", skip_existing=True, overwrite=True)
    again = save(talk)
    assert [name for name, _ in again] == [name for name, _ in first]
    assert again != first


def test_other_options_are_named(talk: Path) -> None:
    """The message has the values of both runs."""
    save(talk, format="mp3")
    with pytest.raises(OutputExistsError) as caught:
        save(talk, segment="1s")
    assert "was made with format=mp3, segment=2, not with no format, segment=1;" in str(
        caught.value
    )
    with captoolkit.split(talk) as pieces, pytest.raises(OutputExistsError) as caught:
        pieces.save(talk.parent / "out", skip_existing=True)
    assert "was made by prepare, not by split" in str(caught.value)


def test_a_template_names_the_saved_files(talk: Path) -> None:
    """The manifest is next to the segments, and describes them."""
    out = talk.parent / "out"
    for _ in range(2):
        with captoolkit.prepare(talk, segment="2s") as prepared:
            saved = prepared.save(out, name="{stem}/{index:02}_{stem}", skip_existing=True)
    assert [each.path.relative_to(out).as_posix() for each in saved] == [
        "talk/01_talk.wav",
        "talk/02_talk.wav",
    ]
    assert (out / "talk/talk.manifest.json").exists()
    with captoolkit.prepare(talk) as prepared:  # fewer segments: the others are removed
        prepared.save(out, name="{stem}/{index:02}_{stem}", overwrite=True)
    assert sorted(each.name for each in (out / "talk").iterdir()) == [
        "01_talk.wav",
        "talk.manifest.json",
    ]
