"""What the command line's tests share: running it, and seeing what a shell would see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from captoolkit.cli import main


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a command left behind: its exit status and its two streams."""

    status: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `captoolkit` with some arguments."""

    def call(*argv: object) -> Ran:
        capfd.readouterr()
        status = main([str(word) for word in argv])
        out, err = capfd.readouterr()
        return Ran(status=status, out=out, err=err)

    return call
