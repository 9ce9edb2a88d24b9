"""Tests of fault rules and of the schedule that applies them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captoolkit.emulator.fault_injection import (
    BURST,
    CAPTION_KINDS,
    MEANINGS,
    POLICY_KINDS,
    UPLOAD_KINDS,
    FaultKind,
    FaultRule,
    FaultSchedule,
)
from captoolkit.errors import UsageError


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("hang", FaultRule(kind=FaultKind.HANG, share=1.0)),
        ("reset=3", FaultRule(kind=FaultKind.RESET, count=3)),
        ("reset=1", FaultRule(kind=FaultKind.RESET, count=1)),
        ("reset=0", FaultRule(kind=FaultKind.RESET, count=0)),
        ("html=.25", FaultRule(kind=FaultKind.HTML, share=0.25)),
        ("html=1.0", FaultRule(kind=FaultKind.HTML, share=1.0)),
        ("sse-error=12.5%", FaultRule(kind=FaultKind.SSE_ERROR, share=0.125)),
    ],
)
def test_a_fault_is_a_kind_and_how_often(text: str, fault: FaultRule) -> None:
    """An integer is a count, a decimal point or `%` makes a share, and no number means always."""
    assert FaultRule.parse(text) == fault


@pytest.mark.parametrize("text", ["", "rest", "Reset", "=3", "throttle:3"])
def test_an_unknown_kind_is_refused(text: str) -> None:
    """The error lists the known kinds."""
    with pytest.raises(UsageError, match="known are throttle, quota"):
        FaultRule.parse(text)


@pytest.mark.parametrize("text", ["reset=", "reset=x", "reset=-1", "reset=1.5", "reset=101%"])
def test_an_unclear_frequency_is_refused(text: str) -> None:
    """A share is above 0 and at most 1; the error shows the notation."""
    with pytest.raises(UsageError, match="write a count"):
        FaultRule.parse(text)
    with pytest.raises(UsageError, match="write a count"):
        FaultRule.parse("reset=0.0")


def test_a_count_selects_the_first_requests() -> None:
    """Three requests are reset, later ones are not."""
    schedule = FaultSchedule(["reset=3"], seed=0)
    taken = [schedule.next(CAPTION_KINDS) for _ in range(5)]
    assert taken == [FaultKind.RESET] * 3 + [None] * 2


def test_the_first_rule_that_selects_a_request_applies() -> None:
    """A later rule applies to the requests that earlier rules leave."""
    schedule = FaultSchedule(["reset=1", "html=1", "hang"], seed=0)
    assert [schedule.next(CAPTION_KINDS) for _ in range(3)] == [
        FaultKind.RESET,
        FaultKind.HTML,
        FaultKind.HANG,
    ]


@settings(max_examples=30)  # each draws 4,000 requests
@given(seed=st.integers(), share=st.sampled_from([0.1, 0.5, 0.9]))
def test_a_share_is_approximate_and_repeatable(seed: int, share: float) -> None:
    """The seed alone decides which of 2,000 requests get a fault."""
    runs = [FaultSchedule([f"reset={share}"], seed=seed) for _ in range(2)]
    first, second = ([run.next(CAPTION_KINDS) for _ in range(2000)] for run in runs)
    assert first == second
    assert abs(first.count(FaultKind.RESET) / 2000 - share) < 0.08  # seven standard deviations


def test_another_seed_selects_other_requests() -> None:
    """Two seeds give two selections."""
    runs = [FaultSchedule(["reset=0.5"], seed=seed) for seed in range(2)]
    first, second = ([run.next(CAPTION_KINDS) for _ in range(64)] for run in runs)
    assert first != second


def test_throttling_comes_in_bursts() -> None:
    """Each burst of requests is throttled completely or not at all."""
    schedule = FaultSchedule(["throttle=0.5"], seed=0)
    bursts = [tuple(schedule.next(CAPTION_KINDS) for _ in range(BURST)) for _ in range(200)]
    assert {len(set(burst)) for burst in bursts} == {1}
    assert {burst[0] for burst in bursts} == {None, FaultKind.THROTTLE}


def test_faults_of_uploads_do_not_affect_other_requests() -> None:
    """Each kind affects one type of request, and each type is counted separately."""
    schedule = FaultSchedule(["policy-throttle=1", "upload-expired=1", "reset=1"], seed=0)
    types = [CAPTION_KINDS, POLICY_KINDS, UPLOAD_KINDS]
    assert [schedule.next(kinds) for kinds in types] == [
        FaultKind.RESET,
        FaultKind.POLICY_THROTTLE,
        FaultKind.UPLOAD_EXPIRED,
    ]
    assert [schedule.next(kinds) for kinds in types] == [None] * 3


def test_every_kind_is_explained() -> None:
    """`--help` lists every kind."""
    assert set(MEANINGS) == set(FaultKind) == CAPTION_KINDS | POLICY_KINDS | UPLOAD_KINDS
