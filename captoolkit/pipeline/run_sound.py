"""The sound of a run of sections, with the sound around their ends decoded once.

Rules: the sound around the planned end of a section decides where it ends. Where it takes little
memory, captoolkit keeps it: the run before the end and the run behind it use the same samples, and
the decoder of a run decodes only the sound in between. Each decoder begins shortly before its part
and ends shortly behind it, so that the resampler leaves no mark where two parts meet. The parts
depend on the plan and the sound alone, never on the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captoolkit.bitstream.encodings import MODEL_RATE_HZ
from captoolkit.dsp.quietest import PowerMeter, hop_samples
from captoolkit.media.decode import TrackDecoder, read_blocks, seeks_exactly
from captoolkit.media.player_clock import trimmed
from captoolkit.model import Encoding, Plan, Span
from captoolkit.pipeline.find_cuts import decide_sections, lay_out_track, open_decoder
from captoolkit.planning.cut_search import LoudnessCurve
from captoolkit.planning.cuts import Section, plan_sections
from captoolkit.planning.layout import Layout, lay_out
from captoolkit.units import rescale

KEPT_BYTES = 2 << 20  # of the sound around one end: a minute of 16 kHz WAV
SEAM_S = 0.05  # several times the length of the resampler's filter

Block = NDArray[Any]
Watch = Callable[[TrackDecoder], AbstractContextManager[TrackDecoder]]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSound:
    """The decoded sound between two samples of the source, at the rate of the encoding."""

    begin: int
    end: int
    samples: Block


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Neighbouring segments that one worker makes from one sound.

    Attributes:
        sections: how it is cut; their ends are decided where the decoder can jump to any sample.
        open_ended: the run goes on to the end of the sound, even if that is later than promised.
            After a counted length a decoder returns only padding or junk.
        head: the kept sound around the begin of the run.
        tail: the kept sound around its end.
    """

    sections: tuple[Section, ...]
    open_ended: bool = False
    head: KeptSound | None = None
    tail: KeptSound | None = None

    @property
    def first(self) -> int:
        """The index of the first segment, from 1."""
        return self.sections[0].first


