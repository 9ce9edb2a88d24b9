"""The forecast of a batch: recordings, hours, requests, tokens, price, and the time that it takes.

Rules: a forecast writes nothing and asks nothing. Lengths are those of the manifest; where it
states none, a sample of the recordings is probed, and the others are estimated by their size. Three
things may bind: the cores, the requests a minute, the tokens a minute; the slowest one decides.
"""

from __future__ import annotations

import contextlib
import hashlib
import heapq
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from math import ceil

from captoolkit.api.probe import probe
from captoolkit.errors import CaptoolkitError
from captoolkit.jobs.chunks import SPEEDS, START_S, predicted_duration_s
from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.listing.opened_input import open_input
from captoolkit.model import CostRange
from captoolkit.services.price import audio_tokens, input_cost, most_cost
from captoolkit.services.service import Service
from captoolkit.support.files import staging

SAMPLE = 12  # recordings that are probed
MINUTE_S = 60.0


class Limit(StrEnum):
    """A thing that decides how long a batch takes."""

    CORES = "cores"
    REQUESTS = "requests"
    TOKENS = "tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The forecast of a batch.

    Attributes:
        inputs: the recordings that are left to do.
        kept: the recordings that OUT has already.
        failed_before: the recordings that failed in an earlier run, and are not done again.
        changed: the recordings that have changed since they were done, and are not done again.
        size_bytes: the sum of their known sizes.
        duration_s: the length of their sound.
        sampled: how many recordings were probed for it; 0 if a manifest states all lengths.
        base_url: the address of the service; empty without one.
        needs_confirmation: whether its answers may cost money.
        requests: the requests to the service; 0 without one.
        input_tokens: their tokens, without the answers; None where no rate of tokens is known.
        cost: the price of the requests; None if it is not known.
        times_s: the least time by each limit.
    """

    inputs: int
    size_bytes: int
    duration_s: float
    sampled: int
    kept: int = 0
    failed_before: int = 0
    changed: int = 0
    base_url: str = ""
    needs_confirmation: bool = False
    requests: int = 0
    input_tokens: int | None = 0
    cost: CostRange | None = None
    times_s: dict[Limit, float] = field(default_factory=dict)

    @property
    def binding(self) -> Limit:
        """The limit that decides."""
        return max(self.times_s, key=lambda limit: self.times_s[limit])

    @property
    def advice(self) -> str:
        """How the batch would take less time; empty for no advice."""
        if not self.inputs:
            return ""
        if self.binding is Limit.CORES:
            return "more workers make it faster"
        if self.binding is Limit.TOKENS:
            return "only a higher quota of tokens makes it faster (--tpm)"
        if self.requests <= self.inputs:  # one request for each recording
            return "only a higher quota of requests makes it faster (--rpm)"
        return "longer segments make it faster, because they need fewer requests (--segment)"


@dataclass(slots=True)
class _Sizes:
    """The recordings of one kind whose length is not known: their sizes in bytes."""

    sizes: array[int] = field(default_factory=lambda: array("q"))
    guessed_s: float = 0.0
    probed_bytes: int = 0
    probed_s: float = 0.0

    @property
    def seconds_per_byte(self) -> float:
        if self.probed_bytes:
            return self.probed_s / self.probed_bytes
        return self.guessed_s / (sum(self.sizes) or 1)


def forecast(
    inputs: Iterable[Input],
    verb: str,
    *,
    cores: int,
    service: Service | None = None,
    segment_s: Fraction | None = None,
    max_segment_s: Fraction | None = None,
) -> Forecast:
    """Return the forecast of a verb over these recordings.

    Args:
        inputs: the recordings that are left.
        verb: the verb.
        cores: the number of workers.
        service: the service of the requests; None for none.
        segment_s: the length of a segment, roughly; None leaves it to the limits.
        max_segment_s: the greatest length of a segment.
    """
    claimed = array("d")
    unknown: dict[str, _Sizes] = {}
    sample: list[tuple[int, str, Input]] = []
    size_bytes = 0
    for each in inputs:
        size_bytes += each.size_bytes or 0
        if each.duration_s is not None or not each.size_bytes:
            claimed.append(predicted_duration_s(each))
            continue
        kind = unknown.setdefault(_kind_of(each), _Sizes())
        kind.sizes.append(each.size_bytes)
        kind.guessed_s += predicted_duration_s(each)
        number = int.from_bytes(hashlib.sha256(each.id.encode("utf-8", "replace")).digest()[:8])
        item = (-number, each.id, each)
        (heapq.heappush if len(sample) < SAMPLE else heapq.heappushpop)(sample, item)
    sampled = sum(_probe(each, unknown[_kind_of(each)]) for _, _, each in sample)
    durations = claimed
    for kind in unknown.values():
        durations.extend(size * kind.seconds_per_byte for size in kind.sizes)
    work_s = sum(START_S[verb] + duration_s / SPEEDS[verb] for duration_s in durations)
    base = Forecast(
        inputs=len(durations),
        size_bytes=size_bytes,
        duration_s=sum(durations),
        sampled=sampled,
        times_s={Limit.CORES: work_s / cores},
    )
    if service is None:
        return base
    return _with_service(base, durations, service, segment_s, max_segment_s)


def _with_service(
    base: Forecast,
    durations_s: Iterable[float],
    service: Service,
    segment_s: Fraction | None,
    max_segment_s: Fraction | None,
) -> Forecast:
    """Return a forecast with requests, tokens, price and the times by the rates."""
    target = service.target
    longest = [each for each in (max_segment_s, target.limit("max_duration_s")) if each]
    longest_s = float(min(longest)) if longest else float("inf")
    text = int(target.limit("text_tokens") or 0)
    requests = tokens = 0
    for duration_s in durations_s:
        count = max(1, ceil(duration_s / longest_s))
        if segment_s is not None:
            count = max(count, round(duration_s / float(segment_s)))
        each_s = Fraction(round(1000 * duration_s / count), 1000)
        requests += count
        tokens += count * (audio_tokens(target, each_s) + text)
    times_s = dict(base.times_s)
    if service.requests_per_minute:
        times_s[Limit.REQUESTS] = MINUTE_S * requests / service.requests_per_minute
    has_tokens = target.limit("tokens_per_s") is not None
    if service.tokens_per_minute and has_tokens:
        times_s[Limit.TOKENS] = MINUTE_S * tokens / service.tokens_per_minute
    return replace(
        base,
        requests=requests,
        input_tokens=tokens if has_tokens else None,
        cost=_cost_of(service, requests, tokens),
        times_s=times_s,
    )


def _cost_of(service: Service, requests: int, tokens: int) -> CostRange | None:
    price = service.price
    if price is None or service.target.limit("tokens_per_s") is None:
        return None
    least = input_cost(price, audio_tokens=tokens, text_tokens=0)
    most = most_cost(service.target, price, audio_tokens=tokens, text_tokens=0, n=requests)
    return CostRange(region=price.region, currency=price.currency, least=least, most=most)


def _kind_of(recording: Input) -> str:
    return recording.relative.rpartition(".")[2].lower()


def _probe(recording: Input, kind: _Sizes) -> bool:
    """Add the length of a recording to those of its kind; return whether it could be probed."""
    with contextlib.suppress(CaptoolkitError), staging(None) as folder:
        opened = open_input(recording, folder)
        kind.probed_s += probe(opened.source).default_track.duration_s
        kind.probed_bytes += recording.size_bytes or 0
        return True
    return False
