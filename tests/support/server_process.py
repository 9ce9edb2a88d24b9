"""A server on 127.0.0.1 in a process of its own, which ends when its standard input does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from types import MappingProxyType


class ServerProcess:
    """A running server.

    Args:
        code: the program in Python. It prints its port as the first line that is a number, and ends
            when its standard input does: also when the tests are killed.
        environment: further variables for it.

    Attributes:
        port: the port that it listens on.
    """

    def __init__(self, code: str, environment: Mapping[str, str] = MappingProxyType({})) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **environment},
            text=True,
        )
        self._buckets = 0
        line = self.read_line()
        while line and not line.isdigit():
            line = self.read_line()
        self.port = int(line)

    @property
    def process_id(self) -> int:
        """The number of the process."""
        return self._process.pid

    def next_bucket(self) -> str:
        """Return a name that no bucket has."""
        self._buckets += 1
        return f"bucket-{self._buckets}"

    def read_line(self) -> str:
        """Return the next line that the server prints."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def write_line(self, line: str) -> None:
        """Send a line to the server."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End the server."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=30)
