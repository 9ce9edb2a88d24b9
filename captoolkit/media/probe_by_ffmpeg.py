"""Probe a media file by the header that ffmpeg prints, and by counting its samples.

Rules: the container is recognised by the file's bytes, never by its name. A duration in a header is
a claim, which `durations` proves or replaces by counting. The text of the header is parsed here, so
that ffprobe is not needed.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from captoolkit.bitstream import channel_layouts, containers, header_claims, riff
from captoolkit.bitstream.pcm_layout import RAW_FORMATS
from captoolkit.errors import InputError, NoAudioError, NotMediaError
from captoolkit.media import (
    durations,
    ffmpeg,
    ffmpeg_process,
    samples_by_place,
    short_files,
    sndfile,
)
from captoolkit.media.player_clock import TOLERANCE_S, is_fragmented
from captoolkit.media.probe_in_process import readable_size
from captoolkit.media.source import refuse_url
from captoolkit.model import Chapter, MediaInfo, Picture, SubtitleTrack, Track
from captoolkit.units import samples_at

# Each track may be read from end to end; a hostile file with thousands would take a day.
MAX_TRACKS = 64
MAX_TITLE_CHARS = 1000  # of a chapter
ID3_CHAPTERS = "mp3"  # its chapters count from the first sample, not from the encoder's delay

# Misreadings of a file by readers that believe its header, or read it by its first part alone.
PROMISES_TOO_MUCH = "Its header promises more sound than it holds, and is not passed on."
CHANGES = "Its sample rate or channels change on the way, which some readers do not follow."

CHECK_FILE = "check that it is sound or video, and complete"
STATE_RAW = "if it holds samples without a header, describe them: raw=s16le:16000:1"

_PROMISE = re.compile(
    r"^  Duration: (\d+):(\d\d):(\d\d\.\d\d)(?:, start: (-?[\d.]+))?", re.MULTILINE
)
_ESTIMATED = "Estimating duration from bitrate"
_INPUT = re.compile(r"^Input #0, ([^ ]+), from ", re.MULTILINE)
_BRAND = re.compile(r"^    major_brand     : (.+)$", re.MULTILINE)
_STREAM = re.compile(
    r"^  Stream #0:(?P<index>\d+)(?:\[0x[0-9a-f]+\])?(?:\((?P<language>[^\n]*?)\))?: "
    r"(?P<kind>\w+): (?P<codec>\w+)(?P<rest>.*)$",
    re.MULTILINE,
)
_CHAPTERS = re.compile(r"^  Chapters:\n((?:    [^\n]*(?:\n|\Z))+)", re.MULTILINE)
_CHAPTER = re.compile(
    r"^    Chapter #0:\d+: start (-?[\d.]+), end (-?[\d.]+)\n((?:      [^\n]*(?:\n|\Z))*)",
    re.MULTILINE,
)
_TITLE = re.compile(r"^        title +: ([^\n]*(?:\n +: [^\n]*)*)", re.MULTILINE)
_NEXT_LINE = re.compile(r"\n +: ")  # of a value with several lines
# Streams of a group are indented by two more; a tag could only pretend to be in a group.
_GROUP = re.compile(r"^  Stream group #[^\n]*\n((?:    [^\n]*(?:\n|\Z))*)", re.MULTILINE)
_COVER = "(attached pic)"
UNKNOWN_CODEC = "none"  # ffmpeg's name of a codec that it does not know
# By ffmpeg's name, and by the tag in the MP4 family that an older ffmpeg prints.
UNREAD_CODECS = dict.fromkeys(
    ("apple_apac", "apac"), "APAC (Apple Positional Audio Codec, the spatial sound of an iPhone)"
)
RAW_SUFFIXES = frozenset({".pcm", ".raw", ".s16", ".sw", *(f".{name}" for name in RAW_FORMATS)})
_TAG = re.compile(r" \((\S+) / 0x[0-9A-F]+\)")
_START = re.compile(r", start (-?[\d.]+)")
_ROTATION = re.compile(r"^ +[Dd]isplay ?[Mm]atrix: rotation of (-?[\d.]+) degrees", re.MULTILINE)
_RATE = re.compile(r", (\d+) Hz, ([^,]+)")
_SAMPLES = re.compile(r", (u8|s16|s32|s64|flt|dbl)p?(?: \((\d+) bit\))?(?:,|$| \()")
# ffmpeg's sample formats -> the numpy type that holds them, and its significant bits.
SAMPLE_TYPES = {
    "u8": ("int16", 8),
    "s16": ("int16", 16),
    "s32": ("int32", 32),
    "s64": ("int32", 32),
    "flt": ("float32", 32),
    "dbl": ("float64", 64),
}
_BIT_RATE = re.compile(r", (\d+) kb/s")


def first_codec(path: Path) -> str:
    """Return the codec of a file's first sound track, by its header alone.

    Raises:
        NotMediaError: ffmpeg cannot read the file.
        NoAudioError: it has no sound track.
    """
    text = ffmpeg.header(path)
    _container(text, path)
    sound = next((match for match in _streams(text) if match["kind"] == "Audio"), None)
    if sound is None:
        raise NoAudioError("there is no sound in it", path=path)
    return sound["codec"]


def sample_format(path: Path, track: Track) -> tuple[str, int]:
    """Return the numpy type of a track's decoded samples, and how many of its bits are significant.

    One of `int16`, `int32`, `float32`, `float64`; a 24-bit FLAC has `("int32", 24)`.
    """
    for match in _streams(ffmpeg.header(path)):
        found = _SAMPLES.search(match["rest"])
        if int(match["index"]) == track.stream_index and found:
            name, bits = SAMPLE_TYPES[found[1]]
            return name, int(found[2] or bits)
    return "float32", 32


def probe_by_ffmpeg(file: Path, *, size_bytes: int, decodes: bool = False) -> MediaInfo:
    """Return the contents of an existing file by ffmpeg, as `probe_file.probe` does."""
    pcm = samples_by_place.layout_of(file)
    # ffmpeg would look for chunks in gigabytes of samples, and take other chunks for samples.
    if pcm is not None and (pcm.is_wrapped or not pcm.frames):
        return samples_by_place.info_by_place(file, pcm, size_bytes=size_bytes)
    text = short_files.header(file, decodes=decodes)
    streams = _streams(text) if _INPUT.search(text) else []
    sounds = [match for match in streams if match["kind"] == "Audio"]
    if pcm is not None:
        codec, rest = (sounds[0]["codec"], sounds[0]["rest"]) if sounds else ("", "")
        codec = codec.removeprefix(UNKNOWN_CODEC)
        if pcm.is_misread_as(codec):
            shape = _RATE.search(rest)
            channel_layout = shape[2] if shape else ""
            return samples_by_place.info_by_place(
                file, pcm, size_bytes=size_bytes, codec=codec, channel_layout=channel_layout
            )
    container = _container(text, file)
    pictures = _pictures(streams)
    subtitles = [match for match in streams if match["kind"] == "Subtitle"]
    if not sounds:
        raise NoAudioError(
            "there is no sound in it" + (", only pictures" if pictures else ""),
            fix="give a file with at least one sound track",
            path=file,
        )
    zero_s = _zero_s(text, file, container)
    promise = _PROMISE.search(text)
    stated_s = float(_promised_s(promise)) if promise else None
    tracks, warnings, misreadings = _tracks(
        file, container, sounds, zero_s=zero_s, stated_s=stated_s
    )
    shortfall = _shortfall(text, file, container, tracks, pictures)
    return MediaInfo(
        path=str(file),
        size_bytes=size_bytes,
        container=container,
        tracks=tracks,
        pictures=pictures,
        subtitles=tuple(itertools.starmap(_subtitle_track, enumerate(subtitles, start=1))),
        chapters=_chapters(text, Fraction(0) if container == ID3_CHAPTERS else zero_s),
        plain_header=not containers.of(container).is_riff or riff.has_plain_header(file),
        misreadings=(
            *((PROMISES_TOO_MUCH,) if shortfall else samples_by_place.misreadings(pcm)),
            *misreadings,
            *sndfile.misreadings(file, container, tracks),
        ),
        warnings=(*shortfall, *samples_by_place.warnings(pcm), *warnings),
    )


def _pictures(streams: Iterable[re.Match[str]]) -> tuple[Picture, ...]:
    """Return the moving pictures and the covers among the streams of a header."""
    return tuple(
        Picture(
            stream_index=int(match["index"]),
            codec=match["codec"],
            is_cover=_COVER in match["rest"],
        )
        for match in streams
        if match["kind"] == "Video"
    )


def _subtitle_track(number: int, match: re.Match[str]) -> SubtitleTrack:
    return SubtitleTrack(
        number=number,
        stream_index=int(match["index"]),
        codec=match["codec"],
        language=_language(match),
        is_default="(default)" in match["rest"],
        is_forced="(forced)" in match["rest"],
    )


def _language(match: re.Match[str]) -> str | None:
    """The language of a stream; None where its container states none."""
    return None if match["language"] in (None, "", "und") else match["language"]


def _chapters(header: str, zero_s: Fraction) -> tuple[Chapter, ...]:
    """The chapters in a header, on a player's clock."""
    listed = _CHAPTERS.match(_after_duration(header).partition("\n")[2])
    text = listed[1] if listed else ""
    return tuple(_chapter(match, zero_s) for match in _CHAPTER.finditer(text))


