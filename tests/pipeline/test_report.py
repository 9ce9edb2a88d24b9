from __future__ import annotations

import threading
from pathlib import Path

import pytest

from captoolkit.api.prepare import prepare
from captoolkit.errors import UsageError
from captoolkit.events import Event, SegmentReady
from tests.support.processes import has_children
from tests.support.sound import noise, write_wav


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_callback_may_close_the_preparation(tmp_path: Path, jobs: int) -> None:
    """A Cancel button: closing from inside `on_event` ends the work without waiting for itself."""
    path = write_wav(tmp_path / "a.wav", noise(1300.0, rate_hz=8_000), rate_hz=8_000)

    def cancel(event: Event) -> None:
        if isinstance(event, SegmentReady):
            threading.Event().wait(0.3)  # long enough for workers to have something to tell
            prepared.close()

    prepared = prepare(path, segment=20, format="mp3", jobs=jobs, on_event=cancel)

    def take() -> None:
        with pytest.raises(UsageError, match="is closed"):
            list(prepared)

    taker = threading.Thread(target=take, daemon=True)
    taker.start()
    taker.join(30)
    assert not taker.is_alive()
    prepared.close()
    assert not has_children()
