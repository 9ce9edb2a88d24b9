"""ELAN's annotation format (EAF 2.8): one tier with an annotation for each entry.

Times are milliseconds. An annotation holds the whole caption with its paragraphs. ELAN looks for
the recording at its path, then in the folder of the `.eaf` file. The format requires a date, which
a timeline does not have: it is the beginning of 1970. Notes are properties of the document.
"""

from __future__ import annotations

from pathlib import PurePath
from xml.etree import ElementTree as ET

from captoolkit.timeline.cues import cues, millisecond_losses
from captoolkit.timeline.markers import media_url
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import caption_text, one_line

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
VERSION = "2.8"
SCHEMA = {
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv2.8.xsd",
}
NO_DATE = "1970-01-01T00:00:00+00:00"
TIER, TYPE = "captions", "captions"
# ELAN chooses its player by the type; others have no name there.
MEDIA_TYPES = {".wav": "audio/x-wav", ".mp4": "video/mp4", ".mpg": "video/mpeg"}
UNKNOWN_TYPE = "unknown"


def render(timeline: Timeline) -> str:
    """Return the timeline as an annotation document."""
    root = ET.Element("ANNOTATION_DOCUMENT", SCHEMA)
    author = one_line(timeline.captioner.name)
    root.attrib |= {"AUTHOR": author, "DATE": NO_DATE, "FORMAT": VERSION, "VERSION": VERSION}
    shown = list(cues(timeline))
    header = ET.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    for source in dict.fromkeys(part.source for part in timeline.all_parts):
        path = PurePath(source.path)
        media_type = MEDIA_TYPES.get(path.suffix.lower(), UNKNOWN_TYPE)
        url = one_line(media_url(source.path))
        relative = one_line(media_url(f"./{path.name}"))
        descriptor = ET.SubElement(header, "MEDIA_DESCRIPTOR")
        descriptor.attrib |= {"MEDIA_URL": url, "MIME_TYPE": media_type}
        descriptor.attrib |= {"RELATIVE_MEDIA_URL": relative}
    for note in timeline.notes:
        ET.SubElement(header, "PROPERTY", NAME="note").text = one_line(note)
    ET.SubElement(header, "PROPERTY", NAME="lastUsedAnnotationId").text = str(len(shown))
    slots = ET.SubElement(root, "TIME_ORDER")
    tier = ET.SubElement(root, "TIER", LINGUISTIC_TYPE_REF=TYPE, TIER_ID=TIER)
    for number, cue in enumerate(shown, 1):
        names = (f"ts{2 * number - 1}", f"ts{2 * number}")
        for name, time_ms in zip(names, (cue.start_ms, cue.end_ms), strict=True):
            ET.SubElement(slots, "TIME_SLOT", TIME_SLOT_ID=name, TIME_VALUE=str(time_ms))
        annotation = ET.SubElement(
            ET.SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION", ANNOTATION_ID=f"a{number}"
        )
        annotation.attrib |= {"TIME_SLOT_REF1": names[0], "TIME_SLOT_REF2": names[1]}
        ET.SubElement(annotation, "ANNOTATION_VALUE").text = caption_text(cue.entry)
    ET.SubElement(
        root,
        "LINGUISTIC_TYPE",
        GRAPHIC_REFERENCES="false",
        LINGUISTIC_TYPE_ID=TYPE,
        TIME_ALIGNABLE="true",
    )
    ET.indent(root)
    return f"{DECLARATION}{ET.tostring(root, encoding='unicode')}\n"


def losses(timeline: Timeline) -> list[str]:
    """Return a sentence on very short entries."""
    return millisecond_losses(timeline)
