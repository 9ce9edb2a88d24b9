"""The samples of the source are the only segment, behind a new header: no sample changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from captoolkit.bitstream import riff
from captoolkit.bitstream.containers import RAW
from captoolkit.bitstream.pcm_layout import PcmLayout
from captoolkit.errors import InputError, LimitError
from captoolkit.media import encode, samples_by_place, sndfile
from captoolkit.pipeline.event_gate import PrepareEvents
from captoolkit.pipeline.job import Job, unreadable
from captoolkit.pipeline.segment import ReadySegment
from captoolkit.support import files

CHUNK_BYTES = 1 << 20


class HeaderCorrection:
    """The one segment of a plan that corrects the header of samples; iterate once."""

    SUFFIX = "wav"

    def __init__(self, job: Job, events: PrepareEvents) -> None:
        self._job = job
        self._events = events

    def __iter__(self) -> Iterator[ReadySegment]:
        """Yield the segment, written and read back.

        Raises:
            SourceNotFoundError: the source can no longer be read.
            InputError: the source has changed.
            OutputError: the segment cannot be written.
            LimitError: a reader finds other sound in it.
        """
        plan, path = self._job.plan, self._job.path(1)
        (span,) = plan.spans
        layout = self._layout()
        self._write(layout, path)
        self._check(layout, path)
        self._events.progressed(span.duration_s)
        yield self._job.describe(1, span)

    def _layout(self) -> PcmLayout:
        source, track = self._job.source, self._job.plan.track
        try:
            layout = samples_by_place.layout_of(source, self._raw())
        except OSError as error:
            raise unreadable(source, error) from error
        if layout is None or (layout.codec, layout.frames) != (track.codec, track.duration_samples):
            raise InputError(
                "it changed while it was being prepared",
                fix="wait until it is complete",
                path=source,
            )
        return layout

    def _raw(self) -> str | None:
        """The samples of a source without a header, as its track was planned."""
        track = self._job.plan.track
        name = track.codec.removeprefix("pcm_")
        is_raw = self._job.plan.info.container == RAW
        return f"{name}:{track.sample_rate_hz}:{track.channels}" if is_raw else None

    def _write(self, layout: PcmLayout, path: Path) -> None:
        header = riff.plain_header(
            layout.codec,
            rate_hz=layout.rate_hz,
            channels=layout.channels,
            size_bytes=layout.size_bytes,
        )
        left = layout.size_bytes
        with files.writing(path), self._job.source.open("rb") as source, path.open("wb") as made:
            made.write(header)
            source.seek(layout.start_bytes)
            while left:
                chunk = source.read(min(CHUNK_BYTES, left))
                if not chunk:
                    raise OSError("the source has become shorter")
                made.write(chunk)
                left -= len(chunk)
            made.write(bytes(layout.size_bytes % 2))

    def _check(self, layout: PcmLayout, path: Path) -> None:
        """Read the segment back by libsndfile, and its header by captoolkit's own reader."""
        encode.refuse_too_large(path, self._job.plan.max_segment_bytes)
        shape, again = sndfile.read_shape(path), samples_by_place.layout_of(path)
        wanted = (layout.rate_hz, layout.channels, layout.frames)
        found = shape and (shape.rate_hz, shape.channels, shape.frames)
        if found != wanted or again is None or again.frames != layout.frames:
            raise LimitError(
                f"a segment with a corrected header was refused: it is {found}, not {wanted}",
                fix="take format=mp3, which encodes it",
                path=path,
            )
