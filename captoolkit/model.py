"""The values that flow through captoolkit, each frozen: what is upstream is never changed.

`MediaInfo -> Plan -> Segment -> Caption -> Entry`, and on to `Timeline` (`timeline/value.py`)

Rules: a time is a whole number of samples together with the rate it is counted at (`Span`), half
open, and its name says whose clock it is on (`source_span` is the source's). Units are in names.
Nothing here opens a file or starts anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction


class Action(StrEnum):
    """What is done to a source to make it fit, from least to most change."""

    PASS_THROUGH = "pass-through"  # noqa: S105 - an action, not a password
    REMUX = "remux"
    COPY = "copy"
    ENCODE = "encode"


class Via(StrEnum):
    """How a segment travels to the service; each way has limits of its own."""

    BASE64 = "base64"
    UPLOAD = "upload"
    URL = "url"


class Status(StrEnum):
    """What became of one entry of a timeline."""

    OK = "ok"
    FAILED = "failed"
    SILENT = "silent"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Span:
    """A half-open stretch of samples: `start_samples <= n < end_samples` at `rate_hz`."""

    start_samples: int
    end_samples: int
    rate_hz: int

    @property
    def samples(self) -> int:
        """How many samples lie in the span."""
        return self.end_samples - self.start_samples

    @property
    def start_s(self) -> float:
        """The start in seconds (for showing; the samples are the truth)."""
        return self.start_samples / self.rate_hz

    @property
    def end_s(self) -> float:
        """The end in seconds (for showing)."""
        return self.end_samples / self.rate_hz

    @property
    def duration_s(self) -> float:
        """The length in seconds (for showing)."""
        return self.samples / self.rate_hz

    @property
    def exact_s(self) -> Fraction:
        """The length in seconds, exactly."""
        return Fraction(self.samples, self.rate_hz)


# ------------------------------------------------------------------------- what is in a file


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One sound track of a media file.

    Attributes:
        number: its place among the file's sound tracks, from 1.
        stream_index: its place among all streams, from 0, as ffmpeg counts.
        codec: ffmpeg's name of it (`aac`, `pcm_s16le`, `amr_nb`).
        duration_samples: exact, at `sample_rate_hz`: what a full decode gives.
        counted: True when the samples were counted because the header could not be trusted.
        bit_rate: bits per second as the header states it, None if it does not.
        language: ISO 639 code from the tags, None if unknown.
        default: the track that a player takes when nobody chooses.
    """

    number: int
    stream_index: int
    codec: str
    sample_rate_hz: int
    channels: int
    layout: str
    duration_samples: int
    counted: bool = False
    bit_rate: int | None = None
    language: str | None = None
    default: bool = False

    @property
    def duration_s(self) -> float:
        """The exact length in seconds (for showing)."""
        return self.duration_samples / self.sample_rate_hz


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A video stream; `is_cover` when it is only a still picture attached to sound."""

    stream_index: int
    codec: str
    is_cover: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaInfo:
    """What a media file holds.

    Attributes:
        path: absolute path of the file.
        container: a short name by what the bytes are, never by the file's name: `wav`, `mp3`,
            `m4a`, `mp4`, `3gp`, `aac` (ADTS), `amr`, `flac`, `matroska`, ...
        plain_header: False for a WAV whose header is EXTENSIBLE, RF64 or the like; else True.
        true_header: False where the header promises more sound than the file holds.
        warnings: what is odd about the file, as sentences.
    """

    path: str
    size_bytes: int
    container: str
    tracks: tuple[Track, ...]
    pictures: tuple[Picture, ...] = ()
    plain_header: bool = True
    true_header: bool = True
    warnings: tuple[str, ...] = ()

    @property
    def default_track(self) -> Track:
        """The track a player would take: the one marked default, else the first."""
        return next((track for track in self.tracks if track.default), self.tracks[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """What a manifest and a timeline say about where they come from."""

    path: str
    sha256: str
    size_bytes: int
    container: str
    codec: str
    sample_rate_hz: int
    channels: int
    track: int
    duration_samples: int

    @property
    def span(self) -> Span:
        """The whole recording on its own clock."""
        return Span(start_samples=0, end_samples=self.duration_samples, rate_hz=self.sample_rate_hz)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """How loud a recording is over its whole length, in some thousand steps.

    A level is one byte: 255 is 0 dBFS and each step down a quarter of a decibel; 0 is -63.75 dBFS
    and everything below it.

    Attributes:
        step_samples: how much of the recording, at `rate_hz`, each level stands for; the last one
            stands for what is left.
        peaks: the loudest sample of each step in any channel, of which 1.0 has 0 dBFS.
        loudness: the mean power of each step over all channels; a full-scale square wave has
            0 dBFS, a sine -3.
    """

    rate_hz: int
    step_samples: int
    duration_samples: int
    peaks: bytes
    loudness: bytes


# -------------------------------------------------------------------------- what will be done


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How samples become a file.

    Attributes:
        format: container and extension: `wav`, `mp3`, `amr` or `aac`; as `probe` names it.
        codec: ffmpeg's name of what comes out (`pcm_s16le`, `mp3`, `amr_nb`, `aac`).
        bit_rate: bits per second; what is lossless counts rate times depth times channels.
        effort: LAME's `compression_level` (7 is twice as fast as 5), None for other codecs.
        cutoff_hz: low-pass given to the encoder, None to leave it to it.
        sample_type: where each sample is kept as it is, the type that holds it (`int16`, `int32`,
            `float32`, `float64`); empty where samples are clipped, rounded or compressed.
    """

    format: str
    codec: str
    sample_rate_hz: int
    channels: int
    bit_rate: int
    effort: int | None = None
    cutoff_hz: int | None = None
    sample_type: str = ""

    @property
    def depth_bits(self) -> int:
        """Bits of a sample, of what is lossless."""
        return self.bit_rate // (self.sample_rate_hz * self.channels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a service charges in one region, per million tokens."""

    region: str
    currency: str
    input_per_million: Decimal
    output_per_million: Decimal
    source: str
    checked: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """An amount of money."""

    currency: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A number about a service, and who says so.

    Attributes:
        value: the number, in the unit that its name ends in.
        source: title of the page it was read on.
        checked: the day it was read, as YYYY-MM-DD.
        note: how the source puts it, where that matters.
    """

    value: Fraction
    source: str
    checked: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A service model: what it takes, what it counts, what it costs.

    Attributes:
        accepts: codecs taken, by container.
        facts: the limits and rates by name; one that is absent is unknown.
        on_exceed: `error` or `truncate`: what the service does with a longer clip.
        full_sound: whether it hears more than 16 kHz mono: rate and channels are then kept.
        prompt, system, turns: whether a prompt, a system message, several turns are allowed.
        hosted_by: on whose hosts the prices and rates hold; empty where they hold anywhere.
        region: which of these hosts is asked where nothing is said; empty for the usual one.
        protocols: the captioners that speak with it on these hosts; empty where all do.
    """

    name: str
    title: str
    models: tuple[str, ...]
    accepts: Mapping[str, tuple[str, ...]]
    facts: Mapping[str, Fact]
    prices: tuple[Price, ...] = ()
    on_exceed: str = "error"
    full_sound: bool = False
    prompt: bool = False
    system: bool = False
    turns: bool = False
    hosted_by: str = ""
    region: str = ""
    protocols: tuple[str, ...] = ()

    def limit(self, name: str) -> Fraction | None:
        """Return the value of the fact called `name`, None where it is unknown."""
        fact = self.facts.get(name)
        return fact.value if fact else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRange:
    """What a plan will cost in one region: from empty answers to the longest possible ones.

    `most` is None where the longest answer is unknown.
    """

    region: str
    currency: str
    least: Decimal
    most: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be done to one track of one file, decided before anything is touched.

    Attributes:
        target: the service model that takes the files; None where no service does (`split`).
        via: the way in which they travel to it; None without a target.
        encoding: how segments are made; None where the frames or the bytes stay as they are.
        fallbacks: the encodings for a segment that comes out too large, largest first.
        suffix: what the names of the files end in, without the dot.
        muxer: the container that packets are copied into, as ffmpeg names it; empty where frames
            become a raw stream, and where nothing is copied.
        mix: one row of channel weights per channel that comes out; None keeps the channels.
        spans: balanced segments on the source's clock; `prepare` moves each edge between two to
            the quietest point within `reach_samples`, counted at the track's rate.
        skipped: what lies in no segment because it is silent.
        marks: samples of the source at which two segments meet and their edge does not move.
        tags: names and values that each file gets.
        titles: for each span the title that its file gets; an empty one adds none.
        max_segment_samples: no segment may be longer, at the track's rate.
        max_segment_bytes: no file may be larger, raw bytes; None for no limit.
        audio_tokens: what the service will count for the sound of all segments.
        input_tokens: the same with what each request adds.
        reasons: what is done and why, as sentences.
    """

    info: MediaInfo
    track: Track
    target: Target | None = None
    via: Via | None = None
    action: Action
    encoding: Encoding | None
    fallbacks: tuple[Encoding, ...] = ()
    suffix: str
    muxer: str = ""
    mix: tuple[tuple[float, ...], ...] | None = None
    spans: tuple[Span, ...]
    skipped: tuple[Span, ...] = ()
    marks: tuple[int, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    titles: tuple[str, ...] = ()
    reach_samples: int
    max_segment_samples: int
    max_segment_bytes: int | None = None
    audio_tokens: int = 0
    input_tokens: int = 0
    costs: tuple[CostRange, ...] = ()
    reasons: tuple[str, ...]


# ------------------------------------------------------------------------- what came of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One finished file for one request, and where in the source it lies."""

    index: int
    source_span: Span
    file: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as a service counted them; None where it said nothing.

    `predicted_input_tokens` is what was expected of the sound, to be held beside `input_tokens`.
    """

    audio_tokens: int | None = None
    text_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    predicted_input_tokens: int | None = None

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            **{name: _sum(getattr(self, name), getattr(other, name)) for name in USAGE_FIELDS}
        )


USAGE_FIELDS = (
    "audio_tokens",
    "text_tokens",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "predicted_input_tokens",
)


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """What a captioner said about one segment."""

    text: str
    finish_reason: str | None = None
    request_id: str | None = None
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionerInfo:
    """Who was asked: never a key."""

    name: str
    model: str
    base_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One stretch of the timeline: a caption, a hole with its reason, or a silence."""

    index: int
    source_span: Span
    status: Status
    text: str = ""
    finish_reason: str | None = None
    request_id: str | None = None
    error: str | None = None
    usage: Usage = field(default_factory=Usage)
