"""What is in this file, exactly.

Rules: a container is told by its bytes, never by the file's name; a duration in a header is a
claim, and `lengths` proves it or counts. A plain WAV or FLAC is read in process (`glance`);
everything else by what ffmpeg prints of it, so that ffprobe is not needed.
"""

from __future__ import annotations

import itertools
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from captoolkit.bitstream import channel_layouts, containers, riff
from captoolkit.errors import InputError, NoAudioError, NotMediaError, SourceNotFoundError
from captoolkit.media import durations, ffmpeg, probe_in_process
from captoolkit.media.source import refuse_url
from captoolkit.model import MediaInfo, Picture, Track

# Each is read from end to end to be measured: more than any film has would take a day.
MAX_TRACKS = 64

# A shortfall is told from here on: headers are rounded, and codecs pad.
MISSING_S = 0.2
MISSING_SHARE = 0.002

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
# What belongs to a group is indented by two more; a tag could only pretend to be in one.
_GROUP = re.compile(r"^  Stream group #[^\n]*\n((?:    [^\n]*(?:\n|\Z))*)", re.MULTILINE)
_COVER = "(attached pic)"
_TAG = re.compile(r" \((\S+) / 0x[0-9A-F]+\)")
_START = re.compile(r", start (-?[\d.]+)")
_RATE = re.compile(r", (\d+) Hz, ([^,]+)")
_SAMPLES = re.compile(r", (u8|s16|s32|s64|flt|dbl)p?(?: \((\d+) bit\))?(?:,|$| \()")
# What holds ffmpeg's kinds of samples: numpy's name of it, and how many bits of it count.
SAMPLE_TYPES = {
    "u8": ("int16", 8),
    "s16": ("int16", 16),
    "s32": ("int32", 32),
    "s64": ("int32", 32),
    "flt": ("float32", 32),
    "dbl": ("float64", 64),
}
_BIT_RATE = re.compile(r", (\d+) kb/s")


def probe(path: str | os.PathLike[str]) -> MediaInfo:
    """Return what the media file at `path` holds, with the exact length of every sound track.

    Raises:
        SourceNotFoundError: there is no such file, or it may not be read.
        NotMediaError: ffmpeg finds nothing in it that it can read.
        NoAudioError: it has no sound track, or the track holds no sample, or has more channels or
            a higher rate than sound has.
    """
    refuse_url(path)
    file = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
    size_bytes = _readable_size(file)
    return probe_in_process.look(file, size_bytes=size_bytes) or ask_ffmpeg(
        file, size_bytes=size_bytes
    )


def identify(path: Path) -> str:
    """Return the codec of a file's first sound, by its header alone.

    Raises:
        NotMediaError: ffmpeg finds nothing in it that it can read.
        NoAudioError: it has no sound track.
    """
    text = ffmpeg.header(path)
    _container(text, path)
    streams = _streams(text.rpartition("\n  Duration: ")[2])
    sound = next((match for match in streams if match["kind"] == "Audio"), None)
    if sound is None:
        raise NoAudioError("there is no sound in it", path=path)
    return sound["codec"]


def sample_format(path: Path, track: Track) -> tuple[str, int]:
    """Return what a track's decoder gives: `int16`, `int32`, `float32` or `float64`, and its bits.

    ```python
    (int32, 24)  # the 24-bit FLAC that it is
    ```
    """
    text = ffmpeg.header(path)
    for match in _streams(text.rpartition("\n  Duration: ")[2]):
        found = _SAMPLES.search(match["rest"])
        if int(match["index"]) == track.stream_index and found:
            name, bits = SAMPLE_TYPES[found[1]]
            return name, int(found[2] or bits)
    return "float32", 32


