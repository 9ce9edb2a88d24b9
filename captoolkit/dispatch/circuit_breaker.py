"""When a run gives up: the captioner fails for one segment after another in the same way.

Rules: an error that every request would meet (an invalid key, no credit) ends the run at once. Any
other error of the captioner counts when its segment is given up: `give_up_after` segments in a row
with one kind of fault end the run, and an answer starts the count again. Errors about the sound of
one segment show that the service works, so they start the count again as well.

While the captioner has not answered a single request of the run, one segment at a time is retried;
the others wait for its outcome. If it is given up, they fail as well and count, and all later ones
are tried once. So a service that is down receives the retries of one segment, and one request for
each other segment that is in flight before `give_up_after` of them have failed.
"""

from __future__ import annotations

import copy
import threading

from captoolkit.captioners.failures import RetryKind, kind_of_fault, rule_for
from captoolkit.errors import (
    CaptoolkitError,
    ServiceConnectionError,
    ServiceError,
)
from captoolkit.support.cancel import TICK_S, CancelScope, StoppedError

GIVE_UP_AFTER = 8
# Attempts at a segment while no connection has ever carried an answer: a server that restarts is
# back within seconds, and a wrong address or a closed port should not take longer.
FIRST_ATTEMPTS = 3


class CircuitBreaker:
    """Ends the scope of a run in which nothing is answered; thread-safe.

    Args:
        scope: the scope of the run.
        give_up_after: the number of segments in a row; 0 never gives up.

    Attributes:
        scope: the scope of the run.
        error: the fault that ended the run, None so far.
    """

    def __init__(self, scope: CancelScope, *, give_up_after: int = GIVE_UP_AFTER) -> None:
        self.error: ServiceError | None = None
        self.scope = scope
        self._give_up_after = give_up_after
        self._guard = threading.Condition()
        self._retrying: object = None  # the only attempts that are retried before an answer
        self._waiting: list[str] = []  # the faults of the segments that wait for its outcome
        self._has_answered = False
        self._kind = ""
        self._in_a_row = 0
        self._is_in_a_row = False  # whether `error` ended the run because it came in a row

    @property
    def unsent_error(self) -> CaptoolkitError | None:
        """The error of the segments that are not sent any more; None as long as the run goes on."""
        another = copy.copy(self.scope.halted)
        if isinstance(another, ServiceError):
            another.request_id = None
        return another

    def answered(self) -> None:
        """Start the count again: the captioner has answered."""
        with self._guard:
            self._has_answered = True
            self._in_a_row = 0
            self._guard.notify_all()

    def halt(self, error: ServiceError) -> None:
        """End the run because of an error that every request would meet."""
        with self._guard:
            if self.error is None:
                self.error = error
                self.scope.halt(error)

    def failed(self, error: CaptoolkitError) -> None:
        """Count a segment that is given up; end the run after too many in a row.

        Errors of captoolkit itself (a segment that was not sent, a ledger that cannot be written)
        do not count.
        """
        if not isinstance(error, ServiceError):
            return
        with self._guard:
            if self.error is not None:
                return
            if rule_for(error).is_about_sound:
                self._in_a_row = 0
                return
            kind = kind_of_fault(error)
            self._in_a_row = self._in_a_row + 1 if kind == self._kind else 1
            self._kind = kind
            waiting = 0 if self._has_answered else self._waiting.count(kind)
            if 0 < self._give_up_after <= self._in_a_row + waiting:
                self.error, self._is_in_a_row = error, True
                self.scope.halt(_not_sent(error, self._in_a_row + waiting))

    def most_attempts(self, error: ServiceError) -> int | None:
        """Return the largest number of attempts after an error; None for that of its kind."""
        with self._guard:
            if self._has_answered or rule_for(error).retry is RetryKind.SLOWER:
                return None
            if self._has_given_up(error):
                return 1
            return FIRST_ATTEMPTS if isinstance(error, ServiceConnectionError) else None

    def may_retry(self, error: ServiceError, attempts: object) -> bool:
        """Return whether a segment may be retried; wait while another one finds that out.

        Args:
            error: the error of its latest attempt.
            attempts: the attempts at the segment; `end_retries` is called with them afterwards.

        Raises:
            StoppedError: the run was cancelled.
        """
        if rule_for(error).retry is RetryKind.SLOWER:
            return True
        with self._guard:
            while not self._has_answered:
                if self.scope.stop.is_set():
                    raise StoppedError
                if self.scope.halted is not None or self._has_given_up(error):
                    return False
                if self._retrying in (None, attempts):
                    self._retrying = attempts
                    break
                kind = kind_of_fault(error)
                self._waiting.append(kind)
                self._guard.wait(TICK_S)
                self._waiting.remove(kind)
            return True

    def end_retries(self, attempts: object) -> None:
        """Let another segment be retried: these attempts have an outcome, which is counted."""
        with self._guard:
            if self._retrying is attempts:
                self._retrying = None
                self._guard.notify_all()

    def _has_given_up(self, error: ServiceError) -> bool:
        """Return whether the latest segment was given up because of an error of that kind."""
        return self._in_a_row > 0 and self._kind == kind_of_fault(error)

    def final_error(self, left: int, *, is_least: bool = False) -> ServiceError:
        """Return the fault that ended the run, with the number of segments that are left.

        Args:
            left: the segments without a caption.
            is_least: whether more segments may be left.
        """
        assert self.error is not None
        if left < 2:
            return self.error
        least = "at least " if is_least else ""
        remainder = f"{least}{left:,} segments are left, run it again"
        parts = [self.error.fix, "nothing answers" if self._is_in_a_row else "", remainder]
        another = copy.copy(self.error)
        another.fix = "; ".join(part for part in parts if part)
        another.__cause__ = self.error
        return another


def _not_sent(error: ServiceError, count: int) -> ServiceError:
    """Return the error of the segments that are not sent any more."""
    another = copy.copy(error)
    another.problem = f"not sent, because {count:,} segments in a row failed: {error.problem}"
    another.request_id = None
    return another
