"""The values that pass from stage to stage: `MediaInfo`, `Plan`, `Segment`, `Caption`, `Entry`.

`probe` returns a `MediaInfo`, `plan` a `Plan`, `prepare` makes each `Segment`, a captioner returns
a `Caption` of it, and `Entry` is its place in a `Timeline` (`captoolkit.timeline`).

Rules: values are frozen and have keyword arguments only. A position in time is a whole number of
samples at a stated rate. A stretch of time is a `Span`; the name of its field states the clock
(`source_span`: the source's). Seconds as floats are for display. Names end in their unit:
`_samples`, `_hz`, `_s`, `_bytes`. No function in this room opens a file.

All code imports these names from here. Each is loaded with its module on first use: a class takes
half a millisecond to build, and most commands need few of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # `X as X`: a name for the other rooms that is not public
    from captoolkit.model.curves import Envelope
    from captoolkit.model.curves import Spectrogram as Spectrogram
    from captoolkit.model.entries import (
        USAGE_FIELDS,
        Caption,
        CaptionerInfo,
        Entry,
        Segment,
        SourceInfo,
        Status,
        Usage,
    )
    from captoolkit.model.media_files import (
        Chapter,
        MediaInfo,
        Picture,
        SubtitleTrack,
        Track,
    )
    from captoolkit.model.media_files import Discontinuity as Discontinuity
    from captoolkit.model.plans import Action, Cost, CostRange, Encoding, Plan
    from captoolkit.model.service_targets import DEFAULT_TRUE_PEAK_DBTP as DEFAULT_TRUE_PEAK_DBTP
    from captoolkit.model.service_targets import (
        Dialect,
        Fact,
        LoudnessTarget,
        Price,
        Target,
        Via,
    )
    from captoolkit.model.spans import Span

__all__ = [
    "USAGE_FIELDS",
    "Action",
    "Caption",
    "CaptionerInfo",
    "Chapter",
    "Cost",
    "CostRange",
    "Dialect",
    "Encoding",
    "Entry",
    "Envelope",
    "Fact",
    "LoudnessTarget",
    "MediaInfo",
    "Picture",
    "Plan",
    "Price",
    "Segment",
    "SourceInfo",
    "Span",
    "Status",
    "SubtitleTrack",
    "Target",
    "Track",
    "Usage",
    "Via",
]

_NAMES = {
    "curves": ("Envelope", "Spectrogram"),
    "entries": (
        "USAGE_FIELDS",
        "Caption",
        "CaptionerInfo",
        "Entry",
        "Segment",
        "SourceInfo",
        "Status",
        "Usage",
    ),
    "media_files": (
        "Chapter",
        "Discontinuity",
        "MediaInfo",
        "Picture",
        "SubtitleTrack",
        "Track",
    ),
    "plans": ("Action", "Cost", "CostRange", "Encoding", "Plan"),
    "service_targets": (
        "DEFAULT_TRUE_PEAK_DBTP",
        "Dialect",
        "Fact",
        "LoudnessTarget",
        "Price",
        "Target",
        "Via",
    ),
    "spans": ("Span",),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import the module of a name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_HOMES[name]}")
    globals().update({each: getattr(module, each) for each in _NAMES[_HOMES[name]]})
    return globals()[name]


def __dir__() -> list[str]:
    return sorted(_HOMES)
