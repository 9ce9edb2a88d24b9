"""Faults on request: how they are written, and which request gets which. Pure.

A fault is written `KIND[=HOW]`. HOW is a count (`3`: the first three requests), a share (`0.2` or
`20%`: about every fifth) or missing (all of them). The first fault that takes a request has it.

Rules: which requests get a fault depends on the seed and on their number alone, never on what they
hold or when they come, so that a run can be repeated.

```python
>>> Fault.parse("throttle=20%").share, Fault.parse("reset=3").count, Fault.parse("hang").share
(0.2, 3, 1.0)

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

BURST = 4  # requests in a row that `throttle` with a share treats alike


class Kind(StrEnum):
    """What can go wrong with a request for a caption."""

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
    # And with an upload.
    POLICY_THROTTLE = "policy-throttle"
    UPLOAD_EXPIRED = "upload-expired"


MEANINGS = {
    Kind.THROTTLE: "429 with Retry-After: 1; as a share, in bursts of four requests",
    Kind.QUOTA: "429 that waiting does not cure: the free quota is used up",
    Kind.KEY: "401: the key is not valid",
    Kind.ERROR500: "500 InternalError",
    Kind.HTML: "502 with an HTML page",
    Kind.REDIRECT: "307 to another host name, localhost, where a key must not follow",
    Kind.DOWNLOAD_ERROR: "400: the audio could not be downloaded in time",
    Kind.HANG: "nothing is answered, and the connection stays open",
    Kind.RESET: "the connection is reset without an answer",
    Kind.HALF: "half of the answer's bytes, then the connection is closed",
    Kind.BREAK: "half of a stream's events, then it ends in good order; else as half",
    Kind.DRIP: "the answer comes a byte a second",
    Kind.SSE_ERROR: "status 200, and an error inside: as an event half-way, or as the document",
    Kind.BIGHEADER: "a header of a MiB before a good answer",
    Kind.POLICY_THROTTLE: "429 for the policy that an upload begins with",
    Kind.UPLOAD_EXPIRED: "403 in XML for an upload: policy expired",
}
POLICY_KINDS = frozenset({Kind.POLICY_THROTTLE})
UPLOAD_KINDS = frozenset({Kind.UPLOAD_EXPIRED})
ASK_KINDS = frozenset(Kind) - POLICY_KINDS - UPLOAD_KINDS

_HOW = re.compile(r"(?P<count>\d+)|(?P<share>\d*\.\d+)|(?P<percent>\d+(?:\.\d+)?)%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of fault and how many requests it takes.

    Attributes:
        share: of the requests, above 0, at most 1; None where there is a count.
        count: that many, the first ones; None where there is a share.
    """

    kind: Kind
    share: float | None = None
    count: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the fault that a text describes.

        Raises:
            UsageError: it describes none.
        """
        name, equals, how = text.partition("=")
        if name not in set(Kind):
            raise UsageError(f"fault={text} is not known", fix=f"known are {', '.join(Kind)}")
        if not equals:
            return cls(kind=Kind(name), share=1.0)
        found = _HOW.fullmatch(how)
        if found is None:
            raise _unclear(text)
        if found["count"]:
            return cls(kind=Kind(name), count=int(found["count"]))
        share = float(found["share"]) if found["share"] else float(found["percent"]) / 100
        if not 0 < share <= 1:
            raise _unclear(text)
        return cls(kind=Kind(name), share=share)

    def takes(self, number: int, *, seed: int) -> bool:
        """Return whether a fault with a share takes the request of that number."""
        if self.share is None:
            return False
        burst = number // BURST if self.kind is Kind.THROTTLE else number
        return _draw(seed, self.kind, burst) < self.share


def _unclear(text: str) -> UsageError:
    return UsageError(
        f"fault={text} does not say how often",
        fix="write a count (reset=3), a share (reset=0.2 or reset=20%), or nothing for always",
    )


def _draw(seed: int, kind: Kind, number: int) -> float:
    """A number in [0, 1) that is always the same for the same arguments."""
    digest = hashlib.sha256(f"{seed}/{kind}/{number}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48


class Schedule:
    """Says for each request in turn which fault takes it."""

    def __init__(self, faults: Iterable[str | Fault], *, seed: int) -> None:
        self._faults = tuple(
            fault if isinstance(fault, Fault) else Fault.parse(fault) for fault in faults
        )
        self._seed = seed
        self._left = [fault.count or 0 for fault in self._faults]
        self._numbers = dict.fromkeys((ASK_KINDS, POLICY_KINDS, UPLOAD_KINDS), 0)

    def next(self, kinds: frozenset[Kind]) -> Kind | None:
        """Return what happens to the next request of those that `kinds` can happen to."""
        number = self._numbers[kinds]
        self._numbers[kinds] += 1
        for place, fault in enumerate(self._faults):
            if fault.kind not in kinds:
                continue
            if self._left[place] or fault.takes(number, seed=self._seed):
                self._left[place] -= fault.count is not None
                return fault.kind
        return None
