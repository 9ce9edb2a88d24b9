"""The predicted tokens of requests, and their price."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from captoolkit.services.price import audio_tokens, price_in, request_costs
from tests.support.media_values import CAPTIONER, QWEN_AUDIO, VLLM


@pytest.mark.parametrize(
    ("duration_s", "tokens"),
    [(Fraction(1, 10), 13), (Fraction(1), 13), (Fraction(30), 375), (Fraction(2400), 30_000)],
)
def test_sound_is_counted_by_the_second_and_rounded_up(duration_s: Fraction, tokens: int) -> None:
    """12.5 tokens a second, at least one second, as the captioner's page states."""
    assert audio_tokens(CAPTIONER, duration_s) == tokens


def test_a_bill_counts_every_request() -> None:
    """Two requests of 30 s: 375 and 8 tokens each, at the price of each region."""
    two = request_costs(CAPTIONER, [Fraction(30), Fraction(30)])
    assert (two.audio_tokens, two.input_tokens) == (750, 766)
    assert {(cost.region, cost.currency) for cost in two.costs} == {
        (region, currency) for region in ("singapore", "beijing") for currency in ("USD", "CNY")
    }
    cost = two.costs[0]
    assert cost.least == 766 * Decimal("3.81") / 1_000_000
    assert cost.most == cost.least + 2 * 32_768 * Decimal("3.06") / 1_000_000


def test_a_target_without_prices_costs_an_unknown_amount() -> None:
    """Tokens are predicted even where no price is known."""
    one = request_costs(VLLM, [Fraction(10)])
    assert (one.audio_tokens, one.costs) == (125, ())
    assert request_costs(QWEN_AUDIO, []).input_tokens == 0


def test_the_first_price_of_a_region_is_shown() -> None:
    """The order of the rows decides the currency; a region without a price has none."""
    price = price_in(CAPTIONER, "beijing")
    assert price is not None
    assert price.currency == "USD"
    assert price_in(CAPTIONER, None) is None
