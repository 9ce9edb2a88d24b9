"""Caption with a model that takes samples while captoolkit decodes them, without files."""

from contextlib import AbstractContextManager

import numpy as np
from numpy.typing import NDArray

import captoolkit
from captoolkit.captioners import Clip
from captoolkit.model import Caption, CaptionerInfo


class PeakMeter:
    """Measures one segment; one thread at a time uses it."""

    def __init__(self, start_s: float) -> None:
        self.start_s = start_s
        self.peak = 0.0

    def feed(self, block: NDArray[np.float32]) -> None:
        """Take the next samples, shape (frames, channels); copy those that you keep."""
        self.peak = max(self.peak, float(np.abs(block).max()))

    def finish(self) -> Caption:
        """Return the caption of all samples."""
        return Caption(text=f"The peak at {self.start_s:.0f} s is {self.peak:.2f}.")


class MeasuringPeakCaptioner(AbstractContextManager["MeasuringPeakCaptioner"]):
    """Captions by the same meter, whether a segment has a file or not."""

    info = CaptionerInfo(name="peak", model="peak/1", base_url=None)

    def open_meter(self, *, rate_hz: int, channels: int, start_s: float) -> PeakMeter:
        """Begin a segment that captoolkit decodes and would write as WAV."""
        return PeakMeter(start_s)

    def caption(self, clip: Clip) -> Caption:
        """Return the caption of a segment that has a file."""
        meter = PeakMeter(clip.start_s)
        with clip.samples() as blocks:
            for block in blocks:
                meter.feed(block)
        return meter.finish()

    def close(self) -> None:
        """Release the model."""

    def __exit__(self, *error: object) -> None:
        self.close()


with MeasuringPeakCaptioner() as captioner:
    source = "fixtures/hammering-mandarin.flac"
    timeline = captoolkit.caption(source, captioner=captioner, segment="15s")
for entry in timeline.entries:
    print(entry.source_span.start_s, entry.text or entry.error)
