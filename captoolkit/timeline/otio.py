"""OpenTimelineIO: a clip for each recording, with a marker for each entry on it.

Times are whole samples at the timeline's rate, so nothing is rounded. A marker's name is a title,
its comment the whole caption, and its metadata the fields of the entry in the JSON format. The
`opentimelineio` package writes the file; `pip install 'captoolkit[otio]'` installs it.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from captoolkit.errors import UsageError
from captoolkit.model import Entry
from captoolkit.timeline import markers
from captoolkit.timeline.cues import entry_title
from captoolkit.timeline.editing import SourcePart
from captoolkit.timeline.json import entry_fields
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import full_text, one_line

NAMESPACE = "captoolkit"
TEXT_FIELDS = ("error", "finish_reason", "request_id")


def render(timeline: Timeline) -> str:
    """Return the timeline as OTIO's JSON.

    Raises:
        UsageError: the `opentimelineio` package is not installed.
    """
    otio = _package()
    track = otio.schema.Track(name="captions", kind=otio.schema.TrackKind.Audio)
    for start, end, part in markers.track_items(timeline):
        item = _item(otio, part, end - start, timeline.source.sample_rate_hz)
        lead = part.source_span.start_samples - part.at_samples if part else -start
        item.markers.extend(
            _marker(otio, entry, lead)
            for entry in timeline.entries
            if start <= entry.source_span.start_samples < end
        )
        track.append(item)
    notes = [one_line(note) for note in timeline.notes]
    name = one_line(markers.source_name(timeline.source))
    document = otio.schema.Timeline(name=name, metadata={NAMESPACE: {"notes": notes}})
    document.tracks.append(track)
    return f"{document.to_json_string(indent=2)}\n"


def check() -> None:
    """Raise `UsageError` if the `opentimelineio` package is not installed."""
    _package()


def _item(otio: Any, part: SourcePart | None, samples: int, rate_hz: int) -> Any:
    if part is None:
        return otio.schema.Gap(duration=otio.opentime.RationalTime(samples, rate_hz))
    source = part.source
    media = otio.schema.ExternalReference(
        target_url=markers.media_url(source.path),
        available_range=_range(otio, 0, source.duration_samples, source.sample_rate_hz),
    )
    return otio.schema.Clip(
        name=one_line(PurePath(source.path).name),
        media_reference=media,
        source_range=_range(otio, part.source_span.start_samples, samples, rate_hz),
        metadata={NAMESPACE: {"sha256": one_line(source.sha256)}},
    )


def _marker(otio: Any, entry: Entry, lead_samples: int) -> Any:
    """The marker of an entry, on the clock of the item that contains it."""
    span = entry.source_span
    start = span.start_samples + lead_samples
    fields = entry_fields(entry)
    values = {name: fields[name] for name in ("index", "status", "usage")}
    texts = {name: one_line(str(fields[name] or "")) for name in TEXT_FIELDS}
    return otio.schema.Marker(
        name=entry_title(entry),
        comment=full_text(entry),
        color=markers.COLOURS[entry.status].upper(),
        marked_range=_range(otio, start, span.samples, span.rate_hz),
        metadata={NAMESPACE: values | texts},
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
