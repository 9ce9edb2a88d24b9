"""The plan for a recording: the action, the encoding, the segments and their cost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from captoolkit.model.media_files import MediaInfo, Track
from captoolkit.model.service_targets import Target, Via
from captoolkit.model.spans import Span
from captoolkit.units import format_count


class Action(StrEnum):
    """The change that makes a source fit its target, from the least to the greatest.

    `PASS_THROUGH` keeps the file byte by byte; `REMUX` moves its frames to another container;
    `COPY` divides its frames among segments; `ENCODE` decodes and encodes the sound.
    """

    PASS_THROUGH = "pass-through"  # noqa: S105 - an action, not a password
    REMUX = "remux"
    COPY = "copy"
    ENCODE = "encode"


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
class Cost:
    """An amount of money."""

    currency: str
    amount: Decimal


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

    def __repr__(self) -> str:
        """Return a summary: all fields would fill a screen."""
        segments = format_count(len(self.spans), "segment")
        return f"<Plan for {self.info.path!r}: {self.action.value}, {segments} as {self.suffix}>"
