"""The local captioner: it measures a segment and describes the figures, without key or network.

`Clip -> Measurer -> Measurements -> describe -> Caption`

Rules: `measure` computes the figures with numpy in one pass over the samples; `words` ties every
word to a documented threshold; `sentences` combines both. The captioner never guesses the source of
a sound. Its captions show which parts of a long recording are worth sending to a model.
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
    """Describes a clip by its measurements. It has no state, so it is safe in any thread."""

    @property
    def info(self) -> CaptionerInfo:
        """The entry for the timeline; the model is the version of the words and thresholds."""
        return CaptionerInfo(name="acoustic", model="acoustic/1")

    def caption(self, clip: Clip) -> Caption:
        """Return the description of `clip`, without a request and without tokens."""
        with clip.samples() as samples:
            measurer = Measurer(
                rate_hz=samples.rate_hz, channels=samples.channels, start_s=clip.start_s
            )
            for block in samples:
                measurer.feed(block)
        text, _, details = describe(measurer.finish()).partition("\n\n")
        return Caption(text=text, details=details, finish_reason="stop")

    def close(self) -> None:
        """Do nothing: there are no resources to close."""
