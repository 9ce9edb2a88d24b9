from __future__ import annotations

import dataclasses
import hashlib
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from captoolkit.bitstream import encodings
from captoolkit.errors import LimitError, OutputError, ServiceError, UsageError
from captoolkit.model import Caption, Encoding, Plan, Span
from captoolkit.pipeline.caption_meter import OpenCaptionMeter
from captoolkit.pipeline.job import Job
from captoolkit.pipeline.segment import Folder
from captoolkit.pipeline.segment_names import SegmentNames
from captoolkit.pipeline.writers import Remake, SegmentWriters
from captoolkit.planning.cuts import Section
from captoolkit.planning.layout import lay_out
from captoolkit.planning.options import ParsedOptions
from captoolkit.planning.prepare_plan import make_plan
from captoolkit.support import files
from tests.support.encodings import mp3, wav
from tests.support.media_values import CAPTIONER, media, service, track
from tests.support.processes import has_children
from tests.support.sound import Sound, noise

MP3 = mp3(48_000, 24_000)
FORMATS = {"wav": wav(), "mp3": MP3}
RATE_HZ = 44_100  # of the sources


def planned(*, samples: int = 6 * RATE_HZ) -> Plan:
    """A plan to cut a recording at 44.1 kHz into pieces of a second."""
    sound = track(samples=samples)
    return make_plan(media(sound), sound, CAPTIONER, options=ParsedOptions(segment_s=Fraction(1)))


def second(encoding: Encoding) -> Sound:
    """A second of noise at an encoding's rate and channels."""
    return noise(1.0, rate_hz=encoding.sample_rate_hz)


def span(start_samples: int, end_samples: int) -> Span:
    """A span of a source."""
    return Span(start_samples=start_samples, end_samples=end_samples, rate_hz=RATE_HZ)


def seconds(count: int) -> tuple[Span, ...]:
    """That many neighbouring seconds of a source."""
    return tuple(span(RATE_HZ * n, RATE_HZ * (n + 1)) for n in range(count))


def refuse(index: int, source_span: Span) -> None:
    """Fail: no segment is expected to be too large."""
    raise AssertionError(f"segment {index} is to be made anew, {source_span}")


def open_writers(
    folder: Path,
    encoding: Encoding,
    *spans: Span,
    plan: Plan | None = None,
    first: int = 1,
    remake: Remake = refuse,
    open_meter: OpenCaptionMeter | None = None,
) -> SegmentWriters:
    """Segment writers in a folder for a run of those spans, by default six seconds."""
    spans = spans or seconds(6)
    plan = dataclasses.replace(plan or planned(), suffix=encoding.format)
    job = Job(
        plan=plan, source=folder / "talk.flac", folder=Folder(folder), names=SegmentNames.of("talk")
    )
    layout = lay_out(
        [Section(begin=one.start_samples, end=one.end_samples) for one in spans],
        begins_at=spans[0].start_samples,
        ends_at=spans[-1].end_samples,
        source_hz=RATE_HZ,
        stream_hz=encoding.sample_rate_hz,
    )
    return SegmentWriters(job, encoding, layout, first=first, remake=remake, open_meter=open_meter)


def finishing_threads() -> list[str]:
    """The running threads of segment writers."""
    names = (thread.name for thread in threading.enumerate())
    return [name for name in names if name.startswith("captoolkit")]


@pytest.mark.parametrize("encoding", FORMATS.values(), ids=FORMATS)
def test_pieces_become_described_files_in_order(tmp_path: Path, encoding: Encoding) -> None:
    """Each segment is a file, described with its digest, its size and its span."""
    blocks = np.array_split(second(encoding), 3)
    with open_writers(tmp_path, encoding) as writers:
        for piece in range(6):
            for block in blocks:
                writers.write(piece, block)
        segments = list(writers.finished(wait=True))

    assert writers.samples == 6 * encoding.sample_rate_hz
    assert [segment.index for segment in segments] == [1, 2, 3, 4, 5, 6]
    assert tuple(segment.source_span for segment in segments) == seconds(6)
    for segment in segments:
        data = (tmp_path / segment.file).read_bytes()
        assert segment.path == tmp_path / f"talk.{segment.index:03d}.{encoding.format}"
        assert segment.size_bytes == len(data)
        assert segment.sha256 == hashlib.sha256(data).hexdigest()
    assert not has_children()


def test_a_later_run_has_its_own_numbers_and_places(tmp_path: Path) -> None:
    """A run that begins in the middle of a source has spans on the source's clock."""
    with open_writers(tmp_path, MP3, *seconds(6)[3:], first=4) as writers:
        for piece in range(3):
            writers.write(piece, second(MP3))
        segments = list(writers.finished(wait=True))
    assert [segment.index for segment in segments] == [4, 5, 6]
    assert tuple(segment.source_span for segment in segments) == seconds(6)[3:]


