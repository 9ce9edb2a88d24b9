"""Tests of how options read their values, and of shell completion."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from captoolkit.cli.app import app
from captoolkit.cli.option_types import parsed_by
from captoolkit.units import parse_duration
from tests.support.command_line import Run
from tests.support.paths import ROOT


def test_a_value_that_cannot_be_parsed_is_wrong_usage() -> None:
    """The library's refusal becomes click's, which has status 2."""
    callback = parsed_by(parse_duration)
    context, parameter = click.Context(app), click.Option(["--segment"])
    assert callback(context, parameter, None) is None
    assert callback(context, parameter, "1m30s") == 90
    with pytest.raises(click.BadParameter, match="is not a duration"):
        callback(context, parameter, "soon")


def test_a_refused_value_names_the_option_and_no_keyword(run: Run) -> None:
    """The library's notation, such as gain=loud, becomes that of the command line."""
    assert "--gain loud is no gain; take auto" in run("plan", "a.wav", "--gain", "loud").err
    refused = run("batch", "prepare", "a.wav", "-o", "out", "--normalize", "loud")
    assert (refused.status, "--normalize loud is no loudness" in refused.err) == (2, True)


@pytest.mark.parametrize(
    "argv",
    [
        ("view", "t.json", "-o", ""),
        ("plan", "a.wav", "--picture", ""),
        ("plan", "a.wav", "--report", ""),
        ("prepare", "--files-from", "", "-o", "out"),
        ("batch", "status", ""),
        ("emulate", "--log", ""),
        ("batch", "prepare", "a.wav", "-o", ""),
    ],
    ids=" ".join,
)
def test_an_empty_path_is_wrong_usage(run: Run, argv: tuple[str, ...]) -> None:
    """A shell makes it of a variable that is not set; it does not stand for the current folder."""
    ran = run(*argv)
    assert ran.status == 2
    assert "it is empty; name a" in ran.err


@pytest.mark.parametrize(
    "argv",
    [
        ("view", "t.json", "-o", "-"),
        ("embed", "a.mp4", "t.json", "-o", "-"),
        ("plan", "a.wav", "--picture", "-"),
        ("plan", "a.wav", "--report", "-"),
        ("prepare", "a.wav", "-o", "-"),
    ],
    ids=" ".join,
)
def test_standard_output_is_no_file(run: Run, argv: tuple[str, ...]) -> None:
    """No file called - appears where only a file can be written."""
    ran = run(*argv)
    assert ran.status == 2
    assert "- is standard output, and th" in ran.err
    assert "(one called - is ./-)" in ran.err


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        (["ca"], ["plain,caption"]),
        (["caption", "--skip-e"], ["plain,--skip-existing"]),
        (["caption", "--captioner", "dash"], ["plain,dashscope"]),
        (["caption", "--target", "gem"], ["plain,gemini"]),
        (["caption", "-f", "json,sr"], ["plain,json,srt"]),
        (["emulate", "--fault", "thr"], ["plain,throttle"]),
        (["batch", "prep"], ["plain,prepare"]),
        *(
            ([*command, "fix"], ["file,fix"])
            for command in (
                ["prepare"],
                ["caption", "a.wav", "--report"],
                ["view"],
                ["embed", "a.mp4"],
                ["ask"],
                ["batch", "split"],
            )
        ),
    ],
    ids=" ".join,
)
def test_the_shell_completes_commands_options_and_files(
    words: list[str], completions: list[str]
) -> None:
    """The script that the docs install calls the program so; the shell itself lists the files."""
    ran = subprocess.run(
        [sys.executable, "-c", "from captoolkit.cli import main; main()"],
        env=os.environ
        | {
            "_CAPTOOLKIT_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["captoolkit", *words]),
            "COMP_CWORD": str(len(words)),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.splitlines() == completions


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_takes_the_script_of_the_docs(tmp_path: Path) -> None:
    """After the line of the guide, bash completes an option of a command."""
    program = tmp_path / "captoolkit"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m captoolkit "$@"\n')
    program.chmod(0o755)
    guide = (ROOT / "docs/guides/many-recordings.md").read_text(encoding="utf-8")
    (line,) = re.findall(r'^eval "\$\(.*bash_source.*\)"$', guide, re.MULTILINE)
    script = (
        f"{line}\nCOMP_WORDS=(captoolkit caption --skip-e) COMP_CWORD=2\n"
        '_captoolkit_completion captoolkit --skip-e caption\necho "${COMPREPLY[@]}"\n'
    )
    ran = subprocess.run(
        ["bash", "--norc", "-c", script],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("--skip-existing\n", "")
