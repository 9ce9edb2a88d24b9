"""TTML subtitles in the profiles EBU-TT-D and IMSC 1 Text, which broadcasters and players take.

Each entry is a paragraph in one region at the bottom; a line is followed by `<br/>`. Times are
media times in milliseconds. A file states no language, because captions have none. Notes are XML
comments, in which `--` becomes an em dash. Sources: EBU Tech 3380, w3.org/TR/ttml-imsc1.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree as ET

from captoolkit.timeline.cues import Cue, cue_lines, cues, millisecond_losses, timestamp
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import one_line

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
NAMESPACES = {
    "xmlns": "http://www.w3.org/ns/ttml",
    "xmlns:ttp": "http://www.w3.org/ns/ttml#parameter",
    "xmlns:tts": "http://www.w3.org/ns/ttml#styling",
    "xmlns:ebuttm": "urn:ebu:tt:metadata",
}
STANDARDS = (
    "urn:ebu:tt:distribution:2018-04",
    "http://www.w3.org/ns/ttml/profile/imsc1/text",
)
UNDETERMINED = "und"  # the code of BCP 47 for a language that is not known
STYLES: Mapping[str, Mapping[str, str]] = {
    "block": {"tts:fontFamily": "proportionalSansSerif", "tts:textAlign": "center"}
    | {"tts:fontSize": "100%", "tts:lineHeight": "normal"},
    "line": {"tts:color": "#FFFFFFFF", "tts:backgroundColor": "#000000C2"},
}
REGION = {"tts:origin": "10% 10%", "tts:extent": "80% 80%", "tts:displayAlign": "after"}


def render(timeline: Timeline) -> str:
    """Return the timeline as TTML."""
    root = ET.Element("tt", NAMESPACES)
    root.attrib |= {
        "ttp:timeBase": "media",
        "ttp:cellResolution": "32 15",
        "xml:lang": UNDETERMINED,
    }
    head = ET.SubElement(root, "head")
    metadata = ET.SubElement(ET.SubElement(head, "metadata"), "ebuttm:documentMetadata")
    for standard in STANDARDS:
        ET.SubElement(metadata, "ebuttm:conformsToStandard").text = standard
    styling = ET.SubElement(head, "styling")
    for name, style in STYLES.items():
        ET.SubElement(styling, "style", {"xml:id": name, **style})
    ET.SubElement(ET.SubElement(head, "layout"), "region", {"xml:id": "bottom", **REGION})
    ET.indent(root)
    shown = list(cues(timeline))
    if shown:  # a division must not be empty
        body = ET.SubElement(root, "body")
        division = ET.SubElement(body, "div", region="bottom", style="block")
        for number, cue in enumerate(shown, 1):
            _add_paragraph(division, number, cue)
        body.text = division.text = "\n"
        division.tail = body.tail = "\n"
    comments = (f"<!-- {one_line(note).replace('--', '—')} -->\n" for note in timeline.notes)
    return "".join([DECLARATION, *comments, ET.tostring(root, encoding="unicode"), "\n"])


def losses(timeline: Timeline) -> list[str]:
    """Return a sentence on very short entries."""
    return millisecond_losses(timeline)


def _add_paragraph(division: ET.Element, number: int, cue: Cue) -> None:
    """Add a cue; spaces inside a paragraph would be text, so that it is not indented."""
    times = {
        name: timestamp(time_ms, mark=".")
        for name, time_ms in (("begin", cue.start_ms), ("end", cue.end_ms))
    }
    paragraph = ET.SubElement(division, "p", {"xml:id": f"cue{number}", **times})
    span = ET.SubElement(paragraph, "span", style="line")
    first, *others = cue_lines(cue.entry)
    span.text = first
    for line in others:
        ET.SubElement(span, "br").tail = line
    paragraph.tail = "\n"
