"""Model Studio's regions, and the check of base URLs."""

from __future__ import annotations

import pytest

from captoolkit.services.regions import (
    COMPATIBLE,
    NATIVE,
    REGIONS,
    Endpoint,
    endpoint_of,
    parse_base_url,
    region_endpoint,
)


@pytest.mark.parametrize(
    ("text", "base_url", "host"),
    [
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1", "127.0.0.1"),
        ("HTTPS://Captions.Example//", "https://captions.example", "captions.example"),
        ("https://captions.example./v1", "https://captions.example/v1", "captions.example"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1", "::1"),
        ("https://a.example/x/y-z/v1", "https://a.example/x/y-z/v1", "a.example"),
    ],
)
def test_base_url_is_put_into_one_form(text: str, base_url: str, host: str) -> None:
    """Case of the host, a dot after it and slashes at the end make no difference."""
    endpoint = parse_base_url(text, COMPATIBLE)
    encrypted = base_url.startswith("https")
    assert endpoint == Endpoint(base_url=base_url, host=host, encrypted=encrypted)


def test_regions_are_model_studio_and_need_tls() -> None:
    """Every row of the table is an encrypted address of the service itself."""
    for region in REGIONS:
        for interface in (NATIVE, COMPATIBLE):
            endpoint = region_endpoint(interface, region)
            assert endpoint.is_model_studio
            assert endpoint.encrypted


@pytest.mark.parametrize(
    ("base_url", "address"),
    [
        ("http://127.0.0.1:8000/v1", "127.0.0.1:8000"),
        ("http://127.0.0.1:80/v1", "127.0.0.1"),
        ("http://[::1]:8000/v1", "[::1]:8000"),
        ("https://captions.example:443/v1", "captions.example"),
        ("https://captions.example/v1", "captions.example"),
    ],
)
def test_a_message_names_the_port_where_it_is_not_the_usual_one(
    base_url: str, address: str
) -> None:
    """Servers on this machine are distinguished by their ports."""
    assert parse_base_url(base_url, COMPATIBLE).address == address


@pytest.mark.parametrize(
    ("url", "region", "is_model_studio"),
    [
        ("https://dashscope.aliyuncs.com/api/v1", "beijing", True),
        ("https://w1.ap-southeast-1.maas.aliyuncs.com/api/v1", "singapore", True),
        ("https://cn-hongkong.dashscope.aliyuncs.com/api/v1", None, True),
        ("http://dashscope.aliyuncs.com/api/v1", None, True),
        ("https://dashscope.aliyuncs.com.example/api/v1", None, False),
        ("http://127.0.0.1:8000/v1", None, False),
    ],
)
def test_an_endpoint_knows_its_region(
    url: str, region: str | None, *, is_model_studio: bool
) -> None:
    """Only encrypted hosts belong to a region; Model Studio has other hosts too."""
    endpoint = endpoint_of(url)
    assert (endpoint.region, endpoint.is_model_studio) == (region, is_model_studio)
    assert (endpoint.place == "model-studio") is is_model_studio
