"""Say what was measured, in plain English with the figures.

Rules: each sentence is one function that returns it, or an empty string where there is nothing to
say. Words that judge come from `words`; what made a sound is never guessed. Places are on the
recording's clock, so that a reader who wants to hear one finds it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from captoolkit.captioners.acoustic import words
from captoolkit.captioners.acoustic.figures import (
    count,
    hertz,
    listed,
    percent,
    seconds,
    small_percent,
    tenths,
    whole,
)
from captoolkit.captioners.acoustic.measure import Measurements
from captoolkit.captioners.acoustic.places import (
    MOST_PLACES,
    at_sample,
    at_step,
    capital,
    onset_rate,
    silent_share,
    span,
    spans,
)
from captoolkit.captioners.acoustic.summary import summary
from captoolkit.dsp.channels import Channels
from captoolkit.dsp.character import Character
from captoolkit.dsp.loudness import LOWEST_RATE_HZ
from captoolkit.dsp.onsets import REGULAR_INTERVALS
from captoolkit.dsp.spectrum import SOUNDING_DB
from captoolkit.dsp.stretches import EVENT_DB, FLOOR_DB, Background

LOWEST_PEAK_DB = -120.0
SIDES = ("left", "right")
Sentence = Callable[[Measurements], str]


def describe(found: Measurements) -> str:
    """Return the text for a clip: a sentence to decide by, then paragraphs of figures."""
    texts = (" ".join(filter(None, (say(found) for say in each))) for each in _paragraphs(found))
    return "\n\n".join(filter(None, texts))


def _paragraphs(found: Measurements) -> tuple[tuple[Sentence, ...], ...]:
    if not found.steps:
        return (summary, _peak), (_faulty,)
    if found.still:
        return (summary,), (_offset, _faulty)
    level = (_loudness, _layout, _peak, _background, _silence)
    character = (_onsets, _tonality, _brightness, _pitch, _between, _width)
    return (summary,), level, character, (_offset, _faulty)


# --------------------------------------------------------------------------------- its level


def _loudness(found: Measurements) -> str:
    loudness = found.loudness
    if loudness is None:
        low = f"A sample rate of {found.rate_hz} Hz is too low"
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
        f"{at_step(found, loudness.momentary_step)}."
    )


def _peak(found: Measurements) -> str:
    if not found.peak:
        return ""
    peak_db = 20 * math.log10(found.peak)
    level = tenths(peak_db) if peak_db >= LOWEST_PEAK_DB else f"below {whole(LOWEST_PEAK_DB)}"
    return f"Sample peak {level} dBFS at {at_sample(found, found.peak_sample)}; {_clipped(found)}."


def _clipped(found: Measurements) -> str:
    clipping = found.clipping
    if not clipping.runs:
        return "nothing is clipped"
    first, last = (
        at_sample(found, place) for place in (clipping.first_sample, clipping.last_sample)
    )
    where = f"at {first}" if first == last else f"between {first} and {last}"
    share = small_percent(clipping.share)
    return f"clipped in {count(clipping.runs, 'place')} ({share} of the samples), {where}"


def _background(found: Measurements) -> str:
    background = found.background
    if background is None:
        return ""
    evenness = words.EVENNESS.word(background.spread_db)
    events = f"Nothing {_limit(background)}."
    if background.events:
        events = _event_list(found, background)
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


def _event_list(found: Measurements, background: Background) -> str:
    steps = background.event_steps
    share = percent(steps / found.steps)
    lasting = f"{seconds(steps * found.step_samples / found.rate_hz)} ({share} of the time)"
    events = background.events
    if len(events) == 1:
        return f"1 event {_limit(background)}: {span(found, events[0].stretch)}, {lasting}."
    loudest = sorted(events, key=lambda each: -each.peak_db)[:MOST_PLACES]
    places = [f"{at_step(found, each.peak_step)} ({whole(each.peak_db)} dBFS)" for each in loudest]
    limit = _limit(background, several=True)
    name = "they peak" if len(loudest) == len(events) else "the loudest peak"
    return f"{len(events):,} events {limit} and fill {lasting}; {name} at {listed(places)}."


def _limit(background: Background, *, several: bool = False) -> str:
    s = "" if several else "s"
    if background.l90_db < background.reference_db:
        return f"reach{s and 'es'} {whole(background.reference_db + EVENT_DB)} dBFS"
    return f"stand{s} out from the background by {whole(EVENT_DB)} dB or more"


def _silence(found: Measurements) -> str:
    if not found.near_silences:
        return "Never near-silent."
    share = percent(silent_share(found))
    digital = ""
    if found.flat_steps:
        flat = percent(found.flat_steps / found.steps)
        digital = f"; digital silence for {flat} of the time"
    return f"Near-silent for {share} of the time: {spans(found, found.near_silences)}{digital}."


# ----------------------------------------------------------------------------- its character


def _onsets(found: Measurements) -> str:
    onsets = found.onsets
    if onsets is None:
        return ""
    rate = capital(onset_rate(found, onsets.count))
    if onsets.interval_s is not None:
        return f"{rate}, regular: one about every {seconds(onsets.interval_s)}."
    if onsets.count <= REGULAR_INTERVALS:
        return f"{rate}."
    return f"{rate}, irregular ({percent(onsets.alike_share)} of the intervals are alike)."


def _tonality(found: Measurements) -> str:
    if found.character is None:
        if found.loudness is None:
            return ""
        return f"Too little reaches {whole(SOUNDING_DB)} dBFS to say what it is like."
    subject = "The events are" if found.has_sparse_events else "The sound is"
    return f"{subject} {_tonal_or_not(found.character)}."


def _between(found: Measurements) -> str:
    between = found.character_between
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


def _brightness(found: Measurements) -> str:
    character = found.character
    if character is None:
        return ""
    whose = "Their" if found.has_sparse_events else "Its"
    return (
        f"{whose} power centres on {hertz(character.centroid_hz)} "
        f"({words.BRIGHTNESS.word(character.centroid_hz)}), with 95% of it below "
        f"{hertz(character.rolloff_hz)}."
    )


def _pitch(found: Measurements) -> str:
    character = found.character
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


def _width(found: Measurements) -> str:
    channels = found.channels
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
    said = []
    if channels.correlation is not None:
        width = words.WIDTH.word(channels.correlation)
        said.append(f"Stereo, {width} (correlation {_correlation(channels.correlation)})")
    said.append(_mono_loss(channels))
    left_db, right_db = channels.levels_db
    if abs(left_db - right_db) >= words.BALANCE_FROM_DB:
        louder = SIDES[left_db < right_db]
        said.append(f"the {louder} channel is {whole(abs(left_db - right_db))} dB louder")
    return f"{capital('; '.join(filter(None, said)) or 'stereo')}."


def _mono_loss(channels: Channels) -> str:
    if channels.correlation is None:
        return ""
    if channels.mono_loss_db is None:
        return "mixed to mono it cancels out"
    if channels.mono_loss_db < words.MONO_LOSS_FROM_DB:
        return ""
    return f"mixed to mono it loses {whole(channels.mono_loss_db)} dB"


def _correlation(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"


def _layout(found: Measurements) -> str:
    name = {6: "5.1", 8: "7.1"}.get(found.channels.count)
    if not name or not found.loudness or found.loudness.integrated_lufs is None:
        return ""
    return f"For it the channels count as {name} in the order of WAV files."


def _offset(found: Measurements) -> str:
    offsets = found.channels.offsets
    told = [
        (number, offset)
        for number, offset in enumerate(offsets, 1)
        if abs(offset) >= words.OFFSET_FROM
    ]
    if not told:
        return ""
    places = [
        f"{100 * offset:.1f}% of full scale" + (f" in channel {number}" if len(offsets) > 1 else "")
        for number, offset in told
    ]
    return f"DC offset of {listed(places)}."


def _faulty(found: Measurements) -> str:
    if not found.faulty:
        return ""
    verb = "is" if found.faulty == 1 else "are"
    was = "was" if found.faulty == 1 else "were"
    what = f"{count(found.faulty, 'sample')} {verb} faulty (no number or absurdly large)"
    return f"{what} and {was} taken as zero."
