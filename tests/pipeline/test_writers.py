from __future__ import annotations

import dataclasses
import hashlib
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from captoolkit.bitstream import encodings
from captoolkit.errors import LimitError, OutputError
from captoolkit.model import Encoding, Plan, Span
from captoolkit.pipeline.job import Job
from captoolkit.pipeline.segment import Folder
from captoolkit.pipeline.writers import Remake, SegmentWriters
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
    """A second of noise as an encoding takes it."""
    return noise(1.0, rate_hz=encoding.sample_rate_hz)


def span(start_samples: int, end_samples: int) -> Span:
    """A stretch of a source."""
    return Span(start_samples=start_samples, end_samples=end_samples, rate_hz=RATE_HZ)


def seconds(count: int) -> tuple[Span, ...]:
    """That many neighbouring seconds of a source."""
    return tuple(span(RATE_HZ * n, RATE_HZ * (n + 1)) for n in range(count))


def refuse(index: int, source_span: Span) -> None:
    """Make nothing anew: nothing is expected to come out too large."""
    raise AssertionError(f"segment {index} is to be made anew, {source_span}")


def a_bench(
    folder: Path,
    encoding: Encoding,
    *spans: Span,
    plan: Plan | None = None,
    first: int = 1,
    remake: Remake = refuse,
) -> SegmentWriters:
    """A bench in a folder, for a run of those spans; six seconds if there are none."""
    spans = spans or seconds(6)
    plan = dataclasses.replace(plan or planned(), suffix=encoding.format)
    job = Job(plan=plan, source=folder / "talk.flac", folder=Folder(folder), stem="talk")
    layout = lay_out(
        spans,
        begins_at=spans[0].start_samples,
        ends_at=spans[-1].end_samples,
        reach=0,
        stream_hz=encoding.sample_rate_hz,
    )
    return SegmentWriters(job, encoding, layout, first=first, remake=remake)


def finishing_threads() -> list[str]:
    """The threads of benches that are still there."""
    names = (thread.name for thread in threading.enumerate())
    return [name for name in names if name.startswith("captoolkit")]


@pytest.mark.parametrize("encoding", FORMATS.values(), ids=FORMATS)
def test_pieces_become_described_files_in_order(tmp_path: Path, encoding: Encoding) -> None:
    """Each piece is a file of its own, told with its digest, its size and its place."""
    blocks = np.array_split(second(encoding), 3)
    with a_bench(tmp_path, encoding) as bench:
        for piece in range(6):
            for block in blocks:
                bench.write(piece, block)
        segments = list(bench.finished(wait=True))

    assert bench.samples == 6 * encoding.sample_rate_hz
    assert [segment.index for segment in segments] == [1, 2, 3, 4, 5, 6]
    assert tuple(segment.source_span for segment in segments) == seconds(6)
    for segment in segments:
        data = (tmp_path / segment.file).read_bytes()
        assert segment.path == tmp_path / f"talk.{segment.index:03d}.{encoding.format}"
        assert segment.size_bytes == len(data)
        assert segment.sha256 == hashlib.sha256(data).hexdigest()
    assert not has_children()


def test_a_later_run_has_its_own_numbers_and_places(tmp_path: Path) -> None:
    """Samples that begin in the middle of a source are told where they lie in it."""
    with a_bench(tmp_path, MP3, *seconds(6)[3:], first=4) as bench:
        for piece in range(3):
            bench.write(piece, second(MP3))
        segments = list(bench.finished(wait=True))
    assert [segment.index for segment in segments] == [4, 5, 6]
    assert tuple(segment.source_span for segment in segments) == seconds(6)[3:]


