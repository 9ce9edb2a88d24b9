"""The states of results that are read once, of one recording and of many."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import captoolkit
from captoolkit.dispatch.run_results import RunResults
from captoolkit.errors import UsageError
from tests.support.sound import tone, write_wav

OPENERS: dict[str, Callable[[Path], RunResults]] = {
    "one recording": captoolkit.captions,
    "many": lambda path: captoolkit.caption_many([path]),
}


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A second of a tone."""
    return write_wav(tmp_path / "tone.wav", tone(1, rate_hz=16_000), rate_hz=16_000)


@pytest.mark.parametrize("kind", OPENERS)
def test_the_repr_shows_the_state(kind: str, sound: Path) -> None:
    """The results can be read once."""
    with OPENERS[kind](sound) as results:
        assert iter(results) is results
        assert repr(results).endswith(" of acoustic/2: not complete>")
        assert len(list(results)) == 1
        assert repr(results).endswith(" of acoustic/2: complete>")
        with pytest.raises(StopIteration):
            next(results)


@pytest.mark.parametrize("kind", OPENERS)
def test_closed_results_are_cancelled(kind: str, sound: Path) -> None:
    """Each further request for a result is refused with the same reason."""
    with OPENERS[kind](sound) as results:
        results.close()
        results.close()
        for _ in range(2):
            with pytest.raises(UsageError, match="this captioning was cancelled"):
                next(results)
    assert repr(results).endswith(": this captioning was cancelled>")
