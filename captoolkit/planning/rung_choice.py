"""The choice between a rung and the next one down, where the better one leaves cuts little room.

Rules: only segments of minutes are weighed, and only where the limit of the rung leaves a cut less
than `LEAST_ROOM_S`. A cut is loud if it is not `PAUSE_DB` quieter than the sound around it. The
next rung is taken if it makes the loud cuts at least `GAIN_DB` quieter and loses at most
`MOST_LOSS_DB` of fidelity (the ladder's figures for speech). The plan states the choice.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from captoolkit.bitstream.encodings import describe
from captoolkit.dsp.quietest import place_loudness
from captoolkit.model import Encoding, Plan
from captoolkit.planning import ladder
from captoolkit.planning.cut_search import LoudnessCurve
from captoolkit.planning.segmentation import MAX_REACH_S
from captoolkit.units import format_length

LEAST_ROOM_S = 15
LEAST_SEGMENT_S = 60
MOST_CUTS = 12  # that are listened to
PAUSE_DB = 10.0
GAIN_DB = 10.0
MOST_LOSS_DB = 3.5


@dataclass(frozen=True, slots=True, kw_only=True)
class CutLevels:
    """The levels in dB of the quietest place within reach of each cut, by two plans, and around."""

    better_rung: Sequence[float]
    lower_rung: Sequence[float]
    around: Sequence[float]


def movable_cuts(plan: Plan) -> list[int]:
    """Return the first planned cuts that may move, in samples of the track."""
    pairs = itertools.pairwise(plan.spans)
    ends = (
        one.end_samples
        for one, two in pairs
        if one.end_samples == two.start_samples and one.end_samples not in plan.marks
    )
    return list(itertools.islice(ends, MOST_CUTS))


def room_samples(plan: Plan) -> int:
    """Return how much longer than planned the longest segment may become."""
    return plan.max_segment_samples - max(span.samples for span in plan.spans)


def is_tight(plan: Plan) -> bool:
    """Return whether an encoding's limit leaves the cuts of segments of minutes little room."""
    rate_hz = plan.track.sample_rate_hz
    return (
        plan.encoding is not None
        and bool(movable_cuts(plan))
        and room_samples(plan) < LEAST_ROOM_S * rate_hz
        and min(span.samples for span in plan.spans) >= LEAST_SEGMENT_S * rate_hz
    )


def measure_cuts(better: Plan, lower: Plan, curves: Sequence[LoudnessCurve]) -> CutLevels:
    """Return the levels of the cuts of two plans with the same spans.

    Args:
        better: the plan with the better encoding.
        lower: the plan with the next rung.
        curves: the loudness around each of `movable_cuts`, on the track's clock.
    """
    most = int(MAX_REACH_S * better.track.sample_rate_hz)
    reaches = [min(most, room_samples(plan)) for plan in (better, lower)]
    levels: list[list[float]] = [[], [], []]
    for at, curve in zip(movable_cuts(better), curves, strict=True):
        loudness = place_loudness(curve.power)
        for own, reach in zip(levels, reaches, strict=False):
            first, last = curve.places_within(at - reach, at + reach)
            within = loudness[max(0, first) : last + 1]
            own.append(_in_db(float(within.min(initial=loudness.max()))))
        levels[2].append(_in_db(float(np.median(loudness))))
    return CutLevels(better_rung=levels[0], lower_rung=levels[1], around=levels[2])


def _in_db(power: float) -> float:
    return 10 * math.log10(power)


def choose(better: Plan, lower: Plan, levels: CutLevels) -> Plan:
    """Return the plan to carry out; its last reason states the comparison, if there was one."""
    loud = [
        index
        for index, level in enumerate(levels.better_rung)
        if level > levels.around[index] - PAUSE_DB
    ]
    if not loud or better.encoding is None or lower.encoding is None:
        return better
    gained_db = sum(levels.better_rung[at] - levels.lower_rung[at] for at in loud) / len(loud)
    loss_db = ladder.loss_db(better.encoding, lower.encoding)
    is_lower = gained_db >= GAIN_DB and loss_db is not None and loss_db <= MOST_LOSS_DB
    reason = _reason(better, better.encoding, lower.encoding, gained_db, loss_db, len(loud))
    plan, outcome = (lower, "was chosen") if is_lower else (better, "was not chosen")
    return replace(plan, reasons=(*plan.reasons, f"{reason} {outcome}."))


def _reason(
    plan: Plan,
    better: Encoding,
    lower: Encoding,
    gained_db: float,
    loss_db: float | None,
    loud: int,
) -> str:
    room_s = room_samples(plan) / plan.track.sample_rate_hz
    cuts = "1 cut" if loud == 1 else f"{loud} cuts"
    loss = "an unknown loss" if loss_db is None else f"about {loss_db:.1f} dB less fidelity"
    return (
        f"As {describe(better)}, a segment can become only {format_length(room_s)} longer, and "
        f"{cuts} would be loud. {describe(lower)}, with {loss} and cuts {max(0, gained_db):.0f} dB "
        "quieter,"
    )
