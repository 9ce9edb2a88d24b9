"""The sentence to decide by: how much there is in a clip, in one line.

Rules, the first that holds: no samples; shorter than a step; digital silence throughout;
near-silent for half of the time or more; a background with sparse events; else a sound with its
loudness, its evenness and its onsets.
"""

from __future__ import annotations

from captoolkit.captioners.acoustic import words
from captoolkit.captioners.acoustic.figures import count, listed, percent, seconds, tenths, whole
from captoolkit.captioners.acoustic.measure import Measurements
from captoolkit.captioners.acoustic.places import (
    at_step,
    capital,
    events_of,
    onset_rate,
    silent_share,
)


def summary(found: Measurements) -> str:
    """Return the first sentence of the text."""
    if not found.samples:
        return "Nothing: the clip holds no samples."
    if not found.steps:
        samples = f"{count(found.samples, 'sample')} ({seconds(found.duration_s)})"
        return f"Too short to describe: {samples}, where 0.1 s are needed."
    if found.still:
        return "Nothing: digital silence from beginning to end."
    if silent_share(found) >= words.MOSTLY:
        return _summary_of_silence(found)
    return _summary_of_events(found) if found.has_sparse_events else _summary_of_sound(found)


def _summary_of_silence(found: Measurements) -> str:
    share, events = silent_share(found), events_of(found)
    word = capital(words.SILENCE.word(100 * share))
    if events:
        whose = f"{word} near-silent ({percent(share)} of the time), with"
        return f"{whose} {count(len(events), 'event')}: {_loudest_event(found)}."
    loudest = f"the level never exceeds {whole(found.loudest_db)} dBFS"
    if share >= words.ALMOST_ALL:
        return f"Almost nothing: near-silent for {percent(share)} of the time, and {loudest}."
    return f"{word} near-silent ({percent(share)} of the time): {loudest}."


def _summary_of_events(found: Measurements) -> str:
    assert found.background is not None
    level_db = found.background.l90_db
    background = f"{capital(words.LOUDNESS.word(level_db))} background ({whole(level_db)} dBFS)"
    return f"{background} with {count(len(events_of(found)), 'event')}: {_loudest_event(found)}."


def _loudest_event(found: Measurements) -> str:
    assert found.background is not None
    event = max(events_of(found), key=lambda each: each.peak_db)
    name = "it peaks" if len(events_of(found)) == 1 else "the loudest peaks"
    place = f"{name} at {at_step(found, event.peak_step)} with {whole(event.peak_db)} dBFS"
    if found.background.l90_db < found.background.reference_db:
        return place
    return f"{place}, {whole(event.peak_db - found.background.l90_db)} dB above the background"


def _summary_of_sound(found: Measurements) -> str:
    integrated = found.loudness.integrated_lufs if found.loudness else None
    level = found.loudest_db if integrated is None else integrated
    figures = [_level_figure(found)]
    judged = [words.LOUDNESS.word(level)]
    if found.background:
        judged.append(words.EVENNESS.word(found.background.spread_db))
    if found.background and found.onsets:
        judged.append(words.ACTIVITY.word(60 * found.onsets.count / found.duration_s))
        figures.append(onset_rate(found, found.onsets.count))
    if found.near_silences:
        share = silent_share(found)
        word = words.SILENCE.word(100 * share)
        figures.append(f"{word} near-silent ({percent(share)} of the time)")
    return f"{capital(listed(judged))}: {', '.join(figures)}."


def _level_figure(found: Measurements) -> str:
    if found.loudness and found.loudness.integrated_lufs is not None:
        return f"{tenths(found.loudness.integrated_lufs)} LUFS"
    return f"up to {whole(found.loudest_db)} dBFS"
