"""One service as a run uses it: where it is, and which limits, prices and rates hold there.

Rules: `captioners/registry.py` makes one `Service` for each captioner; the verbs, the rate limiter
and the budget read it and decide nothing of this themselves. It holds no key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from captoolkit.errors import UsageError
from captoolkit.model import CaptionerInfo, Dialect, Price, Target
from captoolkit.services import catalogue
from captoolkit.services.keys import is_host_of
from captoolkit.services.limits import with_answer_limit, with_prompt
from captoolkit.services.price import price_in
from captoolkit.services.regions import MODEL_STUDIO, REGIONS, Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A captioner's service, resolved.

    Attributes:
        info: the captioner's name, its model and its base URL.
        endpoint: the checked base URL; None for a captioner without one.
        region: the Model Studio region for prices; None without prices.
        dialect: how a chat completion carries sound there.
        target: the limits to keep.
        row: the target that states how to ask: the one that the caller names, else the model's;
            None for neither.
        model_row: the target that serves the model; None for an unknown model.
        has_known_limits: False where `target` is only the default, for want of a better one.
        price: in `region`; None where it is unknown.
        requests_per_minute, tokens_per_minute: the service's rate limits; None where unknown.
        parameters: the members of each request's body besides model and messages.
        query: names and values in the address of each request.
    """

    info: CaptionerInfo
    endpoint: Endpoint | None
    region: str | None
    dialect: Dialect
    target: Target
    row: Target | None
    model_row: Target | None
    has_known_limits: bool
    price: Price | None
    requests_per_minute: float | None
    tokens_per_minute: float | None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def must_stream(self) -> bool:
        """Whether the service answers only requests for a stream."""
        return self.row is not None and self.row.must_stream

    @property
    def default_prompt(self) -> str | None:
        """The question about each segment if the caller gives none; None without one."""
        return (self.row.default_prompt or None) if self.row is not None else None

    @property
    def is_model_studio(self) -> bool:
        """Whether Model Studio answers, or a server of one's own at Model Studio's prices."""
        at_model_studio = self.endpoint is not None and self.endpoint.is_model_studio
        return self.region in REGIONS or at_model_studio

    @property
    def may_cost(self) -> bool:
        """Whether the service is known to charge for its answers."""
        return self.is_model_studio or self.price is not None

    @property
    def needs_confirmation(self) -> bool:
        """Whether its answers may cost money: also if a server elsewhere has no known price."""
        endpoint = self.endpoint
        is_own = endpoint is None or endpoint.is_loopback or endpoint.is_private
        return self.may_cost or not is_own

    @property
    def place(self) -> str:
        """A name for the servers that give the same answers: see `Endpoint.place`."""
        return "" if self.endpoint is None else self.endpoint.place

    def require_known_limits(self) -> None:
        """Refuse a Model Studio model with unknown limits.

        Raises:
            UsageError: neither a target nor a row of the model states them.
        """
        if self.has_known_limits or not self.is_model_studio:
            return
        rows = [row for row in catalogue.targets().values() if row.hosted_by]
        raise UsageError(
            f"model={self.info.model} is not known",
            fix=f"take one of {', '.join(model for row in rows for model in row.models)}; or name "
            "the limits to keep (`target`)",
        )


def resolve_service(
    info: CaptionerInfo,
    endpoint: Endpoint | None,
    *,
    target: str | Target | None = None,
    region: str | None = None,
    dialect: Dialect | None = None,
    parameters: Mapping[str, Any] | None = None,
    query: Mapping[str, str] | None = None,
    prompt_bytes: int = 0,
) -> Service:
    """Return the service that a captioner asks, with everything that is known about it.

    Args:
        info: the captioner's name, its model and its base URL.
        endpoint: the same base URL, checked; None without one.
        target: the limits to keep; those of the model if None, else the default target's.
        region: the region for prices if the base URL names none. Rates hold at Model Studio's own
            hosts only.
        dialect: how a chat completion carries sound; None for that of the row, else of the base
            URL.
        parameters: the members of each request's body; None for those of the row. A limit of the
            answer among them lowers that of the target.
        query: names and values in the address of each request; None for those of the row.
        prompt_bytes: the length of the texts in a request, for its worst case.

    Raises:
        UsageError: the target is not known.
    """
    rows = catalogue.rows_of(info.model)
    chosen = None if target is None else catalogue.target(target)
    row = chosen or next(iter(rows), None)
    limits = row or catalogue.target(catalogue.DEFAULT_TARGET)
    body = dict(row.body if row else {}) if parameters is None else parameters
    stated = query or (row.query if row else {})
    limits = with_prompt(with_answer_limit(limits, body), prompt_bytes)
    is_at_home = endpoint is not None and is_host_of(endpoint, limits)
    region = (endpoint.region if endpoint else None) or region
    if region is None and is_at_home and limits.hosted_by != MODEL_STUDIO:
        region = limits.region or _priced_region(limits)
    has_rates = is_at_home or not (limits.hosted_by or limits.base_url or limits.hosts)
    requests, tokens = (
        limits.limit(name) if has_rates else None
        for name in ("requests_per_minute", "tokens_per_minute")
    )
    return Service(
        info=info,
        endpoint=endpoint,
        region=region,
        dialect=dialect or (row and row.dialect) or dialect_of(endpoint),
        target=limits,
        row=row,
        model_row=chosen if chosen in rows else next(iter(rows), None),
        has_known_limits=target is not None or bool(rows),
        price=price_in(limits, region) if info.model in limits.models else None,
        requests_per_minute=float(requests) if requests else None,
        tokens_per_minute=float(tokens) if tokens else None,
        parameters=body,
        query={name: value for name, value in stated.items() if value},
    )


def _priced_region(target: Target) -> str | None:
    """The only region that a target has prices for; None if it has none or several."""
    regions = {price.region for price in target.prices}
    return regions.pop() if len(regions) == 1 else None


def dialect_of(endpoint: Endpoint | None) -> Dialect:
    """Return the dialect at an endpoint where no row states one.

    Hosts and paths of Model Studio have its dialect, because gateways in front of it keep the
    paths.
    """
    if endpoint is None or endpoint.speaks_compatible_mode:
        return Dialect.MODEL_STUDIO
    return Dialect.AUDIO_URL
