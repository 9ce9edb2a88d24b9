from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from mutagen.mp3 import MP3, BitrateMode

from captoolkit.bitstream import encodings, mpeg_audio
from captoolkit.errors import OutputError, ToolError
from captoolkit.media import decode, encode, encode_mp3
from captoolkit.media.frame_index import read_frame_index
from captoolkit.media.probe_file import probe
from captoolkit.model import Encoding
from captoolkit.planning import ladder
from tests.support.encodings import mp3
from tests.support.processes import has_children
from tests.support.sound import Sound, noise, tone

TAKEN = {
    "24k 16 kHz": mp3(24_000, 16_000),
    "24k 16 kHz stereo": mp3(24_000, 16_000, 2),
    "32k 22.05 kHz": mp3(32_000, 22_050),
    "48k 24 kHz": mp3(48_000, 24_000),
    "128k 24 kHz": mp3(128_000, 24_000),
    "64k 32 kHz": mp3(64_000, 32_000),
    "podcast": ladder.QUALITIES["podcast"],
    "music": ladder.QUALITIES["music"],
    "320k 48 kHz": mp3(320_000, 48_000, 2),
    "best effort": encodings.with_best_effort(mp3(24_000, 16_000)),
    "no low-pass": dataclasses.replace(mp3(64_000, 24_000), cutoff_hz=None),
}


def written(path: Path, encoding: Encoding, *blocks: Sound) -> Path:
    """Encode blocks in this process."""
    writer = encode.open_writer(path, encoding)
    assert isinstance(writer, encode_mp3.LameWriter)
    for block in blocks:
        writer.write(block)
    writer.finish()
    encode.check(path, encoding, samples=sum(map(len, blocks)), max_samples=None)
    return path


def written_to(writer: encode.SegmentWriter, sound: Sound) -> None:
    """Write a whole segment."""
    writer.write(sound)
    writer.finish()


def by_ffmpeg(path: Path) -> Sound:
    """All samples of a file, decoded by ffmpeg."""
    with decode.TrackDecoder(path, track=probe(path).default_track) as decoder:
        return np.concatenate(list(decoder))


