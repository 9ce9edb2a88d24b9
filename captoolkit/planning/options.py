"""The options of `plan`, `prepare` and `split`: their types and meanings, and how they are read.

The `TypedDict`s describe each keyword argument once; the docstrings of the verbs are completed from
them. `parse_plan_options` and `parse_split_options` turn the arguments of a call into one
`ParsedOptions`.

Rules: reading options opens nothing. An option that no plan can satisfy raises a `UsageError` that
names the values that can be had. `planning.fitting` chooses the encodings that satisfy the options.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Literal, TypedDict, get_args

from captoolkit.bitstream import pcm_layout
from captoolkit.bitstream.encodings import ENCODINGS
from captoolkit.errors import UsageError
from captoolkit.model import LoudnessTarget, Target, Via
from captoolkit.planning import gain as gains
from captoolkit.planning import ladder
from captoolkit.support.keywords import parse_count, parse_option
from captoolkit.units import format_length, parse_bit_rate, parse_duration

Length = str | float | Fraction  # seconds, or a text that `units.parse_duration` reads
FormatName = Literal["auto", "wav", "mp3", "aac", "amr", "gsm"]
QualityName = Literal["auto", "voice", "podcast", "music"]
EffortName = Literal["fast", "best"]
ViaName = Literal["auto", "base64", "upload", "url"]
CutMarks = Literal["chapters"]

SHORTEST_S = 1  # a service bills a shorter clip as one second
MAX_DURATION_S = Fraction(48 * 3600)  # a longer recording is more likely a forged header
DEFAULT_SILENCE_S = Fraction(10)
SHORTEST_SILENCE_S = Fraction(1)
MOST_CHANNELS = 2


class DeliveryOptions(TypedDict, total=False):
    """The service that the files are for, and how they travel to it.

    Attributes:
        target: the segments keep its limits: a `Target`, or the name of one, or of its model.
            None is `qwen3-omni-captioner`, whose files fit everywhere, or the target of the model
            if a captioner is given.
        via: how the sound travels: `base64` (the default), `upload`, `url`; or `auto`, which is
            `base64` unless another way keeps more of the sound. Each way has its own size limit.
    """

    target: str | Target | None
    via: ViaName | Via


class SegmentOptions(TypedDict, total=False):
    """Which sound track is used, and how long its segments are.

    Attributes:
        segment: the length of a segment, roughly: seconds, or a text such as `30s`. Segments get
            from half of it to one and a half.
        max_segment: the greatest length of a segment, in the same forms; there are as few segments
            as pauses allow.
        parts: the number of segments.
        track: the number of a sound track, from 1, or its language; None is the default track.
        max_duration: the greatest length of a recording, 48 hours if it is not given; a longer
            recording raises `InputError`.
        raw: the samples of a file without a header, as `FORMAT:RATE:CHANNELS`: `s16le:16000:1`.
    """

    segment: Length | None
    max_segment: Length | None
    parts: int | None
    track: int | str | None
    max_duration: Length
    raw: str | None


class PlanOptions(DeliveryOptions, SegmentOptions, total=False):
    """The keyword arguments of `plan` and `prepare`: the sound that is wanted.

    Attributes:
        format: `wav`, `mp3`, `aac`, `amr`, or `gsm` (a WAV); `auto` (the default) takes the format
            that loses least and fits.
        quality: a setting that the services recommend: `voice` is MP3 at 64 kbit/s, `podcast`
            128 kbit/s, `music` 192 kbit/s in stereo; `auto` (the default) is the best that fits.
        bit_rate: bits per second, or a text such as `64k`.
        sample_rate_hz: samples per second of the files.
        channels: 1, or 2 if the source has two.
        effort: `fast` (the default), or `best` for the slower settings of the MP3 encoder at bit
            rates where they sound better.
        gain: `auto` (the default) turns floating-point sound above full scale down until its peak
            fits; `none` leaves it to be clipped; a number of dB is applied to any recording.
        normalize: the loudness in LUFS, or (LUFS, largest true peak in dBTP), to which one gain
            brings the whole recording; None is the loudness that the target's row prefers, if it
            states one, and `none` leaves the loudness alone.
        skip_silence: leave out silences of at least this length; True is ten seconds. Times stay
            on the clock of the source.
    """

    format: FormatName
    quality: QualityName
    bit_rate: str | int | None
    sample_rate_hz: int | None
    channels: Literal[1, 2] | None
    effort: EffortName
    gain: str | float
    normalize: str | float | tuple[float, float] | LoudnessTarget | None
    skip_silence: Length | bool | None


class SplitOptions(SegmentOptions, total=False):
    """The keyword arguments of `split`: where the recording is cut.

    Attributes:
        exact: cut at the sample instead of between two frames; the decoded sound of a lossy codec
            is then kept as FLAC.
        at: `chapters` cuts at the recording's chapter marks; longer chapters are cut as well.
    """

    exact: bool
    at: CutMarks | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedOptions:
    """The options of one call, read and exact; None and `auto` leave the choice to the plan.

    Attributes:
        segment_s: the length of a segment, roughly.
        max_segment_s: the greatest length of a segment.
        track: the number or the language of a sound track.
        max_duration_s: the greatest length of a recording.
        raw: the samples of a file without a header, as `pcm_layout.parse_raw` reads them.
        gain: `auto`, `none`, or a number of dB.
        normalize: the loudness to bring the recording to.
        skip_silence_s: the least length of a silence that is left out.
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
    track: int | str | None = None
    max_duration_s: Fraction = MAX_DURATION_S
    raw: str | None = None
    gain: str | float = gains.AUTO
    normalize: LoudnessTarget | None = None
    skip_silence_s: Fraction | None = None

    @property
    def gain_db(self) -> float | None:
        """The gain that the caller states; None where the plan chooses it."""
        return self.gain if isinstance(self.gain, float) and self.gain else None

    @property
    def has_encoding_options(self) -> bool:
        """Whether the options name properties of the encoding, beside its format."""
        return bool(self.encoding_options_text)

    @property
    def encoding_options_text(self) -> str:
        """The properties of the encoding that the options name, for a sentence; empty for none."""
        lufs = self.normalize.lufs if self.normalize else 0
        wanted = (
            (self.quality != "auto", f"{self.quality} quality"),
            (self.bit_rate is not None, f"{(self.bit_rate or 0) / 1000:g} kbit/s"),
            (self.sample_rate_hz is not None, f"a sample rate of {self.sample_rate_hz} Hz"),
            (self.gain_db is not None, f"a gain of {self.gain_db or 0:+g} dB"),
            (self.normalize is not None, f"a loudness of {lufs:g} LUFS"),
            (self.channels is not None, {1: "mono", 2: "stereo"}.get(self.channels or 0, "sound")),
        )
        return " and ".join(words for is_wanted, words in wanted if is_wanted)


