from __future__ import annotations

import dataclasses
import hashlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from captoolkit.audio.clip import Folder
from captoolkit.errors import LimitError, OutputError
from captoolkit.model import Encoding, Plan
from captoolkit.planning import ladder
from captoolkit.planning.plan import make_plan
from captoolkit.planning.wishes import Wishes
from captoolkit.workshop import Workshop, segment_name
from tests.audio.conftest import Sound, has_children, noise
from tests.planning.making import CAPTIONER, media, track

MP3 = ladder.mp3(48_000, 24_000)
FORMATS = {"wav": ladder.wav(), "mp3": MP3}


def planned(*, samples: int = 6 * 44_100) -> Plan:
    """A plan to cut a recording at 44.1 kHz into pieces of a second."""
    sound = track(samples=samples)
    return make_plan(media(sound), sound, CAPTIONER, wishes=Wishes(segment_s=Fraction(1)))


def second(encoding: Encoding) -> Sound:
    """A second of noise as an encoding takes it."""
    return noise(1.0, rate_hz=encoding.sample_rate_hz)


def workshop(plan: Plan, encoding: Encoding, folder: Path) -> Workshop:
    """A workshop in a folder."""
    return Workshop(plan, encoding, Folder(folder), "talk")


@pytest.mark.parametrize(
    ("index", "segments", "name"),
    [
        (1, 1, "talk.001.mp3"),
        (12, 999, "talk.012.mp3"),
        (12, 1_000, "talk.0012.mp3"),
        (1_234, 12_345, "talk.01234.mp3"),
        (1_000, 999, "talk.1000.mp3"),
    ],
)
def test_names_sort_as_their_numbers(index: int, segments: int, name: str) -> None:
    """Numbers are as wide as the last one is expected to be, at least three digits."""
    assert segment_name("talk", index, segments, ".mp3") == name


@pytest.mark.parametrize("encoding", FORMATS.values(), ids=FORMATS)
def test_pieces_become_described_files_in_order(tmp_path: Path, encoding: Encoding) -> None:
    """Each piece is a file of its own, told with its digest, its size and its place."""
    blocks = np.array_split(second(encoding), 3)
    with workshop(planned(), encoding, tmp_path) as shop:
        for piece in range(6):
            for block in blocks:
                shop.write(piece, block)
        segments = list(shop.finished(wait=True))

    assert shop.samples == 6 * encoding.sample_rate_hz
    assert [segment.index for segment in segments] == [1, 2, 3, 4, 5, 6]
    spans = [segment.source_span for segment in segments]
    assert [(span.start_samples, span.end_samples) for span in spans] == [
        (44_100 * n, 44_100 * (n + 1)) for n in range(6)
    ]
    for segment in segments:
        data = (tmp_path / segment.file).read_bytes()
        assert segment.path == tmp_path / f"talk.{segment.index:03d}.{encoding.format}"
        assert segment.size_bytes == len(data)
        assert segment.sha256 == hashlib.sha256(data).hexdigest()
    assert not has_children()


def test_only_finished_pieces_are_handed_out(tmp_path: Path) -> None:
    """The piece being written is nobody's yet, and each is handed out once."""
    with workshop(planned(), MP3, tmp_path) as shop:
        shop.write(0, second(MP3))
        assert list(shop.finished(wait=False)) == []
        shop.write(1, second(MP3))
        first = list(shop.finished(wait=False))
        rest = list(shop.finished(wait=True))
        assert [segment.index for segment in first + rest] == [1, 2]
        assert list(shop.finished(wait=True)) == []


def test_those_that_wait_to_be_taken_are_few(tmp_path: Path) -> None:
    """Whoever does not take finished pieces is made to: encoders do not pile up."""
    with workshop(planned(), MP3, tmp_path) as shop:
        taken = []
        for piece in range(6):
            shop.write(piece, second(MP3))
            taken += list(shop.finished(wait=False))
            assert piece - len(taken) <= 2
        taken += list(shop.finished(wait=True))
    assert [segment.index for segment in taken] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("off", [-40, -1, 0, 1, 40])
def test_the_end_is_the_sources_own_end(tmp_path: Path, off: int) -> None:
    """Resampling may round the length by a little; the last span ends where the source does."""
    with workshop(planned(samples=44_100 + off), MP3, tmp_path) as shop:
        shop.write(0, second(MP3))
        (segment,) = shop.finished(wait=True)
    assert segment.source_span.end_samples == 44_100 + off


def test_an_early_end_is_not_stretched(tmp_path: Path) -> None:
    """Sound that ends well before its promise has the span that is there."""
    with workshop(planned(samples=2 * 44_100), MP3, tmp_path) as shop:
        shop.write(0, second(MP3))
        (segment,) = shop.finished(wait=True)
    assert segment.source_span.end_samples == 44_100


@pytest.mark.parametrize("encoding", FORMATS.values(), ids=FORMATS)
def test_leaving_early_ends_all_that_runs(tmp_path: Path, encoding: Encoding) -> None:
    """An exception while pieces are written and finished leaves no encoder and no thread."""

    def interrupted(shop: Workshop) -> None:
        with shop:
            for piece in range(5):
                shop.write(piece, second(encoding))
            raise KeyboardInterrupt

    for _ in range(5):
        shop = workshop(planned(), encoding, tmp_path)
        with pytest.raises(KeyboardInterrupt):
            interrupted(shop)
        assert not has_children()
        with pytest.raises(RuntimeError, match="after shutdown"):
            shop.pool.submit(print)


@pytest.mark.parametrize("encoding", FORMATS.values(), ids=FORMATS)
def test_a_file_that_breaks_a_limit_is_not_handed_out(tmp_path: Path, encoding: Encoding) -> None:
    """The check of a finished file stands between it and whoever waits for it."""
    plan = dataclasses.replace(planned(), max_segment_bytes=100)
    with workshop(plan, encoding, tmp_path) as shop:
        shop.write(0, second(encoding))
        with pytest.raises(LimitError, match="more than the 100 allowed"):
            list(shop.finished(wait=True))
    assert not has_children()


def test_a_folder_that_vanishes_is_told(tmp_path: Path) -> None:
    """A piece that cannot be written is an OutputError."""
    shop = workshop(planned(), ladder.wav(), tmp_path / "gone")
    with shop, pytest.raises(OutputError):
        shop.write(0, second(ladder.wav()))
