"""The documentation agrees with the code: generated parts, tables, names, paths and links."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import captoolkit
from captoolkit.cli.app import COMMANDS
from captoolkit.model import Action
from captoolkit.services.rows import parse
from captoolkit.timeline import FORMATS
from tests.support.media_files import KINDS, MediaMaker, kind
from tests.support.pages import PAGES, blocks
from tests.support.paths import ROOT

PUBLIC_MODULES = ("model", "events", "errors", "timeline", "captioners", "emulator")
README_BYTES = 8_000
PATH = re.compile(
    r"(?:scripts|captoolkit|fixtures|docs|tests)/[\w./-]+\w|`([\w]+/[\w/]+\.(?:py|toml))`"
)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[\w-]+)?\)")


@pytest.mark.parametrize("script", ["make_reference.py", "make_pictures.py"])
def test_generated_parts_are_those_of_the_code(script: str) -> None:
    """The scripts would write the tables and the picture that are in docs/."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, str(ROOT / "scripts" / script), "--check"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# Files of `tests/support/media_files.py` for each row of the table of formats, in its order.
FILES_OF_ROWS = [
    ["8-bit.wav", "24-bit.wav", "32-bit.wav", "gsm.wav"],
    ["extensible.wav", "rf64.wav", "three.wav", "float.wav", "mu-law.wav", "adpcm.wav"],
    ["cbr.mp3", "vbr.mp3", "cover.mp3"],
    ["adts.aac"],
    ["phone.amr", "wide.amr"],
    ["aac.3gp", "phone.3gp", "wide.3gp"],
    ["aac.m4a", "aac.mp4", "film.mov", "aac.mka", "aac.ts"],
    ["mp3-inside.wav", "mp3.avi", "mp3.mp4", "mp3-later.mkv"],
    ["amr.mov"],
    ["long.mp3"],
    ["stereo.flac", "vorbis.ogg", "opus.webm", "opus.mp4"],
    ["be.aiff", "be.caf", "long.w64", "sun.au", "pcm.mov", "pcm.mka", "film.avi", "alac.m4a"],
    ["dolby.ac3", "dolby.eac3", "layer-2.mp2", "windows.wma", "film.mkv", "film-later.ts"],
]
OUTCOMES = {
    "passes through": Action.PASS_THROUGH,
    "frames moved": Action.REMUX,
    "frames copied": Action.COPY,
    "encoded": Action.ENCODE,
}
MORE_KINDS = [
    kind("amr.mov", "-c:a libopencore_amrnb", "mov", "amr_nb", 8_000, 1),
    kind("long.mp3", "-af aloop=-1:size=2e5 -t 2500 -b:a 24k", "mp3", "mp3", 16_000, 1),
]


def test_the_table_of_formats_agrees_with_real_files(tmp_path: Path, ffmpeg: str) -> None:
    """A file for each container and codec of a row is planned as the row states."""
    maker = MediaMaker(tmp_path, ffmpeg)
    kinds = {one.name: one for one in [*KINDS, *MORE_KINDS]}
    table = PAGES["docs/reference/formats.md"].partition("*Encoded*")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    for row, names in zip(rows[2:], FILES_OF_ROWS, strict=True):
        outcome = row.rstrip(" |").rpartition("| ")[2]
        (action,) = (it for words, it in OUTCOMES.items() if outcome.startswith(words))
        for name in names:
            path = tmp_path / name
            kinds[name].make(maker, kinds[name], path)
            assert captoolkit.plan(path).action is action, name


def test_the_table_of_timeline_formats_has_every_format() -> None:
    """Each format has its row, in order, with the ending of its files; the text counts them."""
    text = PAGES["docs/guides/timeline-formats.md"]
    rows = re.findall(r"^\| `([\w-]+)` \| `\.([\w.]+)` \|", text, re.MULTILINE)
    assert rows == [(row.name, row.extension) for row in FORMATS.values()]
    assert "in sixteen formats" in " ".join(text.split())
    assert len(FORMATS) == 16


def test_the_table_of_limits_agrees_with_the_targets() -> None:
    """Each target is in the table, with its longest clip and its tokens."""
    lines = PAGES["docs/reference/targets.md"].splitlines()
    for name, target in captoolkit.targets().items():
        row = next(line for line in lines if line.startswith(f"| `{name}`"))
        longest_s = target.limit("max_duration_s")
        assert longest_s is not None
        stated = re.search(r"(\d+) (min|s)", row)
        assert stated is not None
        assert int(stated[1]) * (60 if stated[2] == "min" else 1) == longest_s
        assert row.rstrip(" |").endswith(f"{float(target.limit('tokens_per_s') or 0):g}")


def test_the_example_of_a_target_is_valid() -> None:
    """The TOML on the page of targets is read as it stands."""
    ((page, example),) = blocks("toml")
    assert parse(example, origin=page)["house"].limit("max_duration_s") == 90


def test_every_command_is_on_the_page_of_the_command_line() -> None:
    """Each command has its section."""
    sections = re.findall(r"^## captoolkit (\w+)$", PAGES["docs/reference/cli.md"], re.MULTILINE)
    assert sections == sorted(COMMANDS)


def test_every_public_name_is_in_the_api_reference() -> None:
    """Each name of `captoolkit.__all__` has an entry, and each public module a section."""
    reference = "\n".join(text for page, text in PAGES.items() if page.startswith("docs/reference"))
    documented = set(re.findall(r"^\.\. auto\w+:: ([\w.]+)$", reference, re.MULTILINE))
    assert {f"captoolkit.{name}" for name in PUBLIC_MODULES} <= documented
    errors = import_module("captoolkit.errors")
    for name in captoolkit.__all__:
        assert f"captoolkit.{name}" in documented or hasattr(errors, name), name


@pytest.mark.parametrize("page", PAGES)
def test_every_path_and_link_on_a_page_exists(page: str) -> None:
    """A file that a page names is in the project; a link to another page leads to it."""
    for match in PATH.finditer(PAGES[page]):
        name = match[1] or match[0]
        assert (ROOT / name).exists() or (ROOT / "captoolkit" / name).exists(), name
    folder = (ROOT / page).parent
    for target in LINK.findall(PAGES[page]):
        assert (folder / target).exists(), target


def test_the_readme_is_short() -> None:
    """README.md has at most 8 kB; everything else is in docs/."""
    assert len(PAGES["README.md"].encode()) <= README_BYTES
