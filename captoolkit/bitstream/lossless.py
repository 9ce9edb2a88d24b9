"""The codecs that keep every sample: one row each, and the encoding that keeps a track's samples.

How to add a codec that `split` writes losslessly: add one row to `LOSSLESS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from captoolkit.bitstream import containers
from captoolkit.model import Encoding, Track

PCM = "pcm_"  # how ffmpeg's names of PCM codecs begin


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LosslessCodec:
    """A codec that keeps every sample; `PCM_SAMPLES` has those of PCM.

    Attributes:
        codec: its name in ffmpeg.
        is_written: captoolkit writes it; where not, samples are kept as FLAC.
        cut_between_packets: a decoder starts at any of its packets, and its header states nothing
            about the whole file, so packets can be copied.
        in_libsndfile: libsndfile decodes it.
        encoder_options: options of ffmpeg's encoder for an encoding.
    """

    codec: str
    is_written: bool = True
    cut_between_packets: bool = False
    in_libsndfile: bool = False
    encoder_options: Callable[[Encoding], dict[str, Any]] = lambda _encoding: {}


def _flac_options(encoding: Encoding) -> dict[str, Any]:
    # ffmpeg calls more than 24 bits experimental.
    return {"bits_per_raw_sample": encoding.depth_bits, "strict": "experimental"}


# ffmpeg has only a decoder, or (MLP and TrueHD) a decoder can begin at few packets.
_ONLY_DECODED = (
    *("als", "ape", "atrac3al", "atrac3pal", "bonk", "dst", "mlp", "mp4als", "osq", "ralf", "rka"),
    *("shorten", "tak", "truehd", "wavarc"),
)
LOSSLESS = {
    row.codec: row
    for row in (
        LosslessCodec(codec="alac", cut_between_packets=True),
        LosslessCodec(codec="flac", in_libsndfile=True, encoder_options=_flac_options),
        LosslessCodec(codec="tta"),
        LosslessCodec(codec="wavpack"),
        *(LosslessCodec(codec=codec, is_written=False) for codec in _ONLY_DECODED),
    )
}
# The type that holds each sample of a PCM codec unchanged, and how many bits of it count, by the
# codec's name without `pcm_` and the order of its bytes.
PCM_SAMPLES = {
    "alaw": ("int16", 8),
    "f32": ("float32", 32),
    "f64": ("float64", 64),
    "mulaw": ("int16", 8),
    "s16": ("int16", 16),
    "s24": ("int32", 24),
    "s32": ("int32", 32),
    "s8": ("int16", 8),
    "u8": ("int16", 8),
}
# By the order of bytes in a container: the codec of its samples of 8 bits.
EIGHT_BITS = {"le": "pcm_u8", "be": "pcm_s8"}


def is_lossless(codec: str) -> bool:
    """Return whether a codec keeps every sample."""
    return codec.startswith(PCM) or codec in LOSSLESS


def is_in_libsndfile(codec: str) -> bool:
    """Return whether libsndfile decodes a codec, sample by sample."""
    return codec.startswith(PCM) or (codec in LOSSLESS and LOSSLESS[codec].in_libsndfile)


def is_cut_between_packets(container: str, codec: str) -> bool:
    """Return whether pieces of a track can be had without encoding anything."""
    if codec in LOSSLESS:
        return LOSSLESS[codec].cut_between_packets
    return not (containers.of(container).holds_samples and pcm_samples(codec) is not None)


def pcm_samples(codec: str) -> tuple[str, int] | None:
    """Return the type and depth of a PCM codec's samples, None for any other codec.

    ```python
    >>> pcm_samples("pcm_s24be"), pcm_samples("flac")
    (('int32', 24), None)

    ```
    """
    kind = codec.removeprefix(PCM).removesuffix("le").removesuffix("be")
    return PCM_SAMPLES.get(kind) if codec.startswith(PCM) else None


FLAC_BITS = 24  # the most that every reader decodes


def keeping_samples(track: Track, container: str, *, sample_type: str, depth_bits: int) -> Encoding:
    """Return the encoding that keeps each sample of a track: its own codec's where that can be.

    Args:
        track: the track that is encoded.
        container: the container that it came in.
        sample_type: the type that its decoder returns: `int16`, `int32`, `float32` or `float64`.
        depth_bits: how many bits of that count.
    """
    codec, pcm = track.codec, pcm_samples(track.codec)
    row = LOSSLESS.get(codec)
    home = containers.container_of_packets(container, codec).name
    if pcm is not None:
        sample_type, depth_bits = pcm
        order = containers.of(home).byte_order
        if order and codec.endswith(("le", "be")):
            codec = codec[:-2] + order
        elif order and codec in EIGHT_BITS.values():
            codec = EIGHT_BITS[order]
    elif codec == "flac" and depth_bits > FLAC_BITS:  # which libsndfile does not read
        codec, home, sample_type = "pcm_s32le", "wav", "int32"
    elif row is None or not row.is_written:
        codec = home = "flac"
        # FLAC holds whole numbers; rounding a lossy decoder's output to 24 bits is inaudible.
        sample_type, depth_bits = ("int16", 16) if depth_bits <= 16 else ("int32", 24)
    return Encoding(
        format=home,
        codec=codec,
        sample_rate_hz=track.sample_rate_hz,
        channels=track.channels,
        bit_rate=track.sample_rate_hz * track.channels * depth_bits,
        sample_type=sample_type,
    )
