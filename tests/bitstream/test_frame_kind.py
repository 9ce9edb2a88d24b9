from __future__ import annotations

from captoolkit.bitstream.frame_kind import ANY_BYTE, FrameKind, byte_table

# Frames of three bytes: a first byte of 1 or 2, the size, any content.
KIND = FrameKind(
    format="test",
    codec="test",
    rate_hz=8_000,
    channels=1,
    frame_samples=160,
    allowed=(byte_table(lambda byte: byte in (1, 2)), ANY_BYTE),
    size_at=lambda data, at: data[at + 1],
    likeness=0xFF000000,
)


def test_a_table_has_a_flag_for_each_byte() -> None:
    """The table of a header's byte holds 1 for each allowed value."""
    assert [byte for byte, flag in enumerate(KIND.allowed[0]) if flag] == [1, 2]
    assert len(ANY_BYTE) == sum(ANY_BYTE) == 256


def test_a_frame_needs_its_whole_header_and_a_size() -> None:
    """A frame starts at a valid header with a size; its content may be missing."""
    assert KIND.is_at(b"\1\3", 0)
    assert not KIND.is_at(b"\1", 0)
    assert not KIND.is_at(b"\3\3", 0)
    assert not KIND.is_at(b"\1\0", 0)


def test_a_torn_frame_may_end_within_its_header() -> None:
    """The beginning of a valid header at the end of a file is a torn frame."""
    assert KIND.is_torn_in(b"\1")
    assert KIND.is_torn_in(b"\1\3")
    assert not KIND.is_torn_in(b"")
    assert not KIND.is_torn_in(b"\3")


def test_a_stream_begins_with_two_similar_headers() -> None:
    """Two frames in a row lead on; a stream begins only if the masked bits agree."""
    alike, different = b"\1\3a\1\3b", b"\1\3a\2\3b"
    assert KIND.leads_on(alike, 0)
    assert KIND.leads_on(different, 0)
    assert KIND.begins(alike + b"\1", 0)
    assert not KIND.begins(different + b"\1", 0)
    assert not KIND.begins(b"\1\3a", 0)
