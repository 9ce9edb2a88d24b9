"""The player's clock: gaps, overlaps and restarts by the time stamps of decoded frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from captoolkit.media.player_clock import (
    RISE,
    TOLERANCE_S,
    follow_clock,
    is_fragmented,
    oddities,
    read_frames,
    trimmed,
)
from captoolkit.model import Discontinuity, Track
from captoolkit.units import rescale

RATE_HZ = 48_000
FRAME = 1024
SECOND = RATE_HZ


def listing(stamps: list[int], *, length: int = FRAME) -> Iterator[bytes]:
    """The lines that ffmpeg prints for frames of one length with these time stamps."""
    yield b"#tb 0: 1/48000"
    last = -(1 << 62)
    for number, stamp in enumerate(stamps):
        written = max(last, stamp + number * length * RISE)  # ffmpeg lets none go backwards
        last = written
        yield b"0, %d, %d, %d, %d, 0x3c0f001e" % (written, written, length, length)


def stamps(frames: int, *jumps: tuple[int, int], start: int = 0) -> list[int]:
    """The time stamps of frames; before some of them, by number, the clock jumps."""
    moved = dict(jumps)
    at, found = start, []
    for number in range(frames):
        at += moved.get(number, 0)
        found.append(at)
        at += FRAME
    return found


def read(found: list[int], *, has_time_stamps: bool = True) -> tuple[Discontinuity, ...]:
    """The discontinuities of frames."""
    lines = listing(found)
    sound = read_frames(lines, rate_hz=RATE_HZ, has_time_stamps=has_time_stamps)
    assert sound.samples == len(found) * FRAME
    return sound.discontinuities


def jump(frame: int, samples: int) -> Discontinuity:
    """A discontinuity before a frame."""
    return Discontinuity(at_samples=frame * FRAME, samples=samples)


@pytest.mark.parametrize("start", [0, 67_200, -173_857])
def test_gaps_and_overlaps_are_found_to_the_sample(start: int) -> None:
    """They may stand anywhere, on a clock that begins anywhere."""
    found = stamps(600, (100, 7 * SECOND), (300, -SECOND - 5), (500, 4801), start=start)

    assert read(found) == (jump(100, 7 * SECOND), jump(300, -SECOND - 5), jump(500, 4801))


def test_a_gap_before_the_last_frame_counts() -> None:
    """Nothing contradicts it."""
    assert read(stamps(100, (99, 2 * SECOND))) == (jump(99, 2 * SECOND),)


def test_small_losses_add_up() -> None:
    """The clock is never more than the tolerance behind a player's."""
    found = stamps(900, *((number, FRAME) for number in range(100, 800, 70)))

    gaps = read(found)

    assert 0 <= 10 * FRAME - sum(gap.samples for gap in gaps) < TOLERANCE_S * RATE_HZ


@pytest.mark.parametrize(
    "found",
    [
        [at + (-1) ** at * 4700 for at in stamps(500)],
        stamps(500, (100, 9 * SECOND), (101, -9 * SECOND)),
        stamps(500, (100, -SECOND), (110, SECOND)),
    ],
    ids=["jitter", "one wrong time stamp", "some wrong time stamps"],
)
def test_what_does_not_last_is_jitter(found: list[int]) -> None:
    """It moves no sound."""
    assert read(found) == ()


@pytest.mark.parametrize("back", [-400 * FRAME, -399 * FRAME, -3000 * SECOND, 5 * 3600 * SECOND])
def test_a_clock_that_is_set_anew_moves_no_sound(back: int) -> None:
    """It leads to the beginning, far back, or hours ahead."""
    lines = listing(stamps(800, (400, back)))

    sound = read_frames(lines, rate_hz=RATE_HZ, has_time_stamps=True)

    assert sound.discontinuities == ()
    assert len(sound.restarts) == 1
    assert any("anew once" in oddity for oddity in oddities(sound, rate_hz=RATE_HZ))


def test_an_overlap_ends_with_the_sound() -> None:
    """No more samples are dropped than there are."""
    assert read(stamps(505, (500, -8 * SECOND))) == (jump(500, -5 * FRAME),)


@settings(deadline=None, max_examples=40)
@given(
    first=st.integers(2200, 2400),  # frames; all overlaps together do not lead to the beginning
    parts=st.lists(
        st.tuples(
            st.integers(5000, 9 * SECOND) | st.integers(-9 * SECOND, -5000), st.integers(40, 500)
        ),
        max_size=4,
    ),
)
def test_the_length_on_the_clock_is_the_length_that_is_decoded(
    first: int, parts: list[tuple[int, int]]
) -> None:
    """Overlaps may follow each other, and gaps may follow them, before they have ended."""
    jumps, frames, at, latest = [], first, first * FRAME, first * FRAME
    for step, length in parts:
        jumps.append((frames, step))
        frames += length
        at += step + length * FRAME
        latest = max(latest, at)

    sound = read_frames(listing(stamps(frames, *jumps)), rate_hz=RATE_HZ, has_time_stamps=True)
    blocks = [np.ones((frames * FRAME, 1), np.int8)]
    kept = follow_clock(blocks, sound.discontinuities, source_hz=RATE_HZ, rate_hz=RATE_HZ)

    assert sound.clock_samples == sum(map(len, kept)) == latest


