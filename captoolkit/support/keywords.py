"""Keyword arguments of the verbs: their documentation, the refusal of unknown names, and `jobs`.

Rules: each option is typed and described once, in a `TypedDict`. A verb takes it as
`**options: Unpack[...]`, refuses other names before it does anything else, and shows the
descriptions in its own docstring.
"""

from __future__ import annotations

import difflib
import os
import textwrap
from collections.abc import Callable, Iterable
from numbers import Integral
from typing import Any, TypeVar

from captoolkit.errors import UsageError

Function = TypeVar("Function", bound=Callable[..., Any])
Given = TypeVar("Given")
Parsed = TypeVar("Parsed")
PLACE = "**options:"  # the line of a docstring that the descriptions replace
SECTION = "Attributes:\n"


def documents(*options: type) -> Callable[[Function], Function]:
    """Return a decorator that replaces the `**options` line of a docstring by descriptions.

    Args:
        options: the `TypedDict`s whose `Attributes` sections are shown, in this order. A
            `TypedDict` does not know its bases, so each base is an argument of its own.
    """

    def complete(function: Function) -> Function:
        if function.__doc__ is not None:  # None under `python -OO`
            lines = function.__doc__.split("\n")
            place = next(n for n, line in enumerate(lines) if line.lstrip().startswith(PLACE))
            end = place + 1
            indent = lines[place].partition(PLACE)[0]
            while lines[end].startswith(f"{indent} "):
                end += 1
            shown = "".join(_descriptions(kind) for kind in options).rstrip("\n")
            lines[place:end] = textwrap.indent(shown, indent).split("\n")
            function.__doc__ = "\n".join(lines)
        return function

    return complete


def _descriptions(options: type) -> str:
    """The lines of a `TypedDict`'s `Attributes` section, without their indentation."""
    text = textwrap.dedent((options.__doc__ or "").partition("\n")[2])
    return textwrap.dedent(text.partition(SECTION)[2])


def refuse_unknown_names(function: str, given: Iterable[str], names: Iterable[str]) -> None:
    """Raise for a keyword argument that a function does not have, as Python itself does.

    Args:
        function: the name of the public function that was called.
        given: the names of the keyword arguments of the call.
        names: the names of the keyword arguments that the function has.

    Raises:
        TypeError: a name is unknown; the message suggests a similar one.
    """
    known = set(names)
    for name in given:
        if name not in known:
            similar = difflib.get_close_matches(name, sorted(known), n=1)
            hint = f"; did you mean {similar[0]!r}?" if similar else ""
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}{hint}")


def require_type(name: str, value: object, kind: Any, meaning: str) -> None:
    """Raise for the value of an option that is of another type.

    Raises:
        UsageError: `value` is no instance of `kind`; the message states that it must be `meaning`.
    """
    if not isinstance(value, kind):
        raise UsageError(f"{name}={value!r} must be {meaning}")


def parse_option(name: str, parse: Callable[[Given], Parsed], value: Given) -> Parsed:
    """Return the parsed value of an option.

    Raises:
        UsageError: `parse` raised it with a problem that begins with the value; the message of this
            one begins with `name=VALUE`.
    """
    try:
        return parse(value)
    except UsageError as error:
        raise UsageError(f"{name}={error.problem}", fix=error.fix) from None


def require_utf8(name: str, text: str | None) -> None:
    """Raise for a text that no request can carry: Python keeps bytes that are not UTF-8 in it.

    Raises:
        UsageError: `text` cannot be encoded, or is none.
    """
    if not isinstance(text, str | None):
        raise UsageError(f"{name} has the type {type(text).__name__}, not str", fix="pass text")
    try:
        (text or "").encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{name} is not UTF-8 text", fix="write it in UTF-8") from error


def parse_count(name: str, value: object, *, least: int = 1, fix: str = "") -> int:
    """Return the value of an option that is a whole number.

    Args:
        name: the option.
        value: its value.
        least: the smallest number.
        fix: the remedy for a smaller one.

    Raises:
        UsageError: `value` is no whole number, or is below `least`.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise UsageError(f"{name}={value!r} must be a whole number")
    if value < least:
        raise UsageError(f"{name}={value} must be at least {least}", fix=fix)
    return int(value)


def parse_jobs(jobs: int | None) -> int:
    """Return how many stretches of a recording are processed in parallel; None is all cores.

    Raises:
        UsageError: `jobs` is no whole number, or is below 1.
    """
    return count_cores() if jobs is None else parse_count("jobs", jobs)


def count_cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
