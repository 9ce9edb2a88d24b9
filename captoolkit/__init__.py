"""Prepare audio for captioning services, and bring their captions back as one timeline.

```python
import captoolkit

timeline = captoolkit.caption("night.wav", segment="30s")
for entry in timeline.entries:
    print(entry.source_span.start_s, entry.text)
```

The verbs are `probe`, `plan`, `prepare`, `split`, `caption`, `captions` and `acaption`; a
`Conversation` asks a model questions about sound; `targets` lists the services known here; `render`
and `parse` turn a timeline into text and back, `page` into a page with its recording, and `embed`
puts it into the media file. Importing this package loads nothing else: each name is fetched when it
is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from captoolkit.audio.embed import embed
    from captoolkit.captioning import acaption, caption, captions
    from captoolkit.catalogue import targets
    from captoolkit.conversation import Conversation
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
    from captoolkit.picturing import page
    from captoolkit.prepared import Prepared
    from captoolkit.preparing import plan, prepare, probe
    from captoolkit.splitting import split
    from captoolkit.timeline import parse, render
    from captoolkit.timeline.value import Timeline

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
    "page",
    "parse",
    "plan",
    "prepare",
    "probe",
    "render",
    "split",
    "targets",
]

_ERRORS = "captoolkit.errors"
_HOMES = {
    "Conversation": "captoolkit.conversation",
    "Prepared": "captoolkit.prepared",
    "Timeline": "captoolkit.timeline.value",
    "acaption": "captoolkit.captioning",
    "caption": "captoolkit.captioning",
    "captions": "captoolkit.captioning",
    "embed": "captoolkit.audio.embed",
    "page": "captoolkit.picturing",
    "parse": "captoolkit.timeline",
    "plan": "captoolkit.preparing",
    "prepare": "captoolkit.preparing",
    "probe": "captoolkit.preparing",
    "render": "captoolkit.timeline",
    "split": "captoolkit.splitting",
    "targets": "captoolkit.catalogue",
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
