"""`page`: a timeline as an HTML page with the waveform and the sound of its recording.

Rules: the recording is only read; it is decoded once, block by block, for its waveform. A missing
or changed recording is not an error: the page explains it and shows everything else.
"""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path, PurePath
from urllib.parse import quote

from captoolkit.bitstream import containers
from captoolkit.errors import CaptoolkitError, UsageError
from captoolkit.media import measure_file
from captoolkit.media.probe_file import choose_track, probe
from captoolkit.media.source import is_web_url
from captoolkit.model import MediaInfo, SourceInfo, Track
from captoolkit.planning.layout import ALIKE_S
from captoolkit.support.files import sha256
from captoolkit.timeline.editing import SourcePart
from captoolkit.timeline.order import refuse_disorder
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import one_line
from captoolkit.units import format_clock, format_size

MAX_EMBEDDED_BYTES = 20_000_000
MOST_PARTS = 3  # how many the notice on the missing sound names


def page(
    timeline: Timeline, *, folder: str | os.PathLike[str] | None = None, embed_audio: bool = False
) -> str:
    """Return a timeline as an HTML page with the waveform of its recording, if that is available.

    The recording is read from the path in the timeline. If it is missing, has changed (its bytes
    are compared) or cannot be decoded, or if the timeline consists of stretches of recordings
    (`parts`), the page says so and has no waveform and no sound.

    Args:
        timeline: the timeline to show.
        folder: the folder of the page. The link to a recording in or below it is relative, so that
            both can be moved together; the link to any other recording is absolute.
        embed_audio: put the bytes of the recording into the page.

    Raises:
        UsageError: the entries are out of order; or `embed_audio` is set and the recording is not
            available, or has more than `MAX_EMBEDDED_BYTES`.
    """
    from captoolkit.timeline import html  # imported here because it loads jinja2

    refuse_disorder(timeline)
    try:
        info, track = _recording(timeline)
        audio = _embedded(info) if embed_audio else _link(Path(info.path), folder)
        envelope = measure_file.envelope(Path(info.path), track)
    except CaptoolkitError as error:
        if embed_audio:
            raise _embedding_error(error) from error
        remark = f"There is no waveform and no sound, because {error.problem}."
        return html.render(timeline, remarks=[remark])
    return html.render(timeline, envelope=envelope, audio=audio, remarks=_remarks(info, track))


def _recording(timeline: Timeline) -> tuple[MediaInfo, Track]:
    """The recording of a timeline and its captioned track, if it is unchanged.

    Raises:
        UsageError: the timeline is not one recording from its beginning, the recording was not a
            file, or the file has changed.
        InputError: the file is missing, or is no media file.
    """
    source = timeline.source
    if timeline.parts:
        places = _describe_parts(timeline.parts)
        raise UsageError(f"the timeline's clock is no recording's own: {places}")
    if is_web_url(source.path) or not Path(source.path).is_absolute():
        raise UsageError("the recording was no file on a disk")
    info = probe(source.path)
    track = choose_track(info, source.track)
    lasts_s, lasted_s = track.end_samples / track.sample_rate_hz, source.span.duration_s
    if abs(lasts_s - lasted_s) > ALIKE_S:
        raise UsageError(
            f"another recording has its name now: it lasts {format_clock(lasts_s, decimals=3)}, "
            f"not {format_clock(lasted_s, decimals=3)}"
        )
    _refuse_other_bytes(info, source)
    return info, track


def _describe_parts(parts: Sequence[SourcePart]) -> str:
    """The stretches of recordings and their places on the timeline; only the first of many."""
    texts = [_describe_part(part) for part in parts[:MOST_PARTS]]
    others = len(parts) - len(texts)
    return ", ".join([*texts, f"and {others} more"] if others else texts)


def _describe_part(part: SourcePart) -> str:
    span = part.source_span
    at, start, end = (
        format_clock(Fraction(samples, span.rate_hz), decimals=3)
        for samples in (part.at_samples, span.start_samples, span.end_samples)
    )
    name = one_line(PurePath(part.source.path).name)
    return f"at {at} lies {name} from {start} to {end}"


def _refuse_other_bytes(info: MediaInfo, source: SourceInfo) -> None:
    """Raise `UsageError` if the file's bytes are not those of the captioned file.

    Recorders make files of equal length, so the length alone proves nothing; hashing a file takes
    little time compared with decoding it.
    """
    other = "the file has changed since it was captioned"
    if info.size_bytes != source.size_bytes:
        raise UsageError(f"{other}: it has {info.size_bytes} bytes, not {source.size_bytes}")
    if source.sha256 and sha256(Path(info.path)) != source.sha256:
        raise UsageError(f"{other}: it is as large as it was and has other bytes")


def _remarks(info: MediaInfo, track: Track) -> Sequence[str]:
    if track == info.default_track:
        return ()
    return (
        f"The captions are of sound track {track.number}; a browser plays the default one, "
        f"{info.default_track.number}.",
    )


def _link(path: Path, folder: str | os.PathLike[str] | None) -> str:
    """The URL of a file for a page in that folder."""
    if folder is not None:
        place = Path(os.path.abspath(folder))  # noqa: PTH100 - keeps links as they are
        if path.is_relative_to(place):
            return quote(os.fsencode(path.relative_to(place).as_posix()))
    return path.as_uri()


def refuse_unembeddable(path: Path | None) -> None:
    """Refuse a recording that cannot be embedded in a page, before it is opened and captioned.

    Args:
        path: its path; None for a recording that is no file on a disk.

    Raises:
        UsageError: the recording is no file on a disk, or has more than `MAX_EMBEDDED_BYTES`.
    """
    try:
        with contextlib.suppress(OSError):  # opening the recording reports it
            _refuse_unembeddable(path, 0 if path is None else path.stat().st_size)
    except UsageError as error:
        raise _embedding_error(error) from error


def _embedding_error(error: CaptoolkitError) -> UsageError:
    return UsageError(
        f"the recording cannot be put into the page: {error.problem}",
        fix="leave --embed-audio (embed_audio) out",
    )


def _refuse_unembeddable(path: Path | None, size_bytes: int) -> None:
    if path is None:
        raise UsageError("the recording was no file on a disk")
    if size_bytes > MAX_EMBEDDED_BYTES:
        raise UsageError(
            f"it has {format_size(size_bytes)}, and at most "
            f"{format_size(MAX_EMBEDDED_BYTES)} go into a page"
        )


def _embedded(info: MediaInfo) -> str:
    """The file as a `data:` URL."""
    path = Path(info.path)
    _refuse_unembeddable(path if path.is_absolute() else None, info.size_bytes)
    kind = containers.of(info.container).media_type or f"audio/{info.container}"
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