def click(samples: int, encoding: Encoding) -> Sound:
    """Silence with one loud sample in the middle."""
    sound = np.zeros((samples, encoding.channels), np.float32)
    sound[samples // 2] = 0.9
    return sound


@pytest.mark.parametrize("encoding", TAKEN.values(), ids=TAKEN)
def test_each_reader_finds_each_sample_in_its_place(tmp_path: Path, encoding: Encoding) -> None:
    """Ffmpeg and libsndfile return as many samples as went in, with a click where it was."""
    for samples in (1, 47, 577, 1152, 2 * encoding.sample_rate_hz + 17):
        sound = click(samples, encoding)
        path = written(tmp_path / "a.mp3", encoding, sound[: samples // 3], sound[samples // 3 :])
        libsndfile, _ = soundfile.read(path, always_2d=True, dtype="float32")
        for back in (by_ffmpeg(path), libsndfile):
            assert back.shape == sound.shape
            assert int(np.argmax(np.abs(back[:, 0]))) == samples // 2
        assert path.stat().st_size <= encodings.file_bytes(encoding, samples)


@pytest.mark.parametrize("encoding", TAKEN.values(), ids=TAKEN)
def test_the_frames_are_those_of_ffmpeg(
    tmp_path: Path, encoding: Encoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ffmpeg's LAME makes as many frames of the same sound, and decoded they sound the same."""
    sound = noise(2.0, rate_hz=encoding.sample_rate_hz, channels=encoding.channels, amplitude=0.1)
    sound += tone(2.0, rate_hz=encoding.sample_rate_hz, frequency_hz=1_000.0, amplitude=0.2)
    here = written(tmp_path / "a.mp3", encoding, sound)
    monkeypatch.setenv(encode_mp3.ENVIRONMENT_VARIABLE, encode_mp3.FFMPEG)
    writer, there = encode.open_writer(tmp_path / "b.mp3", encoding), tmp_path / "b.mp3"
    assert isinstance(writer, encode.FfmpegWriter)
    written_to(writer, sound)

    mine, theirs = by_ffmpeg(here), by_ffmpeg(there)

    assert [index and len(index.sizes) for index in map(read_frame_index, (here, there))] == [
        -(-(len(sound) + 1105) // mpeg_audio.frame_samples_at(encoding.sample_rate_hz))
    ] * 2
    theirs = theirs[: len(mine)]
    assert snr_db(sound, mine) == pytest.approx(snr_db(sound, theirs), abs=0.1)
    # A lower low-pass would take what is near 8 kHz.
    assert high_db(mine, encoding) == pytest.approx(high_db(theirs, encoding), abs=1)


def snr_db(sound: Sound, encoded: Sound) -> float:
    """The signal-to-noise ratio of an encoding."""
    return float(10 * np.log10(np.mean(sound**2) / np.mean((encoded - sound) ** 2)))


def high_db(sound: Sound, encoding: Encoding) -> float:
    """The level of the band from 6 to 7.8 kHz."""
    spectrum = np.abs(np.fft.rfft(sound[:, 0])) ** 2
    pitch_hz = np.fft.rfftfreq(len(sound), 1 / encoding.sample_rate_hz)
    return float(10 * np.log10(spectrum[(pitch_hz > 6_000) & (pitch_hz < 7_800)].mean()))


def test_the_information_frame_is_true(tmp_path: Path) -> None:
    """The first frame is silent and states frames, bytes, places to seek to, delay and padding."""
    encoding = TAKEN["24k 16 kHz"]
    sound = noise(9.0, rate_hz=16_000)
    path = written(tmp_path / "a.mp3", encoding, *np.array_split(sound, 4))
    index = read_frame_index(path)
    assert index is not None
    with path.open("rb") as stream:
        delay = mpeg_audio.read_encoder_delay(stream)
        stated = mpeg_audio.read_stated_length(stream)
    assert delay is not None
    assert (delay.frames, delay.delay_samples) == (len(index.sizes), 576)
    assert delay.padding_samples == index.duration_samples - 576 - len(sound)
    assert stated == mpeg_audio.StatedLength(samples=len(sound), is_sized=True)
    heard: Any = MP3(path).info  # type: ignore[no-untyped-call]
    assert (heard.bitrate, heard.bitrate_mode) == (24_000, BitrateMode.CBR)


@given(samples=st.integers(1, 4000), cuts=st.lists(st.integers(0, 4000), max_size=4))
@settings(max_examples=15, deadline=None)
def test_blocks_of_any_size_make_the_same_file(samples: int, cuts: list[int]) -> None:
    """However a sound is divided into blocks, the file is the same and as long as the sound."""
    import tempfile

    encoding, sound = TAKEN["24k 16 kHz"], noise(0.25, rate_hz=16_000)[:samples]
    with tempfile.TemporaryDirectory() as folder:
        whole = written(Path(folder) / "a.mp3", encoding, sound)
        parts = written(Path(folder) / "b.mp3", encoding, *np.split(sound, sorted(cuts)))
        assert whole.read_bytes() == parts.read_bytes()
        assert len(soundfile.read(whole)[0]) == len(sound)


def test_it_makes_each_rung_of_the_ladder() -> None:
    """Every MP3 of the ladder and of the services' guidance is encoded in this process."""
    rungs = [*(rung.encoding for rung in ladder.LADDER), *ladder.QUALITIES.values()]
    assert {one.codec for one in rungs if not encode_mp3.can_encode(one)} == {"pcm_s16le"}


def test_nothing_else_is_taken() -> None:
    """Codecs other than MP3 have their own writers."""
    assert not any(
        encode_mp3.can_encode(row.encoding(sample_rate_hz=rate_hz, bit_rate=bit_rate))
        for name, rate_hz, bit_rate in (("aac", 16_000, 24_000), ("amr", 8_000, 12_200))
        for row in [encodings.ENCODINGS[name]]
    )


def test_a_variable_turns_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """CAPTOOLKIT_ENCODER=ffmpeg leaves every encoding to ffmpeg."""
    assert encode_mp3.encoder_name().startswith("lameenc ")
    assert encode_mp3.can_encode(TAKEN["24k 16 kHz"])
    monkeypatch.setenv("CAPTOOLKIT_ENCODER", "ffmpeg")
    assert encode_mp3.encoder_name() == "ffmpeg"
    assert not encode_mp3.can_encode(TAKEN["24k 16 kHz"])


@pytest.mark.parametrize(
    "hidden",
    ["sys.modules['lameenc'] = None", "import lameenc; lameenc.__file__ = '/nowhere'"],
    ids=["no package", "no library"],
)
def test_without_the_package_ffmpeg_encodes(tmp_path: Path, hidden: str) -> None:
    """A machine without the extra makes the same file by ffmpeg, and nothing fails."""
    source = tmp_path / "a.wav"
    soundfile.write(source, noise(1.0, rate_hz=16_000), 16_000)
    code = (
        f"import sys; {hidden}\n"
        "import captoolkit; from captoolkit.media import encode_mp3\n"
        "assert encode_mp3.encoder_name() == 'ffmpeg'\n"
        f"with captoolkit.prepare({str(source)!r}, bit_rate=24_000) as made:\n"
        "    print([segment.source_span.duration_s for segment in made])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[1.0]"), done.stderr


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """LAME's own messages do not reach the terminal, and no process is started."""
    written(tmp_path / "a.mp3", TAKEN["24k 16 kHz"], noise(0.5, rate_hz=16_000))
    assert capfd.readouterr() == ("", "")
    assert not has_children()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")  # noqa: PTH110
@pytest.mark.parametrize("seconds", [0.1, 60.0])
def test_a_full_disk_is_reported(seconds: float) -> None:
    """A full disk raises an OutputError, while samples are written or at the end."""
    writer = encode_mp3.LameWriter(Path("/dev/full"), TAKEN["24k 16 kHz"])
    with pytest.raises(OutputError, match="no room left"):
        written_to(writer, noise(seconds, rate_hz=16_000))
    writer.abort()


def test_two_threads_encode_at_once(tmp_path: Path) -> None:
    """LAME runs without the interpreter's lock: this thread goes on while another one encodes."""
    writer = encode_mp3.LameWriter(tmp_path / "a.mp3", TAKEN["music"])
    sound = noise(20.0, rate_hz=44_100, channels=2)
    encoding = threading.Thread(target=writer.write, args=(sound,))
    encoding.start()
    turns = 0
    while encoding.is_alive():
        encoding.join(0.001)
        turns += 1
    writer.abort()
    assert turns > 3  # with the lock, it would wait for the end


def test_what_lame_refuses_is_an_error(tmp_path: Path) -> None:
    """An encoding that LAME does not have raises a ToolError that names the remedy."""
    odd = dataclasses.replace(TAKEN["music"], sample_rate_hz=1)
    with pytest.raises(ToolError, match="CAPTOOLKIT_ENCODER=ffmpeg"):
        encode_mp3.LameWriter(tmp_path / "a.mp3", odd)
    assert not (tmp_path / "a.mp3").exists()


def test_an_aborted_writer_takes_no_more(tmp_path: Path) -> None:
    """Another thread may abort at any time: what is written afterwards is dropped."""
    writer = encode_mp3.LameWriter(tmp_path / "a.mp3", TAKEN["24k 16 kHz"])
    writer.write(noise(1.0, rate_hz=16_000))
    writer.abort()
    writer.abort()
    writer.write(noise(1.0, rate_hz=16_000))
    writer.finish()


def test_the_extra_is_stated() -> None:
    """`pip install captoolkit[fast]` installs the encoder."""
    import tomllib

    root = Path(__file__).resolve().parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    names = {one.partition(">")[0] for one in project["optional-dependencies"]["fast"]}
    assert names == {"lameenc", "miniaudio"}
