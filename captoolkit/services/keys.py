"""Keys: which key goes to which host, and when nothing is sent at all.

Rules: the key of the environment goes to Model Studio's own hosts and to this machine, and to no
other host. Neither sound nor a key travels unencrypted over a network. No message repeats a key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from captoolkit.errors import KeyMissingError, UsageError
from captoolkit.services.regions import Endpoint

KEY_VARIABLE = "DASHSCOPE_API_KEY"
_VISIBLE = re.compile(r"[!-~]+", re.ASCII)


def choose_key(
    endpoint: Endpoint, *, given: str | None, environment: Mapping[str, str]
) -> str | None:
    """Return the key that goes to `endpoint`, None where no key goes there.

    A key that the caller passes goes to the endpoint that the caller names. The environment's key
    belongs to Model Studio: it goes to Model Studio's hosts or to this machine.

    Raises:
        KeyMissingError: Model Studio needs a key; the caller and the environment have none.
        UsageError: the key is not valid.
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
    """Refuse an invalid key without showing it.

    Raises:
        UsageError: the key is empty, or holds anything but visible ASCII.
    """
    if not _VISIBLE.fullmatch(key):
        raise UsageError(
            f"the key in {name} is empty or holds a space, a line break or a letter no key has",
            fix="copy it again, without quotes and line breaks",
        )


def check_secrecy(endpoint: Endpoint) -> None:
    """Refuse to send sound, or a key, unencrypted.

    Raises:
        UsageError: the endpoint is neither encrypted nor on this machine.
    """
    if not endpoint.keeps_secrets:
        raise UsageError(
            f"base_url={endpoint.base_url} would send sound and key unencrypted",
            fix="use https, or a server on this machine",
        )
