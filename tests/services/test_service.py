"""A service, resolved: its limits, region, dialect, price and rates."""

from __future__ import annotations

import dataclasses

import pytest

from captoolkit.errors import UsageError
from captoolkit.model import CaptionerInfo, Dialect
from captoolkit.services import catalogue
from captoolkit.services.regions import COMPATIBLE, endpoint_of, parse_base_url
from captoolkit.services.service import Service, dialect_of, resolve_service

SINGAPORE = "https://dashscope-intl.aliyuncs.com/api/v1"
MODEL = "qwen3-omni-30b-a3b-captioner"


@pytest.mark.parametrize(
    ("base_url", "dialect"),
    [
        ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", Dialect.MODEL_STUDIO),
        ("https://w1.cn-beijing.maas.aliyuncs.com/compatible-mode/v1", Dialect.MODEL_STUDIO),
        ("https://gateway.example/compatible-mode/v1", Dialect.MODEL_STUDIO),
        ("http://127.0.0.1:8000/v1", Dialect.AUDIO_URL),
        ("https://x.cn-beijing.pai-eas.aliyuncs.com/v1", Dialect.AUDIO_URL),
        ("https://dashscope.aliyuncs.com.example/v1", Dialect.AUDIO_URL),
    ],
)
def test_dialect_follows_from_the_base_url(base_url: str, dialect: Dialect) -> None:
    """Model Studio is known by its hosts and its path; every other server is self-hosted."""
    assert dialect_of(parse_base_url(base_url, COMPATIBLE)) is dialect


def resolved(
    base_url: str | None,
    model: str = MODEL,
    *,
    target: str | None = None,
    region: str | None = None,
) -> Service:
    """Return the service of a captioner at a base URL."""
    info = CaptionerInfo(name="dashscope", model=model, base_url=base_url)
    endpoint = endpoint_of(base_url) if base_url else None
    return resolve_service(info, endpoint, target=target, region=region)


def test_model_studio_has_prices_and_rates() -> None:
    """At Model Studio's own host the region's price and the row's rates hold."""
    service = resolved(SINGAPORE)
    assert (service.region, service.target.name) == ("singapore", "qwen3-omni-captioner")
    assert service.price is not None
    assert service.price.currency == "USD"
    assert (service.requests_per_minute, service.tokens_per_minute) == (60, 100_000)
    assert service.may_cost
    assert service.model_row is service.target or service.model_row == service.target


def test_a_region_beside_another_host_gives_prices_and_no_rates() -> None:
    """A gateway of one's own is billed as the region is, and has rate limits of its own."""
    service = resolved("http://127.0.0.1:9/api/v1", region="beijing")
    assert service.price is not None
    assert service.price.region == "beijing"
    assert service.requests_per_minute is None
    assert service.may_cost


def test_a_self_hosted_server_costs_nothing() -> None:
    """Without a region no price is known, and none is assumed."""
    service = resolved("http://127.0.0.1:9/v1", "Qwen/Qwen3-Omni-30B-A3B-Captioner")
    assert (service.target.name, service.price, service.may_cost) == ("vllm", None, False)
    assert not service.needs_confirmation
    assert service.dialect is Dialect.AUDIO_URL
    assert service.place == "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("base_url", "needs"),
    [("https://listener.example/v1", True), ("http://192.168.0.2/v1", False)],
)
def test_a_server_elsewhere_may_cost_though_no_price_is_known(base_url: str, needs: bool) -> None:
    """A person confirms the requests to any server beyond the private networks."""
    service = resolved(base_url, "Qwen/Qwen3-Omni-30B-A3B-Captioner")
    assert (service.price, service.may_cost, service.needs_confirmation) == (None, False, needs)


def test_prices_hold_for_the_models_of_the_target_only() -> None:
    """The limits of another target may be chosen; its prices are not the model's."""
    service = resolved(SINGAPORE, "qwen-audio-turbo", target="qwen3-omni-captioner")
    assert service.target.name == "qwen3-omni-captioner"
    assert service.price is None
    assert service.model_row is not None
    assert service.model_row.name == "qwen-audio-stable"


def test_an_unknown_model_of_model_studio_needs_a_target() -> None:
    """Its limits are unknown; at a server of one's own the default limits are kept."""
    with pytest.raises(UsageError, match="model=qwen9 is not known; take one of qwen3-omni"):
        resolved(SINGAPORE, "qwen9").require_known_limits()
    resolved(SINGAPORE, "qwen9", target="qwen-audio").require_known_limits()
    own = resolved("http://127.0.0.1:9/v1", "qwen9")
    own.require_known_limits()
    assert own.target.name == "qwen3-omni-captioner"


def test_a_captioner_without_a_base_url_has_no_endpoint() -> None:
    """The local captioner has limits of its own, and no price."""
    service = resolved(None, "acoustic/2")
    assert (service.target.name, service.endpoint, service.place) == ("acoustic", None, "")
    assert not service.may_cost


def test_the_only_region_of_a_row_gives_its_price() -> None:
    """A row that states no region has that of its prices, at its own host only."""
    row = dataclasses.replace(catalogue.target("openai"), region="")
    row = dataclasses.replace(row, base_url="http://gpu1.local:8000/v1")
    for base_url, region in ((row.base_url, "global"), ("http://gpu2.local:8000/v1", None)):
        info = CaptionerInfo(name="openai", model=row.models[0], base_url=base_url)
        service = resolve_service(info, endpoint_of(base_url), target=row)
        assert service.region == region
        assert (service.price is not None) == (region is not None)
