r"""JSON: the whole timeline, and the only format that is read back.

Rules: what is written is `captoolkit.timeline/1`, field by field, and `parse(render(t)) == t`.
Times are seconds with six decimals, which name one sample at any rate up to 768 kHz. Money keeps
its digits. Text stays readable UTF-8; only what could harm a terminal, break a line in another
reader, or not be encoded at all (control characters, U+2028, lone surrogates) is written `\uXXXX`.
A file that says more, less or something else than the format is refused, never half understood; so
is a number of more digits than `MOST_DIGITS`, written out or by an exponent.
`parts` and `notes` are written only where there are any.
"""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, NoReturn

import msgspec

from captoolkit.errors import InputError
from captoolkit.model import (
    USAGE_FIELDS,
    CaptionerInfo,
    Cost,
    Entry,
    SourceInfo,
    Span,
    Status,
    Usage,
)
from captoolkit.support import exact_json
from captoolkit.timeline.editing import Part
from captoolkit.timeline.stitch import find_fault_and_place
from captoolkit.timeline.value import Timeline
from captoolkit.units import samples_at

NAME = "captoolkit.timeline/"
VERSION = "1"
FORMAT = NAME + VERSION
MANIFEST = "captoolkit.manifest/"
MOST_DIGITS = 400  # any 64-bit float has fewer before its point
WHICH_FILE = "give the .json that `captoolkit caption` wrote"

TOO_LONG = f"has more than {MOST_DIGITS} digits"
UNDO = "undo what was changed there, or write the timeline again"

# ------------------------------------------------------------------------------------- writing


def render(timeline: Timeline) -> str:
    """Return the timeline as JSON, indented for people."""
    document: dict[str, object] = {
        "format": FORMAT,
        "source": source_fields(timeline.source),
        "captioner": _captioner(timeline.captioner),
        "entries": [entry_fields(entry) for entry in timeline.entries],
        "usage": _usage(timeline.usage),
        "cost": _cost(timeline.cost),
    }
    if timeline.parts:
        document["parts"] = [_part(part) for part in timeline.parts]
    if timeline.notes:
        document["notes"] = list(timeline.notes)
    return exact_json.render(document)


def _part(part: Part) -> dict[str, object]:
    span = part.source_span
    return {
        "source": source_fields(part.source),
        "start_s": exact_json.seconds(span.start_samples, span.rate_hz),
        "end_s": exact_json.seconds(span.end_samples, span.rate_hz),
        "at_s": exact_json.seconds(part.at_samples, span.rate_hz),
    }


def _captioner(captioner: CaptionerInfo) -> dict[str, object]:
    return {"name": captioner.name, "model": captioner.model, "base_url": captioner.base_url}


def source_fields(source: SourceInfo) -> dict[str, object]:
    """Return the `source` object that manifests and timelines share."""
    return {
        "path": source.path,
        "sha256": source.sha256,
        "bytes": source.size_bytes,
        "container": source.container,
        "codec": source.codec,
        "sample_rate_hz": source.sample_rate_hz,
        "channels": source.channels,
        "track": source.track,
        "duration_s": exact_json.seconds(source.duration_samples, source.sample_rate_hz),
    }


def entry_fields(entry: Entry) -> dict[str, object]:
    """Return the object of one entry."""
    span = entry.source_span
    return {
        "index": entry.index,
        "start_s": exact_json.seconds(span.start_samples, span.rate_hz),
        "end_s": exact_json.seconds(span.end_samples, span.rate_hz),
        "status": entry.status.value,
        "text": entry.text,
        "finish_reason": entry.finish_reason,
        "request_id": entry.request_id,
        "error": entry.error,
        "usage": _usage(entry.usage),
    }


def _usage(usage: Usage) -> dict[str, object]:
    fields = {name: getattr(usage, name) for name in USAGE_FIELDS}
    if usage.predicted_input_tokens is None:  # only where somebody predicted
        del fields["predicted_input_tokens"]
    return fields


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
    predicted_input_tokens: _Whole | None = None


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


class _PartShape(_Exact, frozen=True, kw_only=True):
    source: _SourceShape
    start_s: _Seconds
    end_s: _Seconds
    at_s: _Seconds


class _TimelineShape(_Exact, frozen=True, kw_only=True):
    format: str
    source: _SourceShape
    captioner: _CaptionerShape
    entries: list[_EntryShape]
    usage: _UsageShape  # the sum of the entries' own, written for readers and not read
    cost: _CostShape | None
    parts: list[_PartShape] = []
    notes: list[str] = []


