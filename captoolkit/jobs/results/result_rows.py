"""Make the row of a recording from its manifest or timeline in OUT. Pure.

Rules: a row depends on the document alone, so a result that a later run finds has the same row as
when it was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.results.recording_rows import RecordingRow, RowSegment, RowStatus
from captoolkit.model import MediaInfo, Status


def probe_row(recording: Input, info: MediaInfo) -> RecordingRow:
    """Return the row of a recording that was probed."""
    track = info.default_track
    return RecordingRow(
        id=recording.id,
        url=recording.public_url,
        size_bytes=info.size_bytes,
        version=recording.version,
        status=RowStatus.DONE,
        duration_s=_seconds(track.duration_s),
        codec=track.codec,
        sample_rate_hz=track.sample_rate_hz,
        channels=track.channels,
        warnings=info.warnings,
    )


def manifest_row(recording: Input, document: Mapping[str, Any], *, folder: str) -> RecordingRow:
    """Return the row of a recording that was prepared or split.

    Args:
        recording: the input.
        document: its manifest.
        folder: the folder of the segments in OUT.

    Raises:
        KeyError, TypeError, ValueError: the document is no manifest.
    """
    source, made = document["source"], document["encoding"]
    segments = tuple(
        RowSegment(
            file=f"{folder}/{segment['file']}",
            start_s=_seconds(segment["start_s"]),
            end_s=_seconds(segment["end_s"]),
            duration_s=_seconds(segment["duration_s"]),
            sha256=segment["sha256"],
        )
        for segment in document["segments"]
    )
    return RecordingRow(
        id=recording.id,
        url=recording.public_url,
        size_bytes=recording.size_bytes,
        version=recording.version,
        status=RowStatus.DONE if segments else RowStatus.SILENT,
        duration_s=_seconds(source["duration_s"]),
        sha256=source["sha256"],
        codec=made["codec"],
        sample_rate_hz=made["sample_rate_hz"],
        channels=made["channels"],
        segments=segments,
        warnings=tuple(map(str, document.get("warnings", ()))),
    )


def timeline_row(recording: Input, document: Mapping[str, Any]) -> RecordingRow:
    """Return the row of a recording that was captioned; its segments are parts of the source.

    Raises:
        KeyError, TypeError, ValueError: the document is no timeline.
    """
    source = document["source"]
    segments = tuple(
        RowSegment(
            file=None,
            start_s=_seconds(entry["start_s"]),
            end_s=_seconds(entry["end_s"]),
            duration_s=_seconds(float(entry["end_s"]) - float(entry["start_s"])),
            status=entry["status"],
            text=entry["text"] or None,
            error=entry["error"] or "",
            usage={name: n for name, n in entry["usage"].items() if n is not None} or None,
        )
        for entry in document["entries"]
    )
    states = {segment.status for segment in segments}
    status = RowStatus.DONE if Status.OK in states else RowStatus.SILENT
    return RecordingRow(
        id=recording.id,
        url=recording.public_url,
        size_bytes=recording.size_bytes,
        version=recording.version,
        status=RowStatus.HOLES if Status.FAILED in states else status,
        duration_s=_seconds(source["duration_s"]),
        sha256=source["sha256"],
        codec=source["codec"],
        sample_rate_hz=source["sample_rate_hz"],
        channels=source["channels"],
        segments=segments,
    )


def _seconds(value: Any) -> float:
    return round(float(value), 6)
