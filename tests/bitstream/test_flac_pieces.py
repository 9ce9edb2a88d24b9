"""Pieces of a FLAC: they tile the file, state their samples, and are FLACs of their own."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from captoolkit.bitstream import flac_pieces
from captoolkit.bitstream.flac_pieces import FlacPiece, FlacPieces
from tests.support import flac_files

RATE_HZ = 8000
LENGTH = 60 * RATE_HZ


@pytest.fixture(scope="module")
def data() -> bytes:
    """A minute: noise, twenty seconds of silence, noise."""
    sound = np.random.default_rng(5).normal(0, 0.1, LENGTH).clip(-1, 1)
    sound[20 * RATE_HZ : 40 * RATE_HZ] = 0
    file = io.BytesIO()
    soundfile.write(file, sound, RATE_HZ, subtype="PCM_16", format="FLAC")
    return file.getvalue()


def pieces_of(data: bytes, start: int = 0) -> list[FlacPiece]:
    """All pieces from a sample on, each with bytes of its own."""
    pieces = FlacPieces(io.BytesIO(data), start=start, total=LENGTH)
    return [replace(piece, data=memoryview(bytes(piece.data))) for piece in iter(pieces.read, None)]


def test_pieces_tile_the_file(data: bytes) -> None:
    """Each begins where the one before ends; none holds more than a piece may."""
    pieces = pieces_of(data)
    edges = [0, *(piece.end for piece in pieces)]
    assert [piece.begin for piece in pieces] == edges[:-1]
    assert edges[-1] == LENGTH
    assert all(piece.end - piece.begin <= flac_pieces.PIECE_SAMPLES for piece in pieces)
    frames = b"".join(piece.data[42:] for piece in pieces)
    assert data.endswith(frames)


def test_a_piece_states_what_it_holds(data: bytes) -> None:
    """Rate and channels are those of the file; there is room for one frame too much."""
    for piece in pieces_of(data):
        with soundfile.SoundFile(io.BytesIO(piece.data)) as sound:
            assert (sound.samplerate, sound.channels) == (RATE_HZ, 1)
            assert sound.frames == piece.end - piece.begin + flac_pieces.EXTRA_SAMPLES


@pytest.mark.parametrize("start", [1, 4096, 100_000, 159_999, 161_000, 300_000, LENGTH - 1])
def test_the_first_piece_begins_near_the_first_sample(data: bytes, start: int) -> None:
    """Few bytes before it are read, however the bit rate changes on the way."""
    pieces = pieces_of(data, start)
    assert pieces[0].begin <= start
    assert sum(len(piece.data) for piece in pieces if piece.end <= start) < flac_pieces.SEARCH_BYTES


def test_a_frame_longer_than_a_read_is_one_piece(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes for a piece double until they hold a frame."""
    monkeypatch.setattr(flac_pieces, "PIECE_BYTES", 256)
    monkeypatch.setattr(flac_pieces, "PIECE_SAMPLES", 16)
    pieces = pieces_of(data)
    assert pieces[0].end == 4096
    assert pieces[-1].end == LENGTH


def test_a_promise_without_headers_gets_no_piece() -> None:
    """Frames that all have the number 0 end in none of the file's later samples."""
    file = flac_files.header(total=LENGTH * 100) + flac_files.frame(0, 65_535) * 800
    pieces = FlacPieces(io.BytesIO(file), start=0, total=LENGTH * 100)
    assert pieces.is_usual
    assert pieces.read() is None


@pytest.mark.parametrize("front", [b"junk", b"fLaX", b""])
def test_an_unusual_file_has_no_pieces(data: bytes, front: bytes) -> None:
    """Junk in front, no FLAC, or no sound; an ID3v2 tag is usual."""
    file = front + data if front == b"junk" else front + data[4:] if front else data[:42]
    assert not FlacPieces(io.BytesIO(file), start=0, total=LENGTH).is_usual
    assert pieces_of(file) == []
    assert pieces_of(b"ID3\x03\0\0\0\0\0\x0a" + bytes(10) + data) == pieces_of(data)


def test_a_file_of_many_tiny_frames_has_no_pieces() -> None:
    """Frames of 16 samples are valid, but only a file made to be slow has very many."""
    data = flac_files.stream([16] * 500)
    assert FlacPieces(io.BytesIO(data), start=0, total=8_000).is_usual
    assert not FlacPieces(io.BytesIO(data), start=0, total=8_000_000).is_usual
