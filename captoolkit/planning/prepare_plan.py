"""MediaInfo + Target + wishes -> Plan: what will be done, and why, in words.

Rules: the least change that fits. A file that the target takes as it is passes through untouched;
else its frames move to a container that the target takes; else they are shared out to segments at
their boundaries; else the sound is encoded. A step is skipped only for a stated reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from captoolkit.bitstream.encodings import ENCODINGS, describe, file_bytes
from captoolkit.dsp import downmix
from captoolkit.errors import UsageError
from captoolkit.model import Action, Encoding, MediaInfo, Plan, Span, Target, Track, Via
from captoolkit.planning import fitting, frame_plan, sharing
from captoolkit.planning.fitting import Bounds, Fit, fallbacks, why_not_stereo
from captoolkit.planning.options import ParsedOptions, check_options
from captoolkit.services import rows as targets
from captoolkit.services.price import bill
from captoolkit.units import format_length


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """All that a plan is made from.

    Attributes:
        causes: why the file cannot stay as it is, as sentences.
        stretches: what of the track is kept.
    """

    info: MediaInfo
    track: Track
    target: Target
    via: Via
    options: ParsedOptions
    mix: downmix.Mix
    bounds: Bounds
    skipped: tuple[Span, ...]
    stretches: tuple[Span, ...]
    causes: tuple[str, ...]

    @property
    def durations_s(self) -> tuple[Fraction, ...]:
        """The exact length of each stretch."""
        return tuple(Fraction(one.samples, one.rate_hz) for one in self.stretches)


def make_plan(
    info: MediaInfo,
    track: Track,
    target: Target,
    *,
    via: Via = Via.BASE64,
    options: ParsedOptions | None = None,
    mix: downmix.Mix | None = None,
    framing: frame_plan.Framing | None = None,
    unframed: str = "",
    skipped: Sequence[Span] = (),
) -> Plan:
    """Decide what to do with one track of a file so that `target` takes it.

    Args:
        info: what the file holds.
        track: the track that is wanted.
        target: the service model.
        via: how it will travel.
        options: what the caller wants beside that.
        mix: how to make one channel of the track's; the plain average if None.
        framing: the track's frames, if they can be copied; None if they cannot.
        unframed: why they cannot, as a sentence; empty where nobody would expect it.
        skipped: stretches of the track that are silent and are left out.

    Raises:
        UsageError: the wishes cannot be met within the limits.
    """
    options = options or ParsedOptions()
    check_options(options)
    mix = mix or downmix.average_mix(track.channels, track.layout)
    case = _Case(
        info=info,
        track=track,
        target=target,
        via=via,
        options=options,
        mix=mix,
        bounds=_bounds(target, via, options),
        skipped=tuple(skipped),
        stretches=_kept(track, skipped),
        causes=_causes(info, track, target, via, options, mix, skipped),
    )
    made = _made(case, framing, unframed)
    if not skipped:
        return made
    causes = _causes(info, track, target, via, options, mix, ())
    whole = replace(case, skipped=(), stretches=_kept(track, ()), causes=causes)
    try:
        said = _said_of_saving(_made(whole, framing, unframed), made)
    except UsageError:  # so few parts hold the sound alone: there is nothing to compare it with
        return made
    return replace(made, reasons=(*made.reasons, *said))


def _made(case: _Case, framing: frame_plan.Framing | None, unframed: str) -> Plan:
    """The plan with the least change."""
    if not case.causes:
        return _pass_through(case)
    if framing is not None:
        unframed = _why_not_copied(case, framing)
        if not unframed:
            return _with_frames_as_they_are(case, framing)
    return _encoded(case, unframed)


# ------------------------------------------------------------------- as it is, or not


def _causes(
    info: MediaInfo,
    track: Track,
    target: Target,
    via: Via,
    options: ParsedOptions,
    mix: downmix.Mix,
    skipped: Sequence[Span],
) -> tuple[str, ...]:
    """Why the file cannot stay as it is, as sentences; none if it can."""
    causes = list(targets.misfits(info, track, target, via))
    if not info.true_header:  # a service may hold the file to what it says of itself
        causes.append("Its header promises more sound than it holds, and is not passed on.")
    duration_s = Fraction(track.duration_samples, track.sample_rate_hz)
    if options.format != "auto" and not _is_of_format(info.container, track.codec, options):
        causes.append(f"{options.format.upper()} is asked for.")
    elif options.shape_the_sound:
        causes.append(f"{options.shape_in_words.capitalize()} is asked for.")
    for length_s in (options.segment_s, options.max_segment_s):
        if length_s is not None and duration_s > length_s:
            causes.append(f"Segments of {format_length(length_s)} are asked for.")
    if options.parts is not None and options.parts > 1:
        causes.append(f"{options.parts} parts are asked for.")
    if skipped:
        causes.append(_said_of_skipped(skipped))
    if mix.reason and not target.full_sound:
        causes.append(mix.reason)
    return tuple(causes)


def _is_of_format(container: str, codec: str, options: ParsedOptions) -> bool:
    """Whether sound in that container and codec is what the wish for a format means."""
    return ENCODINGS[options.format].is_found_in(container, codec)


def _said_of_skipped(skipped: Sequence[Span]) -> str:
    length_s = sum((Fraction(one.samples, one.rate_hz) for one in skipped), Fraction(0))
    silences = "1 silence is" if len(skipped) == 1 else f"{len(skipped)} silences are"
    return f"{silences} left out, {format_length(length_s)} in all."


def _said_of_saving(whole: Plan, made: Plan) -> list[str]:
    """What leaving silences out saves, as a sentence; none where nothing is counted."""
    if not whole.input_tokens:
        return []
    saved = max(whole.input_tokens - made.input_tokens, 0)
    return [
        f"Leaving silence out saves {saved:,} of {whole.input_tokens:,} input tokens, those for "
        "each request's text included."
    ]


def _kept(track: Track, skipped: Sequence[Span]) -> tuple[Span, ...]:
    """What is left of the track between the stretches that are skipped."""
    rate_hz, at, kept = track.sample_rate_hz, 0, []
    end = Span(
        start_samples=track.duration_samples, end_samples=track.duration_samples, rate_hz=rate_hz
    )
    for gap in (*skipped, end):
        if gap.start_samples > at:
            kept.append(Span(start_samples=at, end_samples=gap.start_samples, rate_hz=rate_hz))
        at = gap.end_samples
    return tuple(kept)


def _bounds(target: Target, via: Via, options: ParsedOptions) -> Bounds:
    limits = (targets.longest_s(target), options.max_segment_s)
    known = [limit for limit in limits if limit is not None]
    return Bounds(
        duration_s=min(known) if known else None, size_bytes=targets.max_bytes(target, via)
    )


def _pass_through(case: _Case) -> Plan:
    info, track = case.info, case.track
    (length_s,) = case.durations_s
    reason = (
        f"It fits as it is: {info.container} with {track.codec}, {format_length(length_s)}, "
        f"{targets.sent_size(info.size_bytes, case.via)}. Not a byte is changed."
    )
    return Plan(
        info=info,
        track=track,
        target=case.target,
        via=case.via,
        action=Action.PASS_THROUGH,
        encoding=None,
        suffix=info.container,
        spans=case.stretches,
        reach_samples=0,
        max_segment_samples=track.duration_samples,
        max_segment_bytes=case.bounds.size_bytes or info.size_bytes,
        reasons=(reason,),
        **bill(case.target, case.durations_s),
    )


# ------------------------------------------------------------------ frames as they are


def _with_frames_as_they_are(case: _Case, framing: frame_plan.Framing) -> Plan:
    """Remux or copy."""
    share = frame_plan.share(framing, case.durations_s, case.bounds, case.options)
    action = Action.REMUX if share.numbers == (1,) and not case.skipped else Action.COPY
    spans = sharing.shared_out(case.stretches, share.numbers)
    return Plan(
        info=case.info,
        track=case.track,
        target=case.target,
        via=case.via,
        action=action,
        encoding=None,
        suffix=framing.format,
        spans=spans,
        skipped=case.skipped,
        reach_samples=_reach_samples(share.reach_s, case.track),
        max_segment_samples=int(share.longest_s * case.track.sample_rate_hz),
        max_segment_bytes=min(case.bounds.size_bytes or framing.file_bytes, framing.file_bytes),
        reasons=(*case.causes, *frame_plan.reasons(framing, spans, share.reach_s)),
        **bill(case.target, [Fraction(span.samples, span.rate_hz) for span in spans]),
    )


def _why_not_copied(case: _Case, framing: frame_plan.Framing) -> str:
    """Why frames that could be copied are not, as a sentence; empty if they are."""
    options, mix = case.options, case.mix
    if options.format not in ("auto", framing.format) or options.shape_the_sound:
        return "Its frames cannot be kept with the sound that is asked for."
    if mix.reason and not case.target.full_sound:
        return "Its frames cannot be kept with channels that cancel or are dead."
    if framing.codec not in case.target.accepts.get(framing.format, ()):
        return f"{case.target.name} takes no {framing.codec} in {framing.format}."
    return frame_plan.why_not(framing, case.durations_s, case.bounds, case.options)


def _reach_samples(reach_s: Fraction, track: Track) -> int:
    return max(0, int(reach_s * track.sample_rate_hz) - 1)


# ----------------------------------------------------------------------------- encoding


def _encoded(case: _Case, unframed: str) -> Plan:
    track, target = case.track, case.target
    fit = fitting.choose(case.durations_s, track, target, case.bounds, case.options)
    encoding, causes = fit.encoding, case.causes
    rows = _rows(track, encoding, case.mix)
    if rows is None:
        causes = tuple(cause for cause in causes if cause != case.mix.reason)
    told = (unframed, why_not_stereo(case.options, track))
    causes = (*causes, *(one for one in told if one))
    reach_s = sharing.reach_s(case.durations_s, fit.numbers, fit.longest_s, encoding=encoding)
    spans = sharing.shared_out(case.stretches, fit.numbers)
    most_bytes = file_bytes(  # resampling may round up to one sample more
        encoding, int(fit.longest_s * encoding.sample_rate_hz) + 1
    )
    return Plan(
        info=case.info,
        track=track,
        target=target,
        via=case.via,
        action=Action.ENCODE,
        encoding=encoding,
        fallbacks=fallbacks(track, target, case.options, encoding),
        suffix=encoding.format,
        mix=rows,
        spans=spans,
        skipped=case.skipped,
        reach_samples=_reach_samples(reach_s, track),
        max_segment_samples=int(fit.longest_s * track.sample_rate_hz),
        max_segment_bytes=(
            most_bytes if case.bounds.size_bytes is None else case.bounds.size_bytes
        ),
        reasons=(*causes, *_choice_reasons(case, fit, spans, reach_s)),
        **bill(target, [Fraction(span.samples, span.rate_hz) for span in spans]),
    )


def _rows(
    track: Track, encoding: Encoding, mix: downmix.Mix
) -> tuple[tuple[float, ...], ...] | None:
    """Channel weights for what comes out; None where the channels stay as they are."""
    if encoding.channels == track.channels:
        return None
    return (mix.weights,)


def _choice_reasons(case: _Case, fit: Fit, spans: Sequence[Span], reach_s: Fraction) -> list[str]:
    made = describe(fit.encoding)
    longest = max(spans, key=lambda span: span.samples)
    longest_s = Fraction(longest.samples, longest.rate_hz)
    if len(spans) == 1:
        said = [f"One segment of {format_length(longest_s)} fits as {made}."]
    else:
        said = [
            frame_plan.said_of_segments(spans, reach_s),
            f"Each is encoded as {made}.",
        ]
    if case.bounds.size_bytes is not None and not fit.is_best:
        most = targets.sent_size(case.bounds.size_bytes, case.via)
        said[-1] += f" No better encoding of that length stays within {most}."
    advised_s = case.target.limit("advised_duration_s")
    if advised_s is not None and longest_s > advised_s:
        said.append(
            f"The makers of the model advise clips of at most {format_length(advised_s)}: "
            f"--segment {format_length(advised_s).replace(' ', '')} makes them."
        )
    return said
