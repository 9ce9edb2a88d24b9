"""`captoolkit probe`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_it_tells_tracks_lengths_and_broken_limits(run: Run, fixtures: Path) -> None:
    """A video with two languages is shown with both, and with why it does not fit."""
    ran = run("probe", fixtures / "two-languages.mp4")
    assert ran.status == 0
    assert "mp4, 0:05.000" in ran.out
    assert "eng default" in ran.out
    assert "zho" in ran.out
    assert "does not fit as it is" in ran.out
    assert "It holds 2 sound tracks" in ran.out
    assert ran.err == ""


def test_json_is_one_document_that_agrees_with_the_truth(run: Run, fixtures: Path) -> None:
    """`--json` gives every figure, to the sample."""
    name = "two-languages.mp4"
    ran = run("probe", fixtures / name, fixtures / "tones-and-silences.wav", "--json")
    document = json.loads(ran.out)
    truth = json.loads((fixtures / f"{name}.json").read_text(encoding="utf-8"))
    assert document["format"] == "captoolkit.probe/1"
    video, tones = document["files"]
    for found, true in zip(video["tracks"], truth["tracks"], strict=True):
        for key in ("number", "codec", "sample_rate_hz", "channels", "language", "default"):
            assert found[key] == true[key]
        assert found["duration_samples"] == true["duration_samples"]
    assert not video["fits"]
    assert tones["fits"]
    assert tones["misfits"] == []


def test_one_bad_input_is_one_line_and_the_others_are_done(run: Run, fixtures: Path) -> None:
    """Each failure names its file; the exit status says that there was one."""
    bad = ("not-media.wav", "empty.wav", "playlist.mp3", "video-without-sound.mp4", "nothing.wav")
    ran = run("probe", *(fixtures / name for name in bad), fixtures / "speech.amr")
    assert ran.status == 1
    assert "speech.amr: amr" in ran.out
    lines = ran.err.splitlines()
    assert len(lines) == len(bad)
    for line, name in zip(lines, bad, strict=True):
        assert line.startswith(f"error: {fixtures / name}: ")
        assert "; " in line


def test_a_name_cannot_play_tricks_on_the_terminal(run: Run, tmp_path: Path) -> None:
    """Escape sequences in a file's name are shown as question marks."""
    ran = run("probe", tmp_path / "a\x1b]0;owned\x07.wav")
    assert ran.status == 1
    assert "\x1b" not in ran.err
    assert "\x07" not in ran.err
    assert "a?]0;owned?.wav" in ran.err
