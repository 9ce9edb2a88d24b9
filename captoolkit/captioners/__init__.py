"""Captioners: one segment in, one caption out.

`open_captioner` opens one by its name. A captioner of your own is any object with the members of
`Captioner`; `captoolkit.caption` takes it as `captioner=`. The other protocols name what a
captioner may offer beyond that: paid and streamed answers (`PaidCaptioner`), other ways to send
sound than Base64 (`HasTransports`), answers to questions (`ConversationalCaptioner`).
"""

from __future__ import annotations

from captoolkit.captioners.base import (
    Captioner,
    CaptionerOptions,
    Clip,
    ConversationalCaptioner,
    HasTransports,
    OnText,
    PaidCaptioner,
    Samples,
    ServiceOptions,
)
from captoolkit.captioners.messages import Message, Role
from captoolkit.captioners.registry import open_captioner

__all__ = [
    "Captioner",
    "CaptionerOptions",
    "Clip",
    "ConversationalCaptioner",
    "HasTransports",
    "Message",
    "OnText",
    "PaidCaptioner",
    "Role",
    "Samples",
    "ServiceOptions",
    "open_captioner",
]
