r"""JSON: the whole timeline, and the only format that captoolkit reads back.

Rules: the format is `captoolkit.timeline/1`, and `parse(render(t)) == t`. Times are seconds with
six decimals, which identify one sample at any rate up to 768 kHz. Money keeps its digits. Text
stays readable UTF-8; characters that could harm a terminal, break a line in another reader, or not
be encoded at all (control characters, U+2028, lone surrogates) are written `\uXXXX`. `parse`
refuses a file with a missing, unknown or wrong field, a number with more than `MOST_DIGITS`
digits, written out or by its exponent, and an envelope of more than `MOST_LEVELS` levels.
`parts`, `notes`, `made_by`, `envelope`, the `start_s` of a source, and the `details` and
`is_edited` of an entry are written only if there are any; with `made_by`, the source has
`modified_ns`. The levels of `envelope` are Base64, one byte a step as in `model.Envelope`.
"""

from __future__ import annotations

import base64
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
    Envelope,
    SourceInfo,
    Span,
    Status,
    Usage,
)
from captoolkit.support import exact_json
from captoolkit.support.provenance import Provenance
from captoolkit.timeline.editing import SourcePart
from captoolkit.timeline.order import find_fault_and_place
from captoolkit.timeline.value import Timeline
from captoolkit.units import samples_at

FORMAT_NAME = "captoolkit.timeline/"
VERSION = "1"
FORMAT = FORMAT_NAME + VERSION
MANIFEST_NAME = "captoolkit.manifest/"
MOST_DIGITS = 400  # more than a 64-bit float has before its point
GIVE_A_TIMELINE = "give the .json that `captoolkit caption` wrote"
ENVELOPE_WITHIN_S = 1  # of the length of the recording
MOST_LEVELS = 1 << 16  # in an envelope; captoolkit writes about 8,000, and a page draws as many

TOO_MANY_DIGITS = f"has more than {MOST_DIGITS} digits"
UNDO_EDIT = "undo the change there, or write the timeline again"

# ------------------------------------------------------------------------------------- writing


def render(timeline: Timeline) -> str:
    """Return the timeline as indented JSON."""
    cost = timeline.cost
    document: dict[str, object] = {
        "format": FORMAT,
        "source": source_fields(timeline.source),
        "captioner": {
            "name": timeline.captioner.name,
            "model": timeline.captioner.model,
            "base_url": timeline.captioner.base_url,
        },
        "entries": [entry_fields(entry) for entry in timeline.entries],
        "usage": _usage(timeline.usage),
        "cost": cost and {"currency": cost.currency, "amount": cost.amount},
    }
    if timeline.parts:
        document["parts"] = [_part(part) for part in timeline.parts]
    if timeline.notes:
        document["notes"] = list(timeline.notes)
    if timeline.made_by is not None:
        document["source"] = source_fields(timeline.source) | {"modified_ns": timeline.modified_ns}
        document["made_by"] = timeline.made_by.fields()
    if timeline.envelope is not None:
        document["envelope"] = _envelope(timeline.envelope)
    return exact_json.render(document)


def _envelope(envelope: Envelope) -> dict[str, object]:
    return {
        "sample_rate_hz": envelope.rate_hz,
        "step_samples": envelope.step_samples,
        "duration_samples": envelope.duration_samples,
        "peaks": base64.b64encode(envelope.peaks).decode(),
        "loudness": base64.b64encode(envelope.loudness).decode(),
    }


def _part(part: SourcePart) -> dict[str, object]:
    span = part.source_span
    return {
        "source": source_fields(part.source),
        "start_s": exact_json.seconds(span.start_samples, span.rate_hz),
        "end_s": exact_json.seconds(span.end_samples, span.rate_hz),
        "at_s": exact_json.seconds(part.at_samples, span.rate_hz),
    }


