"""Sections of the help of a command that has many options, such as `Sound` and `Requests and cost`.

Rules: an option gets its section where it is defined, by `option` or `section`. An option without
one is listed first, under `Options`. A command with few options has no sections.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import click

Command = TypeVar("Command", bound=Callable[..., Any])

FEW = 20  # options that are listed without sections
OPTIONS = "Options"
OUTPUT = "Files to write"
CAPTIONER = "Captioner"
REQUESTS = "Requests and cost"
TARGET = "Target and cuts"
SOUND = "Sound"
INPUTS = "Recordings"
CLUSTER = "Workers"
MESSAGES = "Work and messages"
ORDER = (OPTIONS, OUTPUT, CAPTIONER, REQUESTS, TARGET, SOUND, INPUTS, CLUSTER, MESSAGES)

_sections: WeakKeyDictionary[click.Parameter, str] = WeakKeyDictionary()


def group(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Return one decorator of several options; the help lists them in this order."""

    def decorate(command: Command) -> Command:
        return functools.reduce(lambda made, option: option(made), reversed(options), command)

    return decorate


def section(heading: str, *options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Return one decorator of several options that the help lists under this heading."""

    def decorate(command: Command) -> Command:
        before = len(_parameters(command))
        made = group(*options)(command)
        for parameter in _parameters(made)[before:]:
            _sections.setdefault(parameter, heading)
        return made

    return decorate


def option(heading: str, *names: str, **settings: Any) -> Callable[[Command], Command]:
    """Return the decorator of one option that the help lists under this heading."""
    return section(heading, click.option(*names, **settings))


def _parameters(command: Callable[..., Any]) -> list[click.Parameter]:
    """Return the parameters that decorators have added so far."""
    return getattr(command, "__click_params__", [])


class SectionedCommand(click.Command):
    """A command with a help in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options by section, in the order of `ORDER`."""
        rows = defaultdict[str, list[tuple[str, str]]](list)
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx)
            if isinstance(parameter, click.Option) and row is not None:
                usual = MESSAGES if "--help" in parameter.opts else OPTIONS
                rows[_sections.get(parameter, usual)].append(row)
        if sum(map(len, rows.values())) <= FEW:
            super().format_options(ctx, formatter)
            return
        for heading in ORDER:
            if rows[heading]:
                with formatter.section(heading):
                    formatter.write_dl(rows[heading])
