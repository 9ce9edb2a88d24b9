"""Short names for the encodings that tests use."""

from __future__ import annotations

from dataclasses import replace

from captoolkit.bitstream.encodings import ENCODINGS, MODEL_RATE_HZ
from captoolkit.model import Encoding
from captoolkit.planning import ladder

RUNGS = ladder.rungs("auto")
AAC_RUNGS = ladder.rungs("aac")


def wav(rate_hz: int = MODEL_RATE_HZ, channels: int = 1) -> Encoding:
    """16-bit PCM WAV."""
    return ENCODINGS["wav"].encoding(sample_rate_hz=rate_hz, channels=channels)


def mp3(bit_rate: int, rate_hz: int, channels: int = 1) -> Encoding:
    """MP3 with the low-pass that captoolkit gives it at a sample rate."""
    spec = ENCODINGS["mp3"]
    return spec.encoding(sample_rate_hz=rate_hz, bit_rate=bit_rate, channels=channels)


def mp3_with_cutoff(bit_rate: int, rate_hz: int, cutoff_hz: int | None) -> Encoding:
    """MP3 with another low-pass than captoolkit gives it."""
    return replace(mp3(bit_rate, rate_hz), cutoff_hz=cutoff_hz)


def aac(bit_rate: int, rate_hz: int = MODEL_RATE_HZ, channels: int = 1) -> Encoding:
    """AAC-LC in ADTS."""
    spec = ENCODINGS["aac"]
    return spec.encoding(sample_rate_hz=rate_hz, bit_rate=bit_rate, channels=channels)


def amr(bit_rate: int = 12_200) -> Encoding:
    """AMR-NB, which is 8 kHz mono."""
    return ENCODINGS["amr"].encoding(sample_rate_hz=8_000, bit_rate=bit_rate)


def gsm() -> Encoding:
    """GSM 6.10 in a WAV, which is 8 kHz mono at 13 kbit/s."""
    return ENCODINGS["gsm"].encoding(sample_rate_hz=8_000, bit_rate=13_000)
