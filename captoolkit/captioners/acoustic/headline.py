"""The text of a local caption: the kinds of sound with their places, and the faults.

Rules: one sentence. It begins with the sections of the clip (see `sections`), in time order if they
are few, else by the time that they take. Faults follow after a semicolon, the worst first, at most
`MOST_FAULTS`. A clip that is mostly near-silent, or a background with sparse events, and in which
there is neither voice, music nor strokes, is described by its events. Places are on the recording's
clock, so that two captions of one recording differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from captoolkit.captioners.acoustic import words
from captoolkit.captioners.acoustic.figures import (
    MOST_PLACES,
    capital,
    count,
    hertz,
    listed,
    percent,
    seconds,
    tenths,
    whole,
)
from captoolkit.captioners.acoustic.measure import Measurements
from captoolkit.captioners.acoustic.sections import Kind, SoundSection, steps_of_kinds
from captoolkit.captioners.acoustic.sentences import mono_loss
from captoolkit.dsp.stretches import Stretch
from captoolkit.units import format_clock

VOICES = (Kind.SPEECH, Kind.SPEECH_OVER_MUSIC, Kind.VOICE)
HEARD = (*VOICES, Kind.MUSIC, Kind.STROKES)
NAMED = (*HEARD, Kind.TONE)
MOST_SECTIONS = 4
MOST_FAULTS = 3
MOST_KINDS = 3
SILENCE_FROM_S = 10.0
"""A shorter silence at the beginning or the end of a clip is not named."""
TENTHS_BELOW_S = 10.0
"""Places in shorter clips have tenths of a second."""
SIDES = ("left", "right")


def headline(measured: Measurements) -> str:
    """Return the sentence to decide by."""
    if not measured.samples:
        return "Nothing: the clip holds no samples."
    if not measured.steps:
        samples = f"{count(measured.samples, 'sample')} ({seconds(measured.duration_s)})"
        return f"Too short to describe: {samples}, where 0.1 s are needed."
    if measured.still:
        return "Nothing: digital silence from beginning to end."
    content = _content(measured)
    faults = [fault for find in FAULTS if (fault := find(measured))]
    faults = [fault for fault in faults if fault.lower() not in content.lower()][:MOST_FAULTS]
    return f"{'; '.join([content, *([listed(faults)] if faults else [])])}."


def _content(measured: Measurements) -> str:
    sections = _joined(measured)
    if not steps_of_kinds(sections, *HEARD):
        if measured.silent_share >= words.MOSTLY:
            return _silence_with_events(measured)
        if measured.has_sparse_events:
            return _background_with_events(measured)
    if not sections:
        return f"Sound {_from_to(measured, Stretch(start_step=0, end_step=measured.steps))}"
    shown = _without_edges(measured, sections)
    if len(shown) > MOST_SECTIONS:
        return _by_share(measured, sections)
    return _in_order(measured, shown)


def _joined(measured: Measurements) -> Sequence[SoundSection]:
    """Return the sections, neighbours with one name as one."""
    joined: list[SoundSection] = []
    for section in measured.sections:
        if joined and _name(measured, joined[-1]) == _name(measured, section):
            start_step = joined[-1].stretch.start_step
            stretch = replace(section.stretch, start_step=start_step)
            joined[-1] = replace(joined[-1], stretch=stretch)
        else:
            joined.append(section)
    return joined


def _in_order(measured: Measurements, sections: Sequence[SoundSection]) -> str:
    first, *others = sections
    parts = [f"{capital(_name(measured, first))} {_from_to(measured, first.stretch)}"]
    if len(sections) == 1:
        parts += _traits(first)
    for section in others:
        is_last = section.stretch.end_step >= measured.steps
        to = "" if is_last else f" to {_at(measured, section.stretch.end_step)}"
        parts.append(f"then {_name(measured, section)}{to}")
    return ", ".join(parts)


def _by_share(measured: Measurements, sections: Sequence[SoundSection]) -> str:
    """Return the kinds that take the most time with their places, voices first.

    Mains hum between voices, music and strokes is a fault and no kind.
    """
    if steps_of_kinds(sections, *HEARD):
        sections = [each for each in sections if not _is_hum(measured, each.tone_hz)]
    totals: dict[str, int] = {}
    ranks: dict[str, int] = {}
    for section in sections:
        name = _name(measured, section)
        totals[name] = totals.get(name, 0) + section.stretch.steps
        ranks[name] = sum(section.kind not in kinds for kinds in (VOICES, HEARD, NAMED))
    parts = []
    for name in sorted(totals, key=lambda name: (ranks[name], -totals[name]))[:MOST_KINDS]:
        own = [each.stretch for each in sections if _name(measured, each) == name]
        if len(own) <= MOST_PLACES:
            parts.append(f"{name} {listed([_from_to(measured, each) for each in own])}")
            continue
        share = percent(totals[name] / measured.steps)
        longest = _from_to(measured, max(own, key=_steps_in))
        parts.append(
            f"{name} for {share} of the time in {len(own)} stretches, the longest {longest}"
        )
    return capital("; ".join(parts))


def _steps_in(stretch: Stretch) -> int:
    return stretch.steps


def _without_edges(
    measured: Measurements, sections: Sequence[SoundSection]
) -> Sequence[SoundSection]:
    """Return the sections without short silences at the beginning and the end of the clip."""
    shortest = SILENCE_FROM_S * measured.rate_hz / measured.step_samples
    kept = list(sections)
    for place in (0, -1):
        edge = kept[place]
        if len(kept) > 1 and edge.kind is Kind.SILENCE and edge.stretch.steps < shortest:
            del kept[place]
    return kept


def _name(measured: Measurements, section: SoundSection) -> str:
    match section.kind:
        case Kind.TONE if _is_hum(measured, section.tone_hz):
            assert measured.hum is not None
            return f"mains hum at {measured.hum.mains_hz} Hz"
        case Kind.TONE if section.tone_hz is not None:
            return f"a steady tone at {hertz(section.tone_hz)}"
        case Kind.STROKES if section.interval_s is not None:
            what = f"tones at {hertz(section.tone_hz)}" if section.tone_hz else "strokes"
            return f"single {what} every {seconds(section.interval_s)}"
        case Kind.NOISE if words.EVENNESS.word(section.spread_db) == "steady":
            return "steady noise"
        case _:
            return section.kind.value


def _is_hum(measured: Measurements, tone_hz: float | None) -> bool:
    if measured.hum is None or tone_hz is None:
        return False
    nearest = round(tone_hz / measured.hum.mains_hz)
    return 1 <= nearest <= 3 and abs(tone_hz - nearest * measured.hum.mains_hz) < 1


def _traits(section: SoundSection) -> Iterator[str]:
    """Yield the traits by which voices differ."""
    if section.kind not in VOICES:
        return
    if section.pitch_hz is not None:
        yield f"pitch about {whole(section.pitch_hz)} Hz"
    yield count(section.pauses, "pause")


def _from_to(measured: Measurements, stretch: Stretch) -> str:
    start, end = (_at(measured, step) for step in (stretch.start_step, stretch.end_step))
    return f"at {start}" if start == end else f"from {start} to {end}"


def _at(measured: Measurements, step: int) -> str:
    """Return the start of a step on the recording's clock, in seconds where the clip is long."""
    at_s = min(step * measured.step_samples, measured.samples) / measured.rate_hz
    decimals = 1 if measured.duration_s < TENTHS_BELOW_S else 0
    return format_clock(measured.start_s + at_s, decimals=decimals)


