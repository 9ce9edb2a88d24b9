"""The first verb: look at a recording, decide, and hand out segments that carry the plan out."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captoolkit import catalogue
from captoolkit.audio import pcm
from captoolkit.audio.probe import choose_track, probe
from captoolkit.audio.source import open_source
from captoolkit.errors import UsageError
from captoolkit.events import OnEvent, ignore
from captoolkit.model import Plan, Target, Via
from captoolkit.planning import mixing
from captoolkit.planning.plan import make_plan
from captoolkit.planning.wishes import Wishes
from captoolkit.prepared import Prepared, decoded
from captoolkit.units import parse_duration

if TYPE_CHECKING:
    from captoolkit.audio.source import Source


def plan(
    source: Source,
    *,
    target: str | Target = catalogue.DEFAULT_TARGET,
    via: str | Via = Via.BASE64,
    track: int | str | None = None,
    format: str = "auto",
    quality: str = "auto",
    bit_rate: int | None = None,
    sample_rate_hz: int | None = None,
    channels: int | None = None,
    segment: str | float | None = None,
    max_segment: str | float | None = None,
) -> Plan:
    """Return what `prepare` would do with a recording and why; write nothing.

    Args:
        source: a path, bytes, a binary file object, `(array, rate_hz)` or an AudioSegment.
        target: the service it is for, by the name of its row or of its model.
        via: how it will travel: `base64`, `upload` or `url`.
        track: a sound track's number from 1, or its language; None takes the default one.
        format: `auto`, `wav`, `mp3`, `aac` or `amr`.
        quality: `auto`, `voice`, `podcast` or `music`.
        bit_rate: bits per second.
        sample_rate_hz: samples per second that come out.
        channels: 1 or 2.
        segment: about how long a segment shall be: seconds, or a text such as `30s`.
        max_segment: how long one may be at most.

    Raises:
        UsageError: the wishes are no such things, or cannot be met.
        InputError: the source is missing, no media, without sound.
        ToolError: ffmpeg failed.
    """
    wishes = Wishes(
        format=format,
        quality=quality,
        bit_rate=bit_rate,
        sample_rate_hz=sample_rate_hz,
        channels=channels,
        segment_s=_seconds(segment),
        max_segment_s=_seconds(max_segment),
    )
    row, way = catalogue.target(target), _via(via)
    opened = open_source(source)
    try:
        return _plan_file(opened.path, row, way, track, wishes)
    finally:
        opened.close()


def prepare(source: Source, *, on_event: OnEvent = ignore, **wishes: Any) -> Prepared:
    """Return the segments of a recording that fit its target, made as they are asked for.

    ```python
    with prepare("talk.mkv") as prepared:
        for segment in prepared:
            send(segment.data_uri())
    ```

    or, to keep the files and their manifest: `prepare("talk.mkv").save("ready")`.

    Args:
        source: as for `plan`.
        on_event: receives `Started`, `Progressed` and `SegmentReady`.
        **wishes: the keyword arguments of `plan`.

    Raises:
        UsageError, InputError, ToolError: as `plan`; while iterating also LimitError and
            OutputError.
    """
    opened = open_source(source)
    try:
        return Prepared(plan(opened.path, **wishes), opened, on_event=on_event)
    except BaseException:
        opened.close()
        raise


def _seconds(length: str | float | Fraction | None) -> Fraction | None:
    if length is None:
        return None
    return parse_duration(length if isinstance(length, str) else f"{float(length):f}")


def _via(name: str | Via) -> Via:
    try:
        return Via(name)
    except ValueError:
        raise UsageError(f"via={name} is not a way", fix=f"take {', '.join(Via)}") from None


def _plan_file(
    path: Path, target: Target, via: Via, track: int | str | None, wishes: Wishes
) -> Plan:
    info = probe(path)
    chosen = choose_track(info, track)
    mix = None
    if chosen.channels > 1 and wishes.channels != chosen.channels and not target.full_sound:
        mix = mixing.choose_mix(
            decoded(pcm.excerpts(path, track=chosen), path),
            rate_hz=chosen.sample_rate_hz,
            layout=chosen.layout,
            channels=chosen.channels,
        )
    return make_plan(info, chosen, target, via=via, wishes=wishes, mix=mix)
