"""Tests of the services that the emulator imitates."""

from __future__ import annotations

import json

import httpx
import pytest

from captoolkit.emulator import Emulator, refusals
from captoolkit.emulator.refusals import Reason, Refusal
from captoolkit.emulator.service_profiles import PROFILES, ServiceProfile, profile_of
from captoolkit.errors import UsageError
from captoolkit.services import catalogue
from tests.support.emulator_requests import StartEmulator

# One refusal for each reason that a constant has, and those with details.
REFUSALS = {
    refusal.reason: refusal for refusal in vars(refusals).values() if isinstance(refusal, Refusal)
} | {
    refusal.reason: refusal
    for refusal in (
        refusals.unknown_model("m"),
        refusals.large_body(1),
        refusals.large_item(1, 2),
        refusals.many_items(1),
        refusals.many_audios(1, 2),
        refusals.long_input(2, 1),
        refusals.long_output("max_tokens", 2, 1),
        refusals.out_of_range("n", 0, "n!", is_below=True, is_whole=True),
        refusals.no_number("n", "x", "n!"),
        refusals.too_long(2.0, 1.0, 8000),
        refusals.TOO_LARGE.about(size_bytes=2, most_bytes=1),
        refusals.LARGE_DECODED.about(samples=1, channels=1, most_bytes=1),
    )
}


def test_every_reason_has_a_refusal() -> None:
    """So the next test covers all of them."""
    assert set(REFUSALS) == set(Reason)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_every_refusal_is_a_document_in_the_services_form(profile: ServiceProfile) -> None:
    """Each has a status of an error, and its words leave no placeholder."""
    for refusal in REFUSALS.values():
        reply = profile.protocol.refuse(refusal, "r-1", False)
        document = json.loads(b"".join(reply.parts))
        assert 400 <= reply.status < 600
        assert {*document} & {"error", "detail"}
        text = json.dumps(document)
        assert "%s" not in text
        assert "{most" not in text


def test_each_service_has_models_of_its_own() -> None:
    """Every row but the local captioner's is served like one service."""
    for row in catalogue.targets().values():
        served = [name for name, profile in PROFILES.items() if profile.serves(row)]
        assert len(served) == (row.name != "acoustic"), row.name
    with pytest.raises(UsageError, match="known are model-studio, vllm, openai"):
        profile_of("nonsense")


@pytest.mark.parametrize("like", PROFILES)
def test_a_wrong_key_is_refused(start: StartEmulator, like: str) -> None:
    """With a key of its own, the emulator takes no other, on any path."""
    emulator = start(like=like, key="sk-right")
    url = f"{emulator.compatible_url}/models"
    statuses = {
        key: httpx.get(url, headers={"Authorization": f"Bearer {key}"}).status_code
        for key in ("sk-right", "sk-wrong")
    }
    assert statuses == {"sk-right": 200, "sk-wrong": 401}
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers={"api-key": "sk-right"}).status_code == 200


def test_only_model_studio_has_the_native_protocol(start: StartEmulator) -> None:
    """The others have one protocol, and refuse other paths in their own form."""
    vllm = start(like="vllm")
    with pytest.raises(UsageError, match="has no native protocol"):
        _ = vllm.native_url
    answer = httpx.post(f"{vllm.url}/api/v1/services/aigc/x", json={})
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    openai = start(like="openai")
    answer = httpx.get(f"{openai.compatible_url}/nothing", headers={"Authorization": "Bearer x"})
    assert answer.json()["error"]["message"] == "Invalid URL (GET /v1/nothing)"


def test_a_key_is_visible_text() -> None:
    """Another one could not be sent in a header."""
    with pytest.raises(UsageError, match="key must be"):
        Emulator(key="\u00e9")