class RunSounds:
    """Divides a source into runs and decodes their sound.

    Args:
        path: the source.
        plan: the plan of the segments.
        encoding: the encoding of the segments.
        watch: enters a decoder, which the caller may end meanwhile; by itself if None.
    """

    def __init__(
        self, path: Path, plan: Plan, encoding: Encoding, *, watch: Watch | None = None
    ) -> None:
        self.rate_hz = encoding.sample_rate_hz
        self._path = path
        self._plan = plan
        self._encoding = encoding
        self._watch: Watch = watch or (lambda decoder: decoder)
        self._seeks = seeks_exactly(plan.info, plan.track)
        self._kept: KeptSound | None = None
        source_hz = plan.track.sample_rate_hz
        common_hz = math.gcd(source_hz, self.rate_hz)
        # So many samples of the source last as long as so many of the stream.
        self._unit, self._stream_unit = source_hz // common_hz, self.rate_hz // common_hz
        is_resampled = source_hz != self.rate_hz
        self._seam = -(-int(SEAM_S * source_hz) // self._unit) * self._unit * is_resampled

    def runs(self) -> Iterator[Run]:
        """Yield the runs, each as soon as its end is decided.

        Raises:
            NotMediaError: the sound cannot be decoded.
        """
        track = self._plan.track
        promised_end = None if track.counted else track.duration_samples
        if not self._seeks:
            sections = plan_sections(self._plan)
            yield Run(sections=sections, open_ended=sections[-1].end == promised_end)
            return
        head = None
        for section in decide_sections(self._plan, self.rate_hz, self._curve_of):
            self._kept, tail = None, self._kept
            run = Run(sections=(section,), open_ended=section.end == promised_end)
            yield self._joined(run, head, tail)
            head = tail

    def layout(self, run: Run) -> Layout:
        """Return the layout of a run in the sound that `blocks` yields.

        It begins with the first section where the decoder can jump to any sample.
        """
        return lay_out(
            run.sections,
            begins_at=run.sections[0].begin if self._seeks else 0,
            ends_at=run.sections[-1].end,
            source_hz=self._plan.track.sample_rate_hz,
            stream_hz=self.rate_hz,
        )

    def blocks(self, run: Run) -> Generator[Block]:
        """Yield the sound of a run; one decoder decodes the part that is not kept.

        Raises:
            NotMediaError: the sound cannot be decoded.
        """
        begin = run.sections[0].begin if self._seeks else 0
        end = None if run.open_ended else run.sections[-1].end
        head, tail = run.head, run.tail
        body_begin = begin if head is None else head.end
        body_end = end if tail is None else tail.begin
        if head is not None:
            yield head.samples[self._in_stream(begin - head.begin) :]
        if body_end is None or body_begin < body_end:
            before, behind = self._seam_at(body_begin), self._seam_at(body_end)
            yield from self._decoded(body_begin, body_end, before, behind)
        if tail is not None and end is not None:
            yield tail.samples[: self._in_stream(end - tail.begin)]

    def _joined(self, run: Run, head: KeptSound | None, tail: KeptSound | None) -> Run:
        """Return a run with the kept sounds that it can use."""
        (section,) = run.sections
        head = head if self._is_in(head, section.begin) else None
        tail = tail if self._is_in(tail, section.end) and not run.open_ended else None
        if tail is not None and tail.begin < (section.begin if head is None else head.end):
            return run
        return replace(run, head=head, tail=tail)

    def _is_in(self, kept: KeptSound | None, at: int) -> bool:
        """Whether a sample of the source is one of the stream as well, within a kept sound."""
        return kept is not None and kept.begin <= at <= kept.end and at % self._unit == 0

    def _seam_at(self, at: int | None) -> int:
        """The samples to decode beyond an end of a part; none beyond an end of the sound."""
        is_joined = at is not None and self._seeks and at % self._unit == 0
        return min(self._seam, at) if at is not None and is_joined else 0

    def _in_stream(self, samples: int) -> int:
        """The length in the stream of some samples of the source that are whole units."""
        return samples // self._unit * self._stream_unit

    def _curve_of(self, begin: int, end: int, origin: int) -> LoudnessCurve:
        """Measure the sound around an end; keep it if it is short and can be joined with others."""
        meter, kept, kept_bytes = PowerMeter(self.rate_hz), [], 0
        joins = begin % self._unit == 0 and end % self._unit == 0
        seam = self._seam if joins else 0
        for block in self._decoded(begin, end, min(seam, begin), seam):
            meter.feed(block)
            kept_bytes += block.nbytes
            if kept_bytes <= KEPT_BYTES:
                kept.append(block)
        if joins and kept and kept_bytes <= KEPT_BYTES:
            samples = np.concatenate(kept)
            if len(samples) == self._in_stream(end - begin):
                self._kept = KeptSound(begin=begin, end=end, samples=samples)
        hop = hop_samples(self.rate_hz)
        return LoudnessCurve(origin=origin, hop=hop, power=meter.curve())

    def _decoded(self, begin: int, end: int | None, before: int, behind: int) -> Iterator[Block]:
        """Yield the sound between two samples; the decoder begins before and ends behind them."""
        until = None
        if end is not None and (before or behind):
            until = rescale(before + end - begin, self._plan.track.sample_rate_hz, self.rate_hz)
        decoder = open_decoder(
            self._path,
            self._plan,
            self._encoding,
            begin - before,
            None if end is None else end + behind,
        )
        with self._watch(decoder):
            blocks = read_blocks(decoder, self._plan.info.path)
            yield from trimmed(blocks, self._in_stream(before), until)


def find_prepared_segments(path: Path, plan: Plan) -> list[Span]:
    """Return the segments that a plan makes, on the track's clock.

    Copied frames are cut at the boundary nearest to the end of each.

    Raises:
        NotMediaError: the track cannot be decoded.
        ToolError: ffmpeg failed.
    """
    if len(plan.spans) < 2:
        return list(plan.spans)
    found: list[tuple[int, int]] = []
    if plan.encoding is None:
        with TrackDecoder(path, track=plan.track, rate_hz=MODEL_RATE_HZ) as decoder:
            found = lay_out_track(plan).find_segments(read_blocks(decoder, path))
    else:
        sounds = RunSounds(path, plan, plan.encoding)
        for run in sounds.runs():
            found += sounds.layout(run).find_segments(sounds.blocks(run))
    rate_hz = plan.track.sample_rate_hz
    return [Span(start_samples=begin, end_samples=end, rate_hz=rate_hz) for begin, end in found]
