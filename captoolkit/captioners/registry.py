"""The captioners by name: one row each, and how a row becomes an open captioner.

Rules: `CAPTIONERS` is the only list of captioners; the command line's choices and help texts are
made from it. Opening imports the captioner's module, so that the local captioner never loads an
HTTP client. A wrong option, base URL or key is refused here, before anything is prepared or sent,
and the service is resolved here, once: its target, host, region, dialect, price and rates are one
`Service`. The recipe for a new captioner is in `captioners/base.py`.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Unpack

from captoolkit.captioners.base import (
    Captioner,
    CaptionerOptions,
    CaptionerSettings,
    ServiceBacked,
    ServiceOptions,
)
from captoolkit.captioners.request_options import read_parameters
from captoolkit.errors import UsageError
from captoolkit.model import CaptionerInfo, Dialect, Target
from captoolkit.services import catalogue
from captoolkit.services.keys import check_secrecy, choose_key, is_home
from captoolkit.services.limits import PROMPT_BYTES
from captoolkit.services.regions import (
    COMPATIBLE,
    MODEL_STUDIO,
    NATIVE,
    REGIONS,
    Endpoint,
    Interface,
    endpoint_of,
    parse_base_url,
    region_endpoint,
    split_query,
)
from captoolkit.services.service import Service, resolve_service
from captoolkit.support.keywords import (
    documents,
    refuse_unknown_names,
    require_type,
    require_utf8,
)

SERVICE_OPTIONS = frozenset(CaptionerOptions.__annotations__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionerRow:
    """One captioner. `captioners/base.py` has the recipe for adding one.

    Attributes:
        name: the value of `--captioner`.
        help: half a sentence for `--captioner`.
        module: has `open_captioner(service, settings)`, and is imported when it is needed.
        model: the default model.
        options: the `CaptionerSettings` that the captioner takes, besides `target`.
        interface: the HTTP interface that it speaks; None for a captioner on this machine.
        question_model: the default model of `captoolkit ask`; None for a captioner that answers no
            questions.
    """

    name: str
    help: str
    module: str
    model: str
    options: frozenset[str] = frozenset()
    interface: Interface | None = None
    question_model: str | None = None


CAPTIONERS = {
    row.name: row
    for row in (
        CaptionerRow(
            name="acoustic",
            help="names the kinds of sound on this machine and needs no key",
            module="captoolkit.captioners.acoustic",
            model="acoustic/2",
        ),
        CaptionerRow(
            name=NATIVE.name,
            help="Model Studio's native protocol",
            module="captoolkit.captioners.dashscope",
            model="qwen3-omni-30b-a3b-captioner",
            options=SERVICE_OPTIONS,
            interface=NATIVE,
            question_model="qwen-audio-turbo",
        ),
        CaptionerRow(
            name=COMPATIBLE.name,
            help="OpenAI's protocol, for Model Studio and for self-hosted servers",
            module="captoolkit.captioners.openai_chat",
            model="qwen3-omni-30b-a3b-captioner",
            options=SERVICE_OPTIONS,
            interface=COMPATIBLE,
            question_model="qwen3.8-omni-flash",
        ),
    )
}
DEFAULT_CAPTIONER = "acoustic"
DEFAULT_QUESTION_CAPTIONER = NATIVE.name


@documents(ServiceOptions, CaptionerOptions)
def open_captioner(
    name: str, *, target: str | Target | None = None, **options: Unpack[CaptionerOptions]
) -> Captioner:
    """Return the captioner called `name`; close it, or use it in a `with`.

    Args:
        name: a name in `CAPTIONERS`, such as `acoustic`, `dashscope` or `openai`.
        target: the limits to keep; its first model is the default model. A target that Model
            Studio does not host needs a `base_url`. The local captioner ignores it.
        **options: `CaptionerOptions`; the local captioner takes none.

    Raises:
        UsageError: the name is not known, or an option is not valid or not for this model.
        KeyMissingError: the service needs a key; the caller and the environment have none.
        TypeError: there is no option of that name.
    """
    refuse_unknown_names("open_captioner", options, ("target", *CaptionerOptions.__annotations__))
    row = row_of(name)
    settings = CaptionerSettings(target=target, **options)
    service = _service_of_row(row, settings)
    if service.endpoint is not None:
        check_secrecy(service.endpoint)
        key = choose_key(
            service.endpoint,
            given=settings.api_key,
            environment=os.environ,
            row=service.row,
            send_key=bool(settings.send_key),
        )
        settings = dataclasses.replace(settings, api_key=key)
    opened: Captioner = import_module(row.module).open_captioner(service, settings)
    return opened


def find_service(
    name: str, *, target: str | Target | None = None, model: str | None = None
) -> Service:
    """Return the service that a captioner would use, for a plan: no key is needed.

    Args:
        name: a name in `CAPTIONERS`.
        target: as for `open_captioner`.
        model: the service's model; the default model if None.

    Raises:
        UsageError: the name or the model is not known, or the captioner takes no model.
    """
    service = _service_of_row(row_of(name), CaptionerSettings(target=target, model=model))
    service.require_known_limits()
    return service


def _service_of_row(row: CaptionerRow, settings: CaptionerSettings) -> Service:
    _refuse_options(row, settings)
    if row.interface is not None:
        return _hosted_service(row, row.interface, settings)
    info = CaptionerInfo(name=row.name, model=settings.model or row.model)
    return resolve_service(info, None, target=settings.target)


def service_of(
    captioner: Captioner, *, target: str | Target | None = None, region: str | None = None
) -> Service:
    """Return the service of an open captioner, with the limits and the region that a caller names.

    Args:
        captioner: one of the registry's, or one of the caller's own, which is known by its `info`.
        target: the limits to keep; those that it was opened with if None.
        region: the region for prices if the base URL names none.

    Raises:
        UsageError: the target is not known.
    """
    # A caller's own captioner may have another object under that name.
    if isinstance(captioner, ServiceBacked) and isinstance(captioner.service, Service):
        service = captioner.service
        own = service.target if service.has_known_limits else None
        # A `Target` may have the name of another and limits of its own.
        is_same_target = target is None or (own is not None and target == own.name)
        if is_same_target and region in (None, service.region):
            return service
        return resolve_service(
            service.info,
            service.endpoint,
            target=own if is_same_target else target,
            region=region or service.region,
            dialect=service.dialect,
            parameters=service.parameters,
            query=service.query,
            prompt_bytes=int(service.target.limit(PROMPT_BYTES) or 0),
        )
    info = captioner.info
    endpoint = endpoint_of(info.base_url) if info.base_url else None
    return resolve_service(info, endpoint, target=target, region=region)


def row_of(name: str) -> CaptionerRow:
    """Return the row of a captioner.

    Raises:
        UsageError: there is no such captioner.
    """
    row = CAPTIONERS.get(name)
    if row is None:
        fix = f"known are {', '.join(sorted(CAPTIONERS))}"
        if name in catalogue.targets():
            protocol = question_captioner_of(catalogue.target(name))
            fix = f"it is a target: pass captioner={protocol} and target={name}"
        raise UsageError(f"captioner {name!r} is not known", fix=fix)
    return row


def names_that_answer() -> list[str]:
    """Return the captioners that answer questions."""
    return [row.name for row in CAPTIONERS.values() if row.question_model is not None]


def question_captioner_of(target: Target) -> str:
    """Return the captioner that asks questions of a target's models."""
    answering = names_that_answer()
    known = [name for name in target.protocols if name in answering]
    if not known and target.hosted_by != MODEL_STUDIO:
        known = [COMPATIBLE.name]
    if not known or DEFAULT_QUESTION_CAPTIONER in known:
        return DEFAULT_QUESTION_CAPTIONER
    return known[0]


