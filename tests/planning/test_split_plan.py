from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.bitstream.lossless import keeping_samples
from captoolkit.errors import UsageError
from captoolkit.model import Action, Chapter, MediaInfo, Picture, Plan, Track
from captoolkit.planning.options import ParsedOptions
from captoolkit.planning.split_plan import SplitMethod, make_split
from tests.support.media_values import media, track

COPY = SplitMethod(suffix="mp3", reason="Frames are kept.")


def keep(sound: Track) -> SplitMethod:
    """Samples of a FLAC are kept."""
    kept = keeping_samples(sound, "flac", sample_type="int16", depth_bits=16)
    return SplitMethod(suffix="flac", reason="Samples are kept.", encoding=kept)


def planned(
    sound: Track,
    way: SplitMethod = COPY,
    *,
    info: MediaInfo | None = None,
    marks: tuple[float, ...] = (),
    track_is_chosen: bool = False,
    **options: Any,
) -> Plan:
    """A split of a sound, with chapters called A, B, ... at some seconds."""
    chapters = [Chapter(start_s=Fraction(at), title=chr(65 + n)) for n, at in enumerate(marks)]
    return make_split(
        info or media(sound, container="mp3"),
        sound,
        way,
        options=ParsedOptions(**options),
        chapters=chapters,
        track_is_chosen=track_is_chosen,
    )


def lengths(plan: Plan) -> list[Fraction]:
    """How long the segments are, in seconds."""
    return [Fraction(span.samples, span.rate_hz) for span in plan.spans]


def test_a_split_is_for_no_service() -> None:
    """A split has no target, counts no tokens and costs nothing."""
    plan = planned(track(9000))
    assert (plan.target, plan.via, plan.max_segment_bytes) == (None, None, None)
    assert (plan.input_tokens, plan.costs) == (0, ())


@pytest.mark.parametrize("seconds", [1, 2399, 2400])
def test_what_need_not_be_cut_stays_untouched(seconds: int) -> None:
    """Without options the longest piece lasts forty minutes; up to there no byte changes."""
    plan = planned(track(seconds))
    assert (plan.action, len(plan.spans), plan.suffix) == (Action.PASS_THROUGH, 1, "mp3")
    assert "the file stays unchanged" in plan.reasons[0]


@pytest.mark.parametrize(("seconds", "pieces"), [(2401, 2), (2460, 2), (7000, 3), (10_800, 5)])
def test_pieces_are_the_fewest_balanced_ones(seconds: int, pieces: int) -> None:
    """Forty-one minutes are two pieces of about 20:30; there is never a sliver."""
    plan = planned(track(seconds))
    assert len(plan.spans) == pieces
    assert max(lengths(plan)) - min(lengths(plan)) < Fraction(1, 1000)


def test_a_number_of_parts_needs_no_limit() -> None:
    """Three hours in two parts are 90 minutes each; with a limit they are refused."""
    assert lengths(planned(track(10_800), parts=2)) == [5400, 5400]
    with pytest.raises(UsageError, match="give at least 5"):
        planned(track(10_800), parts=2, max_segment_s=Fraction(2400))


def test_the_way_decides_what_is_done() -> None:
    """Frames are copied, samples are encoded, and the reasons say so."""
    sound = track(9000)
    copied, kept = planned(sound), planned(sound, keep(sound))
    assert (copied.action, copied.encoding, copied.suffix) == (Action.COPY, None, "mp3")
    assert (kept.action, kept.suffix) == (Action.ENCODE, "flac")
    assert kept.encoding is not None
    assert kept.encoding.depth_bits == 16
    assert "Frames are kept." in copied.reasons
    assert "Samples are kept." in kept.reasons
    assert "It lasts 2:30:00; a piece lasts at most 40:00." in copied.reasons


def test_pictures_and_other_tracks_are_told_of() -> None:
    """The reasons name left-out streams; a chosen track is taken out of a short file too."""
    one, two = track(9000, number=1), track(9000, number=2)
    film = Picture(stream_index=2, codec="h264", is_cover=False)
    told = planned(one, info=media(one, two, pictures=(film,))).reasons
    assert "Of its 2 sound tracks number 1 is split." in told
    assert "Its moving picture is left out: sound is split." in told
    assert "Its cover art is left out." not in told
    cover = Picture(stream_index=1, codec="png", is_cover=True)
    assert "Its cover art is left out." in planned(one, info=media(one, pictures=(cover,))).reasons
    short, other = track(9, number=1), track(9, number=2)
    plan = planned(other, info=media(short, other), track_is_chosen=True)
    assert (plan.action, len(plan.spans)) == (Action.COPY, 1)


def test_chapters_are_marks_that_do_not_move() -> None:
    """Each chapter begins a piece and gives it its title; a long one is cut in between."""
    plan = planned(track(6000), marks=(0, 500, 4000))
    assert [span.start_s for span in plan.spans] == [0, 500, 2250, 4000]
    assert plan.marks == (500 * 44_100, 4000 * 44_100)
    assert plan.titles == ("A", "B (1/2)", "B (2/2)", "C")
    assert plan.reach_samples > 0


def test_what_is_before_the_first_chapter_is_a_piece() -> None:
    """A recording with a late first chapter has a piece without a title before it."""
    plan = planned(track(600), marks=(20, 300))
    assert [span.start_s for span in plan.spans] == [0, 20, 300]
    assert plan.titles == ("", "A", "B")
    assert "It becomes 3 segments of 20 s to 5:00." in plan.reasons


@pytest.mark.parametrize(
    ("marks", "starts", "titles"),
    [
        ((0, 30, 30.4), [0, 30.4], ("A", "C")),
        ((0.2, 30), [0, 30], ("A", "B")),
        ((0, 59.5), [0], ("A",)),
        ((0, 70), [0], ("A",)),
        ((30, 0), [0, 30], ("B", "A")),
        ((30, 30), [0, 30], ("", "B")),
    ],
)
def test_a_chapter_of_less_than_a_second_is_none(
    marks: tuple[float, ...], starts: list[float], titles: tuple[str, ...]
) -> None:
    """It belongs to the chapter before it; one that begins behind the end is ignored."""
    plan = planned(track(60), marks=marks, segment_s=Fraction(60))
    assert [span.start_s for span in plan.spans] == starts
    if len(starts) > 1:
        assert plan.titles == titles


@given(
    seconds=st.integers(2, 40_000),
    longest=st.integers(2, 3000),
    marks=st.lists(st.floats(0, 40_000), max_size=6),
    keeps=st.booleans(),
)
def test_pieces_tile_the_track_and_none_is_too_long(
    seconds: int, longest: int, marks: list[float], keeps: bool
) -> None:
    """For all options: no gap, no overlap, and no piece over the limit however cuts move."""
    sound = track(seconds)
    way = keep(sound) if keeps else COPY
    plan = planned(sound, way, marks=tuple(marks), max_segment_s=Fraction(longest))
    edges = [(span.start_samples, span.end_samples) for span in plan.spans]
    assert (edges[0][0], edges[-1][1]) == (0, sound.duration_samples)
    assert all(one[1] == two[0] for one, two in itertools.pairwise(edges))
    assert len(plan.titles) in (0, len(plan.spans))
    most = longest * sound.sample_rate_hz
    assert plan.longest_samples <= most
    longest_samples = plan.longest_samples or sound.duration_samples
    assert all(end - start <= min(longest_samples + 1, most) for start, end in edges)
