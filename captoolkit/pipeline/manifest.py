"""The manifest that `prepare` writes with its files: source, segments, encoding and reasons.

Format `captoolkit.manifest/1`, UTF-8 JSON. Seconds are on the source's clock with six decimals,
enough to identify each sample.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from captoolkit.model import Encoding, Plan, Segment, SourceInfo, Span
from captoolkit.support.exact_json import render as render_json
from captoolkit.support.exact_json import seconds
from captoolkit.timeline.json import source_fields
from captoolkit.units import base64_length

FORMAT = "captoolkit.manifest/1"
ENDING = ".manifest.json"


def render(
    plan: Plan,
    source: SourceInfo,
    segments: Sequence[Segment],
    *,
    skipped: Sequence[Span] = (),
    warnings: Sequence[str] = (),
) -> str:
    """Return the manifest of a finished preparation as JSON text."""
    return render_json(
        {
            "format": FORMAT,
            "source": source_fields(source),
            "target": plan.target.name if plan.target else None,
            "via": plan.via.value if plan.via else None,
            "action": plan.action.value,
            "encoding": _encoding(plan),
            "segments": [_segment(segment) for segment in segments],
            "skipped": [_skipped(span, source) for span in skipped],
            "tokens": {"audio": plan.audio_tokens},
            "reasons": [*plan.reasons, *warnings],
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
    return {name: sha256 for name, sha256 in rows if _is_plain(name) and isinstance(sha256, str)}


def _is_plain(name: object) -> bool:
    if not isinstance(name, str) or name in ("", ".", "..") or set("/\\\0") & set(name):
        return False
    return Path(name).name == name  # Windows: no drive either


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


def _skipped(span: Span, source: SourceInfo) -> dict[str, Any]:
    is_before = span.end_samples <= source.start_samples
    return {
        "start_s": seconds(span.start_samples, span.rate_hz),
        "end_s": seconds(span.end_samples, span.rate_hz),
        "reason": "the sound begins later" if is_before else "silence",
    }


def _segment(segment: Segment) -> dict[str, Any]:
    span = segment.source_span
    return {
        "index": segment.index,
        "file": segment.file,
        "start_s": seconds(span.start_samples, span.rate_hz),
        "end_s": seconds(span.end_samples, span.rate_hz),
        "duration_s": seconds(span.samples, span.rate_hz),
        "bytes": segment.size_bytes,
        "base64_bytes": base64_length(segment.size_bytes),
        "sha256": segment.sha256,
    }


def encoding_fields(encoding: Encoding) -> dict[str, object]:
    """Return the `encoding` object that manifests and plans share."""
    return {
        "format": encoding.format,
        "codec": encoding.codec,
        "sample_rate_hz": encoding.sample_rate_hz,
        "channels": encoding.channels,
        "bit_rate": encoding.bit_rate,
    }
