from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import captoolkit
from captoolkit.model import Action, Plan, Target
from captoolkit.pipeline.segment import ReadySegment
from tests.support.media_values import service
from tests.support.processes import has_children
from tests.support.sound import Convert, Count, silence, tones_with_pauses, write_wav

RATE_HZ = 16_000
LENGTH_S = 40
SEGMENT_S = 10.5  # makes four, of padded sources as well
COUNT = 4
PAUSE_S = 0.4
PAUSES_S = (10.7, 19.4, 30.5)  # the middles, within the two seconds that a cut may move
BESIDE_S = 0.1  # how far out of its pause a cut may lie, and a frame
FRAME_S = {"aac": 1024 / RATE_HZ, "mp3": 576 / RATE_HZ, "amr": 0.02}
ACCEPTS = {
    "wav": ("pcm_s16le",),
    "mp3": ("mp3",),
    "aac": ("aac",),
    "amr": ("amr_nb",),
}

Packet = tuple[int, int]  # bytes, checksum
Packets = Callable[[Path], list[Packet]]
Make = Callable[[str], Path]

AAC, MP3 = "-c:a aac -b:a 48k", "-c:a libmp3lame -b:a 64k"
AMR = "-c:a libopencore_amrnb -ar 8000 -b:a 12.2k"
NO_XING = "-write_xing 0 -id3v2_version 0"
PICTURE = "-f lavfi -i color=s=64x48:r=5 -map 0:a -map 1:v -c:v mpeg4 -shortest"
COVER = "-f lavfi -i color=s=16x16:r=1:d=1 -map 0:a -map 1:v -c:v png -id3v2_version 3"
# What each file is made by; its name says which container it is.
SOURCES = {
    "talk.m4a": AAC,
    "talk.mkv": AAC,
    "film.mp4": f"{PICTURE} {AAC}",
    "talk.mov": AAC,
    "talk.ts": AAC,
    "talk.aac": AAC,
    "song.avi": MP3,
    "song.mkv": MP3,
    "song.mp4": MP3,
    "cbr.mp3": MP3,
    "vbr.mp3": "-c:a libmp3lame -q:a 5",
    "cover.mp3": f"{COVER} {MP3} -metadata title=Night",
    "bare.mp3": f"{MP3} {NO_XING}",
    "call.3gp": AMR,
    "call.amr": AMR,
}
RAW = ("aac", "mp3", "amr")
SBR_OFF, SBR_ON = b"\x56\xe5\x00", b"\x56\xe5\x98"  # the end of an AAC's setup: SBR to 48 kHz


@pytest.fixture(scope="module")
def sound() -> NDArray[np.float32]:
    """Tones that differ, over a murmur, with a silent pause near each cut; shape (frames, 1)."""
    return tones_with_pauses(LENGTH_S, PAUSES_S, pause_s=PAUSE_S, rate_hz=RATE_HZ)


@pytest.fixture(scope="module")
def make(
    tmp_path_factory: pytest.TempPathFactory, sound: NDArray[np.float32], convert: Convert
) -> Make:
    """The sound as one of SOURCES; each is made once."""
    folder = tmp_path_factory.mktemp("copying")
    wav = write_wav(folder / "sound.wav", sound, rate_hz=RATE_HZ)

    def run(name: str) -> Path:
        path = folder / name
        return path if path.exists() else convert(wav, path, SOURCES[name].split())

    return run


@pytest.fixture(scope="module")
def packets(ffmpeg: str) -> Packets:
    """Size and checksum of each packet as a plain ffmpeg lists them, without ADTS headers."""

    def run(path: Path) -> list[Packet]:
        argv = [ffmpeg, "-v", "error", "-i", str(path), "-map", "0:a:0", "-c", "copy"]
        if path.suffix in (".aac", ".ts"):
            argv += ["-bsf:a", "aac_adtstoasc"]
        done = subprocess.run(
            [*argv, "-f", "framecrc", "-"], check=True, capture_output=True, text=True
        )
        rows = (line.split(",") for line in done.stdout.splitlines() if line[0] != "#")
        return [(int(row[4]), int(row[5], 16)) for row in rows]

    return run


def target(**limits: float) -> Target:
    """A service that takes raw frames, with those limits."""
    return service(accepts=ACCEPTS, on_exceed="error", **limits)


def prepared(path: Path, **options: Any) -> tuple[Plan, list[ReadySegment], list[bytes]]:
    """The plan of a recording and the bytes of its segments."""
    expected = captoolkit.plan(path, **options)
    with captoolkit.prepare(path, **options) as made:
        segments = list(made)
        contents = [one.read_bytes() for one in segments]
        assert made.plan.action is expected.action
        assert len(segments) == len(made.plan.spans) == len(expected.spans)
    return expected, segments, contents


