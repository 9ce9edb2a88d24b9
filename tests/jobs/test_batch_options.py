"""Tests of the options of a batch: each invalid one is found before anything is read."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import captoolkit
from captoolkit.cli import batch_command
from captoolkit.errors import UsageError
from captoolkit.jobs.batch_options import BatchOptions, read_settings, recipe_of
from captoolkit.jobs.results.recipe import VERBS
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
        ("prepare", {"tries": 0}, "tries=0 must be a whole number, at least 1"),
        ("prepare", {"layout": "zip"}, "layout=zip is not known"),
        ("prepare", {"requests_per_minute": 0}, "must be more than 0"),
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
    assert dict(stated.options) == {"segment": "30.5"}
    assert recipe_of("prepare", {"segment": "30.5s"}).hash == stated.hash


def test_a_task_of_a_slurm_array_takes_its_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of the job array name it; `shard` names another."""
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "4")
    monkeypatch.setenv("SLURM_ARRAY_TASK_MIN", "1")
    assert read_settings("probe", {}).shard == (1, 4)
    assert read_settings("probe", {"shard": "0/2"}).shard == (0, 2)
