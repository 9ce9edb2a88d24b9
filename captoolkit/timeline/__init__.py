"""Timelines: captions over a whole recording as one value, as text in many formats, and in files.

`Timeline` is the value, `stitch` makes one from the answers of a captioner, `render` and `parse`
turn it into text and back, `save` and `load` do the same with files. Everything but `save` and
`load` is pure.
"""

from __future__ import annotations

from captoolkit.support.provenance import Provenance
from captoolkit.timeline.base import Format, FormatOptions
from captoolkit.timeline.editing import SourcePart
from captoolkit.timeline.formats import (
    FORMATS,
    check,
    extension_of,
    format_of,
    losses,
    parse,
    render,
)
from captoolkit.timeline.stitch import stitch
from captoolkit.timeline.store import load, save
from captoolkit.timeline.value import StatusTotal, Timeline, Totals

__all__ = [
    "FORMATS",
    "Format",
    "FormatOptions",
    "Provenance",
    "SourcePart",
    "StatusTotal",
    "Timeline",
    "Totals",
    "check",
    "extension_of",
    "format_of",
    "load",
    "losses",
    "parse",
    "render",
    "save",
    "stitch",
]
