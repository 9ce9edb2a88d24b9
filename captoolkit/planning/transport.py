"""The way in which the sound travels to a service: one plan for each way, and the best of them.

Rules: pure. The fewest requests count first, then the least change of the sound, then the order of
the ways: an upload is chosen only where it gains something.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence

from captoolkit.bitstream.encodings import describe
from captoolkit.errors import UsageError
from captoolkit.model import Action, Plan, Via
from captoolkit.services.limits import max_bytes, sent_size

FETCHED = "The service fetches each file from a public URL."
AUTO = "auto"
IN_WORDS = {
    Via.BASE64: "inside the request, as Base64 text",
    Via.UPLOAD: "uploaded to the service's own storage",
    Via.URL: "by its own URL",
}
CHANGES = tuple(Action)  # from least to most


def candidates(wish: str, *, has_url: bool, ways: Collection[Via] | None) -> tuple[Via, ...]:
    """Return the ways to plan for, the preferred one first.

    Args:
        wish: `auto`, or a way.
        has_url: whether the source has a public URL.
        ways: the ways that the captioner takes; None where files are made and not sent.

    Raises:
        UsageError: there is no such way, or the captioner does not take it.

    ```python
    >>> candidates("auto", has_url=True, ways=Via)
    (<Via.BASE64: 'base64'>, <Via.URL: 'url'>, <Via.UPLOAD: 'upload'>)

    ```
    """
    if wish not in (AUTO, *Via):
        raise UsageError(f"via={wish} is not a way", fix=f"take {', '.join((*Via, AUTO))}")
    if ways is not None and wish not in (AUTO, *ways):
        raise UsageError(
            f"via={wish}: the captioner takes no sound that way",
            fix=f"take {' or '.join(way for way in Via if way in ways)}",
        )
    if ways is not None and wish == Via.URL and not has_url:
        raise UsageError(
            "via=url: the source is no URL that a service could fetch",
            fix="give the http(s) URL as the source, without a login, or leave `via` out",
        )
    if wish != AUTO and (wish != Via.URL or ways is None):
        return (Via(wish),)
    possible = {Via.BASE64, Via.UPLOAD} if ways is None else {*ways}
    order = (
        (Via.URL, Via.BASE64, Via.UPLOAD) if wish == Via.URL else (Via.BASE64, Via.URL, Via.UPLOAD)
    )
    return tuple(way for way in order if way in possible and (way is not Via.URL or has_url))


def best(make: Callable[[Via], Plan], ways: Sequence[Via]) -> Plan:
    """Return the best of the plans for some ways, with a sentence on why it goes its way.

    A file cannot be changed on its way from a URL, so that way counts only for a pass-through. If
    it is the only way, the files are made to be published.
    """
    if len(ways) == 1:
        plan = make(ways[0])
        reasons = (*plan.reasons, FETCHED) if plan.via is Via.URL else plan.reasons
        return dataclasses.replace(plan, reasons=reasons)
    plans = {via: make(via) for via in ways}
    possible = {
        via: plan
        for via, plan in plans.items()
        if via is not Via.URL or plan.action is Action.PASS_THROUGH
    }
    # A file that the service can fetch is sent by its URL if the caller prefers that.
    prefers_url = ways[0] is Via.URL and Via.URL in possible
    chosen = Via.URL if prefers_url else min(possible, key=lambda via: _cost(possible[via]))
    reason = _reason(chosen, possible, prefers_url=ways[0] is Via.URL)
    return dataclasses.replace(possible[chosen], reasons=(*possible[chosen].reasons, reason))


def _cost(plan: Plan) -> tuple[int, int, int]:
    """The requests, the change of the sound, the lost bit rate; the smallest is the best."""
    kept = 0 if plan.encoding is None else plan.encoding.bit_rate
    return len(plan.spans), CHANGES.index(plan.action), -kept


def _reason(chosen: Via, plans: Mapping[Via, Plan], *, prefers_url: bool) -> str:
    way = f"It is sent {IN_WORDS[chosen]}"
    if chosen is Via.URL:
        return f"{way}: the file needs no change."
    if chosen is Via.UPLOAD:
        inline = plans.get(Via.BASE64, plans[chosen])
        largest = max_bytes(inline.target, Via.BASE64) if inline.target else None
        most = sent_size(largest or 0, Via.BASE64)
        return f"{way}: within {most} it would be {_outcome(inline)}."
    if prefers_url:
        return f"{way}: the file at its URL does not fit."
    return f"{way}: no other way would keep more of the sound."


def _outcome(plan: Plan) -> str:
    number = len(plan.spans)
    shape = "the same frames" if plan.encoding is None else describe(plan.encoding)
    return f"{number:,} segments as {shape}" if number > 1 else f"one segment as {shape}"
