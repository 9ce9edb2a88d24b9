"""The table of encodings: one row each, with every fact that captoolkit knows about it.

A row is an encoding that `--format` names and that services take; `lossless` has the codecs that
keep every sample, for `split`. Rules: a row makes its encodings (`EncodingSpec.encoding`) and
refuses rates that the codec lacks; a module that needs a fact about an `Encoding` reads it from
`spec_of`, and never compares formats or codecs.

How to add an encoding that `--format` names, in three steps:

1. Add one row to `ENCODINGS`, under the name that users give. With `writer=Writer.FFMPEG` that is
   all the code: `encoder` and `encoder_options` are passed to ffmpeg. Measure the figures of its
   frames and `decoded_extra_samples`; a bound that is too low makes `prepare` refuse its own files.
2. If its container has no row yet, add one to `containers.CONTAINERS`. If a service takes it, name
   container and codec in `accepts` of the service's row in `services/targets.toml`.
3. Add its name to `FormatName` in `planning/options.py`, for type checkers. The tests in
   `tests/bitstream/test_encodings.py` then run the row through its encoder: size and length.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from typing import Any

from captoolkit.bitstream import adts, amr, mpeg_audio
from captoolkit.bitstream.lossless import PCM
from captoolkit.errors import UsageError
from captoolkit.model import Encoding

MODEL_RATE_HZ = 16_000  # the services' models hear 16 kHz mono
MODEL_BAND_HZ = 8_000
LOW_RATE_HZ = 24_000  # callers choose a higher rate to keep more than the model's band
FLOOR_BIT_RATE = 24_000  # below it, quiet and wide sounds are lost: see `planning.ladder`

# GSM 6.10 in a WAV: blocks come in pairs, because RIFF pads an odd number of 65 bytes, and
# libsndfile decodes the padding as one more block, 40 ms of noise at full scale.
GSM_PAIR_SAMPLES = 2 * 320
GSM_PAIR_BYTES = 2 * 65
AAC_DELAY_SAMPLES = adts.FRAME_SAMPLES
# ffmpeg's AAC encoder overshoots its nominal rate by up to 5 % on steady sound (measured).
AAC_OVERSHOOT = Fraction(110, 100)
AAC_FRAME_BITS = 6144  # the most for a channel (ISO/IEC 14496-3), which bounds the bit rate
# ffmpeg recognizes ADTS by three frames, of which the encoder's delay fills one.
AAC_SHORTEST_SAMPLES = adts.FRAME_SAMPLES + 1
# ffmpeg never writes more than 1105 samples of padding into LAME's tag, although it may be 1151
# (measured at each of the rates used here): the rest is decoded as silence.
MP3_PADDING_SAMPLES = 1151
MP3_STATED_PADDING_SAMPLES = 1105
# Those that LAME is used at; MPEG-2.5 has lower ones, which keep less than the model's band.
MP3_RATES_HZ = (*sorted(mpeg_audio.MPEG2_RATES_HZ), *sorted(mpeg_audio.MPEG1_RATES_HZ))
# AAC has any bit rate; captoolkit steps down through MP3's.
MPEG_BIT_RATES = tuple(sorted({*mpeg_audio.MPEG1_BIT_RATES, *mpeg_audio.MPEG2_BIT_RATES}))


class Writer(StrEnum):
    """Which of the writers in `media.encode` makes a file."""

    WAVE = "wave"  # in this process: a header and samples
    SNDFILE = "sndfile"  # in this process, by libsndfile
    FFMPEG = "ffmpeg"  # by an ffmpeg that is fed through a pipe


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Effort:
    """An encoder's levels of effort (LAME's `compression_level`), and where the slower one helps.

    Attributes:
        fast: the level that is used as a rule.
        best: the slower level.
        best_below_bit_rate: from this bit rate on, the slower level sounds no better.
    """

    fast: int
    best: int
    best_below_bit_rate: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EncodingSpec:
    """One encoding that `--format` names.

    Attributes:
        name: the value of `--format`.
        title: the name in sentences and in the documentation.
        container, codec: as `probe` names them.

        writer: which writer makes it.
        encoder: ffmpeg's encoder, for `Writer.FFMPEG`.
        encoder_options: further options of ffmpeg.
        sndfile_subtype: libsndfile's name of the codec; files that have one are read back in
            this process, all others by ffmpeg.
        input_type: the samples that its writer takes without a loss: `float32` or `int16`.
        clips_integers: its encoder takes 32-bit integers, so ffmpeg alone can clip samples beyond
            full scale.

        sample_rates_hz: the sample rates that it has; empty for any.
        max_channels: the largest number of channels.
        sample_bits: bits of a PCM sample, which give the bit rate; 0 for a compressed codec.
        bit_rates: its bit rates at a sample rate, in ascending order; none for PCM.
        max_frame_bits: where any bit rate will do, the most bits of a frame and channel; 0 where
            only the listed bit rates will.
        floor_bit_rate: captoolkit lowers the bit rate no further by itself.
        rungs: (bit rate, sample rate) of the encodings to choose from, best first, where the
            ladder has none of them.
        low_pass_hz: the low-pass given to the encoder at a sample rate; None to leave it alone.
        effort: its encoder's levels of effort; None where there is one only.

        frame_samples: samples of a frame at a sample rate.
        frame_bytes: the largest average size of a frame.
        head_bytes: bytes of a file that belong to no frame.
        delay_samples: silence that the encoder puts before the sound.
        extra_frames: further frames than those of sound and delay.
        is_padding_stated: whether a tag of its files states delay and padding.
        decoded_extra_samples: how many samples more than went in a decoder returns at most.
    """

    name: str
    title: str
    container: str
    codec: str

    writer: Writer = Writer.FFMPEG
    encoder: str = ""
    encoder_options: Mapping[str, Any] = field(default_factory=dict)
    sndfile_subtype: str = ""
    input_type: str = "float32"
    clips_integers: bool = False

    sample_rates_hz: tuple[int, ...] = ()
    max_channels: int = 2
    sample_bits: int = 0
    bit_rates: Callable[[int], tuple[int, ...]] = lambda _rate_hz: ()
    max_frame_bits: int = 0
    floor_bit_rate: int = FLOOR_BIT_RATE
    rungs: tuple[tuple[int, int], ...] = ()
    low_pass_hz: Callable[[int], int | None] = lambda _rate_hz: None
    effort: Effort | None = None

    frame_samples: Callable[[int], int] = lambda _rate_hz: 1
    frame_bytes: Callable[[Encoding], Fraction]
    head_bytes: int = 0
    delay_samples: int = 0
    extra_frames: int = 0
    is_padding_stated: bool = False
    decoded_extra_samples: int = 0

    @property
    def all_bit_rates(self) -> tuple[int, ...]:
        """Its bit rates at any sample rate, in ascending order."""
        sample_rates_hz = self.sample_rates_hz or (MODEL_RATE_HZ,)
        return tuple(sorted({rate for hz in sample_rates_hz for rate in self.bit_rates(hz)}))

    @property
    def fixed_rate_hz(self) -> int | None:
        """The only sample rate that it has; None where there are more."""
        return self.sample_rates_hz[0] if len(self.sample_rates_hz) == 1 else None

    def has(self, bit_rate: int, rate_hz: int, channels: int = 1) -> bool:
        """Return whether there is such a bit rate at a sample rate."""
        if self.sample_rates_hz and rate_hz not in self.sample_rates_hz:
            return False
        if self.max_frame_bits:
            frame_samples = self.frame_samples(rate_hz)
            return bit_rate <= self.max_frame_bits * channels * rate_hz // frame_samples
        return bit_rate in self.bit_rates(rate_hz)

    def encoding(
        self, *, sample_rate_hz: int, bit_rate: int | None = None, channels: int = 1
    ) -> Encoding:
        """Return the encoding at a sample rate and a bit rate, which PCM has none to choose of.

        Raises:
            UsageError: there is no such sample rate, or no such bit rate at it.
        """
        if self.sample_rates_hz and sample_rate_hz not in self.sample_rates_hz:
            rates = ", ".join(map(str, self.sample_rates_hz))
            raise UsageError(
                f"sample_rate_hz={sample_rate_hz} is not a sample rate of {self.title}",
                fix=f"take one of {rates}",
            )
        if self.sample_bits:
            bit_rate = self.sample_bits * sample_rate_hz * channels
        elif bit_rate is None or (
            not self.max_frame_bits and bit_rate not in self.bit_rates(sample_rate_hz)
        ):
            raise self.lacks(bit_rate, self.bit_rates(sample_rate_hz), f" at {sample_rate_hz} Hz")
        return Encoding(
            format=self.container,
            codec=self.codec,
            sample_rate_hz=sample_rate_hz,
            channels=channels,
            bit_rate=bit_rate,
            effort=self.effort.fast if self.effort else None,
            cutoff_hz=self.low_pass_hz(sample_rate_hz),
        )

    def lacks(self, bit_rate: int | None, rates: tuple[int, ...], where: str = "") -> UsageError:
        """Return the error for a bit rate that is none of `rates`."""
        return UsageError(
            f"bit_rate={bit_rate} is not a bit rate of {self.title}{where}",
            fix=f"take one of {', '.join(f'{rate / 1000:g}k' for rate in rates)}",
        )

    def is_found_in(self, container: str, codec: str) -> bool:
        """Return whether a file of that container and codec needs no encoding for `--format`.

        A WAV of any PCM is a WAV; one of GSM is not, because GSM has a row of its own.
        """
        others = {row.codec for row in ENCODINGS.values() if row.container == self.container}
        return container == self.container and codec not in others - {self.codec}


def _nominal_frame_bytes(encoding: Encoding, frame_samples: int) -> Fraction:
    """The average size of a frame at the encoding's bit rate."""
    return Fraction(frame_samples * encoding.bit_rate, 8 * encoding.sample_rate_hz)


