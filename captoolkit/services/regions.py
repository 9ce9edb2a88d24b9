"""Where a service is: Model Studio's regions and interfaces, and one check of every base URL.

Rules: pure. `parse_base_url` takes a base URL apart and checks it once; everything after it uses
the checked `Endpoint`, so that no two parsers can disagree about the host. No message repeats the
parts of a URL that may hold a key. Which key goes to an endpoint is in `keys.py`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, urlsplit

from captoolkit.errors import UsageError

DEFAULT_REGION = "singapore"
MODEL_STUDIO = "model-studio"  # the `hosted_by` of its rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One of the HTTP interfaces of Model Studio.

    Attributes:
        name: the captioner that speaks it.
        base_path: the end of a base URL of Model Studio.
        request_path: where a request goes below the base URL.
        base_urls: the endings of base URLs, for help texts.
    """

    name: str
    base_path: str
    request_path: str
    base_urls: str


NATIVE = Interface(
    name="dashscope",
    base_path="/api/v1",
    request_path="/services/aigc/multimodal-generation/generation",
    base_urls=".../api/v1",
)
COMPATIBLE = Interface(
    name="openai",
    base_path="/compatible-mode/v1",
    request_path="/chat/completions",
    base_urls=".../compatible-mode/v1 or .../v1",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One of Model Studio's regions.

    Attributes:
        host: the host that all accounts share; empty if each workspace has only its own.
        code: the part that names the region in a workspace's own host,
            `ID.CODE.maas.aliyuncs.com`.
    """

    host: str
    code: str

    def base_url(self, interface: Interface) -> str:
        """Return the base URL of an interface on the shared host."""
        return f"https://{self.host}{interface.base_path}"

    def has(self, host: str) -> bool:
        """Return whether a host belongs to this region: the shared host or a workspace's."""
        return host == (self.host or None) or host.endswith(f".{self.code}.maas.aliyuncs.com")


# Source: Model Studio, "Regions and endpoints" (2026-10-12) and "OpenAI compatible - Chat"
# (2026-09-09); its SDK (dashscope 2.0.2). The captioner and Qwen-Audio are documented for Beijing
# and Singapore only, Qwen-Omni for all.
REGIONS = {
    "beijing": Region(host="dashscope.aliyuncs.com", code="cn-beijing"),
    "frankfurt": Region(host="", code="eu-central-1"),
    "hongkong": Region(host="cn-hongkong.dashscope.aliyuncs.com", code="cn-hongkong"),
    "singapore": Region(host="dashscope-intl.aliyuncs.com", code="ap-southeast-1"),
    "tokyo": Region(host="", code="ap-northeast-1"),
    "virginia": Region(host="dashscope-us.aliyuncs.com", code="us-east-1"),
}

# The shared hosts (also of Hong Kong and the US) and the workspace hosts, {id}.{region}.maas.
# Not all of aliyuncs.com: its object storage, functions and model deployments (PAI-EAS) serve
# the content of any customer.
_MODEL_STUDIO_HOST = re.compile(
    r"(?:[a-z0-9-]+\.)*(?:dashscope(?:-[a-z0-9]+)?|maas)\.aliyuncs\.com", re.ASCII
)
_HOST = re.compile(r"[a-z0-9]([a-z0-9_.-]*[a-z0-9])?\.?|[0-9a-f:.]*:[0-9a-f:.]*", re.ASCII)
_PATH = re.compile(r"(?:/[A-Za-z0-9._~%!$&'()*+,;=:@-]+)*", re.ASCII)
_WORKSPACE = re.compile(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*", re.ASCII)
VISIBLE_ASCII = re.compile(r"[!-~]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A checked base URL, without a slash at its end.

    Attributes:
        base_url: put together again from the checked parts.
        host: lower case, without port or brackets.
        encrypted: True for https.
        allows_plain_http: whether the caller allows plain http to this private address.
    """

    base_url: str
    host: str
    encrypted: bool
    allows_plain_http: bool = False

    @property
    def address(self) -> str:
        """The host for messages, with its port unless that is the scheme's default port."""
        port = urlsplit(self.base_url).port
        if port in {None, 443 if self.encrypted else 80}:
            return self.host
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"

    @property
    def is_model_studio(self) -> bool:
        """Whether the host is one of Model Studio's own."""
        return _MODEL_STUDIO_HOST.fullmatch(self.host) is not None

    @property
    def region(self) -> str | None:
        """The Model Studio region of the host; None for any other host.

        ```python
        >>> region_endpoint(COMPATIBLE, "beijing").region
        'beijing'
        >>> endpoint_of("https://w1.cn-beijing.maas.aliyuncs.com/api/v1").region
        'beijing'

        ```
        """
        if not self.encrypted:
            return None
        return next((name for name, region in REGIONS.items() if region.has(self.host)), None)

    @property
    def place(self) -> str:
        """A name for the servers that give the same answers: Model Studio as a whole, or the URL.

        ```python
        >>> region_endpoint(NATIVE, "singapore").place, endpoint_of("http://localhost/v1").place
        ('model-studio', 'http://localhost/v1')

        ```
        """
        return MODEL_STUDIO if self.is_model_studio else self.base_url

    @property
    def speaks_compatible_mode(self) -> bool:
        """Whether Model Studio's compatible mode answers, directly or through a gateway."""
        return self.is_model_studio or self.base_url.endswith(COMPATIBLE.base_path)

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine."""
        return is_loopback(self.host)

    @property
    def is_private(self) -> bool:
        """Whether the host is in a private network: see `is_private_host`."""
        return is_private_host(self.host)

    @property
    def keeps_secrets(self) -> bool:
        """Whether the traffic is encrypted or never leaves this machine."""
        return self.encrypted or self.is_loopback


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine.

    ```python
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("127.0.0.1.example")
    (True, True, False)

    ```
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# RFC 1918, unique local addresses (RFC 4193), and link-local addresses of both kinds.
_PRIVATE_NETWORKS = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
    )
)
_PRIVATE_ENDINGS = (".local", ".internal")  # RFC 6762; reserved by ICANN in 2024
# Some resolvers read such a name as the number of an address.
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")


def is_private_host(host: str) -> bool:
    """Return whether a host is in a private network, by its address or by its name.

    Names are those of one label, and those under `.local` and `.internal`.

    ```python
    >>> [is_private_host(one) for one in ("192.168.0.2", "fd00::1", "gpu1", "gpu1.local")]
    [True, True, True, True]
    >>> [is_private_host(one) for one in ("8.8.8.8", "172.32.0.1", "134744072", "host.example")]
    [False, False, False, False]

    ```
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.endswith(_PRIVATE_ENDINGS) or (
            "." not in host and _NUMBER.fullmatch(host) is None
        )
    mapped = getattr(address, "ipv4_mapped", None) or address
    return any(mapped in network for network in _PRIVATE_NETWORKS)


def is_named(host: str, pattern: str) -> bool:
    """Return whether a pattern names a host: it is the host, or `*.` and a domain above it.

    ```python
    >>> is_named("a.openai.azure.com", "*.openai.azure.com"), is_named("azure.com", "*.azure.com")
    (True, False)

    ```
    """
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and len(host) > len(pattern) - 1
    return host == pattern


def parse_host(base_url: str) -> str:
    """Return the host of a base URL that is known to be valid."""
    return urlsplit(base_url).hostname or ""


def region_endpoint(
    interface: Interface, region: str | None = None, *, workspace: str | None = None
) -> Endpoint:
    """Return the endpoint of an interface in a region, in Singapore if `region` is None.

    Args:
        interface: the interface.
        region: the name of a region in `REGIONS`.
        workspace: the id of a workspace, which a region without a shared host needs.

    Raises:
        UsageError: the region is not known or needs a workspace, or the workspace is no id of one.

    ```python
    >>> region_endpoint(NATIVE, "beijing").base_url
    'https://dashscope.aliyuncs.com/api/v1'

    ```
    """
    row = REGIONS.get(DEFAULT_REGION if region is None else region)
    if row is None:
        names = " or ".join(sorted(REGIONS))
        raise UsageError(f"region={region!r} is not known", fix=f"pass {names}, or a base URL")
    if row.host:
        return parse_base_url(row.base_url(interface), interface)
    if workspace is None:
        raise UsageError(
            f"region={region!r} has no host that all accounts share",
            fix="name your workspace (`workspace`)",
        )
    if not _WORKSPACE.fullmatch(workspace):  # with a slash, its beginning would be another host
        raise UsageError(
            f"`workspace` makes no host in region={region!r}",
            fix="copy its id from Model Studio's console",
        )
    host = f"{workspace.lower()}.{row.code}.maas.aliyuncs.com"
    return parse_base_url(f"https://{host}{interface.base_path}", interface)


def split_query(text: str, allowed: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return a base URL without its query, and the query of its requests.

    Args:
        text: a base URL; its query may have the names of the target's own query, and no others.
        allowed: the query that the target states; the base URL's values replace its values.

    ```python
    >>> split_query("https://a.example/v1?api-version=2", {"api-version": "1"})
    ('https://a.example/v1', {'api-version': '2'})

    ```
    """
    base_url, _, query = text.partition("?")
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    if not pairs or pairs.keys() - allowed.keys():
        return text, dict(allowed)
    return base_url, {**allowed, **pairs}


def endpoint_of(base_url: str) -> Endpoint:
    """Return the endpoint of a base URL, unchecked: for a captioner that sends by itself."""
    parts = urlsplit(base_url)
    return Endpoint(base_url=base_url, host=parts.hostname or "", encrypted=parts.scheme == "https")


def uploads_url(base_url: str) -> str:
    """Return the base URL for uploads to the service at another base URL.

    ```python
    >>> uploads_url("https://dashscope.aliyuncs.com/compatible-mode/v1")
    'https://dashscope.aliyuncs.com/api/v1'

    ```
    """
    if not base_url.endswith(COMPATIBLE.base_path):
        return base_url
    return base_url.removesuffix(COMPATIBLE.base_path) + NATIVE.base_path


def parse_base_url(text: str, interface: Interface) -> Endpoint:
    """Return the endpoint that a base URL names, checked for an interface.

    Raises:
        UsageError: the text is no base URL, or the base URL of another interface.

    ```python
    >>> parse_base_url("http://127.0.0.1:8000/v1/", COMPATIBLE).base_url
    'http://127.0.0.1:8000/v1'

    ```
    """
    parts = _split(text)
    port = "" if parts.port is None else f":{parts.port}"
    host = (parts.hostname or "").rstrip(".")
    shown_host = f"[{host}]" if ":" in host else host
    endpoint = Endpoint(
        base_url=f"{parts.scheme}://{shown_host}{port}{parts.path.rstrip('/')}",
        host=host,
        encrypted=parts.scheme == "https",
    )
    _refuse_unspecified(endpoint, shown_host)
    _check_path(endpoint, interface)
    return endpoint


def _refuse_unspecified(endpoint: Endpoint, shown_host: str) -> None:
    """Refuse 0.0.0.0 and [::]: a server listens there, and no client can ask there.

    Raises:
        UsageError: the host is one of the two.
    """
    try:
        is_unspecified = ipaddress.ip_address(endpoint.host).is_unspecified
    except ValueError:
        return
    if is_unspecified:
        raise UsageError(
            f"{shown_host} is where a server listens, not an address to ask",
            fix=f"pass {endpoint.base_url.replace(shown_host, '127.0.0.1', 1)}",
        )


def _split(text: str) -> SplitResult:
    """Split a URL; refuse a user, password, query or fragment, which no base URL has."""
    try:
        parts = urlsplit(text)
        is_valid = bool(VISIBLE_ASCII.fullmatch(text)) and bool(
            _HOST.fullmatch(parts.hostname or "")
        )
        is_valid = is_valid and parts.scheme in {"http", "https"} and parts.port != 0
    except ValueError:  # brackets that do not match, a port that is no number
        is_valid = False
    if not is_valid:
        raise UsageError(
            "`base_url` is not valid",
            fix="write https://HOST/api/v1 or http://127.0.0.1:8000/v1, without spaces",
        )
    if "@" in parts.netloc or parts.query or parts.fragment or text[-1] in "?#":
        raise UsageError(
            f"the base URL at {parts.hostname} holds more than scheme, host and path",
            fix="leave out user, password, query and fragment; the key comes from the environment",
        )
    if not _PATH.fullmatch(parts.path.rstrip("/")):
        raise UsageError(f"the base URL at {parts.hostname} has an invalid path")
    return parts


def _check_path(endpoint: Endpoint, interface: Interface) -> None:
    for path in (NATIVE.request_path, COMPATIBLE.request_path):
        if endpoint.base_url.endswith(path):
            raise UsageError(
                f"base_url={endpoint.base_url} is the address of one request, not a base URL",
                fix=f"pass {endpoint.base_url.removesuffix(path)}",
            )
    if endpoint.is_model_studio and not endpoint.base_url.endswith(interface.base_path):
        raise UsageError(
            f"base_url={endpoint.base_url} is not where Model Studio answers {interface.name!r}",
            fix=f"pass https://{endpoint.host}{interface.base_path}",
        )
