from __future__ import annotations

import hashlib
import io
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from captoolkit.emulator import Emulator
from captoolkit.emulator import storage as uploads
from captoolkit.emulator.storage import DeniedError, Uploads
from tests.emulator.conftest import (
    CAPTIONER,
    HEADERS,
    QWEN_AUDIO,
    Start,
    ask,
    beep,
    caption_of,
    data_uri,
    native_body,
)

RESOLVE = {"X_DashScope_OssResourceResolve": "enable"}


def form_of(policy: dict[str, str], name: str = "clip one.wav") -> dict[str, str]:
    """The form's fields, as the service's page lists them."""
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
    """What the policy endpoint gives."""
    url = f"{emulator.native_url}/uploads"
    response = httpx.get(url, params={"action": "getPolicy", "model": model}, headers=HEADERS)
    data: dict[str, str] = response.json()["data"]
    return data


def post_form(policy: dict[str, str], fields: dict[str, str], data: bytes) -> httpx.Response:
    """Bring a file to where the policy says."""
    return httpx.post(policy["upload_host"], data=fields, files={"file": ("clip.wav", data)})


def error_of(response: httpx.Response) -> tuple[int, str | None, str | None]:
    """Status, code and message of the storage's XML."""
    tree = ET.fromstring(response.content)
    return response.status_code, tree.findtext("Code"), tree.findtext("Message")


def test_an_upload_is_found_by_its_url(emulator: Emulator) -> None:
    """Policy, form, `oss://`: the caption is that of the same bytes sent as Base64 text."""
    sound = beep()
    policy = policy_of(emulator)
    fields = form_of(policy, "a \u00e9 clip.wav")
    stored = post_form(policy, fields, sound)
    assert (stored.status_code, stored.content) == (200, b"")

    asked = ask(emulator, native_body({"audio": f"oss://{fields['key']}"}), **RESOLVE)
    inline = ask(emulator, native_body({"audio": data_uri(sound)}))
    assert caption_of(asked) == caption_of(inline)
    sha256 = hashlib.sha256(sound).hexdigest()
    assert [visit.audio_sha256 for visit in emulator.requests] == [None, None, sha256, sha256]


def test_an_uploaded_file_is_not_for_everybody(emulator: Emulator) -> None:
    """It needs the header, and serves the model that its policy was for."""
    policy = policy_of(emulator)
    fields = form_of(policy)
    post_form(policy, fields, beep())
    url = f"oss://{fields['key']}"
    assert "does not appear to be valid" in ask(emulator, native_body({"audio": url})).text
    other = ask(emulator, native_body({"audio": url}, model=QWEN_AUDIO), **RESOLVE)
    assert "Don't have authorization" in other.text
    missing = ask(emulator, native_body({"audio": "oss://none/of/it"}), **RESOLVE)
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
def test_what_the_policy_does_not_allow_is_refused_in_xml(
    emulator: Emulator, change: Change, status: int, code: str
) -> None:
    """Nobody gets in with a form that was changed."""
    policy = policy_of(emulator)
    fields = form_of(policy)
    change(fields)
    assert error_of(post_form(policy, fields, beep()))[:2] == (status, code)


def test_the_form_says_which_status_it_wants(emulator: Emulator) -> None:
    """Without a wish success is 204, as at the storage."""
    policy = policy_of(emulator)
    fields = form_of(policy)
    del fields["success_action_status"]
    assert post_form(policy, fields, beep()).status_code == 204


def test_a_name_is_taken_once(emulator: Emulator) -> None:
    """Overwriting is forbidden, as the policy says."""
    policy = policy_of(emulator)
    fields = form_of(policy)
    assert post_form(policy, fields, beep()).status_code == 200
    assert error_of(post_form(policy, fields, beep()))[:2] == (409, "FileAlreadyExists")


def test_a_policy_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A form that comes after its time is refused; here the time is over at once."""
    monkeypatch.setattr(uploads, "POLICY_S", -1)
    storage = Uploads(tmp_path)
    fields = form_of(storage.policy(CAPTIONER, "http://127.0.0.1/oss"))
    with pytest.raises(DeniedError, match=r"Policy expired\.$"):
        storage.receive(fields, io.BytesIO(b"sound"))


def test_a_full_storage_loses_its_oldest(tmp_path: Path) -> None:
    """Files of more than its capacity do not stay on the disk."""
    storage = Uploads(tmp_path, capacity_bytes=25)
    keys = []
    for name in ("a", "b", "c"):
        fields = form_of(storage.policy(CAPTIONER, "http://127.0.0.1/oss"), name)
        storage.receive(fields, io.BytesIO(b"ten bytes!"))
        keys.append(fields["key"])
    assert [storage.find(f"oss://{key}") is not None for key in keys] == [False, True, True]
    assert len(list(tmp_path.iterdir())) == 2


def test_the_key_must_not_go_to_the_storage(emulator: Emulator) -> None:
    """A client that sends its key along hears of it."""
    policy = policy_of(emulator)
    response = httpx.post(
        policy["upload_host"],
        data=form_of(policy),
        files={"file": ("clip.wav", beep())},
        headers=HEADERS,
    )
    assert error_of(response) == (400, "InvalidArgument", "A key has no business in this request.")


def test_what_is_no_form_or_has_no_file_is_refused(emulator: Emulator) -> None:
    """Both in XML, and neither with a traceback."""
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
    """Each is refused in the service's words."""
    url = f"{emulator.native_url}/uploads"
    right = {"action": "getPolicy", "model": CAPTIONER}
    assert httpx.get(url, params=right).json()["code"] == "InvalidApiKey"
    for wrong, code in (({"model": "m"}, "ModelNotFound"), ({"action": "x"}, "NotFound")):
        assert httpx.get(url, params=right | wrong, headers=HEADERS).json()["code"] == code


def test_faults_of_uploads(start: Start) -> None:
    """The policy throttled, then the form refused, then all is well."""
    emulator = start(faults=["policy-throttle=1", "upload-expired=1"])
    url = f"{emulator.native_url}/uploads"
    right = {"action": "getPolicy", "model": CAPTIONER}
    throttled = httpx.get(url, params=right, headers=HEADERS)
    assert (throttled.status_code, throttled.headers["Retry-After"]) == (429, "1")
    policy = policy_of(emulator)
    expired = post_form(policy, form_of(policy), beep())
    assert error_of(expired) == (403, "AccessDenied", uploads.EXPIRED.message)
    assert post_form(policy, form_of(policy), beep()).status_code == 200
