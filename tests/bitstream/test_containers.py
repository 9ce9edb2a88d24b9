from __future__ import annotations

import pytest

from captoolkit.bitstream import containers
from tests.support.media_values import track


@pytest.mark.parametrize(
    ("container", "codec", "muxer", "suffix"),
    [
        ("mp3", "mp2", "mp2", "mp2"),
        ("mp4", "aac", "ipod", "m4a"),
        ("mp4", "opus", "mp4", "mp4"),
        ("matroska", "vorbis", "matroska", "mka"),
        ("webm", "opus", "webm", "webm"),
        ("ogg", "vorbis", "ogg", "ogg"),
        ("ogg", "opus", "ogg", "opus"),
        ("wma", "wmav2", "asf", "wma"),
        ("mpeg-ps", "mp2", "matroska", "mka"),
        ("nut", "aac", "matroska", "mka"),
    ],
)
def test_sound_goes_back_where_it_came_from(
    container: str, codec: str, muxer: str, suffix: str
) -> None:
    """A container that can be written is kept; another becomes Matroska, which holds everything."""
    home = containers.home(container, codec)
    assert (home.muxer, home.suffix) == (muxer, suffix)


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
    """Samples of PCM files, and codecs whose head tells of the whole file, are encoded anew."""
    assert containers.is_cut_between_packets(container, codec) is is_copied


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
    """Codec, container and depth stay; what cannot be written becomes FLAC of an honest depth."""
    encoding = containers.samples_kept(
        track(60, codec=codec), container, sample_type=given[0], depth_bits=given[1]
    )
    found = (encoding.format, encoding.codec, encoding.sample_type, encoding.depth_bits)
    assert found == made
