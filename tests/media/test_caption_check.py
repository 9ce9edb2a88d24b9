from __future__ import annotations

from array import array
from fractions import Fraction

import pytest

from captoolkit.media.caption_check import (
    ExpectedCue,
    find_chapter_fault,
    find_cue_fault,
    find_departure_s,
    find_moved_packets,
)
from captoolkit.media.file_contents import StreamPackets, TrackText
from captoolkit.model import Chapter

CUES = [
    ExpectedCue(start_s=Fraction(number), end_s=Fraction(number + 1), text=f"Cue {number}")
    for number in range(3)
]


def texts(*changes: tuple[int, str | Fraction]) -> list[TrackText]:
    """Return the packets of `CUES`, some with another text or a later time."""
    changed = dict(changes)
    packets = []
    for number, cue in enumerate(CUES):
        change = changed.get(number, "")
        late_s = change if isinstance(change, Fraction) else Fraction(0)
        text = change if isinstance(change, str) and change else cue.text
        packets.append(
            TrackText(start_s=cue.start_s + late_s, end_s=cue.end_s + late_s, payload=text.encode())
        )
    return packets


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (texts(), ""),
        (texts((1, Fraction(1, 100))), ""),
        (texts((1, Fraction(1, 10))), "caption 2 is at 1.100 s to 2.100 s, not at 1.000 s"),
        (texts((2, "Cue")), "caption 3 has another text"),
        (texts()[:2], "the subtitle track has 2 captions, not 3"),
        ([], "the subtitle track has 0 captions, not 3"),
    ],
)
def test_count_times_and_texts_are_compared(found: list[TrackText], fault: str) -> None:
    """The first departure is described."""
    assert find_cue_fault(found, CUES, Fraction(0), "subrip").startswith(fault)
    assert bool(find_cue_fault(found, CUES, Fraction(0), "subrip")) == bool(fault)


def test_chapters_are_compared() -> None:
    """A missing chapter, another title and another time are faults."""
    chapters = [Chapter(start_s=cue.start_s, title=cue.text) for cue in CUES]
    assert find_chapter_fault(chapters, CUES, Fraction(0)) == ""
    assert find_chapter_fault(chapters[1:], CUES, Fraction(0)) == "there are 2 chapters, not 3"
    late = [Chapter(start_s=cue.start_s + 1, title=cue.text) for cue in CUES]
    assert find_chapter_fault(late, CUES, Fraction(1)) == ""
    assert find_chapter_fault(late, CUES, Fraction(0), Fraction(1)) == ""
    assert "begins at 1.000 s" in find_chapter_fault(late, CUES, Fraction(0))
    early = find_chapter_fault(chapters, CUES, Fraction(1))
    assert early == "chapter 1 begins at 0.000 s, not at 1.000 s"
    other = [Chapter(start_s=cue.start_s, title="x") for cue in CUES]
    assert find_chapter_fault(other, CUES, Fraction(0)) == "chapter 1 has another title"


def test_a_stream_may_move_as_a_whole() -> None:
    """Only a time that moves against the first packet is a departure."""
    source = StreamPackets(base=Fraction(1, 1000), starts=array("q", [0, 20, 40]))
    moved = StreamPackets(base=Fraction(1, 1000), starts=array("q", [7, 27, 47]))
    uneven = StreamPackets(base=Fraction(1, 1000), starts=array("q", [7, 27, 547]))
    for packets in (source, moved, uneven):
        packets.sizes.extend([9, 9, 9])
    assert find_departure_s(source, moved) == pytest.approx(0)
    assert find_departure_s(source, uneven) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("starts", "fault"),
    [
        ([100, 120, 140], ""),
        ([180, 200, 220], ""),  # the codec's priming
        ([-20, 0, 20], "has a packet at -0.120 s that is at 0.000 s in the source"),
        ([100, 120, 640], "has a packet at 0.540 s that is at 0.040 s in the source"),
        ([640, 120, 140], "has a packet at 0.540 s that is at 0.000 s in the source"),
        ([100, 640], "has a packet at 0.550 s that is at 0.060 s in the source"),
    ],
)
def test_each_packet_stays_at_its_time(starts: list[int], fault: str) -> None:
    """All streams may be later by the same time; a packet that moves against them is a fault."""

    def packets(starts: list[int]) -> StreamPackets:
        found = StreamPackets(base=Fraction(1, 1000), starts=array("q", starts))
        found.lengths.extend([20 if len(starts) == 3 else 10] * len(starts))
        found.sizes.extend([9] * len(starts))
        return found

    assert find_moved_packets(packets([0, 20, 40]), packets(starts), Fraction(1, 10)) == fault