def test_the_rest_of_an_overlap_grows_with_the_next_one_and_shrinks_with_a_gap() -> None:
    """Eight seconds back and soon eight more drop all that follows; a gap adds less silence."""
    end = 100 * SECOND // FRAME
    five_s = 5 * SECOND // FRAME
    rest = 8 * SECOND - five_s * FRAME

    again = read(stamps(end + five_s + 300, (end, -8 * SECOND), (end + five_s, -8 * SECOND)))
    gap = read(stamps(end + five_s + 300, (end, -8 * SECOND), (end + five_s, 4 * SECOND)))

    assert again == (jump(end, -five_s * FRAME), jump(end + five_s, -300 * FRAME))
    assert gap == (jump(end, -five_s * FRAME), jump(end + five_s, 4 * SECOND - rest))


def test_the_rest_of_an_overlap_ends_where_the_clock_is_set_anew() -> None:
    """Another recording begins there, and none of its sound is dropped."""
    found = stamps(1000, (600, -8 * SECOND), (700, -11 * SECOND))

    assert read(found) == (jump(600, -100 * FRAME),)


def test_containers_without_time_stamps_have_no_gaps() -> None:
    """Ffmpeg makes their time stamps up."""
    assert read(stamps(500, (100, 7 * SECOND)), has_time_stamps=False) == ()


# ------------------------------------------------------------------------- in what is decoded


@settings(deadline=None, max_examples=60)
@given(
    data=st.data(),
    total=st.integers(2, 3000),
    rates=st.sampled_from([(48_000, 48_000), (44_100, 16_000), (8_000, 16_000)]),
)
def test_decoded_sound_follows_the_clock(
    data: st.DataObject, total: int, rates: tuple[int, int]
) -> None:
    """Each kept sample is at its time, whatever the blocks; at another rate, without drift."""
    source_hz, rate_hz = rates
    places = sorted(data.draw(st.sets(st.integers(0, total - 1), max_size=4)))
    ends = [*places, total][1:]
    found = [
        Discontinuity(at_samples=at, samples=data.draw(st.integers(at - end, 500)))
        for at, end in zip(places, ends, strict=True)
    ]
    length = rescale(total, source_hz, rate_hz)
    sound = np.arange(1, length + 1, dtype=np.int32).reshape(-1, 1)
    size = data.draw(st.integers(1, 700))
    blocks = [sound[at : at + size] for at in range(0, length, size)]

    made = np.concatenate(
        [
            np.zeros((0, 1), np.int32),
            *trimmed(follow_clock(blocks, found, source_hz=source_hz, rate_hz=rate_hz), 0, None),
        ]
    )

    clock = total + sum(one.samples for one in found)
    assert abs(len(made) - rescale(clock, source_hz, rate_hz)) <= (1 + len(found)) * (
        source_hz != rate_hz
    )
    if source_hz == rate_hz:
        assert np.array_equal(made[:, 0], expected(total, found))


def expected(total: int, found: list[Discontinuity]) -> NDArray[np.int32]:
    """The same sound, made at once."""
    parts, at = [], 0
    for one in found:
        parts.append(np.arange(at + 1, one.at_samples + 1))
        parts.append(np.zeros(max(0, one.samples), np.int64))
        at = one.at_samples + max(0, -one.samples)
    return np.concatenate([*parts, np.arange(at + 1, total + 1)]).astype(np.int32)


def test_gaps_are_on_the_clock_of_the_track() -> None:
    """A gap begins where the sound before it ends, with earlier gaps and without overlaps."""
    track = Track(
        number=1,
        stream_index=0,
        codec="aac",
        sample_rate_hz=8_000,
        channels=1,
        layout="mono",
        duration_samples=1_000,
        discontinuities=(
            Discontinuity(at_samples=100, samples=50),
            Discontinuity(at_samples=200, samples=-30),
            Discontinuity(at_samples=300, samples=7),
        ),
    )

    assert [(gap.start_samples, gap.end_samples) for gap in track.gaps] == [(100, 150), (320, 327)]


@pytest.mark.parametrize(
    ("data", "is_it"),
    [
        (b"\0\0\0\x0cftypisom" + b"\0\0\0\x08moof", True),
        (b"\0\0\0\x01wide\0\0\0\0\0\0\0\x14\0\0\0\0" + b"\0\0\0\x08moof", True),
        (b"\0\0\0\x0cftypisom" + b"\0\0\0\x08moov" + b"\0\0\0\0mdat", False),
        (b"\0\0\0\x03ftypisom", False),
        (b"\0\0\0\x01free" + b"\xff" * 8 + b"\0\0\0\x08moof", False),
        (b"\0\0\0\x01free" + b"\x7f" + b"\xff" * 7 + b"\0\0\0\x08moof", False),
        (b"\0\0\0\x08free" * 100_000 + b"\0\0\0\x08moof", False),
        (b"", False),
    ],
)
def test_fragments_are_found_by_their_boxes(tmp_path: Path, data: bytes, is_it: bool) -> None:
    """Also behind a box with a long size, and never in a loop."""
    path = tmp_path / "film.mp4"
    path.write_bytes(data)

    assert is_fragmented(path) is is_it
