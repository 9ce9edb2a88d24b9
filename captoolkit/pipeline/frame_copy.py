"""Copy frames unchanged: cut between frames where it is quiet, write one file for each segment.

Rules: the segments hold the frames of the source, each once and in order; only the sound around a
cut is decoded. A segment begins in the middle of a stream: its first frames may sound incomplete,
and a decoder without the source's container also gives the encoder's delay, so spans on the
source's clock are those of the frames. Several threads search for cuts and write segments; the
result does not depend on their number.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from captoolkit.bitstream import containers
from captoolkit.bitstream.encodings import MODEL_RATE_HZ
from captoolkit.bitstream.mpeg_audio import DECODER_DELAY_SAMPLES
from captoolkit.errors import InputError, LimitError
from captoolkit.media import decode, encode, sndfile
from captoolkit.media.elementary import ElementaryStream, extract_stream
from captoolkit.media.frame_index import read_frame_index
from captoolkit.media.probe_by_ffmpeg import first_codec
from captoolkit.pipeline.event_gate import PrepareEvents
from captoolkit.pipeline.find_cuts import find_segments, measure_loudness
from captoolkit.pipeline.job import Job
from captoolkit.pipeline.segment import ReadySegment
from captoolkit.pipeline.supervisor import Supervisor
from captoolkit.planning.cut_search import LoudnessCurve
from captoolkit.planning.frame_cuts import edges, span_of
from captoolkit.services import limits
from captoolkit.units import rescale

CONTEXT_FRAMES = 8  # decoded before a window, until the decoder's output is right again
AHEAD = 2  # cuts or segments for each worker thread that may be begun before their turn


class FrameCopy:
    """The segments of a plan that copies frames; iterate once.

    Args:
        job: the plan, the source and the folder.
        events: receives progress.
        supervisor: owns the worker threads and the processes.
    """

    def __init__(self, job: Job, events: PrepareEvents, supervisor: Supervisor) -> None:
        self._job = job
        self._events = events
        self._supervisor = supervisor
        self._rate_hz = job.plan.track.sample_rate_hz
        self._tagging = threading.Lock()
        self._tag_bytes: dict[str, bytes] = {}  # by the tags that they hold

    def __iter__(self) -> Iterator[ReadySegment]:
        """Yield the segments in order, while later cuts are searched and later files written."""
        plan, stream = self._job.plan, self._open_stream()
        ahead = self._supervisor.jobs * AHEAD - 1
        places = find_segments(
            plan,
            lambda first, last: self._measure(stream, first, last),
            self._supervisor,
            ahead=ahead,
        )
        shares = edges(plan, stream, places)
        segments = self._supervisor.in_order(
            lambda numbered: [self._make(stream, numbered[0], *numbered[1])],
            enumerate(shares, start=1),
            ahead=ahead,
        )
        for segment in segments:
            self._events.progressed(segment.source_span.duration_s)
            yield segment

    def _open_stream(self) -> ElementaryStream:
        plan = self._job.plan
        info = dataclasses.replace(plan.info, path=str(self._job.source))
        stream = extract_stream(
            info, plan.track, self._job.folder.path, watch=self._supervisor.watch
        )
        if isinstance(stream, str):  # the plan found that its frames can be copied
            raise InputError(
                "it changed while it was being prepared",
                fix="wait until it is complete",
                path=self._job.source,
            )
        return stream

    # ------------------------------------------------------------------------ where to cut

    def _measure(self, stream: ElementaryStream, first: int, last: int) -> LoudnessCurve:
        """Measure samples [first, last) at the model's rate, on the track's clock, in all channels.

        Runs in a worker thread.
        """
        begin, end = (
            stream.boundary_at(rescale(at, MODEL_RATE_HZ, self._rate_hz)) for at in (first, last)
        )
        begin = max(0, begin - CONTEXT_FRAMES)
        path = self._job.folder.path / f"around.{begin}.{end}.{stream.frames.format}"
        stream.copy(begin, min(end + 1, stream.count), path)
        track = dataclasses.replace(self._job.plan.track, stream_index=0, discontinuities=())
        # From the clock of the decoded sound to the track's clock.
        origin = begin * stream.frames.frame_samples - stream.lead_samples
        decoder = decode.TrackDecoder(path, track=track, rate_hz=MODEL_RATE_HZ)
        with self._supervisor.watch(decoder):
            curve = measure_loudness(
                decoder,
                self._job.plan.info.path,
                origin=rescale(origin, self._rate_hz, MODEL_RATE_HZ),
            )
        path.unlink()
        return curve

    # ---------------------------------------------------------------------------- segments

    def _make(self, stream: ElementaryStream, index: int, first: int, last: int) -> ReadySegment:
        """Write the frames [first, last) as a segment and check it. Runs in a worker thread."""
        head = self._head(stream, index, first, last)
        path = self._job.path(index)
        digest = stream.copy(first, last, path, head=head)
        span = span_of(stream, first, last, rate_hz=self._rate_hz)
        segment = self._job.describe(index, span)
        if segment.sha256 != digest:
            raise self._broken(path, "its bytes are not those that were written")
        self._check(path, stream, first, last)
        return segment

    def _head(self, stream: ElementaryStream, index: int, first: int, last: int) -> bytes:
        """Return the bytes before the frames: the file's tags, and an MP3's number of frames."""
        information = stream.information_frame(first, last)
        tags = self._job.tags(index)
        if not tags:  # a service needs none
            return information
        with self._tagging:
            key = str(tags)
            if key not in self._tag_bytes:
                self._tag_bytes[key] = stream.id3_tag(tags, self._job.folder.path)
            return self._tag_bytes[key] + information

    def _check(self, path: Path, stream: ElementaryStream, first: int, last: int) -> None:
        """Compare a finished segment's frames with the source's, and identify it.

        ffmpeg identifies a segment of few frames, which it might take for another format.

        Raises:
            LimitError: its frames differ from the source's, or it breaks a limit.
        """
        plan, sizes = self._job.plan, stream.frames.sizes[first:last]
        written = read_frame_index(path) if last - first > 1 else None
        if last - first > 1 and (written is None or not np.array_equal(written.sizes, sizes)):
            raise self._broken(path, "its frames differ from those of the source")
        encode.refuse_too_large(path, plan.max_segment_bytes)
        codec = written.codec if written and len(sizes) >= encode.LEAST_FRAMES else ""
        try:
            codec = codec or first_codec(path)
        except InputError as error:
            raise self._broken(path, f"it cannot be read back ({error.problem})") from error
        if codec != plan.track.codec:
            raise self._broken(path, f"it is read as {codec}")
        self._check_second_reader(path, stream.audible_samples(first, last))
        longest_s = limits.longest_s(plan.target)
        framed = len(sizes) * stream.frames.frame_samples
        if longest_s is not None and framed > longest_s * self._rate_hz:
            raise self._broken(
                path, f"it lasts {framed / self._rate_hz:.3f} s with its codec's delay"
            )

    def _check_second_reader(self, path: Path, samples: int) -> None:
        """Compare the length that libsndfile finds in a finished segment with that of its frames.

        Raises:
            LimitError: it finds another length.
        """
        if not containers.of(self._job.plan.suffix).read_by_libsndfile:
            return
        shape = sndfile.read_shape(path)
        if shape is None:
            raise self._broken(path, "libsndfile cannot read it")
        if not 0 <= samples - shape.frames <= DECODER_DELAY_SAMPLES:
            raise self._broken(
                path, f"libsndfile finds {shape.frames:,} samples in it, not {samples:,}"
            )

    def _broken(self, path: Path, problem: str) -> LimitError:
        fix = "take another `format`, which encodes it"
        if self._job.plan.target is None:  # `split`, which keeps the format
            fix = "use exact=True, which keeps the sound and not the frames"
        return LimitError(f"a copied segment was refused: {problem}", fix=fix, path=path)
