"""Tests of `captoolkit prepare`."""

from __future__ import annotations

import hashlib
import json
import signal
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.support.command_line import Run, start_captoolkit, wait_for
from tests.support.processes import children_of, has_ended
from tests.support.sound import write_wav


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_it_writes_segments_and_a_manifest(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """The paths go to standard output, and the manifest has size and hash of each file."""
    out = tmp_path / "new" / "ready"
    ran = run("prepare", fixtures / "hammering-mandarin.flac", "--segment", "15s", "-o", out)
    assert ran.status == 0
    names = [Path(line).name for line in ran.out.splitlines()]
    assert names == [f"hammering-mandarin.00{n}.wav" for n in (1, 2, 3)]
    manifest = json.loads((out / "hammering-mandarin.manifest.json").read_text(encoding="utf-8"))
    assert manifest["format"] == "captoolkit.manifest/1"
    assert manifest["action"] == "encode"
    assert [one["file"] for one in manifest["segments"]] == names
    for one in manifest["segments"]:
        assert one["sha256"] == sha256(out / one["file"])
        assert one["bytes"] == (out / one["file"]).stat().st_size
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [*names, "hammering-mandarin.manifest.json"]
    )


def test_a_file_that_fits_is_copied_without_change(
    run: Run, fixtures: Path, tmp_path: Path
) -> None:
    """An AMR file that the service takes is copied byte for byte."""
    source = fixtures / "speech.amr"
    before = sha256(source)
    assert run("prepare", source, "-o", tmp_path).status == 0
    assert sha256(tmp_path / "speech.001.amr") == before == sha256(source)