def written(contents: list[bytes], folder: Path, suffix: str) -> list[Path]:
    """The segments, written to files of the test."""
    paths = [folder / f"piece-{number}.{suffix}" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return paths


def samples_of(segments: list[ReadySegment]) -> list[int]:
    """Where the segments begin and the last ends; each begins where the one before it ends."""
    spans = [segment.source_span for segment in segments]
    for before, after in itertools.pairwise(spans):
        assert before.end_samples == after.start_samples
    return [*(span.start_samples for span in spans), spans[-1].end_samples]


# --------------------------------------------------------------------------- frames are kept


@pytest.mark.parametrize("name", SOURCES)
def test_the_pieces_hold_the_very_frames(
    make: Make, packets: Packets, tmp_path: Path, name: str
) -> None:
    """All frames are in the pieces, once and in order; spans tile, and cuts lie in pauses."""
    source = make(name)
    plan, segments, contents = prepared(source, target=target(), segment=SEGMENT_S)
    assert plan.action is Action.COPY
    assert len(segments) == COUNT
    pieces = written(contents, tmp_path, plan.suffix)
    assert [one for piece in pieces for one in packets(piece)] == packets(source)
    assert any("frames are kept unchanged" in reason for reason in plan.reasons)
    first, *cuts, last = samples_of(segments)
    assert (first, last) == (0, plan.track.duration_samples)
    assert last / plan.track.sample_rate_hz == pytest.approx(LENGTH_S, abs=0.2)
    cuts_s = [cut / plan.track.sample_rate_hz for cut in cuts]
    most_s = PAUSE_S / 2 + FRAME_S[plan.suffix] + BESIDE_S
    assert cuts_s == pytest.approx(PAUSES_S, abs=most_s)


@pytest.mark.parametrize("name", [name for name in SOURCES if name.split(".")[1] not in RAW])
def test_what_fits_moves_out_of_its_container(
    make: Make, packets: Packets, tmp_path: Path, name: str
) -> None:
    """One file holds exactly the frames of the source."""
    source = make(name)
    plan, segments, contents = prepared(source, target=target())
    assert plan.action is Action.REMUX
    assert plan.suffix in RAW
    assert packets(written(contents, tmp_path, plan.suffix)[0]) == packets(source)
    assert samples_of(segments) == [0, plan.track.duration_samples]


@pytest.mark.parametrize("name", ["talk.m4a", "talk.mkv", "cbr.mp3", "song.mkv", "call.amr"])
def test_a_piece_begins_where_its_span_says(
    make: Make, tmp_path: Path, ffmpeg: str, name: str
) -> None:
    """Decoded, the pieces sound as the source does at their spans, to the encoder's delay."""
    source = make(name)
    plan, segments, contents = prepared(source, target=target(), segment=SEGMENT_S)
    pieces = written(contents, tmp_path, plan.suffix)
    rate_hz = plan.track.sample_rate_hz

    def decoded(path: Path) -> NDArray[np.float64]:
        argv = [ffmpeg, "-v", "error", "-i", str(path), "-map", "0:a:0", "-f", "s16le", "-"]
        done = subprocess.run(argv, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        return np.frombuffer(done.stdout, "<i2").astype(float)

    whole = decoded(source)
    slips = rate_hz // 1000 if source.suffix == ".mkv" else 0  # its clock counts milliseconds
    for piece, segment in zip(pieces[1:], segments[1:], strict=True):
        at, begin = segment.source_span.start_samples, rate_hz // 2
        heard = decoded(piece)[begin : begin + 4 * rate_hz]
        off = min(
            np.abs(heard - whole[at + begin + slip :][: len(heard)]).max()
            for slip in range(-slips, slips + 1)
        )
        assert off <= 0.02 * np.abs(heard).max()


# ------------------------------------------------------------------------------------ limits


@pytest.mark.parametrize("name", ["talk.m4a", "cbr.mp3", "vbr.mp3", "call.amr"])
def test_no_piece_is_larger_than_the_target_takes(make: Make, name: str) -> None:
    """A limit of bytes bounds each piece, even if longer ones were requested."""
    source = make(name)
    whole = prepared(source, target=target(), segment=SEGMENT_S)[2]
    most = round(sum(map(len, whole)) * 7.5 / LENGTH_S)
    plan, segments, contents = prepared(source, target=target(max_bytes_base64=most), segment=5)
    assert plan.action is Action.COPY
    assert max(map(len, contents)) <= most
    assert [one.size_bytes for one in segments] == [*map(len, contents)]


@pytest.mark.parametrize("limit_s", [5.5, 6, 6.25, 8.001])
@pytest.mark.parametrize("name", ["talk.m4a", "talk.aac", "cbr.mp3", "song.mkv", "call.3gp"])
def test_no_piece_lasts_longer_than_the_target_takes(
    make: Make, tmp_path: Path, decoded_samples: Count, name: str, limit_s: float
) -> None:
    """The decoded length of a piece, with the codec's delay, stays within the limit."""
    options = {"target": target(max_duration_s=limit_s), "segment": 5}
    plan, _, contents = prepared(make(name), **options)
    assert plan.action is Action.COPY
    for piece in written(contents, tmp_path, plan.suffix):
        assert decoded_samples(piece) <= limit_s * plan.track.sample_rate_hz


def test_as_many_parts_as_are_asked_for(make: Make) -> None:
    """The number of parts is kept, whatever their lengths."""
    for name, parts in itertools.product(("talk.m4a", "vbr.mp3"), (2, 7)):
        plan, segments, _ = prepared(make(name), target=target(), parts=parts)
        assert (plan.action, len(segments)) == (Action.COPY, parts)


# --------------------------------------------------------------------------- encoded instead


def encoded(path: Path, **options: Any) -> Plan:
    """The plan of a preparation that encodes."""
    plan, segments, _ = prepared(path, **options)
    assert plan.action is Action.ENCODE
    assert plan.encoding is not None
    samples_of(segments)
    return plan


def he_aac(make: Make, convert: Convert, tmp_path: Path) -> Path:
    """An AAC of 24 kHz in a container that declares 48 kHz."""
    path = convert(make("talk.m4a"), tmp_path / "he.m4a", [*AAC.split(), "-ar", "24000"])
    content = path.read_bytes()
    assert content.count(SBR_OFF) == 1
    path.write_bytes(content.replace(SBR_OFF, SBR_ON))
    return path


def junky_mp3(make: Make, convert: Convert, tmp_path: Path) -> Path:
    """An MP3 with 400 bytes in the middle that belong to no frame."""
    content = make("bare.mp3").read_bytes()
    path = tmp_path / "junky.mp3"
    path.write_bytes(content[:40_000] + b"junk" * 100 + content[40_000:])
    return path


untrusted = pytest.mark.parametrize("spoilt", [he_aac, junky_mp3])


@untrusted
def test_what_cannot_be_trusted_is_encoded(
    make: Make, convert: Convert, tmp_path: Path, spoilt: Callable[[Make, Convert, Path], Path]
) -> None:
    """Frames at half the decoder's rate, and frames with junk among them, are encoded instead."""
    path = spoilt(make, convert, tmp_path)
    plan = encoded(path, target=target(), segment=SEGMENT_S)
    assert len(plan.spans) == COUNT
    if spoilt is he_aac:
        assert plan.track.sample_rate_hz == 48_000


@untrusted
def test_the_plan_says_why_frames_are_not_trusted(
    make: Make, convert: Convert, tmp_path: Path, spoilt: Callable[[Make, Convert, Path], Path]
) -> None:
    """The reasons say why the sound is encoded instead of copied."""
    path = spoilt(make, convert, tmp_path)
    plan = captoolkit.plan(path, target=target(), segment=SEGMENT_S)
    assert any("frames" in reason for reason in plan.reasons)


def test_a_truncated_mp3_is_prepared_up_to_its_end(
    make: Make, tmp_path: Path, decoded_samples: Count
) -> None:
    """The complete part is copied without a further message."""
    path = tmp_path / "torn.mp3"
    path.write_bytes(make("cbr.mp3").read_bytes()[: 25 * 8_000 + 77])
    plan, segments, _ = prepared(path, target=target(), segment=SEGMENT_S)
    length_s = samples_of(segments)[-1] / plan.track.sample_rate_hz
    assert length_s == pytest.approx(decoded_samples(path) / RATE_HZ, abs=2 * FRAME_S["mp3"])
    assert length_s == pytest.approx(25, abs=0.2)


def test_stereo_that_cancels_is_not_copied(
    sound: NDArray[np.float32], tmp_path: Path, convert: Convert
) -> None:
    """A service that averages the channels would hear nothing of such frames."""
    both = np.concatenate([sound, -sound], axis=1)
    wav = write_wav(tmp_path / "both.wav", both, rate_hz=RATE_HZ)
    for name in ("both.m4a", "both.mp3"):
        path = convert(wav, tmp_path / name, ["-b:a", "96k"])
        plan = encoded(path, target=target(), segment=SEGMENT_S)
        assert any("cancel" in reason for reason in plan.reasons)


@pytest.mark.parametrize(
    "wish",
    [{"format": "wav"}, {"format": "mp3"}, {"bit_rate": 32_000}, {"sample_rate_hz": 8_000}],
    ids=lambda wish: next(iter(wish)),
)
def test_a_wish_for_other_sound_is_no_copy(make: Make, wish: dict[str, Any]) -> None:
    """A requested format or rate is encoded instead of copied."""
    plan = encoded(make("talk.m4a"), target=target(), segment=SEGMENT_S, **wish)
    assert plan.encoding is not None
    for name, value in wish.items():
        assert getattr(plan.encoding, name) == value


def test_a_wish_for_the_format_that_it_is_keeps_the_frames(make: Make) -> None:
    """The source's own codec as the requested format is still a copy."""
    plan, _, _ = prepared(make("talk.m4a"), target=target(), format="aac")
    assert plan.action is Action.REMUX


def test_segments_longer_than_the_frames_allow_are_encoded(make: Make) -> None:
    """If the byte limit holds half of a requested segment, the sound is encoded."""
    source = make("cbr.mp3")
    options = {"target": target(max_bytes_base64=5 * 8_000), "segment": SEGMENT_S}
    plan, segments, contents = prepared(source, **options)
    assert plan.action is Action.ENCODE
    assert len(segments) == COUNT
    assert max(map(len, contents)) <= 5 * 8_000
    assert any("frames would make segments of only 4" in one for one in plan.reasons)


# ------------------------------------------------------------------------------- left out


@pytest.mark.parametrize("name", ["gap.m4a", "gap.mp3", "gap.mkv", "gap.3gp"])
def test_silence_is_left_out_to_the_frame(
    sound: NDArray[np.float32], tmp_path: Path, convert: Convert, packets: Packets, name: str
) -> None:
    """Of fifteen silent seconds a piece holds at most one frame more than planned."""
    hush = silence(15, rate_hz=RATE_HZ)
    gapped = np.concatenate([sound[: 8 * RATE_HZ], hush, sound[: 5 * RATE_HZ]])
    wav = write_wav(tmp_path / "gap.wav", gapped, rate_hz=RATE_HZ)
    options = {"m4a": AAC, "mp3": MP3, "mkv": MP3, "3gp": AMR}[name[4:]]
    source = convert(wav, tmp_path / name, options.split())
    plan, segments, contents = prepared(source, target=target(), skip_silence=5)
    assert (plan.action, len(segments)) == (Action.COPY, 2)
    (gap,) = plan.skipped
    rate_hz = gap.rate_hz
    assert 7.9 < gap.start_samples / rate_hz < gap.end_samples / rate_hz < 23.1
    assert gap.samples > 13.5 * rate_hz
    frame = FRAME_S[plan.suffix] * rate_hz
    before, after = (segment.source_span for segment in segments)
    assert before.start_samples == 0
    assert abs(before.end_samples - gap.start_samples) <= frame
    assert abs(after.start_samples - gap.end_samples) <= frame
    assert after.end_samples == plan.track.duration_samples
    whole = packets(source)
    head, tail = map(packets, written(contents, tmp_path, plan.suffix))
    assert (whole[: len(head)], whole[-len(tail) :]) == (head, tail)
    left_out_s = (len(whole) - len(head) - len(tail)) * FRAME_S[plan.suffix]
    assert left_out_s == pytest.approx(gap.samples / rate_hz, abs=2 * FRAME_S[plan.suffix])


# ------------------------------------------------------------------------- nothing is left


@pytest.mark.parametrize("name", ["talk.m4a", "cbr.mp3"])
def test_closing_early_leaves_no_file(make: Make, name: str) -> None:
    """Closing early leaves no file and does not change the source."""
    source = make(name)
    before = source.read_bytes(), source.stat().st_mtime_ns
    with captoolkit.prepare(source, target=target(), segment=SEGMENT_S) as made:
        first = next(iter(made))
        assert first.path.exists()
        folder = first.path.parent
    assert not folder.exists()
    assert not has_children()
    assert (source.read_bytes(), source.stat().st_mtime_ns) == before


def test_only_segments_and_a_manifest_are_saved(make: Make, tmp_path: Path) -> None:
    """No file of the extracted stream or of the sound around cuts remains."""
    source = make("talk.mkv")
    before = source.read_bytes()
    with captoolkit.prepare(source, target=target(), segment=SEGMENT_S) as made:
        made.save(tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [*(f"talk.{n:03}.aac" for n in range(1, 5)), "talk.manifest.json"]
    assert source.read_bytes() == before
