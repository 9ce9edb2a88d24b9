"""Captions from samples that captoolkit decodes anyway: the interface between both sides.

Rules: the segment that a meter measures gets no file. The meter receives the samples that the file
would hold, in order and without gaps. One thread at a time uses a meter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from captoolkit.model import Caption


class CaptionMeter(Protocol):
    """Measures the samples of one segment and captions it."""

    def feed(self, block: NDArray[np.float32]) -> None:
        """Take the next samples, shape (frames, channels), float32 in [-1, 1].

        The caller may reuse the array afterwards.
        """
        ...

    def finish(self) -> Caption:
        """Return the caption of all samples; called once, after the last of them.

        Raises:
            ServiceError: the segment gets no caption.
        """
        ...


class OpenCaptionMeter(Protocol):
    """Begins a segment."""

    def __call__(self, *, rate_hz: int, channels: int, start_s: float) -> CaptionMeter:
        """Return a meter for one segment.

        Args:
            rate_hz: the rate of its samples.
            channels: their number of channels.
            start_s: the start of the segment on the recording's clock, in seconds.
        """
        ...
