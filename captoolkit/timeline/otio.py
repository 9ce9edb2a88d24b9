"""OpenTimelineIO: a clip for each recording, with a marker for each entry on it.

Times are whole samples at the timeline's rate, so nothing is rounded. A marker's name is a title,
its comment the whole caption, and its metadata what the JSON format says of the entry. Written with
the `opentimelineio` package, which `pip install 'captoolkit[otio]'` brings.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from captoolkit.errors import UsageError
from captoolkit.model import Entry
from captoolkit.timeline import marking
from captoolkit.timeline.cues import entry_title
from captoolkit.timeline.editing import Part
from captoolkit.timeline.json import entry_fields
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import one_line, said

OURS = "captoolkit"
WORDS = ("error", "finish_reason", "request_id")


def render(timeline: Timeline) -> str:
    """Return the timeline as OTIO's JSON.

    Raises:
        UsageError: the `opentimelineio` package is not installed.
    """
    otio = _package()
    track = otio.schema.Track(name="captions", kind=otio.schema.TrackKind.Audio)
    for start, end, part in marking.stretches(timeline):
        item = _item(otio, part, end - start, timeline.source.sample_rate_hz)
        lead = part.source_span.start_samples - part.at_samples if part else -start
        item.markers.extend(
            _marker(otio, entry, lead)
            for entry in timeline.entries
            if start <= entry.source_span.start_samples < end
        )
        track.append(item)
    notes = [one_line(note) for note in timeline.notes]
    name = one_line(marking.stem(timeline.source))
    document = otio.schema.Timeline(name=name, metadata={OURS: {"notes": notes}})
    document.tracks.append(track)
    return f"{document.to_json_string(indent=2)}\n"


def check() -> None:
    """Raise `UsageError` where the `opentimelineio` package is not installed."""
    _package()


def _item(otio: Any, part: Part | None, samples: int, rate_hz: int) -> Any:
    if part is None:
        return otio.schema.Gap(duration=otio.opentime.RationalTime(samples, rate_hz))
    source = part.source
    media = otio.schema.ExternalReference(
        target_url=marking.file_url(source.path),
        available_range=_range(otio, 0, source.duration_samples, source.sample_rate_hz),
    )
    return otio.schema.Clip(
        name=one_line(PurePath(source.path).name),
        media_reference=media,
        source_range=_range(otio, part.source_span.start_samples, samples, rate_hz),
        metadata={OURS: {"sha256": one_line(source.sha256)}},
    )


def _marker(otio: Any, entry: Entry, lead_samples: int) -> Any:
    """The marker of an entry on the clock of the item that it lies on."""
    span = entry.source_span
    start = span.start_samples + lead_samples
    told = entry_fields(entry)
    kept = {name: told[name] for name in ("index", "status", "usage")}
    words = {name: one_line(str(told[name] or "")) for name in WORDS}
    return otio.schema.Marker(
        name=entry_title(entry),
        comment=said(entry),
        color=marking.COLOURS[entry.status].upper(),
        marked_range=_range(otio, start, span.samples, span.rate_hz),
        metadata={OURS: kept | words},
    )


def _range(otio: Any, start: int, samples: int, rate_hz: int) -> Any:
    time = otio.opentime.RationalTime
    return otio.opentime.TimeRange(time(start, rate_hz), time(samples, rate_hz))


def _package() -> Any:
    try:
        import opentimelineio
    except ImportError as error:
        raise UsageError(
            "otio needs the opentimelineio package, which is not installed",
            fix="pip install 'captoolkit[otio]', or use fcpxml or edl",
        ) from error
    return opentimelineio
