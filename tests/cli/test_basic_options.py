"""Options of nearly every command, and how little a command loads that needs no others."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from captoolkit.cli import basic_options
from tests.support.command_line import Run
from tests.support.paths import CORPUS, ROOT
from tests.support.sound import noise, write_wav

LISTED = """
import contextlib, io, sys
from captoolkit.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    status = main(["probe", sys.argv[1]])
assert status == 0
print(*sorted({"numpy", "soundfile", "captoolkit.media.ffmpeg"} & set(sys.modules)))
"""


def test_probe_of_a_wav_loads_neither_numpy_nor_libsndfile() -> None:
    """A WAV is probed by its header: half of the time would be numpy's import."""
    argv = [sys.executable, "-c", LISTED, str(CORPUS / "german.wav")]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == []


def test_the_decorators_have_no_branches() -> None:
    """A shared option is data: no statement of the module chooses between options."""
    lines = inspect.getsource(basic_options).splitlines()
    assert [line for line in lines if line.lstrip().startswith(("if ", "elif ", "match "))] == []


@pytest.mark.parametrize(
    "words",
    [
        "caption a.wav -o a.srt --report a.srt",
        "caption a.wav b.wav -o made --report made/b.json",
        "caption a.wav -o a.srt --ledger ./a.srt",
        "prepare a.wav -o made --report made/a.manifest.json",
        "prepare a.wav -o made -y --picture made/a.manifest.json",
        "prepare a.wav -o made --report made/a.001.wav",
        "prepare a.wav -o made --report made",
        "split a.wav -o made --picture a.svg --report a.svg",
        "plan a.wav --picture a.svg --report a.svg",
        "ask a.wav Why? --continue c.json --ledger c.json",
        "probe --files-from list.txt --report list.txt",
        "batch caption a.wav -o made --ledger made",
        "batch probe --files-from list.txt -o list.txt",
    ],
)
def test_two_outputs_at_one_place_are_refused_before_any_work(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """The error names both options, and nothing is made."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "b.wav"):
        write_wav(tmp_path / name, noise(0.5, rate_hz=16000), rate_hz=16000)
    Path("list.txt").write_text("a.wav\n")
    ran = run(*words.split())
    assert (ran.status, ran.out) == (2, "")
    assert " are one file: " in ran.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "b.wav", "list.txt"]
