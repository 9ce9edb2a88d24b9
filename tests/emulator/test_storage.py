"""Tests of the temporary storage: policies, forms, `oss://` URLs."""

from __future__ import annotations

import hashlib
import io
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from captoolkit.emulator import Emulator, storage
from captoolkit.emulator.storage import StorageRefusedError, UploadStorage
from tests.support.emulator_requests import (
    CAPTIONER,
    HEADERS,
    QWEN_AUDIO,
    StartEmulator,
    beep,
    caption_of,
    data_uri,
    native_body,
    post_native,
)

RESOLVE = {"X_DashScope_OssResourceResolve": "enable"}


def form_of(policy: dict[str, str], name: str = "clip one.wav") -> dict[str, str]:
    """Return the form's fields, as the service's page lists them."""
    return {
        "OSSAccessKeyId": policy["oss_access_key_id"],
        "Signature": policy["signature"],
        "policy": policy["policy"],
        "key": f"{policy['upload_dir']}/{name}",
        "x-oss-object-acl": policy["x_oss_object_acl"],
        "x-oss-forbid-overwrite": policy["x_oss_forbid_overwrite"],
        "success_action_status": "200",
    }


def policy_of(emulator: Emulator, model: str = CAPTIONER) -> dict[str, str]:
    """Return the data of the policy endpoint."""
    url = f"{emulator.native_url}/uploads"
    response = httpx.get(url, params={"action": "getPolicy", "model": model}, headers=HEADERS)
    data: dict[str, str] = response.json()["data"]
    return data


def post_form(policy: dict[str, str], fields: dict[str, str], data: bytes) -> httpx.Response:
    """Upload a file to the host of the policy."""
    return httpx.post(policy["upload_host"], data=fields, files={"file": ("clip.wav", data)})


def error_of(response: httpx.Response) -> tuple[int, str | None, str | None]:
    """Return status, code and message of the storage's XML."""
    tree = ET.fromstring(response.content)
    return response.status_code, tree.findtext("Code"), tree.findtext("Message")


def test_an_upload_is_found_by_its_url(emulator: Emulator) -> None:
    """The caption of an upload is that of the same bytes sent as Base64 text."""
    sound = beep()
    policy = policy_of(emulator)
    fields = form_of(policy, "a \u00e9 clip.wav")
    stored = post_form(policy, fields, sound)
    assert (stored.status_code, stored.content) == (200, b"")

    asked = post_native(emulator, native_body({"audio": f"oss://{fields['key']}"}), **RESOLVE)
    inline = post_native(emulator, native_body({"audio": data_uri(sound)}))
    assert caption_of(asked) == caption_of(inline)
    sha256 = hashlib.sha256(sound).hexdigest()
    assert [request.audio_sha256 for request in emulator.requests] == [None, None, sha256, sha256]


def test_an_uploaded_file_needs_the_header_and_its_model(emulator: Emulator) -> None:
    """The file serves only requests with the header, to the model of its policy."""
    policy = policy_of(emulator)
    fields = form_of(policy)
    post_form(policy, fields, beep())
    url = f"oss://{fields['key']}"
    assert "does not appear to be valid" in post_native(emulator, native_body({"audio": url})).text
    other = post_native(emulator, native_body({"audio": url}, model=QWEN_AUDIO), **RESOLVE)
    assert "Don't have authorization" in other.text
    missing = post_native(emulator, native_body({"audio": "oss://none/of/it"}), **RESOLVE)
    assert "Failed to download multimodal content" in missing.text


Change = Callable[[dict[str, str]], object]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (lambda form: form.pop("OSSAccessKeyId"), 403, "InvalidAccessKeyId"),
        (lambda form: form.update(Signature="bm9uZQ=="), 403, "SignatureDoesNotMatch"),
        (lambda form: form.update(policy="e30="), 403, "SignatureDoesNotMatch"),
        (lambda form: form.update(key="elsewhere/clip.wav"), 403, "AccessDenied"),
        (lambda form: form.pop("key"), 403, "AccessDenied"),
        (lambda form: form.pop("x-oss-object-acl"), 403, "AccessDenied"),
        (lambda form: form.update({"x-oss-forbid-overwrite": "false"}), 403, "AccessDenied"),
    ],
)
def test_a_changed_form_is_refused_in_xml(
    emulator: Emulator, change: Change, status: int, code: str
) -> None:
    """The storage refuses every change of the form."""
    policy = policy_of(emulator)
    fields = form_of(policy)
    change(fields)
    assert error_of(post_form(policy, fields, beep()))[:2] == (status, code)


