"""Tests of the options of a batch: each invalid one is found before anything is read."""

from __future__ import annotations

import dataclasses
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import pytest

import captoolkit
from captoolkit.cli import batch_command
from captoolkit.errors import UsageError
from captoolkit.jobs.batch_options import BatchOptions, open_asking, read_settings, recipe_of
from captoolkit.jobs.results.recipe import VERBS, Recipe
from tests.support.tones import write_tones


def run(verb: Any, inputs: Path, out: Path, **options: Any) -> captoolkit.BatchSummary:
    """Run a batch in this process."""
    return captoolkit.batch(verb, [inputs], out=out, cluster="none", **options)


@pytest.mark.parametrize(
    ("verb", "options", "words"),
    [
        ("transcribe", {}, "verb=transcribe is not known"),
        ("probe", {"segment": "5s"}, "batch probe takes no segment"),
        ("split", {"format": "mp3"}, "batch split takes no format"),
        ("prepare", {"bit_rate": "1k", "format": "wav"}, "does nothing for WAV"),
        ("prepare", {"redo": "some"}, "redo='some' is not known"),
        ("prepare", {"shard": "3/3"}, "shard=3/3"),
        ("prepare", {"tries": 0}, "tries=0 must be at least 1"),
        ("prepare", {"shard": 3}, "shard=3 must be a text such as 0/3"),
        ("prepare", {"layout": "zip"}, "layout=zip is not known"),
        ("prepare", {"requests_per_minute": 0}, "must be more than 0"),
        ("prepare", {"include": "*.wav"}, r"include='\*\.wav' must be a list of patterns"),
        ("prepare", {"stop": 3}, r"stop=3 must be a threading\.Event"),
        ("caption", {"captioner": "whisper"}, "whisper"),
    ],
)
def test_an_invalid_option_is_found_before_anything_is_read(
    tmp_path: Path, verb: str, options: dict[str, Any], words: str
) -> None:
    """No folder is made for the results of a call that cannot work."""
    with pytest.raises(UsageError, match=words):
        run(verb, tmp_path / "missing", tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("cluster", ["locally", "local:0", "no/such/scheduler.json"])
def test_an_unknown_cluster_is_found_before_anything_is_read(tmp_path: Path, cluster: str) -> None:
    """No folder is made for its results either."""
    write_tones(tmp_path / "in", 1)
    with pytest.raises(UsageError, match=f"cluster={cluster} (is not known|has no worker)"):
        captoolkit.batch("probe", [tmp_path / "in"], out=tmp_path / "out", cluster=cluster)
    assert not (tmp_path / "out").exists()


def test_an_unknown_option_is_a_type_error(tmp_path: Path) -> None:
    """The message suggests the option that was meant."""
    with pytest.raises(TypeError, match="did you mean 'max_cost'"):
        run("caption", tmp_path, tmp_path / "out", max_cots=1)


@pytest.mark.parametrize("verb", VERBS)
def test_the_command_line_continues_a_batch_of_the_library(verb: str) -> None:
    """It passes every default; none of them is part of a recipe."""
    given = batch_command.command.commands[verb].make_context(verb, ["in", "-o", "out"]).params
    names = BatchOptions.__annotations__
    own = {name: value for name, value in given.items() if name in names and value is not None}
    assert "retry_failed" in own
    assert recipe_of(verb, own).hash == recipe_of(verb, {}).hash  # type: ignore[arg-type]


def test_options_that_say_the_same_are_one_recipe() -> None:
    """A length in seconds is that of a text, and a default is no option."""
    defaults: BatchOptions = {"format": "auto", "via": "base64", "max_duration": Fraction(172_800)}
    stated = recipe_of("prepare", {**defaults, "segment": Fraction(61, 2)})
    assert dict(stated.options) == {"segment": 30.5}
    assert recipe_of("prepare", {"segment": "30.5s"}).hash == stated.hash


SERVICE = {"captioner": "dashscope", "ledger": ":memory:", "api_key": "sk-made-up"}
ALIKE: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("prepare", {"skip_silence": False}, {}),
    ("prepare", {"skip_silence": True}, {"skip_silence": "10s"}),
    ("prepare", {"skip_silence": None, "gain": "auto", "normalize": None, "parts": None}, {}),
    ("prepare", {"bit_rate": "64k", "format": "mp3"}, {"bit_rate": 64_000, "format": "mp3"}),
    ("prepare", {"gain": "-6"}, {"gain": -6.0}),
    ("prepare", {"normalize": "-23"}, {"normalize": (-23.0, -1.0)}),
    ("prepare", {"max_duration": "48h", "target": "qwen3-omni-captioner"}, {}),
    ("split", {"exact": False, "at": None}, {}),
    ("caption", {"formats": ["json"], "parameters": {}, "drop_frame": False, "csv_bom": True}, {}),
    ("caption", {"formats": ["edl"], "frame_rate": "25.0"}, {"formats": ["edl"]}),
    ("caption", {"formats": ["edl"], "frame_rate": 24}, {"formats": ["edl"], "frame_rate": "24"}),
    ("caption", {**SERVICE, "region": "singapore"}, SERVICE),
    ("caption", {**SERVICE, "model": "qwen3-omni-30b-a3b-captioner"}, SERVICE),
    ("caption", {**SERVICE, "resume": False, "concurrency": 9}, SERVICE),
]


@pytest.mark.parametrize(("verb", "stated", "left_out"), ALIKE)
def test_an_option_that_states_its_default_is_as_one_left_out(
    verb: str, stated: dict[str, Any], left_out: dict[str, Any]
) -> None:
    """Both are one recipe, whatever form a value has."""

    def recipe(options: dict[str, Any]) -> Recipe:
        own = dict(options)
        captioner = own.pop("captioner", "acoustic")
        if "ledger" not in own:
            return recipe_of(verb, cast("BatchOptions", own))
        with open_asking(captioner, cast("BatchOptions", own), threading.Event()) as run:
            return recipe_of(verb, cast("BatchOptions", own), captioner=captioner, run=run)

    assert recipe(stated).options == recipe(left_out).options


def test_a_job_that_states_defaults_is_continued() -> None:
    """The options of an earlier `job.json` are compared by their meaning."""
    own = recipe_of("prepare", {"segment": "61s"})
    stated = dataclasses.replace(
        own, options={"segment": "61", "skip_silence": False, "gain": "auto", "format": "auto"}
    )
    assert Recipe.parse(stated.render().encode(), path="job.json").hash == own.hash
    odd = dataclasses.replace(own, options={"segment": "soon"})
    there = Recipe.parse(odd.render().encode(), path="job.json")
    assert own.differences(there) == ["`segment` is soon there and 61s here"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"spread": True}, "`spread` does nothing for json"),
        ({"formats": ["srt"], "frame_rate": 24}, "`frame_rate` does nothing for json,srt"),
        ({"formats": ["edl"], "frame_rate": 7}, "frame_rate=7"),
    ],
)
def test_an_option_of_no_format_is_refused(options: BatchOptions, problem: str) -> None:
    """The error names the formats that have the option."""
    with pytest.raises(UsageError, match=problem):
        recipe_of("caption", options)


def test_a_task_of_a_slurm_array_takes_its_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of the job array name it; `shard` names another."""
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "4")
    monkeypatch.setenv("SLURM_ARRAY_TASK_MIN", "1")
    assert read_settings("probe", {}).shard == (1, 4)
    assert read_settings("probe", {"shard": "0/2"}).shard == (0, 2)
