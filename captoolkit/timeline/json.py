r"""JSON: the whole timeline, and the only format that is read back.

Rules: what is written is `captoolkit.timeline/1`, field by field, and `parse(render(t)) == t`.
Times are seconds with six decimals, which name one sample at any rate up to 768 kHz. Money keeps
its digits. Text stays readable UTF-8; only what could harm a terminal, break a line in another
reader, or not be encoded at all (control characters, U+2028, lone surrogates) is written `\uXXXX`.
A file that says more, less or something else than the format is refused, never half understood.
"""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, NoReturn

import msgspec

from captoolkit import exactjson
from captoolkit.errors import InputError
from captoolkit.model import (
    USAGE_FIELDS,
    CaptionerInfo,
    Cost,
    Entry,
    SourceInfo,
    Span,
    Status,
    Timeline,
    Usage,
)
from captoolkit.timeline.stitch import find_fault
from captoolkit.units import samples_at

FORMAT = "captoolkit.timeline/1"

# ------------------------------------------------------------------------------------- writing


def render(timeline: Timeline) -> str:
    """Return the timeline as JSON, indented for people."""
    document = {
        "format": FORMAT,
        "source": exactjson.source_fields(timeline.source),
        "captioner": _captioner(timeline.captioner),
        "entries": [_entry(entry) for entry in timeline.entries],
        "usage": _usage(timeline.usage),
        "cost": _cost(timeline.cost),
    }
    return exactjson.render(document)


def _captioner(captioner: CaptionerInfo) -> dict[str, object]:
    return {"name": captioner.name, "model": captioner.model, "base_url": captioner.base_url}


def _entry(entry: Entry) -> dict[str, object]:
    span = entry.source_span
    return {
        "index": entry.index,
        "start_s": exactjson.seconds(span.start_samples, span.rate_hz),
        "end_s": exactjson.seconds(span.end_samples, span.rate_hz),
        "status": entry.status.value,
        "text": entry.text,
        "finish_reason": entry.finish_reason,
        "request_id": entry.request_id,
        "error": entry.error,
        "usage": _usage(entry.usage),
    }


def _usage(usage: Usage) -> dict[str, object]:
    return {name: getattr(usage, name) for name in USAGE_FIELDS}


def _cost(cost: Cost | None) -> dict[str, object] | None:
    return None if cost is None else {"currency": cost.currency, "amount": cost.amount}


# ------------------------------------------------------------------------------------- reading

_Whole = Annotated[int, msgspec.Meta(ge=0)]
_Positive = Annotated[int, msgspec.Meta(ge=1)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]  # 31 years: a bound on what is worked out


class _Exact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object that has these fields, all of them and no others."""


class _SourceShape(_Exact, frozen=True, kw_only=True):
    path: str
    sha256: str
    size_bytes: _Whole = msgspec.field(name="bytes")
    container: str
    codec: str
    sample_rate_hz: _Positive
    channels: _Positive
    track: _Positive
    duration_s: _Seconds


class _CaptionerShape(_Exact, frozen=True, kw_only=True):
    name: str
    model: str
    base_url: str | None


class _UsageShape(_Exact, frozen=True, kw_only=True):
    audio_tokens: _Whole | None
    text_tokens: _Whole | None
    input_tokens: _Whole | None
    output_tokens: _Whole | None
    total_tokens: _Whole | None


class _EntryShape(_Exact, frozen=True, kw_only=True):
    index: int
    start_s: _Seconds
    end_s: _Seconds
    status: Status
    text: str
    finish_reason: str | None
    request_id: str | None
    error: str | None
    usage: _UsageShape


class _CostShape(_Exact, frozen=True, kw_only=True):
    currency: str
    amount: Decimal


class _TimelineShape(_Exact, frozen=True, kw_only=True):
    format: str
    source: _SourceShape
    captioner: _CaptionerShape
    entries: list[_EntryShape]
    usage: _UsageShape  # the sum of the entries' own, written for readers and not read
    cost: _CostShape | None


def parse(text: str) -> Timeline:
    """Return the timeline that `render` wrote.

    Raises:
        InputError: the text is not JSON, not of this version, not of its shape (the message says
            where), or its entries overlap, go backwards or leave the source.
    """
    shape = _shape(_document(text.removeprefix("\ufeff")))
    source = _read_source(shape.source)
    entries = tuple(_read_entry(entry, source.sample_rate_hz) for entry in shape.entries)
    fault = find_fault(entries, source=source)
    if fault:
        raise InputError(f"the timeline is out of order: {fault}")
    return Timeline(
        source=source,
        captioner=CaptionerInfo(**msgspec.structs.asdict(shape.captioner)),
        entries=entries,
        cost=_read_cost(shape.cost),
    )


def _document(text: str) -> object:
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise InputError(f"this is not JSON: {error}") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number that JSON has")


def _shape(document: object) -> _TimelineShape:
    found = document.get("format") if isinstance(document, dict) else None
    if found != FORMAT:
        raise InputError(
            f"this is not a timeline that can be read here: format is {found!r}, not {FORMAT!r}",
            fix="give the .json that `captoolkit caption` wrote, or a newer captoolkit",
        )
    try:
        return msgspec.convert(document, _TimelineShape)
    except msgspec.ValidationError as error:
        raise InputError(f"the timeline has another shape than {FORMAT}: {error}") from error


def _read_source(shape: _SourceShape) -> SourceInfo:
    fields: dict[str, Any] = msgspec.structs.asdict(shape)
    duration = Fraction(fields.pop("duration_s"))
    return SourceInfo(**fields, duration_samples=samples_at(duration, shape.sample_rate_hz))


def _read_entry(shape: _EntryShape, rate_hz: int) -> Entry:
    fields: dict[str, Any] = msgspec.structs.asdict(shape)
    span = Span(
        start_samples=samples_at(fields.pop("start_s"), rate_hz),
        end_samples=samples_at(fields.pop("end_s"), rate_hz),
        rate_hz=rate_hz,
    )
    usage = Usage(**msgspec.structs.asdict(fields.pop("usage")))
    return Entry(**fields, source_span=span, usage=usage)


def _read_cost(shape: _CostShape | None) -> Cost | None:
    if shape is None:
        return None
    if not shape.amount.is_finite():
        raise InputError(f"cost.amount is {shape.amount}, which is no amount of money")
    return Cost(currency=shape.currency, amount=shape.amount)
