"""What asking costs, and the cap on it that is never passed.

Rules: before a request goes out its worst case is set aside: its input at the price of the region,
and the longest answer that the model gives. What an answer really cost takes the place of that when
it is here; what nobody can tell (an answer that broke off, a service that counts nothing) is held
to have cost the worst. Answers that are in the ledger cost nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from captoolkit.errors import CaptoolkitError, UsageError
from captoolkit.model import Cost, CostRange, Plan, Price, Target, Usage
from captoolkit.services.price import MILLION, request_costs
from captoolkit.support.cancel import TICK_S, CancelScope

MICRO = Decimal("0.000001")


class Budget:
    """Money for requests, shared by all who are given it; safe to use from several threads.

    Args:
        cap: the most that may be spent, in the currency of the region that is asked.

    Raises:
        UsageError: the cap is no amount of money.
    """

    def __init__(self, cap: Decimal | float | str) -> None:
        try:
            self.cap = Decimal(str(cap))
        except InvalidOperation:
            self.cap = Decimal("NaN")
        if not self.cap.is_finite() or self.cap <= 0:
            raise UsageError(f"max_cost={cap} is no amount of money", fix="pass one such as 0.50")
        self._changed = threading.Condition()
        self._spent = Decimal(0)
        self._reserved = Decimal(0)

    @property
    def spent(self) -> Decimal:
        """What has been spent so far."""
        return self._spent

    def reserve(self, worst: Decimal, scope: CancelScope) -> None:
        """Set the worst case of a request aside, waiting for those under way where that helps.

        Raises:
            CaptoolkitError: what is left is not enough, or the lease ended meanwhile.
            StoppedError: the run was cancelled meanwhile.
        """
        with self._changed:
            while self._spent + self._reserved + worst > self.cap:
                if not self._reserved or self._spent + worst > self.cap:
                    raise CaptoolkitError(
                        f"not asked: {self.cap - self._spent:.4f} is left of max_cost={self.cap}, "
                        f"and a request may cost {worst:.4f}",
                        fix="run it again with more (--max-cost): what has an answer is not asked "
                        "or paid for again",
                    )
                self._changed.wait(TICK_S)
                scope.check()
            self._reserved += worst

    def settle(self, worst: Decimal, spent: Decimal) -> None:
        """Put what a request cost in the place of its worst case."""
        with self._changed:
            self._reserved -= worst
            self._spent += spent
            self._changed.notify_all()


def range_in(plan: Plan, price: Price | None) -> CostRange | None:
    """Return what a plan will cost by that price."""
    found = (
        cost
        for cost in plan.costs
        if price and (cost.region, cost.currency) == (price.region, price.currency)
    )
    return next(found, None)


def cost_of(usage: Usage, price: Price | None) -> Cost | None:
    """Return what answers cost, to the millionth; None where no price or no count is known."""
    amount = amount_of(usage, price)
    if price is None or amount is None:
        return None
    return Cost(currency=price.currency, amount=amount.quantize(MICRO))


def amount_of(usage: Usage, price: Price | None) -> Decimal | None:
    """Return what answers cost, exactly; None where no price or no count is known."""
    if price is None or usage.input_tokens is None:
        return None
    amount = price.input_per_million * usage.input_tokens
    return (amount + price.output_per_million * (usage.output_tokens or 0)) / MILLION


def predicted(target: Target, duration_s: Fraction) -> Usage:
    """Return what a request about that much sound will be counted as, output unknown."""
    costs = request_costs(target, [duration_s])
    return Usage(
        audio_tokens=costs.audio_tokens,
        text_tokens=costs.input_tokens - costs.audio_tokens,
        input_tokens=costs.input_tokens,
    )


def worst_case(target: Target, price: Price, duration_s: Fraction) -> Decimal:
    """Return the most that a request about that much sound can cost.

    Raises:
        UsageError: the model's longest answer is not known.
    """
    costs = request_costs(target, [duration_s]).costs
    mine = next(
        one for one in costs if (one.region, one.currency) == (price.region, price.currency)
    )
    if mine.most is None:
        raise UsageError(
            f"max_cost cannot be kept: how long {target.name}'s answers may be is not known",
            fix="give its row max_output_tokens (`captoolkit targets` shows the rows)",
        )
    return mine.most


def refuse_too_small(budget: Budget, worst_cases: Iterable[Decimal], price: Price) -> None:
    """Refuse a cap that the dearest of some requests alone could pass.

    Raises:
        UsageError: it could.
    """
    dearest = max(worst_cases)
    if dearest > budget.cap:
        raise UsageError(
            f"max_cost={budget.cap} is too small: one request may cost {price.currency} "
            f"{dearest:.4f}, if its answer is as long as can be",
            fix="allow at least that much; what is not used is not spent",
        )
