from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from captoolkit.captioners.base import ServiceBacked
from captoolkit.captioners.registry import CAPTIONERS, open_captioner, service_of
from captoolkit.errors import KeyMissingError, ServiceConnectionError, ServiceError, UsageError
from captoolkit.model import CaptionerInfo, Fact
from captoolkit.services.regions import (
    COMPATIBLE,
    NATIVE,
    REGIONS,
)
from tests.support.paths import ROOT
from tests.support.sound import write_wav

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.clips import BytesClip
    from tests.support.recorder import Recorder

KEY = "sk-secret-0123456789abcdef"
INTERFACES = {"dashscope": NATIVE, "openai": COMPATIBLE}
CHAT = {"choices": [{"message": {"content": "Rain."}, "finish_reason": "stop"}], "id": "c-1"}


def refusal(name: str, **options: Any) -> str:
    """Return the error of opening a captioner."""
    with pytest.raises(UsageError) as caught:
        open_captioner(name, **options)
    return str(caught.value)


def test_an_unknown_captioner_is_refused() -> None:
    """The error lists the names in the registry."""
    problem = refusal("whisper")
    known = ", ".join(sorted(CAPTIONERS))
    assert problem == f"captioner 'whisper' is not known; known are {known}"
    assert {"acoustic", "dashscope", "openai"} <= CAPTIONERS.keys()
    for name, protocol in (("gemini", "openai"), ("qwen-audio", "dashscope")):
        hint = f"it is a target: pass captioner={protocol} and target={name}"
        assert refusal(name) == f"captioner {name!r} is not known; {hint}"


@pytest.mark.parametrize("region", [None, "beijing", "hongkong", "singapore", "virginia"])
@pytest.mark.parametrize("name", ["dashscope", "openai"])
def test_the_region_decides_the_base_url(
    monkeypatch: pytest.MonkeyPatch, name: str, region: str | None
) -> None:
    """Each region has its base URL for each protocol; Singapore is the default."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)
    with open_captioner(name, region=region) as captioner:
        assert captioner.info == CaptionerInfo(
            name=name,
            model="qwen3-omni-30b-a3b-captioner",
            base_url=REGIONS[region or "singapore"].base_url(INTERFACES[name]),
        )
        assert KEY not in repr(captioner)


def test_unknown_region_is_refused() -> None:
    """The error lists the regions."""
    assert refusal("openai", region="mars").endswith("or virginia, or a base URL")


def test_a_region_without_a_shared_host_needs_a_workspace() -> None:
    """The host of a workspace is made of its id and the region."""
    assert "name your workspace" in refusal("openai", region="tokyo", api_key=KEY)
    options: Any = {"region": "tokyo", "workspace": "LLM-w1", "api_key": KEY}
    with open_captioner("openai", **options) as captioner:
        base_url = "https://llm-w1.ap-northeast-1.maas.aliyuncs.com/compatible-mode/v1"
        assert captioner.info.base_url == base_url


def test_region_that_contradicts_the_base_url_is_refused() -> None:
    """A key belongs to one region, so the two must name the same."""
    base_url = REGIONS["singapore"].base_url(NATIVE)
    assert "not in region='beijing'" in refusal("dashscope", region="beijing", base_url=base_url)
    open_captioner("dashscope", region="singapore", base_url=base_url, api_key=KEY).close()
    open_captioner("openai", region="beijing", base_url="http://127.0.0.1:9/v1").close()


@pytest.mark.parametrize("value", [None, ""])
@pytest.mark.parametrize("name", ["dashscope", "openai"])
def test_missing_key_is_found_when_opening(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str | None
) -> None:
    """Without a key no connection is made; the error names the variable."""
    if value is not None:
        monkeypatch.setenv("DASHSCOPE_API_KEY", value)
    with pytest.raises(KeyMissingError) as caught:
        open_captioner(name)
    assert str(caught.value) == (
        "dashscope-intl.aliyuncs.com needs a key and DASHSCOPE_API_KEY is not set; create one in "
        "Model Studio's console for this region, then set DASHSCOPE_API_KEY"
    )


@pytest.mark.parametrize("key", ["sk-a b", "sk-a\n", " ", "sk-ключ"])
def test_unusable_key_of_the_environment_is_refused(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """A key with a line break is refused; the error names its variable."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", key)
    problem = refusal("dashscope")
    assert problem.startswith("the key in DASHSCOPE_API_KEY is empty or holds a space")
    assert key.strip() == "" or key.strip() not in problem