def option_values(options: ParsedOptions) -> dict[str, str | int | float | bool]:
    """Return the options that decide the result and differ from the defaults, by their keywords.

    Lengths are seconds, a loudness is a text. The greatest length of a recording does not decide
    the result.

    ```python
    >>> option_values(ParsedOptions(segment_s=Fraction(30), channels=1))
    {'channels': 1, 'segment': 30}
    >>> option_values(ParsedOptions(normalize=LoudnessTarget(lufs=-23.0)))
    {'normalize': '-23,-1'}

    ```
    """
    values = {}
    for field in fields(options):
        value = getattr(options, field.name)
        if value != field.default and field.name != "max_duration_s":
            if isinstance(value, Fraction):
                value = int(value) if value.denominator == 1 else float(value)
            elif isinstance(value, LoudnessTarget):
                value = f"{value.lufs:g},{value.true_peak_dbtp:g}"
            values[field.name.removesuffix("_s")] = value
    return values


# -------------------------------------------------------------------------------- reading


def parse_plan_options(options: PlanOptions) -> ParsedOptions:
    """Return the options of a `plan`, except for target and way, checked.

    Raises:
        UsageError: no plan can satisfy one of them.
    """
    parsed = ParsedOptions(
        format=options.get("format", "auto"),
        quality=options.get("quality", "auto"),
        bit_rate=_bit_rate(options.get("bit_rate")),
        sample_rate_hz=options.get("sample_rate_hz"),
        channels=options.get("channels"),
        effort=options.get("effort", "fast"),
        segment_s=_optional_length("segment", options.get("segment")),
        max_segment_s=_optional_length("max_segment", options.get("max_segment")),
        parts=options.get("parts"),
        track=options.get("track"),
        max_duration_s=parse_option(
            "max_duration", parse_duration, options.get("max_duration", MAX_DURATION_S)
        ),
        raw=None if options.get("raw") is None else checked_raw(str(options.get("raw"))),
        gain=gains.parse_gain(options.get("gain", gains.AUTO)),
        normalize=gains.parse_normalize(options.get("normalize")),
        skip_silence_s=_silence_s(options.get("skip_silence")),
    )
    check_options(parsed)
    return parsed


