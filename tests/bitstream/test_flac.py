from __future__ import annotations

import io

import pytest

from captoolkit.bitstream import flac

STREAMINFO = bytes(10) + (44_100 << 12 | 1 << 9 | 15 << 4).to_bytes(4) + bytes(20)
SOUND = flac.FRAME_STARTS[0]


def block(kind: int, content: bytes, *, is_last: bool = False) -> bytes:
    """Return a metadata block."""
    return bytes([kind | 0x80 * is_last]) + len(content).to_bytes(3) + content


def test_blocks_are_read_up_to_the_sound() -> None:
    """The blocks state rate and channels, and the last one must be followed by a frame."""
    data = block(flac.STREAMINFO, STREAMINFO) + block(1, bytes(100_000), is_last=True)
    blocks = flac.read_blocks(io.BytesIO(data + SOUND))
    assert [(one.kind, one.size) for one in blocks] == [(0, 34), (1, 100_000)]
    assert len(blocks[1].content) == flac.MAX_CONTENT_BYTES
    assert flac.rate_and_channels(blocks) == (44_100, 2)
    assert not flac.needs_ffmpeg(blocks)
    assert flac.read_blocks(io.BytesIO(data + b"RIFF")) == []
    assert flac.rate_and_channels([]) is None


@pytest.mark.parametrize("kind", [flac.CUE_SHEET, flac.PICTURE + 1])
def test_cue_sheets_and_unknown_blocks_need_ffmpeg(kind: int) -> None:
    """Chapters, and blocks of an unknown kind, are left to ffmpeg."""
    data = block(flac.STREAMINFO, STREAMINFO) + block(kind, bytes(8), is_last=True) + SOUND
    assert flac.needs_ffmpeg(flac.read_blocks(io.BytesIO(data)))
