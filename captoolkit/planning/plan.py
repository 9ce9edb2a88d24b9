"""MediaInfo + Target + wishes -> Plan: what will be done, and why, in words.

Rules: the least change that fits. A file that the target takes as it is passes through untouched,
unless a wish asks for something else; otherwise it is cut into the fewest balanced segments that
the limits allow, and encoded on the best rung of the ladder on which such a segment fits.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from captoolkit.errors import UsageError
from captoolkit.model import (
    Action,
    CostRange,
    Encoding,
    MediaInfo,
    Plan,
    Price,
    Span,
    Target,
    Track,
    Via,
)
from captoolkit.planning import ladder, mixing, targets
from captoolkit.planning.cuts import balanced_edges
from captoolkit.planning.targets import clock
from captoolkit.planning.wishes import Wishes, candidates, refuse_nonsense

MAX_REACH_S = Fraction(30)  # no cut moves farther from its balanced place
REACH_SHARE = Fraction(1, 5)  # nor farther than this share of a segment
SLACK_S = Fraction(5)  # what a cut must at least be able to move towards a limit, if that is
SLACK_SHARE = Fraction(1, 10)  # less than this share of a segment
MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bounds:
    """What one segment may be at most."""

    duration_s: Fraction | None
    size_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """An encoding, how many segments of it, and how long each may be, in seconds.

    Attributes:
        is_best: no encoding that may be taken is better.
    """

    encoding: Encoding
    is_best: bool
    segments: int
    longest_s: Fraction
    balanced_s: Fraction


def make_plan(
    info: MediaInfo,
    track: Track,
    target: Target,
    *,
    via: Via = Via.BASE64,
    wishes: Wishes | None = None,
    mix: mixing.Mix | None = None,
) -> Plan:
    """Decide what to do with one track of a file so that `target` takes it.

    Args:
        info: what the file holds.
        track: the track that is wanted.
        target: the service model.
        via: how it will travel.
        wishes: what the caller wants beside that.
        mix: how to make one channel of the track's; the plain average if None.

    Raises:
        UsageError: the wishes cannot be met within the limits.
    """
    wishes = wishes or Wishes()
    refuse_nonsense(wishes)
    mix = mix or mixing.average(track.channels, track.layout)
    bounds = _bounds(target, via, wishes)
    causes = _causes(info, track, target, via, wishes, mix)
    if not causes:
        return _pass_through(info, track, target, via, bounds)
    choice = _choose(track, target, bounds, wishes)
    return _encode(info, track, target, via, bounds, choice, mix, causes)


# ------------------------------------------------------------------- as it is, or not


def _causes(
    info: MediaInfo, track: Track, target: Target, via: Via, wishes: Wishes, mix: mixing.Mix
) -> tuple[str, ...]:
    """Why the file cannot stay as it is, as sentences; none if it can."""
    causes = list(targets.misfits(info, track, target, via))
    duration_s = _exact_s(track)
    if wishes.format not in ("auto", info.container):
        causes.append(f"{wishes.format.upper()} is asked for.")
    elif wishes.shape_the_sound:
        causes.append(f"{wishes.shape_in_words.capitalize()} is asked for.")
    for length_s in (wishes.segment_s, wishes.max_segment_s):
        if length_s is not None and duration_s > length_s:
            causes.append(f"Segments of {clock(length_s)} are asked for.")
    if mix.reason and not target.full_sound:
        causes.append(mix.reason)
    return tuple(causes)


def _bounds(target: Target, via: Via, wishes: Wishes) -> _Bounds:
    limits = (targets.longest_s(target), wishes.max_segment_s)
    known = [limit for limit in limits if limit is not None]
    return _Bounds(
        duration_s=min(known) if known else None, size_bytes=targets.max_bytes(target, via)
    )


def _pass_through(info: MediaInfo, track: Track, target: Target, via: Via, bounds: _Bounds) -> Plan:
    span = Span(start_samples=0, end_samples=track.duration_samples, rate_hz=track.sample_rate_hz)
    reason = (
        f"It fits as it is: {info.container} with {track.codec}, {clock(_exact_s(track))}, "
        f"{targets.sent_size(info.size_bytes, via)}. Not a byte is changed."
    )
    return Plan(
        info=info,
        track=track,
        target=target,
        via=via,
        action=Action.PASS_THROUGH,
        encoding=None,
        mix=None,
        spans=(span,),
        reach_samples=0,
        max_segment_samples=track.duration_samples,
        max_segment_bytes=bounds.size_bytes or info.size_bytes,
        reasons=(reason,),
        **_bill(target, [_exact_s(track)]),
    )


# ----------------------------------------------------------------------------- encoding


def _encode(
    info: MediaInfo,
    track: Track,
    target: Target,
    via: Via,
    bounds: _Bounds,
    choice: _Choice,
    mix: mixing.Mix,
    causes: tuple[str, ...],
) -> Plan:
    rate_hz = track.sample_rate_hz
    rows = _rows(track, choice.encoding, mix)
    if rows is None:
        causes = tuple(cause for cause in causes if cause != mix.reason)
    edges = balanced_edges(track.duration_samples, choice.segments)
    spans = tuple(
        Span(start_samples=start, end_samples=end, rate_hz=rate_hz)
        for start, end in itertools.pairwise(edges)
    )
    reach_s = _reach_s(choice)
    most_bytes = ladder.file_bytes(  # resampling may round up to one sample more
        choice.encoding, int(choice.longest_s * choice.encoding.sample_rate_hz) + 1
    )
    return Plan(
        info=info,
        track=track,
        target=target,
        via=via,
        action=Action.ENCODE,
        encoding=choice.encoding,
        mix=rows,
        spans=spans,
        reach_samples=int(reach_s * rate_hz),
        max_segment_samples=int(choice.longest_s * rate_hz),
        max_segment_bytes=most_bytes if bounds.size_bytes is None else bounds.size_bytes,
        reasons=(*causes, *_choice_reasons(choice, bounds, target, via, reach_s)),
        **_bill(target, [Fraction(span.samples, rate_hz) for span in spans]),
    )


def _choose(track: Track, target: Target, bounds: _Bounds, wishes: Wishes) -> _Choice:
    """The fewest segments, and the best encoding on which that many fit."""
    duration_s = _exact_s(track)
    choices = [
        (encoding, _longest_s(encoding, bounds, duration_s))
        for encoding in candidates(track, target, wishes)
    ]
    most_s = max(longest_s for _, longest_s in choices)
    if most_s < 1:
        raise UsageError(
            "not even a second fits in one segment", fix="ask for a longer segment or a lower rate"
        )
    segments = _wished_segments(duration_s, wishes)
    segments = max(segments, -(-duration_s // most_s))
    while True:
        balanced_s = duration_s / segments
        slack_s = min(SLACK_S, balanced_s * SLACK_SHARE) if segments > 1 else 0
        for encoding, longest_s in choices:
            if balanced_s + slack_s <= longest_s:
                return _Choice(
                    encoding=encoding,
                    is_best=encoding == choices[0][0],
                    segments=segments,
                    longest_s=longest_s,
                    balanced_s=balanced_s,
                )
        segments += 1


def _wished_segments(duration_s: Fraction, wishes: Wishes) -> int:
    return -(-duration_s // wishes.segment_s) if wishes.segment_s else 1


def _longest_s(encoding: Encoding, bounds: _Bounds, duration_s: Fraction) -> Fraction:
    most = ladder.max_samples(encoding, size_bytes=bounds.size_bytes, duration_s=bounds.duration_s)
    return max(duration_s, Fraction(1)) if most is None else Fraction(most, encoding.sample_rate_hz)


def _reach_s(choice: _Choice) -> Fraction:
    """How far a cut may move: within the limits even when both ends of a segment move apart."""
    if choice.segments == 1:
        return Fraction(0)
    room_s = choice.longest_s - choice.balanced_s
    return min(MAX_REACH_S, choice.balanced_s * REACH_SHARE, room_s)


def _rows(
    track: Track, encoding: Encoding, mix: mixing.Mix
) -> tuple[tuple[float, ...], ...] | None:
    """Channel weights for what comes out; None where the channels stay as they are."""
    if encoding.channels == track.channels:
        return None
    return (mix.weights,)


def _exact_s(track: Track) -> Fraction:
    return Fraction(track.duration_samples, track.sample_rate_hz)


# ------------------------------------------------------------------------ tokens, money


def audio_tokens(target: Target, duration_s: Fraction) -> int:
    """Return what the service counts for that much sound, rounded up."""
    per_second = target.limit("tokens_per_s") or Fraction(0)
    billed_s = max(duration_s, target.limit("min_billed_s") or Fraction(0))
    return -int(-(per_second * billed_s) // 1)


def _bill(target: Target, durations_s: Sequence[Fraction]) -> dict[str, Any]:
    """Tokens and price of a plan's requests."""
    audio = sum(audio_tokens(target, duration_s) for duration_s in durations_s)
    text = int(target.limit("text_tokens") or 0) * len(durations_s)
    costs = tuple(
        CostRange(
            region=price.region,
            currency=price.currency,
            least=price.input_per_million * (audio + text) / MILLION,
            most=_most(target, price.input_per_million * (audio + text), len(durations_s), price),
        )
        for price in target.prices
    )
    return {"audio_tokens": audio, "input_tokens": audio + text, "costs": costs}


