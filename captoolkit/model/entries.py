"""The results of a run: segments, captions of them, and the entries of a timeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from captoolkit.model.spans import Span


class Status(StrEnum):
    """The state of an entry: captioned, without a caption because of an error, or left out."""

    OK = "ok"
    FAILED = "failed"
    SILENT = "silent"


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
class Segment:
    """One finished file for one request.

    A captioner that measures samples needs no file: then `file` and `sha256` are empty.

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


USAGE_FIELDS = (
    "audio_tokens",
    "text_tokens",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "predicted_input_tokens",
)


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
