"""Temporary storage: the policy that lets a file in, the form that brings it, `oss://` to find it.

Rules: as at the service, a policy lives 300 s, everything in it is enforced, a name is taken once,
and a file serves the model it was uploaded for. A file stays until the emulator ends or the storage
is full, which then loses its oldest.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

SCHEME = "oss://"
POLICY_S = 300
CAPACITY_BYTES = 2**30
MAX_FILE_MB = 64
ACCESS_KEY_ID = "EMULATOR-ACCESS-KEY-ID"
# What a form must repeat, by the field's name in the form.
ENFORCED = {"x-oss-object-acl": "private", "x-oss-forbid-overwrite": "true"}
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A file that was uploaded."""

    path: Path
    model: str
    sha256: str
    size_bytes: int


class UploadError(Exception):
    """The form is refused, in the storage's own words."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def xml(self, request_id: str) -> bytes:
        """Return the body that tells it."""
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n'
            f"  <Code>{self.code}</Code>\n  <Message>{self.message}</Message>\n"
            f"  <RequestId>{request_id}</RequestId>\n</Error>\n"
        )
        return text.encode()


EXPIRED = UploadError(403, "AccessDenied", "Invalid according to Policy: Policy expired.")
TOO_LARGE = UploadError(400, "EntityTooLarge", "Your proposed upload exceeds the maximum.")
NO_LENGTH = UploadError(411, "MissingContentLength", "A Content-Length is required.")
NO_FORM = UploadError(400, "MalformedPOSTRequest", "The body is not a multipart form.")
NO_FILE = UploadError(400, "InvalidArgument", "The file field is missing, or not the last.")
INCOMPLETE = UploadError(400, "RequestTimeout", "The form did not arrive whole in time.")
KEY_SHOWN = UploadError(400, "InvalidArgument", "A key has no business in this request.")  # ours
UNKNOWN_ID = UploadError(
    403, "InvalidAccessKeyId", "The OSS Access Key Id you provided does not exist."
)
NOT_SIGNED = UploadError(
    403,
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match the signature you provided.",
)
TAKEN = UploadError(
    409, "FileAlreadyExists", "The object you specified already exists and can not be overwritten."
)


class Uploads:
    """The storage; its files lie in a folder that is the caller's to remove."""

    def __init__(self, folder: Path, *, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self._folder = folder
        self._secret = secrets.token_bytes(20)
        self._capacity_bytes = capacity_bytes
        self._stored: OrderedDict[str, Stored] = OrderedDict()

    def policy(self, model: str, host: str) -> dict[str, Any]:
        """Return the `data` of an answer to `getPolicy`; `host` is where the form goes."""
        day = time.strftime("%Y-%m-%d", time.gmtime())
        folder = f"dashscope-instant/{ACCESS_KEY_ID.lower()}/{day}/{uuid.uuid4()}"
        rules = {"expires": time.time() + POLICY_S, "folder": folder, "model": model}
        policy = base64.b64encode(json.dumps(rules).encode()).decode()
        return {
            "policy": policy,
            "signature": self._sign(policy),
            "upload_dir": folder,
            "upload_host": host,
            "expire_in_seconds": POLICY_S,
            "max_file_size_mb": MAX_FILE_MB,
            "capacity_limit_mb": self._capacity_bytes >> 20,
            "oss_access_key_id": ACCESS_KEY_ID,
            "x_oss_object_acl": ENFORCED["x-oss-object-acl"],
            "x_oss_forbid_overwrite": ENFORCED["x-oss-forbid-overwrite"],
        }

    def receive(self, fields: dict[str, str], content: BinaryIO | None) -> None:
        """Store what a form brings; `fields` are those before the file.

        Raises:
            UploadError: the policy does not let it in.
        """
        rules = self._rules(fields)
        key = fields.get("key", "")
        folder, _, name = key.rpartition("/")
        if folder != rules["folder"] or not name:
            raise _against_policy('["starts-with", "$key", upload_dir]')
        for field, value in ENFORCED.items():
            if fields.get(field) != value:
                raise _against_policy(f'["eq", "${field}", "{value}"]')
        if content is None:
            raise NO_FILE
        if key in self._stored:
            raise TAKEN
        self._stored[key] = self._store(content, rules["model"])
        self._make_room()

    def find(self, url: str) -> Stored | None:
        """Return what lies at an `oss://` URL, None where nothing does."""
        return self._stored.get(url.removeprefix(SCHEME))

    def _sign(self, policy: str) -> str:
        digest = hmac.digest(self._secret, policy.encode(), "sha1")
        return base64.b64encode(digest).decode()

    def _rules(self, fields: dict[str, str]) -> dict[str, Any]:
        """What the form's policy says, if it is one of ours and still lives."""
        policy = fields.get("policy", "")
        if fields.get("OSSAccessKeyId") != ACCESS_KEY_ID:
            raise UNKNOWN_ID
        expected = self._sign(policy).encode()
        if not hmac.compare_digest(expected, fields.get("Signature", "").encode()):
            raise NOT_SIGNED
        rules: dict[str, Any] = json.loads(base64.b64decode(policy))
        if time.time() > rules["expires"]:
            raise EXPIRED
        return rules

    def _store(self, content: BinaryIO, model: str) -> Stored:
        path = self._folder / uuid.uuid4().hex
        digest, size_bytes = hashlib.sha256(), 0
        with path.open("wb") as stream:
            while chunk := content.read(CHUNK_BYTES):
                digest.update(chunk)
                size_bytes += stream.write(chunk)
        return Stored(path=path, model=model, sha256=digest.hexdigest(), size_bytes=size_bytes)

    def _make_room(self) -> None:
        while sum(one.size_bytes for one in self._stored.values()) > self._capacity_bytes:
            _, oldest = self._stored.popitem(last=False)
            oldest.path.unlink()


def _against_policy(condition: str) -> UploadError:
    message = f"Invalid according to Policy: Policy Condition failed: {condition}"
    return UploadError(403, "AccessDenied", message)
