"""An S3 server for the tests of this folder; one for all tests of a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from captoolkit.jobs.stores import object_store
from tests.support.object_store import FaultyProxy, ObjectStore


@pytest.fixture(scope="session")
def s3_server() -> Iterator[ObjectStore]:
    """A running S3 server."""
    server = ObjectStore()
    yield server
    server.close()


@pytest.fixture
def s3(s3_server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty bucket; the environment names its server and a key."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    yield f"s3://{s3_server.create_bucket()}"
    object_store.forget_file_systems()


@pytest.fixture
def faulty(
    s3_server: ObjectStore, s3: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyProxy]:
    """A proxy before the S3 server, which the environment names instead of the server."""
    proxy = FaultyProxy(s3_server.port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    object_store.forget_file_systems()
    yield proxy
    object_store.forget_file_systems()
    proxy.close()
