"""Say what was measured, in plain English with the figures.

Rules: the first sentence is the one to decide by. Each sentence is one function that returns it, or
an empty string where there is nothing to say. Words that judge come from `words`; what made a sound
is never guessed. Places are on the clip's own clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from captoolkit.captioners.acoustic import words
from captoolkit.captioners.acoustic.channels import Channels
from captoolkit.captioners.acoustic.character import Character
from captoolkit.captioners.acoustic.figures import (
    clock,
    count,
    hertz,
    listed,
    percent,
    seconds,
    small_percent,
    tenths,
    whole,
)
from captoolkit.captioners.acoustic.loudness import LOWEST_RATE_HZ
from captoolkit.captioners.acoustic.measure import Measurements
from captoolkit.captioners.acoustic.stretches import (
    EVENT_DB,
    FLOOR_DB,
    Background,
    Event,
    Stretch,
)

MOST_PLACES = 3
"""How many places a list names before it only counts the others."""
RATE_FROM_S = 30.0
"""Below this length onsets are not multiplied up to a rate by the minute."""


def describe(found: Measurements) -> str:
    """Return the text for a clip: a sentence to decide by, then paragraphs of figures."""
    paragraphs = ([_summary], [_loudness, _peak, _background, _silence], _CHARACTER, _FAULTS)
    texts = (" ".join(filter(None, (say(found) for say in each))) for each in paragraphs)
    return "\n\n".join(filter(None, texts))


# --------------------------------------------------------------------------- to decide by


def _summary(found: Measurements) -> str:
    if not found.samples:
        return "Nothing: the clip holds no samples."
    if not found.steps:
        length = f"{count(found.samples, 'sample')}, {seconds(found.duration_s)}"
        return f"Too short to describe: {length}."
    if found.flat_steps == found.steps:
        return "Nothing: digital silence from beginning to end."
    if _silent_share(found) >= 0.5:
        return _summary_of_silence(found)
    return _summary_of_events(found) if found.has_sparse_events else _summary_of_sound(found)


def _summary_of_silence(found: Measurements) -> str:
    share, events = _silent_share(found), _events(found)
    word = words.SILENCE.word(100 * share)
    loudest = f"the level never above {whole(found.loudest_db)} dBFS"
    if events:
        what = f"{word} near-silent ({percent(share)} of the time), with {count(len(events), 'event')}"
        return f"{_capital(what)}: {_the_loudest(found)}."
    if share >= 0.95:
        return f"Almost nothing: near-silent for {percent(share)} of the time, {loudest}."
    return f"{_capital(word)} near-silent ({percent(share)} of the time): {loudest}."


def _summary_of_events(found: Measurements) -> str:
    assert found.background is not None
    level_db, events = found.background.l90_db, found.background.events
    word = _capital(words.LOUDNESS.word(level_db))
    loudest = _the_loudest(found)
    return f"{word} background with {count(len(events), 'event')}: {loudest}."


def _the_loudest(found: Measurements) -> str:
    assert found.background is not None
    event = max(found.background.events, key=lambda each: each.peak_db)
    above = whole(event.peak_db - found.background.reference_db)
    name = "the loudest is" if len(found.background.events) > 1 else "it is"
    return f"{name} at {_at(found, event.peak_step)}, {above} dB above the background"
