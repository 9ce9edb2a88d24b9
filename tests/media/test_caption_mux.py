from __future__ import annotations

from fractions import Fraction

import pytest

from captoolkit.bitstream.containers import captioned_containers
from captoolkit.media.caption_mux import select_streams
from captoolkit.media.probe_by_ffmpeg import MediaStream


def stream(index: int, kind: str, codec: str, *, is_cover: bool = False) -> MediaStream:
    """Return a stream as ffmpeg describes it."""
    return MediaStream(
        index=index, kind=kind, codec=codec, tag="", start_s=Fraction(0), is_cover=is_cover
    )


STREAMS = [
    stream(0, "Audio", "opus"),
    stream(1, "Subtitle", "subrip"),
    stream(2, "Subtitle", "mov_text"),
    stream(3, "Subtitle", "hdmv_pgs_subtitle"),
    stream(4, "Attachment", "ttf"),
    stream(5, "Video", "png", is_cover=True),
]


@pytest.mark.parametrize(
    ("suffix", "kept", "converted", "left_out"),
    [
        ("mkv", [0, 1, 2, 3, 4, 5], [2], []),
        ("mp4", [0, 1, 2, 5], [1], [3, 4]),
        ("webm", [0, 1, 2], [1, 2], [3, 4, 5]),
    ],
)
def test_streams_are_kept_converted_or_named(
    suffix: str, kept: list[int], converted: list[int], left_out: list[int]
) -> None:
    """Text subtitles are converted; pictures, fonts and covers without a place are left out."""
    streams, notes = select_streams(captioned_containers()[suffix][1], STREAMS, f".{suffix}")
    assert [one.index for one in streams] == kept
    assert [note for note in notes if "was converted" in note] == [
        note for note in notes for index in converted if note.startswith(f"Stream {index} ")
    ]
    for index in left_out:
        assert any(note.startswith(f"Stream {index} ") and "left out" in note for note in notes)
    assert len(notes) == len(converted) + len(left_out)
