"""Tests of the driver on a cluster: poison, deaths, captions, two drivers, the key nowhere."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest

import captoolkit
from captoolkit.emulator import Emulator
from captoolkit.errors import CaptoolkitError
from captoolkit.jobs.chunks import chunk_of
from captoolkit.jobs.driver import TRIES
from captoolkit.jobs.lease import Lease
from captoolkit.jobs.results.recording_rows import RecordingRow, RowStatus, read_rows
from captoolkit.jobs.stores.object_store import open_store
from tests.support import poison
from tests.support.batches import SECRET, listed
from tests.support.tones import write_tone, write_tones

MEMORY_BYTES = 500_000_000


@pytest.fixture
def poisonous() -> Iterator[None]:
    """Workers that start meanwhile are ended by poison."""
    import distributed  # noqa: F401 - its settings must be there before they are changed

    with dask.config.set({"distributed.worker.preload": [poison.MODULE]}):
        yield


def rows_of(out: Path) -> dict[str, RecordingRow]:
    """Return the last row of each recording."""
    return {row.id: row for row in read_rows(open_store(str(out)))}


def asking_options(emulator: Emulator, folder: Path) -> dict[str, Any]:
    """Return the options of captions from the emulator."""
    return {
        "captioner": "dashscope",
        "base_url": emulator.native_url,
        "region": "singapore",
        "api_key": SECRET,
        "ledger": folder / "ledger.sqlite3",
    }


@pytest.mark.slow
@pytest.mark.usefixtures("poisonous")
def test_poison_is_quarantined_and_the_rest_is_done(tmp_path: Path) -> None:
    """Killed, crashed, out of memory, endless: each is a row, and a second run tries none."""
    write_tones(tmp_path / "in", 6)
    for number, kind in enumerate(("sigkill", "segv", "memory", "endless", "once")):
        write_tone(tmp_path / "in" / f"poison-{kind}.wav", 50 + number)
    options: dict[str, Any] = {
        "out": tmp_path / "out",
        "cluster": "local:2",
        "worker_memory": MEMORY_BYTES,
        "file_timeout": "4s",
        "exclude": ["*.opened"],
    }
    summary = captoolkit.batch("prepare", [tmp_path / "in"], **options)
    rows = rows_of(tmp_path / "out")
    assert {name for name, row in rows.items() if row.status is RowStatus.QUARANTINED} == {
        f"poison-{kind}.wav" for kind in ("sigkill", "segv", "memory", "endless")
    }
    assert (summary.done, summary.quarantined, summary.left) == (7, 4, 0)
    assert rows["poison-endless.wav"].error.startswith("it took longer than 4 s (2 times)")
    assert rows["poison-segv.wav"].error.startswith("it ended its worker (2 times)")
    again = captoolkit.batch("prepare", [tmp_path / "in"], **options)
    assert (again.done, again.kept, again.failed_before) == (0, 7, 4)


def test_deaths_count_for_one_version_of_a_recording(tmp_path: Path) -> None:
    """A recording that was repaired is tried again; when it is done, its marks are removed."""
    store = open_store(str(tmp_path / "out"))
    recording = write_tone(tmp_path / "in" / "a.wav", 1)
    mark = chunk_of(listed(tmp_path / "in")).mark
    for number in (1, 2):
        store.write_new(f"{TRIES}{mark}-{number}", b"")
    options: dict[str, Any] = {"out": tmp_path / "out", "cluster": "none"}
    assert captoolkit.batch("prepare", [tmp_path / "in"], **options).quarantined == 1
    write_tone(recording, 2, seconds=2)
    write_tone(tmp_path / "in" / "b.wav", 3)
    assert captoolkit.batch("prepare", [tmp_path / "in"], **options).done == 2
    assert not list(store.list(TRIES))


@pytest.mark.slow
@pytest.mark.usefixtures("poisonous")
def test_a_dead_worker_costs_no_request(tmp_path: Path) -> None:
    """The requests are the distinct segments, although workers die and the service has faults."""
    write_tones(tmp_path / "in", 5, seconds=4)
    for number in range(2):
        write_tone(tmp_path / "in" / f"poison-once-{number}.wav", 50 + number, seconds=4)
    with Emulator(faults=["error500=2", "throttle=1"]) as emulator:
        summary = captoolkit.batch(
            "caption",
            [tmp_path / "in"],
            out=tmp_path / "out",
            cluster="local:2",
            segment="2s",
            exclude=["*.opened"],
            **asking_options(emulator, tmp_path),
        )
        answered = Counter(r.audio_sha256 for r in emulator.requests if r.status == 200)
    assert (summary.done, summary.segments, summary.requested) == (7, 14, 14)
    assert len(answered) == 14
    assert set(answered.values()) == {1}


def test_a_key_reaches_no_worker_and_no_log(tmp_path: Path) -> None:
    """Neither the tasks, nor the state and the logs of the cluster, nor OUT show the key."""
    from distributed import Client, LocalCluster

    write_tones(tmp_path / "in", 2, seconds=2)
    with (
        Emulator() as emulator,
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        options: Any = asking_options(emulator, tmp_path)
        captoolkit.batch(
            "caption", [tmp_path / "in"], out=tmp_path / "out", cluster=client, **options
        )
        client.dump_cluster_state(str(tmp_path / "dump"), format="yaml")
        logs = repr((client.get_scheduler_logs(), client.get_worker_logs(), client.get_events()))
    assert SECRET not in logs
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
    task = json.loads((tmp_path / "out" / ".captoolkit" / "job.json").read_text("utf-8"))
    assert SECRET.encode() not in pickle.dumps(task)


def test_a_second_driver_does_not_ask(tmp_path: Path) -> None:
    """While a driver asks about the recordings of OUT, another is refused; then it may.

    It is refused before it reads rows and listings: the first one may end in the meantime, and the
    second one would not know its last rows.
    """
    write_tones(tmp_path / "in", 1)
    (tmp_path / "none.csv").write_text("path\n")
    store = open_store(str(tmp_path / "out"))
    with Emulator() as emulator:
        options: Any = {
            "out": tmp_path / "out",
            "cluster": "none",
            **asking_options(emulator, tmp_path),
        }
        with (
            Lease(store, "another"),
            pytest.raises(CaptoolkitError, match="another run asks about the recordings"),
        ):
            captoolkit.batch("caption", [tmp_path / "none.csv"], **options)
        assert not emulator.requests
        assert captoolkit.batch("caption", [tmp_path / "in"], **options).done == 1
