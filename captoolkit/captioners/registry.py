"""The captioners by name, and how each is opened.

Rules: a plain dict, one line each. A captioner's module is imported when it is opened and not
before, so that the local captioner never loads an HTTP client. Whatever can be wrong with the
options, the base URL or the key is found here, before anything is prepared or sent.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from captoolkit.captioners.base import Captioner
from captoolkit.errors import UsageError
from captoolkit.model import Target
from captoolkit.services import catalogue
from captoolkit.services.regions import (
    MODEL_STUDIO,
    Endpoint,
    check_secrecy,
    choose_key,
    parse_base_url,
    region_endpoint,
    region_of,
)

if TYPE_CHECKING:
    from captoolkit.captioners.service import WireProtocol

DEFAULT_MODEL = "qwen3-omni-30b-a3b-captioner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a captioner can be opened with; None where the caller said nothing."""

    target: str | Target | None = None
    model: str | None = None
    region: str | None = None
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    prompt: str | None = None
    system: str | None = None


def open_captioner(
    name: str,
    *,
    target: str | Target | None = None,
    model: str | None = None,
    region: str | None = None,
    base_url: str | None = None,
    api_key: str | None = None,
    prompt: str | None = None,
    system: str | None = None,
) -> Captioner:
    """Return the captioner called `name`, ready to be asked; close it, or use it in a `with`.

    Args:
        name: `acoustic`, `dashscope` or `openai`.
        target: the limits that will be kept; its first model is asked where none is named. One
            that Model Studio does not host needs a `base_url`. The local captioner has no use
            for it.
        model: the service's name of the model; `qwen3-omni-30b-a3b-captioner` if nothing is given.
        region: `singapore` or `beijing`; if nothing is given the one that the model's row names,
            else Singapore.
        base_url: where to ask instead of at a region, ending as in the services' SDKs:
            `.../api/v1` for `dashscope`, `.../compatible-mode/v1` or `.../v1` for `openai`.
        api_key: sent where `base_url` says. Without it, `DASHSCOPE_API_KEY` is sent to Model
            Studio's own hosts and to this machine, and to nobody else.
        prompt: what to ask about each sound, of a model that takes a prompt.
        system: what to tell the model beforehand, if it takes that.

    Raises:
        UsageError: the name is not known, or an option cannot be, or is not for this model.
        KeyMissingError: the service needs a key and there is none.
    """
    opener = CAPTIONERS.get(name)
    if opener is None:
        known = ", ".join(sorted(CAPTIONERS))
        raise UsageError(f"captioner {name!r} is not known", fix=f"known are {known}")
    return opener(
        Options(
            target=target,
            model=model,
            region=region,
            base_url=base_url,
            api_key=api_key,
            prompt=prompt,
            system=system,
        )
    )


def _open_acoustic(options: Options) -> Captioner:
    if replace(options, target=None) != Options():
        raise UsageError(
            "the acoustic captioner works on this machine and takes no options",
            fix="leave out model, region, base URL, key, prompt and system message, or choose "
            "another captioner",
        )
    from captoolkit.captioners.acoustic import AcousticCaptioner

    return AcousticCaptioner()


def _open_service(options: Options, *, name: str) -> Captioner:
    wished = None if options.target is None else catalogue.target(options.target)
    model = options.model
    if model is None:
        model = DEFAULT_MODEL if wished is None else wished.models[0]
    if not model.strip():
        raise UsageError(f"model={model!r} is no name", fix=f"leave it out for {DEFAULT_MODEL}")
    rows = catalogue.rows_of(model)
    if options.base_url is None:
        _refuse_unhosted(rows if wished is None else [wished], model)
    endpoint = _endpoint(name, options, home=next((row.region for row in rows if row.region), None))
    _refuse_other_protocol(name, endpoint, rows, model)
    check_secrecy(endpoint)
    api_key = choose_key(endpoint, given=options.api_key, environment=os.environ)

    from captoolkit.captioners.service import ServiceCaptioner
    from captoolkit.net.client import Client

    client = Client(endpoint, api_key=api_key)
    try:
        return ServiceCaptioner(
            _protocol(name, endpoint),
            model=model,
            sender=client,
            row=next(iter(rows), None),
            prompt=options.prompt,
            system=options.system,
            lacks_key=api_key is None and endpoint.is_loopback,
        )
    except BaseException:
        client.close()
        raise


def _refuse_unhosted(rows: list[Target], model: str) -> None:
    """Refuse to send to Model Studio what is known to be hosted elsewhere, key and sound with it.

    Raises:
        UsageError: none of the rows is Model Studio's.
    """
    if rows and not any(row.hosted_by == MODEL_STUDIO for row in rows):
        raise UsageError(
            f"where {model} is asked is not known: {rows[0].name} is not on Model Studio's hosts",
            fix="pass its base URL (--base-url), such as http://127.0.0.1:8000/v1; if it is on "
            f'them, its row needs hosted_by = "{MODEL_STUDIO}"',
        )


def _refuse_other_protocol(name: str, endpoint: Endpoint, rows: list[Target], model: str) -> None:
    """Refuse to ask Model Studio by a protocol in which it does not have the model.

    Raises:
        UsageError: it does not.
    """
    spoken = next((row.protocols for row in rows if row.hosted_by == MODEL_STUDIO), ())
    if endpoint.is_model_studio and spoken and name not in spoken:
        raise UsageError(
            f"Model Studio does not answer {name!r} for {model}",
            fix=f"take --captioner {' or '.join(spoken)}",
        )


def _endpoint(name: str, options: Options, *, home: str | None) -> Endpoint:
    """Return where to ask: the base URL before the region, if the two do not contradict."""
    if options.base_url is None:
        return region_endpoint(name, options.region or home)
    endpoint = parse_base_url(options.base_url, captioner=name)
    if options.region is None:
        return endpoint
    if region_of(endpoint) not in {None, region_of(region_endpoint(name, options.region))}:
        raise UsageError(
            f"base_url={endpoint.base_url} is not in region={options.region!r}",
            fix="pass one of the two",
        )
    return endpoint


def _protocol(name: str, endpoint: Endpoint) -> WireProtocol:
    from captoolkit.captioners import dashscope, openai_chat

    if name == dashscope.NAME:
        return dashscope.PROTOCOL
    return openai_chat.protocol(openai_chat.dialect_of(endpoint))


# How to add one: `captioners/base.py`.
CAPTIONERS: dict[str, Callable[[Options], Captioner]] = {
    "acoustic": _open_acoustic,
    "dashscope": partial(_open_service, name="dashscope"),
    "openai": partial(_open_service, name="openai"),
}
