"""The local captioner: it measures a segment and describes the figures, without key or network.

`Clip -> Measurer -> Measurements -> describe -> Caption`

Rules: `measure` computes the figures with numpy in one pass over the samples; `words` ties every
word to a documented threshold; `sentences` combines both. The captioner never guesses the source of
a sound. Its captions show which parts of a long recording are worth sending to a model.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from captoolkit.captioners.acoustic import hearing
from captoolkit.captioners.acoustic.headline import headline
from captoolkit.captioners.acoustic.measure import Measurements, Measurer
from captoolkit.captioners.acoustic.sentences import describe_figures
from captoolkit.captioners.acoustic.words import table
from captoolkit.captioners.base import CaptionerSettings, Clip
from captoolkit.model import Caption, CaptionerInfo
from captoolkit.support.cancel import Closing
from captoolkit.support.keywords import count_cores

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

_one_per_core = threading.BoundedSemaphore(count_cores())


def describe(measured: Measurements) -> str:
    """Return the text and the details of a caption, with a blank line between paragraphs."""
    return "\n\n".join(filter(None, (headline(measured), describe_figures(measured))))


def open_captioner(service: Service, settings: CaptionerSettings) -> AcousticCaptioner:
    """Return the acoustic captioner, which takes no options."""
    return AcousticCaptioner()


class AcousticCaptioner(Closing):
    """Describes a clip by its measurements; safe in any thread.

    It measures at most as many clips at once as there are cores, because more of them take no less
    time and more memory; the other threads wait.

    Args:
        hears: whether to name speech and music by the model of the extra `hear`; None does so if
            the package is installed.
    """

    def __init__(self, *, hears: bool | None = None) -> None:
        self._hears = hearing.is_installed() if hears is None else hears

    @property
    def info(self) -> CaptionerInfo:
        """The entry for the timeline; the model is the version of the words and thresholds."""
        return CaptionerInfo(name="acoustic", model="acoustic/2")

    def caption(self, clip: Clip) -> Caption:
        """Return the description of `clip`, without a request and without tokens."""
        with _one_per_core, clip.samples() as samples:
            measurer = Measurer(
                rate_hz=samples.rate_hz,
                channels=samples.channels,
                start_s=clip.start_s,
                hears=self._hears,
            )
            for block in samples:
                measurer.feed(block)
            measured = measurer.finish()
        return Caption(
            text=headline(measured), details=describe_figures(measured), finish_reason="stop"
        )

    def close(self) -> None:
        """Do nothing: there are no resources to close."""
