"""The results of a run that are read once: completion, cancellation, failure and end.

Rules: after a cancellation each further request for a result raises `CancelledError`, after a
failure `UsageError`. An object that is dropped without `close` ends its threads and removes its
files.
"""

from __future__ import annotations

import contextlib
import weakref
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Self

from captoolkit.dispatch.run import AskingRun, AskingTotals
from captoolkit.errors import CancelledError, UsageError
from captoolkit.model import Cost, Usage
from captoolkit.support.cancel import Closing, StoppedError

CANCELLED = "this captioning was cancelled"


class RunResults(Closing):
    """An iterator over the results of a run.

    Args:
        run: the run.
        totals: the counts of the results.
        end_preparing: ends the preparation of the segments, and removes them.
        abandon_preparing: does so without waiting.

    Attributes:
        captioner: the captioner.
        is_paid: whether the ledger records the answers, because they may cost money.
        may_cost: whether the service is known to charge for its answers.
        needs_confirmation: whether the answers may cost money: also if the price of a server beyond
            this machine and its private networks is unknown.
    """

    def __init__(
        self,
        run: AskingRun,
        *,
        totals: AskingTotals,
        end_preparing: Callable[[], None],
        abandon_preparing: Callable[[], None],
    ) -> None:
        self.captioner = run.service.info
        self.is_paid = run.is_paid
        self.may_cost = run.may_cost
        self.needs_confirmation = run.needs_confirmation
        self._run = run
        self._totals = totals
        self._end_preparing = end_preparing
        self._is_complete = False
        self._over = ""  # why there are no more results, unless all are there
        # No attribute refers to this object, so that it is finalized as soon as it is dropped.
        self._finalizer = weakref.finalize(self, _abandon, run, abandon_preparing)
        self._finalizer.atexit = False

    def __repr__(self) -> str:
        state = "complete" if self._is_complete else self._over or "not complete"
        return f"<{type(self).__name__} of {self.captioner.model}: {state}>"

    def __iter__(self) -> Self:
        """Return this object, which yields each result once."""
        return self

    @abstractmethod
    def __next__(self) -> object:
        """Return the next result."""

    @property
    def requested(self) -> int:
        """The number of segments sent to the captioner so far.

        The others were in the ledger or could not be sent.
        """
        return self._totals.requested

    @property
    def recalled(self) -> int:
        """The number of answers from the ledger so far."""
        return self._totals.recalled

    @property
    def usage(self) -> Usage:
        """The usage of this run's requests so far.

        A timeline has the usage of all answers, from this run and from earlier ones.
        """
        return self._totals.usage

    @property
    def cost(self) -> Cost | None:
        """The cost of this run's requests so far, None if the price or the usage is unknown."""
        return self._totals.cost

    def close(self) -> None:
        """Cancel the remaining work; may be called twice, and from another thread."""
        self._finalizer.detach()
        if not self._is_complete:
            self._run.stop.set()
        try:
            self._end_preparing()
        finally:
            if self._is_complete:
                self._run.finish()
            else:
                self._run.close()

    @contextlib.contextmanager
    def _ending_on_failure(self) -> Iterator[None]:
        """Refuse further work after a cancellation or a failure."""
        if self._over:
            kind = CancelledError if self._over == CANCELLED else UsageError
            raise kind(self._over, fix="begin another one")
        try:
            yield
        except StoppedError:
            self._over = CANCELLED
            raise CancelledError(self._over, fix="begin another one") from None
        except BaseException:
            self._over = "this captioning has failed before"
            raise


def _abandon(run: AskingRun, abandon_preparing: Callable[[], None]) -> None:
    """End the work of an object that was dropped without `close`."""
    run.stop.set()
    abandon_preparing()
    run.finish(wait_s=0.0)
