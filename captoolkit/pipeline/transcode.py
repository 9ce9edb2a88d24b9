"""Decode, cut where it is quiet, encode: several stretches of one recording at once.

Rules: where a decoder can jump to any sample, captoolkit divides the recording into runs at quiet
places that depend on the recording alone; each run has its own decoder and encoders. Elsewhere one
decode feeds all encoders. Segments are yielded in order, each as soon as it is finished. Workers
run ahead of the consumer by a bounded number of segments. An error in a worker is raised in the
consumer's thread.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from captoolkit.bitstream.lossless import is_lossless
from captoolkit.dsp.envelope import StretchedEnvelopeMeter
from captoolkit.dsp.peaks import LOWEST_PEAK_DB, PeakMeter
from captoolkit.errors import LimitError, ToolError
from captoolkit.media import decode, encode
from captoolkit.media.decode import read_blocks
from captoolkit.media.transcode_direct import Transcoder, can_transcode
from captoolkit.model import Encoding, Envelope, Span
from captoolkit.pipeline.caption_meter import OpenCaptionMeter
from captoolkit.pipeline.event_gate import PrepareEvents
from captoolkit.pipeline.find_cuts import open_decoder
from captoolkit.pipeline.job import Job
from captoolkit.pipeline.run_sound import Run, RunSounds
from captoolkit.pipeline.segment import ReadySegment
from captoolkit.pipeline.supervisor import Supervisor
from captoolkit.pipeline.writers import SegmentWriters
from captoolkit.planning import gain
from captoolkit.planning.cuts import cut, plan_sections
from captoolkit.units import rescale

FEW_RUNS = 8  # for each job: with more of them the last ones take little of the time
ROUNDED = 1  # the number of samples that resampling may add or drop by rounding

Block = NDArray[Any]


class Transcode:
    """The segments of a plan that decodes and encodes, in order; iterate once.

    Args:
        job: the plan, the source and the folder.
        encoding: the encoding of the segments.
        events: receives progress, replaced segments and warnings.
        supervisor: owns the worker threads and the processes; each worker makes one run at a time.
        measures_envelope: measure the envelope of the sound while it is decoded.
        open_meter: begins a segment of a captioner that measures samples: segments of uncompressed
            sound get no file. None makes files.
    """

    def __init__(
        self,
        job: Job,
        encoding: Encoding,
        events: PrepareEvents,
        supervisor: Supervisor,
        *,
        measures_envelope: bool = False,
        open_meter: OpenCaptionMeter | None = None,
    ) -> None:
        self._job = job
        self._encoding = encoding
        self._events = events
        self._supervisor = supervisor
        # A lossy decoder, a file of floats and a gain give floats above full scale.
        codec = job.plan.track.codec
        is_float = not is_lossless(codec) or decode.may_hold_nan(job.plan.track)
        self._may_clip = (
            encoding.sample_type == "int32" and not is_lossless(codec)
            if encoding.sample_type
            else is_float or job.plan.gain_db > 0
        )
        self._is_measured = True
        self._measured = PeakMeter()
        self._measuring = threading.Lock()
        self._seeks = decode.seeks_exactly(job.plan.info, job.plan.track)
        self._sounds = RunSounds(job.source, job.plan, encoding, watch=supervisor.watch)
        self._open_meter = open_meter if encode.keeps_samples(encoding) else None
        self._meter: StretchedEnvelopeMeter | None = None
        if measures_envelope:
            rate_hz, track = encoding.sample_rate_hz, job.plan.track
            end = rescale(track.end_samples, track.sample_rate_hz, rate_hz)
            self._meter = StretchedEnvelopeMeter(rate_hz, end)

    def __iter__(self) -> Iterator[ReadySegment]:
        """Yield the segments, while workers make the runs after theirs."""
        self._is_measured = self._needs_measuring()
        workers = self._supervisor.jobs + self._spare_workers()
        made = self._supervisor.in_order(
            self._make, self._sounds.runs(), ahead=workers + 1, workers=workers
        )
        for index, segment in enumerate(made, start=1):
            yield segment if segment.index == index else self._renumber(segment, index)
        for warning in self._warnings():
            self._events.warned(warning)

    @property
    def envelope(self) -> Envelope | None:
        """The envelope of the segments made so far on the file's clock; None if not measured."""
        gain_db = self._job.plan.gain_db
        return None if self._meter is None else self._meter.envelope(gain_db=gain_db)

    def _spare_workers(self) -> int:
        """How many workers more than jobs keep all cores busy while the last long runs are made."""
        jobs, runs = self._supervisor.jobs, len(plan_sections(self._job.plan))
        return 1 if self._seeks and 1 < jobs < runs < FEW_RUNS * jobs else 0

    def _warnings(self) -> Iterator[str]:
        """Yield findings about the encoded samples, such as clipping, as sentences."""
        measured, encoding = self._measured, self._encoding
        if encoding.sample_type:
            if self._may_clip and measured.clipped:
                yield (
                    f"{measured.clipped:,} of its samples are louder than {encoding.codec} can "
                    "hold and are clipped; without `exact` its packets are kept as they are."
                )
            return
        plan = self._job.plan
        gain_db = plan.gain_db
        if self._may_clip and measured.clipped:
            sentence = gain.clipping_warning(
                measured.clipped, measured.samples, peak_db=measured.peak_db, gain_db=gain_db
            )
            # The rule for a lossy codec: clipping a few samples is inaudible next to its own noise.
            is_minor = measured.clipped < gain.MINOR_SHARE * measured.samples
            if is_minor and not is_lossless(plan.track.codec) and gain_db <= 0:
                self._events.remarks.append(sentence)
            else:
                yield sentence
        if self._is_measured and LOWEST_PEAK_DB < measured.peak_db < gain.QUIET_BELOW_DB:
            yield gain.quietness_warning(measured.peak_db, gain_db=gain_db)

    def _needs_measuring(self) -> bool:
        """Return whether captoolkit has to see each sample, to report clipping or a low level."""
        job, track = self._job, self._job.plan.track
        if (
            self._meter is not None
            or self._open_meter is not None
            or not self._seeks
            or not can_transcode(track, self._encoding)
            or job.plan.gain_db > 0
        ):
            return True
        loudest = PeakMeter()
        for block in read_blocks(decode.excerpts(job.source, track=track), job.plan.info.path):
            loudest.feed(block)
            if loudest.peak_db >= gain.QUIET_BELOW_DB:
                return False
        return True

    def _renumber(self, segment: ReadySegment, index: int) -> ReadySegment:
        """Give a finished segment its real number: a section before it has fewer than planned."""
        if not segment.file:
            return dataclasses.replace(segment, index=index)
        path = self._job.path(index)
        segment.path.replace(path)
        return dataclasses.replace(segment, index=index, file=path.name)

    # --------------------------------------------------------------------------- the workers

    def _make(self, run: Run) -> Iterator[ReadySegment]:
        """Make the segments of a run. Runs in a worker thread."""
        segment = self._transcode(run) if self._is_decided(run) else None
        if segment is not None:
            yield segment
        elif not self._supervisor.is_halted:
            yield from self._cut(run)

    def _is_decided(self, run: Run) -> bool:
        """Return whether one ffmpeg can make the run: one segment with both ends decided."""
        return len(run.sections) == 1 and run.sections[0].count == 1 and not self._is_measured

    def _transcode(self, run: Run) -> ReadySegment | None:
        """Make a run's only segment with one ffmpeg; None if the file is not as planned.

        `_cut` then reads each sample and makes the segment from the sound that is there.
        """
        job, encoding, done_s = self._job, self._encoding, 0.0
        span = Span(
            start_samples=run.sections[0].begin,
            end_samples=run.sections[0].end,
            rate_hz=job.plan.track.sample_rate_hz,
        )
        worker = Transcoder(
            job.source,
            job.path(run.first),
            encoding,
            track=job.plan.track,
            span=span,
            mix=job.plan.mix,
            gain_db=job.plan.gain_db,
        )
        samples = rescale(span.samples, span.rate_hz, encoding.sample_rate_hz)
        try:
            with self._supervisor.watch(worker):
                for now_s in worker:
                    self._events.progressed(now_s - done_s)
                    done_s = now_s
            job.check(run.first, encoding, samples=samples, tolerance=ROUNDED)
        except (LimitError, ToolError):
            self._events.progressed(-done_s)
            job.path(run.first).unlink(missing_ok=True)
            return None
        if not job.fits(run.first):
            self._remake(run.first, span)
        return job.describe(run.first, span)

    def _cut(self, run: Run) -> Iterator[ReadySegment]:
        """Decode a run once, cut it where it is quiet, and encode its segments."""
        job, encoding, rate_hz = self._job, self._encoding, self._encoding.sample_rate_hz
        layout = self._sounds.layout(run)
        longest = job.plan.max_segment_samples * rate_hz // job.plan.track.sample_rate_hz
        writers = SegmentWriters(
            job,
            encoding,
            layout,
            first=run.first,
            remake=self._remake,
            open_meter=self._open_meter,
        )
        with (
            contextlib.closing(self._sounds.blocks(run)) as sound,
            self._supervisor.watch(writers, halt=writers.abort),
        ):
            blocks = self._reported(sound, layout.begins_at)
            for part, block in cut(blocks, layout.sections, rate_hz=rate_hz, longest=longest):
                if self._supervisor.is_halted:
                    return
                self._measure(block)
                writers.write(part, block)
                yield from writers.finished(wait=False)
            if not self._supervisor.is_halted:
                yield from writers.finished(wait=True)

    def _measure(self, block: Block) -> None:
        if self._may_clip or not self._encoding.sample_type:
            with self._measuring:
                self._measured.feed(block)

    def _remake(self, index: int, span: Span) -> None:
        """Encode a segment that is too large again, with the best fallback that fits.

        Raises:
            LimitError: no fallback fits.
        """
        path, plan = self._job.path(index), self._job.plan
        for encoding in plan.fallbacks:
            self._encode_whole(span, encoding, index)
            if self._job.fits(index):
                self._events.replaced(index, encoding)
                return
        raise LimitError(
            f"segment {index} is larger than the {plan.max_segment_bytes:,} bytes allowed",
            fix="choose shorter segments, a lower bit rate, or another format",
            path=path,
        )

    def _encode_whole(self, span: Span, encoding: Encoding, index: int) -> None:
        path = self._job.path(index)
        path.unlink(missing_ok=True)
        start, end = span.start_samples, span.end_samples
        decoder = open_decoder(self._job.source, self._job.plan, encoding, start, end)
        with self._supervisor.watch(decoder), contextlib.ExitStack() as stack:
            writer = encode.open_writer(path, encoding)
            stack.callback(writer.abort)
            for block in self._until_halted(read_blocks(decoder, self._job.plan.info.path)):
                writer.write(block)
            writer.finish()
        encode.check(path, encoding, samples=writer.samples, max_samples=None)

    def _reported(self, sound: Iterator[Block], begins_at: int) -> Iterator[Block]:
        """Yield the blocks of a run; report each as progress, and measure its envelope."""
        track, rate_hz = self._job.plan.track, self._encoding.sample_rate_hz
        at = rescale(track.start_samples + begins_at, track.sample_rate_hz, rate_hz)
        for block in self._until_halted(sound):
            self._events.progressed(len(block) / rate_hz)
            if self._meter is not None:
                self._meter.feed(at, block)
            at += len(block)
            yield block

    def _until_halted(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """Yield blocks until the supervisor is halted."""
        for block in blocks:
            if self._supervisor.is_halted:
                return
            yield block
