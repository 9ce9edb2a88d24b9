"""The local captioner as a captioner, on arbitrary and on real sound."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from captoolkit.captioners.acoustic import AcousticCaptioner
from captoolkit.captioners.base import Captioner, Clip
from captoolkit.model import CaptionerInfo, Usage
from tests.support.sound import silence, tone

if TYPE_CHECKING:
    from numpy.typing import NDArray
from tests.support.acoustic import (
    RATE,
    ArrayClip,
    caption_of,
    check_sentences,
    clicks,
    noise,
    vocabulary,
)


def test_places_are_on_the_recordings_clock() -> None:
    """The text of a segment gives places on the clock of its recording."""
    sound = silence(40.0, rate_hz=RATE)
    sound[12 * RATE : 13 * RATE] = tone(1.0, rate_hz=RATE, frequency_hz=500.0)
    early, late = (
        AcousticCaptioner(hears=False).caption(ArrayClip(sound, start_s=start_s)).text
        for start_s in (0.0, 600.0)
    )
    assert "at 0:12" in early
    assert "at 10:12" in late
    assert "0:12" not in late.replace("10:12", "")


def test_it_is_a_captioner_of_its_own_name() -> None:
    """The captioner has a name and a version, and may be closed twice."""
    captioner: Captioner = AcousticCaptioner()
    assert captioner.info == CaptionerInfo(name="acoustic", model="acoustic/2", base_url=None)
    captioner.close()
    captioner.close()


def test_a_caption_is_whole_and_costs_nothing() -> None:
    """A caption is complete, has no tokens, and decodes the clip once."""
    clip = ArrayClip(tone(1.0, rate_hz=RATE))
    as_clip: Clip = clip
    caption = AcousticCaptioner().caption(as_clip)
    assert (caption.finish_reason, caption.request_id, caption.usage) == ("stop", None, Usage())
    assert clip.decoded == [True]


@settings(max_examples=150, deadline=None)
@given(
    sound=npst.arrays(
        np.float32,
        st.tuples(st.integers(0, 3000), st.integers(1, 8)),
        elements=st.floats(width=32),
        fill=st.sampled_from([np.float32(0), np.float32(0.5), np.float32("nan")]),
    ),
    rate_hz=st.sampled_from([1, 7, 100, 999, 7999, 8000, 11_025, 37_811, 44_100, 192_000]),
)
@example(sound=np.zeros((1, 1), np.float32), rate_hz=192_000)
@example(sound=np.full((3000, 2), -np.inf, np.float32), rate_hz=8000)
@example(sound=np.full((3000, 1), np.float32(1e-45)), rate_hz=8000)
def test_no_samples_break_it(sound: NDArray[np.float32], rate_hz: int) -> None:
    """Arbitrary floats at any rate give whole sentences without invalid figures."""
    check_sentences(caption_of(sound, rate_hz=rate_hz))


SOUNDS: dict[str, Callable[[float], NDArray[np.floating]]] = {
    "noise": lambda seconds: noise(seconds, level_db=0.0),
    "tone": lambda seconds: tone(seconds, rate_hz=RATE, amplitude=1.0),
    "silence": lambda seconds: silence(seconds, rate_hz=RATE),
    "clicks": lambda seconds: clicks(0.2, seconds=seconds),
}


@settings(max_examples=40, deadline=None)
@given(
    parts=st.lists(
        st.tuples(
            st.floats(0.01, 4.0),
            st.floats(-130.0, 12.0),
            st.sampled_from(sorted(SOUNDS)),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_no_sequence_of_sounds_breaks_it(parts: Sequence[tuple[float, float, str]]) -> None:
    """Any sequence of tones, noise, clicks and silences gives words of the vocabulary only."""
    text = caption_of(*(SOUNDS[kind](seconds) * 10 ** (db / 20) for seconds, db, kind in parts))
    check_sentences(text)
    assert {word.lower() for word in re.findall(r"[A-Za-z]+", text)} <= vocabulary()


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "sentences"),
    [
        ("german.wav", ["1 event stands out", "from 0:07.4 to 0:11.8", "Mono."]),
        ("multilingual.mp3", ["Voice-like sound from", "busy", "digital silence for 3%"]),
        ("austen-0870.wav", ["Moderate", "DC offset of 0.7% of full scale."]),
        ("jfk.flac", ["Loud, very uneven and busy", "almost mono"]),
    ],
)
def test_recordings_are_described_as_they_are(
    name: str, sentences: list[str], corpus: Path
) -> None:
    """The texts of real recordings contain their known properties."""
    sound, rate_hz = soundfile.read(str(corpus / name), dtype="float32", always_2d=True)
    text = caption_of(sound, rate_hz=rate_hz)
    check_sentences(text)
    for sentence in sentences:
        assert sentence in text


@pytest.mark.corpus
def test_every_recording_is_told_in_the_same_words(corpus: Path, ffmpeg: str) -> None:
    """Texts of real recordings are whole sentences in words of the vocabulary."""
    for path in sorted(corpus.iterdir()):
        if path.suffix == ".md":
            continue
        argv = [ffmpeg, "-v", "error", "-i", str(path), "-f", "f32le", "-ar", "24000", "-ac", "2"]
        raw = subprocess.run([*argv, "-"], capture_output=True, check=True).stdout
        text = caption_of(np.frombuffer(raw, "<f4").reshape(-1, 2), rate_hz=24_000)
        check_sentences(text)
        assert {word.lower() for word in re.findall(r"[A-Za-z]+", text)} <= vocabulary(), path.name
