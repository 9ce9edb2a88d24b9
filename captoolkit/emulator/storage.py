"""Temporary storage: the policy that permits an upload, the form that does it, `oss://` URLs.

Rules: as at the service, a policy is valid for 300 s, each of its conditions is enforced, a name
can be used once, and a file serves only the model it was uploaded for. A file stays until the
emulator ends; a full storage drops its oldest file.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
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
# Values that a form must repeat, by the name of the form's field.
ENFORCED = {"x-oss-object-acl": "private", "x-oss-forbid-overwrite": "true"}
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredUpload:
    """An uploaded file."""

    path: Path
    model: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageRefusal:
    """A refusal in the storage's own wording."""

    status: int
    code: str
    message: str

    def xml(self, request_id: str) -> bytes:
        """Return the body of the reply."""
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n'
            f"  <Code>{self.code}</Code>\n  <Message>{self.message}</Message>\n"
            f"  <RequestId>{request_id}</RequestId>\n</Error>\n"
        )
        return text.encode()


class StorageRefusedError(Exception):
    """Carries a storage refusal to the code that writes the reply."""

    def __init__(self, refusal: StorageRefusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


EXPIRED = StorageRefusal(
    status=403, code="AccessDenied", message="Invalid according to Policy: Policy expired."
)
TOO_LARGE = StorageRefusal(
    status=400, code="EntityTooLarge", message="Your proposed upload exceeds the maximum."
)
NO_LENGTH = StorageRefusal(
    status=411, code="MissingContentLength", message="A Content-Length is required."
)
NO_FORM = StorageRefusal(
    status=400, code="MalformedPOSTRequest", message="The body is not a multipart form."
)
NO_FILE = StorageRefusal(
    status=400, code="InvalidArgument", message="The file field is missing, or not the last."
)
INCOMPLETE = StorageRefusal(
    status=400, code="RequestTimeout", message="The form did not arrive whole in time."
)
KEY_SHOWN = StorageRefusal(  # the wording is ours
    status=400, code="InvalidArgument", message="A key has no business in this request."
)
UNKNOWN_ID = StorageRefusal(
    status=403,
    code="InvalidAccessKeyId",
    message="The OSS Access Key Id you provided does not exist.",
)
NOT_SIGNED = StorageRefusal(
    status=403,
    code="SignatureDoesNotMatch",
    message="The request signature we calculated does not match the signature you provided.",
)
TAKEN = StorageRefusal(
    status=409,
    code="FileAlreadyExists",
    message="The object you specified already exists and can not be overwritten.",
)


class UploadStorage:
    """The storage; the caller removes the folder of its files."""

    def __init__(self, folder: Path, *, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self._folder = folder
        self._secret = secrets.token_bytes(20)
        self._capacity_bytes = capacity_bytes
        self._stored: OrderedDict[str, StoredUpload] = OrderedDict()
        self._lock = threading.Lock()

    def policy(self, model: str, host: str) -> dict[str, Any]:
        """Return the `data` of an answer to `getPolicy`; `host` is the URL that takes the form."""
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
        """Store the file of a form; `fields` are those before the file.

        Raises:
            StorageRefusedError: the policy does not permit it.
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
            raise StorageRefusedError(NO_FILE)
        with self._lock:
            if key in self._stored:
                raise StorageRefusedError(TAKEN)
            self._stored[key] = self._store(content, rules["model"])
            self._drop_oldest()

    def find(self, url: str) -> StoredUpload | None:
        """Return the file of an `oss://` URL; None if there is no such file."""
        return self._stored.get(url.removeprefix(SCHEME))

    def _sign(self, policy: str) -> str:
        digest = hmac.digest(self._secret, policy.encode(), "sha1")
        return base64.b64encode(digest).decode()

    def _rules(self, fields: dict[str, str]) -> dict[str, Any]:
        """Return the rules of the form's policy, which this storage must have signed."""
        policy = fields.get("policy", "")
        if fields.get("OSSAccessKeyId") != ACCESS_KEY_ID:
            raise StorageRefusedError(UNKNOWN_ID)
        expected = self._sign(policy).encode()
        if not hmac.compare_digest(expected, fields.get("Signature", "").encode()):
            raise StorageRefusedError(NOT_SIGNED)
        rules: dict[str, Any] = json.loads(base64.b64decode(policy))
        if time.time() > rules["expires"]:
            raise StorageRefusedError(EXPIRED)
        return rules

    def _store(self, content: BinaryIO, model: str) -> StoredUpload:
        path = self._folder / uuid.uuid4().hex
        digest, size_bytes = hashlib.sha256(), 0
        with path.open("wb") as stream:
            while chunk := content.read(CHUNK_BYTES):
                digest.update(chunk)
                size_bytes += stream.write(chunk)
        return StoredUpload(
            path=path, model=model, sha256=digest.hexdigest(), size_bytes=size_bytes
        )

    def _drop_oldest(self) -> None:
        while sum(one.size_bytes for one in self._stored.values()) > self._capacity_bytes:
            _, oldest = self._stored.popitem(last=False)
            oldest.path.unlink()


def _against_policy(condition: str) -> StorageRefusedError:
    message = f"Invalid according to Policy: Policy Condition failed: {condition}"
    return StorageRefusedError(StorageRefusal(status=403, code="AccessDenied", message=message))
