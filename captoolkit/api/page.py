"""`page`: a timeline as an HTML page with the waveform and the sound of its recording.

Rules: the recording is only read. A timeline that holds an envelope needs no decode; otherwise the
recording is decoded once, block by block, for its waveform. A missing or changed recording is not
an error: the page explains it and shows everything else.
"""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
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
MOST_TAIL = 3  # folders of a moved recording's path that are compared
MOST_UP = 3  # folders that a relative link goes up
MOST_PARTS = 3  # how many the notice on the missing sound names
LEFT_OUT = "the reason is left out"


def page(
    timeline: Timeline,
    *,
    folder: str | os.PathLike[str] | None = None,
    timeline_folder: str | os.PathLike[str] | None = None,
    embed_audio: bool = False,
    spectrogram: bool = False,
    shareable: bool = False,
) -> str:
    """Return a timeline as an HTML page with the waveform of its recording, if that is available.

    The recording is read from the path in the timeline, or, if it is not there, from `folder` or
    `timeline_folder`. If it is missing, has changed (its bytes are compared) or cannot be decoded,
    or if the timeline consists of stretches of recordings (`parts`), the page says so and has no
    sound. It then has a waveform if the timeline holds the envelope of its recording.

    Args:
        timeline: the timeline to show.
        folder: the folder of the page. The page looks for the recording at its path relative to
            this folder first, then at its absolute path, then in this folder, so that page and
            recording can be moved together.
        timeline_folder: the folder of the timeline's file, in which a recording that was moved
            together with it is looked for.
        embed_audio: put the bytes of the recording into the page.
        spectrogram: show a spectrogram below the waveform; the recording is decoded for it.
        shareable: leave out the facts that are not for readers of a published page: the folder
            of the recording, the address of the service, the prompt, the numbers of the requests
            and the messages of errors. The page plays the recording in its own folder.

    Raises:
        UsageError: the entries are out of order; or `embed_audio` is set and the recording is not
            available, or has more than `MAX_EMBEDDED_BYTES`.
    """
    from captoolkit.timeline import html  # imported here because it loads jinja2

    refuse_disorder(timeline)
    shown = for_readers(timeline) if shareable else timeline
    try:
        info, track = _recording(timeline, [one for one in (timeline_folder, folder) if one])
        places = _places(Path(info.path), folder)
        if embed_audio:
            places = [_embedded(info)]
        elif shareable:
            places = [_relative_url(Path(PurePath(info.path).name))]
        envelope = timeline.envelope or measure_file.envelope(Path(info.path), track)
        picture = measure_file.spectrogram(Path(info.path), track) if spectrogram else None
    except CaptoolkitError as error:
        if embed_audio:
            raise _embedding_error(error) from error
        missing = "sound" if timeline.envelope else "waveform and no sound"
        remark = f"There is no {missing}, because {error.problem}."
        return html.render(shown, remarks=[remark])
    return html.render(
        shown,
        envelope=envelope,
        spectrogram=picture,
        places=places,
        is_film=any(not one.is_cover for one in info.pictures),
        remarks=_remarks(info, track),
    )


def for_readers(timeline: Timeline) -> Timeline:
    """Return the timeline without the facts that are for its maker alone.

    Recordings have no folder, the service no address and the answers no number. The options of the
    run are left out, and so are the messages of failed segments: they name the host of the service,
    or repeat its answer. All captions, times, tokens and costs stay.
    """
    parts = (
        replace(part, source=replace(part.source, path=PurePath(part.source.path).name))
        for part in timeline.parts
    )
    return replace(
        timeline,
        source=replace(timeline.source, path=PurePath(timeline.source.path).name),
        captioner=replace(timeline.captioner, base_url=None),
        entries=tuple(
            replace(entry, request_id=None, error=entry.error and LEFT_OUT)
            for entry in timeline.entries
        ),
        parts=tuple(parts),
        made_by=None,
        modified_ns=None,
    )


def with_envelope(timeline: Timeline) -> Timeline:
    """Return the timeline with the envelope of its recording, measured if it holds none.

    Without its recording, the timeline is returned unchanged.
    """
    if timeline.envelope is not None:
        return timeline
    try:
        info, track = _recording(timeline, [])
        return replace(timeline, envelope=measure_file.envelope(Path(info.path), track))
    except CaptoolkitError:
        return timeline


def _recording(
    timeline: Timeline, folders: Sequence[str | os.PathLike[str]]
) -> tuple[MediaInfo, Track]:
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
    try:
        return _unchanged(Path(source.path), source)
    except CaptoolkitError as error:
        for path in _moved_places(Path(source.path), folders):
            with contextlib.suppress(CaptoolkitError):  # a file of the same name
                return _unchanged(path, source)
        raise error


def _moved_places(path: Path, folders: Iterable[str | os.PathLike[str]]) -> Iterator[Path]:
    """Yield existing files that may be a moved recording, nearest first.

    A recording that was moved together with a folder above it still has the end of its path: below
    the folder itself, or below one of the folders above it.
    """
    tails = [Path(*path.parts[-length:]) for length in range(1, min(MOST_TAIL, len(path.parts)))]
    for folder in map(_absolute, folders):
        for base in (folder, *list(folder.parents)[:MOST_TAIL]):
            for tail in tails:
                candidate = base / tail
                if candidate != path and os.path.isfile(candidate):  # noqa: PTH113 - takes any name
                    yield candidate


def _unchanged(path: Path, source: SourceInfo) -> tuple[MediaInfo, Track]:
    """A file and its captioned track, if its bytes are those that were captioned."""
    info = probe(path)
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
        raise UsageError(f"{other}: it has {info.size_bytes:,} bytes, not {source.size_bytes:,}")
    if source.sha256 and sha256(Path(info.path)) != source.sha256:
        raise UsageError(f"{other}: it is as large as it was and has other bytes")


def _remarks(info: MediaInfo, track: Track) -> Sequence[str]:
    if track == info.default_track:
        return ()
    return (
        f"The captions are of sound track {track.number}; a browser plays the default one, "
        f"{info.default_track.number}.",
    )


def _places(path: Path, folder: str | os.PathLike[str] | None) -> list[str]:
    """The URLs at which a page in that folder looks for a recording, in order."""
    if folder is None:
        return [path.as_uri()]
    place = _absolute(folder)
    beside = place / path.name
    places = [path.as_uri()]
    if path.anchor == place.anchor:
        relative = Path(os.path.relpath(path, place))
        if relative.parts.count("..") <= MOST_UP:
            places.insert(0, _relative_url(relative))
    if not beside.exists():  # otherwise it is another file
        places.append(_relative_url(Path(path.name)))
    return places


def _absolute(folder: str | os.PathLike[str]) -> Path:
    return Path(os.path.abspath(folder))  # noqa: PTH100 - keeps links as they are


def _relative_url(path: Path) -> str:
    return quote(os.fsencode(path.as_posix()))


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
        fix="leave `embed_audio` out",
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
