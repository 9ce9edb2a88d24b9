from __future__ import annotations

import dataclasses
import itertools
import threading
from pathlib import Path

import numpy as np
import pytest

from captoolkit import split
from captoolkit.errors import LimitError, UsageError
from captoolkit.media import packets
from captoolkit.pipeline.packet_copy import MAX_PIECES, PacketCopy
from captoolkit.planning.cut_search import LoudnessCurve
from tests.support.processes import has_children
from tests.support.sound import Convert, noise, write_wav

RATE_HZ = 16_000
LENGTH_S = 60


@pytest.fixture(scope="module", params=["ogg", "mka"])
def vorbis(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, convert: Convert
) -> Path:
    """A minute of Vorbis: in Ogg and in Matroska, where a decoder can seek to the cuts."""
    folder = tmp_path_factory.mktemp("vorbis")
    wav = write_wav(folder / "talk.wav", noise(LENGTH_S, rate_hz=RATE_HZ), rate_hz=RATE_HZ)
    path = folder / f"talk.{request.param}"
    return convert(wav, path, ["-c:a", "libvorbis", "-q:a", "3"])


def packets_of(path: Path) -> list[bytes]:
    """Size and checksum of each packet of a file."""
    with packets.PacketListing(path) as contents:
        return list(contents)


@pytest.mark.parametrize("jobs", [1, 3])
def test_the_pieces_hold_the_packets_of_the_source(vorbis: Path, jobs: int) -> None:
    """Every packet once and in order, whatever the number of worker threads."""
    with split(vorbis, segment="7s", jobs=jobs) as pieces:
        assert pieces.plan.muxer
        spans = [piece.source_span for piece in pieces]
        found = [packet for piece in pieces for packet in packets_of(piece.path)]
    assert found == packets_of(vorbis)
    assert len(spans) == len(pieces.plan.spans)
    for before, after in itertools.pairwise(spans):
        assert before.end_samples == after.start_samples
    assert (spans[0].start_samples, spans[-1].end_samples) == (0, LENGTH_S * RATE_HZ)


def test_the_cuts_do_not_depend_on_the_jobs(vorbis: Path) -> None:
    """One thread and four find the same quiet places."""
    cuts = []
    for jobs in (1, 4):
        with split(vorbis, segment="5s", jobs=jobs) as pieces:
            cuts.append([piece.source_span for piece in pieces])
    assert cuts[0] == cuts[1]


def test_too_many_pieces_are_refused(vorbis: Path) -> None:
    """Their packet numbers would not fit in one argument of ffmpeg."""
    with split(vorbis, segment="5s") as pieces:
        spans = pieces.plan.spans * MAX_PIECES
        pieces.plan = dataclasses.replace(pieces.plan, spans=spans)
        with pytest.raises(LimitError, match="pieces are more than the"):
            next(iter(pieces))


def test_closing_in_another_thread_ends_the_copy(vorbis: Path) -> None:
    """The consumer gets one UsageError; no process and no file is left."""
    pieces = split(vorbis, segment="1s")
    first, errors = threading.Event(), list[BaseException]()

    def take() -> None:
        try:
            for _ in pieces:
                first.set()
        except BaseException as error:
            errors.append(error)

    taker = threading.Thread(target=take, daemon=True)
    taker.start()
    assert first.wait(30)
    pieces.close()
    taker.join(30)
    assert not taker.is_alive()
    assert all(isinstance(error, UsageError) and "is closed" in str(error) for error in errors)
    assert not has_children()


def test_closing_while_cuts_are_searched_is_told_as_closed(
    vorbis: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no further cut comes, the consumer gets a UsageError and not a generator's error."""
    searching, halted = threading.Event(), threading.Event()
    pieces = split(vorbis, segment="5s")

    def search(_copy: PacketCopy, first: int, _last: int, _late: int) -> LoudnessCurve:
        searching.set()
        assert halted.wait(30)
        return LoudnessCurve(origin=first, hop=320, power=np.zeros(0))

    def close() -> None:
        assert searching.wait(30)
        pieces._supervisor.halt()
        halted.set()
        pieces.close()

    monkeypatch.setattr(PacketCopy, "_measure", search)
    closer = threading.Thread(target=close, daemon=True)
    closer.start()
    with pytest.raises(UsageError, match="is closed"):
        list(pieces)
    closer.join(30)
    assert not has_children()
