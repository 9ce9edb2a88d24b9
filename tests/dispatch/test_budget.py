"""The cap on what is spent is never passed."""

from __future__ import annotations

import threading
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import captoolkit
from captoolkit.dispatch.budget import (
    Budget,
    amount_of,
    predict_usage,
    refuse_too_small,
    worst_case,
)
from captoolkit.errors import CaptoolkitError, UsageError
from captoolkit.model import Usage
from captoolkit.services.price import price_in
from captoolkit.support.cancel import CLOCK, CancelScope, StoppedError
from tests.support.media_values import CAPTIONER

GO = CancelScope()
money = st.decimals(min_value=0, max_value=10, places=4)


@given(money.filter(bool), st.lists(st.tuples(money, st.integers(0, 100)), max_size=60))
def test_the_budget_is_never_exceeded(cap: Decimal, requests: list[tuple[Decimal, int]]) -> None:
    """Any number of requests in flight, each with a real cost below its worst case."""
    budget = Budget(cap)
    for worst, percent in requests:
        try:
            budget.reserve(worst, GO)
        except CaptoolkitError:
            assert budget.spent + worst > cap
            continue
        budget.settle(worst, worst * percent / 100)
        assert budget.spent <= cap


def test_what_a_service_counts_beyond_the_prediction_is_reserved_for_all_requests() -> None:
    """The pages' sample has 152 tokens for 6 s of sound, twice as many as their rule gives."""
    budget, worst = Budget("1.00"), Decimal("0.10")
    for _ in range(3):
        budget.reserve(worst, GO)
    budget.settle(worst, 2 * worst)
    budget.reserve(worst, GO)  # 0.20 is spent, and 0.60 may be in flight
    with pytest.raises(CaptoolkitError, match="the time limit"):  # waits for those in flight
        budget.reserve(2 * worst, CancelScope(deadline_s=CLOCK.now_s() + 0.1))
    for spent in (2 * worst, 2 * worst, None):
        budget.settle(worst, spent)
    budget.reserve(worst, GO)
    budget.settle(worst, 2 * worst)
    assert budget.spent == budget.cap
    budget.settle(Decimal(0), worst)
    with pytest.raises(CaptoolkitError, match=r"sent: 0\.0000 is left of .* may cost 0\.2000"):
        budget.reserve(worst, GO)


def test_a_request_waits_for_those_in_flight() -> None:
    """A request waits for those in flight, and gets the money that they do not use."""
    budget = Budget("1.00")
    budget.reserve(Decimal("0.9"), GO)
    got = threading.Event()

    def second() -> None:
        budget.reserve(Decimal("0.9"), GO)
        got.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert not got.wait(0.05)
    budget.settle(Decimal("0.9"), Decimal("0.01"))
    thread.join(10)
    assert got.is_set()


def test_waiting_for_money_ends_when_the_work_is_cancelled() -> None:
    """A cancelled run does not wait for others' answers."""
    budget = Budget(1)
    budget.reserve(Decimal(1), GO)
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        budget.reserve(Decimal(1), CancelScope(stop=stop))


def test_waiting_for_money_ends_with_the_time_of_the_run() -> None:
    """The time limit of the run also ends a wait for money."""
    budget = Budget(1)
    budget.reserve(Decimal(1), GO)
    with pytest.raises(CaptoolkitError, match="the time limit of this run has passed"):
        budget.reserve(Decimal(1), CancelScope(deadline_s=CLOCK.now_s() + 0.1))


def test_the_amount_left_is_shown_below_the_amount_needed() -> None:
    """Both amounts are rounded so that the message is true where they differ by a little."""
    budget = Budget("0.11")
    budget.reserve(Decimal("0.01"), GO)
    budget.settle(Decimal("0.01"), Decimal("0.00961"))
    with pytest.raises(CaptoolkitError, match=r"0\.1003 is left of .* may cost 0\.1005"):
        budget.reserve(Decimal("0.10043"), GO)


def test_the_worst_case_is_the_longest_answer_at_the_regions_price() -> None:
    """30 s are 375 tokens and 8 of text; the file may have 8 more; 32,768 is the longest answer."""
    target = captoolkit.targets()["qwen3-omni-captioner"]
    price = price_in(target, "singapore")
    assert price is not None
    expected = (391 * Decimal("3.81") + 32_768 * Decimal("3.06")) / 1_000_000
    assert worst_case(target, price, Fraction(30)) == expected
    usage = predict_usage(target, Fraction(30))
    assert (usage.audio_tokens, usage.text_tokens, usage.input_tokens) == (375, 8, 383)
    with pytest.raises(UsageError, match=r"max_cost=0\.1 is too small .* allow USD 0\.1018"):
        refuse_too_small(Budget("0.1"), [expected], price)


def test_an_answer_without_a_count_of_its_tokens_has_no_known_cost() -> None:
    """The worst case stands where a service counts the input alone."""
    price = price_in(CAPTIONER, "singapore")
    assert amount_of(Usage(input_tokens=10, output_tokens=0), price) is not None
    assert amount_of(Usage(input_tokens=10), price) is None


@pytest.mark.parametrize("cap", ["0", "-1", "a lot", "nan", "inf", 0.0])
def test_an_invalid_budget_is_refused(cap: str | float) -> None:
    """A budget is positive and finite."""
    with pytest.raises(UsageError, match="is not an amount of money"):
        Budget(cap)
