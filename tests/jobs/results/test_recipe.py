from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path

import pytest

from captoolkit.errors import InputError, UsageError
from captoolkit.jobs.results.recipe import JOB, Recipe, open_job, read_job
from captoolkit.jobs.stores.object_store import open_store
from captoolkit.model import Via


def test_a_recipe_is_written_once_and_read_back(s3: str) -> None:
    """The first run writes it, and a later run with the same options goes on."""
    store = open_store(s3)
    recipe = Recipe.of("prepare", {"segment": Fraction(61, 2), "via": Via.UPLOAD, "track": None})
    open_job(store, recipe)
    before = store.stat(JOB)
    open_job(store, recipe)
    assert store.stat(JOB) == before
    assert read_job(store) == recipe
    assert recipe.options == {"segment": "61/2", "via": "upload"}


def test_another_recipe_is_refused_by_name(tmp_path: Path) -> None:
    """The message names each difference, and OUT stays as it is."""
    store = open_store(str(tmp_path))
    open_job(store, Recipe.of("prepare", {"segment": "30s"}))
    with pytest.raises(UsageError) as caught:
        open_job(store, Recipe.of("prepare", {"segment": "20s", "parts": 2}))
    message = str(caught.value)
    assert "`segment` is 30s there and 20s here" in message
    assert "`parts` is not given there and 2 here" in message
    other = dataclasses.replace(read_job(store), ffmpeg_version="4.4")
    with pytest.raises(UsageError, match=r"ffmpeg is .* there and 4\.4 here"):
        open_job(store, other)


def test_another_verb_is_refused_without_its_options(tmp_path: Path) -> None:
    """The message names the verb alone: verbs have options and defaults of their own."""
    store = open_store(str(tmp_path))
    open_job(store, Recipe.of("caption", {"segment": "30s", "via": "base64"}))
    with pytest.raises(UsageError, match=r"holds the results of `batch caption`; choose") as caught:
        open_job(store, Recipe.of("prepare", {"segment": "20s"}))
    assert "--" not in str(caught.value)


def test_a_key_is_no_part_of_a_recipe(tmp_path: Path) -> None:
    """A key is neither kept nor compared."""
    recipe = Recipe.of("caption", {"captioner": "dashscope", "api_key": "sk-secret"})
    open_job(open_store(str(tmp_path)), recipe)
    assert "sk-secret" not in (tmp_path / JOB).read_text() + repr(recipe)
    assert recipe.hash == Recipe.of("caption", {"captioner": "dashscope"}).hash


def test_the_hash_does_not_depend_on_the_order_of_options() -> None:
    """Two calls with the same options in another order have the same recipe."""
    assert (
        Recipe.of("prepare", {"segment": "30s", "format": "wav"}).hash
        == Recipe.of("prepare", {"format": "wav", "segment": "30s"}).hash
    )


@pytest.mark.parametrize(
    ("verb", "layout"), [("transcribe", "files"), ("probe", "zip"), ("caption", "tar")]
)
def test_a_verb_or_a_layout_that_does_not_exist_is_refused(verb: str, layout: str) -> None:
    """An unknown verb or layout, and one that does not go with the other, are usage errors."""
    with pytest.raises(UsageError):
        Recipe.of(verb, {}, layout=layout)


OTHER_VERB = Recipe.of("probe", {}).render().encode().replace(b'"probe"', b'"embed"')


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"format": "captoolkit.batch/9"}', b"\xff", OTHER_VERB]
)
def test_a_damaged_job_is_named(tmp_path: Path, data: bytes) -> None:
    """A `job.json` that cannot be read is one line."""
    (tmp_path / ".captoolkit").mkdir()
    (tmp_path / JOB).write_bytes(data)
    with pytest.raises(InputError, match=r"job\.json describes no batch"):
        open_job(open_store(str(tmp_path)), Recipe.of("probe", {}))


def test_the_job_is_json_of_a_stated_format(tmp_path: Path) -> None:
    """Other programs can read it."""
    recipe = Recipe.of("prepare", {"segment": "30s"}, layout="tar")
    open_job(open_store(str(tmp_path)), recipe)
    document = json.loads((tmp_path / JOB).read_text())
    assert document["format"] == "captoolkit.batch/1"
    assert document["recipe_sha256"] == recipe.hash
    assert (document["verb"], document["layout"]) == ("prepare", "tar")


def test_a_job_without_an_mp3_encoder_was_encoded_by_ffmpeg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that was begun before other encoders existed goes on where ffmpeg encodes."""
    monkeypatch.setenv("CAPTOOLKIT_ENCODER", "ffmpeg")
    recipe = Recipe.of("prepare", {})
    document = json.loads(recipe.render())
    del document["mp3_encoder"]
    (tmp_path / ".captoolkit").mkdir()
    (tmp_path / JOB).write_text(json.dumps(document))
    open_job(open_store(str(tmp_path)), recipe)
    assert (tmp_path / JOB).read_text() == json.dumps(document)


def test_a_job_that_recorded_the_default_gain_goes_on(tmp_path: Path) -> None:
    """The command line recorded it once, and it decides nothing."""
    recipe = Recipe.of("prepare", {"segment": 20})
    document = json.loads(recipe.render())
    document["options"]["gain"] = "auto"
    (tmp_path / ".captoolkit").mkdir()
    (tmp_path / JOB).write_text(json.dumps(document))
    open_job(open_store(str(tmp_path)), recipe)
