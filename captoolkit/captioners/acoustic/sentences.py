"""The figures of a clip in plain English sentences, for the details of its caption.

Rules: each sentence is one function, which returns an empty string if the sentence does not apply.
Judging words come from `words`. The text of the caption is in `headline`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from captoolkit.captioners.acoustic import words
from captoolkit.captioners.acoustic.figures import (
    MOST_PLACES,
    at_sample,
    at_step,
    capital,
    count,
    hertz,
    listed,
    onset_rate,
    percent,
    seconds,
    small_percent,
    span,
    spans,
    tenths,
    whole,
)
from captoolkit.captioners.acoustic.measure import Measurements
from captoolkit.dsp.level_meters import Channels
from captoolkit.dsp.loudness import LOWEST_RATE_HZ
from captoolkit.dsp.onsets import REGULAR_INTERVALS
from captoolkit.dsp.spectrum import SOUNDING_DB, Character
from captoolkit.dsp.stretches import EVENT_DB, FLOOR_DB, Background

LOWEST_PEAK_DB = -120.0
SIDES = ("left", "right")
Sentence = Callable[[Measurements], str]


def describe_figures(measured: Measurements) -> str:
    """Return the paragraphs of figures; an empty string for a clip without figures."""
    paragraphs = (
        " ".join(filter(None, (sentence(measured) for sentence in paragraph)))
        for paragraph in _paragraphs(measured)
    )
    return "\n\n".join(filter(None, paragraphs))


def _paragraphs(measured: Measurements) -> tuple[tuple[Sentence, ...], ...]:
    if not measured.steps:
        return (_peak,), (_faulty,)
    if measured.still:
        return ((_offset, _faulty),)
    level = (_judgement, _loudness, _layout, _peak, _background, _silence)
    character = (_onsets, _tonality, _brightness, _pitch, _between, _width)
    return level, character, (_offset, _faulty)


# ------------------------------------------------------------------------------------- level


def _judgement(measured: Measurements) -> str:
    integrated = measured.loudness.integrated_lufs if measured.loudness else None
    level = measured.loudest_db if integrated is None else integrated
    judged = [words.LOUDNESS.word(level)]
    if measured.background:
        judged.append(words.EVENNESS.word(measured.background.spread_db))
    if measured.background and measured.onsets:
        judged.append(words.ACTIVITY.word(60 * measured.onsets.count / measured.duration_s))
    return f"{capital(listed(judged))}."


def _loudness(measured: Measurements) -> str:
    loudness = measured.loudness
    if loudness is None:
        low = f"A sample rate of {measured.rate_hz} Hz is too low"
        return (
            f"{low} for loudness and for what the sound is like ({LOWEST_RATE_HZ} Hz are needed)."
        )
    if not loudness.blocks:
        return "Too short for a loudness figure (0.4 s are needed)."
    if loudness.integrated_lufs is None or loudness.momentary_lufs is None:
        return "Too quiet for a loudness figure (nothing reaches -70 LUFS)."
    return (
        f"Integrated loudness {tenths(loudness.integrated_lufs)} LUFS, "
        f"{tenths(loudness.momentary_lufs)} LUFS in the loudest 0.4 s at "
        f"{at_step(measured, loudness.momentary_step)}."
    )


def _peak(measured: Measurements) -> str:
    if not measured.peak:
        return ""
    peak_db = 20 * math.log10(measured.peak)
    level = tenths(peak_db) if peak_db >= LOWEST_PEAK_DB else f"below {whole(LOWEST_PEAK_DB)}"
    place = at_sample(measured, measured.peak_sample)
    return f"Sample peak {level} dBFS at {place}; {_clipped(measured)}."


def _clipped(measured: Measurements) -> str:
    clipping = measured.clipping
    above = ""
    if clipping.above_share:
        above = f"{small_percent(clipping.above_share)} of the samples are above full scale; "
    if not clipping.runs:
        return f"{above}nothing is clipped"
    first, last = (
        at_sample(measured, place) for place in (clipping.first_sample, clipping.last_sample)
    )
    where = f"at {first}" if first == last else f"between {first} and {last}"
    share = small_percent(clipping.share)
    return f"{above}clipped in {count(clipping.runs, 'place')} ({share} of the samples), {where}"


def _background(measured: Measurements) -> str:
    background = measured.background
    if background is None:
        return ""
    evenness = words.EVENNESS.word(background.spread_db)
    events = f"Nothing {_limit(background)}."
    if background.events:
        events = _event_list(measured, background)
    return f"The level is {evenness}: {_level_range(background)}. {events}"


def _level_range(background: Background) -> str:
    floor, upper = f"{whole(FLOOR_DB)} dBFS", f"{whole(background.l10_db)} dBFS"
    if background.l10_db <= FLOOR_DB:
        return f"it lies below {floor} for 90% of the time or more"
    if background.l90_db <= FLOOR_DB:
        return f"its background lies below {floor}, and it exceeds {upper} for 10% of the time"
    lower, word = whole(background.l90_db), words.LOUDNESS.word(background.l90_db)
    if lower == whole(background.l10_db):
        return f"it lies at about {lower} dBFS for 80% of the time (the background, {word})"
    return (
        f"it exceeds {lower} dBFS for 90% of the time (the background, {word}) "
        f"and {upper} for 10% of it"
    )


def _event_list(measured: Measurements, background: Background) -> str:
    steps = background.event_steps
    share = percent(steps / measured.steps)
    lasting = f"{seconds(steps * measured.step_samples / measured.rate_hz)} ({share} of the time)"
    events = background.events
    if len(events) == 1:
        return f"1 event {_limit(background)}: {span(measured, events[0].stretch)}, {lasting}."
    loudest = sorted(events, key=lambda each: -each.peak_db)[:MOST_PLACES]
    places = [
        f"{at_step(measured, event.peak_step)} ({whole(event.peak_db)} dBFS)" for event in loudest
    ]
    limit = _limit(background, several=True)
    name = "they peak" if len(loudest) == len(events) else "the loudest peak"
    return f"{len(events):,} events {limit} and fill {lasting}; {name} at {listed(places)}."


def _limit(background: Background, *, several: bool = False) -> str:
    s = "" if several else "s"
    if background.l90_db < background.reference_db:
        return f"reach{s and 'es'} {whole(background.reference_db + EVENT_DB)} dBFS"
    return f"stand{s} out from the background by {whole(EVENT_DB)} dB or more"


def _silence(measured: Measurements) -> str:
    if not measured.near_silences:
        return "Never near-silent."
    share = percent(measured.silent_share)
    digital = ""
    if measured.flat_steps:
        flat = percent(measured.flat_steps / measured.steps)
        digital = f"; digital silence for {flat} of the time"
    places = spans(measured, measured.near_silences)
    return f"Near-silent for {share} of the time: {places}{digital}."


# --------------------------------------------------------------------------------- character


def _onsets(measured: Measurements) -> str:
    onsets = measured.onsets
    if onsets is None:
        return ""
    rate = capital(onset_rate(measured, onsets.count))
    if onsets.interval_s is not None:
        return f"{rate}, regular: one about every {seconds(onsets.interval_s)}."
    if onsets.count <= REGULAR_INTERVALS:
        return f"{rate}."
    return f"{rate}, irregular ({percent(onsets.alike_share)} of the intervals are alike)."


def _tonality(measured: Measurements) -> str:
    if measured.character is None:
        if measured.loudness is None:
            return ""
        if measured.has_sparse_events and measured.loudest_db >= SOUNDING_DB:
            return "The events are too short to say what they are like."
        return f"Too little reaches {whole(SOUNDING_DB)} dBFS to say what it is like."
    subject = "The events are" if measured.has_sparse_events else "The sound is"
    return f"{subject} {_tonal_or_not(measured.character)}."


def _between(measured: Measurements) -> str:
    between = measured.character_between
    if between is None or between.sounding_share < words.MOSTLY:
        return ""
    return f"Between the events, the sound is {_tonal_or_not(between)}."


def _tonal_or_not(character: Character) -> str:
    tonal = f"tonal for {percent(character.tonal_share)}"
    noise = f"noise-like for {percent(character.noise_share)}"
    kind = _kind(character)
    if kind == "mixed":
        return f"mixed: {tonal} of the sounding time, {noise}"
    first, second = (tonal, noise) if kind == "tonal" else (noise, tonal)
    rest = "" if second.endswith(" 0%") else f" ({second})"
    return f"{first} of the sounding time{rest}"


def _kind(character: Character) -> str:
    if character.tonal_share >= words.MOSTLY:
        return "tonal"
    return "noise-like" if character.noise_share >= words.MOSTLY else "mixed"


def _brightness(measured: Measurements) -> str:
    character = measured.character
    if character is None:
        return ""
    pronoun = "Their" if measured.has_sparse_events else "Its"
    return (
        f"{pronoun} power centres on {hertz(character.centroid_hz)} "
        f"({words.BRIGHTNESS.word(character.centroid_hz)}), with 95% of it below "
        f"{hertz(character.rolloff_hz)}."
    )


def _pitch(measured: Measurements) -> str:
    character = measured.character
    if character is None:
        return ""
    share = f"periodic for {percent(character.periodic_share)} of the sounding time"
    if character.pitch_low_hz is None or character.pitch_high_hz is None:
        return f"No pitch ({share})." if character.periodic_share else "No pitch."
    low, high = hertz(character.pitch_low_hz), hertz(character.pitch_high_hz)
    if character.pitch_high_hz < words.ONE_PITCH_WITHIN * character.pitch_low_hz or low == high:
        middle_hz = math.sqrt(character.pitch_low_hz * character.pitch_high_hz)
        return f"Pitch {hertz(middle_hz)}, {share}."
    low = low.removesuffix(high[high.index(" ") :])
    return f"Pitch {low} to {high} (10th to 90th percentile), {share}."


# ------------------------------------------------------------------------ channels and faults


def _width(measured: Measurements) -> str:
    channels = measured.channels
    if channels.count == 1:
        return "Mono."
    if channels.identical:
        return (
            f"{'Both' if channels.count == 2 else f'All {channels.count}'} channels are identical."
        )
    if channels.dead:
        return _dead(channels)
    return _stereo(channels) if channels.count == 2 else f"{channels.count} channels."


def _dead(channels: Channels) -> str:
    if channels.count == 2:
        return f"The {SIDES[channels.dead[0] - 1]} channel is dead."
    dead = listed([str(number) for number in channels.dead])
    return f"{channels.count} channels; dead: {dead}."


def _stereo(channels: Channels) -> str:
    parts = []
    if channels.correlation is not None:
        width, rounded = (
            words.WIDTH.word(channels.correlation),
            round(channels.correlation, 2) + 0.0,
        )
        parts.append(f"Stereo, {width} (correlation {rounded:.2f})")
    parts.append(mono_loss(channels))
    left_db, right_db = channels.levels_db
    if abs(left_db - right_db) >= words.BALANCE_FROM_DB:
        louder = SIDES[left_db < right_db]
        parts.append(f"the {louder} channel is {whole(abs(left_db - right_db))} dB louder")
    return f"{capital('; '.join(filter(None, parts)) or 'stereo')}."


def mono_loss(channels: Channels) -> str:
    """Return the loss of a mix to mono in words, empty for a small one."""
    if channels.correlation is None:
        return ""
    if channels.mono_loss_db is None:
        return "mixed to mono it cancels out"
    if channels.mono_loss_db < words.MONO_LOSS_FROM_DB:
        return ""
    return f"mixed to mono it loses {whole(channels.mono_loss_db)} dB"


def _layout(measured: Measurements) -> str:
    name = {6: "5.1", 8: "7.1"}.get(measured.channels.count)
    if not name or not measured.loudness or measured.loudness.integrated_lufs is None:
        return ""
    return f"For it the channels count as {name} in the order of WAV files."


def _offset(measured: Measurements) -> str:
    offsets = measured.channels.offsets
    large = [
        (number, offset)
        for number, offset in enumerate(offsets, 1)
        if abs(offset) >= words.OFFSET_FROM
    ]
    if not large:
        return ""
    places = [
        f"{100 * offset:.1f}% of full scale" + (f" in channel {number}" if len(offsets) > 1 else "")
        for number, offset in large
    ]
    return f"DC offset of {listed(places)}."


def _faulty(measured: Measurements) -> str:
    if not measured.faulty:
        return ""
    verb = "is" if measured.faulty == 1 else "are"
    was = "was" if measured.faulty == 1 else "were"
    subject = f"{count(measured.faulty, 'sample')} {verb} faulty (no number or absurdly large)"
    return f"{subject} and {was} taken as zero."
