"""The options of a request: the model's parameters, and how long an answer may take.

Rules: pure. A parameter that the caller gives replaces the row's; `null` leaves the row's out. The
parameters are a part of the ledger's key, the times are not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from captoolkit.captioners.base import CaptionerSettings, Timeout
from captoolkit.errors import UsageError
from captoolkit.model import Target
from captoolkit.support.keywords import parse_option
from captoolkit.units import parse_duration

# The members of a request that captoolkit sets itself.
OWN_MEMBERS = frozenset({"model", "messages", "input", "stream", "stream_options"})
MAX_TOKENS = "max_tokens"


def read_parameters(settings: CaptionerSettings, row: Target | None) -> dict[str, Any]:
    """Return the members of each request's body besides model and messages.

    Args:
        settings: the options of the caller.
        row: the target; the options extend its `body`. None without one.

    Raises:
        UsageError: a parameter is invalid, or captoolkit sets it itself.
    """
    given: dict[str, Any] = {}
    for name, (is_valid, meaning) in _CHECKS.items():
        value = getattr(settings, name)
        if value is None:
            continue
        if isinstance(value, bool) or not is_valid(value):
            raise UsageError(f"{name}={value!r} must be {meaning}")
        given[name] = value
    if MAX_TOKENS in given and row is not None:
        given[row.max_tokens_name] = given.pop(MAX_TOKENS)
    merged = {**(row.body if row else {}), **given, **_checked(settings.parameters or {})}
    return {name: value for name, value in merged.items() if value is not None}


_CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    MAX_TOKENS: (lambda value: isinstance(value, int) and value > 0, "a whole number above 0"),
    "temperature": (lambda value: _is_between(value, 0, math.inf), "a number, 0 or more"),
    "seed": (lambda value: isinstance(value, int), "a whole number"),
    "top_p": (lambda value: _is_between(value, 0, 1) and value > 0, "above 0 and at most 1"),
}


def _is_between(value: object, least: float, most: float) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and least <= value <= most


def _checked(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(parameters, Mapping):
        raise UsageError(f"parameters={parameters!r} must be names and JSON values")
    for name, value in parameters.items():
        if not isinstance(name, str) or not name.strip():
            raise UsageError(f"parameters: {name!r} is no name")
        if name in OWN_MEMBERS:
            raise UsageError(
                f"the parameter {name} is set by captoolkit", fix="leave it out of the parameters"
            )
        if name == "n" and value not in (1, None):
            raise UsageError(
                f"the parameter n={value!r} pays for several answers, and captoolkit reads one",
                fix="leave it out of the parameters",
            )
        try:
            json.dumps({name: value}, allow_nan=False, ensure_ascii=False).encode()
        except (TypeError, ValueError):
            raise UsageError(f"the parameter {name}={value!r} is no JSON value") from None
    return parameters


def parse_parameters(texts: Sequence[str]) -> dict[str, Any] | None:
    """Return names and values of parameters, from texts of the form `NAME=JSON`; None for none.

    Raises:
        UsageError: a text has another form.

    ```python
    >>> parse_parameters(["top_k=20", 'stop=["END"]'])
    {'top_k': 20, 'stop': ['END']}

    ```
    """
    return dict(map(_parse_parameter, texts)) or None


def _parse_parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"{text!r} is not NAME=JSON", fix="write one such as top_k=20")
    try:
        return name.strip(), json.loads(value, parse_constant=_refuse_constant)
    except ValueError:
        raise UsageError(
            f"the value of {name.strip()} is not JSON: {value!r}",
            fix=f"write a number, true, null, or text in quotes: '{name.strip()}=\"TEXT\"'",
        ) from None


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def checked_timeout(timeout: str) -> str:
    """Return a text that states one or two durations.

    Raises:
        UsageError: it states none, or more.
    """
    read_timeouts(timeout, None)
    return timeout


def read_timeouts(timeout: Timeout | None, row: Target | None) -> tuple[float, float] | None:
    """Return the longest silence and the longest time of a request, in seconds.

    Args:
        timeout: both as one value, or two values; None for the times of the row.
        row: the target, which may state times.

    Returns:
        None where neither states a time.

    Raises:
        UsageError: `timeout` is not one or two durations.

    ```python
    >>> read_timeouts("60s,10m", None), read_timeouts(90, None)
    ((60.0, 600.0), (90.0, 90.0))

    ```
    """
    if timeout is not None:
        parts = timeout.split(",") if isinstance(timeout, str) else timeout
        lengths = parts if isinstance(parts, list | tuple) else [parts]
        if len(lengths) not in {1, 2}:
            raise UsageError(
                f"timeout={timeout!r} is not one or two durations",
                fix="write one such as 1h, or two such as 60s,10m: silence, total",
            )
        silence_s, total_s = (
            float(parse_option("timeout", parse_duration, lengths[n])) for n in (0, -1)
        )
    elif row is not None and row.timeout_s is not None:
        silence_s, total_s = row.silence_s or row.timeout_s, row.timeout_s
    else:
        return None
    return min(silence_s, total_s), total_s
