"""Faults on request: their notation, and which request gets which fault. Pure.

A fault is written `KIND[=HOW]`. HOW is a count (`3`: the first three requests), a share (`0.2` or
`20%`: about every fifth request) or missing (all requests). The first fault that selects a request
applies to it.

Rules: the seed and the request's number alone decide which requests get a fault. Content and time
have no influence, so that a run can be repeated. This module loads no library: the command's help
lists `MEANINGS`.

```python
>>> FaultRule.parse("throttle=20%").share, FaultRule.parse("reset=3").count
(0.2, 3)

```
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from captoolkit.errors import UsageError

BURST = 4  # consecutive requests that `throttle` with a share treats alike


class FaultKind(StrEnum):
    """The faults that can be injected into a request."""

    THROTTLE = "throttle"
    QUOTA = "quota"
    KEY = "key"
    ERROR500 = "error500"
    HTML = "html"
    REDIRECT = "redirect"
    DOWNLOAD_ERROR = "download-error"
    HANG = "hang"
    RESET = "reset"
    HALF = "half"
    BREAK = "break"
    DRIP = "drip"
    SSE_ERROR = "sse-error"
    BIGHEADER = "bigheader"
    # Requests of an upload.
    POLICY_THROTTLE = "policy-throttle"
    UPLOAD_EXPIRED = "upload-expired"


MEANINGS = {
    FaultKind.THROTTLE: "429 with Retry-After: 1; as a share, in bursts of four requests",
    FaultKind.QUOTA: "429 that no retry cures: the free quota is used up",
    FaultKind.KEY: "401: the key is not valid",
    FaultKind.ERROR500: "500 InternalError",
    FaultKind.HTML: "502 with an HTML page",
    FaultKind.REDIRECT: "307 to another host name, localhost, where a key must not follow",
    FaultKind.DOWNLOAD_ERROR: "400: the audio could not be downloaded in time",
    FaultKind.HANG: "no reply, and the connection stays open",
    FaultKind.RESET: "the connection is reset without a reply",
    FaultKind.HALF: "half of the reply's bytes, then the connection is closed",
    FaultKind.BREAK: "half of a stream's events, then a regular end; other replies as half",
    FaultKind.DRIP: "the reply arrives at one byte a second",
    FaultKind.SSE_ERROR: "status 200 with an error inside: an event half-way, or the document",
    FaultKind.BIGHEADER: "a header of 1 MiB before a correct reply",
    FaultKind.POLICY_THROTTLE: "429 for the policy request that starts an upload",
    FaultKind.UPLOAD_EXPIRED: "403 in XML for an upload: policy expired",
}
POLICY_KINDS = frozenset({FaultKind.POLICY_THROTTLE})
UPLOAD_KINDS = frozenset({FaultKind.UPLOAD_EXPIRED})
CAPTION_KINDS = frozenset(FaultKind) - POLICY_KINDS - UPLOAD_KINDS

_HOW = re.compile(r"(?P<count>\d+)|(?P<share>\d*\.\d+)|(?P<percent>\d+(?:\.\d+)?)%")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """One kind of fault and how many requests it selects.

    Attributes:
        share: of the requests, above 0, at most 1; None if there is a count.
        count: the number of requests, the first ones; None if there is a share.
    """

    kind: FaultKind
    share: float | None = None
    count: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the rule that a text describes.

        Raises:
            UsageError: the kind is unknown, or the text after `=` is no count and no share.
        """
        name, equals, how = text.partition("=")
        if name not in set(FaultKind):
            raise UsageError(f"fault={text} is not known", fix=f"known are {', '.join(FaultKind)}")
        if not equals:
            return cls(kind=FaultKind(name), share=1.0)
        match = _HOW.fullmatch(how)
        if match is None:
            raise _unclear(text)
        if match["count"]:
            return cls(kind=FaultKind(name), count=int(match["count"]))
        share = float(match["share"]) if match["share"] else float(match["percent"]) / 100
        if not 0 < share <= 1:
            raise _unclear(text)
        return cls(kind=FaultKind(name), share=share)

    def selects(self, number: int, *, seed: int) -> bool:
        """Return whether a rule with a share selects the request of that number."""
        if self.share is None:
            return False
        burst = number // BURST if self.kind is FaultKind.THROTTLE else number
        return _draw(seed, self.kind, burst) < self.share


def _unclear(text: str) -> UsageError:
    return UsageError(
        f"fault={text} has no valid frequency",
        fix="write a count (reset=3), a share (reset=0.2 or reset=20%), or nothing for always",
    )


def _draw(seed: int, kind: FaultKind, number: int) -> float:
    """Return a number in [0, 1) that depends on the arguments alone."""
    digest = hashlib.sha256(f"{seed}/{kind}/{number}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48


class FaultSchedule:
    """Chooses the fault of each request in turn.

    Raises:
        UsageError: a text describes no fault.
    """

    def __init__(self, faults: Iterable[str], *, seed: int) -> None:
        self._rules = tuple(map(FaultRule.parse, faults))
        self._seed = seed
        self._remaining = [rule.count or 0 for rule in self._rules]
        self._numbers = dict.fromkeys((CAPTION_KINDS, POLICY_KINDS, UPLOAD_KINDS), 0)

    def next(self, kinds: frozenset[FaultKind]) -> FaultKind | None:
        """Return the fault of the next request among those that `kinds` can affect."""
        number = self._numbers[kinds]
        self._numbers[kinds] += 1
        for index, rule in enumerate(self._rules):
            if rule.kind not in kinds:
                continue
            if self._remaining[index] or rule.selects(number, seed=self._seed):
                self._remaining[index] -= rule.count is not None
                return rule.kind
        return None
