"""The command line: each command parses its arguments, makes one library call, shows the result."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run `captoolkit` with these arguments and return its exit status.

    0: done; 1: at least one input failed; 2: wrong usage; 130: interrupted.
    """
    from captoolkit.cli.app import run

    return run(sys.argv[1:] if argv is None else list(argv))
