"""The code in the documentation works: its commands, its Python blocks and its examples."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import cast

import click
import pytest

from captoolkit.cli.app import app
from tests.support.pages import EXAMPLES, PAGES, blocks, make_desk
from tests.support.paths import ROOT
from tests.support.recorder import Recorder

# pydub warns when it is imported: on Python 3.11 and 3.12, and where no ffmpeg is on PATH.
PYDUB_WARNS = (
    "ignore:'audioop' is deprecated:DeprecationWarning",
    "ignore:Couldn't find ffmpeg or avconv:RuntimeWarning",
)
FILTERS = [word for one in ("error", *PYDUB_WARNS) for word in ("-W", one)]
BASE_PATHS = {"dashscope": "/api/v1", "openai": "/compatible-mode/v1"}
# How many requests the commands of a page send to a paid service.
REQUESTS = {"README.md": 1, "docs/guides/caption.md": 4, "docs/guides/costs.md": 1}
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


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder in which the paths of the documentation exist."""
    return make_desk(tmp_path)


def run(argv: list[str], desk: Path) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments, as a reader with a key and a cache of his own would."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DASHSCOPE_API_KEY": "sk-readme-example",
        "XDG_CACHE_HOME": str(desk / "cache"),
    }
    return subprocess.run(
        [sys.executable, *argv],
        cwd=desk,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def commands() -> dict[str, list[str]]:
    """Return the commands of each page that has any."""
    found: dict[str, list[str]] = {}
    for page, body in blocks("console"):
        lines = [line for line in body.splitlines() if line.startswith("$ ")]
        found.setdefault(page, []).extend(line.removeprefix("$ ") for line in lines)
    return found


def test_the_pages_have_commands() -> None:
    """README and at least eight pages of docs/ show commands, more than twenty together."""
    assert "README.md" in commands()
    assert len(commands()) > 8
    assert sum(map(len, commands().values())) > 20


@pytest.mark.parametrize("page", commands())
def test_every_command_runs(page: str, desk: Path, recorder: Recorder) -> None:
    """The commands of a page run in order; a local server takes the place of a paid service."""
    for command in commands()[page]:
        done = run(["-m", *redirected(shlex.split(command), recorder)], desk)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert done.stdout, command
    assert len(recorder.seen) == REQUESTS.get(page, 0)


def redirected(argv: list[str], recorder: Recorder) -> list[str]:
    """Return the command with a server on this machine in place of the region's host."""
    if "--region" not in argv:
        return argv
    protocol = argv[argv.index("--captioner") + 1]
    recorder.answer(ANSWERS[protocol])
    return [*argv, "--base-url", recorder.url + BASE_PATHS[protocol]]


PYTHON = blocks("python")


@pytest.mark.parametrize(
    "body", [body for _, body in PYTHON], ids=[f"{page}-{n}" for n, (page, _) in enumerate(PYTHON)]
)
def test_every_python_block_runs(body: str, desk: Path) -> None:
    """A Python block runs as a script, with warnings as errors, and prints something."""
    script = desk / "example.py"
    script.write_text(body, encoding="utf-8")
    done = run([*FILTERS, str(script)], desk)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_runs(path: Path, desk: Path) -> None:
    """A file of docs/examples/ runs, with warnings as errors; a test in it passes."""
    if path.name.startswith("test_"):
        (desk / path.name).write_bytes(path.read_bytes())
        done = run(["-m", "pytest", "-q", "-p", "no:cacheprovider", path.name], desk)
        assert "1 passed" in done.stdout, done.stdout
    else:
        done = run([*FILTERS, str(path)], desk)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_every_example_is_on_a_page() -> None:
    """No file of docs/examples/ is forgotten."""
    for path in EXAMPLES:
        assert any(f"examples/{path.name}" in text for text in PAGES.values()), path.name


def test_the_rehearsal_works(desk: Path) -> None:
    """The shell commands of the guide start the emulator and caption a file through it."""
    ((_, script),) = [one for one in blocks("sh") if "--fault reset=1" in one[1]]
    emulate, export, caption = script.splitlines()
    assert export == "export DASHSCOPE_API_KEY=any"
    argv = shlex.split(emulate.removesuffix(" &").replace("--port 8765", "--port 0"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-m", *argv], cwd=desk, env=environment, stdout=subprocess.PIPE, text=True
    ) as emulator:
        try:
            assert emulator.stdout is not None
            url = emulator.stdout.readline().split()[-1].rstrip("/")
            done = run(["-m", *shlex.split(caption.replace("http://127.0.0.1:8765", url))], desk)
        finally:
            emulator.terminate()
    assert done.returncode == 0, done.stderr
    assert (desk / "speech.json").exists()
    assert (desk / "requests.jsonl").read_text(encoding="utf-8").count("\n") >= 2


def shell_commands() -> list[tuple[str, str]]:
    """Return the captoolkit commands of `sh` and `bash` blocks, which name files of a reader."""
    found = []
    for page, body in (*blocks("sh"), *blocks("bash")):
        for line in body.replace("\\\n", " ").splitlines():
            command = re.search(r"(?:^|[ |])captoolkit ([^|&]*)", line)
            if command and not line.startswith(("#", "eval")):
                found.append((page, command[1]))
    return found


def test_every_shell_command_has_options_that_exist() -> None:
    """Commands that need a key, a cluster or other files are parsed, and not run."""
    assert len(shell_commands()) > 20
    for page, text in shell_commands():
        command, words = cast("click.Command", app), shlex.split(text, comments=True)
        while isinstance(command, click.Group):
            found = command.get_command(click.Context(command), words.pop(0))
            assert found is not None, (page, text)
            command = found
        command.make_parser(click.Context(command)).parse_args(words)
