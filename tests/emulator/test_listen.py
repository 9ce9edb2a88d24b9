from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import captoolkit
from captoolkit.emulator import listen as hearing
from captoolkit.emulator.refusals import RefusedError
from captoolkit.services import catalogue
from captoolkit.support.cancel import StoppedError
from tests.support.sound import silence, tone, write_wav

CAPTIONER = catalogue.target("qwen3-omni-captioner")
QWEN_AUDIO = catalogue.target("qwen-audio")
RATE_HZ = 8000

Convert = Callable[[Path, Path, Sequence[str]], Path]


def test_what_is_said_is_what_the_local_captioner_says(fixtures: Path) -> None:
    """Of a whole file, word for word, and the same each time."""
    path = fixtures / "tones-and-silences.wav"
    (entry,) = captoolkit.caption(path).entries
    sound = hearing.look(path, CAPTIONER)
    texts = {hearing.listen(sound, threading.Event()) for _ in range(2)}
    assert texts == {entry.text}


def test_qwen_audio_hears_the_first_thirty_seconds(tmp_path: Path) -> None:
    """What comes after is neither counted nor heard, to the sample."""
    begin = tone(30, rate_hz=RATE_HZ)
    path = write_wav(tmp_path / "a.wav", begin, silence(15, rate_hz=RATE_HZ), rate_hz=RATE_HZ)
    alone = write_wav(tmp_path / "b.wav", begin, rate_hz=RATE_HZ)
    heard = [hearing.look(one, QWEN_AUDIO) for one in (path, alone)]
    assert [sound.duration_s for sound in heard] == [30, 30]
    cut, whole = (hearing.listen(sound, threading.Event()) for sound in heard)
    assert cut == whole


def test_forty_minutes_are_taken_and_a_sample_more_is_not(tmp_path: Path) -> None:
    """The captioner's limit holds to the sample."""
    samples = np.zeros((2400 * RATE_HZ + 1, 1), np.float32)
    longest = write_wav(tmp_path / "a.wav", samples[:-1], rate_hz=RATE_HZ, subtype="PCM_U8")
    assert hearing.look(longest, CAPTIONER).duration_s == Fraction(2400)
    longer = write_wav(tmp_path / "b.wav", samples, rate_hz=RATE_HZ, subtype="PCM_U8")
    with pytest.raises(RefusedError, match="The audio is too long"):
        hearing.look(longer, CAPTIONER)


def test_a_format_that_is_not_on_the_models_page_is_refused(
    tmp_path: Path, convert: Convert, fixtures: Path
) -> None:
    """FLAC can be decoded, but the page does not list it; AAC is listed."""
    source = fixtures / "tones-and-silences.wav"
    with pytest.raises(RefusedError, match="Input file format is not supported"):
        hearing.look(convert(source, tmp_path / "a.flac", []), CAPTIONER)
    aac = convert(source, tmp_path / "a.aac", [])
    assert hearing.look(aac, CAPTIONER).track.codec == "aac"


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (b"", "The audio is empty"),
        (b"RIFF", "cannot be opened"),
        (b"this is no audio at all" * 100, "cannot be opened"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "cannot be opened"),
    ],
)
def test_what_is_no_audio_is_refused(tmp_path: Path, content: bytes, refusal: str) -> None:
    """Nothing at all, half a header, text and playlists."""
    path = tmp_path / "clip"
    path.write_bytes(content)
    with pytest.raises(RefusedError, match=refusal):
        hearing.look(path, CAPTIONER)


def test_a_header_without_a_sample_is_empty(tmp_path: Path) -> None:
    """A WAV of no length is audio in name only."""
    path = write_wav(tmp_path / "a.wav", np.zeros((0, 1), np.float32), rate_hz=RATE_HZ)
    with pytest.raises(RefusedError, match="The audio is empty"):
        hearing.look(path, CAPTIONER)


def test_listening_stops_when_it_is_told_to(tmp_path: Path) -> None:
    """Nobody waits for forty minutes of a clip when the emulator ends."""
    path = write_wav(tmp_path / "a.wav", silence(5, rate_hz=RATE_HZ), rate_hz=RATE_HZ)
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        hearing.listen(hearing.look(path, CAPTIONER), stop)
