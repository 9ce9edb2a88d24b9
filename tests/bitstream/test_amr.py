from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from captoolkit.bitstream import amr
from captoolkit.media.frame_index import read_frame_index
from tests.support.frame_files import (
    Listing,
    Made,
    contents,
    id3v2,
    indexed,
    packets_of,
    patched,
    written,
)
from tests.support.sound import starts


@pytest.mark.parametrize("options", ["-b:a 4.75k", "-b:a 7.4k", "-b:a 12.2k", "-dtx 1 -b:a 5.9k"])
def test_frames_of_amr_are_ffmpegs_packets(
    tmp_path: Path, made: Made, listing: Listing, options: str
) -> None:
    """The frames equal ffmpeg's packets at every bit rate, with comfort noise too."""
    path = written(tmp_path / "talk.amr", made("amr", f"-ar 8000 -ac 1 {options}"))
    assert packets_of(path) == listing(path)
    index = indexed(path)
    assert (index.format, index.codec) == ("amr", "amr_nb")
    assert (index.rate_hz, index.channels, index.frame_samples) == (8_000, 1, 160)
    assert (index.head, starts(index)[0]) == (b"#!AMR\n", 6)


@pytest.mark.parametrize(
    ("codec", "magic", "types"),
    [
        ("amr_nb", b"#!AMR\n", (*range(9), 15)),
        ("amr_wb", b"#!AMR-WB\n", (*range(10), 14, 15)),
    ],
)
def test_amr_frames_of_every_type_are_ffmpegs_packets(
    tmp_path: Path, listing: Listing, codec: str, magic: bytes, types: Sequence[int]
) -> None:
    """The type may change from frame to frame: modes, comfort noise, lost speech, no data."""
    random = np.random.default_rng(5)
    table = amr.NB_FRAME_BYTES if codec == "amr_nb" else amr.WB_FRAME_BYTES
    order = [*types, *random.choice(types, 5_000).tolist()]
    parts = [bytes([kind << 3 | 4]) + random.bytes(table[kind] - 1) for kind in order]
    path = written(tmp_path / "talk.amr", magic, *parts)
    assert contents(path, indexed(path)) == parts
    assert packets_of(path) == listing(path)
    index = indexed(path)
    assert (index.codec, index.head, starts(index)[0]) == (codec, magic, len(magic))
    assert index.rate_hz == index.frame_samples * 50 == (8_000 if codec == "amr_nb" else 16_000)


@pytest.mark.parametrize("header", [9 << 3, 14 << 3, 0x80, 0x03])
def test_odd_amr_frames_are_not_indexed(tmp_path: Path, made: Made, header: int) -> None:
    """A reserved type, or a reserved bit that is set, leaves the file without an index."""
    path = written(tmp_path / "talk.amr", made("amr", "-ar 8000 -ac 1"))
    data = patched(path.read_bytes(), int(starts(indexed(path))[7]), header)
    assert read_frame_index(written(path, data)) is None


@pytest.mark.parametrize("magic", [b"#!AMR_MC1.0\n", b"#!AMR-WB_MC1.0\n", id3v2(0) + b"#!AMR\n"])
def test_amr_behind_another_magic_or_a_tag_is_not_indexed(
    tmp_path: Path, made: Made, magic: bytes
) -> None:
    """AMR of several channels and AMR behind a tag, which ffmpeg cannot read, have no index."""
    data = made("amr", "-ar 8000 -ac 1").removeprefix(b"#!AMR\n")
    assert read_frame_index(written(tmp_path / "talk.amr", magic, data)) is None
