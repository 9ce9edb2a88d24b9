"""The state of a rate limit as a value, and how requests, answers and throttling change it.

Rules: pure. Times are seconds since `EPOCH` on the clock of the machine, which all processes share.
A state never reserves a moment in the future: a request takes its turn when it may be sent, so a
killed process leaves nothing behind but the tokens of its requests in flight.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import msgspec

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
RAMP = 2.0  # the first distance between requests, as a multiple of the distance the limit demands
RAMP_STEP = 0.5  # each answer multiplies the distance by this
RAMP_AFTER_S = 120.0  # without requests; then the first ones are spaced more widely again
RECOVERY_STEP = 0.8  # the same after throttling, more carefully
RECOVERY_S = 5.0  # in this time the distance that throttling has added halves by itself
THROTTLED_S = 0.5  # the least distance after throttling, where no limit is known
WIDEST_S = 8.0  # the largest distance that throttling adds, unless the limit demands more
CLOSE_S = 0.01  # shorter distances count as none
LATE_S = 0.05  # a request that is late by up to this does not delay the next one
SET_BACK_S = 1.0  # a request so far in the future was sent before the clock was set back
# A later moment comes from a damaged ledger. A segment of minutes has tokens for an hour and more
# under a small limit, and `RetryPolicy.longest_retry_after_s` may be hours.
LONGEST_WAIT_S = 86_400.0
# The tokens of an answer as long as none has been counted: Model Studio's sample answer has 399.
FIRST_OUTPUT_TOKENS = 400
NEW_SHARE = 0.2  # of the latest answer in the mean number of tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """The distances that a service demands.

    Attributes:
        closest_s: between two requests; 0 if no limit is known.
        s_per_token: for each token, of input and output; 0 if no limit is known.
    """

    closest_s: float = 0.0
    s_per_token: float = 0.0

    @property
    def are_known(self) -> bool:
        """Whether one of the limits is known."""
        return bool(self.closest_s or self.s_per_token)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateState:
    """When the next request may be sent.

    Attributes:
        request_free_s: when the limit on requests allows the next one.
        tokens_free_s: the same for the limit on tokens.
        paused_until_s: the end of the pause after throttling.
        extra_s: the distance in addition to the demanded one, at `extra_at_s`.
        extra_at_s: when the additional distance was measured; it shrinks from then on if
            `is_throttled`.
        is_throttled: whether throttling added the distance, and not the slow start.
        used_s: when the latest request was sent; None before the first one.
        output_tokens: the mean number of tokens of recent answers; None before the first one.
    """

    request_free_s: float = 0.0
    tokens_free_s: float = 0.0
    paused_until_s: float = 0.0
    extra_s: float = 0.0
    extra_at_s: float = 0.0
    is_throttled: bool = False
    used_s: float | None = None
    output_tokens: float | None = None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the state that `to_json` wrote; members of a later captoolkit are ignored.

        A text that is not such a state, because the ledger is damaged, gives the first state.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return cls()

    def to_json(self) -> str:
        """Return the state as JSON."""
        return json.dumps(dataclasses.asdict(self))

    @property
    def is_plain(self) -> bool:
        """Whether no throttling delays a request."""
        return not (self.extra_s or self.paused_until_s)

    def wait_s(self, now_s: float) -> float:
        """Return the time until a request may be sent; 0 if it may be sent now."""
        if self._is_of_another_clock(now_s):
            return 0.0
        return max(0.0, max(self.request_free_s, self.tokens_free_s, self.paused_until_s) - now_s)

    def expected_output(self, most: int | None) -> int:
        """Return the number of tokens to expect of an answer, which has at most `most`."""
        mean = FIRST_OUTPUT_TOKENS if self.output_tokens is None else round(self.output_tokens)
        return mean if most is None else min(mean, most)

    def sent(self, tokens: int, limits: RateLimits, now_s: float) -> Self:
        """Return the state after a request with that many tokens was sent."""
        if self._is_of_another_clock(now_s):
            return type(self)(output_tokens=self.output_tokens).sent(tokens, limits, now_s)
        state = self
        is_fresh = self.used_s is None or now_s - self.used_s > RAMP_AFTER_S
        if is_fresh and not self.is_throttled:
            ramp_s = (RAMP - 1) * limits.closest_s
            state = dataclasses.replace(self, extra_s=ramp_s, extra_at_s=now_s)
        distance_s = limits.closest_s + state._extra_s(now_s)
        is_late = now_s > self.request_free_s + LATE_S
        return dataclasses.replace(
            state,
            request_free_s=(now_s if is_late else self.request_free_s) + distance_s,
            tokens_free_s=max(self.tokens_free_s, now_s) + tokens * limits.s_per_token,
            used_s=now_s,
        )

    def counted(self, tokens: int, limits: RateLimits) -> Self:
        """Return the state with tokens in addition to those that `sent` counted, or fewer."""
        return dataclasses.replace(
            self, tokens_free_s=self.tokens_free_s + tokens * limits.s_per_token
        )

    def answered(self, output_tokens: int, limits: RateLimits, now_s: float) -> Self:
        """Return the state after an answer: the rate increases."""
        step = RECOVERY_STEP if self.is_throttled else RAMP_STEP
        distance_s = (limits.closest_s + self._extra_s(now_s)) * step
        extra_s = max(0.0, distance_s - limits.closest_s)
        is_over = extra_s <= CLOSE_S
        mean = self.output_tokens
        return dataclasses.replace(
            self,
            extra_s=0.0 if is_over else extra_s,
            extra_at_s=max(now_s, self.paused_until_s),
            is_throttled=self.is_throttled and not is_over,
            paused_until_s=self.paused_until_s if self.paused_until_s > now_s else 0.0,
            output_tokens=(
                float(output_tokens) if mean is None else mean + NEW_SHARE * (output_tokens - mean)
            ),
        )

    def throttled(self, wait_s: float, limits: RateLimits, now_s: float) -> Self:
        """Return the state after throttling: a pause, then half the rate.

        Throttled requests of one moment count once.
        """
        extra_s = self._extra_s(now_s)
        if now_s >= self.paused_until_s:
            doubled_s = max(2 * (limits.closest_s + extra_s), THROTTLED_S)
            extra_s = min(max(WIDEST_S, limits.closest_s), doubled_s - limits.closest_s)
        paused_until_s = max(self.paused_until_s, now_s + wait_s)
        return dataclasses.replace(
            self,
            extra_s=extra_s,
            extra_at_s=paused_until_s,
            is_throttled=True,
            paused_until_s=paused_until_s,
        )

    def merged(self, other: RateState) -> Self:
        """Return the state with the later moments of both."""
        wider = self if self.extra_s >= other.extra_s else other
        return dataclasses.replace(
            self,
            request_free_s=max(self.request_free_s, other.request_free_s),
            tokens_free_s=max(self.tokens_free_s, other.tokens_free_s),
            paused_until_s=max(self.paused_until_s, other.paused_until_s),
            extra_s=wider.extra_s,
            extra_at_s=wider.extra_at_s,
            is_throttled=wider.is_throttled,
            used_s=max((s for s in (self.used_s, other.used_s) if s is not None), default=None),
        )

    def _is_of_another_clock(self, now_s: float) -> bool:
        """Whether the clock was set back since the latest request, or the moments are damaged."""
        latest_s = max(self.request_free_s, self.tokens_free_s, self.paused_until_s)
        is_later = self.used_s is not None and self.used_s > now_s + SET_BACK_S
        return is_later or latest_s > now_s + LONGEST_WAIT_S

    def _extra_s(self, now_s: float) -> float:
        """Return the additional distance at a moment."""
        if not self.is_throttled:
            return self.extra_s
        extra_s: float = self.extra_s * 0.5 ** (max(0.0, now_s - self.extra_at_s) / RECOVERY_S)
        return extra_s if extra_s > CLOSE_S else 0.0
