"""Find the segments of a plan that copies frames: only the sound that decides the cuts is decoded.

Rules: the ends of sections are found first, several at once; then the cuts inside each section.
Both depend on the sound alone, never on the number of threads.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from captoolkit.bitstream.encodings import MODEL_RATE_HZ
from captoolkit.dsp.quietest import PowerMeter, hop_samples
from captoolkit.media import decode
from captoolkit.media.decode import read_blocks
from captoolkit.model import Plan
from captoolkit.pipeline.supervisor import Supervisor
from captoolkit.planning.cut_search import LoudnessCurve, choose_cuts
from captoolkit.planning.cuts import Section, context_samples, decide_ends, plan_sections
from captoolkit.planning.layout import Layout, lay_out

# Measures the sound between two samples at the model's rate, on the track's clock.
CurveOf = Callable[[int, int], LoudnessCurve]


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


def measure_loudness(decoder: decode.TrackDecoder, path: object, *, origin: int) -> LoudnessCurve:
    """Return the loudness curve of a decoder's sound, whose first sample is `origin`.

    Raises:
        NotMediaError: the sound cannot be decoded.
    """
    meter = PowerMeter(decoder.rate_hz)
    for block in read_blocks(decoder, path):
        meter.feed(block)
    return LoudnessCurve(origin=origin, hop=hop_samples(decoder.rate_hz), power=meter.curve())
