"""The curves of a recording that a page shows: its level and its spectrogram."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The level of a recording over its whole length, in some thousand steps.

    A level is one byte: 255 is 0 dBFS, each step below is a quarter of a decibel, and 0 is
    -63.75 dBFS or less.

    Attributes:
        step_samples: the length of a step, at `rate_hz`; the last step may be shorter.
        peaks: the level of the loudest sample of each step in any channel; 1.0 is 0 dBFS.
        loudness: the level of the mean power of each step over all channels; a full-scale square
            wave has 0 dBFS, a full-scale sine -3 dBFS.
    """

    rate_hz: int
    step_samples: int
    duration_samples: int
    peaks: bytes
    loudness: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrogram:
    """The power of a recording in mel bands up to 8 kHz, in at most some thousand columns.

    Attributes:
        bands: the number of bands; the first is the lowest.
        column_samples: the length of a column, at `rate_hz`; the last column may be shorter.
        levels: one byte for each band of each column, column by column: 31 is the level of the
            loudest, each step below is 2.5 dB.
    """

    bands: int
    rate_hz: int
    column_samples: int
    levels: bytes
