"""The values that pass from stage to stage: `MediaInfo`, `Plan`, `Segment`, `Caption`, `Entry`.

`probe` returns a `MediaInfo`, `plan` a `Plan`, `prepare` makes each `Segment`, a captioner returns
a `Caption` of it, and `Entry` is its place in a `Timeline` (`captoolkit.timeline`).

Rules: values are frozen and have keyword arguments only. A position in time is a whole number of
samples at a stated rate; a stretch of time is a `Span`, and the name of the field says on which
clock it lies (`source_span`: the source's). Seconds as floats are for display. Names end in their
unit: `_samples`, `_hz`, `_s`, `_bytes`. No function in this module opens a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any

__all__ = [
    "USAGE_FIELDS",
    "Action",
    "Caption",
    "CaptionerInfo",
    "Chapter",
    "Cost",
    "CostRange",
    "Dialect",
    "Encoding",
    "Entry",
    "Envelope",
    "Fact",
    "LoudnessTarget",
    "MediaInfo",
    "Picture",
    "Plan",
    "Price",
    "Segment",
    "SourceInfo",
    "Span",
    "Status",
    "SubtitleTrack",
    "Target",
    "Track",
    "Usage",
    "Via",
]


class Action(StrEnum):
    """The change that makes a source fit its target, from the least to the greatest.

    `PASS_THROUGH` keeps the file byte by byte; `REMUX` moves its frames to another container;
    `COPY` divides its frames among segments; `ENCODE` decodes and encodes the sound.
    """

    PASS_THROUGH = "pass-through"  # noqa: S105 - an action, not a password
    REMUX = "remux"
    COPY = "copy"
    ENCODE = "encode"


class Dialect(StrEnum):
    """How a chat completion carries sound.

    `MODEL_STUDIO` is an `input_audio` part with a data URI or a URL, `AUDIO_URL` an `audio_url`
    part with the same, `OPENAI` an `input_audio` part with bare Base64 text and a format's name.
    """

    MODEL_STUDIO = "model-studio"
    AUDIO_URL = "audio-url"
    OPENAI = "openai"


class Via(StrEnum):
    """The way of a segment to the service; each way has its own size limit.

    `BASE64` puts it into the request, `UPLOAD` into the service's temporary storage, `URL` lets the
    service fetch the source itself.
    """

    BASE64 = "base64"
    UPLOAD = "upload"
    URL = "url"


class Status(StrEnum):
    """The state of an entry: captioned, without a caption because of an error, or left out."""

    OK = "ok"
    FAILED = "failed"
    SILENT = "silent"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Span:
    """A half-open stretch of samples: `start_samples <= n < end_samples` at `rate_hz`.

    ```python
    >>> span = Span(start_samples=0, end_samples=12_000, rate_hz=8_000)
    >>> span.samples, span.exact_s, span.end_s
    (12000, Fraction(3, 2), 1.5)

    ```
    """

    start_samples: int
    end_samples: int
    rate_hz: int

    @property
    def samples(self) -> int:
        """The number of samples."""
        return self.end_samples - self.start_samples

    def shifted(self, by_samples: int) -> Span:
        """Return the stretch that is later by `by_samples`."""
        return Span(
            start_samples=self.start_samples + by_samples,
            end_samples=self.end_samples + by_samples,
            rate_hz=self.rate_hz,
        )

    @property
    def start_s(self) -> float:
        """The start in seconds, for display."""
        return self.start_samples / self.rate_hz

    @property
    def end_s(self) -> float:
        """The end in seconds, for display."""
        return self.end_samples / self.rate_hz

    @property
    def duration_s(self) -> float:
        """The length in seconds, for display."""
        return self.samples / self.rate_hz

    @property
    def exact_s(self) -> Fraction:
        """The length in seconds, exactly."""
        return Fraction(self.samples, self.rate_hz)


# ------------------------------------------------------------------------ media files


@dataclass(frozen=True, slots=True, kw_only=True)
class Discontinuity:
    """A place where a track's time stamps do not follow from its sound.

    Attributes:
        at_samples: the decoded sample at which it is, at the track's rate.
        samples: the length of the gap, which counts as silence before that sample; for an overlap
            minus the number of decoded samples that are dropped from there on, because their time
            has been heard already.
    """

    at_samples: int
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One sound track of a media file.

    Attributes:
        number: the position among the file's sound tracks, from 1.
        stream_index: the position among all streams of the file, from 0, as in ffmpeg.
        codec: ffmpeg's name of the codec (`aac`, `pcm_s16le`, `amr_nb`).
        layout: ffmpeg's name of the channel layout (`mono`, `stereo`, `5.1`).
        duration_samples: the exact length of the sound, at `sample_rate_hz`: the decoded samples,
            with the silence of gaps in the time stamps and without overlaps.
        start_samples: how much later than the file's clock the sound begins; 0 for most files.
        discontinuities: gaps and overlaps in the time stamps, in order.
        is_edited: True if an edit list (of an Opus also a long pre-skip) cuts sound away that the
            packets still hold, so that copied packets would bring it back.
        is_steady: False if sample rate or channels change on the way.
        counted: True if the samples were counted because the header is not reliable.
        reading: options with which ffmpeg reads the samples by their place in the file, where the
            header is missing or misleads ffmpeg; empty as a rule.
        bit_rate: bits per second as the header states them; None if it states none.
        language: the ISO 639 code in the tags; None if absent.
        default: True for the track that a player selects by default.
    """

    number: int
    stream_index: int
    codec: str
    sample_rate_hz: int
    channels: int
    layout: str
    duration_samples: int
    start_samples: int = 0
    discontinuities: tuple[Discontinuity, ...] = ()
    is_edited: bool = False
    is_steady: bool = True
    counted: bool = False
    reading: tuple[tuple[str, str | int], ...] = ()
    bit_rate: int | None = None
    language: str | None = None
    default: bool = False

    @property
    def duration_s(self) -> float:
        """The length in seconds, for display."""
        return self.duration_samples / self.sample_rate_hz

    @property
    def end_samples(self) -> int:
        """The end of the sound on the file's clock."""
        return self.start_samples + self.duration_samples

    @property
    def gaps(self) -> tuple[Span, ...]:
        """The gaps in the time stamps, on the track's clock, which begins with its first sample."""
        passed, gaps = 0, []
        for one in self.discontinuities:
            start = one.at_samples + passed
            passed += one.samples
            if one.samples > 0:
                end = one.at_samples + passed
                gaps.append(Span(start_samples=start, end_samples=end, rate_hz=self.sample_rate_hz))
        return tuple(gaps)

    def on_file_clock(self, span: Span) -> Span:
        """Return a stretch of the track as the file's clock counts it."""
        return span.shifted(self.start_samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A video stream; `is_cover` is True for a still picture that is attached to the sound."""

    stream_index: int
    codec: str
    is_cover: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtitleTrack:
    """A subtitle track; `number` counts the subtitle tracks from 1."""

    number: int
    stream_index: int
    codec: str
    language: str | None = None
    is_default: bool = False
    is_forced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A chapter of a recording.

    Attributes:
        start_s: the start on the recording's clock.
        title: on one line; empty without a title.
        end_s: the end on that clock; None if it was not read.
    """

    start_s: Fraction
    title: str
    end_s: Fraction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaInfo:
    """The content of a media file.

    Attributes:
        path: the absolute path of the file, or its public name if it was no file.
        container: a short name, read from the bytes and not from the file's name: `wav`, `mp3`,
            `m4a`, `mp4`, `3gp`, `aac` (ADTS), `amr`, `flac`, `matroska`, ...
        tracks: the sound tracks; there is at least one.
        pictures: the video streams.
        subtitles: the subtitle tracks.
        chapters: on the clock of a player; one that begins before its zero begins there.
        plain_header: False for a WAV with an EXTENSIBLE, RF64 or similar header; else True.
        misreadings: how some readers get other sound out of the unchanged file, as sentences;
            such a file is not passed on.
        warnings: irregularities of the file, as sentences.
    """

    path: str
    size_bytes: int
    container: str
    tracks: tuple[Track, ...]
    pictures: tuple[Picture, ...] = ()
    subtitles: tuple[SubtitleTrack, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    plain_header: bool = True
    misreadings: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def default_track(self) -> Track:
        """The track that a player selects: the one marked default, else the first."""
        return next((track for track in self.tracks if track.default), self.tracks[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """The source of a manifest or a timeline.

    Attributes:
        sha256: in hexadecimal; empty if it is unknown.
        codec, sample_rate_hz, channels: those of the track.
        track: the number of the track, from 1.
        duration_samples: the end of the track on the file's clock, at `sample_rate_hz`.
        start_samples: the start of the track on that clock: later than 0 where the sound begins
            later than the picture.
    """

    path: str
    sha256: str
    size_bytes: int
    container: str
    codec: str
    sample_rate_hz: int
    channels: int
    track: int
    duration_samples: int
    start_samples: int = 0

    @property
    def span(self) -> Span:
        """The whole recording, from the beginning of its clock."""
        return Span(start_samples=0, end_samples=self.duration_samples, rate_hz=self.sample_rate_hz)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The level of a recording over its whole length, in some thousand steps.

    A level is one byte: 255 is 0 dBFS, each step below is a quarter of a decibel, and 0 is
    -63.75 dBFS or less.

    Attributes:
        step_samples: the length of a step, at `rate_hz`; the last step may be shorter.
        peaks: the level of the loudest sample of each step in any channel; 1.0 is 0 dBFS.
        loudness: the level of the mean power of each step over all channels; a full-scale square
            wave has 0 dBFS, a full-scale sine -3 dBFS.
    """

    rate_hz: int
    step_samples: int
    duration_samples: int
    peaks: bytes
    loudness: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrogram:
    """The power of a recording in mel bands up to 8 kHz, in at most some thousand columns.

    Attributes:
        bands: the number of bands; the first is the lowest.
        column_samples: the length of a column, at `rate_hz`; the last column may be shorter.
        levels: one byte for each band of each column, column by column: 31 is the level of the
            loudest, each step below is 2.5 dB.
    """

    bands: int
    rate_hz: int
    column_samples: int
    levels: bytes


# --------------------------------------------------------------- encodings, targets, plans

DEFAULT_TRUE_PEAK_DBTP = -1.0  # EBU R 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """The settings that make a file of samples.

    Attributes:
        format: the container and the file's suffix: `wav`, `mp3`, `amr`, `aac`, or the container of
            a lossless copy; the same name that `probe` reports.
        codec: ffmpeg's name of the codec (`pcm_s16le`, `mp3`, `amr_nb`, `aac`).
        bit_rate: bits per second; for lossless codecs rate times depth times channels.
        effort: LAME's `compression_level` (7 is twice as fast as 5); None for other codecs.
        cutoff_hz: the encoder's low-pass filter; None leaves it to the encoder.
        sample_type: the type that holds each sample unchanged (`int16`, `int32`, `float32`,
            `float64`); empty if samples are clipped, rounded or compressed.
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
        """The bits of one sample, for lossless codecs."""
        return self.bit_rate // (self.sample_rate_hz * self.channels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The price of a service in one region, per million tokens.

    Attributes:
        currency: the ISO 4217 code.
        input_per_million: of text, and of sound if that has no price of its own.
        audio_input_per_million: of sound; None if it costs as much as text.
        until: the last day on which the price holds; None if the page states none.
        source: the title of the page with the price.
        checked: the day on which the page was read, as YYYY-MM-DD.
    """

    region: str
    currency: str
    input_per_million: Decimal
    output_per_million: Decimal
    source: str
    checked: str
    audio_input_per_million: Decimal | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """An amount of money."""

    currency: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A limit or a rate of a service, with its source.

    Attributes:
        value: the number, in the unit at the end of the fact's name.
        source: the title of the page with the number.
        checked: the day on which the page was read, as YYYY-MM-DD.
        note: the wording of the page, if it matters.
    """

    value: Fraction
    source: str
    checked: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoudnessTarget:
    """A loudness to bring a recording to, after ITU-R BS.1770.

    Attributes:
        lufs: the integrated loudness.
        true_peak_dbtp: the largest true peak; where it is reached first, the recording stays
            quieter.
    """

    lufs: float
    true_peak_dbtp: float = DEFAULT_TRUE_PEAK_DBTP


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A service model: the files that it accepts, its limits and its prices.

    Attributes:
        title: the name for people.
        models: the service's names of the model.
        accepts: the accepted codecs, by container.
        facts: limits and rates by name; an absent one is unknown.
        prices: one for each region and currency; empty if they are unknown.
        on_exceed: `error` or `truncate`: the service's reaction to a clip that is too long.
        full_sound: True if the model hears more than 16 kHz mono; rate and channels are then kept.
        prompt, system, turns: whether the model takes a prompt, a system message, several turns.
        hosted_by: the provider on whose hosts prices and rates hold; empty if they hold anywhere.
        region: the default region; empty for the provider's usual one.
        protocols: the captioners that can reach the model there; empty if all can.
        loudness: the loudness that the service prefers; None if it states none.
        dialect: how a chat completion carries sound there; None if the base URL decides.
        base_url: where requests go if the caller names no base URL; empty if that is unknown.
        hosts: further hosts of the service, such as `*.openai.azure.com`.
        key_variable: the environment variable of the key; empty for `DASHSCOPE_API_KEY`.
        key_header: the header that holds the key alone; empty for `Authorization: Bearer KEY`.
        headers, query: names and values that each request has.
        body: the members that each request body has besides model and messages.
        max_tokens_name: the name of the member that limits the answer's tokens.
        default_prompt: the question about each segment if the caller gives none.
        must_stream: whether the service answers only requests for a stream.
        has_format: whether `input_audio` names the format in the dialect `model-studio`, too.
        timeout_s: the longest time of a request; None for captoolkit's own.
        silence_s: the longest time without a byte of the answer; None for captoolkit's own.
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
    loudness: LoudnessTarget | None = None
    dialect: Dialect | None = None
    base_url: str = ""
    hosts: tuple[str, ...] = ()
    key_variable: str = ""
    key_header: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    max_tokens_name: str = "max_tokens"
    default_prompt: str = ""
    must_stream: bool = False
    has_format: bool = False
    timeout_s: float | None = None
    silence_s: float | None = None

    def limit(self, name: str) -> Fraction | None:
        """Return the value of the fact called `name`; None if it is unknown."""
        fact = self.facts.get(name)
        return fact.value if fact else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRange:
    """The cost of a plan in one region.

    Attributes:
        least: the cost with empty answers.
        most: the cost with the longest possible answers; None if their length is unknown.
    """

    region: str
    currency: str
    least: Decimal
    most: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The decision for one track of one file, made before any output is written.

    Attributes:
        target: the service model that the files are for; None for `split`.
        via: the way to that service; None for `split`.
        encoding: the encoding of the segments; None if frames or bytes stay unchanged.
        fallbacks: the encodings for a segment that becomes too large, the largest first.
        suffix: the suffix of the files, without the dot.
        muxer: ffmpeg's name of the container into which packets are copied; empty if frames become
            an elementary stream, and if nothing is copied.
        mix: for each output channel one weight for each input channel; None keeps the channels.
        gain_db: the gain of the whole recording; 0 where its level stays.
        spans: the segments, balanced, on the track's clock, which begins with its first sample
            (`Track.on_file_clock`). `prepare` moves each edge between two segments to the quietest
            place within `reach_samples`, at the track's rate.
        shortest_samples, longest_samples: the lengths that segments may get by that, at the
            track's rate; 0 for a plan without cuts.
        is_fewest: the number of spans is the greatest number of segments; `prepare` makes fewer
            where pauses allow.
        skipped: the silences that lie in no segment.
        marks: samples of the source where two segments meet and the edge does not move.
        tags: names and values of the tags of each file.
        titles: the title of the file of each span; empty for no title.
        max_segment_samples: the greatest length of a segment, at the track's rate.
        max_segment_bytes: the greatest size of a file, before Base64; None for no limit.
        audio_tokens: the tokens that the service counts for the sound of all segments.
        input_tokens: the audio tokens, and those that each request adds.
        costs: one range for each price of the target.
        reasons: the decision and its reasons, as sentences.
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
    gain_db: float = 0.0
    spans: tuple[Span, ...]
    skipped: tuple[Span, ...] = ()
    marks: tuple[int, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    titles: tuple[str, ...] = ()
    reach_samples: int
    shortest_samples: int = 0
    longest_samples: int = 0
    is_fewest: bool = False
    max_segment_samples: int
    max_segment_bytes: int | None = None
    audio_tokens: int = 0
    input_tokens: int = 0
    costs: tuple[CostRange, ...] = ()
    reasons: tuple[str, ...]


# --------------------------------------------------------- segments, captions, entries


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One finished file for one request.

    Attributes:
        index: its number, from 1.
        source_span: its place in the source.
        file: its name, without the folder.
        sha256: of the file, in hexadecimal.
    """

    index: int
    source_span: Span
    file: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The tokens that a service counted; None if it reported no number.

    `predicted_input_tokens` is captoolkit's own prediction of `input_tokens`.
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
    """The answer of a captioner about one segment.

    Attributes:
        text: the caption itself, which every format of a timeline shows.
        details: paragraphs that support the text, such as figures. Pages, documents and data show
            them; subtitles, chapters and markers leave them out. The ledger does not keep them.
        finish_reason: the service's reason for the end of the text; `length` if it was cut off.
        request_id: the service's number of the request, for its support.
    """

    text: str
    details: str = ""
    finish_reason: str | None = None
    request_id: str | None = None
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionerInfo:
    """The captioner of a timeline: its name, its model and its base URL, without the key."""

    name: str
    model: str
    base_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One stretch of a timeline: a caption, a hole with its reason, or a silence.

    Attributes:
        index: its number, from 1.
        details: paragraphs that support the text, such as figures; empty without any. Subtitles,
            chapters and markers leave them out.
        error: the reason for a missing caption; None with a caption.
        is_edited: whether a person has changed the text, such as on a page.
    """

    index: int
    source_span: Span
    status: Status
    text: str = ""
    details: str = ""
    finish_reason: str | None = None
    request_id: str | None = None
    error: str | None = None
    usage: Usage = field(default_factory=Usage)
    is_edited: bool = False
