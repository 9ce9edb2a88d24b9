"""Model Studio's temporary storage: upload a file, and name it as `oss://...` in a request.

Three steps: request a policy, send a form with the file to the host that the policy names, use the
file's key. Rules: the form goes without the key of the service, over TLS, or to this machine if the
service is on it too. Each file gets a unique name, as the policy forbids to overwrite. No part of a
policy is shown, for it signs for the account. The storage keeps a file for 48 hours, for the model
that the policy was requested for. Source: Model Studio, "Upload local files to obtain temporary
URLs", and the recorded requests of its SDK.
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
from captoolkit.captioners.failures import (
    MESSAGE_CHARS,
    UPLOAD_REFUSED,
    ServiceFault,
    find_rule,
    service_error,
)
from captoolkit.errors import ServiceConnectionError, ServiceError
from captoolkit.net.client import Client
from captoolkit.net.http_messages import (
    CODE_CHARS,
    Response,
    ServiceRequest,
    UploadForm,
    clean,
    request_id_of,
    retry_after_s,
)
from captoolkit.services.regions import is_loopback, uploads_url
from captoolkit.units import format_size

OSS_SCHEME = "oss://"
# Without it the service reads no `oss://`.
RESOLVE_HEADERS = {"X-DashScope-OssResourceResolve": "enable"}
UNKNOWN_TYPE = "application/octet-stream"
MIB = 2**20

# The form's fields, and their names in the policy.
FIELDS = {
    "OSSAccessKeyId": "oss_access_key_id",
    "Signature": "signature",
    "policy": "policy",
    "x-oss-object-acl": "x_oss_object_acl",
    "x-oss-forbid-overwrite": "x_oss_forbid_overwrite",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPolicy:
    """The permission to upload a file.

    Attributes:
        host: the storage.
        folder: the beginning of the file's key.
        fields: signed fields of the form.
        max_bytes: the size limit; None where the policy states none.
    """

    host: str
    folder: str
    fields: dict[str, str] = field(repr=False)
    max_bytes: int | None


def upload(file: Path, *, model: str, client: Client) -> str:
    """Send a file to the service's storage; return its `oss://` URL.

    Raises:
        ServiceError: the service gives no policy, or the storage refuses the file.
        ServiceConnectionError: one of the two cannot be reached.
    """
    policy = read_policy(
        client.post(policy_request(model, client.base_url)), base_url=client.base_url
    )
    form = make_form(policy, file, name=unique_name(file))
    check_size(policy, file)
    try:
        response = client.send_form(form)
    except ServiceConnectionError:
        raise
    except ServiceError as error:
        raise _refusal(error.problem, status_code=error.status_code) from error
    check_storage_response(response)
    return OSS_SCHEME + form.fields["key"]


def policy_request(model: str, base_url: str) -> ServiceRequest:
    """Return the request for a policy, for a file that a request to `model` will name."""
    query = urlencode({"action": "getPolicy", "model": model})
    return ServiceRequest(method="GET", path=f"/uploads?{query}", base_url=uploads_url(base_url))


def read_policy(response: Response, *, base_url: str) -> UploadPolicy:
    """Return the policy in a response.

    Raises:
        ServiceError: there is no policy, or its host is not safe.
    """
    document = decode(response.body)
    document = document if isinstance(document, dict) else {}
    fault = find_fault(document, response.status_code)
    if fault is not None:
        raise service_error(fault, response)
    data = object_in(document, "data")
    host = text_in(data, "upload_host") or ""
    values = {name: _text(data.get(key)) for name, key in FIELDS.items()}
    if not values["policy"] or not values["Signature"] or not text_in(data, "upload_dir"):
        raise service_error(ServiceFault(message="no permission to upload a file"), response)
    if not _is_safe(host, base_url):
        raise service_error(
            ServiceFault(message=f"an upload host that is not safe: {host}"), response
        )
    most_mib = count_in(data, "max_file_size_mb")
    return UploadPolicy(
        host=host,
        folder=text_in(data, "upload_dir") or "",
        fields={name: value for name, value in values.items() if value},
        max_bytes=most_mib * MIB if most_mib else None,
    )


def _text(value: Any) -> str:
    """Return a policy's value as text: some services write `true`, others "true"."""
    return (
        str(value).lower() if isinstance(value, bool) else value if isinstance(value, str) else ""
    )


def _is_safe(host: str, base_url: str) -> bool:
    """Return whether a form may go to a host: over TLS, or from this machine to itself."""
    try:
        parts = urlsplit(host)
        name = parts.hostname or ""
    except ValueError:
        return False
    if not name or "@" in parts.netloc:
        return False
    is_local = is_loopback(name) and is_loopback(urlsplit(base_url).hostname or "")
    return parts.scheme == "https" or (parts.scheme == "http" and is_local)


def unique_name(file: Path) -> str:
    """Return a unique name, with the file's suffix if that is plain ASCII."""
    ending = file.suffix.lower()
    is_plain = ending.isascii() and ending[1:].isalnum()
    return uuid.uuid4().hex + (ending if is_plain else "")


def make_form(policy: UploadPolicy, file: Path, *, name: str) -> UploadForm:
    """Return the form that sends a file under a name."""
    media_type = mimetypes.guess_type(name)[0] or UNKNOWN_TYPE
    fields = {
        **policy.fields,
        "key": f"{policy.folder}/{name}",
        "success_action_status": "200",
        "x-oss-content-type": media_type,
    }
    return UploadForm(url=policy.host, fields=fields, file=file, name=name, media_type=media_type)


def check_size(policy: UploadPolicy, file: Path) -> None:
    """Refuse a file over the policy's size limit, before a byte is sent.

    Raises:
        ServiceError: the file is too large.
    """
    size_bytes = file.stat().st_size
    if policy.max_bytes is not None and size_bytes > policy.max_bytes:
        raise ServiceError(
            f"the service takes uploads of at most {format_size(policy.max_bytes)}, and the file "
            f"has {format_size(size_bytes)}",
            fix="cut shorter segments (`max_segment`)",
        )


def check_storage_response(response: Response) -> None:
    """Raise for a refusal of the storage: XML, of which three elements are read.

    Raises:
        ServiceError: the storage refused the file.
    """
    if response.status_code == 200:
        return
    text = response.body[: 1 << 16].decode(errors="replace")
    code = _element("Code", text, CODE_CHARS)
    message = _element("Message", text, MESSAGE_CHARS) or "no reason given"
    label = f"HTTP {response.status_code} {code}" if code else f"HTTP {response.status_code}"
    raise _refusal(
        f"{label}: {message.rstrip('. ')}",
        status_code=response.status_code,
        code=code,
        request_id=request_id_of(response, _element("RequestId", text, CODE_CHARS)),
        retry_after_s=retry_after_s(response.headers),
    )


def _refusal(problem: str, *, code: str | None = None, **details: Any) -> ServiceError:
    code = f"{UPLOAD_REFUSED}.{code}" if code else UPLOAD_REFUSED
    fix = find_rule(code=code, message="", status_code=None).fix
    return ServiceError(f"the upload was refused, {problem}", fix=fix, code=code, **details)


def _element(name: str, text: str, most_chars: int) -> str | None:
    """Return the text of an XML element without children; entities of a DTD are not expanded."""
    match = re.search(rf"<{name}>([^<]*)</{name}>", text)
    return clean(html.unescape(match[1]), most_chars) if match else None