def _chapter(match: re.Match[str], zero_s: Fraction) -> Chapter:
    title = _TITLE.search(match[3])
    line = " ".join(_NEXT_LINE.sub(" ", title[1]).split()) if title else ""
    start_s, end_s = (max(Fraction(0), Fraction(match[number]) - zero_s) for number in (1, 2))
    return Chapter(start_s=start_s, end_s=end_s, title=line[:MAX_TITLE_CHARS])


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaStream:
    """A stream of any kind; `kind`, `codec` and the container's `tag` are as ffmpeg prints them."""

    index: int
    kind: str
    codec: str
    tag: str
    start_s: Fraction
    is_cover: bool
    is_rotated: bool = False

    @property
    def is_chapter_track(self) -> bool:
        """Whether it is the text track of an MP4's chapters."""
        return self.kind == "Data" and self.tag == "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaStreams:
    """All streams of a media file, as its header describes them.

    Attributes:
        start_s: the start of the first stream on the container's clock.
        zero_s: the zero of a player's clock on the container's clock.
        duration_s: the stated duration of the longest stream; None without a statement.
    """

    container: str
    streams: tuple[MediaStream, ...]
    start_s: Fraction
    zero_s: Fraction
    duration_s: Fraction | None
    has_chapters: bool

    def late_s(self, number: int) -> Fraction:
        """Return how long after the first stream a sound track (number from 1) begins."""
        starts_s = [stream.start_s for stream in self.streams if stream.kind == "Audio"]
        own_s = starts_s[number - 1] if number <= len(starts_s) else self.start_s
        return max(Fraction(0), own_s - self.start_s)

    @property
    def before_s(self) -> Fraction:
        """How long after the zero of a player's clock the first stream begins."""
        return self.start_s - self.zero_s


