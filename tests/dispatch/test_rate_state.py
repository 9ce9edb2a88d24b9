"""The state of a rate limit as a value."""

from __future__ import annotations

import json

import pytest

from captoolkit.dispatch.rate_state import RateLimits, RateState

SECOND = RateLimits(closest_s=1.0)


def test_a_state_survives_json() -> None:
    """A state of a later captoolkit may hold more."""
    state = RateState(request_free_s=2.5, used_s=1.0, is_throttled=True)
    assert RateState.from_json(state.to_json()) == state
    more = json.dumps({**json.loads(state.to_json()), "colour": "blue"})
    assert RateState.from_json(more) == state


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "7",
        "[]",
        "b'\\x00'",
        "[" * 100_000,
        '{"used_s": "yesterday"}',
        '{"extra_s": null}',
        '{"paused_until_s": NaN}',
        '{"paused_until_s": 1e999}',
    ],
)
def test_a_damaged_text_gives_the_first_state(text: str) -> None:
    """A ledger may be damaged, and no request waits for it."""
    assert RateState.from_json(text) == RateState()


def test_a_moment_that_no_limit_explains_delays_nothing() -> None:
    """A damaged number in the far future is dropped with the next request."""
    for name in ("request_free_s", "tokens_free_s", "paused_until_s"):
        state = RateState.from_json(json.dumps({name: 1e12, "used_s": 4.0}))
        assert state.wait_s(5.0) == 0.0
        assert state.sent(0, SECOND, 5.0).wait_s(5.0) == 2.0


def test_tokens_for_more_than_an_hour_delay_the_next_request() -> None:
    """A long segment under a small limit is no damage: the limit holds."""
    limits = RateLimits(s_per_token=60 / 1000)
    assert RateState().sent(65_000, limits, 1.0).wait_s(1.0) == 3900.0


def test_a_late_request_delays_the_next_one_only_if_it_is_very_late() -> None:
    """So a busy machine keeps the rate."""
    state = RateState(request_free_s=10.0, used_s=9.0)
    assert state.sent(0, SECOND, 10.04).request_free_s == 11.0
    assert state.sent(0, SECOND, 10.5).request_free_s == 11.5


def test_throttling_of_one_moment_counts_once() -> None:
    """The pause grows, the distance does not; with time the distance shrinks."""
    once = RateState().throttled(10, SECOND, 0.0)
    twice = once.throttled(20, SECOND, 1.0)
    assert (once.extra_s, twice.extra_s, twice.paused_until_s) == (1.0, 1.0, 21.0)
    assert twice.sent(0, SECOND, 21.0).request_free_s == 23.0
    assert twice.sent(0, SECOND, 26.0).request_free_s == pytest.approx(27.5)
    assert twice.sent(0, SECOND, 99.0).request_free_s == 100.0


def test_merged_states_keep_the_later_moments() -> None:
    """The slower of two states counts."""
    slow = RateState(paused_until_s=9.0, extra_s=2.0, is_throttled=True, used_s=3.0)
    quick = RateState(request_free_s=5.0, used_s=4.0)
    for merged in (slow.merged(quick), quick.merged(slow)):
        assert (merged.paused_until_s, merged.request_free_s, merged.extra_s) == (9.0, 5.0, 2.0)
        assert (merged.used_s, merged.is_throttled) == (4.0, True)
