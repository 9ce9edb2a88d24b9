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


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """A refusal in the storage's own words."""

    status: int
    code: str
    message: str

    def xml(self, request_id: str) -> bytes:
        """Return the body that tells it."""
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n'
            f"  <Code>{self.code}</Code>\n  <Message>{self.message}</Message>\n"
            f"  <RequestId>{request_id}</RequestId>\n</Error>\n"
        )
        return text.encode()


class DeniedError(Exception):
    """Carries a denial to where it is answered."""

    def __init__(self, denial: Denial) -> None:
        super().__init__(denial.message)
        self.denial = denial


EXPIRED = Denial(
    status=403, code="AccessDenied", message="Invalid according to Policy: Policy expired."
)
TOO_LARGE = Denial(
    status=400, code="EntityTooLarge", message="Your proposed upload exceeds the maximum."
)
NO_LENGTH = Denial(status=411, code="MissingContentLength", message="A Content-Length is required.")
NO_FORM = Denial(
    status=400, code="MalformedPOSTRequest", message="The body is not a multipart form."
)
NO_FILE = Denial(
    status=400, code="InvalidArgument", message="The file field is missing, or not the last."
)
INCOMPLETE = Denial(
    status=400, code="RequestTimeout", message="The form did not arrive whole in time."
)
KEY_SHOWN = Denial(  # the words are ours
    status=400, code="InvalidArgument", message="A key has no business in this request."
)
UNKNOWN_ID = Denial(
    status=403,
    code="InvalidAccessKeyId",
    message="The OSS Access Key Id you provided does not exist.",
)
NOT_SIGNED = Denial(
    status=403,
    code="SignatureDoesNotMatch",
    message="The request signature we calculated does not match the signature you provided.",
)
TAKEN = Denial(
    status=409,
    code="FileAlreadyExists",
    message="The object you specified already exists and can not be overwritten.",
)


class Uploads:
    """The storage; its files lie in a folder that is the caller's to remove."""

    def __init__(self, folder: Path, *, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self._folder = folder
        self._secret = secrets.token_bytes(20)
        self._capacity_bytes = capacity_bytes
        self._stored: OrderedDict[str, Stored] = OrderedDict()
        self._lock = threading.Lock()

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
            DeniedError: the policy does not let it in.
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
            raise DeniedError(NO_FILE)
        with self._lock:
            if key in self._stored:
                raise DeniedError(TAKEN)
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
            raise DeniedError(UNKNOWN_ID)
        expected = self._sign(policy).encode()
        if not hmac.compare_digest(expected, fields.get("Signature", "").encode()):
            raise DeniedError(NOT_SIGNED)
        rules: dict[str, Any] = json.loads(base64.b64decode(policy))
        if time.time() > rules["expires"]:
            raise DeniedError(EXPIRED)
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


def _against_policy(condition: str) -> DeniedError:
    message = f"Invalid according to Policy: Policy Condition failed: {condition}"
    return DeniedError(Denial(status=403, code="AccessDenied", message=message))
