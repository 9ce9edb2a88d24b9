"""The services' limits as rows: read and check them, and say why a file does not fit.

Rules: a number about a service lives in `targets.toml`, never in code, and names its source; a row
that is misspelt is refused with the place of the mistake. Reading the files that hold rows is the
caller's work (`captoolkit.services.catalogue`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, TypeVar

import msgspec

from captoolkit.errors import UsageError
from captoolkit.model import Fact, MediaInfo, Price, Target, Track, Via
from captoolkit.units import base64_capacity, base64_length, format_length, format_size

Row = TypeVar("Row")

DECODED_SAMPLE_BYTES = 4  # services decode to 32-bit floats
DATA_URI_PREFIX = "data:;base64,"
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
    """What all tables of the file have in common: an unknown key is a mistake."""


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


class _Target(_Row, frozen=True):
    title: str
    models: tuple[str, ...]
    accepts: dict[str, tuple[str, ...]]
    limits: dict[str, Any]
    prices: tuple[Any, ...] = ()
    on_exceed: str = "error"
    full_sound: bool = False
    prompt: bool = False
    system: bool = False
    turns: bool = False
    hosted_by: str = ""
    region: str = ""
    protocols: tuple[str, ...] = ()


class _File(_Row, frozen=True):
    targets: dict[str, dict[str, Any]]
    sources: dict[str, _Source] = {}


def parse(text: str, *, origin: str) -> dict[str, Target]:
    """Return the targets that a TOML text describes, by name.

    Args:
        text: as in `targets.toml`, whose head explains the form.
        origin: where the text is from, for the error.

    Raises:
        UsageError: the text is no such TOML; says where the mistake is.
    """
    try:
        file = msgspec.toml.decode(text, type=_File)
        return {name: _target(name, row, file.sources) for name, row in file.targets.items()}
    except (msgspec.MsgspecError, ValueError) as error:
        raise UsageError(
            f"{origin}: {error}", fix="compare it with the form of targets.toml"
        ) from error


def _read(place: str, row: object, kind: type[Row]) -> Row:
    """`row` as a value of `kind`; a mistake in it is told with its place."""
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
    )


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
    return Price(
        region=row.region,
        currency=row.currency,
        input_per_million=_money(f"{place}.input_per_million", row.input_per_million),
        output_per_million=_money(f"{place}.output_per_million", row.output_per_million),
        source=source.title,
        checked=source.checked,
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


# ----------------------------------------------------------------------- does a file fit?


def max_bytes(target: Target, via: Via) -> int | None:
    """Return the largest file, in raw bytes, that may travel to `target` this way."""
    limits = [target.limit(f"max_bytes_{via.value}")]
    chars = target.limit("max_base64_chars")
    if via is Via.BASE64 and chars is not None:
        limits.append(Fraction(base64_capacity(int(chars) - len(DATA_URI_PREFIX))))
    known = [int(limit) for limit in limits if limit is not None]
    return min(known) if known else None


def longest_s(target: Target | None) -> Fraction | None:
    """Return how much sound one request may hold, by duration and by tokens.

    None where that is unknown, and without a target.
    """
    if target is None:
        return None
    limits = [target.limit("max_duration_s")]
    most, per_second = target.limit("max_input_tokens"), target.limit("tokens_per_s")
    if most is not None and per_second is not None:
        limits.append((most - (target.limit("text_tokens") or 0)) / per_second)
    known = [limit for limit in limits if limit is not None]
    return min(known) if known else None


def misfits(info: MediaInfo, track: Track, target: Target, via: Via) -> tuple[str, ...]:
    """Return why `target` would not take the file as it is, one sentence each; none if it would."""
    return (*_format_misfits(info, track, target), *_size_misfits(info, track, target, via))


def _format_misfits(info: MediaInfo, track: Track, target: Target) -> list[str]:
    found = []
    if info.container not in target.accepts:
        takes = ", ".join(sorted(target.accepts))
        found.append(f"It is {info.container}; {target.name} takes {takes}.")
    elif track.codec not in target.accepts[info.container]:
        takes = ", ".join(target.accepts[info.container])
        found.append(f"It is {track.codec} in {info.container}; {target.name} takes {takes} there.")
    elif not info.plain_header:
        found.append("Its WAV header is an extended one, which not every reader understands.")
    if any(not picture.is_cover for picture in info.pictures):
        found.append("It holds a picture track beside the sound.")
    if len(info.tracks) > 1:
        found.append(f"It holds {len(info.tracks)} sound tracks, and one is sent.")
    return found


def _size_misfits(info: MediaInfo, track: Track, target: Target, via: Via) -> list[str]:
    found = []
    limit_s, largest_bytes = longest_s(target), max_bytes(target, via)
    if limit_s is not None and Fraction(track.duration_samples, track.sample_rate_hz) > limit_s:
        found.append(
            f"It lasts {_over(format_length(track.duration_s), format_length(limit_s))}; "
            f"{target.name} {'hears only' if target.on_exceed == 'truncate' else 'takes at most'} "
            f"{format_length(limit_s)} at a time."
        )
    if largest_bytes is not None and info.size_bytes > largest_bytes:
        most = sent_size(largest_bytes, via)
        found.append(
            f"It is {_over(sent_size(info.size_bytes, via), most)}; {target.name} takes at most "
            f"{most}."
        )
    decoded_bytes = track.duration_samples * track.channels * DECODED_SAMPLE_BYTES
    most_decoded = target.limit("max_decoded_bytes")
    if most_decoded is not None and decoded_bytes > most_decoded:
        found.append(
            f"Decoded it is {format_size(decoded_bytes)}; {target.name} takes at most "
            f"{format_size(int(most_decoded))} of samples."
        )
    return found


def _over(found: str, limit: str) -> str:
    """`found`, which is over `limit`, so that the reader can see it is."""
    return f"just over {limit}" if found == limit else found


def sent_size(size_bytes: int, via: Via | None) -> str:
    """Return how large a file is on its way, as a person reads it."""
    if via is not Via.BASE64:
        return format_size(size_bytes)
    return f"{format_size(base64_length(size_bytes) + len(DATA_URI_PREFIX))} as Base64 text"
