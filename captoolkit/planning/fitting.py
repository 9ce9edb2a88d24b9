"""Encode: the fewest balanced segments that the limits allow, on the best rung that they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from captoolkit.errors import UsageError
from captoolkit.model import Encoding, Target, Track
from captoolkit.planning import ladder, sharing
from captoolkit.planning.options import ParsedOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one segment may be at most; None where there is no limit."""

    duration_s: Fraction | None
    size_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """An encoding, how many segments of it each stretch becomes, and how long each may be.

    Attributes:
        is_best: no encoding that may be taken is better.
        numbers: segments of each stretch.
        longest_s: no segment may be longer.
    """

    encoding: Encoding
    is_best: bool
    numbers: tuple[int, ...]
    longest_s: Fraction


def choose(
    durations_s: Sequence[Fraction],
    track: Track,
    target: Target,
    bounds: Bounds,
    options: ParsedOptions,
) -> Fit:
    """Return the fewest segments of each stretch, and the best encoding on which they fit.

    Raises:
        UsageError: the wishes cannot be met within the limits.
    """
    choices = [
        (encoding, _longest_s(encoding, bounds, max(durations_s)))
        for encoding in candidates(track, target, options)
    ]
    most_s = max(longest_s for _, longest_s in choices)
    if most_s < 1:
        raise UsageError(
            "not even a second fits in one segment", fix="ask for a longer segment or a lower rate"
        )
    numbers = sharing.numbers(durations_s, most_s, options)
    stretches = tuple(zip(durations_s, numbers, strict=True))
    encoding, longest_s = next(
        (encoding, longest_s)
        for encoding, longest_s in choices
        if all(sharing.fits(duration_s, number, longest_s) for duration_s, number in stretches)
    )
    return Fit(
        encoding=encoding,
        is_best=encoding == choices[0][0],
        numbers=numbers,
        longest_s=longest_s,
    )


def _longest_s(encoding: Encoding, bounds: Bounds, duration_s: Fraction) -> Fraction:
    most = ladder.max_samples(encoding, size_bytes=bounds.size_bytes, duration_s=bounds.duration_s)
    return max(duration_s, Fraction(1)) if most is None else Fraction(most, encoding.sample_rate_hz)


# ------------------------------------------------------- the encodings that satisfy the options


def candidates(track: Track, target: Target, options: ParsedOptions) -> Sequence[Encoding]:
    """Return the encodings that meet the wishes and that the target takes, best first.

    Raises:
        UsageError: there is none.
    """
    made = _wished(options, track, target)
    taken = [one for one in made if _takes(target, one.format, one.codec)]
    if not taken:
        formats = ", ".join(name for name, it in ladder.FORMATS.items() if _takes(target, *it))
        raise UsageError(
            f"{target.name} does not take {ladder.describe(made[0])}",
            fix=f"take a format of {formats}" if formats else "take another target",
        )
    return [_with_effort(one, options) for one in taken]


def fallbacks(
    track: Track, target: Target, options: ParsedOptions, encoding: Encoding
) -> tuple[Encoding, ...]:
    """Return what to try when a file of `encoding` comes out too large, the largest first.

    These are the smaller ones among the candidates. Where the wishes leave only one, it is the
    same at lower bit rates, down to the ladder's floor; there may be none.

    Raises:
        UsageError: nothing meets the wishes.
    """
    others: Sequence[Encoding] = candidates(track, target, options)
    if len(others) == 1:
        others = ladder.at_lower_bit_rates(encoding)
    smaller = (one for one in others if one.bit_rate < encoding.bit_rate)
    return tuple(_with_effort(one, options) for one in smaller)


def _takes(target: Target, container: str, codec: str) -> bool:
    return codec in target.accepts.get(container, ())


def _with_effort(encoding: Encoding, options: ParsedOptions) -> Encoding:
    return ladder.thorough(encoding) if options.effort == "best" else encoding


def _wished(options: ParsedOptions, track: Track, target: Target) -> Sequence[Encoding]:
    channels = _channels(options, track)
    if options.format == "gsm":
        return [ladder.gsm()]
    if options.quality != "auto" or options.bit_rate is not None:
        return [_exactly(options, track, channels)]
    if options.format == "amr":
        return [ladder.amr()]
    if target.full_sound and options.format == "auto" and not options.shape_the_sound:
        return [ladder.wav(track.sample_rate_hz, track.channels)]
    rungs = [rung.encoding for rung in ladder.LADDER]
    rungs = list(ladder.AAC_RUNGS) if options.format == "aac" else rungs
    of_format = [one for one in rungs if options.format in ("auto", one.format)]
    return _shaped(of_format, options.sample_rate_hz, channels)


def _channels(options: ParsedOptions, track: Track) -> int:
    """How many channels come out: what is asked for, else what the quality says, else one."""
    most = 2 if track.channels == 2 else 1
    if options.channels is not None and options.channels > most:
        raise UsageError(
            f"channels={options.channels} cannot be made of {track.channels}",
            fix="stereo is kept where the source is stereo, and no mix has two channels; take 1",
        )
    quality = ladder.QUALITIES.get(options.quality)
    return min(options.channels or (quality.channels if quality else 1), most)


def why_not_stereo(options: ParsedOptions, track: Track) -> str:
    """Return why a quality that is stereo comes out as mono, as a sentence; empty if it does not.

    A source of one channel has no stereo to lose.
    """
    quality = ladder.QUALITIES.get(options.quality)
    if quality is None or quality.channels < 2 or options.channels == 1 or track.channels <= 2:
        return ""
    return f"Its {track.channels} channels become one: stereo is kept where the source is stereo."


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
    return ladder.mp3(rung.bit_rate, rate_hz, channels, cutoff_hz=ladder.cutoff_at(rate_hz))


def _aac_at(rung: Encoding, rate_hz: int, channels: int) -> Encoding:
    return ladder.aac(rung.bit_rate, rate_hz, channels)


def _exactly(options: ParsedOptions, track: Track, channels: int) -> Encoding:
    """The one encoding of a quality or a bit rate.

    What is left open comes from the quality; a bit rate alone, or that of the voice, is the
    ladder's.
    """
    name = options.quality if options.quality != "auto" else "voice"
    base = ladder.QUALITIES[name]
    rate_hz = options.sample_rate_hz or base.sample_rate_hz
    bit_rate = options.bit_rate or base.bit_rate
    if options.format == "wav":
        return ladder.wav(rate_hz, channels)
    if options.format == "amr":
        return ladder.amr(options.bit_rate or 12_200)
    if name == "voice":
        return ladder.at_bit_rate(
            "aac" if options.format == "aac" else "mp3",
            bit_rate,
            rate_hz=options.sample_rate_hz,
            source_hz=track.sample_rate_hz,
            channels=channels,
        )
    if options.format == "aac":
        return ladder.aac(bit_rate, rate_hz, channels)
    return ladder.mp3(bit_rate, rate_hz, channels, cutoff_hz=base.cutoff_hz)
