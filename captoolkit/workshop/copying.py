"""Frames as they are: shared out to segments at their boundaries, cut where it is quiet.

Rules: the frames that come out are those that went in, each once and in order; only the sound
around a cut is decoded. A segment of frames begins as its codec does anywhere in the middle: the
first of them may sound incomplete, and without the source's container a decoder gives the encoder's
delay as well; so spans on the source's clock are those of the frames.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from captoolkit.audio import encode, frames, pcm, raw
from captoolkit.audio.clip import ReadySegment
from captoolkit.audio.probe import probe
from captoolkit.closing import Closing
from captoolkit.errors import InputError, LimitError
from captoolkit.model import Span
from captoolkit.planning import targets
from captoolkit.planning.cuts import Window, quietest_in
from captoolkit.planning.ladder import MODEL_RATE_HZ
from captoolkit.units import rescale
from captoolkit.workshop.job import Job
from captoolkit.workshop.report import Report
from captoolkit.workshop.stream import decoded

CONTEXT_FRAMES = 8  # decoded before a window, until a decoder that starts anywhere is itself again


class Copying(Closing):
    """The segments of a plan that keeps the frames; to be iterated once."""

    def __init__(self, job: Job, report: Report) -> None:
        self._job = job
        self._report = report
        self._closed = False

    def __iter__(self) -> Iterator[ReadySegment]:
        """Yield the segments, each cut and written when it is asked for."""
        stream = self._stream()
        edges = self._edges(stream)
        for index, (first, last) in enumerate(edges, start=1):
            if self._closed:
                return
            stream.copy(first, last, self._job.path(index))
            self._check(index, stream, first, last)
            self._report.progressed((last - first) * stream.frames.frame_samples / self._rate_hz)
            yield self._job.described(index, self._span(stream, first, last))

    def halt(self) -> None:
        """Make no more of them; nothing runs between two."""
        self._closed = True

    def close(self) -> None:
        """Make no more of them; may be called twice."""
        self.halt()

    @property
    def _rate_hz(self) -> int:
        return self._job.plan.track.sample_rate_hz

    def _stream(self) -> raw.RawStream:
        plan = self._job.plan
        info = dataclasses.replace(plan.info, path=str(self._job.source))
        stream = raw.stream_of(info, plan.track, self._job.folder.path)
        if stream is None:  # it could be copied when it was planned
            raise InputError(
                "it changed while it was being prepared",
                fix="wait until it is complete",
                path=self._job.source,
            )
        return stream

    def _edges(self, stream: raw.RawStream) -> Iterator[tuple[int, int]]:
        """The frames [first, last) of each segment, each decided when it is needed."""
        spans = self._job.plan.spans
        first = self._frame_at(stream, spans[0].start_samples)
        for span, following in itertools.zip_longest(spans, spans[1:]):
            end = span.end_samples
            if following is not None and following.start_samples == end:
                last = self._quiet_frame(stream, end)
                yield first, last
                first = last
            else:
                yield first, self._frame_at(stream, end)
                first = self._frame_at(stream, following.start_samples) if following else 0

    def _frame_at(self, stream: raw.RawStream, at: int) -> int:
        """The boundary of frames nearest to a sample of the source; its ends keep all frames."""
        count, held = len(stream.frames.sizes), stream.frames.frame_samples
        if at <= 0:
            return 0
        if at >= self._job.plan.track.duration_samples:
            return count
        return min(count, round((at + stream.lead_samples) / held))

    def _quiet_frame(self, stream: raw.RawStream, edge: int) -> int:
        """The boundary nearest to the quietest point around a planned edge."""
        reach, held = self._job.plan.reach_samples, stream.frames.frame_samples
        if not reach:
            return self._frame_at(stream, edge)
        begin = max(0, self._frame_at(stream, edge - reach) - CONTEXT_FRAMES)
        sound = self._decoded(stream, begin, self._frame_at(stream, edge + reach))
        at = edge + stream.lead_samples - begin * held  # on the clock of what was decoded
        earliest = max(0, at - reach)
        window = Window(
            earliest=self._heard(earliest),
            balanced=self._heard(max(at, earliest)),
            latest=self._heard(at + reach),
        )
        quiet = quietest_in(sound, window, rate_hz=MODEL_RATE_HZ, first=0)
        return begin + round(rescale(quiet, MODEL_RATE_HZ, self._rate_hz) / held)

    def _heard(self, samples: int) -> int:
        return rescale(samples, self._rate_hz, MODEL_RATE_HZ)

    def _decoded(self, stream: raw.RawStream, first: int, last: int) -> pcm.Block:
        """The sound of some frames as the model hears it, all channels."""
        path = self._job.folder.path / f"around.{stream.frames.format}"
        stream.copy(first, last, path)
        track = dataclasses.replace(self._job.plan.track, stream_index=0)
        with pcm.Decoder(path, track=track, rate_hz=MODEL_RATE_HZ) as decoder:
            empty = np.zeros((0, decoder.channels), np.float32)
            sound = np.concatenate([empty, *decoded(decoder, self._job.plan.info.path)])
        path.unlink()
        return sound

    def _span(self, stream: raw.RawStream, first: int, last: int) -> Span:
        """Where in the source the frames lie."""
        total, count = self._job.plan.track.duration_samples, len(stream.frames.sizes)
        held, lead = stream.frames.frame_samples, stream.lead_samples
        start = 0 if first == 0 else min(total, max(0, first * held - lead))
        end = total if last == count else min(total, last * held - lead)
        return Span(start_samples=start, end_samples=end, rate_hz=self._rate_hz)

    def _check(self, index: int, stream: raw.RawStream, first: int, last: int) -> None:
        """Read a finished segment back, by its own frames and by ffmpeg.

        Raises:
            LimitError: they are not the frames that went in, or they break a limit.
        """
        path, plan = self._job.path(index), self._job.plan
        written = frames.index(path) if last - first > 1 else None
        sizes = stream.frames.sizes[first:last]
        if last - first > 1 and (written is None or not np.array_equal(written.sizes, sizes)):
            raise _broken(path, "its frames are not those that went in")
        encode.refuse_too_large(path, plan.max_segment_bytes)
        try:
            found = probe(path).default_track
        except InputError as error:
            raise _broken(path, f"it cannot be read back ({error.problem})") from error
        longest_s = targets.longest_s(plan.target)
        if found.codec != plan.track.codec:
            raise _broken(path, f"it is read as {found.codec}")
        if longest_s is not None and found.duration_samples > longest_s * found.sample_rate_hz:
            raise _broken(path, f"it lasts {found.duration_s:.3f} s with its codec's delay")


def _broken(path: Path, problem: str) -> LimitError:
    return LimitError(
        f"a copied segment was refused: {problem}",
        fix="take another --format, which encodes it",
        path=path,
    )