def _refuse_options(row: CaptionerRow, settings: CaptionerSettings) -> None:
    """Refuse an option that the captioner would ignore.

    Raises:
        UsageError: it has no use for one of the settings.
    """
    for option in SERVICE_OPTIONS - row.options:
        if getattr(settings, option) not in (None, False):
            taken = ", ".join(f"`{name}`" for name in sorted(row.options)) or "no options"
            raise UsageError(
                f"the {row.name} captioner takes {taken}, and `{option}` was given",
                fix=f"leave out `{option}`, or choose another captioner (`captioner`)",
            )


def _hosted_service(
    row: CaptionerRow, interface: Interface, settings: CaptionerSettings
) -> Service:
    """Return the service that the settings of an HTTP captioner name."""
    target = None if settings.target is None else catalogue.target(settings.target)
    model = settings.model
    if model is None:
        model = _default_model(row, target)
    _refuse_unsendable(model, settings)
    if not model.strip():
        raise UsageError(f"model={model!r} is no name", fix=f"leave it out for {row.model}")
    rows = catalogue.rows_of(model) if target is None else [target]
    home = rows[0] if rows else None
    endpoint, query = _endpoint(interface, settings, home, model)
    _refuse_other_interface(interface, endpoint, home, model)
    prompt = settings.prompt or (home.default_prompt if home else "")
    return resolve_service(
        CaptionerInfo(name=row.name, model=model, base_url=endpoint.base_url),
        endpoint,
        target=target,
        region=settings.region,
        dialect=_dialect(interface, settings.dialect),
        parameters=read_parameters(settings, home),
        query=query,
        prompt_bytes=sum(len(text.encode()) for text in (prompt, settings.system or "")),
    )


