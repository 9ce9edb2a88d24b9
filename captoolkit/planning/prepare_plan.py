"""The plan of `prepare`: MediaInfo, Target and options -> Plan, with the reasons in words.

Rules: the plan with the least change that fits. A file that the target takes passes through
unchanged; else its frames move to a container that the target takes; else segments get whole frames
each; else the sound is encoded. Each skipped step has a stated reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from captoolkit.bitstream import containers
from captoolkit.bitstream.encodings import ENCODINGS, describe, file_bytes
from captoolkit.bitstream.pcm_layout import PcmLayout
from captoolkit.bitstream.riff import PCM_CODECS, PLAIN_HEADER_BYTES
from captoolkit.dsp import downmix
from captoolkit.errors import UsageError
from captoolkit.model import Action, Encoding, MediaInfo, Plan, Span, Target, Track, Via
from captoolkit.planning import fitting, frame_plan, segmentation
from captoolkit.planning.fitting import Bounds, Fit, fallbacks, why_not_stereo
from captoolkit.planning.options import ParsedOptions, check_options
from captoolkit.planning.segmentation import Cutting, CuttingFields
from captoolkit.services import limits
from captoolkit.services.price import request_costs
from captoolkit.units import format_length

MAX_RIFF_BYTES = 2**32 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """The facts and options from which a plan is made.

    Attributes:
        causes: why the file cannot pass through, as sentences.
        stretches: the parts of the track that are kept.
        pcm: the place of the samples, if the file is a header and samples.
        most_bit_rate: the highest bit rate to take; None for any.
    """

    info: MediaInfo
    track: Track
    target: Target
    via: Via
    options: ParsedOptions
    mix: downmix.Mix
    bounds: Bounds
    pcm: PcmLayout | None
    skipped: tuple[Span, ...]
    stretches: tuple[Span, ...]
    causes: tuple[str, ...]
    most_bit_rate: int | None

    @property
    def durations_s(self) -> tuple[Fraction, ...]:
        """The exact length of each stretch."""
        return tuple(one.exact_s for one in self.stretches)

    def plan(
        self,
        *,
        action: Action,
        suffix: str,
        spans: tuple[Span, ...],
        cutting: Cutting | None = None,
        max_segment_samples: int,
        max_segment_bytes: int,
        reasons: tuple[str, ...],
        encoding: Encoding | None = None,
        fallbacks: tuple[Encoding, ...] = (),
        mix: tuple[tuple[float, ...], ...] | None = None,
    ) -> Plan:
        """Return the plan, with the tokens and prices of a request for each segment."""
        requests = request_costs(self.target, [span.exact_s for span in spans])
        return Plan(
            info=self.info,
            track=self.track,
            target=self.target,
            via=self.via,
            action=action,
            encoding=encoding,
            fallbacks=fallbacks,
            suffix=suffix,
            mix=mix,
            spans=spans,
            skipped=self.skipped,
            **_cutting_fields(cutting, self.track),
            max_segment_samples=max_segment_samples,
            max_segment_bytes=max_segment_bytes,
            audio_tokens=requests.audio_tokens,
            input_tokens=requests.input_tokens,
            costs=requests.costs,
            reasons=reasons,
        )


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
    pcm: PcmLayout | None = None,
    skipped: Sequence[Span] = (),
    most_bit_rate: int | None = None,
) -> Plan:
    """Return the plan that makes files of one track which `target` takes.

    Args:
        info: the source file.
        track: the track to prepare.
        target: the service model.
        via: the way in which the files travel.
        options: the caller's options.
        mix: the downmix of the track's channels to one; the plain average if None.
        framing: the track's frames, if they can be copied; None if they cannot.
        unframed: why they cannot, as a sentence; empty where a reader expects no copy.
        pcm: the place of the samples, if the file is a header and samples; None if it is not.
        skipped: silent stretches of the track that are left out.
        most_bit_rate: take no encoding above it, even if a better one fits.

    Raises:
        UsageError: no plan satisfies the options within the limits.
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
        pcm=pcm,
        skipped=tuple(skipped),
        stretches=_kept(track, skipped),
        causes=_causes(info, track, target, via, options, mix, skipped),
        most_bit_rate=most_bit_rate,
    )
    plan = _with_least_change(case, framing, unframed)
    if not skipped:
        return plan
    causes = _causes(info, track, target, via, options, mix, ())
    whole = replace(case, skipped=(), stretches=_kept(track, ()), causes=causes)
    try:
        saving = _saving_reasons(_with_least_change(whole, framing, unframed), plan)
    except UsageError:  # only without the silences do so few parts hold the sound
        return plan
    return replace(plan, reasons=(*plan.reasons, *saving))


def _with_least_change(case: _Case, framing: frame_plan.Framing | None, unframed: str) -> Plan:
    """The plan that changes the file least."""
    if not case.causes:
        return _pass_through(case)
    header_corrected = _with_true_header(case)
    if header_corrected is not None:
        return header_corrected
    if framing is not None:
        unframed = _why_not_copied(case, framing)
        if not unframed:
            return _copied(case, framing)
    return _encoded(case, unframed)


