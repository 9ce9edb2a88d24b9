"""Figures and places for readers: rounded once, with their unit, never `-0`, `nan` or `inf`.

Places are on the recording's clock, so that a reader can go there and listen.
"""

from __future__ import annotations

from collections.abc import Sequence

from captoolkit.captioners.acoustic.measure import Measurements
from captoolkit.dsp.stretches import Stretch
from captoolkit.units import format_clock

SHORT_S = 60.0
"""Clips shorter than this have tenths of a second on their clock."""
MOST_PLACES = 3
"""The number of places that a list names; it counts the others."""
RATE_FROM_S = 30.0
"""Shorter clips have a number of onsets instead of a rate per minute."""


def count(number: int, noun: str, *, ending: str = "s") -> str:
    """Return a number with its noun, singular or plural.

    ```python
    >>> count(1, "event"), count(1200, "sample"), count(0, "onset"), count(2, "box", ending="es")
    ('1 event', '1,200 samples', 'no onsets', '2 boxes')

    ```
    """
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun}{ending}" if number else f"no {noun}{ending}"


def percent(share: float) -> str:
    """Return a share in whole percents; only 0 is 0% and only 1 is 100%.

    ```python
    >>> percent(0.344), percent(0.003), percent(0.997), percent(1.0)
    ('34%', 'less than 1%', 'more than 99%', '100%')

    ```
    """
    if 0 < share < 0.005:
        return "less than 1%"
    if 0.995 <= share < 1:
        return "more than 99%"
    return f"{100 * share:.0f}%"


def small_percent(share: float) -> str:
    """Return a possibly tiny share in percents, with one or two digits.

    ```python
    >>> small_percent(0.00234), small_percent(0.25), small_percent(0.00001)
    ('0.23%', '25%', 'less than 0.01%')

    ```
    """
    if share < 0.0001:
        return "less than 0.01%"
    return f"{100 * share:.2f}%" if share < 0.01 else f"{100 * share:.2g}%"


def tenths(value: float) -> str:
    """Return a value with one decimal, zero without a sign.

    ```python
    >>> tenths(-23.14), tenths(-0.01)
    ('-23.1', '0.0')

    ```
    """
    return f"{round(value, 1) + 0.0:.1f}"


def whole(value: float) -> str:
    """Return a value without decimals, zero without a sign."""
    return str(round(value))


def hertz(frequency_hz: float) -> str:
    """Return a frequency with three digits, which is more precise than hearing.

    ```python
    >>> hertz(439.7), hertz(1047), hertz(12_345)
    ('440 Hz', '1.05 kHz', '12.3 kHz')

    ```
    """
    if round(frequency_hz) < 1000:
        return f"{frequency_hz:.0f} Hz"
    return f"{frequency_hz / 1000:.3g} kHz"


def seconds(duration_s: float) -> str:
    """Return a duration in ms, seconds, or minutes and seconds.

    ```python
    >>> seconds(0.552), seconds(2.04), seconds(30.2), seconds(90), seconds(0.0005)
    ('0.55 s', '2 s', '30 s', '1 min 30 s', '0.5 ms')

    ```
    """
    if duration_s < 0.01:
        return f"{1000 * duration_s:.2g} ms"
    if duration_s < 10:
        return f"{duration_s:.2g} s"
    minutes, rest_s = divmod(round(duration_s), 60)
    return f"{minutes} min {rest_s} s" if minutes else f"{rest_s} s"


def clock(at_s: float, *, clip_s: float) -> str:
    """Return a time on the clock, with tenths of a second in a short clip.

    ```python
    >>> clock(72.34, clip_s=600), clock(2.34, clip_s=11)
    ('1:12', '0:02.3')

    ```
    """
    return format_clock(at_s, decimals=1 if clip_s < SHORT_S else 0)


def listed(parts: Sequence[str]) -> str:
    """Return the parts as an English list.

    ```python
    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')

    ```
    """
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def capital(text: str) -> str:
    """Return the text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


# ------------------------------------------------------------------------------------- places


def spans(measured: Measurements, stretches: Sequence[Stretch]) -> str:
    """Return the places of the longest stretches, in time order, and the number of the others."""
    longest = sorted(sorted(stretches, key=lambda each: -each.steps)[:MOST_PLACES])
    others = len(stretches) - len(longest)
    more = [count(others, "shorter stretch", ending="es")] if others else []
    return listed([*(span(measured, stretch) for stretch in longest), *more])


def span(measured: Measurements, stretch: Stretch) -> str:
    """Return `from 0:12 to 0:58`, or `at 0:12` if start and end look the same on the clock."""
    start, end = (at_step(measured, step) for step in (stretch.start_step, stretch.end_step))
    return f"at {start}" if start == end else f"from {start} to {end}"


def at_step(measured: Measurements, step: int) -> str:
    """Return the start of a step; the step after the last starts at the end of the clip."""
    return at_sample(measured, min(step * measured.step_samples, measured.samples))


def at_sample(measured: Measurements, sample: int) -> str:
    """Return the time of a sample of the clip on the recording's clock."""
    return clock(measured.start_s + sample / measured.rate_hz, clip_s=measured.duration_s)


def onset_rate(measured: Measurements, number: int) -> str:
    """Return a number of onsets with their rate per minute, or with the length of a short clip."""
    if not number:
        return count(number, "onset")
    if measured.duration_s < RATE_FROM_S:
        return f"{count(number, 'onset')} in {seconds(measured.duration_s)}"
    rate = 60 * number / measured.duration_s
    return f"{count(number, 'onset')} ({tenths(rate) if rate < 10 else whole(rate)} a minute)"
