"""The codecs that keep samples: how pieces of them are made."""

from __future__ import annotations

import pytest

from captoolkit.bitstream.lossless import is_cut_between_packets, keeping_samples
from tests.support.media_values import track


@pytest.mark.parametrize(
    ("container", "codec", "is_copied"),
    [
        ("mp3", "mp3", True),
        ("m4a", "alac", True),
        ("mov", "pcm_s16le", True),
        ("wav", "adpcm_ms", True),
        ("wav", "pcm_s16le", False),
        ("wav", "pcm_mulaw", False),
        ("flac", "flac", False),
        ("ogg", "flac", False),
        ("ape", "ape", False),
        ("truehd", "truehd", False),
    ],
)
def test_what_can_be_cut_between_packets_is_copied(
    container: str, codec: str, is_copied: bool
) -> None:
    """Samples of PCM files, and codecs with a header for the whole file, are encoded."""
    assert is_cut_between_packets(container, codec) is is_copied


@pytest.mark.parametrize(
    ("container", "codec", "given", "made"),
    [
        ("wav", "pcm_s24le", ("int32", 32), ("wav", "pcm_s24le", "int32", 24)),
        ("wav", "pcm_f32le", ("float32", 32), ("wav", "pcm_f32le", "float32", 32)),
        ("wav", "pcm_mulaw", ("int16", 16), ("wav", "pcm_mulaw", "int16", 8)),
        ("aiff", "pcm_s16be", ("int16", 16), ("aiff", "pcm_s16be", "int16", 16)),
        ("flac", "flac", ("int32", 24), ("flac", "flac", "int32", 24)),
        ("matroska", "flac", ("int16", 16), ("matroska", "flac", "int16", 16)),
        ("mp4", "alac", ("int16", 16), ("m4a", "alac", "int16", 16)),
        ("mp3", "mp3", ("float32", 32), ("flac", "flac", "int32", 24)),
        ("wav", "adpcm_ms", ("int16", 16), ("flac", "flac", "int16", 16)),
        ("ape", "ape", ("int32", 24), ("flac", "flac", "int32", 24)),
    ],
)
def test_the_encoding_that_keeps_samples_is_the_sources_own(
    container: str,
    codec: str,
    given: tuple[str, int],
    made: tuple[str, str, str, int],
) -> None:
    """Codec, container and depth stay; other codecs become FLAC of the decoder's depth."""
    encoding = keeping_samples(
        track(60, codec=codec), container, sample_type=given[0], depth_bits=given[1]
    )
    found = (encoding.format, encoding.codec, encoding.sample_type, encoding.depth_bits)
    assert found == made