# ----------------------------------------------------------------------------- pass-through


def _causes(
    info: MediaInfo,
    track: Track,
    target: Target,
    via: Via,
    options: ParsedOptions,
    mix: downmix.Mix,
    skipped: Sequence[Span],
) -> tuple[str, ...]:
    """Why the file cannot pass through, as sentences; none if it can."""
    causes = list(limits.misfits(info, track, target, via))
    if track.is_edited:  # a service may ignore the edit list
        causes.append(frame_plan.edits_reason(track))
    duration_s = Fraction(track.duration_samples, track.sample_rate_hz)
    is_format = options.format == "auto" or ENCODINGS[options.format].is_found_in(
        info.container, track.codec
    )
    if not is_format:
        causes.append(f"{options.format.upper()} is requested.")
    elif options.has_encoding_options:
        words = options.encoding_options_text
        verb = "are" if " and " in words else "is"
        causes.append(f"{words[0].upper()}{words[1:]} {verb} requested.")
    for about, length_s in (("about", options.segment_s), ("at most", options.max_segment_s)):
        if length_s is not None and duration_s > length_s:
            causes.append(f"Segments of {about} {format_length(length_s)} are requested.")
    if options.parts is not None and options.parts > 1:
        causes.append(f"{options.parts} parts are requested.")
    if skipped:
        causes.append(_skipping_reason(skipped))
    if mix.reason and not target.full_sound:
        causes.append(mix.reason)
    return tuple(causes)


def _skipping_reason(skipped: Sequence[Span]) -> str:
    length_s = sum((one.exact_s for one in skipped), Fraction(0))
    silences = "1 silence is" if len(skipped) == 1 else f"{len(skipped):,} silences are"
    return f"{silences} left out, {format_length(length_s)} in all."


def _saving_reasons(whole: Plan, plan: Plan) -> list[str]:
    """How many tokens a plan without silences saves, as a sentence; none where none are counted."""
    if not whole.input_tokens:
        return []
    saved = max(whole.input_tokens - plan.input_tokens, 0)
    return [
        f"Leaving silence out saves {saved:,} of {whole.input_tokens:,} input tokens, those for "
        "each request's text included."
    ]


def _kept(track: Track, skipped: Sequence[Span]) -> tuple[Span, ...]:
    """The parts of the track between the skipped stretches."""
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
    longest = (limits.longest_s(target), options.max_segment_s)
    known = [limit_s for limit_s in longest if limit_s is not None]
    return Bounds(
        duration_s=min(known) if known else None, size_bytes=limits.max_bytes(target, via)
    )


def _pass_through(case: _Case) -> Plan:
    info, track = case.info, case.track
    (length_s,) = case.durations_s
    kind = info.container
    if track.codec != kind:
        kind = f"{kind} with {track.codec}"
    reason = (
        f"It fits unchanged: {kind}, {format_length(length_s)}, "
        f"{limits.sent_size(info.size_bytes, case.via)}."
    )
    return case.plan(
        action=Action.PASS_THROUGH,
        suffix=containers.of(info.container).suffix_of(track.codec),
        spans=case.stretches,
        max_segment_samples=track.duration_samples,
        max_segment_bytes=case.bounds.size_bytes or info.size_bytes,
        reasons=(reason,),
    )


def _with_true_header(case: _Case) -> Plan | None:
    """The plan that keeps the samples and corrects their header; None if that is not enough."""
    pcm, track = case.pcm, case.track
    if pcm is None or pcm.codec != track.codec:
        return None
    # A plain header names no speakers, and services mix more than two channels each in its way.
    if pcm.codec not in PCM_CODECS.values() or track.channels > 2 or case.info.pictures:
        return None
    size_bytes = PLAIN_HEADER_BYTES + pcm.size_bytes + pcm.size_bytes % 2
    if pcm.frames != track.duration_samples or size_bytes > MAX_RIFF_BYTES:
        return None
    wav = replace(
        case.info, container="wav", plain_header=True, misreadings=(), size_bytes=size_bytes
    )
    if _causes(wav, track, case.target, case.via, case.options, case.mix, case.skipped):
        return None
    return case.plan(
        action=Action.REMUX,
        suffix=containers.of("wav").suffix_of(track.codec),
        spans=case.stretches,
        max_segment_samples=track.duration_samples,
        max_segment_bytes=case.bounds.size_bytes or size_bytes,
        reasons=(
            *case.causes,
            "Header corrected: its samples are kept unchanged, behind a plain WAV header.",
        ),
    )


# ---------------------------------------------------------------------------- copied frames


