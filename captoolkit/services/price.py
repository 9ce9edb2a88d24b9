"""The tokens that a service counts for sound, and their price before the run.

The cost of the answers that arrived is computed in `dispatch/budget.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from captoolkit.model import CostRange, Price, Target

MILLION = 1_000_000


def audio_tokens(target: Target, duration_s: Fraction) -> int:
    """Return the tokens that the service counts for a duration, rounded up."""
    per_second = target.limit("tokens_per_s") or Fraction(0)
    billed_s = max(duration_s, target.limit("min_billed_s") or Fraction(0))
    return -int(-(per_second * billed_s) // 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCosts:
    """The tokens and prices of some requests, as a service will count them.

    Attributes:
        audio_tokens: for the sound.
        input_tokens: for the sound and the text of each request.
        costs: one for each region and currency that has a price.
    """

    audio_tokens: int
    input_tokens: int
    costs: tuple[CostRange, ...]


def request_costs(target: Target, durations_s: Sequence[Fraction]) -> RequestCosts:
    """Return the tokens and prices of one request for each duration."""
    audio = sum(audio_tokens(target, duration_s) for duration_s in durations_s)
    text = int(target.limit("text_tokens") or 0) * len(durations_s)
    costs = tuple(
        CostRange(
            region=price.region,
            currency=price.currency,
            least=price.input_per_million * (audio + text) / MILLION,
            most=_most(target, price.input_per_million * (audio + text), len(durations_s), price),
        )
        for price in target.prices
    )
    return RequestCosts(audio_tokens=audio, input_tokens=audio + text, costs=costs)


def _most(target: Target, input_price: Decimal, requests: int, price: Price) -> Decimal | None:
    longest = target.limit("max_output_tokens")
    if longest is None:
        return None
    return (input_price + price.output_per_million * int(longest) * requests) / MILLION


def price_in(target: Target, region: str | None) -> Price | None:
    """Return the first price of a target in a region: its currency is the one that is shown."""
    return next((price for price in target.prices if price.region == region), None)
