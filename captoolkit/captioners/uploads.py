"""Model Studio's temporary storage: a file goes there, and a request names it as `oss://...`.

Three steps: ask for a policy, send a form with the file to the host that the policy names, use the
file's key. Rules: the form goes without our key, over TLS, or to this machine if the service is on
it too; each file gets a name that nobody else has, as the policy forbids to overwrite; nothing of
a policy is shown, for it signs for the account. A file is kept for 48 hours, for the model that
the policy was asked for. Source: Model Studio, "Upload local files to obtain temporary URLs", and
the recorded requests of its SDK.
"""

from __future__ import annotations

import html
import mimetypes
import re
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from captoolkit.captioners.answers import count_in, decode, find_fault, object_in, text_in
from captoolkit.captioners.failures import MESSAGE_CHARS, ServiceFault, find_rule, service_error
from captoolkit.errors import ServiceConnectionError, ServiceError
from captoolkit.net.http_messages import (
    CODE_CHARS,
    Response,
    ServiceRequest,
    Transport,
    UploadForm,
    clean,
    request_id_of,
    retry_after_s,
)
from captoolkit.services.regions import is_loopback, uploads_url
from captoolkit.units import format_size

OSS_SCHEME = "oss://"
RESOLVE = {"X-DashScope-OssResourceResolve": "enable"}  # without it the service reads no oss://
PATH = "/uploads"
UNKNOWN_TYPE = "application/octet-stream"
MIB = 2**20
# How the codes of the storage's refusals begin. Its own words are those of another service than
# the one that is asked: `AccessDenied` says there that a policy is old, and nothing of the account.
REFUSED = "UploadRefused"

# The form's fields, and what they are called in the policy.
FIELDS = {
    "OSSAccessKeyId": "oss_access_key_id",
    "Signature": "signature",
    "policy": "policy",
    "x-oss-object-acl": "x_oss_object_acl",
    "x-oss-forbid-overwrite": "x_oss_forbid_overwrite",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Leave to send a file.

    Attributes:
        host: where it goes.
        folder: what its key begins with.
        fields: what the form says for it.
        max_bytes: how large it may be; None where that is not said.
    """

    host: str
    folder: str
    fields: dict[str, str] = field(repr=False)
    max_bytes: int | None


def upload(file: Path, *, model: str, sender: Transport) -> str:
    """Send a file to the storage of the service that `sender` asks; return its `oss://` URL.

    Raises:
        ServiceError: the service gives no leave, or the storage refuses the file.
        ServiceConnectionError: one of the two cannot be reached.
    """
    policy = read_policy(
        sender.post(policy_request(model, sender.base_url)), base_url=sender.base_url
    )
    form = make_form(policy, file, name=unique_name(file))
    refuse_large(policy, file)
    try:
        reply = sender.send_form(form)
    except ServiceConnectionError:
        raise
    except ServiceError as error:
        raise _refusal(error.problem, status_code=error.status_code) from error
    refuse_refusal(reply)
    return OSS_SCHEME + form.fields["key"]


def policy_request(model: str, base_url: str) -> ServiceRequest:
    """Return the request for leave to send a file that `model` will be asked about."""
    query = urlencode({"action": "getPolicy", "model": model})
    return ServiceRequest(method="GET", path=f"{PATH}?{query}", base_url=uploads_url(base_url))


def read_policy(reply: Response, *, base_url: str) -> Policy:
    """Return the leave that the service gives.

    Raises:
        ServiceError: it gives none, or one that nobody can use safely.
    """
    document = decode(reply.body)
    document = document if isinstance(document, dict) else {}
    fault = find_fault(document, reply.status_code)
    if fault is not None:
        raise service_error(fault, reply)
    data = object_in(document, "data")
    host = text_in(data, "upload_host") or ""
    values = {name: _text(data.get(key)) for name, key in FIELDS.items()}
    if not values["policy"] or not values["Signature"] or not text_in(data, "upload_dir"):
        raise service_error(ServiceFault(message="no leave to upload a file"), reply)
    if not _is_safe(host, base_url):
        raise service_error(
            ServiceFault(message=f"a host to upload to that is not safe: {host}"), reply
        )
    most_mib = count_in(data, "max_file_size_mb")
    return Policy(
        host=host,
        folder=text_in(data, "upload_dir") or "",
        fields={name: value for name, value in values.items() if value},
        max_bytes=most_mib * MIB if most_mib else None,
    )


def _text(value: Any) -> str:
    """A policy's value as a form says it: some services write `true` where others write "true"."""
    return (
        str(value).lower() if isinstance(value, bool) else value if isinstance(value, str) else ""
    )


def _is_safe(host: str, base_url: str) -> bool:
    """Whether a form may go there: encrypted, or not leaving this machine, where we are already."""
    try:
        parts = urlsplit(host)
        name = parts.hostname or ""
    except ValueError:
        return False
    if not name or "@" in parts.netloc:
        return False
    stays = is_loopback(name) and is_loopback(urlsplit(base_url).hostname or "")
    return parts.scheme == "https" or (parts.scheme == "http" and stays)


def unique_name(file: Path) -> str:
    """Return a name that nobody else has, with a file's ending if that is a plain one."""
    ending = file.suffix.lower()
    is_plain = ending.isascii() and ending[1:].isalnum()
    return uuid.uuid4().hex + (ending if is_plain else "")


def make_form(policy: Policy, file: Path, *, name: str) -> UploadForm:
    """Return the form that sends a file under a name."""
    media_type = mimetypes.guess_type(name)[0] or UNKNOWN_TYPE
    fields = {
        **policy.fields,
        "key": f"{policy.folder}/{name}",
        "success_action_status": "200",
        "x-oss-content-type": media_type,
    }
    return UploadForm(url=policy.host, fields=fields, file=file, name=name, media_type=media_type)


def refuse_large(policy: Policy, file: Path) -> None:
    """Refuse a file that the storage would not take, before a byte of it is sent.

    Raises:
        ServiceError: it is too large.
    """
    size_bytes = file.stat().st_size
    if policy.max_bytes is not None and size_bytes > policy.max_bytes:
        raise ServiceError(
            f"the service takes uploads of at most {format_size(policy.max_bytes)}, and this is "
            f"{format_size(size_bytes)}",
            fix="cut shorter segments (--max-segment)",
        )


def refuse_refusal(reply: Response) -> None:
    """Raise what a storage says when it does not take a file: XML, of which three words are read.

    Raises:
        ServiceError: it did not.
    """
    if reply.status_code == 200:
        return
    text = reply.body[: 1 << 16].decode(errors="replace")
    code = _word("Code", text, CODE_CHARS)
    message = _word("Message", text, MESSAGE_CHARS) or "no reason given"
    label = f"HTTP {reply.status_code} {code}" if code else f"HTTP {reply.status_code}"
    raise _refusal(
        f"{label}: {message.rstrip('. ')}",
        status_code=reply.status_code,
        code=code,
        request_id=request_id_of(reply, _word("RequestId", text, CODE_CHARS)),
        retry_after_s=retry_after_s(reply.headers),
    )


def _refusal(problem: str, *, code: str | None = None, **told: Any) -> ServiceError:
    code = f"{REFUSED}.{code}" if code else REFUSED
    fix = find_rule(code=code, message="", status_code=None).fix
    return ServiceError(f"the upload was refused, {problem}", fix=fix, code=code, **told)


def _word(name: str, text: str, most_chars: int) -> str | None:
    """The text of an XML element without elements in it; no entity of its own is followed."""
    found = re.search(rf"<{name}>([^<]*)</{name}>", text)
    return clean(html.unescape(found[1]), most_chars) if found else None