def _copied(case: _Case, framing: frame_plan.Framing) -> Plan:
    """The plan that remuxes the frames, or copies them into segments."""
    share = frame_plan.share(framing, case.durations_s, case.bounds, case.options)
    numbers = share.cutting.numbers
    spans = segmentation.balance(case.stretches, numbers)
    is_whole = numbers == (1,) and not case.skipped
    return case.plan(
        action=Action.REMUX if is_whole else Action.COPY,
        suffix=framing.format,
        spans=spans,
        cutting=share.cutting,
        max_segment_samples=int(share.longest_s * case.track.sample_rate_hz),
        max_segment_bytes=min(case.bounds.size_bytes or framing.file_bytes, framing.file_bytes),
        reasons=(*case.causes, *frame_plan.reasons(framing, spans, share.cutting)),
    )


def _why_not_copied(case: _Case, framing: frame_plan.Framing) -> str:
    """Why frames that could be copied are not, as a sentence; empty if they are."""
    options, mix = case.options, case.mix
    if options.format not in ("auto", framing.format) or options.has_encoding_options:
        return "Its frames cannot be kept with the requested encoding."
    if mix.reason and not case.target.full_sound:
        return "Its frames cannot be kept with channels that cancel or are dead."
    if framing.codec not in case.target.accepts.get(framing.format, ()):
        return f"{case.target.name} takes no {framing.codec} in {framing.format}."
    return frame_plan.why_not(framing, case.durations_s, case.bounds, case.options)


def _cutting_fields(cutting: Cutting | None, track: Track) -> CuttingFields:
    if cutting is None:
        return {"reach_samples": 0, "shortest_samples": 0, "longest_samples": 0, "is_fewest": False}
    return cutting.fields(track.sample_rate_hz)


# ----------------------------------------------------------------------------- encoding


def _encoded(case: _Case, unframed: str) -> Plan:
    track, target = case.track, case.target
    fit = fitting.choose(
        case.durations_s,
        track,
        target,
        case.bounds,
        case.options,
        most_bit_rate=case.most_bit_rate,
    )
    encoding, causes = fit.encoding, case.causes
    is_mixed = encoding.channels != track.channels
    if not is_mixed:
        causes = tuple(cause for cause in causes if cause != case.mix.reason)
    notes = (unframed, why_not_stereo(case.options, track))
    cutting = segmentation.cutting(
        case.durations_s, fit.numbers, fit.longest_s, case.options, encoding=encoding
    )
    spans = segmentation.balance(case.stretches, fit.numbers)
    most_bytes = _encoded_bytes(encoding, fit.longest_s)
    return case.plan(
        action=Action.ENCODE,
        encoding=encoding,
        fallbacks=fallbacks(track, target, case.options, encoding),
        suffix=containers.of(encoding.format).suffix_of(encoding.codec),
        mix=(case.mix.weights,) if is_mixed else None,
        spans=spans,
        cutting=cutting,
        max_segment_samples=int(fit.longest_s * track.sample_rate_hz),
        max_segment_bytes=case.bounds.size_bytes or most_bytes,
        reasons=(
            *causes,
            *(note for note in notes if note and note not in causes),
            *_choice_reasons(case, fit, spans, cutting),
        ),
    )


def _encoded_bytes(encoding: Encoding, duration_s: Fraction) -> int:
    """Return the greatest size of an encoded file; resampling may round up to one sample more."""
    return file_bytes(encoding, int(duration_s * encoding.sample_rate_hz) + 1)


def largest_file_bytes(plan: Plan, span: Span) -> int:
    """Return the greatest size of the file of one of the plan's segments, before Base64.

    A segment may become longer than planned where its cuts may move.
    """
    if plan.action is Action.PASS_THROUGH:
        return plan.info.size_bytes
    if plan.encoding is None:
        return plan.max_segment_bytes or plan.info.size_bytes
    longest_samples = plan.longest_samples if plan.reach_samples else 0
    longest_s = Fraction(max(span.samples, longest_samples), span.rate_hz)
    most_bytes = _encoded_bytes(plan.encoding, longest_s)
    return min(most_bytes, plan.max_segment_bytes or most_bytes)


def _choice_reasons(case: _Case, fit: Fit, spans: Sequence[Span], cutting: Cutting) -> list[str]:
    encoding = describe(fit.encoding)
    longest_s = max(span.exact_s for span in spans)
    if len(spans) == 1:
        reasons = [f"One segment of {format_length(longest_s)} fits as {encoding}."]
    else:
        reasons = [
            frame_plan.segments_reason(spans, cutting),
            f"Each is encoded as {encoding}.",
        ]
    is_free = case.most_bit_rate is None
    if case.bounds.size_bytes is not None and not fit.is_best and is_free:
        most = limits.sent_size(case.bounds.size_bytes, case.via)
        reasons[-1] += f" No better encoding of that length stays within {most}."
    advised_s = case.target.limit("advised_duration_s")
    if advised_s is not None and longest_s > advised_s:
        reasons.append(
            f"The makers of the model advise clips of at most {format_length(advised_s)}: "
            f"segment={format_length(advised_s).replace(' ', '')} makes them."
        )
    return reasons