def _refuse_unsendable(model: str, settings: CaptionerSettings) -> None:
    """Refuse texts that no request can carry, and a workspace that no header can."""
    for name, text in (
        ("model", model),
        ("region", settings.region),
        ("base_url", settings.base_url),
        ("api_key", settings.api_key),
        ("prompt", settings.prompt),
        ("system", settings.system),
        ("workspace", settings.workspace),
    ):
        require_utf8(f"`{name}`", text)
    for name in ("insecure_http", "send_key"):  # "no" would be true
        require_type(name, getattr(settings, name), bool | None, "True or False")
    workspace = settings.workspace or ""
    if not workspace.isascii() or not workspace.isprintable() or " " in workspace:
        raise UsageError(
            "`workspace` is no id of a workspace", fix="copy it from Model Studio's console"
        )


def _default_model(row: CaptionerRow, target: Target | None) -> str:
    if target is None:
        return row.model
    if not target.models:
        raise UsageError(
            f"{target.name} states no model", fix="name the one that the server has (`model`)"
        )
    return target.models[0]


def _dialect(interface: Interface, name: str | None) -> Dialect | None:
    """Return the dialect with a name.

    Raises:
        UsageError: there is no such dialect, or the interface has none.
    """
    if name is None:
        return None
    if interface is not COMPATIBLE:
        raise UsageError(
            f"dialect={name} is for chat completions, and {interface.name} is another protocol",
            fix=f"leave it out, or take captioner={COMPATIBLE.name}",
        )
    if name not in tuple(Dialect):
        raise UsageError(f"dialect={name!r} is not known", fix=f"take {', '.join(Dialect)}")
    return Dialect(name)


def _endpoint(
    interface: Interface, settings: CaptionerSettings, home: Target | None, model: str
) -> tuple[Endpoint, Mapping[str, str]]:
    """Return the endpoint and the query of its requests.

    The caller's base URL goes before the row's, and that before the region's.
    """
    is_elsewhere = home is not None and home.hosted_by != MODEL_STUDIO
    if settings.base_url is None and not (is_elsewhere and home and home.base_url):
        _refuse_unhosted(home, model)
        region = settings.region or ((home and home.region) or None)
        return region_endpoint(interface, region, workspace=settings.workspace), {}
    text = settings.base_url or (home.base_url if home else "")
    base_url, query = split_query(text, home.query if home else {})
    endpoint = parse_base_url(base_url, interface)
    if settings.insecure_http and not endpoint.keeps_secrets:
        if not endpoint.is_private:
            raise UsageError(
                f"base_url={endpoint.base_url} is not a private address: plain http would cross "
                "the internet",
                fix="use https; `insecure_http` is for a local network",
            )
        endpoint = dataclasses.replace(endpoint, allows_plain_http=True)
    _refuse_other_region(endpoint, settings.region, home)
    return endpoint, query


def _refuse_other_region(endpoint: Endpoint, region: str | None, home: Target | None) -> None:
    """Refuse a region that neither the base URL nor the prices of the target can mean."""
    if region is None:
        return
    own = {price.region for price in home.prices} if home else set()
    if region not in REGIONS and region not in own:
        raise UsageError(
            f"region={region!r} is not known", fix=f"pass {' or '.join(sorted({*REGIONS, *own}))}"
        )
    if endpoint.region not in {None, region}:
        raise UsageError(
            f"base_url={endpoint.base_url} is not in region={region!r}", fix="pass one of the two"
        )


def _refuse_unhosted(home: Target | None, model: str) -> None:
    """Refuse to send sound and key to Model Studio for a model that is hosted elsewhere.

    Raises:
        UsageError: the row of the model is not Model Studio's.
    """
    if home is not None and home.hosted_by != MODEL_STUDIO:
        raise UsageError(
            f"the target {home.name} names no server for {model}, "
            "and is not on Model Studio's hosts",
            fix="pass its `base_url`, such as http://127.0.0.1:8000/v1; a target of "
            f'your own that is on those hosts needs hosted_by = "{MODEL_STUDIO}"',
        )


def _refuse_other_interface(
    interface: Interface, endpoint: Endpoint, home: Target | None, model: str
) -> None:
    """Refuse an interface that the service does not have for the model.

    Raises:
        UsageError: the model's row names other interfaces.
    """
    if home is None or not home.protocols or not is_home(endpoint, home):
        return
    if interface.name not in home.protocols:
        place = "Model Studio" if endpoint.is_model_studio else endpoint.host
        raise UsageError(
            f"{place} does not answer {interface.name!r} for {model}",
            fix=f"take captioner={' or captioner='.join(home.protocols)}",
        )
