"""Tests of the ranges of request parameters and the words of their refusals."""

from __future__ import annotations

from typing import Any

import pytest

from captoolkit.emulator import compatible_protocol, native_protocol, openai_protocol, vllm_protocol
from captoolkit.emulator.parameter_ranges import ParameterRange, check_parameters
from captoolkit.emulator.refusals import Reason, RefusedError

TABLES = {
    "model-studio": compatible_protocol.RANGES,
    "native": (*native_protocol.SAMPLING_RANGES, native_protocol.SEED),
    "vllm": vllm_protocol.RANGES,
    "openai": openai_protocol.RANGES,
}


def refusal_of(service: str, **parameters: Any) -> Any:
    """Return the refusal of parameters."""
    with pytest.raises(RefusedError) as caught:
        check_parameters(parameters, TABLES[service])
    return caught.value.refusal


@pytest.mark.parametrize("service", TABLES)
def test_bounds_are_taken_and_values_beyond_are_refused(service: str) -> None:
    """Each table refuses what is out of range and what is no number, with the value in mind."""
    for one in TABLES[service]:
        inside = [value for value in (one.least, one.most, 1) if abs(value) < 2**70]
        for value in inside:
            is_open = (one.excludes_least and value == one.least) or (
                one.excludes_most and value == one.most
            )
            number = int(value) if one.is_whole else value
            if is_open:
                assert refusal_of(service, **{one.name: number}).reason is Reason.OUT_OF_RANGE
            else:
                check_parameters({one.name: number}, TABLES[service])
        wrong: Any
        for wrong in ("x", True, [1], {}):
            assert refusal_of(service, **{one.name: wrong}).reason is Reason.NO_NUMBER
        if one.least > -(2.0**70):
            assert refusal_of(service, **{one.name: int(one.least) - 1}).details["is_below"]


def test_null_counts_as_missing() -> None:
    """Unknown parameters are taken."""
    check_parameters({"temperature": None, "nonsense": "x"}, TABLES["openai"])


@pytest.mark.parametrize(
    ("service", "parameters", "words"),
    [
        ("native", {"temperature": 2}, "Temperature should be in [0.0, 2.0)"),
        ("native", {"top_p": 0}, "Range of top_p should be (0.0, 1.0]"),
        ("native", {"seed": -1}, "Range of seed should be [0, 9223372036854775807]"),
        ("model-studio", {"seed": -1}, "-1 is lesser than the minimum of 0 - 'seed'"),
        ("model-studio", {"max_tokens": 0}, "Range of max_tokens should be [1, 2147483647]"),
        ("vllm", {"temperature": 3}, "temperature must be in [0, 2], got 3.0. (parameter="),
        ("vllm", {"temperature": "hot"}, "{'type': 'float_parsing', 'loc': 'body.temperature'"),
        (
            "openai",
            {"temperature": 2.1},
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got "
            "2.1 instead.",
        ),
        (
            "openai",
            {"temperature": "hot"},
            "Invalid type for 'temperature': expected a decimal, but got a string instead.",
        ),
    ],
)
def test_words_are_the_services(service: str, parameters: dict[str, Any], words: str) -> None:
    """The sentences of the services' pages and answers."""
    assert words in refusal_of(service, **parameters).details["message"]


def test_an_open_range_has_no_bound_on_one_side() -> None:
    """A table may state one bound."""
    one = ParameterRange(name="top_k", least=0, is_whole=True, words="no", wrong_kind="no")
    one.check(10**9)
