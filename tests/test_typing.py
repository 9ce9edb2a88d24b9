"""The type checkers accept every public name, and refuse wrong calls."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module, util
from pathlib import Path

import pytest

from tests.support.paths import ROOT

FOLDER = ROOT / "tests" / "typing"
MODULES = (
    "captoolkit",
    "captoolkit.captioners",
    "captoolkit.emulator",
    "captoolkit.errors",
    "captoolkit.events",
    "captoolkit.model",
    "captoolkit.timeline",
)


def names_used(path: Path) -> set[str]:
    """Every `module.name` in a file, by the last part of the module's name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_used_in_the_typed_file(module: str) -> None:
    """Each name in `__all__` appears in the file that the type checkers read."""
    short = module.rpartition(".")[2]
    names = {f"{short}.{name}" for name in import_module(module).__all__}
    assert names - names_used(FOLDER / "public_names.py") == set()


@pytest.mark.skipif(util.find_spec("basedpyright") is None, reason="pyright is not installed")
def test_pyright_accepts_the_typed_files(tmp_path: Path) -> None:
    """Pyright accepts the uses and reports no needless `type: ignore`, as mypy does."""
    config = tmp_path / "pyrightconfig.json"
    config.write_text(
        f"""{{
            "include": ["{FOLDER.as_posix()}"],
            "extraPaths": ["{ROOT.as_posix()}"],
            "typeCheckingMode": "standard",
            "reportUnnecessaryTypeIgnoreComment": "error"
        }}"""
    )
    argv = [sys.executable, "-m", "basedpyright", "-p", str(config)]
    done = subprocess.run(
        [*argv, "--pythonpath", sys.executable], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout
