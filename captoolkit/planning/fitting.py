"""The choice of an encoding: the fewest balanced segments that the limits allow, on the best rung.

`candidates` are the encodings that satisfy the options, best first; `choose` takes the best one on
which the fewest segments fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from captoolkit.bitstream.encodings import (
    ENCODINGS,
    EncodingSpec,
    at_lower_bit_rates,
    describe,
    max_samples,
    spec_of,
    with_best_effort,
)
from captoolkit.errors import UsageError
from captoolkit.model import Encoding, Target, Track
from captoolkit.planning import ladder, segmentation
from captoolkit.planning.options import ParsedOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The limits of one segment; None for no limit."""

    duration_s: Fraction | None
    size_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """An encoding, and the number and longest length of its segments.

    Attributes:
        is_best: no candidate is better.
        numbers: the number of segments of each stretch.
        longest_s: the longest length of a segment.
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
    *,
    most_bit_rate: int | None = None,
) -> Fit:
    """Return the fewest segments of each stretch, and the best encoding on which they fit.

    Where `most_bit_rate` is given, encodings above it are not taken.

    Raises:
        UsageError: no encoding satisfies the options within the limits.
    """
    choices = [
        (encoding, _longest_s(encoding, bounds, max(durations_s)))
        for encoding in candidates(track, target, options)
    ]
    most_s = max(longest_s for _, longest_s in choices)
    if most_s < 1:
        raise UsageError(
            "not even a second fits in one segment", fix="choose a longer segment or a lower rate"
        )
    numbers = segmentation.count_segments(durations_s, most_s, options)
    stretches = tuple(zip(durations_s, numbers, strict=True))
    fitting = [
        (encoding, longest_s)
        for encoding, longest_s in choices
        if (most_bit_rate is None or encoding.bit_rate <= most_bit_rate)
        and all(
            segmentation.fits(duration_s, number, longest_s) for duration_s, number in stretches
        )
    ]
    if not fitting:  # never without `most_bit_rate`: the numbers are those of the longest segments
        raise UsageError(f"the options leave no encoding of at most {most_bit_rate} bit/s")
    encoding, longest_s = fitting[0]
    return Fit(
        encoding=encoding,
        is_best=encoding == choices[0][0],
        numbers=numbers,
        longest_s=longest_s,
    )


def _longest_s(encoding: Encoding, bounds: Bounds, duration_s: Fraction) -> Fraction:
    most = max_samples(encoding, size_bytes=bounds.size_bytes, duration_s=bounds.duration_s)
    return max(duration_s, Fraction(1)) if most is None else Fraction(most, encoding.sample_rate_hz)


# ------------------------------------------------------- the encodings that satisfy the options


def candidates(track: Track, target: Target, options: ParsedOptions) -> Sequence[Encoding]:
    """Return the encodings that satisfy the options and that the target takes, best first.

    Raises:
        UsageError: no encoding does.
    """
    satisfying = _satisfying(options, track, target)
    taken = [one for one in satisfying if _takes(target, one.format, one.codec)]
    if not taken:
        formats = ", ".join(
            row.name for row in ENCODINGS.values() if _takes(target, row.container, row.codec)
        )
        raise UsageError(
            f"{target.name} does not take {describe(satisfying[0])}",
            fix=f"take a format of {formats}" if formats else "take another target",
        )
    return [_with_effort(one, options) for one in taken]


def fallbacks(
    track: Track, target: Target, options: ParsedOptions, encoding: Encoding
) -> tuple[Encoding, ...]:
    """Return the encodings to try when a file of `encoding` is too large, the largest first.

    These are the smaller ones among the candidates. Where the options leave only one, it is the
    same at lower bit rates, down to the floor of its row; there may be none.

    Raises:
        UsageError: no encoding satisfies the options.
    """
    others: Sequence[Encoding] = candidates(track, target, options)
    if len(others) == 1:
        others = at_lower_bit_rates(encoding)
    smaller = (one for one in others if one.bit_rate < encoding.bit_rate)
    return tuple(_with_effort(one, options) for one in smaller)


def why_not_stereo(options: ParsedOptions, track: Track) -> str:
    """Return why a quality that is stereo becomes mono, as a sentence; empty if it does not.

    A source of one channel has no stereo to lose.
    """
    quality = ladder.QUALITIES.get(options.quality)
    if quality is None or quality.channels < 2 or options.channels == 1 or track.channels <= 2:
        return ""
    return f"Its {track.channels} channels become one: stereo is kept where the source is stereo."


def _takes(target: Target, container: str, codec: str) -> bool:
    return codec in target.accepts.get(container, ())


def _with_effort(encoding: Encoding, options: ParsedOptions) -> Encoding:
    return with_best_effort(encoding) if options.effort == "best" else encoding


def _satisfying(options: ParsedOptions, track: Track, target: Target) -> Sequence[Encoding]:
    """The encodings that satisfy the options, whether or not the target takes them, best first."""
    channels = _channels(options, track)
    if options.quality != "auto" or options.bit_rate is not None:
        return [_at_quality(options, track, channels)]
    if target.full_sound and options.format == "auto" and not options.has_encoding_options:
        wav = ENCODINGS["wav"]
        return [wav.encoding(sample_rate_hz=track.sample_rate_hz, channels=track.channels)]
    return _reshaped(ladder.rungs(options.format), options.sample_rate_hz, channels)


def _channels(options: ParsedOptions, track: Track) -> int:
    """How many channels an encoding gets: the option's, else the quality's, else one."""
    most = 2 if track.channels == 2 else 1
    if options.channels is not None and options.channels > most:
        raise UsageError(
            f"channels={options.channels} cannot be made of {track.channels}",
            fix="stereo is kept where the source is stereo, and no mix has two channels; take 1",
        )
    quality = ladder.QUALITIES.get(options.quality)
    return min(options.channels or (quality.channels if quality else 1), most)


def _reshaped(rungs: Sequence[Encoding], rate_hz: int | None, channels: int) -> Sequence[Encoding]:
    """The rungs at another rate and in other channels, without those that cannot be had so."""
    reshaped, refusal = [], None
    for rung in rungs:
        try:
            encoding = spec_of(rung).encoding(
                sample_rate_hz=rate_hz or rung.sample_rate_hz,
                bit_rate=rung.bit_rate,
                channels=channels,
            )
            reshaped.append(encoding)
        except UsageError as error:
            refusal = error
    if not reshaped:
        raise refusal or UsageError("there is no such encoding")
    return reshaped


def _at_quality(options: ParsedOptions, track: Track, channels: int) -> Encoding:
    """The one encoding of a quality or a bit rate.

    The quality decides all that the options leave open. A bit rate alone, and the quality `voice`,
    follow the ladder; the other qualities keep the whole band.
    """
    quality = options.quality if options.quality != "auto" else "voice"
    base = ladder.QUALITIES[quality]
    spec = ENCODINGS["mp3" if options.format == "auto" else options.format]
    channels = min(channels, spec.max_channels)
    rate_hz = spec.fixed_rate_hz or options.sample_rate_hz or base.sample_rate_hz
    if not spec.all_bit_rates:
        return spec.encoding(sample_rate_hz=rate_hz, channels=channels)
    default = base.bit_rate if base.bit_rate in spec.all_bit_rates else spec.rungs[0][0]
    bit_rate = options.bit_rate or default
    if quality == "voice":
        source_hz = track.sample_rate_hz
        return _at_bit_rate(spec, bit_rate, options, source_hz=source_hz, channels=channels)
    encoding = spec.encoding(sample_rate_hz=rate_hz, bit_rate=bit_rate, channels=channels)
    return replace(encoding, cutoff_hz=base.cutoff_hz)


def _at_bit_rate(
    spec: EncodingSpec, bit_rate: int, options: ParsedOptions, *, source_hz: int, channels: int
) -> Encoding:
    """The encoding at a bit rate: like the rung nearest to it, with its sample rate and low-pass.

    Where the rung's rate has no such bit rate, the sound keeps its own rate; where that has none
    either, it gets the 44.1 kHz of the services' template.

    Raises:
        UsageError: there is no such bit rate.
    """
    rungs = ladder.rungs(spec.name)
    nearest = min(rungs, key=lambda one: abs(one.bit_rate - bit_rate))
    asked_hz = options.sample_rate_hz
    rates_hz = (nearest.sample_rate_hz, source_hz, ladder.TEMPLATE_RATE_HZ)
    having_hz = [one for one in rates_hz if spec.has(bit_rate, one, channels)]
    if asked_hz is None and not having_hz and not spec.max_frame_bits:
        raise spec.lacks(bit_rate, spec.all_bit_rates)
    rate_hz = asked_hz or next(iter(having_hz), ladder.TEMPLATE_RATE_HZ)
    return spec.encoding(sample_rate_hz=rate_hz, bit_rate=bit_rate, channels=channels)
