"""The predicted tokens of requests, and their price."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from captoolkit.services.price import (
    audio_tokens,
    current_prices,
    input_cost,
    price_in,
    request_costs,
)
from tests.support.media_values import CAPTIONER, QWEN_AUDIO, SERVICES, VLLM


@pytest.mark.parametrize(
    ("duration_s", "tokens"),
    [(Fraction(1, 10), 13), (Fraction(1), 13), (Fraction(30), 375), (Fraction(2400), 30_000)],
)
def test_sound_is_counted_by_the_second_and_rounded_up(duration_s: Fraction, tokens: int) -> None:
    """12.5 tokens a second, at least one second, as the captioner's page states."""
    assert audio_tokens(CAPTIONER, duration_s) == tokens


def test_a_bill_counts_every_request() -> None:
    """Two requests of 30 s: 375 and 8 tokens each; at most 8 more for half a second of padding."""
    two = request_costs(CAPTIONER, [Fraction(30), Fraction(30)])
    assert (two.audio_tokens, two.input_tokens) == (750, 766)
    assert {(cost.region, cost.currency) for cost in two.costs} == {
        (region, currency) for region in ("singapore", "beijing") for currency in ("USD", "CNY")
    }
    cost = two.costs[0]
    assert cost.least == 766 * Decimal("3.81") / 1_000_000
    longest = 2 * 32_768 * Decimal("3.06") / 1_000_000
    assert cost.most == cost.least + 2 * 8 * Decimal("3.81") / 1_000_000 + longest


def test_the_highest_price_has_the_targets_own_prompt() -> None:
    """A plan without a captioner knows no other question; a row may state no text tokens."""
    gemini = SERVICES["gemini"]
    (cost,) = request_costs(gemini, [Fraction(10)]).costs
    assert cost.most is not None
    more = 17 + 64 + len(gemini.default_prompt.encode())
    price = current_prices(gemini)[0]
    answer = 65_536 * price.output_per_million / 1_000_000
    assert cost.most - cost.least - answer == more * price.input_per_million / 1_000_000


def test_a_target_without_prices_costs_an_unknown_amount() -> None:
    """Tokens are predicted even where no price is known."""
    one = request_costs(VLLM, [Fraction(10)])
    assert (one.audio_tokens, one.costs) == (125, ())
    assert request_costs(QWEN_AUDIO, []).input_tokens == 0


def test_the_first_price_of_a_region_is_shown() -> None:
    """The order of the rows decides the currency; a region without a price has none."""
    price = price_in(CAPTIONER, "beijing")
    assert price is not None
    assert price.currency == "CNY"
    assert price_in(CAPTIONER, None) is None


def test_a_price_that_has_ended_is_replaced_by_the_next() -> None:
    """Until its last day a price holds, and after it the next one of the region."""
    gemini = SERVICES["gemini"]
    for today, dollars in ((date(2026, 12, 31), "0.75"), (date(2027, 1, 1), "1.50")):
        (price,) = current_prices(gemini, today)
        assert price.input_per_million == Decimal(dollars)


def test_sound_may_cost_more_than_text() -> None:
    """A price of sound applies to the tokens of the sound alone."""
    price = price_in(SERVICES["openai"], "global")
    assert price is not None
    assert input_cost(price, audio_tokens=1_000_000, text_tokens=2_000_000) == Decimal(32 + 5)


def test_without_a_rate_of_tokens_nothing_has_a_price() -> None:
    """A price that would leave the sound out is not shown."""
    assert request_costs(SERVICES["openai"], [Fraction(30)]).costs == ()
