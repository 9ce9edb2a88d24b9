"""The verb `plan`: the decision about a recording, with its reasons.

Rules: `read_request` reads every option before a source is opened, so that an invalid option costs
no download and no copy. `plan_recording` then measures only the facts that the decision needs; the
decision itself is made in `planning/`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from captoolkit.api.recording import Recording, open_recording, web_url
from captoolkit.dsp import downmix, silence
from captoolkit.dsp.peaks import in_db
from captoolkit.errors import UsageError
from captoolkit.media import decode, elementary, measure_file, samples_by_place
from captoolkit.media.decode import read_blocks
from captoolkit.media.source import fetchable_url
from captoolkit.model import MediaInfo, Plan, Span, Target, Track, Via
from captoolkit.planning import fitting, gain, rung_choice, transport
from captoolkit.planning.options import (
    DeliveryOptions,
    ParsedOptions,
    PlanOptions,
    SegmentOptions,
    parse_plan_options,
)
from captoolkit.planning.prepare_plan import make_plan
from captoolkit.services import catalogue
from captoolkit.support import files
from captoolkit.support.keywords import documents, refuse_unknown_names

if TYPE_CHECKING:
    from captoolkit.media.source import Source


@documents(DeliveryOptions, SegmentOptions, PlanOptions)
def plan(source: Source, **options: Unpack[PlanOptions]) -> Plan:
    """Return the plan that `prepare` would carry out, with its reasons; write nothing.

    Args:
        source: a path, bytes, a binary file object, `(array, rate_hz)`, a `pydub.AudioSegment`, or
            an http(s) URL, which is downloaded to a temporary file.
        **options: `PlanOptions`.

    Raises:
        UsageError: an option is invalid, or no plan satisfies the options; an invalid option is
            found before the source is opened.
        InputError: the source is missing, no media, without sound, or too long.
        ToolError: ffmpeg failed.
        TypeError: there is no option of that name.
    """
    refuse_unknown_names("plan", options, PlanOptions.__annotations__)
    request = read_request(source, options)
    with open_recording(source, request.options) as recording:
        return plan_recording(recording, request)


# ------------------------------------------------------------------------ read the options


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """The options of one plan, read.

    Attributes:
        target: the limits to keep.
        vias: the ways to plan for, the preferred one first.
        options: the other options.
    """

    target: Target
    vias: tuple[Via, ...]
    options: ParsedOptions


def read_request(
    source: Source,
    options: PlanOptions,
    *,
    target: Target | None = None,
    ways: Collection[Via] | None = None,
) -> PlanRequest:
    """Return the options of a plan, read and checked; the source is not opened.

    Args:
        source: the source; a service can fetch it by its URL only if it is one.
        options: the keyword arguments of the verb.
        target: the limits of the service that will be used, in place of the `target` option.
        ways: the ways that lead to this service; None if the files are for no service in
            particular. Where there is a service, a file that does not fit as its URL goes another
            way.

    Raises:
        UsageError: an option is invalid.
    """
    parsed = parse_plan_options(options)
    if target is None:
        chosen = options.get("target")
        target = catalogue.target(catalogue.DEFAULT_TARGET if chosen is None else chosen)
    url = web_url(source)
    vias = transport.candidates(
        str(options.get("via", Via.BASE64)),
        has_url=url is not None and fetchable_url(url) is not None,
        ways=ways,
    )
    if options.get("normalize") is None and parsed.gain_db is None:
        parsed = dataclasses.replace(parsed, normalize=target.loudness)
    if parsed.format != "auto" or parsed.has_encoding_options:
        fitting.candidates(MOST_CAPABLE_TRACK, target, parsed)
    return PlanRequest(target=target, vias=vias, options=parsed)


# An encoding that cannot be made of this track cannot be made of any other.
MOST_CAPABLE_TRACK = Track(
    number=1,
    stream_index=0,
    codec="pcm_s16le",
    sample_rate_hz=48_000,
    channels=2,
    layout="stereo",
    duration_samples=1,
)


# ---------------------------------------------------------------------- measure and decide


def plan_recording(recording: Recording, request: PlanRequest) -> Plan:
    """Return the plan for an open recording.

    Raises:
        UsageError: no plan satisfies the options.
        ToolError: ffmpeg failed.
    """
    info, track, options = recording.info, recording.track, request.options
    mix = _measure_mix(info, track, request)
    skipped = _find_silences(info, track, options.skip_silence_s)
    may_cancel = mix is not None and bool(mix.reason)
    stream: elementary.ElementaryStream | str = ""
    if (
        not options.has_encoding_options
        and not may_cancel
        and elementary.is_accepted(track, request.target)
    ):
        with files.staging(None) as folder:
            stream = elementary.extract_stream(info, track, folder)
    make = functools.partial(
        make_plan,
        info,
        track,
        request.target,
        options=options,
        mix=mix,
        framing=stream.framing if isinstance(stream, elementary.ElementaryStream) else None,
        unframed=stream if isinstance(stream, str) else "",
        pcm=samples_by_place.layout_of(Path(info.path), options.raw),
        skipped=skipped,
    )
    planned = transport.best(lambda via: make(via=via), request.vias)
    planned = _with_quieter_cuts(planned, make, Path(info.path), options)
    return recording.named(_with_gain(planned, Path(info.path), options))


def _with_quieter_cuts(
    plan: Plan, make: Callable[..., Plan], path: Path, options: ParsedOptions
) -> Plan:
    """Return the plan, or that of the next rung down if its cuts are worth the loss."""
    if options.bit_rate or not plan.fallbacks or not rung_choice.is_tight(plan):
        return plan
    try:
        lower = make(via=plan.via, most_bit_rate=plan.fallbacks[0].bit_rate)
    except UsageError:  # it does not fit
        return plan
    if lower.spans != plan.spans:
        return plan
    curves = measure_file.loudness_around(path, plan, rung_choice.movable_cuts(plan))
    return rung_choice.choose(plan, lower, rung_choice.measure_cuts(plan, lower, curves))


def _with_gain(plan: Plan, path: Path, options: ParsedOptions) -> Plan:
    """Return the plan with the gain of its recording, measured in a decode where it has to be."""
    if plan.encoding is None:
        return plan
    info, choice = plan.info, gain.GainChoice()
    if decode.may_hold_nan(plan.track):
        own = measure_file.peak(path, plan.track)
        if own.not_numbers:
            warning = gain.not_numbers_warning(own.not_numbers, own.samples)
            info = dataclasses.replace(info, warnings=(*info.warnings, warning))
        if own.peak > 1 and options.gain == gain.AUTO and options.normalize is None:
            # Mixing and resampling change the peak.
            choice = gain.fitting_gain(measure_file.peak_as_planned(path, plan).peak_db)
    if options.gain_db is not None:
        choice = gain.requested_gain(options.gain_db)
    elif options.normalize is not None:
        lufs, true_peak = measure_file.loudness_as_planned(path, plan)
        choice = gain.normalizing_gain(lufs, in_db(true_peak), options.normalize)
    reasons = (*plan.reasons, *filter(None, [choice.reason]))
    return dataclasses.replace(plan, info=info, gain_db=choice.gain_db, reasons=reasons)


def _measure_mix(info: MediaInfo, track: Track, request: PlanRequest) -> downmix.Mix | None:
    """Measure how to mix the channels; None where the channels stay as they are."""
    if track.channels == 1 or request.target.full_sound:
        return None
    if request.options.channels == track.channels:
        return None
    path = Path(info.path)
    return downmix.choose_mix(
        read_blocks(decode.excerpts(path, track=track), path),
        rate_hz=track.sample_rate_hz,
        layout=track.layout,
        channels=track.channels,
    )


def _find_silences(info: MediaInfo, track: Track, least_s: Fraction | None) -> tuple[Span, ...]:
    """Find the silences to leave out, in one decode of the track; none without a least length."""
    if least_s is None:
        return ()
    silences = silence.silences(
        measure_file.levels_db(Path(info.path), track),
        rate_hz=track.sample_rate_hz,
        total_samples=track.duration_samples,
        at_least_s=least_s,
    )
    return tuple(
        Span(start_samples=start, end_samples=end, rate_hz=track.sample_rate_hz)
        for start, end in silences
    )
