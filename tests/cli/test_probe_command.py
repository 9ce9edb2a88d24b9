"""Tests of `captoolkit probe`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.command_line import Run
from tests.support.subtitled import make_subtitled


def test_it_shows_tracks_durations_and_exceeded_limits(run: Run, fixtures: Path) -> None:
    """A video with two languages is shown with both, and with the reason why it does not fit."""
    ran = run("probe", fixtures / "two-languages.mp4")
    assert ran.status == 0
    assert "mp4, 0:05.000" in ran.out
    assert "eng default" in ran.out
    assert "zho" in ran.out
    assert "does not fit without change" in ran.out
    assert "It holds 2 sound tracks" in ran.out
    assert ran.err == ""


def test_json_is_one_exact_document(run: Run, fixtures: Path) -> None:
    """`--json` has every value, exact to the sample."""
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


def test_subtitles_and_chapters_are_listed(run: Run, tmp_path: Path, ffmpeg: str) -> None:
    """The text and the document have the same tracks and chapters."""
    film = make_subtitled(tmp_path / "film.mp4", ffmpeg)
    ran = run("probe", film)
    assert "  subtitles 2  mov_text  deu forced\n" in ran.out
    assert "  chapter 1  0:00.000 - 0:01.500  One: a Stream #0:9: Audio: mp3, 8000 Hz\n" in ran.out
    (document,) = json.loads(run("probe", film, "--json").out)["files"]
    assert document["subtitles"][0] == {
        "number": 1,
        "codec": "mov_text",
        "language": "eng",
        "default": True,
        "forced": False,
    }
    assert document["chapters"][1] == {"start_s": 1.5, "end_s": 2.0, "title": ""}


def test_a_bad_input_is_one_error_line(run: Run, fixtures: Path) -> None:
    """Each failure names its file, the others are shown, and the status is 1."""
    bad = ("not-media.wav", "empty.wav", "playlist.mp3", "video-without-sound.mp4", "nothing.wav")
    ran = run("probe", *(fixtures / name for name in bad), fixtures / "speech.amr")
    assert ran.status == 1
    assert "speech.amr: amr" in ran.out
    lines = ran.err.splitlines()
    assert len(lines) == len(bad)
    for line, name in zip(lines, bad, strict=True):
        assert line.startswith(f"error: {fixtures / name}: ")
        assert "; " in line


def test_control_characters_of_a_name_are_replaced(run: Run, tmp_path: Path) -> None:
    """Escape sequences in a file's name become question marks."""
    ran = run("probe", tmp_path / "a\x1b]0;owned\x07.wav")
    assert ran.status == 1
    assert "\x1b" not in ran.err
    assert "\x07" not in ran.err
    assert "a?]0;owned?.wav" in ran.err
