"""Measurements of a recording from the segments that a captioner on this machine decodes.

Rules: nothing is decoded for them. Each segment counts once, however often it is decoded. There is
an envelope only if every segment was decoded to its end. Frames of an MP3 that are copied decode to
silence for about a tenth of a second at the beginning of a segment, as the envelope shows.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from captoolkit.dsp.envelope import StretchedEnvelopeMeter
from captoolkit.dsp.peaks import PeakMeter
from captoolkit.planning.gain import not_numbers_warning
from captoolkit.units import rescale

if TYPE_CHECKING:
    from captoolkit.model import Envelope, Segment, Track
    from captoolkit.pipeline.segment import ReadySegment


class ClipMeter:
    """Measures a recording while a captioner decodes its segments; thread-safe.

    Args:
        track: the track of the recording.
    """

    def __init__(self, track: Track) -> None:
        self._track = track
        self._guard = threading.Lock()
        self._meters: dict[int, StretchedEnvelopeMeter] = {}  # by their rates
        self._reached: dict[int, int] = {}  # frames so far, by the index of the segment
        self._ended: set[int] = set()
        self._peaks = PeakMeter()

    def feed(self, segment: ReadySegment, at: int, rate_hz: int, block: Any) -> None:
        """Take a block of a segment that begins at sample `at`; None ends the segment."""
        if block is None:
            self._ended.add(segment.index)
        else:
            self._feed(segment, at, rate_hz, block)

    def envelope(self, segments: Iterable[Segment]) -> Envelope | None:
        """Return the envelope on the file's clock; None unless all of the segments were decoded."""
        is_whole = self._ended.issuperset(segment.index for segment in segments)
        if not is_whole or len(self._meters) != 1:
            return None
        (meter,) = self._meters.values()
        return meter.envelope()

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence on samples that are no numbers."""
        found = self._peaks
        if not found.not_numbers:
            return ()
        return (not_numbers_warning(found.not_numbers, found.samples, are_kept=True),)

    def _feed(self, segment: ReadySegment, at: int, rate_hz: int, block: Any) -> None:
        with self._guard:
            if self._reached.get(segment.index, 0) != at:  # decoded once more
                return
            self._reached[segment.index] = at + len(block)
            self._peaks.feed(block)
            meter = self._meters.get(rate_hz) or self._new_meter(rate_hz)
        span = segment.source_span
        meter.feed(rescale(span.start_samples, span.rate_hz, rate_hz) + at, block)

    def _new_meter(self, rate_hz: int) -> StretchedEnvelopeMeter:
        end = rescale(self._track.end_samples, self._track.sample_rate_hz, rate_hz)
        return self._meters.setdefault(rate_hz, StretchedEnvelopeMeter(rate_hz, end))