def probe_streams(path: str | os.PathLike[str]) -> MediaStreams:
    """Return all streams of the media file at `path`, with sound or without.

    Raises:
        SourceNotFoundError: the file does not exist or cannot be read.
        NotMediaError: ffmpeg cannot read it.
    """
    refuse_url(path)
    file = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
    readable_size(file)
    text = ffmpeg.header(file)
    container = _container(text, file)
    promise = _PROMISE.search(text)
    start_s = Fraction(promise[4] or 0) if promise else Fraction(0)
    return MediaStreams(
        container=container,
        streams=tuple(_stream(match, text) for match in _streams(text)),
        start_s=start_s,
        zero_s=_zero_s(text, file, container),
        duration_s=_promised_s(promise) if promise else None,
        has_chapters="\n  Chapters:\n" in text,
    )


def _stream(match: re.Match[str], header: str) -> MediaStream:
    tag = _TAG.search(match["rest"])
    return MediaStream(
        index=int(match["index"]),
        kind=match["kind"],
        codec=match["codec"],
        tag=tag[1] if tag else "",
        start_s=_start_s(match),
        is_cover=_COVER in match["rest"],
        is_rotated=_is_rotated(match, header),
    )


def _is_rotated(match: re.Match[str], header: str) -> bool:
    """Whether players rotate the pictures of a stream."""
    own = header.partition(match[0])[2].partition("\n  Stream #")[0]
    rotation = _ROTATION.search(own)
    return rotation is not None and float(rotation[1]) != 0


