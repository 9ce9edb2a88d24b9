"""The encodings from least loss to smallest, and how large each comes out.

The models hear 16 kHz mono, so loss is measured there: `Rung.fidelity_db` is the signal-to-noise
ratio of the model's own input, a 128-bin log-mel, against the source's (higher is better), on
speech, music, environment and a quiet room, measured 2026-11-20 with ffmpeg 9.0.2 and LAME. Rungs
without a figure lie between their neighbours. Below the last rung, 24 kbit/s, the quiet and the
wide sounds that captions are about are lost: more segments are better than less quality.

What the figures taught: MP3 at 24 kHz with the low-pass at 8 kHz beats MP3 at 16 kHz from
40 kbit/s up, by 3 to 20 dB; without a stated low-pass LAME cuts at 5 to 7 kHz. LAME's level 7 takes
half the time of its default 5; level 5 gains 0.2 to 2.6 dB at 24 and 32 kbit/s, loses 0.3 to
1.9 dB at 40 kbit/s, and more above.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

from captoolkit.errors import UsageError
from captoolkit.model import Encoding

MODEL_RATE_HZ = 16_000
MODEL_BAND_HZ = 8_000
FAST_EFFORT = 7
THOROUGH_EFFORT = 5
THOROUGH_BELOW_BIT_RATE = 40_000
FLOOR_BIT_RATE = 24_000
LOW_RATE_HZ = 24_000  # above this a rate is asked for to keep the band, so there is no low-pass
# What can be asked for by name, and the container and codec that it is.
FORMATS = {
    "wav": ("wav", "pcm_s16le"),
    "mp3": ("mp3", "mp3"),
    "aac": ("aac", "aac"),
    "amr": ("amr", "amr_nb"),
    "gsm": ("wav", "gsm_ms"),
}

WAV_HEADER_BYTES = 44
# GSM 6.10 in a WAV: its longer header names the length of a block and of the sound. Blocks come in
# pairs: RIFF pads an odd number of 65 bytes, and libsndfile hears the padding as one more block,
# 40 ms of noise at full scale.
GSM_HEADER_BYTES = 60
GSM_PAIR_SAMPLES = 2 * 320
GSM_PAIR_BYTES = 2 * 65
AMR_HEADER_BYTES = 6
AMR_FRAME_SAMPLES = 160
# RFC 4867, table 1: AMR-NB modes by bit rate, bytes of a frame in a file (with its header byte).
AMR_FRAME_BYTES = {
    4750: 13, 5150: 14, 5900: 16, 6700: 18, 7400: 20, 7950: 21, 10200: 27, 12200: 32,
}  # fmt: skip
AAC_FRAME_SAMPLES = 1024
AAC_DELAY_SAMPLES = 1024
# ffmpeg's AAC encoder overshoots its nominal rate by up to 5 % on steady sound (measured).
AAC_OVERSHOOT = Fraction(110, 100)
AAC_FRAME_BITS = 6144  # the most for a channel (ISO/IEC 14496-3), which bounds the bit rate
ADTS_HEADER_BYTES = 7
AAC_RATES_HZ = (
    7_350, 8_000, 11_025, 12_000, 16_000, 22_050, 24_000,
    32_000, 44_100, 48_000, 64_000, 88_200, 96_000,
)  # fmt: skip
# What LAME and its reader put around the sound: the encoder's delay, a last block to flush it.
MP3_DELAY_SAMPLES = 1105
MP3_EXTRA_FRAMES = 3  # the Xing frame, the flush, and one for rounding
MPEG1_RATES_HZ = (32_000, 44_100, 48_000)
MPEG2_RATES_HZ = (16_000, 22_050, 24_000)
MP3_RATES_HZ = MPEG2_RATES_HZ + MPEG1_RATES_HZ
MPEG1_BIT_RATES = tuple(
    1000 * k for k in (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
)
MPEG2_BIT_RATES = tuple(
    1000 * k for k in (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
)
MP3_BIT_RATES = tuple(sorted({*MPEG1_BIT_RATES, *MPEG2_BIT_RATES}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """Log-mel signal-to-noise ratio in dB on four kinds of sound, level matched."""

    speech: float
    music: float
    environment: float
    quiet: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One encoding and what it costs the model's ear; None where it was not measured."""

    encoding: Encoding
    fidelity_db: Fidelity | None = None


