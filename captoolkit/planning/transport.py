"""Which way the sound travels: one plan for each way there is, and the best of them.

Rules: pure. The fewest requests count first, then the least change of the sound, then the way that
stands first, so that a longer way round is taken only for something.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence

from captoolkit.bitstream.encodings import describe
from captoolkit.errors import UsageError
from captoolkit.model import Action, Plan, Via
from captoolkit.services.rows import max_bytes, sent_size

AUTO = "auto"
IN_WORDS = {
    Via.BASE64: "inside the request, as Base64 text",
    Via.UPLOAD: "uploaded to the service's own storage",
    Via.URL: "as the URL that it was given by",
}
CHANGES = tuple(Action)  # from least to most


def candidates(wish: str, *, has_url: bool, ways: Collection[Via] | None) -> tuple[Via, ...]:
    """Return the ways to plan for, the one to prefer first.

    Args:
        wish: `auto`, or a way.
        has_url: whether the source lies on the web for everybody.
        ways: those that lead to whoever is asked; None if nobody is, and files are only made.

    Raises:
        UsageError: there is no such way, or none from here.

    ```python
    >>> candidates("auto", has_url=True, ways=Via)
    (<Via.BASE64: 'base64'>, <Via.URL: 'url'>, <Via.UPLOAD: 'upload'>)

    ```
    """
    if wish not in (AUTO, *Via):
        raise UsageError(f"via={wish} is not a way", fix=f"take {', '.join((*Via, AUTO))}")
    if ways is not None and wish not in (AUTO, *ways):
        raise UsageError(
            f"via={wish}: whoever is asked takes no sound that way",
            fix=f"take {' or '.join(way for way in Via if way in ways)}",
        )
    if ways is not None and wish == Via.URL and not has_url:
        raise UsageError(
            "via=url: this is no URL that a service could fetch",
            fix="give the http(s) URL as the source, without a login, or leave --via out",
        )
    if wish != AUTO and (wish != Via.URL or ways is None):
        return (Via(wish),)
    lead_there = {Via.BASE64, Via.UPLOAD} if ways is None else {*ways}
    order = (
        (Via.URL, Via.BASE64, Via.UPLOAD) if wish == Via.URL else (Via.BASE64, Via.URL, Via.UPLOAD)
    )
    return tuple(way for way in order if way in lead_there and (way is not Via.URL or has_url))


def best(make: Callable[[Via], Plan], ways: Sequence[Via]) -> Plan:
    """Return the best plan of those that can be made for some ways, saying why it goes its way.

    What goes by its URL is not changed on the way, so that way counts only if it need not be.
    """
    if len(ways) == 1:
        return make(ways[0])
    plans = [make(via) for via in ways]
    plans = [
        plan for plan in plans if plan.via is not Via.URL or plan.action is Action.PASS_THROUGH
    ]
    # A file that lies where the service can fetch it is sent by its URL if that is asked for.
    is_as_asked = ways[0] is Via.URL and plans[0].via is Via.URL
    chosen = plans[0] if is_as_asked else min(plans, key=_worth)
    return dataclasses.replace(chosen, reasons=(*chosen.reasons, _reason(chosen, plans, ways)))


def _worth(plan: Plan) -> tuple[int, int, int]:
    """How much is asked and changed; the least is best, and the first of several such."""
    kept = 0 if plan.encoding is None else plan.encoding.bit_rate
    return len(plan.spans), CHANGES.index(plan.action), -kept


def _reason(chosen: Plan, plans: Sequence[Plan], ways: Sequence[Via]) -> str:
    said = f"It is sent {IN_WORDS[chosen.via]}"
    inline = next((plan for plan in plans if plan.via is Via.BASE64), chosen)
    if chosen.via is Via.URL:
        return f"{said}: nothing of it has to be changed."
    if chosen.via is Via.UPLOAD:
        largest = max_bytes(inline.target, Via.BASE64)
        most = sent_size(largest or 0, Via.BASE64)
        return f"{said}: within {most} it would be {_outcome(inline)}."
    if ways[0] is Via.URL:
        return f"{said}: as it lies at its URL it does not fit."
    return f"{said}: no other way would keep more of it."


def _outcome(plan: Plan) -> str:
    number = len(plan.spans)
    shape = "the same frames" if plan.encoding is None else describe(plan.encoding)
    return f"{number} segments as {shape}" if number > 1 else f"one segment as {shape}"
