"""The captioner that needs no key and no network: it measures a segment and says so.

`Clip -> Measurer -> Measurements -> describe -> Caption`

Rules: the figures are made in `measure` and what it is built from, with numpy and in one pass;
the words are tied to documented thresholds in `words`; `sentences` puts both together. What made a
sound is never guessed: this tells which parts of a long recording are worth asking a model about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from captoolkit.captioners.acoustic.measure import Measurements, Measurer
from captoolkit.captioners.acoustic.sentences import describe
from captoolkit.captioners.acoustic.words import table
from captoolkit.captioners.base import CaptionerSettings, Clip
from captoolkit.model import Caption, CaptionerInfo
from captoolkit.support.cancel import Closing

if TYPE_CHECKING:
    from captoolkit.services.service import Service

__all__ = [
    "AcousticCaptioner",
    "Measurements",
    "Measurer",
    "describe",
    "open_captioner",
    "table",
]


def open_captioner(service: Service, settings: CaptionerSettings) -> AcousticCaptioner:
    """Return the acoustic captioner, which takes no options."""
    return AcousticCaptioner()


class AcousticCaptioner(Closing):
    """Describes a clip by what can be measured. Holds nothing, so it is safe in any thread."""

    @property
    def info(self) -> CaptionerInfo:
        """What the timeline records; the model is the version of the words and thresholds."""
        return CaptionerInfo(name="acoustic", model="acoustic/1")

    def caption(self, clip: Clip) -> Caption:
        """Return what is measured in `clip`: no tokens, no request, always to the end."""
        with clip.samples() as samples:
            measurer = Measurer(
                rate_hz=samples.rate_hz, channels=samples.channels, start_s=clip.start_s
            )
            for block in samples:
                measurer.feed(block)
        return Caption(text=describe(measurer.finish()), finish_reason="stop")

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""
