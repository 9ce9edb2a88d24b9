"""The search for the cuts of a run: chosen together, by a dynamic programme over the loudness.

Rules: a cut costs the percentile that the loudness of its place has in the run, from 0 to 1, and
a little for its level above the quietest place: in steady noise or music some place always has a
percentile near 0, but a real pause is quieter by many decibels. A segment costs a little for its
distance from the balanced length. The cheapest set of cuts that keeps the limits is taken. If the
number of segments is open, each segment costs `SEGMENT_COST` as well: pauses are used before more
segments are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from captoolkit.dsp.quietest import place_loudness, quietest

BIN_PLACES = 10  # of so many neighbouring places (0.2 s) the quietest is a candidate
IMBALANCE_COST = 0.05  # of a segment of no or of twice the balanced length
LEVEL_COST = 0.1  # of a place that is `LEVEL_DB` or more above the quietest place of the run
LEVEL_DB = 30.0
SEGMENT_COST = 0.08  # cuts this much quieter, in percentiles, are worth one more segment


@dataclass(frozen=True, slots=True, kw_only=True)
class LoudnessCurve:
    """The power curve of a part of a sound.

    Attributes:
        origin: the sample at which the curve begins.
        hop: the samples per value.
        power: shape (hops,).
    """

    origin: int
    hop: int
    power: NDArray[np.float64]

    def sample(self, place: int) -> int:
        """Return the sample at a place."""
        return self.origin + place * self.hop

    def place(self, sample: int) -> int:
        """Return the place nearest to a sample; it may lie outside the curve."""
        return (2 * (sample - self.origin) + self.hop) // (2 * self.hop)

    def between(self, earliest: int, latest: int) -> LoudnessCurve:
        """Return the part between two samples, which are rounded to the curve's values."""
        first, last = self.places_within(earliest, latest)
        first, last = max(0, first), min(last, len(self.power))
        return replace(self, origin=self.sample(first), power=self.power[first:last])

    def places_within(self, earliest: int, latest: int) -> tuple[int, int]:
        """Return the first and the last place between two samples, both included."""
        return -((self.origin - earliest) // self.hop), (latest - self.origin) // self.hop


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """How a stretch of sound may be divided into segments; all numbers are samples.

    Attributes:
        count: the number of segments; the greatest number if `is_fewest`.
        shortest, longest: the length of a segment.
        reach: how far a cut may be from its balanced place.
        is_fewest: fewer segments are better.
    """

    begin: int
    end: int
    count: int
    shortest: int
    longest: int
    reach: int
    is_fewest: bool = False

    @property
    def balanced(self) -> list[int]:
        """The cuts between segments of one length."""
        return self.balanced_into(self.count)

    def balanced_into(self, count: int) -> list[int]:
        """Return the cuts between so many segments of one length."""
        total = self.end - self.begin
        return [
            self.begin + (2 * index * total + count) // (2 * count) for index in range(1, count)
        ]

    def cut_window(self, index: int, balanced: int) -> tuple[int, int]:
        """Return the first and the last sample where the limits of the segments allow a cut.

        Args:
            index: the number of the cut, from 1.
            balanced: its balanced place.
        """
        after = self.count - index
        earliest = max(self.begin + index * self.shortest, self.end - after * self.longest)
        latest = min(self.begin + index * self.longest, self.end - after * self.shortest)
        return max(earliest, balanced - self.reach), min(latest, balanced + self.reach)

    @property
    def deciding(self) -> tuple[int, int]:
        """The samples between which the loudness decides the cuts: less than all for one cut."""
        if self.count != 2 or (self.is_fewest and self.fewest < self.count):
            return self.begin, self.end
        (at,) = self.balanced
        return max(self.begin, at - self.reach), min(self.end, at + self.reach)

    @property
    def fewest(self) -> int:
        """The smallest number of segments that the limit allows."""
        return max(1, -(-(self.end - self.begin) // self.longest))


def quietest_sample(curve: LoudnessCurve, earliest: int, balanced: int, latest: int) -> int:
    """Return the sample of the quietest place between two samples; near `balanced` where alike."""
    first, last = curve.places_within(earliest, latest)
    if first > last:
        return balanced
    loudness = place_loudness(curve.power)
    at = quietest(loudness, first=first, last=last, near=curve.place(balanced))
    return min(max(curve.sample(at), earliest), latest)


def choose_cuts(curve: LoudnessCurve, division: Division) -> list[int]:
    """Return the samples at which a stretch of sound is cut, in order.

    Where the limits leave no choice, the cuts are balanced.
    """
    if division.is_fewest and division.fewest < division.count:
        cuts = _fewest_cuts(curve, division)
        if cuts is not None:
            return cuts
    if division.count < 2:
        return []
    curve = curve.between(*division.deciding)
    costs = _place_costs(place_loudness(curve.power))
    places: list[NDArray[np.int64]] = [np.array([division.begin])]
    totals, origins = np.zeros(1), []
    for index, at in enumerate(division.balanced, start=1):
        candidates = _candidates(curve, costs, *division.cut_window(index, at), [at])
        steps = _length_costs(places[-1], candidates, division, division.count)
        steps += totals[:, None]
        origins.append(steps.argmin(axis=0))
        totals = steps[origins[-1], np.arange(len(candidates))]
        totals += costs[_clipped(curve, candidates, costs)]
        places.append(candidates)
    end = np.array([division.end])
    last = totals + _length_costs(places[-1], end, division, division.count)[:, 0]
    best = int(last.argmin())
    if not np.isfinite(last[best]):
        return division.balanced
    cuts = []
    for candidates, origin in zip(reversed(places[1:]), reversed(origins), strict=True):
        cuts.append(int(candidates[best]))
        best = int(origin[best])
    return cuts[::-1]


def _fewest_cuts(curve: LoudnessCurve, division: Division) -> list[int] | None:
    """The cuts of at most `count` segments; None if there are none that keep the limits."""
    costs = _place_costs(place_loudness(curve.power))
    first, last = division.begin + division.shortest, division.end - division.shortest
    # In a long silence only balanced cuts give the fewest segments: bins are too coarse for that.
    others = division.balanced + division.balanced_into(division.fewest)
    candidates = _candidates(curve, costs, first, last, others)
    places = np.concatenate([[division.begin], candidates, [division.end]])
    own = np.concatenate([[0.0], costs[_clipped(curve, candidates, costs)], [0.0]])
    # totals[n, p]: the cheapest way from the begin to a place in n segments.
    totals = np.full((division.count + 1, len(places)), np.inf)
    origins = np.zeros(totals.shape, np.int64)
    totals[0, 0] = 0.0
    begins = np.searchsorted(places, places - division.longest)
    ends = np.searchsorted(places, places - division.shortest, side="right")
    for at, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
        if begin >= min(end, at):
            continue
        unused = 1 - (places[at] - places[begin:end]) / division.longest
        steps = totals[:-1, begin:end] + IMBALANCE_COST * unused**2
        best = steps.argmin(axis=1)
        totals[1:, at] = steps[np.arange(division.count), best] + own[at]
        origins[1:, at] = begin + best
    ways = totals[:, -1] + SEGMENT_COST * np.arange(division.count + 1)
    count, at = int(ways.argmin()), len(places) - 1
    if not np.isfinite(ways[count]):
        return None
    cuts = []
    for segments in range(count, 1, -1):
        at = int(origins[segments, at])
        cuts.append(int(places[at]))
    return cuts[::-1]


def _place_costs(loudness: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cost of a cut at each place, shape (places,): its percentile and its level in dB.

    Both count from the quietest place. The percentile is the share of places that are not louder.
    So places of one loudness cost nothing if no place is quieter, and much if most are as loud.

    Args:
        loudness: above 0, shape (places,).
    """
    percentiles = np.searchsorted(np.sort(loudness), loudness, side="right") / len(loudness)
    above_db = 10 * np.log10(loudness / loudness.min())
    costs: NDArray[np.float64] = percentiles - percentiles.min()
    costs += LEVEL_COST / LEVEL_DB * np.minimum(above_db, LEVEL_DB)
    return costs


def _candidates(
    curve: LoudnessCurve,
    costs: NDArray[np.float64],
    earliest: int,
    latest: int,
    others: list[int],
) -> NDArray[np.int64]:
    """The samples between two samples where a cut may be: the quietest of each bin, and others.

    One sample may occur twice, which changes no cut.
    """
    first, last = curve.places_within(earliest, latest)
    first, last = max(0, first), min(last, len(costs) - 1)
    samples = np.array(others, np.int64)
    if first > last:
        return samples
    missing = -(last + 1 - first) % BIN_PLACES
    bins = np.pad(costs[first : last + 1], (0, missing), constant_values=np.inf)
    within = bins.reshape(-1, BIN_PLACES).argmin(axis=1)
    quiet = first + BIN_PLACES * np.arange(len(within)) + within
    return np.sort(np.concatenate([samples, curve.origin + quiet * curve.hop]))


def _clipped(
    curve: LoudnessCurve, samples: NDArray[np.int64], costs: NDArray[np.float64]
) -> NDArray[np.int64]:
    """The place nearest to each sample, inside the curve."""
    places = (2 * (samples - curve.origin) + curve.hop) // (2 * curve.hop)
    return np.clip(places, 0, len(costs) - 1)


def _length_costs(
    begins: NDArray[np.int64], ends: NDArray[np.int64], division: Division, count: int
) -> NDArray[np.float64]:
    """The cost of a segment between each two places; infinite where it breaks the limits."""
    costs: NDArray[np.float64] = np.subtract(ends[None, :], begins[:, None], dtype=np.float64)
    is_outside = costs < division.shortest
    is_outside |= costs > division.longest
    costs /= (division.end - division.begin) / count
    costs -= 1
    costs *= costs
    costs *= IMBALANCE_COST
    np.putmask(costs, is_outside, np.inf)
    return costs
