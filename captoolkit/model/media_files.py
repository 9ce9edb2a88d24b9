"""The content of a media file, as `probe` returns it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from captoolkit.model.spans import Span


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
        if not self.discontinuities:
            return ()
        from captoolkit.model.spans import Span

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
        """The track that a player selects, which is the one marked default, else the first."""
        return next((track for track in self.tracks if track.default), self.tracks[0])
