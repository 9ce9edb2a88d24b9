"""Packets that do not hold what their container lets a reader expect."""

from __future__ import annotations

from pathlib import Path

import pytest

from captoolkit import LimitError, prepare, probe, split
from captoolkit.model import Action
from captoolkit.pipeline.prepared import Prepared
from tests.support.odd_packets import at_half_rate, grouped_samples, with_pre_skip
from tests.support.sound import Convert, write_wav
from tests.support.two_readers import marked, onsets_s, read_by_ffmpeg

LENGTH_S = 6.0
MARKS_S = (0.5, 1.5, 2.5, 3.5, 4.5)
CLOSE_S = 0.06
AMR = ["-ar", "8000", "-c:a", "libopencore_amrnb", "-b:a", "12.2k"]
AC3_BYTES = 768  # of a frame of 192 kbit/s at 48 kHz


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """Six seconds of murmur with five tones."""
    return write_wav(
        tmp_path / "marks.wav", marked(LENGTH_S, rate_hz=48_000, at_s=MARKS_S), rate_hz=48_000
    )


def check_marks(prepared: Prepared, *, shift_s: float = 0, total_s: float = LENGTH_S) -> None:
    """Fail unless the segments hold each mark at its place, and last as long as stated."""
    found = []
    with prepared:
        for segment in prepared:
            sound = read_by_ffmpeg(segment.path, rate_hz=16_000, channels=1)
            begin_s = segment.source_span.start_s
            found += [begin_s + at for at in onsets_s(sound, 16_000)]
            assert len(sound) / 16_000 == pytest.approx(segment.source_span.duration_s, abs=0.05)
    assert segment.source_span.end_s == pytest.approx(total_s, abs=0.2)
    expected = [max(0, at - shift_s) for at in MARKS_S if at - shift_s > -0.3]
    assert found == pytest.approx(expected, abs=CLOSE_S)


@pytest.mark.parametrize("frames", [2, 7, 10])
def test_several_amr_frames_in_a_sample(
    wav: Path, tmp_path: Path, convert: Convert, frames: int
) -> None:
    """A 3GP with several AMR frames in each sample is heard whole; copying it is refused."""
    plain = convert(wav, tmp_path / "plain.3gp", AMR)
    path = tmp_path / "phone.3gp"
    path.write_bytes(grouped_samples(plain.read_bytes(), frames))
    assert probe(path).default_track.duration_s == pytest.approx(LENGTH_S, abs=0.2)
    check_marks(prepare(path))
    check_marks(split(path, parts=2, exact=True))
    with pytest.raises(LimitError, match="packets differ") as caught:
        list(split(path, parts=2))
    assert "exact=True" in caught.value.fix


@pytest.mark.parametrize("samples", [65_535, 24_000])
def test_long_pre_skip_is_not_inherited(
    wav: Path, tmp_path: Path, convert: Convert, samples: int
) -> None:
    """Pieces of an Opus with a long pre-skip are encoded, because each would state it too."""
    path = convert(wav, tmp_path / "plain.opus", ["-c:a", "libopus", "-b:a", "32k"])
    path.write_bytes(with_pre_skip(path.read_bytes(), samples))
    skip_s = samples / 48_000
    check_marks(prepare(path), shift_s=skip_s, total_s=LENGTH_S - skip_s)
    pieces = split(path, parts=2)
    assert pieces.plan.action is Action.ENCODE
    assert any("pre-skip" in reason for reason in pieces.plan.reasons)
    check_marks(pieces, shift_s=skip_s, total_s=LENGTH_S - skip_s)


@pytest.mark.parametrize("suffix", ["ac3", "mka", "ts", "mp4"])
def test_ac3_at_half_rate(wav: Path, tmp_path: Path, convert: Convert, suffix: str) -> None:
    """AC-3 at half its usual rate is heard in its own time, or refused with a word of `exact`.

    Containers count its packets by the usual rate.
    """
    plain = convert(wav, tmp_path / "plain.ac3", ["-c:a", "ac3", "-b:a", "192k"])
    path = tmp_path / f"half.{suffix}"
    if suffix == "mp4":
        muxed = convert(plain, tmp_path / "plain.mp4", ["-c", "copy"])
        path.write_bytes(at_half_rate(muxed.read_bytes(), AC3_BYTES))
    else:
        half = tmp_path / "half.ac3"
        half.write_bytes(at_half_rate(plain.read_bytes(), AC3_BYTES))
        path = half if suffix == "ac3" else convert(half, path, ["-c", "copy"])
    clock_s = probe(path).default_track.duration_s
    if suffix != "mp4":  # whose time stamps, those of the usual rate, overlap throughout
        assert clock_s == pytest.approx(2 * LENGTH_S, abs=0.2)
    for run in (prepare(path), split(path, parts=2, exact=True)):
        assert _sum_of_lengths_s(run) == pytest.approx(clock_s, abs=0.1)
    refusal = ""
    try:
        copied_s = _sum_of_lengths_s(split(path, parts=2))
    except LimitError as error:
        refusal = str(error)
    # ffmpeg finds no rate in some pieces of such a stream; that depends on where it is cut.
    if refusal or suffix in ("ts", "mp4"):
        assert "a copied piece was refused" in refusal
        assert "exact=True" in refusal
    else:
        assert copied_s == pytest.approx(clock_s, abs=0.1)


def _sum_of_lengths_s(run: Prepared) -> float:
    with run as prepared:
        return sum(
            len(read_by_ffmpeg(one.path, rate_hz=16_000, channels=1)) / 16_000 for one in prepared
        )
