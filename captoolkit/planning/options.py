"""The options of a plan: what the caller wants beyond the target's limits.

Rules: an option that no plan can satisfy is refused in one line that names the values that can be
had. `planning.fitting` chooses the encodings that satisfy the options.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral

from captoolkit.bitstream.encodings import ENCODINGS
from captoolkit.errors import UsageError
from captoolkit.planning import ladder
from captoolkit.units import format_length

SHORTEST_S = 1  # a service bills a shorter clip as one second
EFFORTS = ("fast", "best")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedOptions:
    """What the caller wants beyond what the target's limits demand; None and auto: nothing.

    Attributes:
        format: `auto`, or a name in `encodings.ENCODINGS`: wav, mp3, aac, amr, gsm.
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


def refuse_nonsense(options: ParsedOptions) -> None:
    """Raise for a wish that nothing can meet, and for one that the format fixes itself.

    Raises:
        UsageError: there is such a wish; says what can be had.
    """
    if options.format not in ("auto", *ENCODINGS):
        raise UsageError(
            f"format={options.format} is not one that is made",
            fix=f"take auto, {', '.join(ENCODINGS)}",
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
                f"segments of {format_length(length_s)} are too short: services count at least a "
                "second",
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
    if options.format == "auto":
        return
    spec = ENCODINGS[options.format]
    name, rates = spec.name.upper(), spec.all_bit_rates
    if options.bit_rate is not None and not rates:
        raise UsageError(
            f"bit_rate={options.bit_rate} cannot be had of {name}: its sample rate decides",
            fix="leave one of them out",
        )
    if len(rates) == 1 and options.bit_rate not in (None, *rates):
        raise UsageError(
            f"bit_rate={options.bit_rate} cannot be had of {name}: it has "
            f"{rates[0] / 1000:g} kbit/s",
            fix="leave the bit rate out, or take amr or mp3",
        )
    rate_hz = spec.fixed_rate_hz
    if rate_hz and (
        options.sample_rate_hz not in (None, rate_hz) or (options.channels or 1) > spec.max_channels
    ):
        raise UsageError(
            f"{name} is {rate_hz / 1000:g} kHz mono",
            fix="leave the sample rate and the channels out, or take mp3",
        )
