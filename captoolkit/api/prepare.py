"""The first verbs: look at a recording, decide, and hand out segments that carry the plan out."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
from collections.abc import Collection, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captoolkit.dsp import downmix, silence
from captoolkit.errors import InputError, UsageError
from captoolkit.events import OnEvent, ignore
from captoolkit.media import decode, elementary, measure_file
from captoolkit.media import probe_file as probing
from captoolkit.media.decode import read_blocks
from captoolkit.media.source import OpenSource, is_web_url, open_source
from captoolkit.model import MediaInfo, Plan, Span, Target, Track, Via
from captoolkit.pipeline.prepared import Prepared
from captoolkit.planning import transport
from captoolkit.planning.options import ParsedOptions, refuse_nonsense
from captoolkit.planning.prepare_plan import make_plan
from captoolkit.services import catalogue
from captoolkit.support import files
from captoolkit.units import format_clock, parse_bit_rate, parse_duration

if TYPE_CHECKING:
    from captoolkit.media.source import Source

MAX_DURATION = "48h"  # two days: longer is more likely a hostile header than a recording
DEFAULT_SILENCE_S = Fraction(10)
SHORTEST_SILENCE_S = Fraction(1)


def probe(source: Source) -> MediaInfo:
    """Return what a recording holds: container, tracks, exact lengths, and what is odd about it.

    Args:
        source: as for `plan`.

    Raises:
        UsageError: it is nothing that can be read as sound.
        InputError: it is missing, no media, without sound.
        ToolError: ffmpeg failed.
    """
    with _lent(source) as opened:
        return dataclasses.replace(probing.probe(opened.path), path=opened.name)


def plan(
    source: Source,
    *,
    target: str | Target = catalogue.DEFAULT_TARGET,
    via: str | Via = Via.BASE64,
    track: int | str | None = None,
    format: str = "auto",
    quality: str = "auto",
    bit_rate: str | int | None = None,
    sample_rate_hz: int | None = None,
    channels: int | None = None,
    effort: str = "fast",
    segment: str | float | None = None,
    max_segment: str | float | None = None,
    parts: int | None = None,
    skip_silence: str | float | bool | None = None,
    max_duration: str | float | Fraction = MAX_DURATION,
    ways: Collection[Via] | None = None,
) -> Plan:
    """Return what `prepare` would do with a recording and why; write nothing.

    Args:
        source: a path, bytes, a binary file object, `(array, rate_hz)`, an AudioSegment, or an
            http(s) URL, which is downloaded to a temporary file.
        target: the service it is for, by the name of its row or of its model.
        via: how it will travel: `base64`, `upload`, `url`, or `auto`: inside the request if no
            other way keeps more of the sound; the reasons say so.
        track: a sound track's number from 1, or its language; None takes the default one.
        format: `auto`, `wav`, `mp3`, `aac`, `amr` or `gsm`.
        quality: `auto`, `voice`, `podcast` or `music`.
        bit_rate: bits per second, or a text such as `64k`.
        sample_rate_hz: samples per second that come out.
        channels: 1 or 2.
        segment: about how long a segment shall be: seconds, or a text such as `30s`.
        max_segment: how long one may be at most.
        effort: `fast`, or `best` for the encoder's slower settings where they sound better.
        parts: how many segments there shall be.
        skip_silence: leave out silences of at least this length; True for ten seconds.
        max_duration: a recording that lasts longer is refused.
        ways: those that lead to whoever will be asked; None if nobody is. Where somebody is, what
            does not fit as its URL goes another way.

    Raises:
        UsageError: the wishes are no such things, or cannot be met.
        InputError: the source is missing, no media, without sound.
        ToolError: ffmpeg failed.
    """
    options = ParsedOptions(
        format=format,
        quality=quality,
        bit_rate=parse_bit_rate(bit_rate) if isinstance(bit_rate, str) else bit_rate,
        sample_rate_hz=sample_rate_hz,
        channels=channels,
        segment_s=seconds(segment),
        max_segment_s=seconds(max_segment),
        effort=effort,
        parts=parts,
    )
    refuse_nonsense(options)
    row, least_s, most_s = catalogue.target(target), _silence_s(skip_silence), seconds(max_duration)
    transport.candidates(str(via), has_url=_is_url(source), ways=ways)  # before anything is fetched
    with _lent(source) as opened:
        vias = transport.candidates(str(via), has_url=opened.url is not None, ways=ways)
        chosen = chosen_track(opened.path, track, max_duration_s=most_s)
        made = _plan_file(*chosen, row, vias, options, least_s)
        return named(made, opened)


def prepare(
    source: Source, *, jobs: int | None = None, on_event: OnEvent = ignore, **options: Any
) -> Prepared:
    """Return the segments of a recording that fit its target, made as they are asked for.

    ```python
    with prepare("talk.mkv") as prepared:
        for segment in prepared:
            send(segment.data_uri())
    ```

    or, to keep the files and their manifest: `prepare("talk.mkv").save("ready")`.

    Args:
        source: as for `plan`.
        jobs: how many stretches of a long recording are worked on at once; all cores if None.
        on_event: receives `Started`, `Progressed`, `SegmentReady`, `Replaced` and `Warned`, from
            the threads that work; what it raises ends the work. To pickle what is returned, it
            must be pickled too: a function of a module can be, a lambda cannot.
        **options: the keyword arguments of `plan`.

    Raises:
        UsageError, InputError, ToolError: as `plan`; while iterating also LimitError and
            OutputError.
    """
    if jobs is not None and jobs < 1:
        raise UsageError(f"jobs={jobs} must be at least 1")
    opened = open_anything(source)
    try:
        return Prepared(
            plan(opened, **options),  # type: ignore[arg-type]
            opened,
            jobs=jobs or cores(),
            on_event=on_event,
        )
    except BaseException:
        opened.close()
        raise


def seconds(length: str | float | Fraction | None) -> Fraction | None:
    """Return a length of time as exact seconds, None for none."""
    if length is None:
        return None
    return parse_duration(length if isinstance(length, str) else f"{float(length):f}")


def _is_url(source: Source | OpenSource) -> bool:
    """Whether a source lies on the web."""
    if isinstance(source, OpenSource):
        return source.url is not None
    return isinstance(source, str | os.PathLike) and is_web_url(os.fsdecode(source))


@contextlib.contextmanager
def _lent(source: Source | OpenSource) -> Iterator[OpenSource]:
    """The source as a file, as long as it is needed; what is open already stays so."""
    if isinstance(source, OpenSource):
        yield source
    else:
        with contextlib.closing(open_anything(source)) as opened:
            yield opened


def open_anything(source: Source) -> OpenSource:
    """The source as a file; what a URL names is fetched first, and only then is httpx loaded."""
    if _is_url(source):
        from captoolkit.net.download import download

        return open_source(source, fetch=download)
    return open_source(source)


def named(made: Plan, opened: OpenSource) -> Plan:
    """The plan with the name that its source is known by, not that of a temporary file."""
    return dataclasses.replace(made, info=dataclasses.replace(made.info, path=opened.name))


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _silence_s(length: str | float | bool | None) -> Fraction | None:
    """How long a silence must be to be left out; None keeps all."""
    if length is None or length is False:
        return None
    least_s = DEFAULT_SILENCE_S if length is True else seconds(length)
    if least_s is None or least_s < SHORTEST_SILENCE_S:
        raise UsageError(
            f"skip_silence={length} is too short a silence", fix="ask for a second or more"
        )
    return least_s


def chosen_track(
    path: Path, wanted: int | str | None, *, max_duration_s: Fraction | None
) -> tuple[MediaInfo, Track]:
    """Return what a file holds and the track to take.

    Raises:
        InputError: there is no such track, or it lasts longer than it may.
    """
    info = probing.probe(path)
    track = probing.choose_track(info, wanted)
    if max_duration_s is not None and track.duration_s > max_duration_s:
        raise InputError(
            f"it lasts {format_clock(track.duration_s)}, longer than the "
            f"{format_clock(float(max_duration_s))} allowed",
            fix="raise the limit (--max-duration) if that is what it is",
            path=path,
        )
    return info, track


def _plan_file(
    info: MediaInfo,
    chosen: Track,
    target: Target,
    vias: tuple[Via, ...],
    options: ParsedOptions,
    silence_s: Fraction | None,
) -> Plan:
    path = Path(info.path)
    mix = None
    if chosen.channels > 1 and options.channels != chosen.channels and not target.full_sound:
        mix = downmix.choose_mix(
            read_blocks(decode.excerpts(path, track=chosen), path),
            rate_hz=chosen.sample_rate_hz,
            layout=chosen.layout,
            channels=chosen.channels,
        )
    skipped = () if silence_s is None else _silent(path, chosen, silence_s)
    may_cancel = mix is not None and bool(mix.reason)
    stream: elementary.ElementaryStream | str = ""
    if not options.shape_the_sound and not may_cancel and elementary.is_accepted(chosen, target):
        with files.staging(None) as folder:
            stream = elementary.extract_stream(info, chosen, folder)
    make = functools.partial(
        make_plan,
        info,
        chosen,
        target,
        options=options,
        mix=mix,
        framing=stream.framing if isinstance(stream, elementary.ElementaryStream) else None,
        unframed=stream if isinstance(stream, str) else "",
        skipped=skipped,
    )
    return transport.best(lambda via: make(via=via), vias)


def _silent(path: Path, track: Track, at_least_s: Fraction) -> tuple[Span, ...]:
    """The silences of a track that are left out; it takes a decode of its own to know them."""
    found = silence.silences(
        measure_file.levels_db(path, track),
        rate_hz=track.sample_rate_hz,
        total_samples=track.duration_samples,
        at_least_s=at_least_s,
    )
    return tuple(
        Span(start_samples=start, end_samples=end, rate_hz=track.sample_rate_hz)
        for start, end in found
    )
