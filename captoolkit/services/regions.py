"""Where a service is, and which key may go there: one table of regions, one check of a base URL.

Rules: pure, no network and no environment of its own. A base URL is taken apart and checked once,
here, and the strict reading is what is used afterwards, so that two parsers can never disagree
about its host. A key from the environment goes to Model Studio's own hosts or to this machine and
nowhere else; nothing, whatever the key, goes over an unencrypted network. No message repeats
a key, nor the parts of a URL that may hold one.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from captoolkit.errors import KeyMissingError, UsageError

KEY_VARIABLE = "DASHSCOPE_API_KEY"
DEFAULT_REGION = "singapore"
MODEL_STUDIO = "model-studio"  # the `hosted_by` of its rows

# What Model Studio's base URLs end in, and what is asked for below them.
BASE_PATHS = {"dashscope": "/api/v1", "openai": "/compatible-mode/v1"}
ENDPOINT_PATHS = {
    "dashscope": "/services/aigc/multimodal-generation/generation",
    "openai": "/chat/completions",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One of Model Studio's regions.

    Attributes:
        host: the one that all its accounts share.
        code: what stands in the names of its workspaces' own hosts, `ID.CODE.maas.aliyuncs.com`.
    """

    host: str
    code: str

    def base_url(self, captioner: str) -> str:
        """Return where a captioner is asked on the shared host."""
        return f"https://{self.host}{BASE_PATHS[captioner]}"

    def has(self, host: str) -> bool:
        """Tell whether a host is one of this region: the shared one or a workspace's."""
        return host == self.host or host.endswith(f".{self.code}.maas.aliyuncs.com")


# Source: Model Studio, "Audio understanding (Qwen3-Omni-Captioner)", code samples; the model is
# documented for these two regions only. The codes: Model Studio's SDK (dashscope 2.0.2).
REGIONS = {
    "beijing": Region(host="dashscope.aliyuncs.com", code="cn-beijing"),
    "singapore": Region(host="dashscope-intl.aliyuncs.com", code="ap-southeast-1"),
}

