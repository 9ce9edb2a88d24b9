"""Reading targets: the TOML text of `targets.toml`, or of a user's own file, as values.

Rules: a number about a service is in `targets.toml`, never in code, and names its source. A
mistake in a row is refused, with its place. `catalogue.py` finds and reads the files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, TypeVar

import msgspec

from captoolkit.errors import UsageError
from captoolkit.model import DEFAULT_TRUE_PEAK_DBTP, Dialect, Fact, LoudnessTarget, Price, Target

Row = TypeVar("Row")

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
    on_exceed: str = "error"
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


def parse(text: str, *, origin: str) -> dict[str, Target]:
    """Return the targets that a TOML text describes, by name.

    Args:
        text: in the form that the head of `targets.toml` explains.
        origin: the name of the file, for the error.

    Raises:
        UsageError: the text has a mistake; the error names its place.
    """
    try:
        file = msgspec.toml.decode(text, type=_File)
        return {name: _target(name, row, file.sources) for name, row in file.targets.items()}
    except (msgspec.MsgspecError, ValueError) as error:
        raise UsageError(
            f"{origin}: {error}", fix="compare it with the form of targets.toml"
        ) from error


def _read(place: str, row: object, kind: type[Row]) -> Row:
    """Return `row` as a value of `kind`; an error names the place."""
    try:
        return msgspec.convert(row, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"targets.{place}: {error}") from error


def _target(name: str, raw: Mapping[str, Any], sources: Mapping[str, _Source]) -> Target:
    row = _read(name, raw, _Target)
    unknown = sorted(row.limits.keys() - LIMIT_NAMES)
    if unknown:
        raise ValueError(f"targets.{name}.limits: unknown {', '.join(unknown)}")
    if row.on_exceed not in ("error", "truncate"):
        raise ValueError(f"targets.{name}.on_exceed={row.on_exceed} must be error or truncate")
    return Target(
        name=name,
        title=row.title,
        models=row.models,
        accepts=dict(row.accepts),
        facts={
            key: _fact(f"{name}.limits.{key}", fact, sources) for key, fact in row.limits.items()
        },
        prices=tuple(_price(name, price, sources) for price in row.prices),
        on_exceed=row.on_exceed,
        full_sound=row.full_sound,
        prompt=row.prompt,
        system=row.system,
        turns=row.turns,
        hosted_by=row.hosted_by,
        region=row.region,
        protocols=row.protocols,
        loudness=_loudness(name, row.loudness, sources),
        dialect=row.dialect,
        base_url=row.base_url,
        hosts=row.hosts,
        key_variable=row.key_variable,
        key_header=row.key_header,
        headers=row.headers,
        query=row.query,
        body=row.body,
        max_tokens_name=row.max_tokens_name,
        default_prompt=row.default_prompt,
        must_stream=row.must_stream,
        has_format=row.has_format,
        timeout_s=row.timeout_s,
        silence_s=row.silence_s,
    )


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
