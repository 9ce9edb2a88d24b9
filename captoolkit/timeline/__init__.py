"""Tell. Pure: captions in, one timeline out, and the timeline as text in many formats."""

from __future__ import annotations

from captoolkit.timeline.base import Format
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

__all__ = [
    "FORMATS",
    "Format",
    "check",
    "extension_of",
    "format_of",
    "losses",
    "parse",
    "render",
    "stitch",
]
