"""The abilities of programs on disk: when they count, and that no failure matters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from captoolkit.media import ffmpeg, tool_cache
from tests.support.paths import ROOT

FACTS = {"version": "9", "avutil": [60, 1], "encoders": ["aac"], "has_soxr": True}


@pytest.fixture
def program(tmp_path: Path) -> str:
    """A file that is no script, in place of a program."""
    path = tmp_path / "ffmpeg"
    path.write_bytes(b"\x7fELF")
    return str(path)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The place of a cache in a folder that does not exist yet."""
    return tmp_path / "cache" / "ffmpeg.json"


def test_facts_count_while_the_program_is_the_same(program: str, cache: Path) -> None:
    """Another size or time of change means another program."""
    tool_cache.write(program, FACTS, file=cache)
    assert tool_cache.read(program, file=cache) == FACTS
    os.utime(program, ns=(1, 1))
    assert tool_cache.read(program, file=cache) is None


def test_a_user_without_a_home_gets_no_folder(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache folder of such a user is relative; nothing is written into the current folder."""
    monkeypatch.chdir(tmp_path)
    tool_cache.write(program, FACTS, file=Path("~/.cache/ffmpeg.json"))
    assert not (tmp_path / "~").exists()


def test_a_script_is_never_kept(tmp_path: Path, cache: Path) -> None:
    """A wrapper may start another program tomorrow."""
    script = tmp_path / "wrapper"
    script.write_text("#!/bin/sh\nexec ffmpeg\n")
    tool_cache.write(str(script), FACTS, file=cache)
    assert not cache.exists()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": "other"}', '{"format": "captoolkit.ffmpeg/1"}', "[" * 9999]
)
def test_a_damaged_cache_is_ignored_and_replaced(program: str, cache: Path, text: str) -> None:
    """Any content that is no cache reads as an empty one."""
    cache.parent.mkdir()
    cache.write_text(text)
    assert tool_cache.read(program, file=cache) is None
    tool_cache.write(program, FACTS, file=cache)
    assert tool_cache.read(program, file=cache) == FACTS


def test_old_facts_do_not_count(program: str, cache: Path) -> None:
    """The libraries of a program may change without it."""
    tool_cache.write(program, FACTS, file=cache)
    document = json.loads(cache.read_text())
    document["programs"][program]["kept_at_s"] = int(time.time()) - tool_cache.MAX_AGE_S - 10
    cache.write_text(json.dumps(document))
    assert tool_cache.read(program, file=cache) is None


@pytest.mark.skipif(sys.platform == "win32", reason="modes of Unix")
def test_a_cache_that_others_may_write_is_not_read(program: str, cache: Path) -> None:
    """Another user could name encoders that are not there."""
    tool_cache.write(program, FACTS, file=cache)
    assert cache.stat().st_mode & 0o077 == 0
    cache.chmod(0o666)
    assert tool_cache.read(program, file=cache) is None


def test_a_place_that_cannot_be_written_is_harmless(program: str, tmp_path: Path) -> None:
    """A read-only or missing home only costs the query."""
    (tmp_path / "file").touch()
    tool_cache.write(program, FACTS, file=tmp_path / "file" / "ffmpeg.json")
    assert tool_cache.read(program, file=tmp_path / "file" / "ffmpeg.json") is None


def test_another_process_reads_the_abilities_from_disk(tmp_path: Path) -> None:
    """The first process queries the program; the next one takes the answer from the cache."""
    home = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    home.pop(ffmpeg.ENVIRONMENT_VARIABLE, None)
    argv = [sys.executable, "-c", "from captoolkit.media.ffmpeg import find; print(find().version)"]

    def version() -> str:
        done = subprocess.run(argv, check=True, capture_output=True, text=True, cwd=ROOT, env=home)
        return done.stdout.strip()

    assert version() == ffmpeg.find().version
    (cache,) = tmp_path.rglob("ffmpeg.json")
    cache.write_text(cache.read_text().replace(ffmpeg.find().version, "from-disk"))
    assert version() == "from-disk"