def wav(rate_hz: int = MODEL_RATE_HZ, channels: int = 1) -> Encoding:
    """Return 16-bit PCM WAV."""
    return Encoding(
        format="wav",
        codec="pcm_s16le",
        sample_rate_hz=rate_hz,
        channels=channels,
        bit_rate=16 * rate_hz * channels,
    )


def gsm() -> Encoding:
    """Return GSM 6.10 in a WAV, which is 8 kHz mono at 13 kbit/s."""
    return Encoding(format="wav", codec="gsm_ms", sample_rate_hz=8_000, channels=1, bit_rate=13_000)


def mp3(
    bit_rate: int, rate_hz: int, channels: int = 1, *, cutoff_hz: int | None = MODEL_BAND_HZ
) -> Encoding:
    """Return MP3 at a constant bit rate.

    Raises:
        UsageError: MP3 has no such rate.
    """
    rates = _mp3_bit_rates(rate_hz)
    if rate_hz not in MP3_RATES_HZ:
        known = ", ".join(str(rate) for rate in MP3_RATES_HZ)
        raise UsageError(
            f"sample_rate_hz={rate_hz} is not one MP3 has here", fix=f"take one of {known}"
        )
    if bit_rate not in rates:
        known = ", ".join(f"{rate // 1000}k" for rate in rates)
        raise UsageError(
            f"bit_rate={bit_rate} is not one MP3 has at {rate_hz} Hz", fix=f"take one of {known}"
        )
    return Encoding(
        format="mp3",
        codec="mp3",
        sample_rate_hz=rate_hz,
        channels=channels,
        bit_rate=bit_rate,
        effort=FAST_EFFORT,
        cutoff_hz=cutoff_hz,
    )


def _mp3_bit_rates(rate_hz: int) -> tuple[int, ...]:
    return MPEG1_BIT_RATES if rate_hz in MPEG1_RATES_HZ else MPEG2_BIT_RATES


def amr(bit_rate: int = 12_200) -> Encoding:
    """Return AMR-NB, which is 8 kHz mono.

    Raises:
        UsageError: AMR-NB has no such mode.
    """
    if bit_rate not in AMR_FRAME_BYTES:
        known = ", ".join(f"{rate / 1000:g}k" for rate in AMR_FRAME_BYTES)
        raise UsageError(f"bit_rate={bit_rate} is not one AMR-NB has", fix=f"take one of {known}")
    return Encoding(
        format="amr", codec="amr_nb", sample_rate_hz=8_000, channels=1, bit_rate=bit_rate
    )


def aac(bit_rate: int, rate_hz: int = MODEL_RATE_HZ, channels: int = 1) -> Encoding:
    """Return AAC-LC in ADTS at about `bit_rate`.

    Raises:
        UsageError: AAC has no such sample rate.
    """
    if rate_hz not in AAC_RATES_HZ:
        known = ", ".join(str(rate) for rate in AAC_RATES_HZ)
        raise UsageError(f"sample_rate_hz={rate_hz} is not one AAC has", fix=f"take one of {known}")
    return Encoding(
        format="aac", codec="aac", sample_rate_hz=rate_hz, channels=channels, bit_rate=bit_rate
    )


LADDER = (
    Rung(encoding=wav(), fidelity_db=Fidelity(speech=59, music=63, environment=59, quiet=37)),
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
    "podcast": mp3(128_000, 44_100, cutoff_hz=None),
    "music": mp3(192_000, 44_100, 2, cutoff_hz=None),
}
AAC_RUNGS = tuple(aac(rate) for rate in (64_000, 48_000, 32_000, 24_000))
TEMPLATE_RATE_HZ = 44_100


# ---------------------------------------------------------------------- at a bit rate


