"""Caption with a model of your own; here the "model" measures the peak of each segment."""

from types import TracebackType
from typing import Self

import captoolkit
from captoolkit.captioners import Clip
from captoolkit.errors import ServiceError
from captoolkit.model import Caption, CaptionerInfo


class PeakCaptioner:
    """Captions segments by their peaks; several threads call it at the same time."""

    info = CaptionerInfo(name="peak", model="peak/1", base_url=None)

    def caption(self, clip: Clip) -> Caption:
        """Return the caption of one segment."""
        with clip.samples() as blocks:  # or clip.path, clip.read_bytes(), clip.data_uri()
            peak = max((float(abs(block).max()) for block in blocks), default=0.0)
        if not peak:
            raise ServiceError("there is no sound", fix="leave out silences")
        return Caption(text=f"The peak at {clip.start_s:.0f} s is {peak:.2f}.")

    def close(self) -> None:
        """Release the model; the caller of captoolkit closes its own captioner."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


with PeakCaptioner() as captioner:
    timeline = captoolkit.caption(
        "fixtures/tones-and-silences.wav", captioner=captioner, segment="5s", concurrency=2
    )
for entry in timeline.entries:
    print(entry.source_span.start_s, entry.text or entry.error)