def _most(target: Target, input_price: Decimal, requests: int, price: Price) -> Decimal | None:
    longest = target.limit("max_output_tokens")
    if longest is None:
        return None
    return (input_price + price.output_per_million * int(longest) * requests) / MILLION


# -------------------------------------------------------------------------------- words


def _choice_reasons(
    choice: _Choice, bounds: _Bounds, target: Target, via: Via, reach_s: Fraction
) -> list[str]:
    made = ladder.describe(choice.encoding)
    if choice.segments == 1:
        said = [f"One segment of {clock(choice.balanced_s)} fits as {made}."]
    else:
        said = [
            f"It becomes {choice.segments} balanced segments of about {clock(choice.balanced_s)}, "
            f"each cut at the quietest point within {clock(reach_s)}.",
            f"Each is encoded as {made}.",
        ]
    if bounds.size_bytes is not None and not choice.is_best:
        most = targets.sent_size(bounds.size_bytes, via)
        said[-1] += f" No better encoding of that length stays within {most}."
    advised_s = target.limit("advised_duration_s")
    if advised_s is not None and choice.balanced_s > advised_s:
        said.append(
            f"The makers of the model advise clips of at most {clock(advised_s)}: "
            f"--segment {clock(advised_s).replace(' ', '')} makes them."
        )
    return said
