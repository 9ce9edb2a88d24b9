"""Tests of the shared options: their values come from the library."""

from __future__ import annotations

import inspect
from typing import Any, get_args

import click
import pytest

from captoolkit.captioners.registry import CAPTIONERS
from captoolkit.cli import shared_options
from captoolkit.cli.app import COMMANDS, app
from captoolkit.planning.options import FormatName
from captoolkit.timeline import FORMATS


def option(command: str, name: str) -> click.Option:
    """Return an option of a command."""
    loaded = app.get_command(click.Context(app), command)
    assert loaded is not None
    (found,) = (one for one in loaded.params if name in one.opts)
    assert isinstance(found, click.Option)
    return found


def test_closed_sets_come_from_the_rows() -> None:
    """Encodings, timeline formats and captioners of the library are those of the help."""
    choices: Any = option("prepare", "--format").type
    assert tuple(choices.choices) == get_args(FormatName)
    assert ", ".join(FORMATS) in str(option("export", "-f").help)
    for name, row in CAPTIONERS.items():
        assert f"{name}: {row.help}" in str(option("caption", "--captioner").help)


def test_options_in_the_help_have_the_order_of_the_group() -> None:
    """`--segment` precedes `--max-segment`, which precedes `--parts`."""
    split = app.get_command(click.Context(app), "split")
    assert split is not None
    names = [one.opts[0] for one in split.params if isinstance(one, click.Option)]
    lengths = [names.index(name) for name in ("--segment", "--max-segment", "--parts")]
    assert lengths == sorted(lengths)


def test_the_decorators_have_no_branches() -> None:
    """A shared option is data: no statement of the module chooses between options."""
    lines = inspect.getsource(shared_options).splitlines()
    assert [line for line in lines if line.lstrip().startswith(("if ", "elif ", "match "))] == []


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_short_help_is_one_verb_phrase(name: str) -> None:
    """It starts with a capital letter, ends with a period and fits on a line."""
    text = COMMANDS[name]
    assert text[0].isupper()
    assert text.endswith(".")
    assert len(text) <= 76
