from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest

from captoolkit import prepare, probe, split
from captoolkit.bitstream.pcm_layout import read_layout
from captoolkit.errors import InputError
from captoolkit.model import Action
from scripts import compare_headers
from scripts.compare_headers import RATE_HZ, Kind, extension, fmt, packed, truth, verdict, wav
from tests.support.two_readers import read_by_both

CORRECTED = (
    *("sizes: 0", "FFFFFFFF", "wrong RIFF size", "sizes: half", "too large", "tags behind"),
    *("RF64 PCM 16", "W64 PCM 24", "24 valid bits in 32", "12 valid bits in 24", "sowt 24"),
)
KINDS = [
    kind
    for kind in compare_headers.kinds()
    if kind.channels == 1
    and any(words in kind.name for words in CORRECTED)
    and kind.name != "WAV with tags behind, mono"
]
ODD = {
    "riff-0-data-0": (0, 0),
    "pipe": (2**32 - 1, 2**32 - 1),
    "riff-only": (1234, None),
    "data-0": (None, 0),
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_samples_are_untouched_behind_a_true_header(kind: Kind, tmp_path: Path) -> None:
    """The segment holds the source's samples byte by byte, and both readers find them."""
    source = tmp_path / f"talk.{kind.suffix}"
    source.write_bytes(kind.data)
    with prepare(source) as prepared:
        (segment,) = prepared
        assert prepared.plan.action is Action.REMUX
        assert any("Header corrected" in reason for reason in prepared.plan.reasons)
        made = segment.read_bytes()
        before, after = (read_layout(io.BytesIO(one)) for one in (kind.data, made))
        assert before is not None
        assert after is not None
        assert (after.codec, after.frames) == (before.codec, before.frames)
        start = after.start_bytes
        samples = kind.data[before.start_bytes : before.start_bytes + before.size_bytes]
        assert made[start : start + after.size_bytes] == samples
        assert struct.unpack("<I", made[4:8])[0] + 8 == len(made)
        assert probe(segment.path).misreadings == ()
        for sound in read_by_both(segment.path)[:2]:
            assert verdict(sound, 1) == "right"


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("bits", [8, 16, 24])
def test_split_corrects_the_header_too(tmp_path: Path, bits: int, odd: str) -> None:
    """A WAV with wrong sizes does not stay unchanged: its samples get a true header."""
    riff_bytes, data_bytes = ODD[odd]
    sound = packed(truth(2), bits, bits // 8)
    source = tmp_path / "talk.wav"
    shape = fmt(1, bits, bits // 4, 2)
    source.write_bytes(wav(shape, sound, riff_bytes=riff_bytes, data_bytes=data_bytes))
    with split(source) as prepared:
        (piece,) = prepared
        layout = read_layout(io.BytesIO(piece.read_bytes()))
        assert layout is not None
        assert layout.has_true_sizes
        made = piece.read_bytes()[layout.start_bytes :][: layout.size_bytes]
        assert made == sound


@pytest.mark.parametrize("magic", [b"RIFX"])
@pytest.mark.parametrize("bits", [16, 24, 32])
def test_split_keeps_samples_of_the_other_byte_order(
    tmp_path: Path, bits: int, magic: bytes
) -> None:
    """Samples of a byte order that a WAV cannot hold are kept in the order that it has."""
    sound = packed(truth(1), bits, bits // 8, order=">")
    source = tmp_path / "talk.wav"
    source.write_bytes(wav(fmt(1, bits, bits // 8, 1, order=">"), sound, magic=magic))
    with split(source, parts=2) as prepared:
        pieces = [read_by_both(piece.path) for piece in prepared]
        for reader in (0, 1):
            whole = np.concatenate([piece[reader] for piece in pieces])
            assert verdict(whole, 1) == "right"


def test_source_that_changes_is_refused(tmp_path: Path) -> None:
    """A source that loses samples after it was planned is no segment."""
    source = tmp_path / "talk.wav"
    made = wav(fmt(1, 16, 2, 1), packed(truth(1), 16, 2), riff_bytes=0, data_bytes=0)
    source.write_bytes(made)
    with prepare(source) as prepared:
        source.write_bytes(made[: len(made) // 2])
        with pytest.raises(InputError, match="changed while it was being prepared"):
            list(prepared)


def test_too_long_for_its_own_header_is_encoded(tmp_path: Path) -> None:
    """Samples that break a limit are encoded, and the place of the samples is still right."""
    seconds = 400
    time_s = np.arange(seconds * RATE_HZ) / RATE_HZ
    tone = 0.5 * np.sin(2 * np.pi * 400 * time_s)[:, None]
    shape = fmt(0xFFFE, 32, 4, 1, extension=extension(1, 24, 4))
    source = tmp_path / "long.wav"
    source.write_bytes(wav(shape, packed(tone, 24, 4)))
    with prepare(source) as prepared:
        (segment,) = prepared
        assert prepared.plan.action is Action.ENCODE
        by_ffmpeg, by_libsndfile, rate_hz = read_by_both(segment.path)
        for sound in (by_ffmpeg, by_libsndfile):
            spectrum = np.abs(np.fft.rfft(sound[rate_hz : 2 * rate_hz, 0]))
            assert int(np.argmax(spectrum)) == 400
            assert len(sound) == pytest.approx(seconds * rate_hz, abs=2000)
