"""Times, lengths, sizes and bit rates: read them, print them and convert them, exactly.

Rules: seconds are exact (`Fraction`) until they are printed, and each value is rounded at most
once, in this module. A value that cannot be used raises `UsageError`; no value is clamped. Printed
sizes are decimal: 10.00 MB is 10,000,000 bytes.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from numbers import Rational, Real

from captoolkit.errors import UsageError

LOWEST_BIT_RATE = 1_000  # a lower number is a rate in kbit/s without its k

# `re` compiles and keeps a pattern on first use: most commands parse no length.
_NUMBER = r"\d{1,18}(?:\.\d{1,18})?|\.\d{1,18}"  # at most 18 digits, to bound the work
_CLOCK = r"(?:(\d{1,18}):)?(\d{1,2}):(\d{1,2}(?:\.\d{1,18})?)"
_UNITS = rf"(?:({_NUMBER})h)?(?:({_NUMBER})m(?:in)?)?(?:({_NUMBER})s)?(?:({_NUMBER})ms)?"


def parse_duration(length: str | float | Fraction) -> Fraction:
    """Return a length of time as exact seconds.

    Args:
        length: seconds as a number, or a text such as `40m`, `90`, `1h30m`, `00:40:00`, `2400.5s`
            or `200ms`.

    Raises:
        UsageError: `length` has none of these forms, or is not above zero.

    ```python
    >>> parse_duration("1h30m"), parse_duration("00:40:00.5"), parse_duration(0.1)
    (Fraction(5400, 1), Fraction(4801, 2), Fraction(1, 10))

    ```
    """
    seconds = _seconds(length) if isinstance(length, str) else _number(length)
    if seconds is None or seconds <= 0:
        raise UsageError(
            f"{length!r} is not a duration above zero",
            fix="write 90, 40m, 1h30m, 2400.5s or 00:40:00",
        )
    return seconds


def _number(length: object) -> Fraction | None:
    """A number as a fraction; a float counts as the shortest decimal that stands for it."""
    if isinstance(length, bool):
        return None
    if isinstance(length, Rational) or (isinstance(length, Decimal) and length.is_finite()):
        return Fraction(length)
    if isinstance(length, Real) and abs(float(length)) < float("inf"):
        return Fraction(repr(float(length)))
    return None


def parse_time(text: str) -> Fraction:
    """Return the exact seconds of a time, which may be zero and may have a sign.

    Args:
        text: any of the texts that `parse_duration` takes, after an optional `+` or `-`.

    Raises:
        UsageError: `text` has none of these forms.

    ```python
    >>> parse_time("0:00"), parse_time("-1m"), parse_time("+2.5")
    (Fraction(0, 1), Fraction(-60, 1), Fraction(5, 2))

    ```
    """
    unsigned = text.strip()
    sign = -1 if unsigned.startswith("-") else 1
    seconds = _seconds(unsigned[1:] if unsigned[:1] in ("-", "+") else unsigned)
    if seconds is None:
        raise UsageError(f"{text!r} is not a time", fix="write 90, -1m, 1h30m, 2400.5s or 00:40:00")
    return sign * seconds


def _seconds(text: str) -> Fraction | None:
    clock = _clock_seconds(text.strip())
    return _unit_seconds(text.strip().lower()) if clock is None else clock


def _clock_seconds(text: str) -> Fraction | None:
    match = re.fullmatch(_CLOCK, text, re.ASCII)
    if not match:
        return None
    hours, minutes, seconds = match.groups()
    if (hours and int(minutes) > 59) or Fraction(seconds) >= 60:
        return None
    return int(hours or 0) * 3600 + int(minutes) * 60 + Fraction(seconds)


def _unit_seconds(text: str) -> Fraction | None:
    if re.fullmatch(_NUMBER, text, re.ASCII):
        return Fraction(text)
    match = re.fullmatch(_UNITS, text, re.ASCII)
    if not match or not text:
        return None
    hours, minutes, seconds, milliseconds = (Fraction(number or 0) for number in match.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def parse_bit_rate(text: str) -> int:
    """Return the bits per second in `64k`, `128K` or `48000`.

    Raises:
        UsageError: `text` is no whole number of bits per second, or is below 1000.

    ```python
    >>> parse_bit_rate("64k"), parse_bit_rate("12.2k")
    (64000, 12200)

    ```
    """
    match = re.fullmatch(rf"({_NUMBER})(k?)", text.strip().lower(), re.ASCII)
    rate = Fraction(match[1]) * (1000 if match[2] else 1) if match else Fraction(0)
    if not rate or rate.denominator != 1:
        raise UsageError(f"{text!r} is not a bit rate", fix="write 64k, 128k or 12.2k")
    if rate < LOWEST_BIT_RATE:
        raise UsageError(f"{text!r} is {int(rate)} bits per second", fix=f"write {int(rate)}k")
    return int(rate)


def samples_at(seconds: Fraction | float, rate_hz: int | Fraction) -> int:
    """Return the sample nearest to `seconds` at `rate_hz`; halves are rounded up.

    ```python
    >>> samples_at(Fraction(1, 2), 44100)
    22050

    ```
    """
    return (Fraction(seconds) * rate_hz + Fraction(1, 2)).__floor__()


def rescale(samples: int, from_hz: int, to_hz: int) -> int:
    """Return the sample at `to_hz` nearest to `samples` at `from_hz`; halves are rounded up.

    ```python
    >>> rescale(24000, 24000, 44100), rescale(1, 44100, 16000)
    (44100, 0)

    ```
    """
    return (2 * samples * to_hz + from_hz) // (2 * from_hz)


def format_seconds(samples: int, rate_hz: int) -> str:
    """Return `samples` at `rate_hz` as seconds, with enough decimals to recover the sample.

    There are six decimals up to 999,999 Hz. Timelines joined on a common clock may have a higher
    rate, and then get as many decimals as the rate has digits.

    ```python
    >>> format_seconds(44101, 44100), format_seconds(1, 7_056_000)
    ('1.000023', '0.0000001')

    ```
    """
    decimals = max(6, len(str(rate_hz)))
    ticks_hz = 10**decimals
    ticks = rescale(samples, rate_hz, ticks_hz)
    return f"{ticks // ticks_hz}.{ticks % ticks_hz:0{decimals}d}"


def format_clock(seconds: Fraction | float, *, decimals: int = 0, mark: str = ".") -> str:
    """Return `M:SS`, from one hour on `H:MM:SS`, with the given decimals after `mark`.

    ```python
    >>> format_clock(2460), format_clock(3661.5, decimals=3), format_clock(59.9999)
    ('41:00', '1:01:01.500', '1:00')

    ```
    """
    ticks = samples_at(seconds, 10**decimals)
    whole, part = divmod(ticks, 10**decimals)
    minutes, second = divmod(whole, 60)
    hour, minute = divmod(minutes, 60)
    text = f"{hour}:{minute:02d}:{second:02d}" if hour else f"{minute}:{second:02d}"
    return f"{text}{mark}{part:0{decimals}d}" if decimals else text


def format_length(seconds: Fraction | float) -> str:
    """Return a length as the sentences of a plan print it: seconds below a minute, else a clock.

    ```python
    >>> format_length(12.5), format_length(2460)
    ('12.5 s', '41:00')

    ```
    """
    if seconds >= 60:
        return format_clock(seconds)
    return f"{float(seconds):.3f}".rstrip("0").rstrip(".") + " s"


def format_count(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, and with commas between the thousands.

    The plural of the noun is the noun and `s` unless `plural` is given.

    ```python
    >>> format_count(1, "segment"), format_count(30750, "token"), format_count(0, "box", "boxes")
    ('1 segment', '30,750 tokens', '0 boxes')

    ```
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def format_size(size_bytes: int) -> str:
    """Return a size in decimal units.

    ```python
    >>> format_size(999), format_size(7_499_988), format_size(10_000_000)
    ('999 B', '7.50 MB', '10.00 MB')

    ```
    """
    if size_bytes < 1000:
        return f"{size_bytes} B"
    for unit, scale in (("kB", 10**3), ("MB", 10**6), ("GB", 10**9)):
        if round(size_bytes / scale, 2) < 1000 or unit == "GB":
            return f"{size_bytes / scale:.2f} {unit}"
    raise AssertionError


_SIZE = r"(\d+(?:\.\d+)?) ?([kMGT]?)(i?)B?"


def parse_size(text: str) -> int:
    """Return a size in bytes: `10MB` is 10,000,000, `10MiB` is 10,485,760.

    ```python
    >>> parse_size("1.5GB"), parse_size("10MiB"), parse_size("4096")
    (1500000000, 10485760, 4096)

    ```

    Raises:
        UsageError: it is no size.
    """
    match = re.fullmatch(_SIZE, text.strip())
    if match is None or (match[3] and not match[2]):
        raise UsageError(f"{text!r} is not a size", fix="write one such as 2GB or 500MiB")
    unit = (1024 if match[3] else 1000) ** " kMGT".index(match[2] or " ")
    return int(Fraction(match[1]) * unit)


def base64_length(size_bytes: int) -> int:
    """Return the characters of `size_bytes` as Base64 text, padding included.

    ```python
    >>> base64_length(0), base64_length(1), base64_length(7_499_988)
    (0, 4, 9999984)

    ```
    """
    return 4 * -(-size_bytes // 3)


def base64_capacity(characters: int) -> int:
    """Return the largest number of bytes whose Base64 text has at most `characters`.

    ```python
    >>> base64_capacity(9_999_986)
    7499988

    ```
    """
    return 3 * (characters // 4)
