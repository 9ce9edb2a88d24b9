"""Recordings, stores and a cluster for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from captoolkit.jobs.clusters import open_engine
from captoolkit.jobs.engine import Engine
from captoolkit.jobs.stores import object_store
from captoolkit.services.keys import KEY_VARIABLE
from tests.support.batches import write_recordings
from tests.support.engine_tasks import MEMORY_BYTES
from tests.support.google_store import GoogleStore
from tests.support.object_store import FaultyProxy, ObjectStore

KEY = "sk-a-key-that-workers-do-not-need"


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


@pytest.fixture(scope="session")
def google_server() -> Iterator[GoogleStore | None]:
    """A running server of Google Cloud Storage; None without the packages for it."""
    if find_spec("gcsfs") is None or find_spec("gcp_storage_emulator") is None:
        yield None
        return
    server = GoogleStore()
    yield server
    server.close()


@pytest.fixture
def google(google_server: GoogleStore | None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty bucket; the environment names its server."""
    if google_server is None:
        pytest.skip("gcsfs or gcp-storage-emulator is not installed")
    for name, value in google_server.environment.items():
        monkeypatch.setenv(name, value)
    object_store.forget_file_systems()
    yield f"gs://{google_server.create_bucket()}"
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


@pytest.fixture(scope="module")
def cluster() -> Iterator[Engine]:
    """Two worker processes on this machine, started with a key in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, KEY)
        with open_engine("local:2", memory_bytes=MEMORY_BYTES) as engine:
            yield engine


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A folder with two recordings."""
    return write_recordings(tmp_path / "in", ["talks/a.wav", "b.wav"])


@pytest.fixture(params=["folder", "s3"])
def out(request: pytest.FixtureRequest, tmp_path: Path, s3_server: object) -> str:
    """The path or URL of an empty store of each kind."""
    is_folder = request.param == "folder"
    return str(tmp_path / "out") if is_folder else f"{request.getfixturevalue('s3')}/out"
