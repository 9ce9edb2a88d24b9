from __future__ import annotations

import pytest

from captoolkit.bitstream import containers


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
    home = containers.container_of_packets(container, codec)
    assert (home.muxer_of(codec), home.suffix_of(codec)) == (muxer, suffix)
