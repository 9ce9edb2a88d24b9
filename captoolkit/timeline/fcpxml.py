r"""FCPXML 1.9: a sequence of one clip, the recording, with a marker for each entry.

Final Cut Pro and DaVinci Resolve read it. Times lie on frames, since Final Cut takes no others; the
clip is rounded up to a whole one. A marker's note holds the exact times and the whole caption. A
recording without a sample has a clip of one frame.
"""

from __future__ import annotations

import math
from fractions import Fraction
from xml.etree import ElementTree as ET

from captoolkit.model import Status
from captoolkit.timeline import marking
from captoolkit.timeline.cues import cues, entry_title, ticks
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import one_line

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n'
VERSION = "1.9"
_NOT_XML = str.maketrans({0xFFFE: "\ufffd", 0xFFFF: "\ufffd"})


def render(timeline: Timeline, *, frame_rate: Fraction | float | None = None) -> str:
    """Return the timeline as FCPXML.

    Raises:
        UsageError: the frame rate cannot be.
    """
    count = marking.frames(frame_rate)
    source = timeline.source
    length_s = Fraction(source.duration_samples, source.sample_rate_hz)
    duration = count.seconds(max(1, math.ceil(length_s * count.rate)))
    name = one_line(marking.stem(timeline))

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
    asset = ET.SubElement(resources, "asset", id="r2", name=name, start="0s", duration=duration)
    asset.attrib |= {
        "hasAudio": "1",
        "audioSources": "1",
        "audioChannels": str(source.channels),
        "audioRate": str(source.sample_rate_hz),
    }
    ET.SubElement(asset, "media-rep", kind="original-media", src=marking.file_url(source.path))
    event = ET.SubElement(ET.SubElement(root, "library"), "event", name=name)
    project = ET.SubElement(event, "project", name=name)
    sequence = ET.SubElement(
        project, "sequence", format="r1", duration=duration, tcStart="0s", tcFormat="NDF"
    )
    for note in timeline.notes:
        sequence.append(ET.Comment(f" {one_line(note).replace('--', '- -')} "))
    clip = ET.SubElement(ET.SubElement(sequence, "spine"), "asset-clip", ref="r2", name=name)
    clip.attrib |= {"offset": "0s", "start": "0s", "duration": duration, "audioRole": "dialogue"}
    _mark(clip, timeline, count)
    ET.indent(root)
    return HEAD + ET.tostring(root, encoding="unicode").translate(_NOT_XML) + "\n"


def check(*, frame_rate: Fraction | float | None = None) -> None:
    """Raise `UsageError` for a frame rate that cannot be."""
    marking.frames(frame_rate)


def losses(timeline: Timeline, *, frame_rate: Fraction | float | None = None) -> list[str]:
    """Return how times are rounded."""
    return [marking.rounding_note(marking.frames(frame_rate))]


def _mark(clip: ET.Element, timeline: Timeline, count: marking.Frames) -> None:
    """Put a marker for each entry on the clip; a hole is one to be completed."""
    for (start, end, entry), cue in zip(ticks(timeline, count.rate), cues(timeline), strict=True):
        marker = ET.SubElement(
            clip,
            "marker",
            start=count.seconds(start),
            duration=count.seconds(end - start),
            value=entry_title(entry),
            note=marking.note_of(entry, cue.times),
        )
        if entry.status is Status.FAILED:
            marker.set("completed", "0")
