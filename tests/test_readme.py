"""The README is true: each of its commands and each of its Python blocks runs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import captoolkit
from captoolkit.model import Action
from captoolkit.timeline import FORMATS
from tests.media.test_formats import KINDS, SegmentWriters, kind
from tests.support.paths import FIXTURES, ROOT
from tests.support.recorder import Recorder

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What pydub says when it is imported, on Python 3.11 and 3.12 and where no ffmpeg is on PATH.
PYDUB_WARNS = (
    "ignore:'audioop' is deprecated:DeprecationWarning",
    "ignore:Couldn't find ffmpeg or avconv:RuntimeWarning",
)
BASE_PATHS = {"dashscope": "/api/v1", "openai": "/compatible-mode/v1"}


def blocks(language: str) -> list[str]:
    """The README's blocks in one language, in order."""
    return [body for name, body in BLOCK.findall(README) if name == language]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the README's paths mean what they say."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "fixtures").symlink_to(FIXTURES)
    return folder


def test_every_command_of_the_readme_runs(desk: Path, recorder: Recorder) -> None:
    """The commands run one after another, as a reader would try them.

    Those that ask a paid service ask a local server in its place.
    """
    commands = [
        line.removeprefix("$ ")
        for body in blocks("console")
        for line in body.splitlines()
        if line.startswith("$ ")
    ]
    assert len(commands) > 10
    for command in commands:
        argv = redirected(shlex.split(command), recorder)
        done = subprocess.run(
            [sys.executable, "-m", *argv],
            cwd=desk,
            env={
                **os.environ,
                "DASHSCOPE_API_KEY": "sk-readme-example",
                "XDG_CACHE_HOME": str(desk / "cache"),
            },
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert done.stdout, command
    assert len(recorder.seen) == 4


def redirected(argv: list[str], recorder: Recorder) -> list[str]:
    """The command with `--region NAME` replaced by a server on this machine."""
    if "--region" not in argv:
        return argv
    protocol = argv[argv.index("--captioner") + 1]
    recorder.answer(ANSWERS[protocol])
    place = argv.index("--region")
    return [
        *argv[:place],
        "--base-url",
        recorder.url + BASE_PATHS[protocol],
        *argv[place + 2 :],
    ]


ANSWERS: dict[str, object] = {
    "dashscope": {
        "output": {
            "choices": [
                {
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": [{"text": "A voice."}]},
                }
            ]
        },
        "usage": {"input_tokens": 71, "output_tokens": 4, "total_tokens": 75},
        "request_id": "r-1",
    },
    "openai": {
        "id": "chatcmpl-1",
        "choices": [
            {"finish_reason": "stop", "message": {"role": "assistant", "content": "A voice."}}
        ],
        "usage": {"prompt_tokens": 71, "completion_tokens": 4, "total_tokens": 75},
    },
}


@pytest.mark.parametrize("body", blocks("python"), ids=range(1, len(blocks("python")) + 1))
def test_every_python_block_of_the_readme_runs(body: str, desk: Path) -> None:
    """The library examples run as they stand, with warnings as errors."""
    script = desk / "example.py"
    script.write_text(body, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    filters = [word for one in ("error", *PYDUB_WARNS) for word in ("-W", one)]
    argv = [sys.executable, *filters, str(script)]
    done = subprocess.run(argv, cwd=desk, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_help_and_limits_in_the_readme_are_those_of_the_code() -> None:
    """What scripts/make_reference.py would write is what is there."""
    argv = [sys.executable, str(ROOT / "scripts/make_reference.py"), "--check"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_fixture_of_the_readme_works(desk: Path) -> None:
    """Whoever copies it into a test has a test that passes."""
    (body,) = blocks("py")
    (desk / "test_example.py").write_text(body, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_example.py"]
    done = subprocess.run(argv, cwd=desk, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_the_kinds_of_faults_are_as_many_as_the_readme_says() -> None:
    """A number in prose is as true as the list it counts."""
    from captoolkit.emulator.fault_injection import Kind

    assert "lists sixteen kinds" in README
    assert len(Kind) == 16


# Files of `tests/media/test_formats.py` for each row of the README's table, in its order.
GOING_IN = [
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


def test_what_goes_in_becomes_what_the_readme_says(tmp_path: Path, ffmpeg: str) -> None:
    """A file for each container and codec of a row is planned as the row says."""
    _, _, table = README.partition("### Formats that go in")
    rows = [line for line in table.partition("*Encoded*")[0].splitlines() if line[:2] == "| "]
    bench, kinds = (
        SegmentWriters(tmp_path, ffmpeg),
        {one.name: one for one in [*KINDS, *MORE_KINDS]},
    )
    for row, names in zip(rows[2:], GOING_IN, strict=True):
        said = row.rstrip(" |").rpartition("| ")[2]
        (action,) = (it for words, it in OUTCOMES.items() if said.startswith(words))
        for name in names:
            path = tmp_path / name
            kinds[name].make(bench, kinds[name], path)
            assert captoolkit.plan(path).action is action, name


def test_the_table_of_formats_is_the_registrys() -> None:
    """Every format there is has its row, in order, with the ending of its files."""
    rows = [
        (row.name, f".{row.extension}")
        for row in FORMATS.values()
        if f"| `{row.name}` | `.{row.extension}` |" in README
    ]
    assert rows == [(row.name, f".{row.extension}") for row in FORMATS.values()]


def test_the_limits_table_agrees_with_the_targets() -> None:
    """Every service known is in the table, and its longest clip is the one that is planned with."""
    import captoolkit

    for name, target in captoolkit.targets().items():
        row = next(line for line in README.splitlines() if line.startswith(f"| `{name}`"))
        longest_s = target.limit("max_duration_s")
        assert longest_s is not None
        told = re.search(r"(\d+) (min|s)", row)
        assert told is not None
        assert int(told[1]) * (60 if told[2] == "min" else 1) == longest_s
        assert row.rstrip(" |").endswith(f"{float(target.limit('tokens_per_s') or 0):g}")


def test_every_script_the_readme_names_exists() -> None:
    """A path in the README leads somewhere."""
    for name in set(re.findall(r"(?:scripts|captoolkit|fixtures)/[\w./-]+\w", README)):
        assert (ROOT / name).exists(), name


def test_the_example_of_a_target_of_ones_own_is_one() -> None:
    """The TOML in the README is read as it stands."""
    from captoolkit.services.rows import parse

    (example,) = blocks("toml")
    assert parse(example, origin="README.md")["house"].limit("max_duration_s") == 90
