"""The plan of `split`: MediaInfo, a split method and options -> Plan, without a target.

Rules: a file that needs no cut stays unchanged; frames that can be separated are copied; all other
sound is encoded losslessly. Pieces tile the track and are balanced within the longest length. A
chapter's mark is a cut that does not move; each chapter is cut like a recording of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from captoolkit.bitstream import containers
from captoolkit.bitstream.encodings import describe
from captoolkit.model import Action, Chapter, Encoding, MediaInfo, Plan, Span, Track
from captoolkit.planning import frame_plan, segmentation
from captoolkit.planning.options import SHORTEST_S, ParsedOptions, check_options
from captoolkit.units import format_length, samples_at

LONGEST_S = Fraction(2400)  # of a piece, if no option states a length or number
# A copied piece may be longer than its span by a packet at either end.
PACKETS_S = Fraction(1, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitMethod:
    """How pieces of a track are made.

    Attributes:
        suffix: the ending of the pieces' names.
        reason: the method as a sentence.
        muxer: ffmpeg's muxer if it copies packets; empty otherwise.
        encoding: the encoding if samples are encoded losslessly; None otherwise.
            With neither of these two, frames are copied as a raw stream.
    """

    suffix: str
    reason: str
    muxer: str = ""
    encoding: Encoding | None = None


def make_split(
    info: MediaInfo,
    track: Track,
    method: SplitMethod,
    *,
    options: ParsedOptions,
    chapters: Sequence[Chapter] = (),
    tags: Mapping[str, str] | None = None,
    track_is_chosen: bool = False,
) -> Plan:
    """Return the plan that splits one track of a file into pieces.

    Args:
        info: the source file.
        track: the track to split.
        method: how its pieces are made.
        options: `segment_s`, `max_segment_s`, `parts`; without any, pieces last at most 40 minutes.
        chapters: the chapters at which it is cut as well.
        tags: the tags of every piece.
        track_is_chosen: the caller chose the track, so a file with other tracks is not kept whole.

    Raises:
        UsageError: no plan satisfies the options.
    """
    check_options(options)
    longest_s = _longest_s(options, track)
    stretches, titles = _stretches(track, chapters)
    causes = _causes(info, track, longest_s, options, stretches, track_is_chosen)
    if not causes:
        return _untouched(info, track)
    durations_s = [one.exact_s for one in stretches]
    kept_s = (
        longest_s if method.encoding else max(longest_s - PACKETS_S, longest_s * frame_plan.NEARLY)
    )
    most_s = max(durations_s) if max(durations_s) <= kept_s else kept_s
    numbers = segmentation.count_segments(durations_s, most_s, options)
    cutting = segmentation.cutting(durations_s, numbers, kept_s, options, encoding=method.encoding)
    if any(titles):  # the title of a piece names the number of pieces of its chapter
        cutting = replace(cutting, is_fewest=False)
    spans = segmentation.balance(stretches, numbers)
    reasons = [frame_plan.segments_reason(spans, cutting)] if len(spans) > 1 else []
    return Plan(
        info=info,
        track=track,
        action=Action.ENCODE if method.encoding else Action.COPY,
        encoding=method.encoding,
        suffix=method.suffix,
        muxer=method.muxer,
        spans=spans,
        marks=tuple(one.start_samples for one in stretches[1:]),
        tags=tuple((tags or {}).items()),
        titles=_numbered(titles, numbers),
        **cutting.fields(track.sample_rate_hz),
        max_segment_samples=int(longest_s * track.sample_rate_hz),
        reasons=(*causes, *reasons, method.reason),
    )


def _longest_s(options: ParsedOptions, track: Track) -> Fraction:
    """How long a piece may be. Without a limit, `parts` and `segment_s` alone decide."""
    if options.max_segment_s is not None:
        return options.max_segment_s
    if options.parts is None and options.segment_s is None:
        return LONGEST_S
    return Fraction(track.duration_samples, track.sample_rate_hz) + 1


def _stretches(track: Track, chapters: Sequence[Chapter]) -> tuple[list[Span], list[str]]:
    """The chapters and their titles; one shorter than a second joins the one before it."""
    rate_hz, total = track.sample_rate_hz, track.duration_samples
    starting = sorted((max(0, samples_at(one.start_s, rate_hz)), one.title) for one in chapters)
    marks = [(0, ""), *((at, title) for at, title in starting if at < total)]
    ends = [*(at for at, _ in marks[1:]), total]
    lengths = [end - at for (at, _), end in zip(marks, ends, strict=True)]
    kept = [
        mark for mark, length in zip(marks, lengths, strict=True) if length >= SHORTEST_S * rate_hz
    ]
    starts = [0, *(at for at, _ in kept[1:])]
    edges = itertools.pairwise([*starts, total])
    spans = [Span(start_samples=one, end_samples=two, rate_hz=rate_hz) for one, two in edges]
    return spans, [title for _, title in kept or marks[:1]]


def _numbered(titles: Sequence[str], numbers: Sequence[int]) -> tuple[str, ...]:
    """A title for each piece; the pieces of one chapter are numbered."""
    return tuple(
        f"{title} ({part + 1}/{number})" if title and number > 1 else title
        for title, number in zip(titles, numbers, strict=True)
        for part in range(number)
    )


def _causes(
    info: MediaInfo,
    track: Track,
    longest_s: Fraction,
    options: ParsedOptions,
    stretches: Sequence[Span],
    track_is_chosen: bool,
) -> list[str]:
    """Why the file does not stay unchanged, as sentences; none if it does."""
    duration_s = Fraction(track.duration_samples, track.sample_rate_hz)
    causes = []
    if len(stretches) > 1:
        causes.append(f"It is cut at its chapters, {len(stretches):,} in all.")
    if duration_s > longest_s:
        causes.append(
            f"It lasts {format_length(duration_s)}; a piece lasts at most "
            f"{format_length(longest_s)}."
        )
    if options.segment_s is not None and duration_s > options.segment_s:
        causes.append(f"Pieces of {format_length(options.segment_s)} are requested.")
    if options.parts is not None and options.parts > 1:
        causes.append(f"{options.parts:,} parts are requested.")
    container = containers.of(info.container)
    if container.has_index_frame or container.holds_samples:  # pieces then state their true length
        causes += info.misreadings
    if track_is_chosen and len(info.tracks) > 1:
        causes.append(f"Sound track {track.number} is requested.")
    if causes and len(info.tracks) > 1 and not track_is_chosen:
        causes.append(f"Of its {len(info.tracks)} sound tracks number {track.number} is split.")
    if causes and any(not picture.is_cover for picture in info.pictures):
        causes.append("Its moving picture is left out: sound is split.")
    if causes and any(picture.is_cover for picture in info.pictures):
        causes.append("Its cover art is left out.")
    return causes


def _untouched(info: MediaInfo, track: Track) -> Plan:
    """The plan that keeps the file as the only piece, under its own ending."""
    whole = Span(start_samples=0, end_samples=track.duration_samples, rate_hz=track.sample_rate_hz)
    ending = info.path.rpartition("/")[2].rpartition(".")
    has_ending = bool(ending[0]) and ending[2].isalnum()
    return Plan(
        info=info,
        track=track,
        action=Action.PASS_THROUGH,
        encoding=None,
        suffix=ending[2] if has_ending else containers.of(info.container).suffix_of(track.codec),
        spans=(whole,),
        reach_samples=0,
        max_segment_samples=track.duration_samples,
        reasons=(
            f"It lasts {format_length(whole.exact_s)} and needs no cut: the file stays unchanged.",
        ),
    )


def copy_reason(codec: str, container: str) -> str:
    """Return that frames are copied, as a sentence."""
    return f"Its {codec} frames are kept unchanged, in {container}, and cut between two of them."


def samples_reason(encoding: Encoding, codec: str) -> str:
    """Return that samples are encoded losslessly, as a sentence."""
    made = describe(encoding)
    if encoding.codec == codec:
        return f"Each sample is kept unchanged: {made}."
    return f"Its cuts are exact: the output of its {codec} decoder is kept as {made}."