def parse(text: str) -> Timeline:
    """Return the timeline that `render` wrote.

    Raises:
        InputError: the text is not JSON, not of this version, not of its shape (the message says
            where), or its entries overlap, go backwards or leave the source.
    """
    text = text.removeprefix("\ufeff")
    document = _document(text)
    shape = _shape(document, text)
    source = _read_source(shape.source, document["source"])
    rate_hz = source.sample_rate_hz
    entries = tuple(map(_read_entry, shape.entries, document["entries"], itertools.repeat(rate_hz)))
    fault, place = find_fault_and_place(entries, source=source)
    if fault:
        where = _where(text, f"$.entries[{place}]")
        raise InputError(f"the timeline is out of order: {fault}, {where}")
    return Timeline(
        source=source,
        captioner=CaptionerInfo(**msgspec.structs.asdict(shape.captioner)),
        entries=entries,
        cost=_read_cost(shape.cost, text),
        parts=tuple(
            _read_part(part, document["parts"][number], rate_hz)
            for number, part in enumerate(shape.parts)
        ),
        notes=tuple(shape.notes),
    )


def _document(text: str) -> Any:
    try:
        return json.loads(text, parse_float=_number, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        if not text[error.pos :].strip() or error.msg.startswith("Unterminated string"):
            raise InputError(
                f"it is cut off: the file ends in the middle of line {text.count(chr(10)) + 1}"
                if text.strip()
                else "it is empty",
                fix="write it again, or take it from where it is whole",
            ) from error
        raise InputError(f"this is not JSON: {error}", fix=WHICH_FILE) from error
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise InputError(f"this is not JSON: {error}", fix=WHICH_FILE) from error


def _number(digits: str) -> Decimal:
    """The number that stands in the file, where what is worked out of it stays small."""
    number = Decimal(digits)
    if len(digits) > MOST_DIGITS or _is_huge(number):
        raise InputError(f"the number {_short(digits)} {TOO_LONG}", fix=UNDO)
    return number


def _is_huge(number: Decimal) -> bool:
    return abs(number.adjusted()) > MOST_DIGITS


def _short(digits: str) -> str:
    return digits if len(digits) <= 40 else f"{digits[:40]}..."


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number that JSON has")


def _shape(document: object, text: str) -> _TimelineShape:
    found = document.get("format") if isinstance(document, dict) else None
    if found != FORMAT:
        raise _other_format(found)
    try:
        return msgspec.convert(document, _TimelineShape)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `")
        where = _where(text, path.removesuffix("`") or "$")
        raise InputError(
            f"the timeline has another shape than {FORMAT}: {problem}, {where}",
            fix=UNDO,
        ) from error


def _other_format(found: object) -> InputError:
    """The error for JSON that is something else: which kind, and what to give instead."""
    if isinstance(found, str) and found.startswith(NAME):
        version = found.removeprefix(NAME)
        return InputError(
            f"this is version {version} of the timeline format ($.format is {found!r}), and "
            f"version {VERSION} is what is read here",
            fix="use the captoolkit that wrote it, or a newer one",
        )
    if isinstance(found, str) and found.startswith(MANIFEST):
        return InputError(
            f"this is a manifest of prepared files ($.format is {found!r}), not a timeline",
            fix=WHICH_FILE,
        )
    return InputError(f"this is no timeline: $.format is {found!r}, not {FORMAT!r}", fix=WHICH_FILE)


def _where(text: str, path: str) -> str:
    return f"at {path} (line {exact_json.line_of(text, path)})"


def _read_source(shape: _SourceShape, raw: dict[str, Any]) -> SourceInfo:
    fields: dict[str, Any] = msgspec.structs.asdict(shape)
    del fields["duration_s"]
    samples = samples_at(Fraction(raw["duration_s"]), shape.sample_rate_hz)
    return SourceInfo(**fields, duration_samples=samples)


def _read_span(raw: dict[str, Any], rate_hz: int) -> Span:
    """The span of an object whose times are known to be sound, by their exact digits."""
    return Span(
        start_samples=samples_at(Fraction(raw["start_s"]), rate_hz),
        end_samples=samples_at(Fraction(raw["end_s"]), rate_hz),
        rate_hz=rate_hz,
    )


def _read_entry(shape: _EntryShape, raw: dict[str, Any], rate_hz: int) -> Entry:
    fields: dict[str, Any] = msgspec.structs.asdict(shape)
    del fields["start_s"], fields["end_s"]
    usage = Usage(**msgspec.structs.asdict(fields.pop("usage")))
    return Entry(**fields, source_span=_read_span(raw, rate_hz), usage=usage)


def _read_part(shape: _PartShape, raw: dict[str, Any], rate_hz: int) -> Part:
    return Part(
        source=_read_source(shape.source, raw["source"]),
        source_span=_read_span(raw, rate_hz),
        at_samples=samples_at(Fraction(raw["at_s"]), rate_hz),
    )


def _read_cost(shape: _CostShape | None, text: str) -> Cost | None:
    if shape is None:
        return None
    if not shape.amount.is_finite():
        where = _where(text, "$.cost.amount")
        raise InputError(f"{shape.amount} is no amount of money, {where}")
    if _is_huge(shape.amount):
        where = _where(text, "$.cost.amount")
        raise InputError(f"{_short(str(shape.amount))} {TOO_LONG}, {where}", fix=UNDO)
    return Cost(currency=shape.currency, amount=shape.amount)
