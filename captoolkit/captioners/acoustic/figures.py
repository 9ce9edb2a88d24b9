"""Figures as a reader meets them: rounded once, with their unit, never `-0`, `nan` or `inf`."""

from __future__ import annotations

from collections.abc import Sequence

from captoolkit.units import format_clock

SHORT_S = 60.0
"""Clips shorter than this get tenths of a second on their clock."""


def count(number: int, noun: str, *, ending: str = "s") -> str:
    """Return a number with its noun in the right form.

    ```python
    >>> count(1, "event"), count(1200, "sample"), count(0, "onset"), count(2, "box", ending="es")
    ('1 event', '1,200 samples', 'no onsets', '2 boxes')

    ```
    """
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun}{ending}" if number else f"no {noun}{ending}"


def percent(share: float) -> str:
    """Return a share as whole percents, without making nothing or all of what is not.

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
    """Return a share that may be tiny in percents of one or two digits.

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
    """Return a frequency with as many digits as an ear can use.

    ```python
    >>> hertz(439.7), hertz(1047), hertz(12_345)
    ('440 Hz', '1.05 kHz', '12.3 kHz')

    ```
    """
    if round(frequency_hz) < 1000:
        return f"{frequency_hz:.0f} Hz"
    return f"{frequency_hz / 1000:.3g} kHz"


def seconds(duration_s: float) -> str:
    """Return a length of time, in minutes where there are any.

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
    """Return a place in a clip of that length: with tenths where the clip is short.

    ```python
    >>> clock(72.34, clip_s=600), clock(2.34, clip_s=11)
    ('1:12', '0:02.3')

    ```
    """
    return format_clock(at_s, decimals=1 if clip_s < SHORT_S else 0)


def listed(parts: Sequence[str]) -> str:
    """Return the parts as one list.

    ```python
    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')

    ```
    """
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
