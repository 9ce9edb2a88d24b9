"""The gain of a recording: one factor for its whole length, decided before anything is encoded.

Rules: the dynamics of a recording stay as they are, so one gain is applied to all of it, and no
limiter or compressor. The gain is chosen from what was measured (`media.measure_file`), and each
choice has its sentence in the plan:

- `auto`, the default: floating-point sound above full scale is turned down until its peak fits.
- `none`: nothing is turned down; samples above full scale are clipped and counted.
- A number of dB: applied to any recording.
- A loudness (`normalize`): brought to a number of LUFS, as far as the true peak stays in its bound.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from captoolkit.errors import UsageError
from captoolkit.model import DEFAULT_TRUE_PEAK_DBTP, LoudnessTarget

AUTO, NONE = "auto", "none"
MOST_GAIN_DB = 120.0
LOWEST_LUFS, HIGHEST_LUFS = -70.0, 0.0
LOWEST_TRUE_PEAK_DBTP, HIGHEST_TRUE_PEAK_DBTP = -20.0, 0.0
TARGET_PEAK_DB = -1.0  # of the gain that is suggested for a quiet recording
QUIET_BELOW_DB = -40.0
NEGLIGIBLE_DB = 0.05
# Lossy codecs return loud sound by up to 3.6 dB above full scale (measured at 16 kHz).
UNKNOWN_EXCESS_DB = 4.0
MINOR_SHARE = 1e-4  # of a lossy recording; more clipped samples than that are a warning

_DB = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*(?:dB)?\s*", re.IGNORECASE)

Gain = str | float


def parse_gain(gain: object) -> Gain:
    """Return a gain as `auto`, `none` or a number of dB.

    ```python
    >>> parse_gain("-6 dB"), parse_gain(3), parse_gain("auto")
    (-6.0, 3.0, 'auto')

    ```

    Raises:
        UsageError: it is none of these, or no gain that sound can have.
    """
    if gain in (AUTO, NONE):
        return str(gain)
    number = _number(gain)
    if number is None or abs(number) > MOST_GAIN_DB:
        raise UsageError(
            f"gain={gain} is no gain",
            fix=f"take auto, none, or a number of dB up to {MOST_GAIN_DB:g}, such as -6",
        )
    return number


def parse_normalize(normalize: object) -> LoudnessTarget | None:
    """Return the loudness that is requested, None for none.

    ```python
    >>> parse_normalize("-23"), parse_normalize((-16, -2))  # doctest: +NORMALIZE_WHITESPACE
    (LoudnessTarget(lufs=-23.0, true_peak_dbtp=-1.0),
     LoudnessTarget(lufs=-16.0, true_peak_dbtp=-2.0))

    ```

    Raises:
        UsageError: it is no loudness, or a number is out of range.
    """
    if normalize is None or normalize == NONE:
        return None
    if isinstance(normalize, LoudnessTarget):
        parts: list[object] = [normalize.lufs, normalize.true_peak_dbtp]
    elif isinstance(normalize, str):
        parts = list(normalize.split(","))
    else:
        parts = list(normalize) if isinstance(normalize, tuple | list) else [normalize]
    numbers = [_number(part) for part in parts]
    lufs = numbers[0] if numbers else None
    bound = numbers[1] if len(numbers) == 2 else DEFAULT_TRUE_PEAK_DBTP
    is_valid = (
        len(numbers) <= 2
        and lufs is not None
        and bound is not None
        and LOWEST_LUFS <= lufs <= HIGHEST_LUFS
        and LOWEST_TRUE_PEAK_DBTP <= bound <= HIGHEST_TRUE_PEAK_DBTP
    )
    if not is_valid or lufs is None or bound is None:
        raise UsageError(
            f"normalize={normalize} is no loudness",
            fix="give LUFS from -70 to 0, such as -23, and if wanted the largest true peak in dBTP "
            "from -20 to 0, such as -23,-1",
        )
    return LoudnessTarget(lufs=lufs, true_peak_dbtp=bound)


def checked_normalize(text: str) -> str:
    """Return the text of a loudness, if `parse_normalize` reads it.

    Raises:
        UsageError: it does not.
    """
    parse_normalize(text)
    return text


def _number(value: object) -> float | None:
    """A number, or a text with one; None for anything else, NaN and infinity."""
    if isinstance(value, str):
        found = _DB.fullmatch(value.replace("\N{MINUS SIGN}", "-"))
        return float(found[1]) if found else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class GainChoice:
    """The gain of a recording in dB, and its reason as a sentence; empty where nothing changes."""

    gain_db: float = 0.0
    reason: str = ""


def requested_gain(gain_db: float) -> GainChoice:
    """Return a gain that the caller states."""
    return GainChoice(
        gain_db=gain_db, reason=f"A gain of {gain_db:+g} dB is applied, as requested."
    )


def fitting_gain(peak_db: float) -> GainChoice:
    """Return the gain with which a peak above full scale fits, rounded down to 0.01 dB."""
    if peak_db <= 0:
        return GainChoice()
    gain_db = -math.ceil(peak_db * 100) / 100
    return GainChoice(
        gain_db=gain_db,
        reason=f"Its peak is {peak_db:.2f} dB above full scale: all of it is turned down by "
        f"{-gain_db:.2f} dB.",
    )


def normalizing_gain(lufs: float | None, true_peak_db: float, wanted: LoudnessTarget) -> GainChoice:
    """Return the gain that brings a loudness to the one that is wanted.

    Args:
        lufs: the integrated loudness of the recording; None if it has none.
        true_peak_db: its true peak in dBTP.
        wanted: the loudness, and the largest true peak.
    """
    if lufs is None:
        return GainChoice(reason="It has no loudness to normalize: it is silent or too short.")
    room_db = wanted.true_peak_dbtp - true_peak_db
    gain_db = math.floor(min(wanted.lufs - lufs, room_db) * 100) / 100
    is_bounded = room_db < wanted.lufs - lufs
    bound = f"{wanted.lufs:g} LUFS would take its true peak above {wanted.true_peak_dbtp:g} dBTP"
    if abs(wanted.lufs - lufs) < NEGLIGIBLE_DB and abs(gain_db) < NEGLIGIBLE_DB:
        return GainChoice(reason=f"Its loudness is {lufs:.1f} LUFS already.")
    if abs(gain_db) < NEGLIGIBLE_DB:
        return GainChoice(reason=f"Its loudness stays at {lufs:.1f} LUFS: {bound}.")
    verb = "up" if gain_db > 0 else "down"
    reason = (
        f"All of it is turned {verb} by {abs(gain_db):.2f} dB, from {lufs:.1f} to "
        f"{lufs + gain_db:.1f} LUFS"
    )
    if is_bounded:
        reason += f"; {bound}"
    return GainChoice(gain_db=gain_db, reason=f"{reason}.")


# ------------------------------------------------------------- sentences about the measurements


def not_numbers_warning(not_numbers: int, samples: int, *, are_kept: bool = False) -> str:
    """Return the warning for floating-point sound that holds NaN or infinity.

    Args:
        not_numbers: how many of its samples are no numbers.
        samples: how many there are.
        are_kept: whether the segments hold them as the recording does.
    """
    result = "stay in its segments" if are_kept else "become silence or full scale"
    share = _share(not_numbers, samples)
    return f"{not_numbers:,} of its samples ({share}) are NaN or infinite and {result}."


def clipping_warning(clipped: int, samples: int, *, peak_db: float, gain_db: float) -> str:
    """Return the warning for samples that were clipped, with the gain that avoids it.

    Args:
        clipped: how many.
        samples: how many there are.
        peak_db: the peak of the sound before it was clipped; 0 where that is unknown.
        gain_db: the gain that was applied.
    """
    avoiding_db = math.floor((gain_db - (peak_db or UNKNOWN_EXCESS_DB)) * 10) / 10
    # `auto` may turn a recording down by more than a caller may state.
    avoiding = AUTO if avoiding_db < -MOST_GAIN_DB else f"{avoiding_db:g}"
    return (
        f"{clipped:,} of its samples ({_share(clipped, samples)}) are above full scale and are "
        f"clipped; gain={avoiding} would avoid that."
    )


def quietness_warning(peak_db: float, *, gain_db: float) -> str:
    """Return the warning for a very quiet recording, with the gain that would help, if one would.

    Args:
        peak_db: the peak of the encoded sound.
        gain_db: the gain that was applied.
    """
    more_db = min(math.floor(TARGET_PEAK_DB - peak_db), MOST_GAIN_DB - gain_db)
    sentence = (
        f"It is very quiet, its peak is {peak_db:.1f} dBFS: codecs of low bit rates may lose it"
    )
    if more_db < 1:
        return f"{sentence}."
    return f"{sentence}; gain={gain_db + more_db:g} would raise it to {peak_db + more_db:.1f} dBFS."


def _share(part: int, whole: int) -> str:
    share = part / max(1, whole)
    return f"{share:.2%}" if share >= 0.0001 else "less than 0.01%"