def source_fields(source: SourceInfo) -> dict[str, object]:
    """Return the `source` object that manifests and timelines share."""
    fields: dict[str, object] = {
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
    if source.start_samples:
        fields["start_s"] = exact_json.seconds(source.start_samples, source.sample_rate_hz)
    return fields


def entry_fields(entry: Entry) -> dict[str, object]:
    """Return the object of one entry."""
    span = entry.source_span
    fields: dict[str, object] = {
        "index": entry.index,
        "start_s": exact_json.seconds(span.start_samples, span.rate_hz),
        "end_s": exact_json.seconds(span.end_samples, span.rate_hz),
        "status": entry.status.value,
        "text": entry.text,
        "is_edited": entry.is_edited,
        "details": entry.details,
        "finish_reason": entry.finish_reason,
        "request_id": entry.request_id,
        "error": entry.error,
        "usage": _usage(entry.usage),
    }
    for name in ("is_edited", "details"):
        if not fields[name]:
            del fields[name]
    return fields


def _usage(usage: Usage) -> dict[str, object]:
    fields = {name: getattr(usage, name) for name in USAGE_FIELDS}
    if usage.predicted_input_tokens is None:  # written only if there is a prediction
        del fields["predicted_input_tokens"]
    return fields


# ------------------------------------------------------------------------------------- reading

_MOST = 2**63 - 1  # a signed integer of 64 bits, which every format and reader holds
_Integer = Annotated[int, msgspec.Meta(ge=-_MOST, le=_MOST)]
_Whole = Annotated[int, msgspec.Meta(ge=0, le=_MOST)]
_Positive = Annotated[int, msgspec.Meta(ge=1, le=_MOST)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]  # at most 31 years


class _Exact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object with exactly these fields."""


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
    start_s: _Seconds = 0.0


class _MainSourceShape(_SourceShape, frozen=True, kw_only=True):
    modified_ns: _Integer | None = None


class _MadeByShape(_Exact, frozen=True, kw_only=True):
    verb: str
    options: dict[str, str | bool | int | float]


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
    index: _Integer
    start_s: _Seconds
    end_s: _Seconds
    status: Status
    text: str
    finish_reason: str | None
    request_id: str | None
    error: str | None
    usage: _UsageShape
    details: str = ""
    is_edited: bool = False


class _CostShape(_Exact, frozen=True, kw_only=True):
    currency: str
    amount: Decimal


class _PartShape(_Exact, frozen=True, kw_only=True):
    source: _SourceShape
    start_s: _Seconds
    end_s: _Seconds
    at_s: _Seconds


class _EnvelopeShape(_Exact, frozen=True, kw_only=True):
    sample_rate_hz: _Positive
    step_samples: _Positive
    duration_samples: _Whole
    peaks: bytes  # msgspec decodes Base64
    loudness: bytes


class _TimelineShape(_Exact, frozen=True, kw_only=True):
    format: str
    source: _MainSourceShape
    captioner: _CaptionerShape
    entries: list[_EntryShape]
    usage: _UsageShape  # the sum over the entries; written for readers, not read back
    cost: _CostShape | None
    parts: list[_PartShape] = []
    notes: list[str] = []
    made_by: _MadeByShape | None = None
    envelope: _EnvelopeShape | None = None


# msgspec crashes if threads are the first to read a type at the same time: it is read here.
msgspec.json.Decoder(_TimelineShape)


def parse(text: str) -> Timeline:
    """Return the timeline that `render` wrote.

    Raises:
        InputError: the text is not JSON, has another version or wrong fields, or its entries
            overlap, go backwards or leave the source; the message gives the place in the text.
    """
    text = text.removeprefix("\ufeff")
    document = _document(text)
    shape = _shape(document, text)
    source = _read_source(shape.source, document["source"])
    rate_hz, made_by = source.sample_rate_hz, shape.made_by
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
        made_by=None if made_by is None else Provenance(**msgspec.structs.asdict(made_by)),
        modified_ns=shape.source.modified_ns,
        envelope=_read_envelope(shape.envelope, source, text),
    )


def _document(text: str) -> Any:
    try:
        return json.loads(text, parse_float=_decimal, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        if not text[error.pos :].strip() or error.msg.startswith("Unterminated string"):
            raise InputError(
                f"it is cut off: the file ends in the middle of line {text.count(chr(10)) + 1}"
                if text.strip()
                else "it is empty",
                fix="write it again, or copy it again from its origin",
            ) from error
        raise InputError(f"this is not JSON: {error}", fix=GIVE_A_TIMELINE) from error
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise InputError(f"this is not JSON: {error}", fix=GIVE_A_TIMELINE) from error


def _decimal(digits: str) -> Decimal:
    """The exact number in the file; refuses one that would make the arithmetic huge."""
    number = Decimal(digits)
    if len(digits) > MOST_DIGITS or _is_huge(number):
        raise InputError(f"the number {_shortened(digits)} {TOO_MANY_DIGITS}", fix=UNDO_EDIT)
    return number


def _is_huge(number: Decimal) -> bool:
    return abs(number.adjusted()) > MOST_DIGITS


def _shortened(digits: str) -> str:
    return digits if len(digits) <= 40 else f"{digits[:40]}..."


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number in JSON")


def _shape(document: object, text: str) -> _TimelineShape:
    name = document.get("format") if isinstance(document, dict) else None
    if name != FORMAT:
        raise _other_format(name)
    try:
        return msgspec.convert(document, _TimelineShape)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `")
        where = _where(text, path.removesuffix("`") or "$")
        raise InputError(
            f"the timeline has another shape than {FORMAT}: {problem}, {where}",
            fix=UNDO_EDIT,
        ) from error


def _other_format(name: object) -> InputError:
    """The error for other JSON: it names the kind of the file and the file to give instead."""
    if isinstance(name, str) and name.startswith(FORMAT_NAME):
        version = name.removeprefix(FORMAT_NAME)
        return InputError(
            f"this is version {version} of the timeline format ($.format is {name!r}), and this "
            f"captoolkit reads version {VERSION}",
            fix="use the captoolkit that wrote it, or a newer one",
        )
    if isinstance(name, str) and name.startswith(MANIFEST_NAME):
        return InputError(
            f"this is a manifest of prepared files ($.format is {name!r}), not a timeline",
            fix=GIVE_A_TIMELINE,
        )
    return InputError(
        f"this is no timeline: $.format is {name!r}, not {FORMAT!r}", fix=GIVE_A_TIMELINE
    )


def _where(text: str, path: str) -> str:
    return f"at {path} (line {exact_json.line_of(text, path)})"


def _read_source(shape: _SourceShape, raw: dict[str, Any]) -> SourceInfo:
    fields: dict[str, Any] = msgspec.structs.asdict(shape)
    for name in ("duration_s", "start_s", "modified_ns"):
        fields.pop(name, None)
    return SourceInfo(
        **fields,
        duration_samples=samples_at(Fraction(raw["duration_s"]), shape.sample_rate_hz),
        start_samples=samples_at(Fraction(raw.get("start_s", 0)), shape.sample_rate_hz),
    )


def _read_span(raw: dict[str, Any], rate_hz: int) -> Span:
    """The span of an object with validated times, computed from their exact digits."""
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


def _read_part(shape: _PartShape, raw: dict[str, Any], rate_hz: int) -> SourcePart:
    return SourcePart(
        source=_read_source(shape.source, raw["source"]),
        source_span=_read_span(raw, rate_hz),
        at_samples=samples_at(Fraction(raw["at_s"]), rate_hz),
    )


def _read_envelope(shape: _EnvelopeShape | None, source: SourceInfo, text: str) -> Envelope | None:
    if shape is None:
        return None
    levels = max(len(shape.peaks), len(shape.loudness))
    if levels > MOST_LEVELS:
        raise InputError(
            f"the envelope has {levels:,} levels and may have {MOST_LEVELS:,}, "
            f"{_where(text, '$.envelope')}",
            fix="remove `envelope` from the file: pages measure another one",
        )
    lasts_s = Fraction(shape.duration_samples, shape.sample_rate_hz)
    if abs(lasts_s - source.span.exact_s) > ENVELOPE_WITHIN_S:
        where = _where(text, "$.envelope")
        raise InputError(f"the envelope is not as long as the recording, {where}", fix=UNDO_EDIT)
    steps = -(-shape.duration_samples // shape.step_samples)
    if not steps == len(shape.peaks) == len(shape.loudness):
        where = _where(text, "$.envelope")
        problem = f"the envelope does not have the {steps} levels of its length"
        raise InputError(f"{problem}, {where}", fix=UNDO_EDIT)
    return Envelope(
        rate_hz=shape.sample_rate_hz,
        step_samples=shape.step_samples,
        duration_samples=shape.duration_samples,
        peaks=shape.peaks,
        loudness=shape.loudness,
    )


def _read_cost(shape: _CostShape | None, text: str) -> Cost | None:
    if shape is None:
        return None
    if not shape.amount.is_finite():
        where = _where(text, "$.cost.amount")
        raise InputError(f"{shape.amount} is not an amount of money, {where}")
    if _is_huge(shape.amount):
        digits, where = _shortened(str(shape.amount)), _where(text, "$.cost.amount")
        raise InputError(f"{digits} {TOO_MANY_DIGITS}, {where}", fix=UNDO_EDIT)
    return Cost(currency=shape.currency, amount=shape.amount)
