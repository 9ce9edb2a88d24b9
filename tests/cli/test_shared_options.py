"""Tests of the shared options: their values come from the library."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, get_args

import click
import pytest

from captoolkit.captioners.registry import CAPTIONERS
from captoolkit.cli import shared_options
from captoolkit.cli.app import COMMANDS, app
from captoolkit.planning.options import FormatName, PlanOptions, SplitOptions
from captoolkit.timeline import FORMATS
from tests.support.command_line import Run
from tests.support.sound import noise, write_wav

# Each option that decides what is made, with a value for six seconds of stereo, and other options
# that it needs. `--at` needs chapters; tests of `split` have it.
DECIDING = {
    words.split()[0].partition("=")[0]: words.split()
    for words in (
        "--target qwen-audio-turbo",
        "--via base64",
        "--format aac",
        "--quality podcast",
        "--effort best --bitrate 32k",
        "--bitrate 64k",
        "--sample-rate 8000",
        "--channels 2",
        "--gain -6",
        "--normalize -23,-2",
        "--skip-silence=1s",
        "--segment 2s",
        "--max-segment 3s",
        "--parts 2",
        "--track 1",
        "--max-duration 1h",
        "--raw s16le:16000:2",
        "--exact",
    )
}
VERBS = ("prepare", "split", "caption", "batch prepare", "batch caption")


def option(command: str, name: str) -> click.Option:
    """Return an option of a command."""
    loaded = app.get_command(click.Context(app), command)
    assert loaded is not None
    (found,) = (one for one in loaded.params if name in one.opts)
    assert isinstance(found, click.Option)
    return found


def test_closed_sets_come_from_the_rows() -> None:
    """Encodings, timeline formats and captioners of the library are those of the help."""
    choices: Any = option("prepare", "--format").type
    assert tuple(choices.choices) == get_args(FormatName)
    assert ", ".join(FORMATS) in str(option("export", "-f").help)
    for name, row in CAPTIONERS.items():
        assert f"{name}: {row.help}" in str(option("caption", "--captioner").help)


def test_options_in_the_help_have_the_order_of_the_group() -> None:
    """`--segment` precedes `--max-segment`, which precedes `--parts`."""
    split = app.get_command(click.Context(app), "split")
    assert split is not None
    names = [one.opts[0] for one in split.params if isinstance(one, click.Option)]
    lengths = [names.index(name) for name in ("--segment", "--max-segment", "--parts")]
    assert lengths == sorted(lengths)


def test_the_decorators_have_no_branches() -> None:
    """A shared option is data: no statement of the module chooses between options."""
    lines = inspect.getsource(shared_options).splitlines()
    assert [line for line in lines if line.lstrip().startswith(("if ", "elif ", "match "))] == []


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_short_help_is_one_verb_phrase(name: str) -> None:
    """It starts with a capital letter, ends with a period and fits on a line."""
    text = COMMANDS[name]
    assert text[0].isupper()
    assert text.endswith(".")
    assert len(text) <= 76


def deciding_options(verb: str) -> set[str]:
    """The options of a command that its library verb takes as keywords of a plan."""
    command: click.Command = app
    for word in verb.split():
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None
        command = found
    names = PlanOptions.__annotations__ | SplitOptions.__annotations__
    options = [one for one in command.params if isinstance(one, click.Option)]
    return {one.opts[-1] for one in options if one.name in names}


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of stereo noise, two of them silent, as WAV and without a header."""
    folder = tmp_path_factory.mktemp("every-option")
    sound = noise(6.0, rate_hz=16_000, channels=2)
    sound[32_000:64_000] = 0
    path = write_wav(folder / "talk.wav", sound, rate_hz=16_000)
    (folder / "talk.pcm").write_bytes(path.read_bytes()[-6 * 16_000 * 4 :])
    return path


def talk_files(folder: Path) -> list[Path]:
    """The results of a run, without the records of a batch."""
    return [path for path in folder.rglob("talk*") if path.is_file()]


@pytest.mark.parametrize(
    ("verb", "name"),
    [(verb, name) for verb in VERBS for name in DECIDING if name in deciding_options(verb)],
)
def test_every_option_makes_files_that_a_second_run_keeps(
    run: Run, talk: Path, tmp_path: Path, verb: str, name: str
) -> None:
    """The same command again finds the files of the first and makes none, whatever the option."""
    source = talk.with_suffix(".pcm") if name == "--raw" else talk
    command = [*verb.split(), source, "-o", tmp_path / "out", *DECIDING[name]]
    again = ["--skip-existing"]
    if verb.startswith("batch"):
        command, again = [*command, "--cluster", "none"], []
    first = run(*command)
    assert (first.status, "Traceback" in first.err) == (0, False), first.err
    made = {path: path.stat().st_ino for path in talk_files(tmp_path)}
    second = run(*command, *again)
    assert (second.status, "Traceback" in second.err) == (0, False), second.err
    assert made
    assert made == {path: path.stat().st_ino for path in talk_files(tmp_path)}


def test_the_values_cover_every_option() -> None:
    """A new option that decides what is made gets a value above."""
    assert set().union(*map(deciding_options, VERBS)) == {*DECIDING, "--at"}


@pytest.mark.parametrize(
    ("command", "words"), [("prepare", "plan"), ("caption", "plan --captioner NAME")]
)
def test_a_dry_run_is_a_plan(run: Run, tmp_path: Path, command: str, words: str) -> None:
    """The refusal of `--dry-run`, which `split` and `batch` have, names the command."""
    refused = run(command, tmp_path / "a.wav", "-o", tmp_path / "out", "--dry-run")
    assert (refused.status, refused.out) == (2, "")
    assert refused.err.startswith(f"error: {command} has no --dry-run: `captoolkit plan` shows ")
    assert f"; take `captoolkit {words}`, with the options about target" in refused.err