def test_empty_model_is_refused() -> None:
    """A blank model is refused before anything is sent."""
    assert "model=' ' is no name" in refusal("openai", model=" ", base_url="http://localhost/v1")


@pytest.mark.parametrize("option", ["insecure_http", "send_key"])
def test_permission_is_true_or_false(option: str) -> None:
    """The text `no` does not allow anything."""
    given: dict[str, object] = {"base_url": "http://localhost/v1", option: "no"}
    assert f"{option}='no' must be True or False" in refusal("openai", **given)


@pytest.mark.parametrize(
    "option", ["model", "region", "base_url", "api_key", "prompt", "system", "workspace"]
)
def test_text_that_no_request_can_carry_is_refused(option: str) -> None:
    """The error names the option, before a connection is opened."""
    text = {option: "q\udcff"}
    assert option in refusal("openai", **{"model": "m", "base_url": "http://localhost/v1", **text})


def test_environment_key_arrives_at_this_machine(
    recorder: Recorder, clip: BytesClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway on this machine receives the environment's key, or the caller's."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)
    recorder.answer(CHAT)
    for api_key in (None, "sk-other"):
        base_url = f"{recorder.url}/v1"
        with open_captioner("openai", base_url=base_url, api_key=api_key) as captioner:
            captioner.caption(clip)
    sent = [seen.headers["authorization"] for seen in recorder.seen]
    assert sent == [f"Bearer {KEY}", "Bearer sk-other"]


@pytest.mark.parametrize("host", ["captions.example", "8.8.8.8:8000", "134744072"])
def test_nothing_is_sent_unencrypted(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """A host without TLS is refused when opening, with or without a key; a proxy sees nothing."""
    monkeypatch.setenv("http_proxy", recorder.url)
    assert refusal("openai", base_url=f"http://{host}/v1") == (
        f"base_url=http://{host}/v1 would send sound and key unencrypted; use https, or a server "
        "on this machine"
    )
    assert recorder.seen == []


def test_a_foreign_host_does_not_receive_the_environment_key(
    elsewhere: Recorder, clip: BytesClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy on the way to another host does not see the key."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)
    monkeypatch.setenv("https_proxy", elsewhere.url)
    elsewhere.answer({}, status=403)
    with (
        open_captioner("openai", base_url="https://captions.example/v1") as captioner,
        pytest.raises(ServiceConnectionError),
    ):
        captioner.caption(clip)
    assert KEY not in str(elsewhere.seen)


def test_a_given_key_is_not_sent_unencrypted() -> None:
    """A key for a host that is neither encrypted nor here is refused when opening."""
    problem = refusal("openai", base_url="http://captions.example/v1", api_key=KEY)
    assert "would send sound and key unencrypted" in problem
    assert KEY not in problem


def test_model_studio_is_not_asked_unencrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's key does not go to Model Studio without TLS either."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)
    problem = refusal("dashscope", base_url="http://dashscope.aliyuncs.com/api/v1")
    assert "would send sound and key unencrypted; use https" in problem


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dashscope.aliyuncs.com/api/v1",
        "ftp://captions.example/v1",
        "file:///etc/passwd",
        "https://",
        "https:///v1",
        "https://captions.example:port/v1",
        "https://captions.example:0/v1",
        "https://captions.example:99999/v1",
        "https://captions.example /v1",
        "https://captions.example/v1\n",
        "https://cap\ttions.example/v1",
        "https://captions.exämple/v1",
        "https://captions.example\\@dashscope.aliyuncs.com/v1",
        "https://user:hunter2@captions.example/v1",
        "https://hunter2@captions.example/v1",
        "https://captions.example/v1?key=hunter2",
        "https://captions.example/v1?",
        "https://captions.example/v1#hunter2",
        'https://captions.example/"v1"',
        "https://captions.example//v1",
        "http://[::1/v1",
        "http://[fe80::1%25eth0]/v1",
    ],
)
def test_an_invalid_base_url_is_refused(text: str) -> None:
    """Anything but scheme, host, port and path is refused, and the error repeats no secret."""
    problem = refusal("openai", base_url=text)
    assert problem.isprintable()
    assert "hunter2" not in problem


@pytest.mark.parametrize("name", ["dashscope", "openai"])
@pytest.mark.parametrize("ending", ["chat/completions", "chat/completions/"])
def test_the_address_of_a_request_is_refused_with_its_base_url(name: str, ending: str) -> None:
    """The error for a full address names the part to pass."""
    problem = refusal(name, base_url=f"http://127.0.0.1:8000/v1/{ending}")
    assert problem.endswith("pass http://127.0.0.1:8000/v1")


@pytest.mark.parametrize(
    ("name", "base_url", "fix"),
    [
        (
            "dashscope",
            REGIONS["beijing"].base_url(COMPATIBLE),
            REGIONS["beijing"].base_url(NATIVE),
        ),
        (
            "openai",
            REGIONS["singapore"].base_url(NATIVE),
            REGIONS["singapore"].base_url(COMPATIBLE),
        ),
        ("openai", "https://dashscope.aliyuncs.com", REGIONS["beijing"].base_url(COMPATIBLE)),
    ],
)
def test_the_base_url_of_the_other_protocol_is_refused_with_the_right_one(
    name: str, base_url: str, fix: str
) -> None:
    """The error names the base URL for the captioner."""
    assert refusal(name, base_url=base_url).endswith(f"pass {fix}")


@pytest.mark.parametrize("option", ["model", "region", "base_url", "api_key"])
def test_acoustic_captioner_takes_no_options(option: str) -> None:
    """An option that would do nothing is refused instead of ignored."""
    assert f"takes no options, and `{option}` was given" in refusal("acoustic", **{option: "x"})


def test_acoustic_captioner_loads_no_http_client() -> None:
    """The local captioner imports neither httpx nor captoolkit's HTTP modules."""
    code = (
        "import sys; from captoolkit.captioners.registry import open_captioner;"
        "open_captioner('acoustic').close();"
        "print(sorted({'httpx', 'captoolkit.net'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


OWN_ROW = """
[targets.attic]
title = "a server in the attic"
models = ["attic-1"]
accepts = { wav = ["pcm_s16le"] }
limits = {}
"""


@pytest.mark.parametrize(
    "options",
    [
        {"target": "vllm"},
        {"target": "sglang", "region": "beijing"},
        {"model": "Qwen/Qwen3-Omni-30B-A3B-Captioner"},
        {"target": "attic"},
        {"model": "attic-1"},
    ],
)
@pytest.mark.parametrize("name", ["dashscope", "openai"])
def test_a_model_hosted_elsewhere_does_not_go_to_model_studio(
    name: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Sound and key stay here until the caller names the server."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)
    rows = tmp_path / "rows.toml"
    rows.write_text(OWN_ROW)
    monkeypatch.setenv("CAPTOOLKIT_TARGETS", str(rows))
    problem = refusal(name, **options)
    assert "is not on Model Studio's hosts; pass its `base_url`" in problem
    assert "names no server for" in problem
    base_url = {"dashscope": "http://127.0.0.1:9/api/v1", "openai": "http://127.0.0.1:9/v1"}[name]
    with open_captioner(name, base_url=base_url, **options) as captioner:
        assert captioner.info.base_url == base_url


def test_qwen_audio_is_asked_in_beijing_in_the_native_protocol() -> None:
    """Its row names Beijing and the native protocol; other hosts may use both protocols."""
    model = "qwen-audio-turbo"
    choices: tuple[dict[str, Any], ...] = ({"model": model}, {"target": "qwen-audio"})
    for options in choices:
        with open_captioner("dashscope", api_key=KEY, **options) as captioner:
            assert captioner.info.base_url == REGIONS["beijing"].base_url(NATIVE)
    with open_captioner("dashscope", model=model, region="singapore", api_key=KEY) as captioner:
        assert captioner.info.base_url == REGIONS["singapore"].base_url(NATIVE)
    problem = refusal("openai", model=model, api_key=KEY)
    assert problem == (
        "Model Studio does not answer 'openai' for qwen-audio-turbo; take captioner=dashscope"
    )
    open_captioner("openai", model=model, base_url="http://127.0.0.1:9/v1").close()


def test_a_missing_key_is_distinguished_from_a_wrong_key(
    recorder: Recorder, clip: BytesClip
) -> None:
    """The advice is to set the key, or to check it."""
    recorder.answer({"code": "InvalidApiKey", "message": "No API-key provided."}, status=401)
    for key, fix in ((None, "DASHSCOPE_API_KEY is not set"), (KEY, "check the key")):
        with (
            open_captioner(
                "dashscope", base_url=f"{recorder.url}/api/v1", api_key=key
            ) as captioner,
            pytest.raises(ServiceError) as caught,
        ):
            captioner.caption(clip)
        assert caught.value.fix.startswith(fix)
        assert "DASHSCOPE_API_KEY" in caught.value.fix


def test_the_base_url_of_the_other_protocol_is_distinguished_from_a_wrong_one(
    recorder: Recorder, clip: BytesClip
) -> None:
    """A 404 at a base URL that is right for the other captioner names that captioner."""
    recorder.answer({"code": "not_found", "message": "no such path"}, status=404)
    for captioner, path, fix in (
        ("dashscope", "/compatible-mode/v1", "take captioner=openai"),
        ("openai", "/api/v1", "take captioner=dashscope"),
        ("openai", "/v2", "check `base_url`"),
    ):
        with (
            open_captioner(captioner, base_url=recorder.url + path, api_key=KEY) as opened,
            pytest.raises(ServiceError) as caught,
        ):
            opened.caption(clip)
        assert caught.value.fix.startswith(fix)


ONE_SECOND = Fact(value=Fraction(1), source="measured here", checked="2026-11-29")


def test_a_service_is_resolved_once() -> None:
    """The verbs get the service that the captioner was opened with, unless they name another."""
    with open_captioner("dashscope", region="beijing", api_key=KEY) as captioner:
        assert isinstance(captioner, ServiceBacked)
        service = captioner.service
        assert (service.region, service.target.name) == ("beijing", "qwen3-omni-captioner")
        assert service_of(captioner) is service
        assert service_of(captioner, target="qwen3-omni-captioner", region="beijing") is service
        assert service_of(captioner, target="vllm").target.name == "vllm"
        tighter = dataclasses.replace(service.target, facts={"max_duration_s": ONE_SECOND})
        assert service_of(captioner, target=tighter).target.limit("max_duration_s") == 1
        assert KEY not in repr(service)


def test_the_service_of_an_own_captioner_follows_from_its_info() -> None:
    """A captioner of the caller's own states its model and base URL; a region adds prices."""

    class Own:
        info = CaptionerInfo(name="own", model="qwen3-omni-30b-a3b-captioner")

    own: Any = Own()
    assert service_of(own).price is None
    priced = service_of(own, region="singapore")
    assert priced.price is not None
    assert (priced.info, priced.endpoint, priced.may_cost) == (own.info, None, True)


def test_an_own_captioner_may_have_a_service_of_its_own() -> None:
    """An attribute `service` that is no resolved `Service`, such as an SDK's client, is ignored."""

    class Own:
        info = CaptionerInfo(name="own", model="own-model")
        service = "an SDK's client"

    own: Any = Own()
    assert service_of(own).info == own.info


ECHO_MODULE = """
from captoolkit.captioners.base import CaptionerSettings, Clip
from captoolkit.model import Caption
from captoolkit.services.service import Service
from captoolkit.support.cancel import Closing


class EchoCaptioner(Closing):
    def __init__(self, service: Service, prompt: str) -> None:
        self.info = service.info
        self.prompt = prompt

    def caption(self, clip: Clip) -> Caption:
        return Caption(text=f"{self.prompt} {len(clip.read_bytes())} bytes")

    def close(self) -> None:
        pass


def open_captioner(service: Service, settings: CaptionerSettings) -> EchoCaptioner:
    return EchoCaptioner(service, settings.prompt or "I hear")
"""
ECHO_ROW = """
        CaptionerRow(
            name="echo",
            help="counts the bytes of each segment",
            module="captoolkit.captioners.echo",
            model="echo/1",
            options=frozenset({"prompt"}),
        ),"""


def test_a_captioner_is_added_by_one_file_and_one_row(tmp_path: Path) -> None:
    """The recipe of `captioners/base.py`, followed literally: the command line knows the name."""
    package = tmp_path / "captoolkit"
    shutil.copytree(ROOT / "captoolkit", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "captioners" / "echo.py").write_text(ECHO_MODULE)
    registry = package / "captioners" / "registry.py"
    table = "CAPTIONERS = {\n    row.name: row\n    for row in ("
    assert table in registry.read_text()
    registry.write_text(registry.read_text().replace(table, table + ECHO_ROW))
    write_wav(tmp_path / "sound.wav", np.ones((16_000, 1), np.float32), rate_hz=16_000)

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "captoolkit", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.stdout + done.stderr

    assert "echo: counts the bytes of each segment" in " ".join(run("caption", "--help").split())
    shown = run("caption", "sound.wav", "--captioner", "echo", "--prompt", "It has", "-o", "-")
    assert re.search(r'"text": "It has \d+ bytes"', shown), shown
    assert '"model": "echo/1"' in shown
    refused = run("caption", "sound.wav", "--captioner", "echo", "--model", "echo/2")
    assert "the echo captioner takes --prompt, and --model was given" in refused
    unknown = run("caption", "sound.wav", "--captioner", "echoes")
    assert f"known are {', '.join(sorted([*CAPTIONERS, 'echo']))}" in unknown
