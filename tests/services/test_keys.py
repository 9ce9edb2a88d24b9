"""Which key goes to which host."""

from __future__ import annotations

from dataclasses import replace

import pytest

from captoolkit.errors import KeyMissingError, UsageError
from captoolkit.services.keys import (
    KEY_VARIABLE,
    check_key,
    check_secrecy,
    choose_key,
    own_headers,
)
from captoolkit.services.regions import (
    COMPATIBLE,
    NATIVE,
    endpoint_of,
    parse_base_url,
    region_endpoint,
)
from tests.support.media_values import SERVICES

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


@pytest.mark.parametrize(
    ("name", "base_url", "variable", "goes"),
    [
        ("openai", "https://api.openai.com/v1", "OPENAI_API_KEY", True),
        ("openai", "https://api.openai.com.example/v1", "OPENAI_API_KEY", False),
        ("openai", "https://dashscope.aliyuncs.com/compatible-mode/v1", "OPENAI_API_KEY", False),
        ("openai", "http://127.0.0.1:9/v1", "OPENAI_API_KEY", True),
        ("openai", "https://api.openai.com/v1", "DASHSCOPE_API_KEY", False),
        ("azure", "https://a.openai.azure.com/openai/v1", "AZURE_OPENAI_API_KEY", True),
        ("azure", "https://openai.azure.com/openai/v1", "AZURE_OPENAI_API_KEY", False),
        ("azure", "https://a.openai.azure.com.example/v1", "AZURE_OPENAI_API_KEY", False),
        ("litellm", "https://proxy.example/v1", "LITELLM_API_KEY", False),
        ("qwen-omni", "https://dashscope.aliyuncs.com/compatible-mode/v1", KEY_VARIABLE, True),
    ],
)
def test_the_key_of_a_target_goes_to_its_hosts(
    name: str, base_url: str, variable: str, *, goes: bool
) -> None:
    """Each target has a variable, whose key goes to its own hosts and to this machine."""
    endpoint, row = parse_base_url(base_url, COMPATIBLE), SERVICES[name]
    environment = {variable: KEY}
    try:
        key = choose_key(endpoint, given=None, environment=environment, row=row)
    except KeyMissingError:
        key = None
    assert key == (KEY if goes else None)


def test_a_target_without_a_variable_gets_no_key() -> None:
    """Model Studio's key does not go to the hosts of a target that names no variable."""
    row = replace(SERVICES["litellm"], base_url="https://proxy.example/v1", key_variable="")
    endpoint = parse_base_url(row.base_url, COMPATIBLE)
    assert choose_key(endpoint, given=None, environment={KEY_VARIABLE: KEY}, row=row) is None
    assert choose_key(endpoint, given=None, environment={}, row=row) is None


def test_a_key_goes_elsewhere_only_where_that_is_asked_for() -> None:
    """`send_key` sends the key of the variable to any host, and then it must be there."""
    row = SERVICES["litellm"]
    for url in ("https://proxy.example/v1", "http://192.168.0.2:4000/v1"):
        endpoint = parse_base_url(url, COMPATIBLE)
        environment = {"LITELLM_API_KEY": KEY}
        sent = choose_key(endpoint, given=None, environment=environment, row=row, send_key=True)
        assert sent == KEY
        with pytest.raises(KeyMissingError, match="LITELLM_API_KEY is not set"):
            choose_key(endpoint, given=None, environment={}, row=row, send_key=True)


def test_a_key_is_not_sent_unencrypted_without_being_asked_for() -> None:
    """Plain http carries sound where it is allowed; a key needs `send_key` as well."""
    endpoint = parse_base_url("http://192.168.0.2:8000/v1", COMPATIBLE)
    assert choose_key(endpoint, given=None, environment={"DASHSCOPE_API_KEY": KEY}) is None
    with pytest.raises(UsageError, match="would send the key unencrypted; leave `api_key` out"):
        choose_key(endpoint, given=KEY, environment={})
    assert choose_key(endpoint, given=KEY, environment={}, send_key=True) == KEY


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
        ("http://gpu1/v1", False),
    ],
)
def test_nothing_travels_unencrypted_over_a_network(url: str, *, is_safe: bool) -> None:
    """Without TLS only this machine is allowed."""
    if is_safe:
        check_secrecy(endpoint_of(url))
    else:
        with pytest.raises(UsageError, match="would send sound and key unencrypted"):
            check_secrecy(endpoint_of(url))


def test_plain_http_to_a_private_address_has_to_be_allowed() -> None:
    """The advice names the option for a private address, and none for a public one."""
    private = endpoint_of("http://10.1.2.3:8000/v1")
    with pytest.raises(UsageError, match="`insecure_http`"):
        check_secrecy(private)
    check_secrecy(replace(private, allows_plain_http=True))
    with pytest.raises(UsageError, match="use https, or a server on this machine"):
        check_secrecy(endpoint_of("http://172.32.0.1/v1"))


@pytest.mark.parametrize(
    ("name", "base_url", "goes"),
    [
        ("openai", "https://api.openai.com/v1", True),
        ("openai", "http://127.0.0.1:9/v1", True),
        ("openai", "https://elsewhere.example/v1", False),
        ("qwen-omni", "https://elsewhere.example/v1", False),
        ("litellm", "https://proxy.example/v1", True),
    ],
)
def test_the_headers_of_a_target_go_to_its_hosts(name: str, base_url: str, *, goes: bool) -> None:
    """A header may hold a secret; a target without hosts has the server that the caller names."""
    row = replace(SERVICES[name], headers={"X-Token": KEY})
    endpoint = parse_base_url(base_url, COMPATIBLE)
    assert own_headers(endpoint, row) == ({"X-Token": KEY} if goes else {})
