from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from captoolkit.model import Chapter, Plan
from captoolkit.planning.cuts import plan_sections
from captoolkit.planning.frame_cuts import edges
from captoolkit.planning.options import ParsedOptions
from captoolkit.planning.split_plan import SplitMethod, make_split
from tests.support.media_values import media, track

RATE_HZ = 1000


@dataclass
class Even:
    """Frames of one length, the last one shorter."""

    held: int
    total: int

    @property
    def count(self) -> int:
        """How many there are."""
        return -(-self.total // self.held)

    def sample_of(self, frame: int) -> int:
        """Where one begins."""
        return min(frame * self.held, self.total)

    def end_of(self, frame: int) -> int:
        """Where the one before it ends."""
        return self.sample_of(frame)

    def boundary_at(self, sample: int) -> int:
        """The nearest beginning."""
        return min(round(sample / self.held), self.count)


def planned(seconds: int, longest: int, marks: Sequence[float] = ()) -> Plan:
    """A split of a sound into copied pieces."""
    sound = track(seconds, rate_hz=RATE_HZ)
    return make_split(
        media(sound),
        sound,
        SplitMethod(suffix="mp3", reason=""),
        options=ParsedOptions(max_segment_s=Fraction(longest)),
        chapters=[Chapter(start_s=Fraction(at), title="") for at in marks],
    )


@given(
    seconds=st.integers(20, 2000),
    longest=st.integers(5, 600),
    held=st.integers(1, 200),
    pull=st.floats(0, 1),
)
def test_frames_are_shared_out_once_and_in_order(
    seconds: int, longest: int, held: int, pull: float
) -> None:
    """Wherever it is quiet: all frames, each once, no segment empty or longer than allowed."""
    plan = planned(seconds, longest)
    framed = Even(held, seconds * RATE_HZ)
    sections = plan_sections(plan)
    decided, begin = [], 0
    for section in sections:
        window = section.end_window(begin)
        end = round(window.earliest + pull * (window.latest - window.earliest))
        places = [begin, *section.division(begin, end).balanced, end]
        decided += list(itertools.pairwise(places))
        begin = end
    shares = list(edges(plan, framed, decided))
    assert len(shares) == len(plan.spans)
    assert [frame for share in shares for frame in range(*share)] == list(range(framed.count))
    assert all(first < last for first, last in shares)
    if len(shares) > 1:
        longest_samples = max(
            framed.sample_of(last) - framed.sample_of(first) for first, last in shares
        )
        assert longest_samples <= longest * RATE_HZ


def test_a_mark_is_met_by_the_nearest_boundary_and_does_not_move() -> None:
    """A chapter's mark is no quiet place; between two marks cuts go to one."""
    plan = planned(300, 100, marks=(0, 42.3))
    sections = plan_sections(plan)
    assert [section.end for section in sections if not section.moves] == [42_300, 300_000]
    framed = Even(100, 300 * RATE_HZ)
    shares = list(edges(plan, framed, [(0, 42_300), (42_300, 150_000), (150_000, 300_000)]))
    assert shares == [(0, 423), (423, 1500), (1500, 3000)]