def at_bit_rate(
    name: str, bit_rate: int, *, rate_hz: int | None = None, source_hz: int, channels: int = 1
) -> Encoding:
    """Return MP3 or AAC at a bit rate: like the rung nearest to it, with its rate and low-pass.

    Where the rung's rate has no such bit rate, the sound keeps its own; where that has none either,
    it gets the 44.1 kHz of the services' template.

    Args:
        name: `mp3` or `aac`.
        bit_rate: bits per second.
        rate_hz: a sample rate that is asked for, whatever the rung has.
        source_hz: the sample rate of the sound.
        channels: how many come out.

    Raises:
        UsageError: there is no such bit rate.

    ```python
    >>> describe(at_bit_rate("mp3", 192_000, source_hz=48_000))
    'MP3 192 kbit/s, 48 kHz mono'

    ```
    """
    rungs = AAC_RUNGS if name == "aac" else [rung.encoding for rung in LADDER]
    of_name = (one for one in rungs if one.format == name)
    rung = min(of_name, key=lambda one: abs(one.bit_rate - bit_rate))
    has = _aac_has if name == "aac" else _mp3_has
    tried_hz = (rung.sample_rate_hz, source_hz, TEMPLATE_RATE_HZ)
    having_hz = (one for one in tried_hz if has(bit_rate, one, channels))
    chosen_hz = rate_hz or next(having_hz, TEMPLATE_RATE_HZ)
    if name == "aac":
        return aac(bit_rate, chosen_hz, channels)
    if rate_hz is None and not _mp3_has(bit_rate, chosen_hz):
        known = ", ".join(f"{rate // 1000}k" for rate in MP3_BIT_RATES)
        raise UsageError(f"bit_rate={bit_rate} is not one MP3 has", fix=f"take one of {known}")
    return mp3(bit_rate, chosen_hz, channels, cutoff_hz=cutoff_at(chosen_hz))


def _mp3_has(bit_rate: int, rate_hz: int, channels: int = 1) -> bool:
    return rate_hz in MP3_RATES_HZ and bit_rate in _mp3_bit_rates(rate_hz)


def _aac_has(bit_rate: int, rate_hz: int, channels: int) -> bool:
    most = AAC_FRAME_BITS * channels * rate_hz // AAC_FRAME_SAMPLES
    return rate_hz in AAC_RATES_HZ and bit_rate <= most


def cutoff_at(rate_hz: int) -> int | None:
    """Return the low-pass of MP3: the model's band, unless the rate is to keep more than that."""
    return MODEL_BAND_HZ if rate_hz <= LOW_RATE_HZ else None


# --------------------------------------------------------------------- the same, but otherwise


def thorough(encoding: Encoding) -> Encoding:
    """Return the encoding with LAME's slower level where that sounds better; else unchanged."""
    if encoding.codec != "mp3" or encoding.bit_rate >= THOROUGH_BELOW_BIT_RATE:
        return encoding
    return replace(encoding, effort=THOROUGH_EFFORT)


def at_lower_bit_rates(encoding: Encoding) -> tuple[Encoding, ...]:
    """Return the encoding at each lower bit rate down to the floor, the highest first.

    AMR has no floor but its last mode; WAV has no other bit rates.

    ```python
    >>> [one.bit_rate for one in at_lower_bit_rates(mp3(48_000, 24_000))]
    [40000, 32000, 24000]

    ```
    """
    lower = sorted(rate for rate in _bit_rates(encoding) if rate < encoding.bit_rate)
    return tuple(replace(encoding, bit_rate=rate) for rate in reversed(lower))


def _bit_rates(encoding: Encoding) -> Iterable[int]:
    """The bit rates that an encoding can be had at, without those below the floor."""
    if encoding.codec == "amr_nb":
        return AMR_FRAME_BYTES
    if encoding.codec == "mp3":
        rates = _mp3_bit_rates(encoding.sample_rate_hz)
    elif encoding.codec == "aac":
        rates = MPEG1_BIT_RATES + MPEG2_BIT_RATES
    else:
        return ()
    return {rate for rate in rates if rate >= FLOOR_BIT_RATE}


