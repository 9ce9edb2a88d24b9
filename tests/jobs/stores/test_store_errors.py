"""Tests of the faults of stores: which are retried, and their one line."""

from __future__ import annotations

import errno

import pytest

from captoolkit.errors import DiskFullError, InputError, SourceNotFoundError
from captoolkit.jobs.stores import store_errors


class HttpError(Exception):
    """An error as gcsfs raises it: the status is its `code`, perhaps as text."""

    def __init__(self, code: object) -> None:
        super().__init__(f"HTTP {code}")
        self.code = code


class ServerDisconnectedError(Exception):
    """An error of aiohttp, by its name."""


class DefaultCredentialsError(Exception):
    """An error of the library of Google, by its name."""


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry at once."""
    monkeypatch.setattr(store_errors, "WAITS_S", (0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        (OSError(errno.EBUSY, "SlowDown"), 4),
        (ConnectionResetError(), 4),
        (ServerDisconnectedError(), 4),
        (HttpError("503"), 4),
        (HttpError(429), 4),
        (HttpError("not a number"), 1),
        (HttpError(403), 1),
        (PermissionError(), 1),
        (FileNotFoundError(), 1),
        (ValueError(), 1),
    ],
    ids=repr,
)
def test_transient_faults_alone_are_retried(error: Exception, calls: int) -> None:
    """The last error is raised after three retries, and a lasting one after none."""
    seen = []

    def fail() -> None:
        seen.append(1)
        raise error

    with pytest.raises(type(error)):
        store_errors.retry(fail)
    assert len(seen) == calls


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (FileNotFoundError(), SourceNotFoundError, "there is no such file; check the name"),
        (HttpError(401), InputError, "cannot be read: permission is denied"),
        (OSError("Forbidden: https://host/b"), InputError, "cannot be read: permission is denied"),
        (HttpError(502), InputError, "cannot be read: the store is busy or fails"),
        (ConnectionRefusedError(), InputError, "cannot be read: the store does not answer"),
        (DefaultCredentialsError(), InputError, "cannot be read: no credentials were found"),
        (OSError(errno.ENOSPC, "full"), DiskFullError, "there is no room left on the disk"),
        (OSError("a message\nof two lines"), InputError, "cannot be read: a message of two lines"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_fault_is_one_line(error: Exception, kind: type[Exception], text: str) -> None:
    """The line names the URL (unless a local disk is full), the reason, and the remedy."""
    shown = store_errors.read_error("gs://b/a", error)
    assert type(shown) is kind
    assert text in str(shown)
    assert "\n" not in str(shown)


def test_a_file_that_cannot_be_created_has_no_bucket() -> None:
    """A store has no folders, so only its bucket can be missing."""
    assert "there is no such bucket" in str(store_errors.write_error("gs://b/a", OSError(2, "x")))