def test_what_is_skipped_becomes_no_file(tmp_path: Path) -> None:
    """The sound between two segments goes by, and the second one is where it was."""
    spans = seconds(4)[0], seconds(4)[3]
    with a_bench(tmp_path, MP3, *spans) as bench:
        for part, length_s in ((0, 1), (1, 2), (2, 1)):
            for _ in range(length_s):
                bench.write(part, second(MP3))
        segments = list(bench.finished(wait=True))
    assert [(segment.index, segment.source_span) for segment in segments] == [
        (1, spans[0]),
        (2, spans[1]),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["talk.001.mp3", "talk.002.mp3"]


def test_sound_that_goes_on_has_segments_of_its_own(tmp_path: Path) -> None:
    """Parts beyond the last that was planned are counted on."""
    with a_bench(tmp_path, MP3, *seconds(1)) as bench:
        for part in range(3):
            bench.write(part, second(MP3))
        segments = list(bench.finished(wait=True))
    assert [segment.index for segment in segments] == [1, 2, 3]
    assert tuple(segment.source_span for segment in segments) == seconds(3)


def test_only_finished_pieces_are_handed_out(tmp_path: Path) -> None:
    """The piece being written is nobody's yet, and each is handed out once."""
    with a_bench(tmp_path, MP3) as bench:
        bench.write(0, second(MP3))
        assert list(bench.finished(wait=False)) == []
        bench.write(1, second(MP3))
        first = list(bench.finished(wait=False))
        rest = list(bench.finished(wait=True))
        assert [segment.index for segment in first + rest] == [1, 2]
        assert list(bench.finished(wait=True)) == []


def test_those_that_wait_to_be_taken_are_few(tmp_path: Path) -> None:
    """Whoever does not take finished pieces is made to: encoders do not pile up."""
    with a_bench(tmp_path, MP3) as bench:
        taken = []
        for piece in range(6):
            bench.write(piece, second(MP3))
            taken += list(bench.finished(wait=False))
            assert piece - len(taken) <= 2
        taken += list(bench.finished(wait=True))
    assert [segment.index for segment in taken] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("off", [-40, -1, 0, 1, 40])
def test_the_end_is_the_sources_own_end(tmp_path: Path, off: int) -> None:
    """Resampling may round the length by a little; the last span ends where the source does."""
    whole = span(0, RATE_HZ + off)
    with a_bench(tmp_path, MP3, whole) as bench:
        bench.write(0, second(MP3))
        (segment,) = bench.finished(wait=True)
    assert segment.source_span == whole


def test_an_early_end_is_not_stretched(tmp_path: Path) -> None:
    """Sound that ends well before its promise has the span that is there."""
    with a_bench(tmp_path, MP3, span(0, 2 * RATE_HZ)) as bench:
        bench.write(0, second(MP3))
        (segment,) = bench.finished(wait=True)
    assert segment.source_span == span(0, RATE_HZ)


@pytest.mark.parametrize("encoding", FORMATS.values(), ids=FORMATS)
def test_leaving_early_ends_all_that_runs(tmp_path: Path, encoding: Encoding) -> None:
    """An exception while pieces are written and finished leaves no encoder and no thread."""

    def interrupted(bench: SegmentWriters) -> None:
        with bench:
            for piece in range(5):
                bench.write(piece, second(encoding))
            raise KeyboardInterrupt

    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            interrupted(a_bench(tmp_path, encoding))
        assert not has_children()
        assert finishing_threads() == []


@pytest.mark.parametrize("encoding", FORMATS.values(), ids=FORMATS)
def test_a_file_that_breaks_a_limit_is_not_handed_out(tmp_path: Path, encoding: Encoding) -> None:
    """The check of a finished file stands between it and whoever waits for it."""
    plan = dataclasses.replace(planned(), target=service(max_duration_s=0.5))
    with a_bench(tmp_path, encoding, plan=plan) as bench:
        bench.write(0, second(encoding))
        with pytest.raises(LimitError):
            list(bench.finished(wait=True))
    assert not has_children()


@pytest.mark.parametrize("encoding", FORMATS.values(), ids=FORMATS)
def test_a_file_that_is_too_large_is_not_handed_out(tmp_path: Path, encoding: Encoding) -> None:
    """Where nothing smaller can be made of it, that is what reaches whoever waits."""

    def give_up(index: int, source_span: Span) -> None:
        raise LimitError(f"nothing smaller for {index}, {source_span.end_samples}")

    plan = dataclasses.replace(planned(), max_segment_bytes=100)
    with a_bench(tmp_path, encoding, plan=plan, remake=give_up) as bench:
        bench.write(0, second(encoding))
        with pytest.raises(LimitError, match="nothing smaller for 1, 44100"):
            list(bench.finished(wait=True))
    assert not has_children()


def test_a_file_that_is_too_large_is_described_as_made_anew(tmp_path: Path) -> None:
    """What is handed out is the smaller file, and one that is exactly as large as allowed stays."""
    asked: list[tuple[int, Span]] = []

    def remake(index: int, source_span: Span) -> None:
        asked.append((index, source_span))
        (tmp_path / f"talk.{index:03d}.wav").write_bytes(b"smaller")

    most = encodings.file_bytes(wav(), 16_000)
    plan = dataclasses.replace(planned(), max_segment_bytes=most)
    with a_bench(tmp_path, wav(), plan=plan, remake=remake) as bench:
        bench.write(0, second(wav()))
        bench.write(1, np.concatenate([second(wav()), np.zeros((1, 1), np.float32)]))
        segments = list(bench.finished(wait=True))
    assert [segment.size_bytes for segment in segments] == [most, len(b"smaller")]
    assert [segment.sha256 for segment in segments] == [
        files.sha256(segment.path) for segment in segments
    ]
    assert asked == [(2, segments[1].source_span)]


def test_a_folder_that_vanishes_is_told(tmp_path: Path) -> None:
    """A piece that cannot be written is an OutputError."""
    bench = a_bench(tmp_path / "gone", wav())
    with bench, pytest.raises(OutputError):
        bench.write(0, second(wav()))
