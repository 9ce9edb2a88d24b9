"""The verb `split`: pieces of a recording in its own codec, cut where it is quiet.

Rules: nothing is lost that need not be. Frames are copied where pieces can be cut between two of
them; samples are encoded losslessly where they cannot, or where each cut is to be exact.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from captoolkit.api.prepare import (
    MAX_DURATION,
    chosen_track,
    cores,
    named,
    open_anything,
    seconds,
)
from captoolkit.bitstream import containers, lossless
from captoolkit.errors import InputError, UsageError
from captoolkit.events import OnEvent, ignore
from captoolkit.media import elementary, packets, tags
from captoolkit.media.probe_file import sample_format
from captoolkit.model import Action, MediaInfo, Track
from captoolkit.pipeline.prepared import Prepared
from captoolkit.planning import split_plan
from captoolkit.planning.options import ParsedOptions
from captoolkit.planning.split_plan import Chapter, Way, make_split
from captoolkit.support import files

if TYPE_CHECKING:
    from captoolkit.media.source import Source

CHAPTERS = "chapters"


def split(
    source: Source,
    *,
    max_segment: str | float | Fraction | None = None,
    segment: str | float | Fraction | None = None,
    parts: int | None = None,
    exact: bool = False,
    at: str | None = None,
    track: int | str | None = None,
    max_duration: str | float | Fraction = MAX_DURATION,
    jobs: int | None = None,
    on_event: OnEvent = ignore,
) -> Prepared:
    """Return the pieces of a recording in its own codec, made as they are asked for.

    ```python
    captoolkit.split("board-meeting.flac").save("parts")
    ```

    Args:
        source: as for `prepare`.
        max_segment: how long a piece may be at most: seconds, or a text such as `40m`. None is 40
            minutes, or no limit where `segment` or `parts` say how long pieces are.
        segment: about how long a piece shall be.
        parts: how many pieces there shall be.
        exact: cut at the sample and not between frames; what a lossy codec decodes to becomes FLAC.
        at: `chapters` cuts at the recording's own chapter marks, and in longer chapters as well.
        track: a sound track's number from 1, or its language; None takes the default one.
        max_duration: a recording that lasts longer is refused.
        jobs: how much is worked on at once; all cores if None.
        on_event: receives `Started`, `Progressed` and `SegmentReady`.

    Returns:
        The same as `prepare` does: iterate to get each piece as soon as it is ready, `save` keeps
        them. Its plan has no target.

    Raises:
        UsageError: the wishes are no such things, or cannot be met.
        InputError: the source is missing, no media, without sound; or without chapters.
        ToolError: ffmpeg failed.
        LimitError, OutputError: while iterating.
    """
    if jobs is not None and jobs < 1:
        raise UsageError(f"jobs={jobs} must be at least 1")
    if at not in (None, CHAPTERS):
        raise UsageError(f"at={at} is no place to cut at", fix=f"take {CHAPTERS}, or leave it out")
    if at is not None and parts is not None:
        raise UsageError("parts cannot be counted at chapters", fix="leave one of them out")
    options = ParsedOptions(
        segment_s=seconds(segment), max_segment_s=seconds(max_segment), parts=parts
    )
    opened = open_anything(source)
    try:
        info, chosen = chosen_track(opened.path, track, max_duration_s=seconds(max_duration))
        way = _way(info, chosen, exact=exact)
        told = tags.read(info, chosen)
        made = make_split(
            info,
            chosen,
            way,
            options=options,
            chapters=_chapters(told, info) if at == CHAPTERS else (),
            tags=told.tags,
            track_is_asked_for=track is not None,
        )
        if made.action is Action.PASS_THROUGH and str(opened.path) != opened.name:
            made = replace(made, suffix=_ending(opened.name, info, chosen))
        if made.action is not Action.PASS_THROUGH:
            made = replace(made, info=replace(info, warnings=(*info.warnings, *told.notes)))
        return Prepared(named(made, opened), opened, jobs=jobs or cores(), on_event=on_event)
    except BaseException:
        opened.close()
        raise


def _chapters(told: tags.Told, info: MediaInfo) -> tuple[Chapter, ...]:
    if not told.chapters:
        raise InputError("it has no chapters", fix="split it without --at chapters", path=info.path)
    return told.chapters


def _ending(name: str, info: MediaInfo, track: Track) -> str:
    """The ending for a file without one on this disk: its own name's, else its container's.

    A name's ending is taken only if sound or film has it: not `.php`.
    """
    own = name.rpartition("/")[2].rpartition(".")[2].lower()
    if containers.is_media_suffix(own):
        return own
    is_moving = any(not picture.is_cover for picture in info.pictures)
    container = containers.of(packets.container_of(info))
    return container.suffix_of(track.codec, is_moving=is_moving)


def _way(info: MediaInfo, track: Track, *, exact: bool) -> Way:
    """How pieces of a track can be had with the least change."""
    container = packets.container_of(info)
    if exact or not lossless.is_cut_between_packets(container, track.codec):
        sample_type, depth_bits = sample_format(Path(info.path), track)
        kept = lossless.keeping_samples(
            track, container, sample_type=sample_type, depth_bits=depth_bits
        )
        return Way(
            suffix=containers.of(kept.format).suffix_of(kept.codec),
            said=split_plan.said_of_samples(kept, track.codec),
            encoding=kept,
        )
    if elementary.is_elementary(info) or track.codec in containers.of(container).raw_codecs:
        with files.staging(None) as folder:
            stream = elementary.extract_stream(info, track, folder)
        if isinstance(stream, elementary.ElementaryStream):
            form = stream.frames.format
            return Way(suffix=form, said=split_plan.said_of_copies(track.codec, form))
    home = containers.container_of_packets(container, track.codec)
    return Way(
        suffix=home.suffix_of(track.codec),
        said=split_plan.said_of_copies(track.codec, home.name),
        muxer=home.muxer_of(track.codec),
    )
