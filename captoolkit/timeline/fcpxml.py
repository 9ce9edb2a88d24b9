r"""FCPXML 1.9: a sequence of clips, one for each recording, with a marker for each entry.

Final Cut Pro and DaVinci Resolve read it. Times are whole frames, because Final Cut accepts no
others; the end of the sequence is rounded up to a whole frame. A marker belongs to the clip (or the
gap) that contains its frame and counts on that recording's own clock; its note holds the timeline's
exact times and the whole caption. A recording without a sample becomes a clip of one frame.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Unpack
from xml.etree import ElementTree as ET

from captoolkit.model import Entry, SourceInfo, Status
from captoolkit.timeline import markers
from captoolkit.timeline.cues import cues, entry_title, ticks
from captoolkit.timeline.editing import SourcePart
from captoolkit.timeline.markers import FrameOptions, FrameRate
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import one_line
from captoolkit.units import samples_at

HEADER = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n'
VERSION = "1.9"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """A recording, or a gap, from one frame of the sequence up to another."""

    start: int
    end: int
    part: SourcePart | None


def render(timeline: Timeline, **options: Unpack[FrameOptions]) -> str:
    """Return the timeline as FCPXML.

    Raises:
        UsageError: the frame rate is invalid.
    """
    rate = markers.read_frame_rate(**options)
    name = one_line(markers.source_name(timeline.source))
    root = ET.Element("fcpxml", version=VERSION)
    resources = ET.SubElement(root, "resources")
    ET.SubElement(
        resources,
        "format",
        id="r1",
        name=_format_name(rate),
        frameDuration=rate.seconds(1),
        width="1920",
        height="1080",
    )
    sources = dict.fromkeys(part.source for part in timeline.all_parts)
    assets = {source: f"r{number}" for number, source in enumerate(sources, 2)}
    for source, asset_id in assets.items():
        _add_asset(resources, source, asset_id, rate)
    event = ET.SubElement(ET.SubElement(root, "library"), "event", name=name)
    project = ET.SubElement(event, "project", name=name)
    sequence = ET.SubElement(project, "sequence", format="r1", tcStart="0s")
    sequence.set("tcFormat", "DF" if rate.is_drop_frame else "NDF")
    items = _items(timeline, rate)
    sequence.set("duration", rate.seconds(items[-1].end))
    spine = ET.SubElement(sequence, "spine")
    placed = [_add_item(spine, item, assets, rate) for item in items]
    starts = [item.start for item in items]
    frames = ticks(timeline, rate.frames_per_s)
    for (start, end, entry), cue in zip(frames, cues(timeline), strict=True):
        lead, element = placed[bisect_right(starts, start) - 1]
        _add_marker(element, entry, (start + lead, end + lead), cue.times, rate)
    ET.indent(root)
    return HEADER + ET.tostring(root, encoding="unicode") + "\n"


def check(**options: Unpack[FrameOptions]) -> None:
    """Raise `UsageError` for an invalid frame rate."""
    markers.read_frame_rate(**options)


def losses(timeline: Timeline, **options: Unpack[FrameOptions]) -> list[str]:
    """Return sentences on rounded times and on entries shorter than a frame."""
    return markers.frame_losses(timeline, markers.read_frame_rate(**options))


def _format_name(rate: FrameRate) -> str:
    """Final Cut's name of the video format: `FFVideoFormat1080p25`, `FFVideoFormat1080p2997`."""
    frames_per_s = f"{float(rate.frames_per_s):.2f}".removesuffix(".00").replace(".", "")
    return f"FFVideoFormat1080p{frames_per_s}"


def _items(timeline: Timeline, rate: FrameRate) -> list[_Item]:
    """The items of the sequence, in frames rounded as markers are; the end is rounded up."""
    rate_hz = timeline.source.sample_rate_hz
    track = list(markers.track_items(timeline)) or [(0, 0, timeline.all_parts[0])]
    edges = [samples_at(Fraction(start, rate_hz), rate.frames_per_s) for start, _, _ in track]
    start, end, _ = track[-1]
    edges.append(edges[-1] + _frames_of(end - start, rate_hz, rate))
    return [
        _Item(start=start, end=end, part=part)
        for (start, end), (_, _, part) in zip(pairwise(edges), track, strict=True)
        if start < end
    ]


def _frames_of(samples: int, rate_hz: int, rate: FrameRate) -> int:
    """The whole frames that hold so many samples: at least one."""
    return max(1, math.ceil(Fraction(samples, rate_hz) * rate.frames_per_s))


def _add_asset(resources: ET.Element, source: SourceInfo, asset_id: str, rate: FrameRate) -> None:
    asset = ET.SubElement(resources, "asset", id=asset_id)
    frames = _frames_of(source.duration_samples, source.sample_rate_hz, rate)
    asset.attrib |= {
        "name": one_line(markers.source_name(source)),
        "start": "0s",
        "duration": rate.seconds(frames),
        "hasAudio": "1",
        "audioSources": "1",
        "audioChannels": str(source.channels),
        "audioRate": str(source.sample_rate_hz),
    }
    ET.SubElement(asset, "media-rep", kind="original-media", src=markers.media_url(source.path))


def _add_item(
    spine: ET.Element, item: _Item, assets: Mapping[SourceInfo, str], rate: FrameRate
) -> tuple[int, ET.Element]:
    """Add a clip or a gap; return its element and the lead of its clock over the sequence's."""
    offset, duration = rate.seconds(item.start), rate.seconds(item.end - item.start)
    if item.part is None:
        gap = ET.SubElement(spine, "gap", offset=offset, start="0s", duration=duration)
        return -item.start, gap
    source, span = item.part.source, item.part.source_span
    first = math.floor(Fraction(span.start_samples, span.rate_hz) * rate.frames_per_s)
    clip = ET.SubElement(spine, "asset-clip", ref=assets[source])
    clip.attrib |= {
        "name": one_line(markers.source_name(source)),
        "offset": offset,
        "start": rate.seconds(first),
        "duration": duration,
        "audioRole": "dialogue",
    }
    return first - item.start, clip


def _add_marker(
    clip: ET.Element, entry: Entry, frames: tuple[int, int], times: str, rate: FrameRate
) -> None:
    """Add the marker of an entry to the clip; a failed entry is a to-do marker."""
    start, end = frames
    marker = ET.SubElement(
        clip,
        "marker",
        start=rate.seconds(start),
        duration=rate.seconds(end - start),
        value=entry_title(entry),
        note=markers.marker_note(entry, times),
    )
    if entry.status is Status.FAILED:
        marker.set("completed", "0")
