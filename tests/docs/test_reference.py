"""The documentation agrees with the code: generated parts, tables, names, paths and links."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import FunctionType

import pytest

import captoolkit
from captoolkit.bitstream.containers import CONTAINERS
from captoolkit.cli.app import COMMANDS
from captoolkit.media import ffmpeg as ffmpeg_module
from captoolkit.model import Action, Target
from captoolkit.services.rows import parse
from captoolkit.timeline import FORMATS
from tests.support.media_files import KINDS, Kind, MediaMaker, kind
from tests.support.pages import PAGES, blocks
from tests.support.paths import ROOT

PUBLIC_MODULES = ("model", "events", "errors", "timeline", "captioners", "emulator")
README_BYTES = 8_000
PATH = re.compile(
    r"(?<!\.)(?:scripts|captoolkit|fixtures|docs|tests)/[\w./-]+\w|`([\w]+/[\w/]+\.(?:py|toml))`"
)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[\w-]+)?\)")


@pytest.mark.parametrize("script", ["make_reference.py", "make_pictures.py"])
def test_generated_parts_are_those_of_the_code(script: str) -> None:
    """The scripts would write the tables and the picture that are in docs/."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, str(ROOT / "scripts" / script), "--check"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


COLUMNS = (Action.PASS_THROUGH, Action.REMUX, Action.ENCODE)
LONG_MP3 = kind("long.mp3", "-af aloop=-1:size=2e5 -t 2500 -b:a 24k", "mp3", "mp3", 16_000, 1)
# Files that the sentences below the table except from it, and the action that they state.
EXCEPTIONS = {
    "extensible.wav": Action.REMUX,
    "rf64.wav": Action.REMUX,
    "three.wav": Action.ENCODE,
    "film.mp4": Action.REMUX,
    "long.mp3": Action.COPY,
}
ENCODERS = {
    "amr_nb": "libopencore_amrnb -ar 8000 -ac 1",
    "dts": "dca",
    "mp3": "libmp3lame",
    "opus": "libopus",
    "vorbis": "libvorbis",
}
WITHOUT_ENCODER = {("ape", "ape"), ("tak", "tak")}  # of which no file is made here


def actions() -> dict[tuple[str, str], Action]:
    """Return the action for each container and codec, as the table of formats has it."""
    titles = {row.title: row.name for row in CONTAINERS.values()}
    table = PAGES["docs/reference/formats.md"].partition("<!-- end of inputs")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
    found: dict[tuple[str, str], Action] = {}
    for row in rows:
        title, _, *columns = (cell.strip() for cell in row.strip("|").split("|"))
        for action, cell in zip(COLUMNS, columns, strict=True):
            found |= {(titles[title], codec): action for codec in re.findall(r"`(\w+)`", cell)}
    return found


def test_the_table_of_formats_agrees_with_real_files(tmp_path: Path, ffmpeg: str) -> None:
    """A file of each container and codec in the table is planned as the table states."""
    maker = MediaMaker(tmp_path, ffmpeg)
    plain = {(one.container, one.codec): one for one in reversed(KINDS)}
    for cell, action in actions().items():
        if cell not in WITHOUT_ENCODER:
            one = plain.get(cell) or kind_of(*cell)
            one.make(maker, one, tmp_path / one.name)
            assert captoolkit.plan(tmp_path / one.name).action is action, one.name


def kind_of(container: str, codec: str) -> Kind:
    """Return how ffmpeg makes a file of a container and a codec."""
    name = f"{codec}.{CONTAINERS[container].suffixes[0]}"
    options = f"-c:a {ENCODERS.get(codec, codec)} -strict experimental"
    return kind(name, options, container, codec, 48_000)


EXCEPTED = [one for one in [*KINDS, LONG_MP3] if one.name in EXCEPTIONS]


@pytest.mark.parametrize("one", EXCEPTED, ids=lambda one: one.name)
def test_the_exceptions_from_the_table_of_formats_are_true(
    one: Kind, tmp_path: Path, ffmpeg: str
) -> None:
    """A file that a sentence below the table excepts is planned as the sentence states."""
    one.make(MediaMaker(tmp_path, ffmpeg), one, tmp_path / one.name)
    assert captoolkit.plan(tmp_path / one.name).action is EXCEPTIONS[one.name], one.name


def test_the_table_of_timeline_formats_has_every_format() -> None:
    """Each format has its row, in order, with the ending of its files."""
    text = PAGES["docs/guides/timeline-formats.md"]
    rows = re.findall(r"^\| `([\w-]+)` \| `\.([\w.]+)` \|", text, re.MULTILINE)
    assert rows == [(row.name, row.extension) for row in FORMATS.values()]


