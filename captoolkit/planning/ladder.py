"""The ladder: the encodings from least loss to smallest, as measured.

The models hear 16 kHz mono, so loss is measured there: `Rung.fidelity_db` is the signal-to-noise
ratio of the model's own input, a 128-bin log-mel, against the source's (higher is better), on
speech, music, environment and a quiet room, measured 2026-11-20 with ffmpeg 9.0.2 and LAME; rungs
without a figure rank between their neighbours. `scripts/fidelity.py` measures the figures again and
compares them. Below the last rung, 24 kbit/s, the quiet and the wide sounds that captions are about
are lost: more segments are better than less quality.

The figures show: MP3 at 24 kHz with the low-pass at 8 kHz beats MP3 at 16 kHz from 40 kbit/s up,
by 3 to 20 dB; without a stated low-pass LAME cuts at 5 to 7 kHz. LAME's level 7 takes half the time
of its default 5; level 5 gains 0.2 to 2.6 dB at 24 and 32 kbit/s, loses 0.3 to 1.9 dB at 40 kbit/s,
and more above.
"""

from __future__ import annotations

from dataclasses import dataclass

from captoolkit.bitstream.encodings import ENCODINGS, MODEL_RATE_HZ, spec_of
from captoolkit.model import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """Log-mel signal-to-noise ratio in dB on four kinds of sound, level matched."""

    speech: float
    music: float
    environment: float
    quiet: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One encoding and its measured fidelity to the model's input; None where not measured."""

    encoding: Encoding
    fidelity_db: Fidelity | None = None


def mp3(bit_rate: int, rate_hz: int, channels: int = 1) -> Encoding:
    """Return an MP3 with its usual low-pass."""
    spec = ENCODINGS["mp3"]
    return spec.encoding(sample_rate_hz=rate_hz, bit_rate=bit_rate, channels=channels)


LADDER = (
    Rung(
        encoding=ENCODINGS["wav"].encoding(sample_rate_hz=MODEL_RATE_HZ),
        fidelity_db=Fidelity(speech=59, music=63, environment=59, quiet=37),
    ),
    Rung(
        encoding=mp3(128_000, 24_000),
        fidelity_db=Fidelity(speech=42.5, music=43.9, environment=43.1, quiet=39.3),
    ),
    Rung(encoding=mp3(112_000, 24_000)),
    Rung(
        encoding=mp3(96_000, 24_000),
        fidelity_db=Fidelity(speech=34.7, music=36.0, environment=35.1, quiet=31.1),
    ),
    Rung(encoding=mp3(80_000, 24_000)),
    Rung(
        encoding=mp3(64_000, 24_000),
        fidelity_db=Fidelity(speech=25.6, music=27.1, environment=26.0, quiet=22.0),
    ),
    Rung(encoding=mp3(56_000, 24_000)),
    Rung(
        encoding=mp3(48_000, 24_000),
        fidelity_db=Fidelity(speech=20.8, music=22.1, environment=21.5, quiet=17.4),
    ),
    Rung(
        encoding=mp3(40_000, 24_000),
        fidelity_db=Fidelity(speech=18.2, music=18.7, environment=19.1, quiet=15.0),
    ),
    Rung(
        encoding=mp3(32_000, 22_050),
        fidelity_db=Fidelity(speech=16.2, music=16.0, environment=16.6, quiet=12.1),
    ),
    Rung(
        encoding=mp3(24_000, 16_000),
        fidelity_db=Fidelity(speech=13.2, music=12.0, environment=13.0, quiet=7.5),
    ),
)

# The services' own FFmpeg guidance, by the names their pages give the bit rates: 64k for voice,
# 128k for podcasts, 192k for music; their template adds 44.1 kHz and the channels.
QUALITIES = {
    "voice": mp3(64_000, 24_000),
    "podcast": mp3(128_000, 44_100),
    "music": mp3(192_000, 44_100, 2),
}
TEMPLATE_RATE_HZ = 44_100


def rungs(name: str) -> list[Encoding]:
    """Return the encodings to choose from for a format (`auto`: the whole ladder), best first."""
    ladder = [rung.encoding for rung in LADDER]
    if name == "auto":
        return ladder
    spec = ENCODINGS[name]
    return [one for one in ladder if spec_of(one) is spec] or [
        spec.encoding(bit_rate=bit_rate, sample_rate_hz=rate_hz) for bit_rate, rate_hz in spec.rungs
    ]


def loss_db(better: Encoding, lower: Encoding) -> float | None:
    """Return how much fidelity on speech a lower encoding of the ladder loses; None if unknown.

    A rung without a figure is taken to lie halfway between its neighbours.
    """
    figures = [None if rung.fidelity_db is None else rung.fidelity_db.speech for rung in LADDER]
    values = []
    for encoding in (better, lower):
        places = [
            index
            for index, rung in enumerate(LADDER)
            if (rung.encoding.codec, rung.encoding.bit_rate) == (encoding.codec, encoding.bit_rate)
        ]
        around = figures[places[0] - 1 : places[0] + 2 : 2] if places else []
        own = figures[places[0]] if places else None
        known = [own] if own is not None else [one for one in around if one is not None]
        if not known:
            return None
        values.append(sum(known) / len(known))
    return values[0] - values[1]
