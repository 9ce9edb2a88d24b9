"""Fixtures of the command line's tests: `captoolkit` called in this process."""

from __future__ import annotations

import pytest

from captoolkit.cli import main
from captoolkit.cli.show import configure
from tests.support.command_line import Ran, Run


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `captoolkit` with some arguments."""

    def call(*argv: object) -> Ran:
        capfd.readouterr()
        status = main([str(word) for word in argv])
        configure()  # tests of single functions expect messages as text
        out, err = capfd.readouterr()
        return Ran(status=status, out=out, err=err)

    return call