# The shared hosts (also of Hong Kong and the US) and the workspace hosts, {id}.{region}.maas.
# Not all of aliyuncs.com: its object storage, functions and model deployments (PAI-EAS) serve
# whatever any customer puts there.
_MODEL_STUDIO_HOST = re.compile(
    r"(?:[a-z0-9-]+\.)*(?:dashscope(?:-[a-z0-9]+)?|maas)\.aliyuncs\.com", re.ASCII
)
_HOST = re.compile(r"[a-z0-9]([a-z0-9_.-]*[a-z0-9])?\.?|[0-9a-f:.]*:[0-9a-f:.]*", re.ASCII)
_PATH = re.compile(r"(?:/[A-Za-z0-9._~%!$&'()*+,;=:@-]+)*", re.ASCII)
_VISIBLE = re.compile(r"[!-~]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A checked base URL, without a slash at its end.

    Attributes:
        base_url: put together again from the checked parts.
        host: lower case, without port or brackets.
        encrypted: True for https.
    """

    base_url: str
    host: str
    encrypted: bool

    @property
    def address(self) -> str:
        """The host as messages name it: with its port, unless that is the usual one."""
        port = urlsplit(self.base_url).port
        if port in {None, 443 if self.encrypted else 80}:
            return self.host
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"

    @property
    def is_model_studio(self) -> bool:
        """Whether the host is one of Model Studio's own."""
        return _MODEL_STUDIO_HOST.fullmatch(self.host) is not None

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine."""
        return is_loopback(self.host)

    @property
    def keeps_secrets(self) -> bool:
        """Whether what is sent cannot be read on the way."""
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


def region_endpoint(captioner: str, region: str | None = None) -> Endpoint:
    """Return where `captioner` is asked in `region`, Singapore if none is given.

    Raises:
        UsageError: there is no such region.

    ```python
    >>> region_endpoint("dashscope", "beijing").base_url
    'https://dashscope.aliyuncs.com/api/v1'

    ```
    """
    found = REGIONS.get(DEFAULT_REGION if region is None else region)
    if found is None:
        known = " or ".join(sorted(REGIONS))
        raise UsageError(f"region={region!r} is not known", fix=f"pass {known}, or a base URL")
    return parse_base_url(found.base_url(captioner), captioner=captioner)


def region_of(endpoint: Endpoint) -> str | None:
    """Return the region that an endpoint lies in, None for every host that is no region's.

    ```python
    >>> region_of(region_endpoint("openai", "beijing"))
    'beijing'

    ```
    """
    return region_of_url(endpoint.base_url)


def region_of_url(url: str) -> str | None:
    """Return the region that a URL of a shared or a workspace's host names, else None.

    ```python
    >>> region_of_url("https://dashscope-intl.aliyuncs.com/api/v1"), region_of_url("")
    ('singapore', None)
    >>> region_of_url("https://w1.cn-beijing.maas.aliyuncs.com/api/v1")
    'beijing'

    ```
    """
    if not url.startswith("https://"):
        return None
    host = urlsplit(url).hostname or ""
    return next((name for name, region in REGIONS.items() if region.has(host)), None)


def place_of(base_url: str) -> str:
    """Return what a base URL is known by among requests that ask the same.

    Model Studio answers alike at all its hosts, so that they are one place.

    ```python
    >>> place_of("https://dashscope-intl.aliyuncs.com/api/v1"), place_of("http://localhost/v1")
    ('model-studio', 'http://localhost/v1')

    ```
    """
    is_model_studio = _MODEL_STUDIO_HOST.fullmatch(urlsplit(base_url).hostname or "")
    return MODEL_STUDIO if is_model_studio else base_url


def uploads_url(base_url: str) -> str:
    """Return the base URL under which the service of another base URL takes files.

    ```python
    >>> uploads_url("https://dashscope.aliyuncs.com/compatible-mode/v1")
    'https://dashscope.aliyuncs.com/api/v1'

    ```
    """
    if not base_url.endswith(BASE_PATHS["openai"]):
        return base_url
    return base_url.removesuffix(BASE_PATHS["openai"]) + BASE_PATHS["dashscope"]


def is_model_studio_url(url: str) -> bool:
    """Return whether a URL names one of Model Studio's own hosts.

    ```python
    >>> is_model_studio_url("https://ws-1.cn-beijing.maas.aliyuncs.com/api/v1")
    True

    ```
    """
    host = urlsplit(url).hostname or ""
    return Endpoint(base_url=url, host=host, encrypted=True).is_model_studio


def parse_base_url(text: str, *, captioner: str) -> Endpoint:
    """Return the endpoint that a base URL names, checked for the captioner that will use it.

    Raises:
        UsageError: it is no base URL, or it is one for something else.

    ```python
    >>> parse_base_url("http://127.0.0.1:8000/v1/", captioner="openai").base_url
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
    _check_path(endpoint, captioner)
    return endpoint


def _split(text: str) -> SplitResult:
    """Split a URL, refusing everything that a base URL has no use for."""
    try:
        parts = urlsplit(text)
        sound = bool(_VISIBLE.fullmatch(text)) and bool(_HOST.fullmatch(parts.hostname or ""))
        sound = sound and parts.scheme in {"http", "https"} and parts.port != 0
    except ValueError:  # brackets that do not match, a port that is no number
        sound = False
    if not sound:
        raise UsageError(
            "the base URL is not one that can be used",
            fix="write https://HOST/api/v1 or http://127.0.0.1:8000/v1, without spaces",
        )
    if "@" in parts.netloc or parts.query or parts.fragment or text[-1] in "?#":
        raise UsageError(
            f"the base URL at {parts.hostname} holds more than scheme, host and path",
            fix=f"leave out user, password, query and fragment; the key comes from {KEY_VARIABLE}",
        )
    if not _PATH.fullmatch(parts.path.rstrip("/")):
        raise UsageError(f"the base URL at {parts.hostname} has a path that is not one")
    return parts


def _check_path(endpoint: Endpoint, captioner: str) -> None:
    for path in ENDPOINT_PATHS.values():
        if endpoint.base_url.endswith(path):
            raise UsageError(
                f"base_url={endpoint.base_url} is the address of one request, not a base URL",
                fix=f"pass {endpoint.base_url.removesuffix(path)}",
            )
    ending = BASE_PATHS[captioner]
    if endpoint.is_model_studio and not endpoint.base_url.endswith(ending):
        raise UsageError(
            f"base_url={endpoint.base_url} is not where Model Studio answers {captioner!r}",
            fix=f"pass https://{endpoint.host}{ending}",
        )


def choose_key(
    endpoint: Endpoint, *, given: str | None, environment: Mapping[str, str]
) -> str | None:
    """Return the key that goes to `endpoint`, None where none goes.

    A key that the caller gives goes where the caller says. The environment's key was made for
    Model Studio: it goes to its hosts, or to this machine, and is silently kept from all others.

    Raises:
        KeyMissingError: Model Studio is asked and there is no key.
        UsageError: the key cannot be one.
    """
    name, key = ("api_key", given)
    if given is None and (endpoint.is_model_studio or endpoint.is_loopback):
        name, key = (KEY_VARIABLE, environment.get(KEY_VARIABLE) or None)
    if key is None and endpoint.is_model_studio:
        raise KeyMissingError(
            f"{endpoint.host} needs a key and {KEY_VARIABLE} is not set",
            fix=f"create one in Model Studio's console for this region, then set {KEY_VARIABLE}",
        )
    if key is not None:
        check_key(key, name)
    return key


def check_key(key: str, name: str) -> None:
    """Refuse what cannot be a key, without showing it.

    Raises:
        UsageError: it is empty, or holds anything but visible ASCII.
    """
    if not _VISIBLE.fullmatch(key):
        raise UsageError(
            f"the key in {name} is empty or holds a space, a line break or a letter no key has",
            fix="copy it again, without quotes and line breaks",
        )


def check_secrecy(endpoint: Endpoint) -> None:
    """Refuse to send sound, or a key, in the clear.

    Raises:
        UsageError: the endpoint is neither encrypted nor on this machine.
    """
    if not endpoint.keeps_secrets:
        raise UsageError(
            f"base_url={endpoint.base_url} would send sound and key unencrypted",
            fix="use https, or a server on this machine",
        )
