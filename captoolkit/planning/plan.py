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

MAX_REACH_S = Fraction(30)  # no cut moves farther from its balanced place
REACH_SHARE = Fraction(1, 5)  # nor farther than this share of a segment
SLACK_S = Fraction(5)  # what a cut must at least be able to move towards a limit, if that is
SLACK_SHARE = Fraction(1, 10)  # less than this share of a segment
SHORTEST_S = 1  # a service bills a shorter clip as one second
LOW_RATE_HZ = 24_000  # above this a rate is asked for to keep the band, so there is no low-pass
MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the caller wants beyond what the target's limits demand; None and auto: nothing.

    Attributes:
        format: `auto`, `wav`, `mp3`, `aac` or `amr`.
        quality: `auto`, or a name of the services' own FFmpeg guidance: voice, podcast, music.
        segment_s: about how long a segment shall be.
        max_segment_s: how long a segment may be at most.
    """

    format: str = "auto"
    quality: str = "auto"
    bit_rate: int | None = None
    sample_rate_hz: int | None = None
    channels: int | None = None
    segment_s: Fraction | None = None
    max_segment_s: Fraction | None = None

    @property
    def shape_the_sound(self) -> bool:
        """Whether the caller asks for a certain encoding."""
        return bool(self.shape_in_words)

    @property
    def shape_in_words(self) -> str:
        """What encoding the caller asks for, empty for none."""
        wanted = (
            (self.quality != "auto", f"{self.quality} quality"),
            (self.bit_rate is not None, f"{(self.bit_rate or 0) / 1000:g} kbit/s"),
            (self.sample_rate_hz is not None, f"a sample rate of {self.sample_rate_hz} Hz"),
            (self.channels is not None, {1: "mono", 2: "stereo"}.get(self.channels or 0, "sound")),
        )
        return " and ".join(words for is_wanted, words in wanted if is_wanted)


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
    _refuse_nonsense(wishes)
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
    candidates = [
        (encoding, _longest_s(encoding, bounds, duration_s))
        for encoding in _candidates(track, target, wishes)
    ]
    most_s = max(longest_s for _, longest_s in candidates)
    if most_s < 1:
        raise UsageError(
            "not even a second fits in one segment", fix="ask for a longer segment or a lower rate"
        )
    segments = _wished_segments(duration_s, wishes)
    segments = max(segments, -(-duration_s // most_s))
    while True:
        balanced_s = duration_s / segments
        slack_s = min(SLACK_S, balanced_s * SLACK_SHARE) if segments > 1 else 0
        for encoding, longest_s in candidates:
            if balanced_s + slack_s <= longest_s:
                return _Choice(
                    encoding=encoding,
                    is_best=encoding == candidates[0][0],
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


# ------------------------------------------------------------------------- what is asked


def _candidates(track: Track, target: Target, wishes: Wishes) -> Sequence[Encoding]:
    """Encodings that meet the wishes and that the target takes, best first."""
    made = _wished(wishes, track, target)
    taken = [one for one in made if one.codec in target.accepts.get(one.format, ())]
    if not taken:
        formats = ", ".join(name for name in ladder.FORMATS if name in target.accepts)
        raise UsageError(
            f"{target.name} does not take {ladder.describe(made[0])}",
            fix=f"take a format of {formats}" if formats else "take another target",
        )
    return taken


def _wished(wishes: Wishes, track: Track, target: Target) -> Sequence[Encoding]:
    channels = _channels(wishes, track)
    if wishes.quality != "auto" or wishes.bit_rate is not None:
        return [_exactly(wishes, channels)]
    if wishes.format == "amr":
        return [ladder.amr()]
    if target.full_sound and wishes.format == "auto" and not wishes.shape_the_sound:
        return [ladder.wav(track.sample_rate_hz, track.channels)]
    rungs = [rung.encoding for rung in ladder.LADDER]
    rungs = list(ladder.AAC_RUNGS) if wishes.format == "aac" else rungs
    of_format = [one for one in rungs if wishes.format in ("auto", one.format)]
    return _shaped(of_format, wishes.sample_rate_hz, channels)


def _channels(wishes: Wishes, track: Track) -> int:
    """How many channels come out: what is asked for, else what the quality says, else one."""
    most = 2 if track.channels == 2 else 1
    if wishes.channels is not None and wishes.channels > most:
        raise UsageError(
            f"channels={wishes.channels} cannot be made of {track.channels}",
            fix="stereo is kept where the source is stereo; else take 1",
        )
    quality = ladder.QUALITIES.get(wishes.quality)
    return min(wishes.channels or (quality.channels if quality else 1), most)


def _shaped(rungs: Sequence[Encoding], rate_hz: int | None, channels: int) -> Sequence[Encoding]:
    """The rungs at another rate and in other channels, without those that cannot be had so."""
    shaped, refusal = [], None
    for rung in rungs:
        make = {"wav": _wav_at, "mp3": _mp3_at, "aac": _aac_at}[rung.format]
        try:
            shaped.append(make(rung, rate_hz or rung.sample_rate_hz, channels))
        except UsageError as error:
            refusal = error
    if not shaped:
        raise refusal or UsageError("there is no such encoding")
    return shaped


def _wav_at(rung: Encoding, rate_hz: int, channels: int) -> Encoding:
    return ladder.wav(rate_hz, channels)


def _mp3_at(rung: Encoding, rate_hz: int, channels: int) -> Encoding:
    cutoff_hz = rung.cutoff_hz if rate_hz <= LOW_RATE_HZ else None
    return ladder.mp3(rung.bit_rate, rate_hz, channels, cutoff_hz=cutoff_hz)


def _aac_at(rung: Encoding, rate_hz: int, channels: int) -> Encoding:
    return ladder.aac(rung.bit_rate, rate_hz, channels)


def _exactly(wishes: Wishes, channels: int) -> Encoding:
    """The one encoding of a quality or a bit rate; what is left open comes from the quality."""
    base = ladder.QUALITIES[wishes.quality if wishes.quality != "auto" else "voice"]
    rate_hz = wishes.sample_rate_hz or base.sample_rate_hz
    bit_rate = wishes.bit_rate or base.bit_rate
    if wishes.format == "wav":
        return ladder.wav(rate_hz, channels)
    if wishes.format == "amr":
        return ladder.amr(wishes.bit_rate or 12_200)
    if wishes.format == "aac":
        return ladder.aac(bit_rate, rate_hz, channels)
    cutoff_hz = base.cutoff_hz if rate_hz <= base.sample_rate_hz else None
    return ladder.mp3(bit_rate, rate_hz, channels, cutoff_hz=cutoff_hz)


def _refuse_nonsense(wishes: Wishes) -> None:
    """Raise for a wish that nothing can meet, and for one that the format fixes itself."""
    if wishes.format not in ("auto", *ladder.FORMATS):
        raise UsageError(
            f"format={wishes.format} is not one that is made",
            fix=f"take auto, {', '.join(ladder.FORMATS)}",
        )
    if wishes.quality not in ("auto", *ladder.QUALITIES):
        raise UsageError(
            f"quality={wishes.quality} is not known",
            fix=f"take auto, {', '.join(ladder.QUALITIES)}",
        )
    for name in ("segment_s", "max_segment_s"):
        length_s = getattr(wishes, name)
        if length_s is not None and length_s < SHORTEST_S:
            raise UsageError(
                f"segments of {clock(length_s)} are shorter than what services count as a second",
                fix="ask for 1s or more",
            )
    for name in ("bit_rate", "sample_rate_hz", "channels"):
        value = getattr(wishes, name)
        if value is not None and value < 1:
            raise UsageError(
                f"{name}={value} must be at least 1", fix="leave it out, or ask for more"
            )
    if wishes.format == "wav" and wishes.bit_rate is not None:
        raise UsageError(
            f"bit_rate={wishes.bit_rate} cannot be had of WAV: its sample rate decides",
            fix="leave one of them out",
        )
    if wishes.format == "amr" and (
        wishes.sample_rate_hz not in (None, 8_000) or wishes.channels not in (None, 1)
    ):
        raise UsageError(
            "AMR is 8 kHz mono", fix="leave the sample rate and the channels out, or take mp3"
        )


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