def test_the_table_of_limits_agrees_with_the_targets() -> None:
    """Each target is in the table, with its longest clip and its tokens."""
    lines = PAGES["docs/reference/targets.md"].splitlines()
    for name, target in captoolkit.targets().items():
        row = next(line for line in lines if line.startswith(f"| `{name}`"))
        longest_s = target.limit("max_duration_s")
        stated = re.search(r"(\d+) (min|s)\b", row)
        if longest_s is None:
            assert "| any |" in row
        else:
            assert stated is not None
            assert int(stated[1]) * (60 if stated[2] == "min" else 1) == longest_s
        rate = target.limit("tokens_per_s")
        assert row.rstrip(" |").endswith("unknown" if rate is None else f"{float(rate):g}")


def test_the_examples_of_targets_are_valid() -> None:
    """The TOML of the pages is read as it stands."""
    ours = captoolkit.targets()
    targets: dict[str, Target] = {}
    for page, example in blocks("toml"):
        targets |= parse(example, origin=page, others=ours)
    assert targets["house"].limit("max_duration_s") == 90
    assert targets["ours"].key_header == ours["azure"].key_header == "api-key"


def test_each_target_is_in_the_table_of_other_services() -> None:
    """The guide says of each service how it was tried."""
    page = PAGES["docs/guides/other-services.md"]
    named = {
        name
        for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
        for name in re.findall(r"`([\w-]+)`", row)
    }
    assert set(captoolkit.targets()) - {"acoustic"} <= named


def test_every_command_is_on_the_page_of_the_command_line() -> None:
    """Each command has its section."""
    sections = re.findall(r"^## captoolkit (\w+)$", PAGES["docs/reference/cli.md"], re.MULTILINE)
    assert sections == sorted(COMMANDS)


def test_every_public_name_is_in_the_api_reference() -> None:
    """Each name in `__all__` of a public module has an entry, of its own or by its module.

    Sphinx documents with a module its classes and functions, but neither values nor lazy names.
    """
    reference = "\n".join(text for page, text in PAGES.items() if page.startswith("docs/reference"))
    entries = set(re.findall(r"^\.\. (?:auto\w+|py:data):: ([\w.]+)$", reference, re.MULTILINE))
    errors = import_module("captoolkit.errors")
    for name in captoolkit.__all__:
        assert f"captoolkit.{name}" in entries or hasattr(errors, name), name
    for module in (f"captoolkit.{name}" for name in PUBLIC_MODULES):
        assert module in entries
        content = vars(import_module(module))
        for name in content["__all__"]:
            has_entry = entries & {f"{module}.{name}", f"captoolkit.{name}"}
            assert has_entry or isinstance(content.get(name), type | FunctionType), name
    for names in re.findall(r"^   :exclude-members: (.*)$", reference, re.MULTILINE):
        assert {f"captoolkit.{name}" for name in names.split(", ")} <= entries


@pytest.mark.parametrize("page", PAGES)
def test_every_path_and_link_on_a_page_exists(page: str) -> None:
    """A file that a page names is in the project; a link to another page leads to it."""
    for match in PATH.finditer(PAGES[page]):
        name = match[1] or match[0]
        assert (ROOT / name).exists() or (ROOT / "captoolkit" / name).exists(), name
    folder = (ROOT / page).parent
    for target in LINK.findall(PAGES[page]):
        assert (folder / target).exists(), target


def test_the_recipes_of_contributors_are_the_docstrings_of_the_code() -> None:
    """The page for contributors shows five recipes, each from the module where the work begins."""
    modules = re.findall(r"^.. automodule:: (.*)$", PAGES["docs/contributing.md"], re.MULTILINE)
    assert len(modules) == 5
    for name in modules:
        assert "How to add a" in (import_module(name).__doc__ or ""), name


def test_the_versions_of_ffmpeg_are_those_of_the_code() -> None:
    """The page of the installation states the tested version and the oldest supported one."""
    text = PAGES["docs/install.md"]
    assert f"tested with ffmpeg {ffmpeg_module.TESTED_VERSION}." in text
    assert f"oldest supported version is {ffmpeg_module.OLDEST_VERSION};" in text


def test_the_readme_is_short() -> None:
    """README.md has at most 8 kB; everything else is in docs/."""
    assert len(PAGES["README.md"].encode()) <= README_BYTES


def test_the_tests_that_the_documentation_names_exist() -> None:
    """Each test in the list of odd recordings is in the tests."""
    text = (ROOT / "docs" / "design" / "exactness.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", text))
    defined = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(named) > 20
    assert named <= defined