def parse_split_options(options: SplitOptions) -> ParsedOptions:
    """Return the options of a `split`, except for where it cuts, checked.

    Raises:
        UsageError: no split can satisfy one of them.
    """
    at, parts = options.get("at"), options.get("parts")
    if at not in (None, *get_args(CutMarks)):
        raise UsageError(
            f"at={at} is not a place to cut at",
            fix=f"take {', '.join(get_args(CutMarks))}, or leave it out",
        )
    if at is not None and parts is not None:
        raise UsageError(
            f"parts={parts} and at={at} both set the number of pieces", fix="leave one of them out"
        )
    parsed = ParsedOptions(
        segment_s=_optional_length("segment", options.get("segment")),
        max_segment_s=_optional_length("max_segment", options.get("max_segment")),
        parts=parts,
        track=options.get("track"),
        max_duration_s=parse_option(
            "max_duration", parse_duration, options.get("max_duration", MAX_DURATION_S)
        ),
        raw=None if options.get("raw") is None else checked_raw(str(options.get("raw"))),
    )
    check_options(parsed)
    return parsed


def checked_raw(text: str) -> str:
    """Return the description of samples without a header.

    Raises:
        UsageError: the text has another form.
    """
    pcm_layout.parse_raw(text)
    return text


def _bit_rate(bit_rate: int | str | None) -> int | None:
    return (
        parse_option("bit_rate", parse_bit_rate, bit_rate)
        if isinstance(bit_rate, str)
        else bit_rate
    )


def _optional_length(name: str, length: Length | None) -> Fraction | None:
    return None if length is None else parse_option(name, parse_duration, length)


def _silence_s(length: Length | bool | None) -> Fraction | None:
    """The least length of a silence that is left out; None keeps all silences."""
    if length is None or length is False:
        return None
    least_s = (
        DEFAULT_SILENCE_S
        if length is True
        else parse_option("skip_silence", parse_duration, length)
    )
    if least_s < SHORTEST_SILENCE_S:
        raise UsageError(
            f"skip_silence={format_length(least_s)} is too short a silence",
            fix="ask for a second or more",
        )
    return least_s


# ------------------------------------------------------------------------------- checking


def check_options(options: ParsedOptions) -> None:
    """Raise for an option that no plan can satisfy, and for two that contradict each other.

    Raises:
        UsageError: one does; the message names the values that can be had.
    """
    _check_choice("format", options.format, ("auto", *ENCODINGS))
    _check_choice("quality", options.quality, ("auto", *ladder.QUALITIES))
    _check_choice("effort", options.effort, get_args(EffortName))
    for length_s in (options.segment_s, options.max_segment_s):
        if length_s is not None and length_s < SHORTEST_S:
            raise UsageError(
                f"segments of {format_length(length_s)} are too short: services count at least a "
                "second",
                fix="ask for 1s or more",
            )
    if options.segment_s and options.max_segment_s and options.segment_s > options.max_segment_s:
        raise UsageError(
            f"segment={format_length(options.segment_s)} is longer than "
            f"max_segment={format_length(options.max_segment_s)}",
            fix="shorten `segment`, or raise `max_segment`",
        )
    for name in ("bit_rate", "sample_rate_hz", "channels", "parts"):
        _check_count(name, getattr(options, name))
    if not isinstance(options.track, str | None):
        _check_count("track", options.track)
    if options.channels is not None and options.channels > MOST_CHANNELS:
        raise UsageError(
            f"channels={options.channels} is not possible",
            fix="take 1, or 2 of a source that has two channels",
        )
    if options.normalize is not None and options.gain_db is not None:
        raise UsageError(
            "`gain` and `normalize` both set the level", fix="leave one of the two options out"
        )
    _check_format(options)


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{name}={value} is not known", fix=f"take {', '.join(choices)}")


def _check_count(name: str, value: object) -> None:
    if value is not None:
        parse_count(name, value, fix="leave it out, or ask for more")


def _check_format(options: ParsedOptions) -> None:
    """Raise for a bit rate, a sample rate or channels that contradict the format."""
    if options.format == "auto":
        return
    spec = ENCODINGS[options.format]
    name, rates = spec.name.upper(), spec.all_bit_rates
    if options.bit_rate is not None and not rates:
        raise UsageError(
            f"bit_rate={options.bit_rate} does nothing for {name}: its sample rate decides",
            fix="leave out the bit rate or the format",
        )
    if len(rates) == 1 and options.bit_rate not in (None, *rates):
        raise UsageError(
            f"bit_rate={options.bit_rate} is not the bit rate of {name}, which is always "
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
