"""Model Studio's regions, and the check of base URLs."""

from __future__ import annotations

import pytest

from captoolkit.errors import UsageError
from captoolkit.services.regions import (
    COMPATIBLE,
    NATIVE,
    REGIONS,
    Endpoint,
    endpoint_of,
    is_private_host,
    parse_base_url,
    region_endpoint,
    split_query,
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
            endpoint = region_endpoint(interface, region, workspace="w1")
            assert endpoint.region == region
            assert endpoint.is_model_studio
            assert endpoint.encrypted


@pytest.mark.parametrize("workspace", ["https://w1.example", "w1/x", "w1@host.example", "w:1", ""])
def test_a_workspace_that_is_no_id_leads_to_no_other_host(workspace: str) -> None:
    """A URL or a path in place of the id would name a host that is not Model Studio's."""
    with pytest.raises(UsageError, match="`workspace` makes no host"):
        region_endpoint(COMPATIBLE, "tokyo", workspace=workspace)


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
        ("https://cn-hongkong.dashscope.aliyuncs.com/api/v1", "hongkong", True),
        ("https://w1.eu-central-1.maas.aliyuncs.com/api/v1", "frankfurt", True),
        ("https://w1.mars-1.maas.aliyuncs.com/api/v1", None, True),
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


@pytest.mark.parametrize(
    ("host", "is_private"),
    [
        ("10.0.0.1", True),
        ("172.16.0.1", True),
        ("172.31.255.255", True),
        ("192.168.1.1", True),
        ("169.254.1.1", True),
        ("fd12:3456::1", True),
        ("fe80::1", True),
        ("::ffff:192.168.1.1", True),
        ("gpu1", True),
        ("gpu-1.local", True),
        ("llm.internal", True),
        ("172.32.0.1", False),
        ("100.64.0.1", False),
        ("8.8.8.8", False),
        ("2001:db8::1", False),
        ("::ffff:8.8.8.8", False),
        ("134744072", False),
        ("0x08080808", False),
        ("8.8.2056", False),
        ("local", True),
        ("captions.example", False),
        ("192.168.1.1.example", False),
    ],
)
def test_a_private_host_is_known_by_address_or_name(host: str, *, is_private: bool) -> None:
    """RFC 1918, unique local and link-local addresses, single labels, `.local`, `.internal`."""
    assert is_private_host(host) is is_private


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_where_a_server_listens_nobody_can_ask(host: str) -> None:
    """The advice is the same address on this machine."""
    with pytest.raises(UsageError, match=r"pass http://127\.0\.0\.1:8000/v1$"):
        parse_base_url(f"http://{host}:8000/v1", COMPATIBLE)


def test_a_base_url_may_have_the_query_that_its_target_names() -> None:
    """Azure's `api-version` is one; any other query stays, and is refused with the base URL."""
    allowed = {"api-version": ""}
    text = "https://a.example/v1?api-version=2025-01-01-preview"
    assert split_query(text, allowed) == (
        "https://a.example/v1",
        {"api-version": "2025-01-01-preview"},
    )
    assert split_query("https://a.example/v1", allowed) == ("https://a.example/v1", allowed)
    base_url, _ = split_query("https://a.example/v1?key=sk-secret", allowed)
    with pytest.raises(UsageError, match="holds more than scheme, host and path"):
        parse_base_url(base_url, COMPATIBLE)
