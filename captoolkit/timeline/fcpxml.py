r"""FCPXML 1.9: a sequence of clips, one for each recording, with a marker for each entry.

Final Cut Pro and DaVinci Resolve read it. Times lie on frames, since Final Cut takes no others; the
end is rounded up to a whole one. A marker lies on the clip (or the gap) that its frame is in and
counts on that recording's own clock; its note holds the timeline's exact times and the whole
caption. A recording without a sample has a clip of one frame.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from xml.etree import ElementTree as ET

from captoolkit.model import Entry, SourceInfo, Status
from captoolkit.timeline import marking
from captoolkit.timeline.cues import cues, entry_title, ticks
from captoolkit.timeline.editing import Part
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import one_line
from captoolkit.units import samples_at

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n'
VERSION = "1.9"
_NOT_XML = str.maketrans({0xFFFE: "\ufffd", 0xFFFF: "\ufffd"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """What lies on the sequence from one frame up to another: a recording, or nothing."""

    start: int
    end: int
    part: Part | None


def render(timeline: Timeline, *, frame_rate: Fraction | float | None = None) -> str:
    """Return the timeline as FCPXML.

    Raises:
        UsageError: the frame rate cannot be.
    """
    count = marking.frames(frame_rate)
    name = one_line(marking.stem(timeline.source))
    root = ET.Element("fcpxml", version=VERSION)
    resources = ET.SubElement(root, "resources")
    ET.SubElement(
        resources,
        "format",
        id="r1",
        name=f"FFVideoFormat1080p{float(count.rate):.2f}".removesuffix(".00").replace(".", ""),
        frameDuration=count.seconds(1),
        width="1920",
        height="1080",
    )
    sources = dict.fromkeys(part.source for part in timeline.all_parts)
    assets = {source: f"r{number}" for number, source in enumerate(sources, 2)}
    for source, asset_id in assets.items():
        _add_asset(resources, source, asset_id, count)
    event = ET.SubElement(ET.SubElement(root, "library"), "event", name=name)
    project = ET.SubElement(event, "project", name=name)
    sequence = ET.SubElement(project, "sequence", format="r1", tcStart="0s", tcFormat="NDF")
    items = _items(timeline, count)
    sequence.set("duration", count.seconds(items[-1].end))
    spine = ET.SubElement(sequence, "spine")
    laid = [_add_item(spine, item, assets, count) for item in items]
    starts = [item.start for item in items]
    for (start, end, entry), cue in zip(ticks(timeline, count.rate), cues(timeline), strict=True):
        lead, element = laid[bisect_right(starts, start) - 1]
        _mark(element, entry, (start + lead, end + lead), cue.times, count)
    ET.indent(root)
    return HEAD + ET.tostring(root, encoding="unicode").translate(_NOT_XML) + "\n"


def check(*, frame_rate: Fraction | float | None = None) -> None:
    """Raise `UsageError` for a frame rate that cannot be."""
    marking.frames(frame_rate)


def losses(timeline: Timeline, *, frame_rate: Fraction | float | None = None) -> list[str]:
    """Return how times are rounded."""
    return [marking.rounding_note(marking.frames(frame_rate))]


def _items(timeline: Timeline, count: marking.Frames) -> list[_Item]:
    """What the sequence is made of, on frames as markers are; the end is rounded up."""
    rate_hz = timeline.source.sample_rate_hz
    found = list(marking.stretches(timeline)) or [(0, 0, timeline.all_parts[0])]
    edges = [samples_at(Fraction(start, rate_hz), count.rate) for start, _, _ in found]
    start, end, _ = found[-1]
    edges.append(edges[-1] + _frames_of(end - start, rate_hz, count))
    return [
        _Item(start=start, end=end, part=part)
        for (start, end), (_, _, part) in zip(pairwise(edges), found, strict=True)
        if start < end
    ]


def _frames_of(samples: int, rate_hz: int, count: marking.Frames) -> int:
    """How many frames so many samples need: at least one."""
    return max(1, math.ceil(Fraction(samples, rate_hz) * count.rate))


def _add_asset(
    resources: ET.Element, source: SourceInfo, asset_id: str, count: marking.Frames
) -> None:
    asset = ET.SubElement(resources, "asset", id=asset_id)
    frames = _frames_of(source.duration_samples, source.sample_rate_hz, count)
    asset.attrib |= {
        "name": one_line(marking.stem(source)),
        "start": "0s",
        "duration": count.seconds(frames),
        "hasAudio": "1",
        "audioSources": "1",
        "audioChannels": str(source.channels),
        "audioRate": str(source.sample_rate_hz),
    }
    ET.SubElement(asset, "media-rep", kind="original-media", src=marking.file_url(source.path))


def _add_item(
    spine: ET.Element, item: _Item, assets: Mapping[SourceInfo, str], count: marking.Frames
) -> tuple[int, ET.Element]:
    """Add a clip or a gap; return how many frames later its own clock is than the sequence's."""
    offset, duration = count.seconds(item.start), count.seconds(item.end - item.start)
    if item.part is None:
        gap = ET.SubElement(spine, "gap", offset=offset, start="0s", duration=duration)
        return -item.start, gap
    source, span = item.part.source, item.part.source_span
    first = math.floor(Fraction(span.start_samples, span.rate_hz) * count.rate)
    clip = ET.SubElement(spine, "asset-clip", ref=assets[source])
    clip.attrib |= {
        "name": one_line(marking.stem(source)),
        "offset": offset,
        "start": count.seconds(first),
        "duration": duration,
        "audioRole": "dialogue",
    }
    return first - item.start, clip


def _mark(
    clip: ET.Element, entry: Entry, frames: tuple[int, int], times: str, count: marking.Frames
) -> None:
    """Put the marker of an entry on the clip; a hole is one to be completed."""
    start, end = frames
    marker = ET.SubElement(
        clip,
        "marker",
        start=count.seconds(start),
        duration=count.seconds(end - start),
        value=entry_title(entry),
        note=marking.note_of(entry, times),
    )
    if entry.status is Status.FAILED:
        marker.set("completed", "0")
