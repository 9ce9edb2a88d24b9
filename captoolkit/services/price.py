"""The tokens that a service counts for sound, and their price before the run.

The cost of the answers that arrived is computed in `dispatch/budget.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

from captoolkit.model import CostRange, Price, Target
from captoolkit.services.limits import EARLIER_AUDIO_TOKENS, PROMPT_BYTES

MILLION = 1_000_000
# A service may count all sound of a file: the encoder's delay and padding, and the frames that a
# copy has at its ends. The longest are four frames of AAC at 8 kHz, of 128 ms each.
LONGER_FILE_S = Fraction(1, 2)
# Tokens of role names and the like, in addition to the question, if the row states no number.
# Model Studio's sample answer of Qwen-Audio counts 33 tokens with its question.
UNSTATED_TEXT_TOKENS = 64


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
    """Return the tokens and prices of one request for each duration.

    There are no prices where the tokens of a second of sound are unknown.
    """
    audio = sum(audio_tokens(target, duration_s) for duration_s in durations_s)
    audio += int(target.limit(EARLIER_AUDIO_TOKENS) or 0) * len(durations_s)
    text = int(target.limit("text_tokens") or 0) * len(durations_s)
    is_counted = target.limit("tokens_per_s") is not None
    costs = tuple(
        CostRange(
            region=price.region,
            currency=price.currency,
            least=input_cost(price, audio_tokens=audio, text_tokens=text),
            most=most_cost(target, price, audio_tokens=audio, text_tokens=text, n=len(durations_s)),
        )
        for price in (current_prices(target) if is_counted else ())
    )
    return RequestCosts(audio_tokens=audio, input_tokens=audio + text, costs=costs)


def input_cost(price: Price, *, audio_tokens: int, text_tokens: int) -> Decimal:
    """Return the price of the input of requests."""
    of_audio = price.audio_input_per_million
    if of_audio is None:
        of_audio = price.input_per_million
    return (of_audio * audio_tokens + price.input_per_million * text_tokens) / MILLION


def most_cost(
    target: Target, price: Price, *, audio_tokens: int, text_tokens: int, n: int
) -> Decimal | None:
    """Return the highest price of `n` requests; None if the longest answer is unknown.

    Args:
        target: the service model.
        price: the price of a region.
        audio_tokens: the predicted tokens of the sound of all requests.
        text_tokens: the predicted tokens of their texts.
        n: the number of requests.
    """
    longest = target.limit("max_output_tokens")
    if longest is None:
        return None
    per_second = target.limit("tokens_per_s") or Fraction(0)
    # One more for each segment: a cut may move to a quieter place, and each segment is rounded up.
    audio_tokens += n * (1 - int(-(per_second * LONGER_FILE_S) // 1))
    prompt_bytes = target.limit(PROMPT_BYTES)
    if prompt_bytes is None:
        prompt_bytes = Fraction(len(target.default_prompt.encode()))
    text_tokens += n * int(prompt_bytes)
    if target.limit("text_tokens") is None:
        text_tokens += n * UNSTATED_TEXT_TOKENS
    output = price.output_per_million * int(longest) * n / MILLION
    return input_cost(price, audio_tokens=audio_tokens, text_tokens=text_tokens) + output


def current_prices(target: Target, today: date | None = None) -> tuple[Price, ...]:
    """Return the prices of a target that hold today, one for each region and currency."""
    now = today or datetime.now(UTC).date()
    prices: dict[tuple[str, str], Price] = {}
    for price in target.prices:
        if price.until is None or now <= price.until:
            prices.setdefault((price.region, price.currency), price)
    return tuple(prices.values())


def price_in(target: Target, region: str | None) -> Price | None:
    """Return the price that is billed in a region: the first one, in its currency."""
    return next((price for price in current_prices(target) if price.region == region), None)
