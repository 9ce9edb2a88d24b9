"""Prepare audio for captioning services, and bring their captions back as one timeline.

```python
import captoolkit

timeline = captoolkit.caption("night.wav", segment="30s")
for entry in timeline.entries:
    print(entry.source_span.start_s, entry.text)
```

The verbs are `probe`, `plan`, `prepare`, `split`, `caption`, `captions`, `acaption` and, for many
recordings, `caption_many`; `batch` applies a verb to any number of recordings, on one machine or
many; a `Conversation` asks a model questions about sound; `targets` lists the supported services;
`render` and `parse` turn a timeline into text and back, `save` and `load` write and read it as a
file, `page` makes an HTML page of it and its recording, and `embed` puts it into the media file.

The public names are those in `__all__` of this package, of `captoolkit.model`, `.events`,
`.errors`, `.timeline`, `.captioners` and `.emulator`. Importing this package loads nothing else:
each name is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from captoolkit.api.ask import Conversation, ConversationOptions
    from captoolkit.api.asking_run import CaptionOptions
    from captoolkit.api.caption import acaption, caption, caption_many, captions
    from captoolkit.api.embed import Embedded, embed
    from captoolkit.api.page import page
    from captoolkit.api.plan import plan
    from captoolkit.api.prepare import prepare
    from captoolkit.api.probe import probe
    from captoolkit.api.split import split
    from captoolkit.captioners import CaptionerOptions
    from captoolkit.dispatch.budget import Budget
    from captoolkit.dispatch.caption_run import CaptionResult, CaptionRun
    from captoolkit.dispatch.captions import Captions
    from captoolkit.dispatch.retry import RetryPolicy
    from captoolkit.errors import (
        CancelledError,
        CaptoolkitError,
        DiskFullError,
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
    from captoolkit.jobs.batch import batch
    from captoolkit.jobs.batch_options import BatchOptions
    from captoolkit.jobs.results.summary import BatchSummary, FailureReason
    from captoolkit.media.source import Source
    from captoolkit.pipeline.prepared import Prepared
    from captoolkit.pipeline.segment import ReadySegment
    from captoolkit.planning.options import PlanOptions, SplitOptions
    from captoolkit.services.catalogue import targets
    from captoolkit.support.cancel import Clock
    from captoolkit.timeline import FormatOptions, Timeline, load, parse, render, save

__version__ = "0.1.0"

__all__ = [
    "BatchOptions",
    "BatchSummary",
    "Budget",
    "CancelledError",
    "CaptionOptions",
    "CaptionResult",
    "CaptionRun",
    "CaptionerOptions",
    "Captions",
    "CaptoolkitError",
    "Clock",
    "Conversation",
    "ConversationOptions",
    "DiskFullError",
    "Embedded",
    "FailureReason",
    "FormatOptions",
    "InputError",
    "KeyMissingError",
    "LimitError",
    "NoAudioError",
    "NotMediaError",
    "OutputError",
    "OutputExistsError",
    "PlanOptions",
    "Prepared",
    "ReadySegment",
    "RetryPolicy",
    "ServiceConnectionError",
    "ServiceError",
    "Source",
    "SourceNotFoundError",
    "SplitOptions",
    "Timeline",
    "ToolError",
    "ToolNotFoundError",
    "ToolTimeoutError",
    "UsageError",
    "acaption",
    "batch",
    "caption",
    "caption_many",
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
    "BatchOptions": "captoolkit.jobs.batch_options",
    "BatchSummary": "captoolkit.jobs.results.summary",
    "Budget": "captoolkit.dispatch.budget",
    "CaptionOptions": "captoolkit.api.asking_run",
    "CaptionResult": "captoolkit.dispatch.caption_run",
    "CaptionRun": "captoolkit.dispatch.caption_run",
    "CaptionerOptions": "captoolkit.captioners",
    "Captions": "captoolkit.dispatch.captions",
    "Clock": "captoolkit.support.cancel",
    "Conversation": "captoolkit.api.ask",
    "ConversationOptions": "captoolkit.api.ask",
    "Embedded": "captoolkit.api.embed",
    "FailureReason": "captoolkit.jobs.results.summary",
    "FormatOptions": "captoolkit.timeline",
    "PlanOptions": "captoolkit.planning.options",
    "Prepared": "captoolkit.pipeline.prepared",
    "ReadySegment": "captoolkit.pipeline.segment",
    "RetryPolicy": "captoolkit.dispatch.retry",
    "Source": "captoolkit.media.source",
    "SplitOptions": "captoolkit.planning.options",
    "Timeline": "captoolkit.timeline",
    "acaption": "captoolkit.api.caption",
    "batch": "captoolkit.jobs.batch",
    "caption": "captoolkit.api.caption",
    "caption_many": "captoolkit.api.caption",
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
    """Import a public name from its module on first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, _ERRORS)), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
