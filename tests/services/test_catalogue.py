"""The targets by name and by model, and the user's own file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from captoolkit.errors import UsageError
from captoolkit.services import catalogue, rows
from tests.support.media_values import CAPTIONER, QWEN_AUDIO, SERVICES, service
from tests.support.paths import ROOT

TABLE = Path(catalogue.__file__).with_name(catalogue.TABLE)

MINE = """
[sources.notes]
title = "What I measured"
checked = "2026-11-01"

[targets.NAME]
title = "My own server"
models = ["my-model"]
accepts = { wav = ["pcm_s16le"] }
limits.max_duration_s = { value = 90.5, source = "notes" }
"""


@pytest.fixture(autouse=True)
def _no_rows_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the tester's own targets out of the tests."""
    monkeypatch.delenv(catalogue.ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def rows_file(path: Path, name: str) -> Path:
    """Write a file of the user's with one target."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(MINE.replace("NAME", name))
    return path


def test_the_targets_of_the_package() -> None:
    """Without a file of the user's, the targets are captoolkit's own."""
    assert catalogue.targets() == SERVICES


def test_a_target_is_found_by_name_and_by_model() -> None:
    """The name of a target or of a model finds it; a target finds itself."""
    assert catalogue.target("qwen3-omni-captioner") == CAPTIONER
    assert catalogue.target("qwen3-omni-30b-a3b-captioner") == CAPTIONER
    assert catalogue.target("qwen-audio-turbo-1204") == QWEN_AUDIO
    mine = service()
    assert catalogue.target(mine) is mine


def test_the_default_target_exists() -> None:
    """The default target is one of captoolkit's."""
    assert catalogue.target(catalogue.DEFAULT_TARGET).name == catalogue.DEFAULT_TARGET


def test_an_unknown_target_is_refused() -> None:
    """The error lists the targets."""
    expected = "target=qwen is not known; take one of acoustic, azure, .*, transformers, vllm"
    with pytest.raises(UsageError, match=f"^{expected}$"):
        catalogue.target("qwen")


@pytest.mark.parametrize("name", [[], {}, 0, False, b"vllm"])
def test_a_target_of_another_type_is_refused(name: object) -> None:
    """What is neither a `Target` nor a name is an invalid option."""
    with pytest.raises(UsageError, match="is neither a Target nor the name of one"):
        catalogue.target(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["qwen-audio", "mine"])
def test_the_users_targets_replace_and_add(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A target of the user's replaces captoolkit's of the same name; the others stay."""
    path = rows_file(tmp_path / "rows.toml", name)
    monkeypatch.setenv(catalogue.ENVIRONMENT_VARIABLE, str(path))
    rows = catalogue.targets()
    assert rows[name].title == "My own server"
    assert {key: float(fact.value) for key, fact in rows[name].facts.items()} == {
        "max_duration_s": 90.5
    }
    assert rows[name].facts["max_duration_s"].source == "What I measured"
    others = SERVICES.keys() - {name}
    assert {key: rows[key] for key in others} == {key: SERVICES[key] for key in others}


@pytest.mark.skipif(sys.platform != "linux", reason="the folder is named otherwise elsewhere")
def test_targets_in_the_configuration_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configuration folder is read, unless the environment names another file."""
    rows_file(tmp_path / "config" / "captoolkit" / "targets.toml", "kept")
    assert "kept" in catalogue.targets()
    named = rows_file(tmp_path / "named.toml", "named")
    monkeypatch.setenv(catalogue.ENVIRONMENT_VARIABLE, str(named))
    assert {"named", "kept"} & catalogue.targets().keys() == {"named"}


@pytest.mark.parametrize(
    "content",
    [None, b"\xff\xfe", b"targets = 1", MINE.replace("90.5", "-1").encode()],
    ids=["missing", "not text", "no targets", "a limit below zero"],
)
def test_a_bad_file_is_named(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unusable file is an error with its path."""
    path = tmp_path / "rows.toml"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(catalogue.ENVIRONMENT_VARIABLE, str(path))
    with pytest.raises(UsageError) as raised:
        catalogue.targets()
    assert str(path) in raised.value.problem
    assert raised.value.fix


@pytest.mark.parametrize("home", ["/home/me", "relative", ""])
@pytest.mark.parametrize("named", ["/etc/mine", "relative", ""])
def test_the_configuration_folder_is_that_of_the_platform(
    home: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is the one that platformdirs names, however it was found."""
    monkeypatch.setenv("HOME", home)
    monkeypatch.setenv("XDG_CONFIG_HOME", named)
    expected = platformdirs.user_config_dir("captoolkit", appauthor=False)
    assert catalogue.config_folder() == Path(expected)


def test_the_compiled_table_holds_the_same_targets() -> None:
    """The targets that Python code stands for are those of the table, in the same order."""
    values: dict[str, Any] = {}
    exec(rows.as_python(SERVICES), values)
    assert list(values["rows"].items()) == list(SERVICES.items())
    assert rows.parse(TABLE.read_text(encoding="utf-8"), origin=TABLE.name) == SERVICES


def test_a_compiled_table_is_read_again_until_the_table_changes(tmp_path: Path) -> None:
    """A second process loads neither tomllib nor msgspec; a changed table is parsed again.

    So is one that was compiled and then damaged.
    """
    package = tmp_path / "captoolkit"
    shutil.copytree(ROOT / "captoolkit", package, ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "import sys; from captoolkit.services.catalogue import targets; "
        "title = targets()['acoustic'].title; print('tomllib' in sys.modules, title)"
    )
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    argv = [sys.executable, "-c", code]

    def report() -> str:
        done = subprocess.run(
            argv, check=True, capture_output=True, text=True, cwd=tmp_path,
            env={**environ, "PYTHONPATH": str(tmp_path)},
        )  # fmt: skip
        return done.stdout.strip()

    title = SERVICES["acoustic"].title
    assert [report(), report()] == [f"True {title}", f"False {title}"]
    table = package / "services" / TABLE.name
    (compiled,) = (package / "services" / "__pycache__").glob("targets.*.pyc")
    data = compiled.read_bytes()
    for damaged in (b"", data[:-1], data[:5000] + bytes([data[5000] ^ 1]) + data[5001:]):
        compiled.write_bytes(damaged)
        assert [report(), report()] == [f"True {title}", f"False {title}"]
    table.write_text(table.read_text(encoding="utf-8").replace(title, "Another"), encoding="utf-8")
    assert report() == "True Another"


def test_the_table_is_read_out_of_a_zip(tmp_path: Path) -> None:
    """Python imports the package from a zip, in which no file has a path of its own."""
    archive = shutil.make_archive(str(tmp_path / "all"), "zip", ROOT, "captoolkit")
    code = "from captoolkit.services import catalogue; print(*catalogue.targets())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": archive},
    )
    assert done.stdout.split() == list(SERVICES)


def test_an_empty_variable_names_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty environment variable counts as not set."""
    monkeypatch.setenv(catalogue.ENVIRONMENT_VARIABLE, "")
    assert catalogue.targets() == SERVICES