def test_nothing_is_overwritten_without_y(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """A second run is refused; with `-y` it replaces the first."""
    argv = ("prepare", fixtures / "out-of-phase.flac", "-o", tmp_path)
    assert run(*argv).status == 0
    again = run(*argv)
    assert again.status == 1
    assert "exists; choose another name or folder, or pass -y" in again.err
    assert "--skip-existing to keep finished files" in again.err
    assert run(*argv, "-y").status == 0


def test_standard_output_is_no_folder(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """`-o -` is wrong usage for the commands that write a folder."""
    for argv in (("prepare",), ("split", "--parts", "2"), ("batch", "prepare")):
        refused = run(*argv, fixtures / "speech.amr", "-o", "-")
        assert refused.status == 2
        assert "name a folder" in refused.err


def test_stale_segments_are_removed(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """With `-y`, segments that only the earlier manifest lists are removed."""
    source = fixtures / "hammering-mandarin.flac"
    other = tmp_path / "hammering-mandarin.004.wav"
    other.write_text("not ours")
    assert run("prepare", source, "--segment", "15s", "-o", tmp_path).status == 0
    assert run("prepare", source, "-o", tmp_path, "-y").status == 0
    names = sorted(path.name for path in tmp_path.glob("*.wav"))
    assert names == ["hammering-mandarin.001.wav", other.name]


def test_two_inputs_with_one_stem_get_distinct_names(run: Run, tmp_path: Path) -> None:
    """Neither result replaces the other."""
    rng = np.random.default_rng(3)
    sounds = [rng.uniform(-0.1, 0.1, (8000, 1)).astype(np.float32) for _ in range(2)]
    for folder, sound in zip(("a", "b"), sounds, strict=True):
        (tmp_path / folder).mkdir()
        write_wav(tmp_path / folder / "talk.wav", sound, rate_hz=8000)
    out = tmp_path / "out"
    ran = run("prepare", tmp_path / "a" / "talk.wav", tmp_path / "b" / "talk.wav", "-o", out)
    assert ran.status == 0
    assert sha256(out / "talk.001.wav") == sha256(tmp_path / "a" / "talk.wav")
    assert sha256(out / "talk-2.001.wav") == sha256(tmp_path / "b" / "talk.wav")


def test_a_bad_input_does_not_stop_the_others(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """Good inputs are made, bad ones are reported, and no partial file appears."""
    good, bad = fixtures / "speech.amr", fixtures / "not-media.wav"
    ran = run("prepare", bad, good, fixtures / "gone.wav", "-o", tmp_path)
    assert ran.status == 1
    errors = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "1 made, 2 failed; 1 segment, " in ran.err
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["speech.001.amr", "speech.manifest.json"]


@pytest.mark.parametrize("place", ["a-file", "a-file/below"])
def test_a_file_in_place_of_the_folder_is_refused(
    run: Run, fixtures: Path, tmp_path: Path, place: str
) -> None:
    """The error names it, and the file stays."""
    (tmp_path / "a-file").write_text("I was here first")
    ran = run("prepare", fixtures / "speech.amr", "-o", tmp_path / place)
    assert ran.status == 1
    assert "is not a folder" in ran.err
    assert (tmp_path / "a-file").read_text() == "I was here first"


def test_json_lists_the_manifests(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """`--json` prints one document with all manifests."""
    sources = (fixtures / "speech.amr", fixtures / "raw.aac")
    ran = run("prepare", *sources, "-o", tmp_path, "--json")
    assert [one["source"]["container"] for one in json.loads(ran.out)["files"]] == ["amr", "aac"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(
    ("number", "encoder"),
    [(signal.SIGINT, "ffmpeg"), (signal.SIGTERM, "ffmpeg"), (signal.SIGINT, "")],
    ids=["SIGINT", "SIGTERM", "SIGINT in process"],
)
def test_an_interrupt_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals, encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal ends the run with 130, one line, no partial file and no child process."""
    monkeypatch.setenv("CAPTOOLKIT_ENCODER", encoder)
    rng = np.random.default_rng(5)
    minute = rng.uniform(-0.5, 0.5, (60 * 48000, 1)).astype(np.float32)
    source = write_wav(tmp_path / "long.wav", *[minute] * 40, rate_hz=48000)
    out = tmp_path / "out"
    program = start_captoolkit("prepare", source, "-o", out)
    wait_for(lambda: any(out.glob(".captoolkit-*/long.001.mp3")))
    children = children_of(program.pid)
    assert bool(children) == bool(encoder)
    program.send_signal(number)
    out_text, err_text = program.communicate(timeout=60)
    assert program.returncode == 130
    assert out_text == ""
    assert "error: interrupted" in err_text
    assert not out.exists()
    for child in children:  # the parent that inherits an ended child may need a moment to reap it
        wait_for(partial(has_ended, child))


def test_every_option_shapes_the_output(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """`probe` finds the requested format, sample rate, channels and quality."""
    source = fixtures / "hammering-mandarin.flac"
    wanted = {
        ("--format", "aac"): ("aac", "aac", 16000, 1),
        ("--format", "amr"): ("amr", "amr_nb", 8000, 1),
        ("--format", "mp3"): ("mp3", "mp3", 24000, 1),
        ("--quality", "podcast"): ("mp3", "mp3", 44100, 1),
        ("--quality", "music"): ("mp3", "mp3", 44100, 2),
        ("--format", "wav", "--sample-rate", "8000"): ("wav", "pcm_s16le", 8000, 1),
        ("--format", "wav", "--channels", "2"): ("wav", "pcm_s16le", 16000, 2),
        ("--format", "mp3", "--bitrate", "32k", "--sample-rate", "16000"): (
            "mp3",
            "mp3",
            16000,
            1,
        ),
    }
    for number, (options, (container, *shape)) in enumerate(wanted.items()):
        out = tmp_path / str(number)
        ran = run("prepare", source, *options, "-o", out)
        assert ran.status == 0, (options, ran.err)
        probed = json.loads(run("probe", ran.out.strip().replace("\n", ""), "--json").out)
        (found,) = probed["files"]
        (track,) = found["tracks"]
        assert found["container"] == container
        assert [track["codec"], track["sample_rate_hz"], track["channels"]] == shape
        assert found["fits"]


def test_a_track_can_be_chosen_by_number_or_language(
    run: Run, fixtures: Path, tmp_path: Path
) -> None:
    """`--track 2` and `--track zho` are equal; the error for another lists the tracks."""
    source = fixtures / "two-languages.mp4"
    for name in ("2", "zho"):
        assert run("prepare", source, "--track", name, "-o", tmp_path / name).status == 0
    assert sha256(tmp_path / "2" / "two-languages.001.aac") == sha256(
        tmp_path / "zho" / "two-languages.001.aac"
    )
    ran = run("prepare", source, "--track", "fra", "-o", tmp_path)
    assert ran.status == 1
    assert "no sound track fra; choose from 1 (eng), 2 (zho)" in ran.err


def test_no_temporary_files_are_left(
    run: Run, fixtures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Temporary files are in the temporary folder, and are removed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    run("prepare", fixtures / "out-of-phase.flac", "-o", "ready")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ready", "tmp"]
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_segment_never_replaces_another_input(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """An input with the name of another's segment is refused, and stays."""
    first, second = tmp_path / "talk.flac", tmp_path / "talk.001.wav"
    first.write_bytes((fixtures / "out-of-phase.flac").read_bytes())
    second.write_bytes((fixtures / "tones-and-silences.wav").read_bytes())
    before = sha256(second)
    ran = run("prepare", first, second, "-o", tmp_path, "-y")
    assert ran.status == 1
    assert "is an input and is not replaced" in ran.err
    assert sha256(second) == before


def test_a_hostile_manifest_deletes_nothing(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """Only unchanged files of earlier runs are removed."""
    document = tmp_path / "speech.docx"
    edited = tmp_path / "speech.002.amr"
    for path in (document, edited):
        path.write_text("mine")
    rows = [{"file": path.name, "sha256": sha256(document)} for path in (document,)]
    rows += [{"file": edited.name, "sha256": "0" * 64}]
    (tmp_path / "speech.manifest.json").write_text(json.dumps({"segments": rows}))
    assert run("prepare", fixtures / "speech.amr", "-o", tmp_path, "-y").status == 0
    assert document.read_text() == edited.read_text() == "mine"


def test_an_option_that_one_input_cannot_satisfy_does_not_stop_the_others(
    run: Run, fixtures: Path, tmp_path: Path
) -> None:
    """Mono cannot become stereo; the stereo file is still made, and the status is 1."""
    mono, stereo = fixtures / "tones-and-silences.wav", fixtures / "hammering-mandarin.flac"
    ran = run("prepare", mono, stereo, "--channels", "2", "-o", tmp_path)
    assert ran.status == 1
    assert f"error: {mono}: --channels 2 cannot be made of 1" in ran.err
    assert (tmp_path / "hammering-mandarin.001.wav").is_file()


def test_a_file_named_twice_is_prepared_twice(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """Both results appear, in order, with distinct names."""
    source = fixtures / "hammering-mandarin.flac"
    ran = run("prepare", source, fixtures / "speech.amr", source, "-o", tmp_path)
    names = [Path(line).name for line in ran.out.splitlines()]
    assert [name.split(".")[0] for name in names] == [
        "hammering-mandarin",
        "speech",
        "hammering-mandarin-2",
    ]
