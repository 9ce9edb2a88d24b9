"""Tests of `captoolkit targets`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command_line import Run

OWN = """
[sources.mine]
title = "our own server"
checked = "2026-11-20"

[targets.house]
title = "The server in the basement"
models = ["captioner"]
accepts = { wav = ["pcm_s16le"] }

[targets.house.limits]
max_duration_s = { value = 90, source = "mine" }
"""


def test_all_services_are_listed(run: Run) -> None:
    """Each service has one line."""
    ran = run("targets")
    assert ran.status == 0
    assert [line.split()[0] for line in ran.out.splitlines()] == [
        "qwen3-omni-captioner",
        "qwen-audio",
        "qwen-audio-stable",
        "qwen-omni",
        "openai",
        "openai-mini",
        "azure",
        "openrouter",
        "gemini",
        "mistral",
        "litellm",
        "transformers",
        "vllm",
        "sglang",
        "acoustic",
    ]
    assert {line.split()[1] for line in ran.out.splitlines()} == {
        "model-studio",
        "openai",
        "audio-url",
        "-",
    }


def test_one_service_shows_how_it_is_asked(run: Run) -> None:
    """Dialect, server, key, query and the default prompt stand above the limits."""
    lines = run("targets", "azure").out.splitlines()
    shown = [" ".join(line.split()) for line in lines]
    assert "dialect openai" in shown
    assert "key AZURE_OPENAI_API_KEY, in api-key" in shown
    assert "--max-tokens max_completion_tokens" in shown
    assert any(line.startswith("server *.openai.azure.com, ") for line in shown)
    assert any(line.startswith("prompt Describe this recording") for line in shown)
    omni = [" ".join(line.split()) for line in run("targets", "qwen-omni").out.splitlines()]
    assert 'body modalities=["text"], enable_thinking=false' in omni
    assert "stream always" in omni


def test_one_service_has_sources_and_dates(run: Run) -> None:
    """Every number has its source; a model's name finds its row."""
    ran = run("targets", "qwen3-omni-30b-a3b-captioner")
    assert "max_duration_s" in ran.out
    assert "2,400" in ran.out
    assert "read on 2026-01-06" in ran.out


def test_json_gives_every_number_its_source(run: Run) -> None:
    """The JSON has source and date of each number."""
    document = json.loads(run("targets", "--json").out)
    for target in document["targets"]:
        for limit in (*target["limits"].values(), *target["prices"]):
            assert limit["source"]
            assert limit["checked"].startswith("202")


def test_user_defined_rows_are_used(
    run: Run, tmp_path: Path, fixtures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row in the file of CAPTOOLKIT_TARGETS is a target like the others."""
    own = tmp_path / "own.toml"
    own.write_text(OWN, encoding="utf-8")
    monkeypatch.setenv("CAPTOOLKIT_TARGETS", str(own))
    assert "The server in the basement" in run("targets").out
    plan = run("plan", fixtures / "speech.amr", "--target", "house")
    assert "It is amr; house takes wav." in plan.out


def test_an_unknown_name_is_refused(run: Run) -> None:
    """The error calls the argument by its name in the usage, and lists the known targets."""
    ran = run("targets", "qwen4")
    assert ran.status == 2
    assert ran.err.startswith("error: NAME qwen4 is not known; take one of acoustic, ")
    assert "qwen3-omni-captioner, sglang, transformers, vllm" in ran.err
