"""Which key goes to which host."""

from __future__ import annotations

import pytest

from captoolkit.errors import KeyMissingError, UsageError
from captoolkit.services.keys import check_key, check_secrecy, choose_key
from captoolkit.services.regions import (
    COMPATIBLE,
    NATIVE,
    endpoint_of,
    parse_base_url,
    region_endpoint,
)

KEY = "sk-secret-0123456789abcdef"


@pytest.mark.parametrize(
    ("base_url", "goes"),
    [
        ("https://dashscope.aliyuncs.com/compatible-mode/v1", True),
        ("https://DashScope-Intl.aliyuncs.com:443/compatible-mode/v1", True),
        ("https://cn-hongkong.dashscope.aliyuncs.com/compatible-mode/v1", True),
        ("https://w1.ap-southeast-1.maas.aliyuncs.com/compatible-mode/v1", True),
        ("http://127.0.0.1:8000/v1", True),
        ("http://[::1]/v1", True),
        ("http://localhost:8000/v1", True),
        ("https://captions.example/v1", False),
        ("http://192.168.0.2:8000/v1", False),
        ("http://0.0.0.0:8000/v1", False),
        ("http://localhost.example/v1", False),
        ("https://dashscope.aliyuncs.com.example/compatible-mode/v1", False),
        ("https://dashscope-aliyuncs.com/compatible-mode/v1", False),
        ("https://evildashscope.aliyuncs.com/v1", False),
        ("https://anybody.oss-cn-beijing.aliyuncs.com/v1", False),
        ("https://dashscope.oss-cn-beijing.aliyuncs.com/v1", False),
        ("https://anybody.cn-beijing.pai-eas.aliyuncs.com/v1", False),
    ],
)
def test_environment_key_goes_to_its_own_service_only(base_url: str, *, goes: bool) -> None:
    """The key made for Model Studio goes to its hosts and to this machine."""
    endpoint = parse_base_url(base_url, COMPATIBLE)
    environment = {"DASHSCOPE_API_KEY": KEY}
    chosen = choose_key(endpoint, given=None, environment=environment)
    assert chosen == (KEY if goes else None)
    assert choose_key(endpoint, given="sk-other", environment=environment) == "sk-other"


def test_model_studio_needs_a_key() -> None:
    """A missing or empty key is an error for Model Studio's hosts alone."""
    for environment in ({}, {"DASHSCOPE_API_KEY": ""}):
        with pytest.raises(KeyMissingError, match="DASHSCOPE_API_KEY is not set"):
            choose_key(region_endpoint(NATIVE), given=None, environment=environment)
        assert (
            choose_key(endpoint_of("http://[::1]/v1"), given=None, environment=environment) is None
        )


@pytest.mark.parametrize("key", ["", " ", "sk a", "sk-\n", "sk-é"])
def test_an_invalid_key_is_refused_without_showing_it(key: str) -> None:
    """Spaces, line breaks and letters outside ASCII are refused."""
    with pytest.raises(UsageError, match="the key in api_key is empty or holds a space") as caught:
        check_key(key, "api_key")
    assert not key.strip() or key not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [
        ("https://captions.example/v1", True),
        ("http://127.0.0.1:8000/v1", True),
        ("http://localhost/v1", True),
        ("http://captions.example/v1", False),
        ("http://192.168.0.2/v1", False),
    ],
)
def test_nothing_travels_unencrypted_over_a_network(url: str, *, is_safe: bool) -> None:
    """Without TLS only this machine is allowed."""
    if is_safe:
        check_secrecy(endpoint_of(url))
    else:
        with pytest.raises(UsageError, match="would send sound and key unencrypted"):
            check_secrecy(endpoint_of(url))
