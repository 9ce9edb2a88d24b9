"""Tests of the files of `prepare` and `split`: pictures."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as Xml

from tests.support.command_line import Run


def test_plan_and_prepare_draw_pictures(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """`--picture` names a file for one input, a folder for several; `-y` is needed to replace."""
    source = fixtures / "hammering-mandarin.flac"
    planned, made = tmp_path / "plan.svg", tmp_path / "made.svg"
    assert run("plan", source, "--segment", "15s", "--picture", planned).status == 0
    assert "Bands: how far a cut may move; dots:" in planned.read_text(encoding="utf-8")
    options = ("--segment", "15s", "--picture", made, "-o", tmp_path / "ready")
    assert run("prepare", source, *options).status == 0
    assert "The loudest cut is at" in made.read_text(encoding="utf-8")
    assert run("plan", source, "--picture", planned).status == 1
    several = (source, fixtures / "tones-and-silences.wav")
    assert run("plan", *several, "--picture", planned).status == 2
    assert run("plan", *several, "--picture", tmp_path / "both").status == 0
    drawn = sorted((tmp_path / "both").iterdir())
    assert [path.name for path in drawn] == ["hammering-mandarin.svg", "tones-and-silences.svg"]
    assert all(Xml.parse(path) for path in drawn)


def test_an_unwritable_picture_is_refused_before_the_work(
    run: Run, fixtures: Path, tmp_path: Path
) -> None:
    """Nothing is prepared if the picture cannot be written."""
    (tmp_path / "file").write_text("")
    out = tmp_path / "ready"
    ran = run(
        "prepare", fixtures / "speech.amr", "-o", out, "--picture", tmp_path / "file" / "a.svg"
    )
    assert (ran.status, out.exists()) == (1, False)


def test_the_picture_of_one_input_has_the_given_name(
    run: Run, fixtures: Path, tmp_path: Path
) -> None:
    """Any extension works; an existing folder receives the file; standard error has its path."""
    source = fixtures / "speech.amr"
    named = tmp_path / "plan.png"
    result = run("plan", source, "--picture", named)
    assert result.status == 0
    assert named.read_text().startswith("<svg")
    assert f"picture: {named}" in result.err
    assert "picture:" not in result.out
    (tmp_path / "there").mkdir()
    result = run("prepare", source, "--picture", tmp_path / "there", "-o", tmp_path / "ready")
    assert f"picture: {tmp_path / 'there' / 'speech.svg'}" in result.err
    assert (tmp_path / "there" / "speech.svg").is_file()