_ROWS = (
    EncodingSpec(
        name="wav",
        title="WAV",
        container="wav",
        codec="pcm_s16le",
        writer=Writer.WAVE,
        sndfile_subtype="PCM_16",
        input_type="int16",
        sample_bits=16,
        frame_bytes=lambda encoding: Fraction(2 * encoding.channels),
        head_bytes=44,
    ),
    EncodingSpec(
        name="mp3",
        title="MP3",
        container="mp3",
        codec="mp3",
        encoder="libmp3lame",
        encoder_options={"id3v2_version": 0},
        clips_integers=True,
        sample_rates_hz=MP3_RATES_HZ,
        bit_rates=mpeg_audio.bit_rates_at,
        low_pass_hz=lambda rate_hz: MODEL_BAND_HZ if rate_hz <= LOW_RATE_HZ else None,
        effort=Effort(fast=7, best=5, best_below_bit_rate=40_000),
        frame_samples=mpeg_audio.frame_samples_at,
        frame_bytes=lambda encoding: _nominal_frame_bytes(
            encoding, mpeg_audio.frame_samples_at(encoding.sample_rate_hz)
        ),
        head_bytes=1,  # the padding that makes up for rounded frames
        delay_samples=1105,
        extra_frames=3,  # the Xing frame, one to flush the encoder, one for rounding
        is_padding_stated=True,
        decoded_extra_samples=MP3_PADDING_SAMPLES - MP3_STATED_PADDING_SAMPLES,
    ),
    EncodingSpec(
        name="aac",
        title="AAC",
        container="aac",
        codec="aac",
        encoder="aac",
        encoder_options={"bitexact": None, "af": f"apad=whole_len={AAC_SHORTEST_SAMPLES}"},
        sample_rates_hz=tuple(sorted(adts.RATES_HZ)),
        bit_rates=lambda _rate_hz: MPEG_BIT_RATES,
        max_frame_bits=AAC_FRAME_BITS,
        rungs=tuple((rate, MODEL_RATE_HZ) for rate in (64_000, 48_000, 32_000, 24_000)),
        frame_samples=lambda _rate_hz: adts.FRAME_SAMPLES,
        frame_bytes=lambda encoding: (
            _nominal_frame_bytes(encoding, adts.FRAME_SAMPLES) * AAC_OVERSHOOT + adts.HEADER_BYTES
        ),
        delay_samples=AAC_DELAY_SAMPLES,
        extra_frames=1,
        # No tag states delay and padding, so whole frames are decoded, and the delay before them.
        decoded_extra_samples=AAC_DELAY_SAMPLES + 2 * adts.FRAME_SAMPLES,
    ),
    EncodingSpec(
        name="amr",
        title="AMR",
        container="amr",
        codec="amr_nb",
        encoder="libopencore_amrnb",
        encoder_options={"bitexact": None},
        sample_rates_hz=(amr.NB_RATE_HZ,),
        max_channels=1,
        bit_rates=lambda _rate_hz: amr.NB_BIT_RATES,
        floor_bit_rate=min(amr.NB_BIT_RATES),
        rungs=((max(amr.NB_BIT_RATES), amr.NB_RATE_HZ),),
        frame_samples=lambda _rate_hz: amr.NB_FRAME_SAMPLES,
        frame_bytes=lambda encoding: Fraction(amr.NB_BYTES_BY_BIT_RATE[encoding.bit_rate]),
        head_bytes=len(amr.NB_MAGIC),
        extra_frames=1,
        decoded_extra_samples=2 * amr.NB_FRAME_SAMPLES,
    ),
    EncodingSpec(
        name="gsm",
        title="GSM WAV",
        container="wav",
        codec="gsm_ms",
        writer=Writer.SNDFILE,
        sndfile_subtype="GSM610",
        sample_rates_hz=(8_000,),
        max_channels=1,
        bit_rates=lambda _rate_hz: (13_000,),
        floor_bit_rate=13_000,
        rungs=((13_000, 8_000),),
        frame_samples=lambda _rate_hz: GSM_PAIR_SAMPLES,
        frame_bytes=lambda _encoding: Fraction(GSM_PAIR_BYTES),
        head_bytes=60,  # its header also states the length of a block and of the sound
        decoded_extra_samples=GSM_PAIR_SAMPLES - 1,
    ),
)
ENCODINGS = {row.name: row for row in _ROWS}


