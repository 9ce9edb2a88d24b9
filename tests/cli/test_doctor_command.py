"""Tests of `captoolkit doctor`."""

from __future__ import annotations

import json
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from captoolkit.media.ffmpeg import TESTED_VERSION as TESTED
from tests.support.command_line import Run
from tests.support.paths import ROOT
from tests.support.processes import posix, script


def test_it_shows_the_installation_and_never_the_key(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ffmpeg, its encoders, versions and folders are shown; of the key only that it is set."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-doctor-0123456789")
    for argv in (("doctor",), ("doctor", "--json")):
        ran = run(*argv)
        assert ran.status == 0
        assert "libmp3lame" in ran.out
        assert "sk-doctor" not in ran.out + ran.err
    facts = json.loads(ran.out)
    assert facts["key (DASHSCOPE_API_KEY)"] == "set"
    assert facts["extra cluster (distributed)"] == metadata.version("distributed")


def test_a_variable_without_effect_is_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt value leaves the decoder as it was, and nothing else shows that."""
    monkeypatch.setenv("CAPTOOLKIT_DECODER", "FFmpeg")
    monkeypatch.setenv("CAPTOOLKIT_ENCODER", "ffmpeg")
    facts = json.loads(run("doctor", "--json").out)
    assert facts["CAPTOOLKIT_DECODER"] == "FFmpeg, which has no effect: the only value is ffmpeg"
    assert facts["CAPTOOLKIT_ENCODER"] == "ffmpeg"


def test_it_shows_each_extra_of_the_package(run: Run) -> None:
    """Each extra that the project declares is listed with libraries that it adds."""
    facts = json.loads(run("doctor", "--json").out)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extra, needs in extras["optional-dependencies"].items():
        listed = [name for name in facts if name.startswith(f"extra {extra} (")]
        libraries = [name.partition("(")[2].rstrip(")") for name in listed]
        assert libraries
        assert all(any(need.startswith(library) for need in needs) for library in libraries)


def test_an_unusable_ffmpeg_is_status_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """CAPTOOLKIT_FFMPEG names a program that is no ffmpeg: this is an error."""
    monkeypatch.setenv("CAPTOOLKIT_FFMPEG", sys.executable)
    ran = run("doctor")
    assert ran.status == 1
    assert "is not an ffmpeg that runs" in ran.err


def test_it_shows_the_origin_of_ffmpeg_and_whether_it_is_tested(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version, origin and test status of ffmpeg are in the text and in the JSON."""
    bundled = json.loads(run("doctor", "--json").out)
    assert bundled["ffmpeg origin"] == "brought by imageio-ffmpeg"
    assert bundled["ffmpeg is tested"] == "yes"
    monkeypatch.setenv("CAPTOOLKIT_FFMPEG", bundled["ffmpeg"])
    text = run("doctor").out
    assert "named by CAPTOOLKIT_FFMPEG" in text
    assert bundled["ffmpeg version"] in text


@posix
def test_another_release_of_ffmpeg_is_shown_as_untested(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program works, and doctor names the tested release."""
    bundled = json.loads(run("doctor", "--json").out)["ffmpeg"]
    change = f"s/version n*{TESTED}/version 8.0/"
    older = script(tmp_path / "ffmpeg", f'"{bundled}" "$@" | sed "{change}"')
    monkeypatch.setenv("CAPTOOLKIT_FFMPEG", str(older))
    facts = json.loads(run("doctor", "--json").out)
    assert facts["ffmpeg version"].startswith("8.0")
    assert facts["ffmpeg is tested"] == f"no, {TESTED} is"
