"""Whether and when a request is retried."""

from __future__ import annotations

import random
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.dispatch.retry import JITTER, Attempts, RetryPolicy
from captoolkit.errors import ServiceConnectionError, ServiceError, UsageError

THROTTLED = ServiceError("throttled", status_code=429)
FAILED = ServiceError("failed", status_code=500)
BROKEN = ServiceConnectionError("it broke", status_code=200)
REFUSED = ServiceError("no such key", status_code=401)


def waits(
    error: ServiceError, retry_policy: RetryPolicy, *, deadline_s: float = inf
) -> list[float]:
    """The waits between attempts that all fail with the same error."""
    tries = Attempts(retry_policy, deadline_s=deadline_s, randomness=random.Random(1))
    now_s, found = 0.0, list[float]()
    while (wait_s := tries.wait_after(error, now_s=now_s)) is not None:
        found.append(wait_s)
        now_s += wait_s
    return found


@pytest.mark.parametrize(
    ("error", "times"), [(REFUSED, 0), (BROKEN, 1), (FAILED, 4), (THROTTLED, 11)]
)
def test_the_kind_of_error_sets_the_number_of_attempts(error: ServiceError, times: int) -> None:
    """A refusal is not retried, a broken answer once, an unavailable service several times."""
    assert len(waits(error, RetryPolicy())) == times


def test_waits_double_up_to_the_longest_and_are_spread() -> None:
    """The waits are 1, 2, 4, 8 seconds, each up to a quarter longer."""
    for number, wait_s in enumerate(waits(THROTTLED, RetryPolicy(longest_wait_s=8))):
        least_s = min(2.0**number, 8)
        assert least_s <= wait_s <= least_s * (1 + JITTER)


@given(
    st.lists(st.sampled_from([THROTTLED, FAILED]), min_size=1, max_size=3),
    st.floats(0.01, 30),
    st.floats(0, 90),
)
def test_retry_waits_are_spread_at_random_within_a_bound(
    errors: list[ServiceError], first_wait_s: float, retry_after_s: float
) -> None:
    """100 segments that fail together retry at different times.

    No wait is shorter than the policy or the service demands, or longer than `JITTER` allows.
    """
    policy = RetryPolicy(first_wait_s=first_wait_s, longest_wait_s=20)
    last = ServiceError("throttled", status_code=429, retry_after_s=retry_after_s)
    waits_s = []
    for _ in range(100):
        attempts = Attempts(policy, deadline_s=inf)
        for error in errors:
            attempts.wait_after(error, now_s=0)
        wait_s = attempts.wait_after(last, now_s=0)
        assert wait_s is not None
        waits_s.append(wait_s)
    least_s = max(retry_after_s, min(first_wait_s * 2 ** len(errors), 20))
    assert all(least_s <= wait_s <= least_s * (1 + JITTER) for wait_s in waits_s)
    assert len(set(waits_s)) > 90
    assert max(waits_s) - min(waits_s) > least_s * JITTER / 2


@pytest.mark.parametrize("value", [-1, float("nan"), "1s", None])
def test_bound_that_is_no_time_is_refused(value: Any) -> None:
    """A wrong bound is found where it is written, not in the middle of a run."""
    with pytest.raises(UsageError, match="first_wait_s="):
        RetryPolicy(first_wait_s=value)


def test_retry_after_is_obeyed_up_to_a_bound() -> None:
    """A longer `Retry-After` replaces the policy's wait; beyond the bound there is no retry."""
    patient = RetryPolicy(longest_retry_after_s=120)
    soon = ServiceError("throttled", status_code=429, retry_after_s=90)
    assert all(wait_s >= 90 for wait_s in waits(soon, patient))
    late = ServiceError("throttled", status_code=429, retry_after_s=121)
    assert waits(late, patient) == []
    never = ServiceError("no such key", status_code=401, retry_after_s=1)
    assert waits(never, patient) == []


@given(
    st.lists(st.sampled_from([THROTTLED, FAILED, BROKEN]), min_size=1, max_size=60),
    st.floats(0, 500),
)
def test_the_last_attempt_begins_before_the_deadline(
    errors: list[ServiceError], deadline_s: float
) -> None:
    """Any mix of errors ends, and no wait leads past the deadline."""
    tries = Attempts(RetryPolicy(), deadline_s=deadline_s)
    now_s = 0.0
    for error in errors:
        wait_s = tries.wait_after(error, now_s=now_s)
        if wait_s is None:
            return
        now_s += wait_s
        assert now_s <= deadline_s
    assert len(errors) < 12 + 5 + 2