# ------------------------------------------------------------------------------------- events


def _silence_with_events(measured: Measurements) -> str:
    share, events = measured.silent_share, measured.events
    word = capital(words.SILENCE.word(100 * share))
    if events:
        subject = f"{word} near-silent ({percent(share)} of the time), with"
        return f"{subject} {count(len(events), 'event')}: {_loudest_event(measured)}"
    loudest = f"the level never exceeds {whole(measured.loudest_db)} dBFS"
    if share >= words.ALMOST_ALL:
        return f"Almost nothing: near-silent for {percent(share)} of the time, and {loudest}"
    return f"{word} near-silent ({percent(share)} of the time): {loudest}"


def _background_with_events(measured: Measurements) -> str:
    assert measured.background is not None
    level_db = measured.background.l90_db
    background = f"{capital(words.LOUDNESS.word(level_db))} background ({whole(level_db)} dBFS)"
    return f"{background} with {count(len(measured.events), 'event')}: {_loudest_event(measured)}"


def _loudest_event(measured: Measurements) -> str:
    assert measured.background is not None
    event = max(measured.events, key=lambda each: each.peak_db)
    name = "it peaks" if len(measured.events) == 1 else "the loudest peaks"
    place = f"{name} at {_at(measured, event.peak_step)} with {whole(event.peak_db)} dBFS"
    if measured.background.l90_db < measured.background.reference_db:
        return place
    return f"{place}, {whole(event.peak_db - measured.background.l90_db)} dB above the background"


# ------------------------------------------------------------------------------------- faults


def _clipped(measured: Measurements) -> str:
    clipping = measured.clipping
    if not clipping.stretches:
        return ""
    lasting_s = clipping.steps * measured.step_samples / measured.rate_hz
    first, last = clipping.stretches[0], clipping.stretches[-1]
    lasting = f" for {seconds(lasting_s)}" if clipping.steps > 1 else ""
    start, end = _at(measured, first.start_step), _at(measured, last.end_step)
    if len(clipping.stretches) == 1 or start == end:
        return f"clipped{lasting} at {start}"
    return f"clipped{lasting} between {start} and {end}"


def _dead(measured: Measurements) -> str:
    dead = measured.channels.dead
    if not dead:
        return ""
    if measured.channels.count == 2:
        return f"the {SIDES[dead[0] - 1]} channel is dead"
    return f"of {measured.channels.count} channels {listed([str(each) for each in dead])} dead"


def _cancels(measured: Measurements) -> str:
    return mono_loss(measured.channels)


def _faulty(measured: Measurements) -> str:
    return f"{count(measured.faulty, 'faulty sample')}" if measured.faulty else ""


def _hum(measured: Measurements) -> str:
    return f"mains hum at {measured.hum.mains_hz} Hz" if measured.hum else ""


def _too_quiet(measured: Measurements) -> str:
    lufs = measured.loudness.integrated_lufs if measured.loudness else None
    is_very_quiet = lufs is not None and words.LOUDNESS.word(lufs) == "very quiet"
    if lufs is None or not is_very_quiet or measured.silent_share >= words.MOSTLY:
        return ""
    return f"very quiet ({tenths(lufs)} LUFS)"


def _above_band(measured: Measurements) -> str:
    if measured.band_share >= words.MOSTLY:
        return ""
    return f"{percent(1 - measured.band_share)} of its power lies above 8 kHz"


FAULTS: tuple[Callable[[Measurements], str], ...] = (
    _clipped,
    _dead,
    _cancels,
    _faulty,
    _hum,
    _too_quiet,
    _above_band,
)
