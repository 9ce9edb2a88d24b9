"""Prepare audio for captioning services, and bring their captions back as one timeline.

```python
import captoolkit

timeline = captoolkit.caption("night.wav", segment="30s")
for entry in timeline.entries:
    print(entry.source_span.start_s, entry.text)
```

The verbs are `probe`, `plan`, `prepare`, `split`, `caption`, `captions` and `acaption`; a
`Conversation` asks a model questions about sound; `targets` lists the supported services; `render`
and `parse` turn a timeline into text and back, `save` and `load` write and read it as a file,
`page` makes an HTML page of it and its recording, and `embed` puts it into the media file.
Importing this package loads nothing else: each name is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from captoolkit.api.ask import Conversation
    from captoolkit.api.caption import acaption, caption, captions
    from captoolkit.api.embed import embed
    from captoolkit.api.page import page
    from captoolkit.api.plan import plan
    from captoolkit.api.prepare import prepare
    from captoolkit.api.probe import probe
    from captoolkit.api.split import split
    from captoolkit.errors import (
        CaptoolkitError,
        InputError,
        KeyMissingError,
        LimitError,
        NoAudioError,
        NotMediaError,
        OutputError,
        OutputExistsError,
        ServiceConnectionError,
        ServiceError,
        SourceNotFoundError,
        ToolError,
        ToolNotFoundError,
        ToolTimeoutError,
        UsageError,
    )
    from captoolkit.media.source import Source
    from captoolkit.pipeline.prepared import Prepared
    from captoolkit.services.catalogue import targets
    from captoolkit.timeline import Timeline, load, parse, render, save

__version__ = "0.1.0"

__all__ = [
    "CaptoolkitError",
    "Conversation",
    "InputError",
    "KeyMissingError",
    "LimitError",
    "NoAudioError",
    "NotMediaError",
    "OutputError",
    "OutputExistsError",
    "Prepared",
    "ServiceConnectionError",
    "ServiceError",
    "Source",
    "SourceNotFoundError",
    "Timeline",
    "ToolError",
    "ToolNotFoundError",
    "ToolTimeoutError",
    "UsageError",
    "acaption",
    "caption",
    "captions",
    "embed",
    "load",
    "page",
    "parse",
    "plan",
    "prepare",
    "probe",
    "render",
    "save",
    "split",
    "targets",
]

_ERRORS = "captoolkit.errors"
_HOMES = {
    "Conversation": "captoolkit.api.ask",
    "Prepared": "captoolkit.pipeline.prepared",
    "Source": "captoolkit.media.source",
    "Timeline": "captoolkit.timeline",
    "acaption": "captoolkit.api.caption",
    "caption": "captoolkit.api.caption",
    "captions": "captoolkit.api.caption",
    "embed": "captoolkit.api.embed",
    "load": "captoolkit.timeline",
    "page": "captoolkit.api.page",
    "parse": "captoolkit.timeline",
    "plan": "captoolkit.api.plan",
    "prepare": "captoolkit.api.prepare",
    "probe": "captoolkit.api.probe",
    "render": "captoolkit.timeline",
    "save": "captoolkit.timeline",
    "split": "captoolkit.api.split",
    "targets": "captoolkit.services.catalogue",
}


def __getattr__(name: str) -> Any:
    """Fetch a public name from its home when it is first used (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, _ERRORS)), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