# ------------------------------------------------------------------------------- how large


def framed_samples(encoding: Encoding, samples: int) -> int:
    """Return how many samples a reader counts at most that ignores delay and padding tags."""
    if encoding.format == "mp3":
        per_frame = _mp3_frame_samples(encoding)
        return (-(-(samples + MP3_DELAY_SAMPLES) // per_frame) + MP3_EXTRA_FRAMES) * per_frame
    if encoding.format == "aac":
        return (-(-(samples + AAC_DELAY_SAMPLES) // AAC_FRAME_SAMPLES) + 1) * AAC_FRAME_SAMPLES
    if encoding.format == "amr":
        return (-(-samples // AMR_FRAME_SAMPLES) + 1) * AMR_FRAME_SAMPLES
    if encoding.codec == "gsm_ms":
        return -(-samples // GSM_PAIR_SAMPLES) * GSM_PAIR_SAMPLES
    return samples


def file_bytes(encoding: Encoding, samples: int) -> int:
    """Return how large a file of that many samples comes out at most.

    WAV comes out at exactly that. AAC keeps its rate on steady sound only: noise that comes and
    goes ten times a second came out at up to 1.6 times this bound (measured), so an AAC file is to
    be looked at when it is finished.

    ```python
    >>> file_bytes(wav(), 16_000)
    32044

    ```
    """
    framed = framed_samples(encoding, samples)
    if encoding.codec == "gsm_ms":
        return GSM_HEADER_BYTES + framed // GSM_PAIR_SAMPLES * GSM_PAIR_BYTES
    if encoding.format == "wav":
        return WAV_HEADER_BYTES + 2 * encoding.channels * samples
    if encoding.format == "amr":
        return AMR_HEADER_BYTES + framed // AMR_FRAME_SAMPLES * AMR_FRAME_BYTES[encoding.bit_rate]
    sound = Fraction(framed * encoding.bit_rate, 8 * encoding.sample_rate_hz)
    if encoding.format == "aac":
        frames = framed // AAC_FRAME_SAMPLES
        return int(sound * AAC_OVERSHOOT) + frames * ADTS_HEADER_BYTES
    return int(sound) + 1


def max_samples(
    encoding: Encoding, *, size_bytes: int | None, duration_s: Fraction | None
) -> int | None:
    """Return the most samples that stay within both limits, None where there is no limit."""
    bounds = []
    if duration_s is not None:
        limit = int(duration_s * encoding.sample_rate_hz)
        bounds.append(_largest(lambda samples: framed_samples(encoding, samples) <= limit, limit))
    if size_bytes is not None:
        most = size_bytes * 8 * encoding.sample_rate_hz // encoding.bit_rate
        bounds.append(_largest(lambda samples: file_bytes(encoding, samples) <= size_bytes, most))
    return min(bounds) if bounds else None


def _largest(holds: Callable[[int], bool], most: int) -> int:
    """The largest number up to `most` for which a condition holds that only ever stops holding."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def _mp3_frame_samples(encoding: Encoding) -> int:
    return 1152 if encoding.sample_rate_hz in MPEG1_RATES_HZ else 576


def describe(encoding: Encoding) -> str:
    """Return an encoding as the sentences of a plan put it.

    ```python
    >>> describe(mp3(48_000, 24_000))
    'MP3 48 kbit/s, 24 kHz mono'

    ```
    """
    rate = f"{encoding.sample_rate_hz / 1000:g} kHz"
    channels = {1: "mono", 2: "stereo"}.get(encoding.channels, f"{encoding.channels} channels")
    if encoding.codec == "pcm_s16le" or encoding.sample_type:
        kind = " float" if encoding.sample_type.startswith("float") else ""
        name = encoding.format if encoding.codec.startswith("pcm_") else encoding.codec
        return f"{encoding.depth_bits}-bit{kind} {name.upper()}, {rate} {channels}"
    name = "GSM WAV" if encoding.codec == "gsm_ms" else encoding.format.upper()
    return f"{name} {encoding.bit_rate / 1000:g} kbit/s, {rate} {channels}"
