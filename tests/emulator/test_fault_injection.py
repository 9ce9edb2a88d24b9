from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.emulator.fault_injection import (
    ASK_KINDS,
    BURST,
    MEANINGS,
    POLICY_KINDS,
    UPLOAD_KINDS,
    Fault,
    Kind,
    Schedule,
)
from captoolkit.errors import UsageError


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("hang", Fault(kind=Kind.HANG, share=1.0)),
        ("reset=3", Fault(kind=Kind.RESET, count=3)),
        ("reset=1", Fault(kind=Kind.RESET, count=1)),
        ("reset=0", Fault(kind=Kind.RESET, count=0)),
        ("html=.25", Fault(kind=Kind.HTML, share=0.25)),
        ("html=1.0", Fault(kind=Kind.HTML, share=1.0)),
        ("sse-error=12.5%", Fault(kind=Kind.SSE_ERROR, share=0.125)),
    ],
)
def test_a_fault_is_a_kind_and_how_often(text: str, fault: Fault) -> None:
    """A whole number counts; a point or a per cent sign makes a share; nothing means always."""
    assert Fault.parse(text) == fault


@pytest.mark.parametrize("text", ["", "rest", "Reset", "=3", "throttle:3"])
def test_an_unknown_kind_names_those_there_are(text: str) -> None:
    """The error lists what can be written."""
    with pytest.raises(UsageError, match="known are throttle, quota"):
        Fault.parse(text)


@pytest.mark.parametrize("text", ["reset=", "reset=x", "reset=-1", "reset=1.5", "reset=101%"])
def test_an_unclear_number_says_what_to_write(text: str) -> None:
    """A share is above nothing and at most everything."""
    with pytest.raises(UsageError, match="write a count"):
        Fault.parse(text)
    with pytest.raises(UsageError, match="write a count"):
        Fault.parse("reset=0.0")


def test_a_count_takes_the_first_requests() -> None:
    """Three resets, then none."""
    schedule = Schedule(["reset=3"], seed=0)
    taken = [schedule.next(ASK_KINDS) for _ in range(5)]
    assert taken == [Kind.RESET] * 3 + [None] * 2


def test_the_first_fault_that_takes_a_request_has_it() -> None:
    """A second one gets what the first has left."""
    schedule = Schedule(["reset=1", "html=1", "hang"], seed=0)
    assert [schedule.next(ASK_KINDS) for _ in range(3)] == [Kind.RESET, Kind.HTML, Kind.HANG]


@given(seed=st.integers(), share=st.sampled_from([0.1, 0.5, 0.9]))
def test_a_share_is_about_that_share_and_the_same_each_time(seed: int, share: float) -> None:
    """Of 2,000 requests; the seed alone decides which."""
    runs = [Schedule([f"reset={share}"], seed=seed) for _ in range(2)]
    first, second = ([run.next(ASK_KINDS) for _ in range(2000)] for run in runs)
    assert first == second
    assert abs(first.count(Kind.RESET) / 2000 - share) < 0.08  # seven standard deviations


def test_another_seed_takes_other_requests() -> None:
    """Else it would be of no use."""
    runs = [Schedule(["reset=0.5"], seed=seed) for seed in range(2)]
    first, second = ([run.next(ASK_KINDS) for _ in range(64)] for run in runs)
    assert first != second


def test_throttling_comes_in_bursts() -> None:
    """Each burst of requests is throttled as a whole or not at all."""
    schedule = Schedule(["throttle=0.5"], seed=0)
    bursts = [tuple(schedule.next(ASK_KINDS) for _ in range(BURST)) for _ in range(200)]
    assert {len(set(burst)) for burst in bursts} == {1}
    assert {burst[0] for burst in bursts} == {None, Kind.THROTTLE}


def test_faults_of_uploads_leave_other_requests_alone() -> None:
    """Each kind belongs to one sort of request, and each sort is counted for itself."""
    schedule = Schedule(["policy-throttle=1", "upload-expired=1", "reset=1"], seed=0)
    sorts = [ASK_KINDS, POLICY_KINDS, UPLOAD_KINDS]
    assert [schedule.next(kinds) for kinds in sorts] == [
        Kind.RESET,
        Kind.POLICY_THROTTLE,
        Kind.UPLOAD_EXPIRED,
    ]
    assert [schedule.next(kinds) for kinds in sorts] == [None] * 3


def test_every_kind_is_explained() -> None:
    """What `--help` lists is all there is."""
    assert set(MEANINGS) == set(Kind) == ASK_KINDS | POLICY_KINDS | UPLOAD_KINDS
