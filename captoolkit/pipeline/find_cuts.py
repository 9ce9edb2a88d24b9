"""Find the segments of a plan: where a recording is cut.

Rules: the ends of sections are found first, then the cuts inside each section. Both depend on the
sound alone, never on the number of threads. Where frames are copied, only the sound that decides
the cuts is decoded, several parts at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from captoolkit.bitstream.encodings import MODEL_RATE_HZ, spec_of
from captoolkit.dsp.quietest import PowerMeter, hop_samples
from captoolkit.media import decode
from captoolkit.media.decode import read_blocks, seeks_exactly
from captoolkit.model import Encoding, Plan
from captoolkit.pipeline.supervisor import Supervisor
from captoolkit.planning.cut_search import LoudnessCurve, choose_cuts
from captoolkit.planning.cuts import Section, context_samples, decide_ends, plan_sections
from captoolkit.planning.layout import Layout, lay_out

# Measures the sound between two samples at the model's rate, on the track's clock.
CurveOf = Callable[[int, int], LoudnessCurve]
# The same between two samples of the source, at the stream's rate; the curve begins at the third.
CurveInSource = Callable[[int, int, int], LoudnessCurve]


def lay_out_track(plan: Plan, stream_hz: int = MODEL_RATE_HZ) -> Layout:
    """Return the layout of a plan's segments in a stream of the whole track."""
    return lay_out(
        plan_sections(plan),
        begins_at=0,
        ends_at=plan.track.duration_samples,
        source_hz=plan.track.sample_rate_hz,
        stream_hz=stream_hz,
    )


def find_segments(
    plan: Plan, curve_of: CurveOf, supervisor: Supervisor, *, ahead: int | None = None
) -> Iterator[tuple[int, int]]:
    """Yield the begin and the end of each segment in samples of the track, in order.

    Args:
        plan: the plan of the segments.
        curve_of: runs in a worker thread of `supervisor`.
        supervisor: owns the worker threads; after `halt` the iteration ends.
        ahead: the number of searches that may be begun before their turn.
    """
    layout = lay_out_track(plan)
    sections = [section for section in layout.sections if section.is_kept]
    context = context_samples(MODEL_RATE_HZ)
    windows = (section.end_window() for section in sections if section.moves)
    curves = supervisor.in_order(
        lambda window: [curve_of(max(0, window.earliest - context), window.latest + context)],
        windows,
        ahead=ahead,
    )
    divided = supervisor.in_order(
        lambda section: [_divide(section, curve_of)], decide_ends(sections, curves), ahead=ahead
    )
    for places in divided:
        yield from itertools.pairwise(map(layout.in_source, places))


def _divide(section: Section, curve_of: CurveOf) -> list[int]:
    """The edges of the segments of a section with decided ends."""
    begin, end = section.begin, section.end
    if section.count < 2:
        return [begin, end]
    division, hop = section.division(begin, end), hop_samples(MODEL_RATE_HZ)
    earliest, latest = division.deciding
    earliest -= (earliest - begin) % hop  # the places are those of the curve of the whole section
    return [begin, *choose_cuts(curve_of(earliest, latest), division), end]


def decide_sections(plan: Plan, stream_hz: int, curve_of: CurveInSource) -> Iterator[Section]:
    """Yield the sections of a plan; their ends have moved to quiet places near the planned ones.

    Args:
        plan: the plan, on the source's clock.
        stream_hz: the rate of the sound that is measured.
        curve_of: measures the sound around each end that moves.
    """
    layout = lay_out_track(plan, stream_hz)
    context = context_samples(stream_hz)
    kept = [section for section in layout.sections if section.is_kept]
    # All ends are whole values of one curve, and whole samples of both clocks where that can be.
    hop = hop_samples(stream_hz)

    def curves() -> Iterator[LoudnessCurve]:
        for window in (section.end_window() for section in kept if section.moves):
            begin = max(0, window.earliest - context) // hop * hop
            end = -(-(window.latest + context) // hop) * hop
            yield curve_of(layout.in_source(begin), layout.in_source(end), begin)

    for section, decided in zip(plan_sections(plan), decide_ends(kept, curves()), strict=True):
        begin, end = layout.in_source(decided.begin), layout.in_source(decided.end)
        yield replace(section, begin=begin, end=end, moves=False)


def open_decoder(
    path: Path, plan: Plan, encoding: Encoding, start: int, end: int | None
) -> decode.TrackDecoder:
    """Return a decoder of samples [start, end) of the source, as they are to be encoded."""
    seeks = seeks_exactly(plan.info, plan.track)
    sample_type = encoding.sample_type  # samples that are kept have no encoder
    if not sample_type:
        may_exceed = decode.may_hold_nan(plan.track) or plan.gain_db > 0
        sample_type = "float32" if may_exceed else spec_of(encoding).input_type
    return decode.TrackDecoder(
        path,
        track=plan.track,
        rate_hz=encoding.sample_rate_hz,
        mix=plan.mix,
        gain_db=plan.gain_db,
        start_samples=start,
        end_samples=end,
        seek=seeks,
        steady=seeks,
        dtype=sample_type,
    )


def measure_loudness(decoder: decode.TrackDecoder, path: object, *, origin: int) -> LoudnessCurve:
    """Return the loudness curve of a decoder's sound; its first sample is sample `origin`.

    Raises:
        NotMediaError: the sound cannot be decoded.
    """
    meter = PowerMeter(decoder.rate_hz)
    for block in read_blocks(decoder, path):
        meter.feed(block)
    return LoudnessCurve(origin=origin, hop=hop_samples(decoder.rate_hz), power=meter.curve())
