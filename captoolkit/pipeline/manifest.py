"""The manifest that `prepare` writes with its files: source, segments, encoding and reasons.

Format `captoolkit.manifest/1`, UTF-8 JSON. Seconds are on the source's clock with six decimals,
enough to identify each sample.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from captoolkit.model import Encoding, Plan, Segment, SourceInfo, Span
from captoolkit.planning.cuts import cut_rule
from captoolkit.support.exact_json import render as render_json
from captoolkit.support.exact_json import seconds
from captoolkit.support.move_journal import is_plain_name
from captoolkit.support.provenance import Provenance
from captoolkit.timeline.json import source_fields
from captoolkit.units import base64_length

FORMAT = "captoolkit.manifest/1"
FIRST_CUT_RULE = 1  # of manifests that record no rule


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedManifest:
    """The contents of a manifest.

    Attributes:
        provenance: None in manifests of captoolkit before 1.3.
        modified_ns: when the source was last changed, if it was a file.
        audio_tokens: the tokens that the service counts for the sound; None without a service.
        warnings: as in `Prepared`; empty if the manifest has no such field.
        cut_rule: the number of the rule that chose the cuts; None if no cut was chosen, and the
            first one if several segments have no such field.
    """

    source: SourceInfo
    segments: tuple[Segment, ...]
    provenance: Provenance | None
    modified_ns: int | None
    audio_tokens: int | None
    warnings: tuple[str, ...] = ()
    cut_rule: int | None = None


def read(text: str) -> SavedManifest | None:
    """Return the contents of a manifest of any version; None for any other text."""
    try:
        document = json.loads(text, parse_float=Fraction)
        source, made_by = document["source"], document.get("made_by")
        rate_hz = int(source["sample_rate_hz"])
        segments = tuple(_read_segment(row, rate_hz) for row in document["segments"])
        first_rule = FIRST_CUT_RULE if len(segments) > 1 else None
        return SavedManifest(
            source=SourceInfo(
                path=str(source["path"]),
                sha256=str(source["sha256"]),
                size_bytes=int(source["bytes"]),
                container=str(source["container"]),
                codec=str(source["codec"]),
                sample_rate_hz=rate_hz,
                channels=int(source["channels"]),
                track=int(source["track"]),
                duration_samples=round(source["duration_s"] * rate_hz),
                start_samples=round(source.get("start_s", 0) * rate_hz),
            ),
            segments=segments,
            provenance=made_by and _read_provenance(made_by),
            modified_ns=source.get("modified_ns"),
            audio_tokens=document["tokens"]["audio"],
            warnings=tuple(map(str, document.get("warnings", ()))),
            cut_rule=(made_by or {}).get("cut_rule", first_rule),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _read_segment(row: Mapping[str, Any], rate_hz: int) -> Segment:
    start, end = (round(row[name] * rate_hz) for name in ("start_s", "end_s"))
    return Segment(
        index=int(row["index"]),
        source_span=Span(start_samples=start, end_samples=end, rate_hz=rate_hz),
        file=str(row["file"]),
        size_bytes=int(row["bytes"]),
        sha256=str(row["sha256"]),
    )


def _read_provenance(made_by: Mapping[str, Any]) -> Provenance:
    options = {
        name: float(value) if isinstance(value, Fraction) else value
        for name, value in made_by["options"].items()
    }
    return Provenance(verb=made_by["verb"], options=options)


def render(
    plan: Plan,
    source: SourceInfo,
    segments: Sequence[Segment],
    *,
    skipped: Sequence[Span] = (),
    remarks: Sequence[str] = (),
    warnings: Sequence[str] = (),
    provenance: Provenance | None = None,
    modified_ns: int | None = None,
) -> str:
    """Return the manifest of a finished preparation as JSON text.

    `modified_ns` is the time of the source's last change; None for a source that is no file.
    """
    gaps = [] if plan.encoding else [plan.track.on_file_clock(gap) for gap in plan.track.gaps]
    return render_json(
        {
            "format": FORMAT,
            "source": source_fields(source) | {"modified_ns": modified_ns},
            "target": plan.target.name if plan.target else None,
            "via": plan.via.value if plan.via else None,
            "action": plan.action.value,
            "encoding": _encoding(plan),
            "gain_db": plan.gain_db,
            "segments": [_segment(segment, gaps) for segment in segments],
            "skipped": [_skipped(span, source, gaps) for span in skipped],
            "tokens": {"audio": plan.audio_tokens},
            "reasons": [*plan.reasons, *remarks, *warnings],
            "warnings": [*warnings],
            "made_by": provenance and {**provenance.fields(), "cut_rule": cut_rule(plan)},
        }
    )


def hashes(text: str) -> dict[str, str]:
    """Return the SHA-256 of each file by its name; empty if the text is not a manifest.

    Names with a folder are skipped: a manifest describes only files of its own folder.
    """
    try:
        document = json.loads(text)
        rows = [(segment["file"], segment["sha256"]) for segment in document["segments"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return {
        name: sha256 for name, sha256 in rows if is_plain_name(name) and isinstance(sha256, str)
    }


def _encoding(plan: Plan) -> dict[str, Any]:
    """Return the `encoding` object: of the encoder, or of the source if its packets are copied."""
    made, track = plan.encoding, plan.track
    if made is None:
        return {
            "format": plan.suffix,
            "codec": track.codec,
            "sample_rate_hz": track.sample_rate_hz,
            "channels": track.channels,
            "bit_rate": track.bit_rate,
        }
    return encoding_fields(made)


def _times(span: Span) -> dict[str, Any]:
    return {
        "start_s": seconds(span.start_samples, span.rate_hz),
        "end_s": seconds(span.end_samples, span.rate_hz),
    }


def _skipped(span: Span, source: SourceInfo, gaps: Sequence[Span]) -> dict[str, Any]:
    reason = "silence"
    if span.end_samples <= source.start_samples:
        reason = "the sound begins later"
    elif any(gap.start_samples <= span.start_samples < gap.end_samples for gap in gaps):
        reason = "a gap in its time stamps"
    return {**_times(span), "reason": reason}


def _segment(segment: Segment, gaps: Sequence[Span]) -> dict[str, Any]:
    """Return the object of a segment; a file of copied packets lacks the sound of its gaps."""
    span = segment.source_span
    inside = [
        _times(gap)
        for gap in gaps
        if span.start_samples <= gap.start_samples and gap.end_samples <= span.end_samples
    ]
    fields = {
        "index": segment.index,
        "file": segment.file,
        **_times(span),
        "duration_s": seconds(span.samples, span.rate_hz),
        "bytes": segment.size_bytes,
        "base64_bytes": base64_length(segment.size_bytes),
        "sha256": segment.sha256,
    }
    return fields | ({"gaps": inside} if inside else {})


def encoding_fields(encoding: Encoding) -> dict[str, object]:
    """Return the `encoding` object that manifests and plans share."""
    return {
        "format": encoding.format,
        "codec": encoding.codec,
        "sample_rate_hz": encoding.sample_rate_hz,
        "channels": encoding.channels,
        "bit_rate": encoding.bit_rate,
    }
