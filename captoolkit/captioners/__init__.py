"""Captioners: one segment in, one caption out.

`open_captioner` opens one by its name. A captioner of your own is any object with the members of
`Captioner`; `captoolkit.caption` takes it as `captioner=`. The other protocols name what a
captioner may offer beyond that: paid and streamed answers (`PaidCaptioner`), other ways to send
sound than Base64 (`HasTransports`), answers to questions (`ConversationalCaptioner`), captions from
samples without a file (`MeasuringCaptioner`).
"""

from __future__ import annotations

from captoolkit.captioners.base import (
    Captioner,
    CaptionerOptions,
    Clip,
    ConversationalCaptioner,
    HasTransports,
    MeasuringCaptioner,
    OnText,
    PaidCaptioner,
    Samples,
    ServiceOptions,
)
from captoolkit.captioners.messages import Message, Role
from captoolkit.captioners.registry import open_captioner
from captoolkit.pipeline.caption_meter import CaptionMeter

__all__ = [
    "CaptionMeter",
    "Captioner",
    "CaptionerOptions",
    "Clip",
    "ConversationalCaptioner",
    "HasTransports",
    "MeasuringCaptioner",
    "Message",
    "OnText",
    "PaidCaptioner",
    "Role",
    "Samples",
    "ServiceOptions",
    "open_captioner",
]
