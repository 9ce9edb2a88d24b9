from __future__ import annotations

import inspect
from typing import TypedDict, Unpack

import pytest

import captoolkit
from captoolkit.errors import UsageError
from captoolkit.planning.options import PlanOptions
from captoolkit.support.keywords import (
    count_cores,
    documents,
    parse_jobs,
    refuse_unknown_names,
    require_utf8,
)


class Colours(TypedDict, total=False):
    """Colours.

    Attributes:
        red: the share of red,
            from 0 to 1.
        blue: the share of blue.
    """

    red: float
    blue: float


@documents(Colours)
def paint(**options: Unpack[Colours]) -> None:
    """Paint.

    Args:
        **options: `Colours`,
            as they are.

    Raises:
        TypeError: never.
    """


def test_docstring_lists_the_options() -> None:
    """The descriptions replace the line of `**options`, and the rest of the docstring stays."""
    assert inspect.getdoc(paint) == inspect.cleandoc(
        """Paint.

        Args:
            red: the share of red,
                from 0 to 1.
            blue: the share of blue.

        Raises:
            TypeError: never.
        """
    )


@pytest.mark.parametrize("verb", [captoolkit.plan, captoolkit.prepare, captoolkit.caption])
def test_help_of_a_verb_shows_every_option(verb: object) -> None:
    """`help` lists each keyword argument with its description."""
    text = inspect.getdoc(verb) or ""
    for name in PlanOptions.__annotations__:
        assert f"\n    {name}: " in text


def test_every_option_is_described_where_it_is_typed() -> None:
    """Each key of the option types has a line in an `Attributes` section."""
    for verb, options in (
        (captoolkit.split, captoolkit.SplitOptions),
        (captoolkit.render, captoolkit.FormatOptions),
        (captoolkit.save, captoolkit.FormatOptions),
        (captoolkit.caption, captoolkit.CaptionOptions),
        (captoolkit.Conversation.__init__, captoolkit.ConversationOptions),
    ):
        for name in options.__annotations__:
            assert f"\n    {name}: " in (inspect.getdoc(verb) or ""), name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("segmnt", "plan() got an unexpected keyword argument 'segmnt'; did you mean 'segment'?"),
        ("job", "plan() got an unexpected keyword argument 'job'; did you mean 'jobs'?"),
        ("zzz", "plan() got an unexpected keyword argument 'zzz'"),
    ],
)
def test_unknown_name_is_refused_with_a_similar_one(name: str, message: str) -> None:
    """The error is Python's, with the name of the function and a suggestion."""
    with pytest.raises(TypeError) as caught:
        refuse_unknown_names("plan", [name], ["segment", "jobs", "track"])
    assert str(caught.value) == message
    refuse_unknown_names("plan", ["segment"], ["segment"])


def test_jobs_are_a_whole_number_from_one() -> None:
    """None is one job for each core; other values are counts."""
    assert parse_jobs(None) == count_cores() >= 1
    assert parse_jobs(3) == 3
    for jobs in (0, -1, 1.5, "2", True):
        with pytest.raises(UsageError, match=r"jobs=.* must be"):
            parse_jobs(jobs)  # type: ignore[arg-type]


def test_text_that_no_request_can_carry_is_refused() -> None:
    """Python reads bytes of an argument that are not UTF-8 as lone surrogates."""
    require_utf8("`prompt`", None)
    with pytest.raises(UsageError, match="`prompt` has the type bytes, not str; pass text"):
        require_utf8("`prompt`", b"q")  # type: ignore[arg-type]
    require_utf8("`prompt`", "名 ☃")
    with pytest.raises(UsageError, match="`prompt` is not UTF-8 text; write it in UTF-8"):
        require_utf8("`prompt`", "q\udcff")
