"""Reading targets: the TOML text of `targets.toml`, or of a user's own file, as values.

Rules: a number about a service is in `targets.toml`, never in code, and names its source. A
mistake in a row is refused, with its place. `catalogue.py` finds and reads the files.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import Enum
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from captoolkit.errors import UsageError
from captoolkit.model import DEFAULT_TRUE_PEAK_DBTP, Dialect, Fact, LoudnessTarget, Price, Target

Row = TypeVar("Row")
NO_TARGETS: Mapping[str, Target] = MappingProxyType({})
EMPTY: Mapping[str, Any] = {"title": "", "models": (), "accepts": {}, "limits": {}}

# The question about each segment of a model that takes one. Without a question, models with voice
# chat reply to the speech (Model Studio, "Audio understanding (Qwen-Audio)").
DEFAULT_PROMPT = (
    "Describe this recording in detail: the speech, quoted in its own language, with the speakers "
    "and their mood; the music; all other sounds; and the place. Answer with the description alone."
)

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
# A star stands for at least one label above two: `*.com` would name the hosts of everybody.
_HOST = re.compile(r"(?:\*(?:\.[a-z0-9-]+){2,}|[a-z0-9.:-]+)", re.ASCII)
_HEADER = re.compile(r"[A-Za-z0-9-]+", re.ASCII)
_VALUE = re.compile(r"[!-~]+(?: [!-~]+)*", re.ASCII)
# captoolkit sets these itself; a key does not belong into a file.
_OWN_HEADERS = frozenset(
    {"authorization", "host", "content-type", "content-length", "connection", "accept-encoding"}
)
MOST_SECONDS = 7 * 86_400  # of a request: a week

LIMIT_NAMES = frozenset(
    {
        "advised_duration_s",
        "files_per_request",
        "max_base64_chars",
        "max_bytes_base64",
        "max_bytes_upload",
        "max_bytes_url",
        "max_decoded_bytes",
        "max_duration_s",
        "max_input_tokens",
        "max_output_tokens",
        "min_billed_s",
        "requests_per_minute",
        "text_tokens",
        "tokens_per_minute",
        "tokens_per_s",
    }
)


class _Row(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The base of all tables in the file: an unknown key is a mistake."""


class _Source(_Row, frozen=True):
    title: str
    checked: str


class _Fact(_Row, frozen=True):
    value: int | float
    source: str
    note: str = ""


class _Price(_Row, frozen=True):
    region: str
    currency: str
    input_per_million: str
    output_per_million: str
    source: str
    audio_input_per_million: str | None = None
    until: str | None = None


class _Loudness(_Row, frozen=True):
    lufs: int | float
    source: str
    true_peak_dbtp: int | float = DEFAULT_TRUE_PEAK_DBTP


class _Target(_Row, frozen=True):
    title: str
    models: tuple[str, ...]
    accepts: dict[str, tuple[str, ...]]
    limits: dict[str, Any]
    loudness: Any = None
    prices: tuple[Any, ...] = ()
    on_exceed: Literal["error", "truncate"] = "error"
    full_sound: bool = False
    prompt: bool = False
    system: bool = False
    turns: bool = False
    hosted_by: str = ""
    region: str = ""
    protocols: tuple[str, ...] = ()
    dialect: Dialect | None = None
    base_url: str = ""
    hosts: tuple[str, ...] = ()
    key_variable: str = ""
    key_header: str = ""
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    body: dict[str, Any] = {}
    max_tokens_name: str = "max_tokens"
    default_prompt: str = ""
    must_stream: bool = False
    has_format: bool = False
    timeout_s: int | float | None = None
    silence_s: int | float | None = None


class _File(_Row, frozen=True):
    targets: dict[str, dict[str, Any]]
    sources: dict[str, _Source] = {}


# msgspec crashes if threads are the first to read a type at the same time: it is read here.
for _kind in (_File, _Target, _Loudness, _Fact, _Price):
    msgspec.json.Decoder(_kind)


def parse(
    text: str, *, origin: str, others: Mapping[str, Target] = NO_TARGETS
) -> dict[str, Target]:
    """Return the targets that a TOML text describes, by name.

    Args:
        text: in the form that the head of `targets.toml` explains.
        origin: the name of the file, for the error.
        others: targets of other files, which a target of this one may be like.

    Raises:
        UsageError: the text has a mistake; the error names its place.
    """
    try:
        file = msgspec.toml.decode(text, type=_File)
        targets: dict[str, Target] = {}
        for name, row in file.targets.items():
            targets[name] = _target(name, row, file.sources, {**others, **targets})
        return targets
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{origin}: {error}", fix="compare it with the form of targets.toml"
        ) from error


def as_python(targets: Mapping[str, Target]) -> str:
    """Return Python code that sets `rows` to these targets."""
    return (
        "import datetime\nfrom decimal import Decimal\nfrom fractions import Fraction\n"
        "from captoolkit.model import Dialect, Fact, LoudnessTarget, Price, Target\n"
        f"rows = {_expression(dict(targets))}\n"
    )


def _expression(value: object) -> str:
    """Return the Python expression of a value."""
    if is_dataclass(value) and not isinstance(value, type):
        given = ((field.name, getattr(value, field.name)) for field in fields(value))
        return f"{type(value).__name__}({', '.join(f'{k}={_expression(v)}' for k, v in given)})"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key!r}: {_expression(each)}' for key, each in value.items())}}}"
    if isinstance(value, tuple):
        return f"({''.join(f'{_expression(each)}, ' for each in value)})"
    return f"{type(value).__name__}({value.value!r})" if isinstance(value, Enum) else repr(value)


