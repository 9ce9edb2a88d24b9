"""The verb `split`: pieces of a recording in its own codec, cut where it is quiet.

Rules: `split` copies frames where the codec can be cut between two of them. It encodes samples
losslessly where the codec cannot, and where the caller wants exact cuts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from captoolkit.api.recording import Recording, ending_of, open_recording
from captoolkit.bitstream import containers, lossless
from captoolkit.errors import InputError
from captoolkit.events import OnEvent, ignore
from captoolkit.media import elementary, packets, tags
from captoolkit.media.probe_by_ffmpeg import sample_format
from captoolkit.model import Action, Chapter, MediaInfo, Plan, Track
from captoolkit.pipeline.prepared import Prepared
from captoolkit.planning import frame_plan, split_plan
from captoolkit.planning.options import (
    ParsedOptions,
    SegmentOptions,
    SplitOptions,
    option_values,
    parse_split_options,
)
from captoolkit.planning.split_plan import SplitMethod, make_split
from captoolkit.support import files
from captoolkit.support.keywords import documents, parse_jobs, refuse_unknown_names, require_type
from captoolkit.support.provenance import Provenance

if TYPE_CHECKING:
    from captoolkit.media.source import Source


@documents(SegmentOptions, SplitOptions)
def split(
    source: Source,
    *,
    jobs: int | None = None,
    on_event: OnEvent = ignore,
    **options: Unpack[SplitOptions],
) -> Prepared:
    """Return the pieces of a recording in its own codec, made on demand.

    Without `segment`, `max_segment` and `parts` a piece lasts at most 40 minutes.

    ```python
    captoolkit.split("board-meeting.flac").save("parts")
    ```

    Args:
        source: as for `plan`.
        jobs: how many stretches of the recording are processed in parallel; None is one for each
            core.
        on_event: receives `Started`, `Progressed` and `SegmentReady`.
        **options: `SplitOptions`.

    Returns:
        The pieces, as `prepare` returns segments: iterate to get each piece when it is ready;
        `save` keeps them. The plan has no target.

    Raises:
        UsageError: an option is invalid, or no split satisfies the options; an invalid option is
            found before the source is opened.
        InputError: the source is missing, no media, without sound, too long, or without chapters.
        ToolError: ffmpeg failed.
        TypeError: there is no option of that name.
        LimitError, OutputError: while iterating.
    """
    refuse_unknown_names("split", options, ("jobs", "on_event", *SplitOptions.__annotations__))
    jobs = parse_jobs(jobs)
    require_type("on_event", on_event, Callable, "a function of one event")
    require_type("exact", options.get("exact", False), bool, "True or False")
    parsed = parse_split_options(options)
    exact, at_chapters = options.get("exact", False), options.get("at") == "chapters"
    with contextlib.ExitStack() as stack:
        recording = stack.enter_context(open_recording(source, parsed))
        plan = _plan_pieces(recording, parsed, exact=exact, at_chapters=at_chapters)
        provenance = split_provenance(**options)
        prepared = Prepared(
            plan, recording.source, jobs=jobs, on_event=on_event, provenance=provenance
        )
        stack.pop_all()  # closing `prepared` closes the source
        return prepared


def split_provenance(**options: Unpack[SplitOptions]) -> Provenance:
    """Return how `split` makes files with these options; raises as `split`."""
    values = option_values(parse_split_options(options))
    if options.get("exact"):
        values["exact"] = True
    if (at := options.get("at")) is not None:
        values["at"] = at
    return Provenance(verb="split", options=values)


def _plan_pieces(
    recording: Recording, options: ParsedOptions, *, exact: bool, at_chapters: bool
) -> Plan:
    info, track, opened = recording.info, recording.track, recording.source
    own_tags = tags.read(info, track)
    plan = make_split(
        info,
        track,
        _method(info, track, exact=exact),
        options=options,
        chapters=_chapters(own_tags, info) if at_chapters else (),
        tags=own_tags.tags,
        track_is_chosen=options.track is not None,
    )
    if plan.action is Action.PASS_THROUGH and str(opened.path) != opened.name:
        plan = replace(plan, suffix=ending_of(opened.name, info, track))
    if plan.action is not Action.PASS_THROUGH:
        plan = replace(plan, info=replace(info, warnings=(*info.warnings, *own_tags.notes)))
    return recording.named(plan)


def _chapters(own_tags: tags.RecordingTags, info: MediaInfo) -> tuple[Chapter, ...]:
    if not own_tags.chapters:
        raise InputError("it has no chapters", fix="split it without at=chapters", path=info.path)
    return own_tags.chapters


def _why_not_copied(info: MediaInfo, track: Track) -> str:
    """Why a track's packets cannot be kept, as a sentence; empty if they can.

    Pieces with time stamps keep a gap between them.
    """
    if packets.is_chained(info):
        return "It is a chain of several Ogg recordings, each with its own headers."
    if track.is_edited:
        return frame_plan.edits_reason(track)
    if elementary.has_pauses(track):
        return elementary.pauses_reason(track)
    if any(one.samples < 0 for one in track.discontinuities):
        return f"Some of its {track.codec} packets overlap in time."
    return ""


def _method(info: MediaInfo, track: Track, *, exact: bool) -> SplitMethod:
    """The way to make pieces of a track that changes least."""
    container = packets.container_of(info)
    obstacle = _why_not_copied(info, track)
    if exact or obstacle or not lossless.is_cut_between_packets(container, track.codec):
        sample_type, depth_bits = sample_format(Path(info.path), track)
        kept = lossless.keeping_samples(
            track, container, sample_type=sample_type, depth_bits=depth_bits
        )
        return SplitMethod(
            suffix=containers.of(kept.format).suffix_of(kept.codec),
            reason=" ".join(filter(None, [obstacle, split_plan.samples_reason(kept, track.codec)])),
            encoding=kept,
        )
    if elementary.is_elementary(info) or track.codec in containers.of(container).raw_codecs:
        with files.staging(None) as folder:
            stream = elementary.extract_stream(info, track, folder)
        if isinstance(stream, elementary.ElementaryStream):
            form = stream.frames.format
            return SplitMethod(suffix=form, reason=split_plan.copy_reason(track.codec, form))
    home = containers.container_of_packets(container, track.codec)
    return SplitMethod(
        suffix=home.suffix_of(track.codec),
        reason=split_plan.copy_reason(track.codec, home.name),
        muxer=home.muxer_of(track.codec),
    )
