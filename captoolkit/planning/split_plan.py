"""MediaInfo + how its pieces can be had + wishes -> Plan of a split: no limits but the caller's.

Rules: a file that need not be cut stays untouched; what can be cut between frames is copied; what
cannot is encoded losslessly. Pieces tile the track, balanced within the longest length. A chapter's
mark is a cut that does not move; what lies between two marks is cut as if it were a recording.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from captoolkit.bitstream.encodings import describe
from captoolkit.model import Action, Encoding, MediaInfo, Plan, Span, Track, Via
from captoolkit.planning import frame_plan, sharing
from captoolkit.planning.options import SHORTEST_S, ParsedOptions, check_options
from captoolkit.services.price import bill
from captoolkit.services.rows import NOBODY
from captoolkit.units import format_length, samples_at

LONGEST_S = Fraction(2400)  # of a piece, if nothing is asked for
# A copied piece may be longer by a packet at either end than its span says.
PACKETS_S = Fraction(1, 4)
NO_LIMIT_BYTES = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How pieces of a track can be had.

    Attributes:
        suffix: what the names of the pieces end in.
        said: what is done, as a sentence.
        muxer: where packets are copied by ffmpeg, its writer of their container.
        encoding: where samples are encoded losslessly, how.
        Neither of these two: frames are copied as a raw stream.
    """

    suffix: str
    said: str
    muxer: str = ""
    encoding: Encoding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A chapter of a recording: where it begins on the recording's clock, and what it is called."""

    start_s: Fraction
    title: str


def make_split(
    info: MediaInfo,
    track: Track,
    way: Way,
    *,
    options: ParsedOptions,
    chapters: Sequence[Chapter] = (),
    tags: Mapping[str, str] | None = None,
    track_is_asked_for: bool = False,
) -> Plan:
    """Decide into which pieces one track of a file is split.

    Args:
        info: what the file holds.
        track: the track that is split.
        way: how its pieces can be had.
        options: `segment_s`, `max_segment_s`, `parts`; nothing means 40 minutes at most.
        chapters: where to cut beside that; none if chapters are not to be respected.
        tags: what every piece says of itself.
        track_is_asked_for: whether the other tracks are unwanted even where nothing is cut.

    Raises:
        UsageError: the wishes cannot be met.
    """
    check_options(options)
    longest_s = _longest_s(options, track)
    stretches, titles = _stretches(track, chapters)
    causes = _causes(info, track, longest_s, options, stretches, track_is_asked_for)
    if not causes:
        return _untouched(info, track)
    durations_s = [Fraction(one.samples, one.rate_hz) for one in stretches]
    kept_s = (
        longest_s if way.encoding else max(longest_s - PACKETS_S, longest_s * frame_plan.NEARLY)
    )
    most_s = max(durations_s) if max(durations_s) <= kept_s else kept_s
    numbers = sharing.numbers(durations_s, most_s, options)
    reach_s = sharing.reach_s(durations_s, numbers, kept_s, encoding=way.encoding)
    spans = sharing.shared_out(stretches, numbers)
    said = [frame_plan.said_of_segments(spans, reach_s)] if len(spans) > 1 else []
    return Plan(
        info=info,
        track=track,
        target=NOBODY,
        via=Via.URL,
        action=Action.ENCODE if way.encoding else Action.COPY,
        encoding=way.encoding,
        suffix=way.suffix,
        muxer=way.muxer,
        spans=spans,
        marks=tuple(one.start_samples for one in stretches[1:]),
        tags=tuple((tags or {}).items()),
        titles=_numbered(titles, numbers),
        reach_samples=max(0, int(reach_s * track.sample_rate_hz) - 1),
        max_segment_samples=int(longest_s * track.sample_rate_hz),
        max_segment_bytes=NO_LIMIT_BYTES,
        reasons=(*causes, *said, way.said),
        **bill(NOBODY, durations_s),
    )


def _longest_s(options: ParsedOptions, track: Track) -> Fraction:
    """How long a piece may be; a wish for parts or a length says it all, unless a limit is too."""
    if options.max_segment_s is not None:
        return options.max_segment_s
    if options.parts is None and options.segment_s is None:
        return LONGEST_S
    return Fraction(track.duration_samples, track.sample_rate_hz) + 1


def _stretches(track: Track, chapters: Sequence[Chapter]) -> tuple[list[Span], list[str]]:
    """The chapters and their titles; one of less than a second belongs to the one before it."""
    rate_hz, total = track.sample_rate_hz, track.duration_samples
    begun = sorted((max(0, samples_at(one.start_s, rate_hz)), one.title) for one in chapters)
    marks = [(0, ""), *((at, title) for at, title in begun if at < total)]
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
    track_is_asked_for: bool,
) -> list[str]:
    """Why the file does not stay as it is, as sentences; none if it does."""
    duration_s = Fraction(track.duration_samples, track.sample_rate_hz)
    causes = []
    if len(stretches) > 1:
        causes.append(f"It is cut at its chapters, {len(stretches)} in all.")
    if duration_s > longest_s:
        causes.append(
            f"It lasts {format_length(duration_s)}; a piece is to be {format_length(longest_s)} "
            "at most."
        )
    if options.segment_s is not None and duration_s > options.segment_s:
        causes.append(f"Pieces of {format_length(options.segment_s)} are asked for.")
    if options.parts is not None and options.parts > 1:
        causes.append(f"{options.parts} parts are asked for.")
    if track_is_asked_for and len(info.tracks) > 1:
        causes.append(f"Sound track {track.number} is asked for.")
    if causes and len(info.tracks) > 1 and not track_is_asked_for:
        causes.append(f"Of its {len(info.tracks)} sound tracks number {track.number} is split.")
    if causes and any(not picture.is_cover for picture in info.pictures):
        causes.append("Its moving picture is left out: sound is split.")
    if causes and any(picture.is_cover for picture in info.pictures):
        causes.append("Its cover art is left out.")
    return causes


def _untouched(info: MediaInfo, track: Track) -> Plan:
    """The file itself as the only piece, under the ending that it has."""
    whole = Span(start_samples=0, end_samples=track.duration_samples, rate_hz=track.sample_rate_hz)
    length_s = Fraction(whole.samples, whole.rate_hz)
    ending = info.path.rpartition("/")[2].rpartition(".")
    return Plan(
        info=info,
        track=track,
        target=NOBODY,
        via=Via.URL,
        action=Action.PASS_THROUGH,
        encoding=None,
        suffix=ending[2] if ending[0] and ending[2].isalnum() else info.container,
        spans=(whole,),
        reach_samples=0,
        max_segment_samples=track.duration_samples,
        max_segment_bytes=NO_LIMIT_BYTES,
        reasons=(
            f"It lasts {format_length(length_s)} and need not be cut. Not a byte is changed.",
        ),
        **bill(NOBODY, [length_s]),
    )


def said_of_copies(codec: str, container: str) -> str:
    """Return what is done with frames that are kept, as a sentence."""
    return f"Its {codec} frames are kept as they are, in {container}, and cut between two of them."


def said_of_samples(encoding: Encoding, codec: str) -> str:
    """Return what is done with samples that are kept, as a sentence."""
    made = describe(encoding)
    if encoding.codec == codec:
        return f"Each sample is kept as it is: {made}."
    return f"Its cuts are exact: what its {codec} decoder gives is kept as {made}."