def spec_of(encoding: Encoding) -> EncodingSpec:
    """Return the row that an encoding was made by.

    Raises:
        KeyError: it was not: samples that are kept have their rows in `lossless`.
    """
    kind = (encoding.format, encoding.codec)
    for row in ENCODINGS.values():
        if kind == (row.container, row.codec):
            return row
    raise KeyError(kind)


# --------------------------------------------------------------------------- size and length


def decoded_samples(encoding: Encoding, samples: int) -> int:
    """Return how many samples a reader counts at most, in a file of that many samples.

    Decoders subtract the delay and the padding that a tag states, so that 40:00.000 of sound is
    40:00.000 as MP3 as well. Where no tag states them, all frames count.

    ```python
    >>> mp3 = ENCODINGS["mp3"].encoding(sample_rate_hz=16_000, bit_rate=24_000)
    >>> decoded_samples(mp3, 2400 * 16_000) == 2400 * 16_000
    True

    ```
    """
    if encoding.sample_type:
        return samples
    spec = spec_of(encoding)
    frame_samples = spec.frame_samples(encoding.sample_rate_hz)
    if not spec.is_padding_stated:
        return _frames(spec, encoding, samples) * frame_samples
    # The rest of the last frame; if it is short, LAME adds a frame, and the tag states less than
    # that (measured at each of the rates used here).
    rest = -(samples + spec.delay_samples) % frame_samples
    return samples + (rest if rest <= spec.decoded_extra_samples else 0)


