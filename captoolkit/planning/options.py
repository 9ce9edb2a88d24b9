"""What the caller wants beyond the limits, and the encodings that meet it.

Rules: a wish that nothing can meet is refused in one line that says what can be had; what a wish
leaves open is filled from the ladder, best first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral

from captoolkit.errors import UsageError
from captoolkit.model import Encoding, Target, Track
from captoolkit.planning import ladder
from captoolkit.services.rows import clock

SHORTEST_S = 1  # a service bills a shorter clip as one second
EFFORTS = ("fast", "best")
TELEPHONE_FORMATS = ("gsm", "amr")  # 8 kHz mono, whatever is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedOptions:
    """What the caller wants beyond what the target's limits demand; None and auto: nothing.

    Attributes:
        format: `auto`, or a name in `ladder.FORMATS`: wav, mp3, aac, amr, gsm.
        quality: `auto`, or a name of the services' own FFmpeg guidance: voice, podcast, music.
        effort: `fast`, or `best` for the encoder's slower settings where they sound better.
        segment_s: about how long a segment shall be.
        max_segment_s: how long a segment may be at most.
        parts: how many segments there shall be.
    """

    format: str = "auto"
    quality: str = "auto"
    bit_rate: int | None = None
    sample_rate_hz: int | None = None
    channels: int | None = None
    effort: str = "fast"
    segment_s: Fraction | None = None
    max_segment_s: Fraction | None = None
    parts: int | None = None

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


def refuse_nonsense(options: ParsedOptions) -> None:
    """Raise for a wish that nothing can meet, and for one that the format fixes itself.

    Raises:
        UsageError: there is such a wish; says what can be had.
    """
    if options.format not in ("auto", *ladder.FORMATS):
        raise UsageError(
            f"format={options.format} is not one that is made",
            fix=f"take auto, {', '.join(ladder.FORMATS)}",
        )
    if options.quality not in ("auto", *ladder.QUALITIES):
        raise UsageError(
            f"quality={options.quality} is not known",
            fix=f"take auto, {', '.join(ladder.QUALITIES)}",
        )
    if options.effort not in EFFORTS:
        raise UsageError(
            f"effort={options.effort} is not known", fix=f"take {' or '.join(EFFORTS)}"
        )
    for name in ("segment_s", "max_segment_s"):
        length_s = getattr(options, name)
        if length_s is not None and length_s < SHORTEST_S:
            raise UsageError(
                f"segments of {clock(length_s)} are shorter than what services count as a second",
                fix="ask for 1s or more",
            )
    for name in ("bit_rate", "sample_rate_hz", "channels", "parts"):
        value = getattr(options, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, Integral)):
            raise UsageError(f"{name}={value!r} must be a whole number")
        if value is not None and value < 1:
            raise UsageError(
                f"{name}={value} must be at least 1", fix="leave it out, or ask for more"
            )
    _refuse_what_the_format_fixes(options)


def _refuse_what_the_format_fixes(options: ParsedOptions) -> None:
    """Raise for a rate or channels that the format does not leave open."""
    if options.format == "wav" and options.bit_rate is not None:
        raise UsageError(
            f"bit_rate={options.bit_rate} cannot be had of WAV: its sample rate decides",
            fix="leave one of them out",
        )
    if options.format == "gsm" and options.bit_rate not in (None, ladder.gsm().bit_rate):
        raise UsageError(
            f"bit_rate={options.bit_rate} cannot be had of GSM: it has 13 kbit/s",
            fix="leave the bit rate out, or take amr or mp3",
        )
    if options.format in TELEPHONE_FORMATS and (
        options.sample_rate_hz not in (None, 8_000) or options.channels not in (None, 1)
    ):
        raise UsageError(
            f"{options.format.upper()} is 8 kHz mono",
            fix="leave the sample rate and the channels out, or take mp3",
        )
