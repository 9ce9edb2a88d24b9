"""Every file that leaves is read alike by ffmpeg and by libsndfile, which services decode with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from captoolkit import prepare, split
from captoolkit.model import Action
from captoolkit.pipeline.segment import ReadySegment
from tests.support.sound import Convert, write_wav
from tests.support.two_readers import marked, onsets_s, read_by_both

RATE_HZ = 44_100
LENGTH_S = 60
MARKS_S = (5.0, 15.0, 25.0, 35.0, 45.0, 55.0)
CLOSE_S = 0.06  # a frame, a decoder's delay and a hop
VBR = ["-c:a", "libmp3lame", "-q:a", "4"]
CBR = ["-c:a", "libmp3lame", "-b:a", "64k"]
BARE = ["-write_xing", "0", "-id3v2_version", "0"]
XING_AT = 4 + 17  # in a mono frame: behind header and side information


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of murmur with a tone every ten seconds; its quiet start misleads estimates."""
    path = tmp_path_factory.mktemp("marks") / "marks.wav"
    return write_wav(path, marked(LENGTH_S, rate_hz=RATE_HZ, at_s=MARKS_S), rate_hz=RATE_HZ)


def check_readers(
    segments: Sequence[ReadySegment], *, marks_s: list[float], total_s: float
) -> None:
    """Fail unless both readers find each mark at its place, and all of the sound."""
    found: tuple[list[float], list[float]] = ([], [])
    lengths_s = [0.0, 0.0]
    for segment in segments:
        *sounds, rate_hz = read_by_both(segment.path)
        for reader, sound in enumerate(sounds):
            begin_s = segment.source_span.start_s
            found[reader].extend(begin_s + at for at in onsets_s(sound, rate_hz))
            lengths_s[reader] += len(sound) / rate_hz
            assert len(sound) / rate_hz == pytest.approx(segment.source_span.duration_s, abs=0.08)
    assert lengths_s == pytest.approx([total_s] * 2, abs=0.05 * (len(segments) + 1))
    for places_s in found:
        assert places_s == pytest.approx(marks_s, abs=CLOSE_S)


def with_frames_stated(path: Path, factor: float) -> Path:
    """Let an MP3's information frame state `factor` times its number of frames."""
    data = bytearray(path.read_bytes())
    at = max(data.find(b"Xing", 0, 8192), data.find(b"Info", 0, 8192)) + 8
    assert at > XING_AT
    data[at : at + 4] = int(int.from_bytes(data[at : at + 4]) * factor).to_bytes(4)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("container", "options"),
    [("mkv", VBR), ("avi", VBR), ("mp4", VBR), ("mp3", VBR), ("mkv", CBR), ("mp3", CBR)],
)
def test_mp3_out_of_a_container_states_its_frames(
    wav: Path, tmp_path: Path, convert: Convert, container: str, options: list[str]
) -> None:
    """Frames that leave another container, or a file without an information frame, get one."""
    bare = convert(wav, tmp_path / "bare.mp3", [*options, *BARE])
    source = bare
    if container != "mp3":
        source = convert(bare, tmp_path / f"talk.{container}", ["-c", "copy"])
    with prepare(source) as prepared:
        segments = list(prepared)
        is_read_right = container == "mp3" and prepared.plan.action is Action.PASS_THROUGH
        assert prepared.plan.action is Action.REMUX or is_read_right
        check_readers(segments, marks_s=list(MARKS_S), total_s=LENGTH_S)
    with split(source, parts=3) as prepared:
        if container in ("mkv", "mp3"):
            check_readers(list(prepared), marks_s=list(MARKS_S), total_s=LENGTH_S)


@pytest.mark.parametrize(
    ("options", "factor"), [(VBR, 0.1), (VBR, 0.99), (VBR, 10), (CBR, 0.5), (CBR, 1.05)]
)
def test_wrong_number_of_frames_is_not_passed_on(
    wav: Path, tmp_path: Path, convert: Convert, options: list[str], factor: float
) -> None:
    """An MP3 whose information frame counts too few or too many frames gets a true one."""
    source = with_frames_stated(convert(wav, tmp_path / "talk.mp3", options), factor)
    for verb in (prepare, split):
        with verb(source) as prepared:
            assert prepared.plan.action is not Action.PASS_THROUGH
            assert any("libsndfile" in reason for reason in prepared.plan.reasons)
            check_readers(list(prepared), marks_s=list(MARKS_S), total_s=LENGTH_S)


def test_true_number_of_frames_passes_through(wav: Path, tmp_path: Path, convert: Convert) -> None:
    """An MP3 with a true information frame keeps every byte."""
    for options in (VBR, CBR):
        source = convert(wav, tmp_path / "talk.mp3", options)
        for verb in (prepare, split):
            with verb(source) as prepared:
                (segment,) = prepared
                assert segment.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("options", [VBR, CBR], ids=["vbr", "cbr"])
def test_joined_mp3s_arrive_whole(
    wav: Path, tmp_path: Path, convert: Convert, options: list[str]
) -> None:
    """An MP3 whose information frame counts only the first of two parts is written anew."""
    first = convert(wav, tmp_path / "first.mp3", options)
    second = convert(wav, tmp_path / "second.mp3", [*CBR, *BARE])
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    marks_s = [*MARKS_S, *(LENGTH_S + at for at in MARKS_S)]
    with prepare(joined) as prepared:
        assert prepared.plan.action is Action.REMUX
        check_readers(list(prepared), marks_s=marks_s, total_s=2 * LENGTH_S)


@pytest.mark.parametrize(
    ("options", "other"),
    [
        (VBR, ["-ar", "22050"]),
        (VBR, ["-ac", "2"]),
        ([*CBR, *BARE], ["-ar", "48000"]),
        ([*CBR, *BARE], ["-ac", "2"]),
    ],
)
def test_joined_mp3s_of_different_kinds_are_encoded(
    wav: Path, tmp_path: Path, convert: Convert, options: list[str], other: list[str]
) -> None:
    """An MP3 whose sample rate or channels change on the way is encoded, with the reason."""
    first = convert(wav, tmp_path / "first.mp3", options)
    second = convert(wav, tmp_path / "second.mp3", [*CBR, *other])
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    marks_s = [*MARKS_S, *(LENGTH_S + at for at in MARKS_S)]
    with prepare(joined) as prepared:
        assert prepared.plan.action is Action.ENCODE
        assert any("readers" in reason for reason in prepared.plan.reasons)
        check_readers(list(prepared), marks_s=marks_s, total_s=2 * LENGTH_S)