def _start_s(stream: re.Match[str]) -> Fraction:
    """The start of a stream on the container's clock."""
    start = _START.search(stream["rest"])
    return Fraction(start[1]) if start else Fraction(0)  # ffmpeg prints no zero


def _zero_s(text: str, file: Path, container: str) -> Fraction:
    """The zero of a player's clock on the container's clock: where its first stream begins.

    An MP4 has a clock of its own, on which all streams may begin late. A part of a live stream
    keeps the clock of the whole stream, which no player shows.
    """
    promise = _PROMISE.search(text)
    start_s = Fraction(promise[4] or 0) if promise else Fraction(0)
    if start_s >= TOLERANCE_S and containers.of(container).starts_at_zero:
        return start_s if is_fragmented(file) else Fraction(0)
    return start_s


def _promised_s(promise: re.Match[str]) -> Fraction:
    return int(promise[1]) * 3600 + int(promise[2]) * 60 + Fraction(promise[3])


def _shortfall(
    text: str, file: Path, container: str, tracks: Sequence[Track], pictures: Sequence[Picture]
) -> list[str]:
    """A warning for a file that holds less than its header promises; none for a whole one.

    The header states the duration of the longest stream, so only a file with a single sound track
    and no moving picture is compared with it. Of another file the stated size counts.
    """
    is_moving = any(not picture.is_cover for picture in pictures)
    is_alone = not is_moving and len(tracks) == 1
    missing_bytes = 0
    if containers.of(container).is_riff:
        missing_bytes = riff.missing_bytes(file)
    elif not is_alone:
        with file.open("rb") as stream:
            missing_bytes = header_claims.missing_bytes(stream)
    if missing_bytes:
        return [f"{missing_bytes:,} bytes that its header promises are missing."]
    promise = _PROMISE.search(text)
    if promise is None or not containers.of(container).states_duration or _ESTIMATED in text:
        return []
    if not is_alone:
        return []
    promised_s = float(_promised_s(promise))
    if containers.of(container).duration_from_zero:
        promised_s -= max(0.0, float(promise[4] or 0))
    held_s = tracks[0].end_samples / tracks[0].sample_rate_hz
    if not durations.is_shortfall(promised_s=promised_s, held_s=held_s):
        return []
    return [durations.shortfall_warning(promised_s=promised_s, held_s=held_s)]


def _streams(header: str) -> list[re.Match[str]]:
    """The lines of a header that describe streams, each stream once.

    Tags and names are a stranger's text and may imitate such a line. Text before the duration is
    the file's name and tags; beyond a gap in the numbers a line is forged.
    """
    by_index: dict[int, re.Match[str]] = {}
    for match in _STREAM.finditer(_GROUP.sub(_ungrouped, _after_duration(header))):
        by_index.setdefault(int(match["index"]), match)
    whole = itertools.takewhile(lambda pair: pair[0] == pair[1], enumerate(sorted(by_index)))
    return [by_index[index] for index, _ in whole]


def _after_duration(header: str) -> str:
    """The part of a header behind the start of the line of its duration: no tag precedes it."""
    return header.rpartition("\n  Duration: ")[2]


def _ungrouped(group: re.Match[str]) -> str:
    """The streams of a group (a camera's video and its timecode, say), indented like all others."""
    return "".join(line[2:] for line in group[1].splitlines(keepends=True))


def _container(text: str, file: Path) -> str:
    match = _INPUT.search(text)
    if not match:
        reason = _failure_reason(text)
        raise NotMediaError(
            f"not a media file that can be read ({reason})",
            fix=STATE_RAW if file.suffix.lower() in RAW_SUFFIXES else CHECK_FILE,
            path=file,
        )
    brand = _BRAND.search(text)
    return containers.recognized(match[1].partition(",")[0], brand[1] if brand else "")


def _failure_reason(text: str) -> str:
    """The line of ffmpeg's output with the reason of a failure, not the ones about its end."""
    lines = [
        line
        for line in text.splitlines()
        if line.strip() and not line.startswith(("Error opening input file", "At least one output"))
    ]
    causes = [line for line in lines if "Error opening input" not in line]
    reason = ffmpeg_process.last_line("\n".join(causes[-1:] or lines[-1:]))
    return reason.removeprefix("Error opening input: ")