def _frames(spec: EncodingSpec, encoding: Encoding, samples: int) -> int:
    held = samples + spec.delay_samples
    return -(-held // spec.frame_samples(encoding.sample_rate_hz)) + spec.extra_frames


def file_bytes(encoding: Encoding, samples: int) -> int:
    """Return how large a file of that many samples is at most.

    For WAV this is the exact size. AAC keeps its rate on steady sound only: noise that comes and
    goes ten times a second made files of up to 1.6 times this bound (measured), so the size of a
    finished AAC file has to be checked.

    ```python
    >>> file_bytes(ENCODINGS["wav"].encoding(sample_rate_hz=16_000), 16_000)
    32044

    ```
    """
    spec = spec_of(encoding)
    return spec.head_bytes + int(_frames(spec, encoding, samples) * spec.frame_bytes(encoding))


@functools.lru_cache(maxsize=1024)  # every file of a batch has the same limits
def max_samples(
    encoding: Encoding, *, size_bytes: int | None, duration_s: Fraction | None
) -> int | None:
    """Return the most samples that stay within both limits, None where there is no limit."""
    bounds = []
    if duration_s is not None:
        limit = int(duration_s * encoding.sample_rate_hz)
        bounds.append(_largest(lambda samples: decoded_samples(encoding, samples) <= limit, limit))
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


# ---------------------------------------------------------------------------------- variants


def with_best_effort(encoding: Encoding) -> Encoding:
    """Return the encoding with its encoder's slower level where that sounds better."""
    effort = spec_of(encoding).effort
    if effort is None or encoding.bit_rate >= effort.best_below_bit_rate:
        return encoding
    return replace(encoding, effort=effort.best)


def at_lower_bit_rates(encoding: Encoding) -> tuple[Encoding, ...]:
    """Return the encoding at each lower bit rate down to its row's floor, the highest first.

    ```python
    >>> mp3 = ENCODINGS["mp3"].encoding(sample_rate_hz=24_000, bit_rate=48_000)
    >>> [one.bit_rate for one in at_lower_bit_rates(mp3)]
    [40000, 32000, 24000]

    ```
    """
    spec = spec_of(encoding)
    rates = spec.bit_rates(encoding.sample_rate_hz)
    lower = (rate for rate in rates if spec.floor_bit_rate <= rate < encoding.bit_rate)
    return tuple(replace(encoding, bit_rate=rate) for rate in sorted(lower, reverse=True))


def describe(encoding: Encoding) -> str:
    """Return an encoding in the words of a plan.

    ```python
    >>> describe(ENCODINGS["mp3"].encoding(sample_rate_hz=24_000, bit_rate=48_000))
    'MP3 48 kbit/s, 24 kHz mono'

    ```
    """
    rate = f"{encoding.sample_rate_hz / 1000:g} kHz"
    channels = {1: "mono", 2: "stereo"}.get(encoding.channels, f"{encoding.channels} channels")
    if encoding.sample_type:
        kind = " float" if encoding.sample_type.startswith("float") else ""
        name = encoding.format if encoding.codec.startswith(PCM) else encoding.codec
        return f"{encoding.depth_bits}-bit{kind} {name.upper()}, {rate} {channels}"
    spec = spec_of(encoding)
    if spec.sample_bits:
        return f"{spec.sample_bits}-bit {spec.title}, {rate} {channels}"
    return f"{spec.title} {encoding.bit_rate / 1000:g} kbit/s, {rate} {channels}"
