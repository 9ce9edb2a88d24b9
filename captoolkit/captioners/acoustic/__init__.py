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
from captoolkit.support.forked import PerProcess
from captoolkit.support.keywords import count_cores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from captoolkit.services.service import Service

__all__ = [
    "AcousticCaptioner",
    "Measurements",
    "Measurer",
    "describe",
    "open_captioner",
    "table",
]

_ONE_PER_CORE = PerProcess(lambda: threading.BoundedSemaphore(count_cores()))


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
        with _ONE_PER_CORE.value, clip.samples() as samples:
            meter = self.open_meter(
                rate_hz=samples.rate_hz, channels=samples.channels, start_s=clip.start_s
            )
            for block in samples:
                meter.feed(block)
            return meter.finish()

    def open_meter(self, *, rate_hz: int, channels: int, start_s: float) -> AcousticMeter:
        """Return a meter that describes one segment; the caller decides how many run at once."""
        return AcousticMeter(
            Measurer(rate_hz=rate_hz, channels=channels, start_s=start_s, hears=self._hears)
        )

    def close(self) -> None:
        """Do nothing: there are no resources to close."""


class AcousticMeter:
    """Describes the samples of one segment."""

    def __init__(self, measurer: Measurer) -> None:
        self._measurer = measurer

    def feed(self, block: NDArray[np.float32]) -> None:
        """Take the next samples, shape (frames, channels)."""
        self._measurer.feed(block)

    def finish(self) -> Caption:
        """Return the description of all samples, without tokens."""
        measured = self._measurer.finish()
        return Caption(
            text=headline(measured), details=describe_figures(measured), finish_reason="stop"
        )