def _tracks(
    file: Path,
    container: str,
    sounds: Sequence[re.Match[str]],
    *,
    zero_s: Fraction,
    stated_s: float | None,
) -> tuple[tuple[Track, ...], tuple[str, ...], tuple[str, ...]]:
    """The tracks that can be decoded, warnings about odd ones and those left out, misreadings."""
    tracks: list[Track] = []
    warnings: list[str] = []
    misreadings: list[str] = []
    faults: list[InputError] = []
    for number, match in enumerate(sounds[:MAX_TRACKS], start=1):
        try:
            track, duration = _track(
                file, container, number, match, zero_s=zero_s, stated_s=stated_s
            )
        except (NoAudioError, NotMediaError) as fault:
            faults.append(fault)
            oddities: tuple[str, ...] = (f"is left out: {fault.problem}",)
        else:
            tracks.append(track)
            oddities = duration.oddities
            misreadings += () if duration.is_as_stated else (CHANGES,)
        warnings += (f"Sound track {number} {oddity}." for oddity in oddities)
    if not tracks:
        raise faults[0]
    if len(sounds) > MAX_TRACKS:
        warnings.append(f"Of {len(sounds)} sound tracks only the first {MAX_TRACKS} are read.")
    return tuple(tracks), tuple(warnings), tuple(misreadings)


def _track(
    file: Path,
    container: str,
    number: int,
    match: re.Match[str],
    *,
    zero_s: Fraction,
    stated_s: float | None,
) -> tuple[Track, durations.Duration]:
    """A track, and how its sound was measured."""
    stream = replace(_sound_stream(file, container, number, match), stated_s=stated_s)
    duration = durations.measure(file, stream)
    if duration.samples < 1:
        raise NoAudioError(
            f"sound track {number} holds no sound",
            fix="choose another track, or check how the file was made",
            path=file,
        )
    bit_rate = _BIT_RATE.search(match["rest"])
    late_s = _start_s(match) - zero_s
    track = Track(
        number=number,
        stream_index=stream.index,
        codec=stream.codec,
        sample_rate_hz=stream.rate_hz,
        channels=channel_layouts.channels(stream.layout),
        layout=stream.layout,
        duration_samples=duration.samples,
        start_samples=samples_at(late_s, stream.rate_hz) if late_s >= TOLERANCE_S else 0,
        discontinuities=duration.discontinuities,
        is_edited=duration.is_edited,
        is_steady=duration.is_steady,
        counted=duration.counted,
        bit_rate=int(bit_rate[1]) * 1000 if bit_rate else None,
        language=_language(match),
        default="(default)" in match["rest"],
    )
    return track, duration


def _sound_stream(
    file: Path, container: str, number: int, match: re.Match[str]
) -> durations.SoundStream:
    """Return the stream that a line of ffmpeg's report describes.

    Raises:
        NoAudioError: ffmpeg, or captoolkit's bounds, do not let it be decoded.
    """
    shape = _RATE.search(match["rest"])
    rate_hz, layout = (int(shape[1]), shape[2]) if shape else (0, "")
    channels = channel_layouts.channels(layout)
    excess = channel_layouts.excess(rate_hz=rate_hz, channels=channels)
    tag = _TAG.search(match["rest"])
    unread = UNREAD_CODECS.get(match["codec"])
    if match["codec"] == UNKNOWN_CODEC:
        unread = UNREAD_CODECS.get(tag[1], f"of the kind {tag[1]}") if tag else "of no known kind"
    if unread:
        raise NoAudioError(
            f"sound track {number} is {unread}, which ffmpeg cannot decode",
            fix="export the recording with AAC sound first",
            path=file,
        )
    if excess or not rate_hz or not channels:
        raise NoAudioError(
            f"sound track {number} ({match['codec']}) {excess or 'cannot be decoded'}",
            fix="choose another track, or convert the file first"
            if excess
            else "check that the file is complete, and of the kind that its ending names",
            path=file,
        )
    return durations.SoundStream(
        container=container,
        codec=match["codec"],
        rate_hz=rate_hz,
        layout=layout,
        index=int(match["index"]),
        number=number - 1,
    )