def test_what_is_skipped_becomes_no_file(tmp_path: Path) -> None:
    """The skipped sound between two segments counts for the span of the second."""
    spans = seconds(4)[0], seconds(4)[3]
    with open_writers(tmp_path, MP3, *spans) as writers:
        for part, length_s in ((0, 1), (None, 2), (1, 1)):
            for _ in range(length_s):
                writers.write(part, second(MP3))
        segments = list(writers.finished(wait=True))
    assert [(segment.index, segment.source_span) for segment in segments] == [
        (1, spans[0]),
        (2, spans[1]),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["talk.001.mp3", "talk.002.mp3"]


def test_sound_that_goes_on_has_segments_of_its_own(tmp_path: Path) -> None:
    """Parts after the last planned one get further numbers."""
    with open_writers(tmp_path, MP3, *seconds(1)) as writers:
        for part in range(3):
            writers.write(part, second(MP3))
        segments = list(writers.finished(wait=True))
    assert [segment.index for segment in segments] == [1, 2, 3]
    assert tuple(segment.source_span for segment in segments) == seconds(3)


def test_only_finished_pieces_are_handed_out(tmp_path: Path) -> None:
    """A segment is returned once, and only after it is finished."""
    with open_writers(tmp_path, MP3) as writers:
        writers.write(0, second(MP3))
        assert list(writers.finished(wait=False)) == []
        writers.write(1, second(MP3))
        first = list(writers.finished(wait=False))
        rest = list(writers.finished(wait=True))
        assert [segment.index for segment in first + rest] == [1, 2]
        assert list(writers.finished(wait=True)) == []


def test_those_that_wait_to_be_taken_are_few(tmp_path: Path) -> None:
    """A consumer that takes no finished segments is made to wait: encoders do not accumulate."""
    with open_writers(tmp_path, MP3) as writers:
        taken = []
        for piece in range(6):
            writers.write(piece, second(MP3))
            taken += list(writers.finished(wait=False))
            assert piece - len(taken) <= 2
        taken += list(writers.finished(wait=True))
    assert [segment.index for segment in taken] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("off", [-40, -1, 0, 1, 40])
def test_the_end_is_the_sources_own_end(tmp_path: Path, off: int) -> None:
    """Resampling may round the length; the last span still ends with the source."""
    whole = span(0, RATE_HZ + off)
    with open_writers(tmp_path, MP3, whole) as writers:
        writers.write(0, second(MP3))
        (segment,) = writers.finished(wait=True)
    assert segment.source_span == whole


def test_an_early_end_is_not_stretched(tmp_path: Path) -> None:
    """Sound that ends early has the span of its real length."""
    with open_writers(tmp_path, MP3, span(0, 2 * RATE_HZ)) as writers:
        writers.write(0, second(MP3))
        (segment,) = writers.finished(wait=True)
    assert segment.source_span == span(0, RATE_HZ)


@pytest.mark.parametrize("encoding", FORMATS.values(), ids=FORMATS)
def test_leaving_early_ends_all_that_runs(tmp_path: Path, encoding: Encoding) -> None:
    """An exception during writing or finishing leaves no encoder and no thread."""

    def interrupted(writers: SegmentWriters) -> None:
        with writers:
            for piece in range(5):
                writers.write(piece, second(encoding))
            raise KeyboardInterrupt

    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            interrupted(open_writers(tmp_path, encoding))
        assert not has_children()
        assert finishing_threads() == []


@pytest.mark.parametrize("encoding", FORMATS.values(), ids=FORMATS)
def test_a_file_that_breaks_a_limit_is_not_handed_out(tmp_path: Path, encoding: Encoding) -> None:
    """A finished file that fails its check is not returned."""
    plan = dataclasses.replace(planned(), target=service(max_duration_s=0.5))
    with open_writers(tmp_path, encoding, plan=plan) as writers:
        writers.write(0, second(encoding))
        with pytest.raises(LimitError):
            list(writers.finished(wait=True))
    assert not has_children()


@pytest.mark.parametrize("encoding", FORMATS.values(), ids=FORMATS)
def test_a_file_that_is_too_large_is_not_handed_out(tmp_path: Path, encoding: Encoding) -> None:
    """The error of `remake` reaches the consumer."""

    def give_up(index: int, source_span: Span) -> None:
        raise LimitError(f"nothing smaller for {index}, {source_span.end_samples}")

    plan = dataclasses.replace(planned(), max_segment_bytes=100)
    with open_writers(tmp_path, encoding, plan=plan, remake=give_up) as writers:
        writers.write(0, second(encoding))
        with pytest.raises(LimitError, match="nothing smaller for 1, 44100"):
            list(writers.finished(wait=True))
    assert not has_children()


def test_a_file_that_is_too_large_is_described_as_made_anew(tmp_path: Path) -> None:
    """The smaller file is returned; a file of exactly the largest size is kept."""
    asked: list[tuple[int, Span]] = []

    def remake(index: int, source_span: Span) -> None:
        asked.append((index, source_span))
        (tmp_path / f"talk.{index:03d}.wav").write_bytes(b"smaller")

    most = encodings.file_bytes(wav(), 16_000)
    plan = dataclasses.replace(planned(), max_segment_bytes=most)
    with open_writers(tmp_path, wav(), plan=plan, remake=remake) as writers:
        writers.write(0, second(wav()))
        writers.write(1, np.concatenate([second(wav()), np.zeros((1, 1), np.float32)]))
        segments = list(writers.finished(wait=True))
    assert [segment.size_bytes for segment in segments] == [most, len(b"smaller")]
    assert [segment.sha256 for segment in segments] == [
        files.sha256(segment.path) for segment in segments
    ]
    assert asked == [(2, segments[1].source_span)]


def test_a_folder_that_vanishes_is_told(tmp_path: Path) -> None:
    """A segment that cannot be written raises an OutputError."""
    writers = open_writers(tmp_path / "gone", wav())
    with writers, pytest.raises(OutputError):
        writers.write(0, second(wav()))


class OwnMeter:
    """Keeps its samples; the caption is their number."""

    def __init__(self, start_s: float, fails: str = "") -> None:
        self.start_s = start_s
        self.blocks: list[NDArray[np.float32]] = []
        self._fails = fails

    def feed(self, block: NDArray[np.float32]) -> None:
        """Keep a block."""
        if self._fails == "feed":
            raise ServiceError("too loud")
        self.blocks.append(block.copy())

    def finish(self) -> Caption:
        """Return the number of samples."""
        if self._fails == "finish":
            raise ServiceError("too loud")
        if self._fails == "none":
            return None  # type: ignore[return-value]  # an error of the captioner's author
        return Caption(text=f"{sum(map(len, self.blocks))} samples")


def test_a_meter_gets_the_samples_of_the_file_and_makes_none(tmp_path: Path) -> None:
    """A captioner that measures gets the rounded samples of a WAV; its segment has no file."""
    blocks = np.array_split(second(wav()) * 1.5, 3)
    with open_writers(tmp_path, wav()) as writers:
        for block in blocks:
            writers.write(0, block)
        (file,) = writers.finished(wait=True)
    written, _ = soundfile.read(file.path, dtype="float32", always_2d=True)
    file.path.unlink()

    meters: list[OwnMeter] = []

    def open_meter(*, rate_hz: int, channels: int, start_s: float) -> OwnMeter:
        assert (rate_hz, channels) == (16_000, 1)
        meters.append(OwnMeter(start_s))
        return meters[-1]

    with open_writers(tmp_path, wav(), open_meter=open_meter) as writers:
        for part in range(2):
            for block in blocks:
                writers.write(part, block)
        segments = list(writers.finished(wait=True))
    assert [meter.start_s for meter in meters] == [0, 1]
    assert np.array_equal(np.concatenate(meters[0].blocks), written)
    assert [segment.captioned for segment in segments] == [Caption(text="16000 samples")] * 2
    assert tuple(segment.source_span for segment in segments) == seconds(2)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="segment 1 has no file"):
        segments[0].read_bytes()


@pytest.mark.parametrize(
    ("fails", "kind"),
    [("open", ServiceError), ("feed", ServiceError), ("finish", ServiceError), ("none", TypeError)],
)
def test_the_error_of_a_meter_belongs_to_its_segment(
    tmp_path: Path, fails: str, kind: type[Exception]
) -> None:
    """The segment has the error of its captioner, and the next segment has a caption."""

    def open_meter(*, rate_hz: int, channels: int, start_s: float) -> OwnMeter:
        if fails == "open" and start_s == 0:
            raise ServiceError("too loud")
        return OwnMeter(start_s, fails if start_s == 0 else "")

    with open_writers(tmp_path, wav(), open_meter=open_meter) as writers:
        for part in range(2):
            writers.write(part, second(wav()))
        first, other = writers.finished(wait=True)
    assert isinstance(first.captioned, kind)
    assert other.captioned == Caption(text="16000 samples")