def ask_ffmpeg(file: Path, *, size_bytes: int) -> MediaInfo:
    """Return what ffmpeg finds in a file that is there; `probe` says what it raises."""
    text = ffmpeg.header(file)
    container = _container(text, file)
    # Streams come after the duration; what looks like one before it is part of the file's name.
    streams = _streams(text.rpartition("\n  Duration: ")[2])
    pictures = tuple(_picture(match) for match in streams if match["kind"] == "Video")
    sounds = [match for match in streams if match["kind"] == "Audio"]
    if not sounds:
        raise NoAudioError(
            "there is no sound in it" + (", only pictures" if pictures else ""),
            fix="give a file with at least one sound track",
            path=file,
        )
    tracks, warnings = _tracks(file, container, sounds)
    shortfall = _shortfall(text, file, container, tracks, pictures)
    return MediaInfo(
        path=str(file),
        size_bytes=size_bytes,
        container=container,
        tracks=tracks,
        pictures=pictures,
        plain_header=container != "wav" or riff.has_plain_header(file),
        true_header=not shortfall,
        warnings=(*shortfall, *warnings),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One stream of any kind: `kind`, `codec` and the container's `tag` as ffmpeg prints them."""

    index: int
    kind: str
    codec: str
    tag: str
    start_s: Fraction
    is_cover: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """All that lies in a media file side by side, as its header claims.

    Attributes:
        start_s: where the first of its streams begins on the container's clock.
        duration_s: how long the longest is said to be; None where nothing is said.
    """

    container: str
    streams: tuple[Stream, ...]
    start_s: Fraction
    duration_s: Fraction | None
    has_chapters: bool

    def late_s(self, number: int) -> Fraction:
        """Return how late a sound track (from 1) begins on the container's clock from its zero."""
        starts_s = [stream.start_s for stream in self.streams if stream.kind == "Audio"]
        own_s = starts_s[number - 1] if number <= len(starts_s) else self.start_s
        return max(Fraction(0), own_s - self.start_s)


def layout(path: str | os.PathLike[str]) -> Layout:
    """Return what lies in the media file at `path`, with sound or without.

    Raises:
        SourceNotFoundError: there is no such file, or it may not be read.
        NotMediaError: ffmpeg finds nothing in it that it can read.
    """
    refuse_url(path)
    file = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
    _readable_size(file)
    text = ffmpeg.header(file)
    container = _container(text, file)
    promise = _PROMISE.search(text)
    start_s = Fraction(promise[4] or 0) if promise else Fraction(0)
    matches = _streams(text.rpartition("\n  Duration: ")[2])
    return Layout(
        container=container,
        streams=tuple(map(_stream, matches)),
        start_s=start_s,
        duration_s=_promised_s(promise) if promise else None,
        has_chapters="\n  Chapters:\n" in text,
    )


def _stream(match: re.Match[str]) -> Stream:
    start, tag = _START.search(match["rest"]), _TAG.search(match["rest"])
    return Stream(
        index=int(match["index"]),
        kind=match["kind"],
        codec=match["codec"],
        tag=tag[1] if tag else "",
        start_s=Fraction(start[1]) if start else Fraction(0),  # ffmpeg prints no zero
        is_cover=_COVER in match["rest"],
    )


def _promised_s(promise: re.Match[str]) -> Fraction:
    return int(promise[1]) * 3600 + int(promise[2]) * 60 + Fraction(promise[3])


def _shortfall(
    text: str, file: Path, container: str, tracks: Sequence[Track], pictures: Sequence[Picture]
) -> list[str]:
    """A sentence for a file that holds less than its header promises; none for a whole one.

    Only a single sound is held against the header, whose length is that of the longest stream.
    """
    if container == "wav" and riff.missing_bytes(file):
        return [f"{riff.missing_bytes(file):,} bytes that its header promises are missing."]
    promise = _PROMISE.search(text)
    moving = any(not picture.is_cover for picture in pictures)
    if promise is None or not containers.of(container).states_duration or _ESTIMATED in text:
        return []
    if moving or len(tracks) > 1:
        return []
    promised_s = float(_promised_s(promise))
    if containers.of(container).duration_from_zero:
        promised_s -= max(0.0, float(promise[4] or 0))
    found_s = tracks[0].duration_s
    if promised_s - found_s < MISSING_S + MISSING_SHARE * promised_s:
        return []
    return [f"It promises {promised_s:.3f} s of sound and holds {found_s:.3f} s."]


def _streams(text: str) -> list[re.Match[str]]:
    """The lines that tell of streams, each once; past a gap in their numbers they are forged."""
    by_index: dict[int, re.Match[str]] = {}
    for match in _STREAM.finditer(_GROUP.sub(_ungrouped, text)):
        by_index.setdefault(int(match["index"]), match)
    whole = itertools.takewhile(lambda pair: pair[0] == pair[1], enumerate(sorted(by_index)))
    return [by_index[index] for index, _ in whole]


def _ungrouped(group: re.Match[str]) -> str:
    """The streams of a group (a camera's video and its timecode, say) as if they stood alone."""
    return "".join(line[2:] for line in group[1].splitlines(keepends=True))


def _readable_size(file: Path) -> int:
    """The size of a file that is there, regular, readable and not empty."""
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise InputError("it is not a regular file", fix="copy it to a file first", path=file)
        with file.open("rb") as stream:
            stream.read(1)
    except FileNotFoundError:
        raise SourceNotFoundError("no such file", fix="check the name", path=file) from None
    except IsADirectoryError:
        raise InputError("it is a folder", fix="give the files in it", path=file) from None
    except OSError as error:
        raise SourceNotFoundError(
            f"it cannot be read ({error.strerror})", fix="check its permissions", path=file
        ) from error
    if not status.st_size:
        raise NotMediaError("the file is empty", fix="check how it was made", path=file)
    return status.st_size


def _container(text: str, file: Path) -> str:
    match = _INPUT.search(text)
    if not match:
        reason = _complaint(text)
        raise NotMediaError(
            f"not a media file that can be read ({reason})",
            fix="check that it is sound or video, and complete",
            path=file,
        )
    brand = _BRAND.search(text)
    return containers.recognized(match[1].partition(",")[0], brand[1] if brand else "")


def _complaint(text: str) -> str:
    """The line of ffmpeg's that says why, without the ones that say that it stops."""
    lines = [
        line
        for line in text.splitlines()
        if line.strip() and not line.startswith(("Error opening input file", "At least one output"))
    ]
    causes = [line for line in lines if "Error opening input" not in line]
    said = ffmpeg.last_line("\n".join(causes[-1:] or lines[-1:]))
    return said.removeprefix("Error opening input: ")


def _picture(match: re.Match[str]) -> Picture:
    return Picture(
        stream_index=int(match["index"]),
        codec=match["codec"],
        is_cover=_COVER in match["rest"],
    )


def _tracks(
    file: Path, container: str, sounds: Sequence[re.Match[str]]
) -> tuple[tuple[Track, ...], tuple[str, ...]]:
    """The tracks that can be heard, and a warning for each that cannot, or not as it should."""
    tracks: list[Track] = []
    warnings: list[str] = []
    faults: list[InputError] = []
    for number, match in enumerate(sounds[:MAX_TRACKS], start=1):
        try:
            track, oddities = _track(file, container, number, match)
        except (NoAudioError, NotMediaError) as fault:
            faults.append(fault)
            oddities = (f"is left out: {fault.problem}",)
        else:
            tracks.append(track)
        warnings += (f"Sound track {number} {oddity}." for oddity in oddities)
    if not tracks:
        raise faults[0]
    if len(sounds) > MAX_TRACKS:
        warnings.append(f"Of {len(sounds)} sound tracks only the first {MAX_TRACKS} are looked at.")
    return tuple(tracks), tuple(warnings)


def _track(
    file: Path, container: str, number: int, match: re.Match[str]
) -> tuple[Track, tuple[str, ...]]:
    """A track, and what is odd about its sound."""
    shape = _RATE.search(match["rest"])
    rate_hz, layout = (int(shape[1]), shape[2]) if shape else (0, "")
    channels = channel_layouts.channels(layout)
    excess = channel_layouts.excess(rate_hz=rate_hz, channels=channels)
    if excess or not rate_hz or not channels:
        raise NoAudioError(
            f"sound track {number} ({match['codec']}) {excess or 'cannot be decoded'}",
            fix="choose another track, or convert the file first",
            path=file,
        )
    stream = durations.Stream(
        container=container,
        codec=match["codec"],
        rate_hz=rate_hz,
        layout=layout,
        index=int(match["index"]),
        is_first_sound=number == 1,
    )
    length = durations.measure(file, stream)
    if length.samples < 1:
        raise NoAudioError(
            f"sound track {number} holds no sound",
            fix="choose another track, or check how the file was made",
            path=file,
        )
    bit_rate = _BIT_RATE.search(match["rest"])
    language = match["language"]
    track = Track(
        number=number,
        stream_index=stream.index,
        codec=stream.codec,
        sample_rate_hz=stream.rate_hz,
        channels=channels,
        layout=stream.layout,
        duration_samples=length.samples,
        counted=length.counted,
        bit_rate=int(bit_rate[1]) * 1000 if bit_rate else None,
        language=None if language in ("", "und") else language,
        default="(default)" in match["rest"],
    )
    return track, length.oddities


def choose_track(info: MediaInfo, wish: str | int | None) -> Track:
    """Return the track of that number (from 1) or language; the default one for None.

    Raises:
        NoAudioError: there is no such track; names those there are.
    """
    if wish is None:
        return info.default_track
    for track in info.tracks:
        if str(wish) == str(track.number) or str(wish).lower() == (track.language or "").lower():
            return track
    raise NoAudioError(
        f"it has no sound track {wish}",
        fix=f"choose from {_listing(info.tracks)}",
        path=info.path,
    )


def _listing(tracks: Sequence[Track]) -> str:
    names = (f"{t.number} ({t.language})" if t.language else str(t.number) for t in tracks)
    return ", ".join(names)
