"""Whether a segment is asked about again, and when.

Rules: what an error means is in `captioners/failures.py`, one table; how often and how long is
here. A service that says when to come back is obeyed, up to a bound; beyond it the segment is
given up, because the next run asks for it. Not built on a retry library: how often to try again
goes by the kind of error, waits are shared by all threads of a run and end when it is cancelled.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from captoolkit.captioners.failures import RetryKind, rule_for
from captoolkit.errors import ServiceError

# How often a segment is asked about at most while errors of one kind keep coming. Throttling is no
# failure of the segment's, and a quota recovers within a minute, so it is waited for.
MOST_TRIES = {
    RetryKind.NEVER: 1,
    RetryKind.HALT: 1,
    RetryKind.ONCE: 2,
    RetryKind.LATER: 5,
    RetryKind.SLOWER: 12,
}
JITTER = 0.25  # waits are up to this much longer, so that those who failed together part
_RANDOM = random.Random()  # noqa: S311 - spreads waits, keeps no secret


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long to go on.

    Attributes:
        first_wait_s: before the second try; doubled for each further one.
        longest_wait_s: what doubling ends at.
        longest_retry_after_s: how long a service may ask to be left alone.
        segment_s: from a segment's first request to the last one that may follow.
    """

    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    longest_retry_after_s: float = 120.0
    segment_s: float = 1800.0


class Tries:
    """The tries at one segment.

    Attributes:
        begun: how many requests have been sent.
    """

    def __init__(
        self, retry_policy: RetryPolicy, *, deadline_s: float, randomness: random.Random = _RANDOM
    ) -> None:
        self._retry_policy = retry_policy
        self._deadline_s = deadline_s
        self._randomness = randomness
        self._failures = dict.fromkeys(RetryKind, 0)
        self.begun = 0

    def wait_after(self, error: ServiceError, *, now_s: float) -> float | None:
        """Return how long to wait before the next try; None if there is to be none."""
        again = rule_for(error).retry
        self._failures[again] += 1
        if self._failures[again] >= MOST_TRIES[again]:
            return None
        asked_s = error.retry_after_s or 0.0
        if asked_s > self._retry_policy.longest_retry_after_s:
            return None
        own_s = self._retry_policy.first_wait_s * 2.0 ** (sum(self._failures.values()) - 1)
        wait_s = max(asked_s, min(own_s, self._retry_policy.longest_wait_s))
        wait_s *= 1 + JITTER * self._randomness.random()
        return wait_s if now_s + wait_s <= self._deadline_s else None
