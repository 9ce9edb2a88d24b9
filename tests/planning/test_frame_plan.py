from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captoolkit.model import Action, Span
from captoolkit.planning import frame_plan
from captoolkit.planning.fitting import Bounds
from captoolkit.planning.frame_plan import Framing
from captoolkit.planning.options import ParsedOptions
from captoolkit.planning.prepare_plan import make_plan
from captoolkit.planning.segmentation import Cutting
from tests.support.media_values import CAPTIONER, media, track

FRAME = 1_152
RATE_HZ = 48_000
FRAME_S = Fraction(FRAME, RATE_HZ)  # 24 ms
NO_LIMITS = Bounds(duration_s=None, size_bytes=None)


def framing_of(sizes: list[int], *, head_bytes: int = 0, lead_samples: int = 0) -> Framing:
    """MP3 frames of those sizes."""
    return Framing(
        format="mp3",
        codec="mp3",
        rate_hz=RATE_HZ,
        frame_samples=FRAME,
        sizes=np.array(sizes, np.int64),
        head_bytes=head_bytes,
        lead_samples=lead_samples,
    )


def constant(seconds: int, *, frame_bytes: int) -> Framing:
    """That many seconds in frames that are all alike."""
    return framing_of([frame_bytes] * int(seconds / FRAME_S))


# ------------------------------------------------------------------- properties

frame_sizes = st.lists(st.integers(1, 1_500), min_size=1, max_size=80)


