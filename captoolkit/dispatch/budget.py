"""The cost of requests, and a budget that is never exceeded.

Rules: before each request the budget reserves its worst case: its input at the price of the region,
and the longest answer of the model. When the answer has arrived, its real cost replaces the worst
case. If it is higher, because the service counts more tokens than its pages state, the worst cases
of later requests and of those in flight count more in the same proportion. Where the real cost is
unknown (a broken answer, a service that counts no tokens), the worst case stands. Answers from the
ledger cost nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from fractions import Fraction

from captoolkit.errors import CaptoolkitError, UsageError
from captoolkit.model import Cost, CostRange, Plan, Price, Target, Usage
from captoolkit.services.price import MILLION, input_cost, request_costs
from captoolkit.support.cancel import TICK_S, CancelScope

MICRO = Decimal("0.000001")
SHOWN = Decimal("0.0001")  # the digits of amounts in messages


class Budget:
    """A sum of money for requests; runs that get the same object share it. Thread-safe.

    Args:
        cap: the most that may be spent, in the currency of the service's region.

    Raises:
        UsageError: the cap is not a positive amount of money.
    """

    def __init__(self, cap: Decimal | float | str) -> None:
        try:
            self.cap = Decimal(str(cap))
        except InvalidOperation:
            self.cap = Decimal("NaN")
        if not self.cap.is_finite() or self.cap <= 0:
            raise UsageError(
                f"max_cost={cap} is not an amount of money", fix="pass one such as 0.50"
            )
        self._changed = threading.Condition()
        self._spent = Decimal(0)
        self._reserved = Decimal(0)  # the predicted worst cases of the requests in flight
        self._excess = Decimal(1)  # the highest ratio of a real cost to its predicted worst case

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.cap}, spent={self.spent})"

    @property
    def spent(self) -> Decimal:
        """The amount spent so far."""
        return self._spent

    def reserve(self, worst: Decimal, scope: CancelScope) -> None:
        """Reserve the worst case of a request; wait for requests in flight if that may help.

        Raises:
            CaptoolkitError: the rest of the budget is too small, or the scope ended meanwhile.
            StoppedError: the run was cancelled meanwhile.
        """
        with self._changed:
            while self._spent + (self._reserved + worst) * self._excess > self.cap:
                needed = worst * self._excess
                if not self._reserved or self._spent + needed > self.cap:
                    left = max(Decimal(0), self.cap - self._spent).quantize(SHOWN, ROUND_FLOOR)
                    needed = needed.quantize(SHOWN, ROUND_CEILING)  # shown above `left`
                    raise CaptoolkitError(
                        f"not sent: {left} is left of max_cost={self.cap}, "
                        f"and a request may cost {needed}",
                        fix="run it again with a larger `max_cost`; the ledger keeps all answers, "
                        "and captoolkit does not pay for them again",
                    )
                self._changed.wait(TICK_S)
                scope.check()
            self._reserved += worst

    def settle(self, worst: Decimal, spent: Decimal | None) -> None:
        """Replace the worst case of a request by its real cost; keep it if that is unknown."""
        with self._changed:
            self._reserved -= worst
            if spent is None:
                self._spent += worst * self._excess
            else:
                self._spent += spent
                if worst:
                    self._excess = max(self._excess, spent / worst)
            self._changed.notify_all()


def range_in(plan: Plan, price: Price | None) -> CostRange | None:
    """Return the range of costs of a plan at a price; None where it is unknown."""
    found = (
        cost
        for cost in plan.costs
        if price and (cost.region, cost.currency) == (price.region, price.currency)
    )
    return next(found, None)


def total_range(ranges: Sequence[CostRange]) -> CostRange:
    """Return the sum of ranges of costs in one region and currency; there is at least one."""
    mosts = [one.most for one in ranges]
    known = [most for most in mosts if most is not None]
    return replace(
        ranges[0],
        least=sum((one.least for one in ranges), Decimal(0)),
        most=sum(known, Decimal(0)) if len(known) == len(mosts) else None,
    )


def cost_of(usage: Usage, price: Price | None) -> Cost | None:
    """Return the cost of answers, to the millionth; None if the price or the count is unknown."""
    amount = amount_of(usage, price)
    if price is None or amount is None:
        return None
    return Cost(currency=price.currency, amount=amount.quantize(MICRO))


def amount_of(usage: Usage, price: Price | None) -> Decimal | None:
    """Return the exact cost of answers; None if the price or the count is unknown."""
    if price is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    audio_tokens = usage.input_tokens if usage.audio_tokens is None else usage.audio_tokens
    amount = input_cost(
        price,
        audio_tokens=min(audio_tokens, usage.input_tokens),
        text_tokens=max(0, usage.input_tokens - audio_tokens),
    )
    return amount + price.output_per_million * usage.output_tokens / MILLION


def predict_usage(target: Target, duration_s: Fraction) -> Usage:
    """Return the usage that the service will count for a request, without its output."""
    costs = request_costs(target, [duration_s])
    return Usage(
        audio_tokens=costs.audio_tokens,
        text_tokens=costs.input_tokens - costs.audio_tokens,
        input_tokens=costs.input_tokens,
    )


def worst_case(target: Target, price: Price, duration_s: Fraction) -> Decimal:
    """Return the highest cost of a request for a segment of that length.

    Raises:
        UsageError: the longest answer of the model, or the tokens of its sound, are unknown.
    """
    costs = request_costs(target, [duration_s]).costs
    if not costs:
        raise UsageError(
            f"no limit of the cost can be kept: how many tokens {target.name} counts for a second "
            "of sound is not known",
            fix="add tokens_per_s to a target of your own (`captoolkit targets` shows them)",
        )
    mine = next(
        one for one in costs if (one.region, one.currency) == (price.region, price.currency)
    )
    if mine.most is None:
        raise UsageError(
            f"no limit of the cost can be kept: the longest answer of {target.name} is not known",
            fix="state it (`max_tokens`), or add max_output_tokens to a target of your own",
        )
    return mine.most


def refuse_too_small(budget: Budget, worst_cases: Iterable[Decimal], price: Price) -> None:
    """Refuse a budget that a single request may exceed.

    Raises:
        UsageError: a worst case is larger than the budget.
    """
    dearest = max(worst_cases)
    if dearest > budget.cap:
        needed = f"{price.currency} {dearest.quantize(SHOWN, ROUND_CEILING)}"
        raise UsageError(
            f"max_cost={budget.cap} is too small for one request with the longest answer",
            fix=f"allow {needed} or more, or bound the answers with `max_tokens`; captoolkit "
            "spends only the real cost",
        )
