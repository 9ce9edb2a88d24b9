"""Where and how much of a clip, in figures that several sentences share."""

from __future__ import annotations

from collections.abc import Sequence

from captoolkit.captioners.acoustic.figures import clock, count, listed, seconds, tenths, whole
from captoolkit.captioners.acoustic.measure import Measurements
from captoolkit.dsp.stretches import Event, Stretch

MOST_PLACES = 3
"""How many places a list names before it only counts the others."""
RATE_FROM_S = 30.0
"""Below this length onsets are not multiplied up to a rate by the minute."""


def silent_share(found: Measurements) -> float:
    """Return the near-silent share of the time, 0 to 1."""
    return sum(stretch.steps for stretch in found.near_silences) / max(1, found.steps)


def events_of(found: Measurements) -> tuple[Event, ...]:
    """Return what stands out of the background, in time order."""
    return found.background.events if found.background else ()


def spans(found: Measurements, stretches: Sequence[Stretch]) -> str:
    """Return where the longest stretches lie, in time order, and how many others there are."""
    longest = sorted(sorted(stretches, key=lambda each: -each.steps)[:MOST_PLACES])
    others = len(stretches) - len(longest)
    more = [count(others, "shorter stretch", ending="es")] if others else []
    return listed([*(span(found, stretch) for stretch in longest), *more])


def span(found: Measurements, stretch: Stretch) -> str:
    """Return `from 0:12 to 0:58`, or `at 0:12` where the clock is too coarse for two places."""
    start, end = (at_step(found, step) for step in (stretch.start_step, stretch.end_step))
    return f"at {start}" if start == end else f"from {start} to {end}"


def at_step(found: Measurements, step: int) -> str:
    """Return where a step begins; the one after the last is where the clip ends."""
    return at_sample(found, min(step * found.step_samples, found.samples))


def at_sample(found: Measurements, sample: int) -> str:
    """Return where a sample of the clip lies on the recording's clock."""
    return clock(found.start_s + sample / found.rate_hz, clip_s=found.duration_s)


def capital(text: str) -> str:
    """Return the text with a capital first letter, the others as they are."""
    return text[:1].upper() + text[1:]


def onset_rate(found: Measurements, number: int) -> str:
    """Return a number of onsets with what it means: by the minute, or in so many seconds."""
    if not number:
        return count(number, "onset")
    if found.duration_s < RATE_FROM_S:
        return f"{count(number, 'onset')} in {seconds(found.duration_s)}"
    rate = 60 * number / found.duration_s
    return f"{count(number, 'onset')} ({tenths(rate) if rate < 10 else whole(rate)} a minute)"