@given(
    sizes=frame_sizes,
    head_bytes=st.integers(0, 20),
    lead_samples=st.integers(0, 3_000),
    size_bytes=st.none() | st.integers(1, 40_000),
    duration_s=st.none() | st.fractions(Fraction(1, 100), 3, max_denominator=1_000),
)
@settings(deadline=None, max_examples=300)
def test_any_segment_stays_within_the_bounds(
    sizes: list[int],
    head_bytes: int,
    lead_samples: int,
    size_bytes: int | None,
    duration_s: Fraction | None,
) -> None:
    """A segment anywhere fits, with a frame more at each end, the delay and the head."""
    framing = framing_of(sizes, head_bytes=head_bytes, lead_samples=lead_samples)
    longest_s = frame_plan.longest_s(framing, Bounds(duration_s=duration_s, size_bytes=size_bytes))
    assert 0 <= longest_s <= framing.framed_s
    held = longest_s / FRAME_S
    assert held.denominator == 1
    if held == 0:
        return
    frames = len(sizes)
    if held < frames:
        held += 2 + -(-lead_samples // FRAME)
    most = min(int(held), frames)
    for first in range(frames - most + 1):
        own = sizes[first : first + most]
        assert size_bytes is None or head_bytes + sum(own) <= size_bytes
        assert duration_s is None or len(own) * FRAME_S <= duration_s


@given(sizes=frame_sizes, size_bytes=st.integers(1, 40_000))
@settings(deadline=None)
def test_one_frame_more_would_be_too_large_somewhere(sizes: list[int], size_bytes: int) -> None:
    """The longest segment is no shorter than the largest frames demand."""
    longest_s = frame_plan.longest_s(
        framing_of(sizes), Bounds(duration_s=None, size_bytes=size_bytes)
    )
    frames = int(longest_s / FRAME_S)
    if frames in (0, len(sizes)):  # not even three fit, or all do
        return
    more = frames + 3  # the frame more at each end, and one
    assert max(sum(sizes[at : at + more]) for at in range(len(sizes) - more + 1)) > size_bytes


@given(
    seconds=st.integers(150, 4_000),
    frame_bytes=st.integers(24, 960),
    segment_s=st.none() | st.fractions(30, 600, max_denominator=10),
    max_segment_s=st.none() | st.fractions(30, 600, max_denominator=10),
)
@settings(deadline=None)
def test_what_is_not_refused_can_be_shared_out(
    seconds: int, frame_bytes: int, segment_s: Fraction | None, max_segment_s: Fraction | None
) -> None:
    """Where nothing speaks against copying, segments are within the limit, cuts moved or not."""
    framing = constant(seconds, frame_bytes=frame_bytes)
    bounds = Bounds(duration_s=max_segment_s or Fraction(2_400), size_bytes=7_499_988)
    options = ParsedOptions(segment_s=segment_s, max_segment_s=max_segment_s)
    durations_s = [framing.framed_s]
    if frame_plan.why_not(framing, durations_s, bounds, options):
        return
    share = frame_plan.share(framing, durations_s, bounds, options)
    assert share.cutting.longest_s <= share.longest_s
    assert durations_s[0] / share.cutting.numbers[0] <= share.longest_s
    assert share.longest_s == frame_plan.longest_s(framing, bounds)


# ------------------------------------------------------------------------------- examples


def test_without_limits_all_frames_are_one_segment() -> None:
    """Where nothing limits a segment, all frames are one, delay and padding included."""
    framing = framing_of([100, 200, 300], head_bytes=6)
    assert framing.file_bytes == 606
    assert frame_plan.longest_s(framing, NO_LIMITS) == framing.framed_s == 3 * FRAME_S


def test_largest_frames_decide() -> None:
    """A loud passage of large frames limits every segment, as it may lie in any."""
    framing = framing_of([100] * 50 + [1_000] * 20 + [100] * 50, head_bytes=6)
    bounds = Bounds(duration_s=None, size_bytes=10_006)
    assert frame_plan.longest_s(framing, bounds) == (10 - 2) * FRAME_S


def test_a_few_frames_of_aac_are_encoded() -> None:
    """Ffmpeg does not recognize an ADTS stream of two frames, but an MP3 of one."""
    limits, options = Bounds(duration_s=None, size_bytes=None), ParsedOptions()
    for form, frames, is_copied in (("aac", 2, False), ("aac", 3, True), ("mp3", 1, True)):
        framing = replace(framing_of([100] * frames), format=form)
        reason = frame_plan.why_not(framing, [framing.framed_s], limits, options)
        assert bool(reason) is not is_copied


def test_frames_too_large_for_two_minutes_are_encoded() -> None:
    """Frames that would make segments of less than two minutes are not kept unasked."""
    framing = constant(600, frame_bytes=960)  # 320 kbit/s
    bounds = Bounds(duration_s=None, size_bytes=4_000_000)
    durations_s = [Fraction(600)]
    said = frame_plan.why_not(framing, durations_s, bounds, ParsedOptions())
    assert said == "Copied frames would make segments of only 1:40."
    assert not frame_plan.why_not(
        framing, durations_s, bounds, ParsedOptions(segment_s=Fraction(60))
    )
    assert frame_plan.why_not(framing, durations_s, bounds, ParsedOptions(segment_s=Fraction(150)))


@pytest.mark.parametrize(
    ("name", "words"),
    [("mp3", "a plain MP3"), ("aac", "an ADTS stream"), ("amr", "an AMR file")],
)
def test_reasons_say_what_the_frames_come_to_lie_in(name: str, words: str) -> None:
    """One segment has one sentence, several have a sentence on their cuts."""
    framing = Framing(
        format=name,
        codec=name,
        rate_hz=RATE_HZ,
        frame_samples=FRAME,
        sizes=np.array([1]),
        head_bytes=0,
        lead_samples=0,
    )
    half = RATE_HZ * 150
    spans = [
        Span(start_samples=start, end_samples=start + half, rate_hz=RATE_HZ) for start in (0, half)
    ]
    kept = f"Its {name} frames are kept unchanged, in {words}."
    cutting = Cutting(
        numbers=(2,),
        reach_s=Fraction(5),
        shortest_s=Fraction(145),
        longest_s=Fraction(155),
        is_fewest=False,
    )
    assert frame_plan.reasons(framing, spans[:1], cutting) == [kept]
    assert frame_plan.reasons(framing, spans, cutting) == [
        "It becomes 2 balanced segments of about 2:30 (2:25 to 2:35), cut at the quietest place "
        "within 5 s.",
        kept,
    ]


def test_number_that_pauses_decide_is_stated_as_the_greatest() -> None:
    """Where the limit alone decides the number, the sentence gives a range of lengths."""
    spans = [Span(start_samples=at, end_samples=at + 25, rate_hz=1) for at in range(0, 1200, 25)]
    cutting = Cutting(
        numbers=(48,),
        reach_s=Fraction(22),
        shortest_s=Fraction(25, 2),
        longest_s=Fraction(30),
        is_fewest=True,
    )
    assert frame_plan.segments_reason(spans, cutting) == (
        "It becomes at most 48 segments of 12.5 s to 30 s, and fewer where pauses allow: the cuts "
        "are chosen together, at quiet places."
    )


# ----------------------------------------------------------------------------- in a plan


def test_frames_come_before_encoding() -> None:
    """Frames that fit outside their container are moved; longer ones are divided into segments."""
    for seconds, action, number in ((600, Action.REMUX, 1), (2_460, Action.COPY, 2)):
        sound = track(seconds, rate_hz=RATE_HZ, codec="mp3")
        info = media(sound, container="matroska")
        framing = constant(seconds, frame_bytes=120)
        plan = make_plan(info, sound, CAPTIONER, framing=framing)
        assert (plan.action, plan.suffix, plan.encoding) == (action, "mp3", None)
        assert len(plan.spans) == number
        assert make_plan(info, sound, CAPTIONER).action is Action.ENCODE
