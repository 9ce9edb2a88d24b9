"""Options of nearly every command, and how little a command loads that needs no others."""

from __future__ import annotations

import inspect
import subprocess
import sys

from captoolkit.cli import basic_options
from tests.support.paths import CORPUS, ROOT

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
