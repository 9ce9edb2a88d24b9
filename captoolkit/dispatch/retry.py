"""Whether to retry a segment after an error, and how long to wait first.

Rules: the table in `captioners/failures.py` classifies errors; this module holds the numbers and
waits. A `Retry-After` of the service is obeyed up to a bound; beyond it the segment fails,
and the next run retries it. No retry library: the number of attempts depends on the kind of error,
and a cancellation ends the waits of all threads.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields
from numbers import Real

from captoolkit.captioners.failures import RetryKind, rule_for
from captoolkit.errors import ServiceError, UsageError
from captoolkit.support.keywords import require_type

# Attempts at a segment while errors of one kind continue. Throttling is no failure of the segment,
# and a quota recovers within a minute, so it allows the most.
MAX_ATTEMPTS = {
    RetryKind.NEVER: 1,
    RetryKind.HALT: 1,
    RetryKind.ONCE: 2,
    RetryKind.LATER: 5,
    RetryKind.SLOWER: 12,
}
JITTER = 0.25  # each wait is longer by a random share up to this, to separate failed requests
_RANDOM = random.Random()  # noqa: S311 - spreads waits, keeps no secret


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """The bounds of retries, in seconds.

    The kind of error sets the number of attempts at a segment: one where no retry can help, two or
    five for other errors, twelve while the service throttles.

    Attributes:
        first_wait_s: the wait before the second attempt; doubled for each further attempt.
        longest_wait_s: the longest wait that doubling leads to.
        longest_throttled_wait_s: the same after throttling, where the service demands no wait; its
            quotas recover within a minute, and a longer wait would mostly be idle.
        longest_retry_after_s: the longest `Retry-After` that is obeyed.
        segment_s: the time from a segment's first request to its last.

    Raises:
        UsageError: one is no number, or below zero.
    """

    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    longest_retry_after_s: float = 120.0
    longest_throttled_wait_s: float = 20.0
    segment_s: float = 1800.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            require_type(each.name, value, Real, "a number of seconds")
            if not value >= 0:  # NaN is not
                raise UsageError(f"{each.name}={value} must be at least 0")


class Attempts:
    """The attempts at one segment.

    Attributes:
        begun: the number of requests sent.
    """

    def __init__(
        self, retry_policy: RetryPolicy, *, deadline_s: float, randomness: random.Random = _RANDOM
    ) -> None:
        self._retry_policy = retry_policy
        self._deadline_s = deadline_s
        self._randomness = randomness
        self._failures = dict.fromkeys(RetryKind, 0)
        self.begun = 0

    def wait_after(
        self, error: ServiceError, *, now_s: float, most: int | None = None
    ) -> float | None:
        """Return the wait before the next attempt in seconds; None for no further attempt.

        Args:
            error: the error of the latest attempt.
            now_s: the time on the clock.
            most: the largest number of attempts; None for that of the kind of error.
        """
        retry = rule_for(error).retry
        self._failures[retry] += 1
        most = MAX_ATTEMPTS[retry] if most is None else min(most, MAX_ATTEMPTS[retry])
        if self._failures[retry] >= most:
            return None
        requested_s = error.retry_after_s or 0.0
        if requested_s > self._retry_policy.longest_retry_after_s:
            return None
        doubled_s = self._retry_policy.first_wait_s * 2.0 ** (sum(self._failures.values()) - 1)
        longest_s = self._retry_policy.longest_wait_s
        if retry is RetryKind.SLOWER:
            longest_s = min(longest_s, self._retry_policy.longest_throttled_wait_s)
        wait_s = max(requested_s, min(doubled_s, longest_s))
        wait_s *= 1 + JITTER * self._randomness.random()
        return wait_s if now_s + wait_s <= self._deadline_s else None
