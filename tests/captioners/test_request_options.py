"""The options of a request: parameters and times."""

from __future__ import annotations

from typing import Any

import pytest

from captoolkit.captioners.base import CaptionerSettings
from captoolkit.captioners.request_options import (
    parse_parameters,
    read_parameters,
    read_timeouts,
)
from captoolkit.errors import UsageError
from tests.support.media_values import SERVICES


def parameters(row: str | None = None, **options: Any) -> dict[str, Any]:
    """Return the parameters of some options."""
    return read_parameters(CaptionerSettings(**options), SERVICES[row] if row else None)


def test_parameters_extend_those_of_the_row() -> None:
    """An option replaces the row's value, None leaves it out, and the rest stays."""
    assert parameters() == {}
    assert parameters("qwen-omni") == {"modalities": ["text"], "enable_thinking": False}
    assert parameters(
        "qwen-omni", temperature=0, seed=7, parameters={"enable_thinking": None, "top_k": 20}
    ) == {"modalities": ["text"], "temperature": 0, "seed": 7, "top_k": 20}


def test_the_row_names_the_limit_of_an_answer() -> None:
    """OpenAI's newer name for `max_tokens` is a column of the row."""
    assert parameters("openai", max_tokens=300) == {"max_completion_tokens": 300}
    assert parameters("mistral", max_tokens=300) == {"max_tokens": 300}


@pytest.mark.parametrize(
    "options",
    [
        {"max_tokens": 0},
        {"max_tokens": True},
        {"max_tokens": "300"},
        {"temperature": -1},
        {"temperature": float("nan")},
        {"top_p": 0},
        {"top_p": 1.5},
        {"seed": 1.5},
        {"parameters": {"model": "other"}},
        {"parameters": {"stream": True}},
        {"parameters": {"n": 4}},
        {"parameters": {"": 1}},
        {"parameters": {"a": object()}},
        {"parameters": {"a": "q\udcff"}},
        {"parameters": {"a": float("inf")}},
        {"parameters": ["a"]},
    ],
)
def test_an_invalid_parameter_is_refused(options: dict[str, Any]) -> None:
    """The refusal precedes every request; captoolkit's own members cannot be replaced."""
    with pytest.raises(UsageError):
        parameters(**options)


def test_parameters_of_the_command_line_are_json() -> None:
    """Anything that is not NAME=JSON is refused with an example."""
    assert parse_parameters([]) is None
    assert parse_parameters(["a=1", 'b="c=d"', "e=null"]) == {"a": 1, "b": "c=d", "e": None}
    for text in ("a", "=1", "a=b", "a=NaN", "a="):
        with pytest.raises(UsageError, match="write"):
            parse_parameters([text])


def test_times_are_those_of_the_option_or_of_the_row() -> None:
    """One duration is both, two are silence and total; silence never exceeds the total."""
    row = SERVICES["vllm"]
    assert read_timeouts(None, row) is None
    assert read_timeouts("1h", row) == (3600, 3600)
    assert read_timeouts("60s,10m", None) == (60, 600)
    assert read_timeouts((60, "10m"), None) == (60, 600)
    assert read_timeouts("20m,10m", None) == (600, 600)
    for text in ("", "1,2,3", "soon", "0"):
        with pytest.raises(UsageError):
            read_timeouts(text, None)
