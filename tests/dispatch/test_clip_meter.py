"""The envelope and the faulty samples that a captioner's own decode shows."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

import captoolkit
from captoolkit.captioners.base import Clip
from captoolkit.errors import UsageError
from captoolkit.events import Warned
from captoolkit.media import measure_file, probe_file
from captoolkit.model import Caption, CaptionerInfo
from captoolkit.planning.options import FormatName
from captoolkit.support.cancel import Closing
from tests.support.made_sounds import RATE, rain, sine
from tests.support.paths import CORPUS


def decoded_levels(path: Path) -> np.ndarray:
    """The peaks of a decode of the whole file."""
    track = probe_file.probe(path).default_track
    return np.frombuffer(measure_file.envelope(path, track).peaks, np.uint8).astype(int)


class Deaf(Closing):
    """A captioner that reads only the beginning of each clip, twice."""

    info = CaptionerInfo(name="deaf", model="deaf")

    def caption(self, clip: Clip) -> Caption:
        """Decode one block."""
        for _ in range(2):
            with clip.samples() as samples:
                next(iter(samples))
        return Caption(text="Sound.")

    def close(self) -> None:
        """Close nothing."""


class Cancelling(Deaf):
    """A captioner that cancels its run while it decodes."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.blocks = 0

    def caption(self, clip: Clip) -> Caption:
        """Decode all blocks."""
        assert pickle.loads(pickle.dumps(clip)).start_s == clip.start_s
        with clip.samples() as samples:
            for _ in samples:
                self.blocks += 1
                self.stop.set()
        return Caption(text="Sound.")


@pytest.mark.parametrize("form", ["auto", "mp3"])
def test_a_cancelled_run_decodes_no_further(form: FormatName, tmp_path: Path) -> None:
    """Ctrl-C need not wait until a long segment is captioned; a segment can be pickled."""
    soundfile.write(tmp_path / "a.wav", rain(60), RATE)
    captioner = Cancelling()
    with pytest.raises(UsageError, match="cancelled"):
        captoolkit.caption(
            tmp_path / "a.wav", captioner=captioner, format=form, stop=captioner.stop
        )
    assert captioner.blocks == 1


@pytest.mark.corpus
def test_copied_frames_have_the_envelope_of_the_captioners_decode() -> None:
    """Frames of an MP3 are copied into segments, and captioning them measures the envelope."""
    path = CORPUS / "multilingual.mp3"
    timeline = captoolkit.caption(path, segment="20s")
    assert len(timeline.entries) > 1
    assert timeline.envelope is not None
    levels = np.frombuffer(timeline.envelope.peaks, np.uint8).astype(int)
    expected = decoded_levels(path)
    assert len(levels) == pytest.approx(len(expected), abs=2)
    shared = min(len(levels), len(expected))
    assert np.mean(abs(levels[:shared] - expected[:shared])) < 1


def test_a_captioner_that_stops_early_measures_no_envelope(tmp_path: Path) -> None:
    """Half of a decode is no envelope."""
    soundfile.write(tmp_path / "a.wav", rain(60), RATE)
    timeline = captoolkit.caption(tmp_path / "a.wav", captioner=Deaf())
    assert timeline.entries[0].text == "Sound."
    assert timeline.envelope is None
    whole = captoolkit.caption(tmp_path / "a.wav")
    assert whole.envelope is not None
    levels = np.frombuffer(whole.envelope.peaks, np.uint8)
    assert np.array_equal(levels, decoded_levels(tmp_path / "a.wav"))


def test_samples_that_are_no_numbers_are_a_warning(tmp_path: Path) -> None:
    """`caption` warns of NaN once, and of a recording without it never."""
    sound = sine(440, 8)
    sound[40_000:40_100] = np.nan
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "b.wav", sine(440, 8), RATE, subtype="FLOAT")
    events: list[object] = []
    results = captoolkit.caption_many(
        [tmp_path / "a.wav", tmp_path / "b.wav"], on_event=events.append
    )
    with results:
        warnings = {Path(one.path).name: one.warnings for one in results}
    sentence = "100 of its samples (0.08%) are NaN or infinite and stay in its segments."
    assert warnings == {"a.wav": (sentence,), "b.wav": ()}
    assert [one.message for one in events if isinstance(one, Warned)] == [sentence]