def _read(place: str, row: object, kind: type[Row]) -> Row:
    """Return `row` as a value of `kind`; an error names the place."""
    try:
        return msgspec.convert(row, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"targets.{place}: {error}") from error


def _target(
    name: str, raw: Mapping[str, Any], sources: Mapping[str, _Source], others: Mapping[str, Target]
) -> Target:
    """Return the target of a row; it has the values of the row that `like` names."""
    given = {key: value for key, value in raw.items() if key != "like"}
    base = _base(name, raw.get("like"), others)
    row = _read(name, {**(EMPTY if base else {}), **given}, _Target)
    unknown = sorted(row.limits.keys() - LIMIT_NAMES)
    if unknown:
        raise ValueError(f"targets.{name}.limits: unknown {', '.join(unknown)}")
    _check_asking(name, row)
    facts = {key: _fact(f"{name}.limits.{key}", fact, sources) for key, fact in row.limits.items()}
    values = {key: getattr(row, key) for key in given.keys() - {"limits", "prices", "loudness"}}
    if "prices" in given:
        values["prices"] = tuple(_price(name, price, sources) for price in row.prices)
    if "loudness" in given:
        values["loudness"] = _loudness(name, row.loudness, sources)
    if base is None:
        target = Target(name=name, facts=facts, **values)
    else:
        target = replace(base, name=name, facts={**base.facts, **facts}, **values)
    has_both = target.prompt and base is not None and base.prompt
    if "default_prompt" not in given and not has_both:
        target = replace(target, default_prompt=DEFAULT_PROMPT if target.prompt else "")
    return target


def _base(name: str, like: object, others: Mapping[str, Target]) -> Target | None:
    if like is None:
        return None
    base = others.get(like) if isinstance(like, str) else None
    if base is None:
        raise ValueError(f"targets.{name}.like={like!r} is no target: {', '.join(sorted(others))}")
    return base


def _check_asking(name: str, row: _Target) -> None:
    """Refuse values of a row that no request can have."""
    place = f"targets.{name}"
    if row.base_url and not (urlsplit(row.base_url).hostname and "?" not in row.base_url):
        raise ValueError(f"{place}.base_url={row.base_url} is no base URL; its query is `query`")
    if row.key_variable and not _VARIABLE.fullmatch(row.key_variable):
        raise ValueError(f"{place}.key_variable={row.key_variable} is no name of a variable")
    for host in row.hosts:
        if not _HOST.fullmatch(host):
            raise ValueError(f"{place}.hosts: {host} is no host, and no * with the domain above it")
    names = [*row.headers, *([row.key_header] if row.key_header else [])]
    for header in names:
        if not _HEADER.fullmatch(header) or header.lower() in _OWN_HEADERS:
            raise ValueError(f"{place}: the header {header} cannot be set")
    for header, value in row.headers.items():
        if not _VALUE.fullmatch(value):
            raise ValueError(f"{place}.headers: the value of {header} is no text of a header")
    if row.key_header.lower() in map(str.lower, row.headers):
        raise ValueError(f"{place}.headers: {row.key_header} is the header of the key")
    try:
        json.dumps(row.body, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{place}.body cannot be written as JSON: {error}") from error
    for key in ("timeout_s", "silence_s"):
        seconds = getattr(row, key)
        if seconds is not None and not 0 < seconds <= MOST_SECONDS:
            raise ValueError(f"{place}.{key}={seconds} must be above zero, {MOST_SECONDS} at most")


def _loudness(name: str, raw: object, sources: Mapping[str, _Source]) -> LoudnessTarget | None:
    if raw is None:
        return None
    place = f"{name}.loudness"
    row = _read(place, raw, _Loudness)
    _source(place, row.source, sources)
    if not (-70 <= row.lufs <= 0 and -20 <= row.true_peak_dbtp <= 0):
        raise ValueError(
            f"targets.{place}: lufs must be from -70 to 0, true_peak_dbtp from -20 to 0"
        )
    return LoudnessTarget(lufs=float(row.lufs), true_peak_dbtp=float(row.true_peak_dbtp))


def _fact(place: str, raw: object, sources: Mapping[str, _Source]) -> Fact:
    row = _read(place, raw, _Fact)
    if not 0 < row.value < math.inf:
        raise ValueError(f"targets.{place}={row.value} must be a number above zero")
    source = _source(place, row.source, sources)
    value = Fraction(str(row.value))
    return Fact(value=value, source=source.title, checked=source.checked, note=row.note)


def _price(name: str, raw: object, sources: Mapping[str, _Source]) -> Price:
    place = f"{name}.prices"
    row = _read(place, raw, _Price)
    source = _source(place, row.source, sources)
    audio = row.audio_input_per_million
    return Price(
        region=row.region,
        currency=row.currency,
        input_per_million=_money(f"{place}.input_per_million", row.input_per_million),
        output_per_million=_money(f"{place}.output_per_million", row.output_per_million),
        source=source.title,
        checked=source.checked,
        audio_input_per_million=(
            None if audio is None else _money(f"{place}.audio_input_per_million", audio)
        ),
        until=None if row.until is None else date.fromisoformat(row.until),
    )


def _money(place: str, text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"targets.{place}={text} is no amount of money")
    return amount


def _source(place: str, name: str, sources: Mapping[str, _Source]) -> _Source:
    if name not in sources:
        raise ValueError(f"targets.{place}: there is no [sources.{name}]")
    return sources[name]