def test_the_form_sets_the_status_of_success(emulator: Emulator) -> None:
    """Without the field the status is 204, as at the service."""
    policy = policy_of(emulator)
    fields = form_of(policy)
    del fields["success_action_status"]
    assert post_form(policy, fields, beep()).status_code == 204


def test_a_name_can_be_used_once(emulator: Emulator) -> None:
    """The policy forbids overwriting."""
    policy = policy_of(emulator)
    fields = form_of(policy)
    assert post_form(policy, fields, beep()).status_code == 200
    assert error_of(post_form(policy, fields, beep()))[:2] == (409, "FileAlreadyExists")


def test_a_policy_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A form after the expiry is refused; here the policy expires at once."""
    monkeypatch.setattr(storage, "POLICY_S", -1)
    uploads = UploadStorage(tmp_path)
    fields = form_of(uploads.policy(CAPTIONER, "http://127.0.0.1/oss"))
    with pytest.raises(StorageRefusedError, match=r"Policy expired\.$"):
        uploads.receive(fields, io.BytesIO(b"sound"))


def test_a_full_storage_drops_its_oldest_file(tmp_path: Path) -> None:
    """The dropped file is removed from the disk."""
    uploads = UploadStorage(tmp_path, capacity_bytes=25)
    keys = []
    for name in ("a", "b", "c"):
        fields = form_of(uploads.policy(CAPTIONER, "http://127.0.0.1/oss"), name)
        uploads.receive(fields, io.BytesIO(b"ten bytes!"))
        keys.append(fields["key"])
    assert [uploads.find(f"oss://{key}") is not None for key in keys] == [False, True, True]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_key_in_the_upload_is_refused(emulator: Emulator) -> None:
    """A client must not send its key to the storage."""
    policy = policy_of(emulator)
    response = httpx.post(
        policy["upload_host"],
        data=form_of(policy),
        files={"file": ("clip.wav", beep())},
        headers=HEADERS,
    )
    assert error_of(response) == (400, "InvalidArgument", "A key has no business in this request.")


def test_a_body_without_form_or_file_is_refused(emulator: Emulator) -> None:
    """Each refusal is XML with its own code."""
    policy = policy_of(emulator)
    host = policy["upload_host"]
    headers = {"Content-Type": "multipart/form-data"}
    nothing = httpx.post(host, content=b"none", headers=headers)
    assert error_of(nothing)[:2] == (400, "MalformedPOSTRequest")
    no_file = httpx.post(host, files=[(n, (None, v)) for n, v in form_of(policy).items()])
    assert error_of(no_file)[:2] == (400, "InvalidArgument")
    pieces = httpx.post(host, content=iter([b"no", b"length"]))
    assert error_of(pieces)[:2] == (411, "MissingContentLength")


def test_a_policy_needs_a_key_a_model_and_the_right_action(emulator: Emulator) -> None:
    """Each missing part has the service's refusal."""
    url = f"{emulator.native_url}/uploads"
    right = {"action": "getPolicy", "model": CAPTIONER}
    assert httpx.get(url, params=right).json()["code"] == "InvalidApiKey"
    for wrong, code in (({"model": "m"}, "ModelNotFound"), ({"action": "x"}, "NotFound")):
        assert httpx.get(url, params=right | wrong, headers=HEADERS).json()["code"] == code


def test_faults_of_uploads(start: StartEmulator) -> None:
    """The policy is throttled once and the form refused once; then the upload succeeds."""
    emulator = start(faults=["policy-throttle=1", "upload-expired=1"])
    url = f"{emulator.native_url}/uploads"
    right = {"action": "getPolicy", "model": CAPTIONER}
    throttled = httpx.get(url, params=right, headers=HEADERS)
    assert (throttled.status_code, throttled.headers["Retry-After"]) == (429, "1")
    policy = policy_of(emulator)
    expired = post_form(policy, form_of(policy), beep())
    assert error_of(expired) == (403, "AccessDenied", storage.EXPIRED.message)
    assert post_form(policy, form_of(policy), beep()).status_code == 200
