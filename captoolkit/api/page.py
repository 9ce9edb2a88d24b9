"""What there is to look at: a timeline as a page, a plan as a picture, each with its sound.

Rules: the recording is decoded once more for it, block by block, and only read. A page never fails
for want of its recording: it says what is missing and shows everything else.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path, PurePath
from urllib.parse import quote

from captoolkit.bitstream import containers
from captoolkit.errors import CaptoolkitError, UsageError
from captoolkit.media import measure_file
from captoolkit.media.encode import sha256
from captoolkit.media.probe_file import choose_track, probe
from captoolkit.media.source import is_web_url
from captoolkit.model import MediaInfo, SourceInfo, Track
from captoolkit.planning.layout import ALIKE_S
from captoolkit.timeline.editing import SourcePart
from captoolkit.timeline.order import refuse_disorder
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import one_line
from captoolkit.units import format_clock, format_size

MAX_EMBEDDED_BYTES = 20_000_000
MOST_PLACES = 3  # named in the sentence that says why there is no sound


def page(
    timeline: Timeline, *, folder: str | os.PathLike[str] | None = None, embed_audio: bool = False
) -> str:
    """Return a timeline as an HTML page with the waveform of its recording, if that is there.

    The recording is looked for where the timeline says it was, and measured in one more decode.
    Where it is gone, is another one by now (its bytes are compared) or cannot be decoded, where the
    timeline lies over stretches of recordings (`parts`), the page says so and has no waveform; it
    never fails for that.

    Args:
        timeline: what the page tells.
        folder: where the page will lie: a recording in it or below is linked by its place beside
            the page, so that both can be moved together. Any other is linked by its full path.
        embed_audio: put the recording itself into the page, its bytes as they are.

    Raises:
        UsageError: the entries are out of order; or the recording is to be embedded and is not
            there, or has more than `MAX_EMBEDDED_BYTES`.
    """
    from captoolkit.timeline import html  # here, because it loads jinja2

    refuse_disorder(timeline)
    try:
        info, track = _found(timeline)
        audio = _embedded(info) if embed_audio else _link(Path(info.path), folder)
        envelope = measure_file.envelope(Path(info.path), track)
    except CaptoolkitError as error:
        if embed_audio:
            raise _not_embedded(error) from error
        return html.render(timeline, remarks=[_sentence(error)])
    return html.render(timeline, envelope=envelope, audio=audio, remarks=_remarks(info, track))


def _found(timeline: Timeline) -> tuple[MediaInfo, Track]:
    """The recording of a timeline and its track, if it is still the one it was.

    Raises:
        UsageError: it is not one recording from its beginning, it never was a file, or another one
            has its name now.
        InputError: it is gone, or is no media any more.
    """
    source = timeline.source
    if timeline.parts:
        raise UsageError(f"the timeline's clock is no recording's own: {_places(timeline.parts)}")
    if is_web_url(source.path) or not Path(source.path).is_absolute():
        raise UsageError("the recording was no file on a disk")
    info = probe(source.path)
    track = choose_track(info, source.track)
    lasts_s, lasted_s = track.duration_s, source.span.duration_s
    if abs(lasts_s - lasted_s) > ALIKE_S:
        raise UsageError(
            f"another recording has its name now: it lasts {format_clock(lasts_s, decimals=3)}, "
            f"not {format_clock(lasted_s, decimals=3)}"
        )
    _refuse_other_bytes(info, source)
    return info, track


def _places(parts: Sequence[SourcePart]) -> str:
    """Which stretch of which recording lies where, as a person says it; of many, the first."""
    told = [_place(part) for part in parts[:MOST_PLACES]]
    left = len(parts) - len(told)
    return ", ".join([*told, f"and {left} more"] if left else told)


def _place(part: SourcePart) -> str:
    span = part.source_span
    at, start, end = (
        format_clock(Fraction(samples, span.rate_hz), decimals=3)
        for samples in (part.at_samples, span.start_samples, span.end_samples)
    )
    name = one_line(PurePath(part.source.path).name)
    return f"at {at} lies {name} from {start} to {end}"


def _refuse_other_bytes(info: MediaInfo, source: SourceInfo) -> None:
    """Raise `UsageError` where a file is not the one that was captioned, byte by byte.

    Reading it once more is little beside decoding it, and recorders make files of equal length.
    """
    other = "the file has changed since it was captioned"
    if info.size_bytes != source.size_bytes:
        raise UsageError(f"{other}: it has {info.size_bytes} bytes, not {source.size_bytes}")
    if source.sha256 and sha256(Path(info.path)) != source.sha256:
        raise UsageError(f"{other}: it is as large as it was and has other bytes")


def _sentence(error: CaptoolkitError) -> str:
    return f"There is no waveform and no sound, because {error.problem}."


def _remarks(info: MediaInfo, track: Track) -> Sequence[str]:
    if track == info.default_track:
        return ()
    return (
        f"The captions are of sound track {track.number}; a browser plays the default one, "
        f"{info.default_track.number}.",
    )


def _link(path: Path, folder: str | os.PathLike[str] | None) -> str:
    """The URL by which a page in that folder finds a file."""
    if folder is not None:
        place = Path(os.path.abspath(folder))  # noqa: PTH100 - keeps links as they are
        if path.is_relative_to(place):
            return quote(os.fsencode(path.relative_to(place).as_posix()))
    return path.as_uri()


def refuse_unembeddable(info: MediaInfo) -> None:
    """Refuse a recording that cannot be put into a page, before anything is done with it.

    Raises:
        UsageError: it is no file on a disk, or has more than `MAX_EMBEDDED_BYTES`.
    """
    try:
        _refuse_unembeddable(info)
    except UsageError as error:
        raise _not_embedded(error) from error


def _not_embedded(error: CaptoolkitError) -> UsageError:
    return UsageError(
        f"the recording cannot be put into the page: {error.problem}",
        fix="leave --embed-audio (embed_audio) out",
    )


def _refuse_unembeddable(info: MediaInfo) -> None:
    if not Path(info.path).is_absolute():
        raise UsageError("the recording was no file on a disk")
    if info.size_bytes > MAX_EMBEDDED_BYTES:
        raise UsageError(
            f"it has {format_size(info.size_bytes)}, and at most "
            f"{format_size(MAX_EMBEDDED_BYTES)} go into a page"
        )


def _embedded(info: MediaInfo) -> str:
    """The file itself as a `data:` URL."""
    _refuse_unembeddable(info)
    kind = containers.of(info.container).media_type or f"audio/{info.container}"
    return f"data:{kind};base64,{base64.b64encode(Path(info.path).read_bytes()).decode()}"
