"""Recordings and tasks for the tests of batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from captoolkit.emulator import Emulator
from captoolkit.jobs.chunks import chunk_of
from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.listing.listings import list_inputs
from captoolkit.jobs.results.recipe import Recipe
from captoolkit.jobs.results.recording_rows import RecordingRow
from captoolkit.jobs.stores.base_store import Store
from captoolkit.jobs.work import Task, work_on
from tests.support.sound import tone, write_wav

RATE_HZ = 16_000
SECRET = "sk-a-key-that-nothing-may-show"


def write_recordings(folder: Path, names: Iterable[str], *, seconds: float = 2.0) -> Path:
    """Write a short WAV of its own pitch under each name."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_wav(
            path, tone(seconds, rate_hz=RATE_HZ, frequency_hz=200 + 50 * number), rate_hz=RATE_HZ
        )
    return folder


def listed(*names: str | Path) -> list[Input]:
    """The inputs of a listing."""
    return list(list_inputs([str(name) for name in names]))


def service_options(
    emulator: Emulator, ledger: str | Path = ":memory:", **options: Any
) -> dict[str, Any]:
    """The options of a batch that captions with the emulator, and with these further options."""
    return {
        "captioner": "dashscope",
        "base_url": emulator.native_url,
        "region": "singapore",
        "api_key": SECRET,
        "ledger": ledger,
        **options,
    }


def task_of(
    inputs: Iterable[Input],
    out: str | Path,
    *,
    verb: str = "prepare",
    layout: str = "files",
    options: dict[str, Any] | None = None,
    **facts: Any,
) -> Task:
    """The task of a chunk with these inputs."""
    recipe = Recipe.of(verb, options or {}, layout=layout)
    return Task(chunk=chunk_of(inputs), recipe=recipe, out=str(out), **facts)


def rows_of(task: Task) -> dict[str, RecordingRow]:
    """Do a task, and return its rows by id."""
    return {row.id: row for row in work_on(task)}


def names_in(store: Store) -> list[str]:
    """Every name in a store."""
    return sorted(file.name for file in store.list())


def without_time(row: RecordingRow) -> RecordingRow:
    """A row without what differs between runs."""
    return dataclasses.replace(row, worker_s=0.0)
