"""Keys: which key goes to which host, and when nothing is sent at all.

Rules: the key of an environment variable goes to the hosts of the target that names the variable
and to this machine, and to no other host unless the caller asks for that. Neither sound nor a key
travels unencrypted over a network, unless the caller allows plain http to a private address; then a
key goes along only where the caller asks for that, too. No message repeats a key.
"""

from __future__ import annotations

from collections.abc import Mapping

from captoolkit.errors import KeyMissingError, UsageError
from captoolkit.model import Target
from captoolkit.services import catalogue
from captoolkit.services.regions import MODEL_STUDIO, VISIBLE_ASCII, Endpoint, is_named, parse_host

KEY_VARIABLE = "DASHSCOPE_API_KEY"
_QUOTES = ("'", '"', "`")


def key_variable(row: Target | None) -> str:
    """Return the environment variable of the key for a target; Model Studio's without one."""
    return (row and row.key_variable) or KEY_VARIABLE


def key_variables() -> list[str]:
    """Return the variables of all targets, each once."""
    rows = catalogue.targets().values()
    return list(dict.fromkeys([KEY_VARIABLE, *map(key_variable, rows)]))


def is_home(endpoint: Endpoint, row: Target | None) -> bool:
    """Return whether an endpoint is on one of the hosts of a target, over TLS."""
    return endpoint.encrypted and is_host_of(endpoint, row)


def is_host_of(endpoint: Endpoint, row: Target | None) -> bool:
    """Return whether an endpoint is on one of the hosts of a target, encrypted or not.

    A target without hosts of its own belongs to Model Studio and uses its key.
    """
    if row is None or row.hosted_by == MODEL_STUDIO:
        return endpoint.is_model_studio
    own = (parse_host(row.base_url),) if row.base_url else ()
    is_own = any(is_named(endpoint.host, pattern) for pattern in (*own, *row.hosts))
    return is_own or (not row.key_variable and endpoint.is_model_studio)


def own_headers(endpoint: Endpoint, row: Target | None) -> Mapping[str, str]:
    """Return the headers of a target for an endpoint; they may hold a secret, as a key does.

    Those of a target that names hosts go to these hosts and to this machine.
    """
    if row is None:
        return {}
    has_hosts = bool(row.base_url or row.hosts or row.hosted_by)
    is_allowed = not has_hosts or is_home(endpoint, row) or endpoint.is_loopback
    return row.headers if is_allowed else {}


def choose_key(
    endpoint: Endpoint,
    *,
    given: str | None,
    environment: Mapping[str, str],
    row: Target | None = None,
    send_key: bool = False,
) -> str | None:
    """Return the key that goes to `endpoint`, None where no key goes there.

    A key that the caller passes goes to the endpoint that the caller names. The environment's key
    goes to the hosts of the target that names its variable, and to this machine.

    Args:
        endpoint: the checked base URL.
        given: the key that the caller passes.
        environment: the environment's variables.
        row: the target; None stands for Model Studio.
        send_key: whether the caller asks to send the key to this endpoint, whichever it is.

    Raises:
        KeyMissingError: the endpoint needs a key; the caller and the environment have none.
        UsageError: the key is not valid, or would travel unencrypted.
    """
    # A target may name hosts and no variable: the key of Model Studio is not theirs.
    has_own_key = endpoint.is_model_studio or (row is not None and bool(row.key_variable))
    needs_key = (is_home(endpoint, row) and has_own_key) or send_key
    variable = key_variable(row)
    name, key = ("api_key", given)
    if given is None and (needs_key or endpoint.is_loopback):
        name, key = (variable, environment.get(variable) or None)
    if key is None and needs_key:
        fix = f"set {variable} to a key that this server takes"
        if variable == KEY_VARIABLE:
            fix = f"create one in Model Studio's console for this region, then set {variable}"
        raise KeyMissingError(f"{endpoint.host} needs a key and {variable} is not set", fix=fix)
    if key is not None:
        check_key(key, name)
        if not (endpoint.keeps_secrets or send_key):
            raise UsageError(
                f"base_url={endpoint.base_url} would send the key unencrypted",
                fix="leave `api_key` out, or allow it (`send_key`)",
            )
    return key


def check_key(key: str, name: str) -> None:
    """Refuse an invalid key without showing it.

    Raises:
        UsageError: the key is empty, in quotes, or holds anything but visible ASCII.
    """
    problem = ""
    if not VISIBLE_ASCII.fullmatch(key):
        problem = "is empty or holds a space, a line break or a letter no key has"
    elif key.startswith(_QUOTES) or key.endswith(_QUOTES):
        problem = "is in quotes"
    if problem:
        raise UsageError(
            f"the key in {name} {problem}", fix="copy it again, without quotes and line breaks"
        )


def check_secrecy(endpoint: Endpoint) -> None:
    """Refuse to send sound, or a key, unencrypted.

    Raises:
        UsageError: the endpoint is neither encrypted nor on this machine, and the caller has not
            allowed plain http to it.
    """
    if endpoint.keeps_secrets or endpoint.allows_plain_http:
        return
    fix = "use https, or a server on this machine"
    if endpoint.is_private:
        fix = "use https, or allow it if you trust the network (`insecure_http`)"
    raise UsageError(f"base_url={endpoint.base_url} would send sound and key unencrypted", fix=fix)
