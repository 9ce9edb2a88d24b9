"""The help of a command with many options is in sections."""

from __future__ import annotations

import re

import pytest

from captoolkit.cli import help_sections
from tests.support.command_line import Run


def headings(text: str) -> list[str]:
    """The headings of a help."""
    return re.findall(r"^([A-Z][a-z ]+):$", text, re.MULTILINE)


@pytest.mark.parametrize("command", ["plan", "prepare", "split", "caption", "ask"])
def test_each_option_of_a_long_help_has_a_section(run: Run, command: str) -> None:
    """The sections come in one order, and none of them is a rest."""
    found = headings(run(command, "--help").out)
    assert [each for each in help_sections.ORDER if each in found] == found
    expected = ["Options"] if command == "ask" else []  # --continue is its own
    assert [each for each in found if each == help_sections.OPTIONS] == expected


def test_a_short_help_has_no_sections(run: Run) -> None:
    """A screen of options needs none."""
    assert headings(run("probe", "--help").out) == ["Options"]


def test_an_option_is_listed_once_under_its_heading(run: Run) -> None:
    """Options of a group inside another group keep the section of their own."""
    sound = run("prepare", "--help").out.partition("\nSound:\n")[2].partition("\n\n")[0]
    assert "--bitrate RATE" in sound
    assert "--segment" not in sound
    assert run("prepare", "--help").out.count("\n  --segment ") == 1
