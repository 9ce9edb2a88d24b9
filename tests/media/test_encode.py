from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from captoolkit.bitstream import encodings
from captoolkit.bitstream.riff import has_plain_header
from captoolkit.errors import LimitError, OutputError
from captoolkit.media import decode, encode, ffmpeg
from captoolkit.media.encode_samples import Block
from captoolkit.media.probe_file import probe
from captoolkit.model import Encoding
from captoolkit.planning import ladder
from tests.support.encodings import aac, amr, gsm, mp3, wav
from tests.support.processes import has_children
from tests.support.sound import Sound, level_dbfs, noise, tone

ENCODINGS = {
    "wav": wav(),
    "wav stereo": wav(44_100, 2),
    "gsm": gsm(),
    "mp3 24k": mp3(24_000, 16_000),
    "mp3 48k": mp3(48_000, 24_000),
    "mp3 music": ladder.QUALITIES["music"],
    "aac": aac(64_000),
    "aac stereo": aac(128_000, 44_100, 2),
    "amr": amr(),
    "amr small": amr(4_750),
}
FORMATS = {name: ENCODINGS[name] for name in ("wav", "gsm", "mp3 48k", "aac", "amr")}
WAVS = {name: ENCODINGS[name] for name in ("wav", "wav stereo", "gsm")}
# How far the level of a tone may be from the truth, by codec: LAME takes 0.45 dB off by design, and
# AMR and GSM are made for voices, not for tones.
LEVEL_DB = {"pcm_s16le": 0.01, "gsm_ms": 0.5, "mp3": 0.6, "aac": 0.5, "amr_nb": 2.5}


def written(path: Path, encoding: Encoding, *blocks: Block) -> Path:
    """Encode blocks to a file."""
    writer = encode.open_writer(path, encoding)
    try:
        for block in blocks:
            writer.write(block)
        assert writer.samples == sum(len(block) for block in blocks)
        writer.finish()
    finally:
        writer.abort()
    return path


def read(path: Path) -> Sound:
    """All samples of a file."""
    with decode.TrackDecoder(path, track=probe(path).default_track) as decoder:
        return np.concatenate(list(decoder))


def sine(encoding: Encoding, seconds: float = 3.217, *, amplitude: float = 0.25) -> Sound:
    """A tone of the shape an encoding takes."""
    wave = tone(seconds, rate_hz=encoding.sample_rate_hz, frequency_hz=500.0, amplitude=amplitude)
    return np.repeat(wave, encoding.channels, axis=1)


def verify(path: Path, encoding: Encoding, samples: int) -> None:
    """Hold a file against its encoding, without limits."""
    encode.check(path, encoding, samples=samples, max_samples=None)


@pytest.fixture(params=list(FORMATS.values()), ids=list(FORMATS))
def encoding(request: pytest.FixtureRequest) -> Encoding:
    """One encoding of each format, for the tests that name no other."""
    one: Encoding = request.param
    return one


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
def test_what_goes_in_comes_out(tmp_path: Path, encoding: Encoding) -> None:
    """Each format holds the sound it was given: its length, its level, its pitch."""
    sound = sine(encoding)
    path = written(tmp_path / f"a.{encoding.format}", encoding, *np.array_split(sound, 5))

    info, back = probe(path), read(path)

    track = info.default_track
    assert (info.container, track.codec) == (encoding.format, encoding.codec)
    assert (track.sample_rate_hz, track.channels) == (encoding.sample_rate_hz, encoding.channels)
    assert 0 <= len(back) - len(sound) <= encodings.spec_of(encoding).decoded_extra_samples
    rate_hz = encoding.sample_rate_hz
    middle = back[rate_hz : 2 * rate_hz]
    assert level_dbfs(middle) == pytest.approx(level_dbfs(sound), abs=LEVEL_DB[encoding.codec])
    assert int(np.argmax(np.abs(np.fft.rfft(middle[:, 0])))) == 500
    verify(path, encoding, len(sound))


def test_a_wav_holds_each_sample(tmp_path: Path) -> None:
    """16-bit samples go through a WAV unchanged, and its header is the plain one."""
    steps = np.arange(-32768, 32768, dtype=np.float32)[:, None] / np.float32(32768)
    path = written(tmp_path / "a.wav", wav(), steps)
    np.testing.assert_array_equal(read(path), steps)
    assert has_plain_header(path)
    assert path.stat().st_size == encodings.file_bytes(wav(), len(steps))


@pytest.mark.parametrize("encoding", FORMATS.values(), ids=FORMATS)
def test_a_block_without_samples_adds_none(tmp_path: Path, encoding: Encoding) -> None:
    """A resampler may return no sample for a short block."""
    sound = sine(encoding)
    path = written(tmp_path / f"a.{encoding.format}", encoding, sound[:0], sound, sound[:0])
    encode.check(path, encoding, samples=len(sound), max_samples=None)


def test_sixteen_bits_go_in_as_they_are(tmp_path: Path, encoding: Encoding) -> None:
    """Samples of 16 bits make the same file, byte by byte, as the same values in floating point."""
    values = np.rint(sine(encoding) * 32768).astype(np.int16)
    values[:2] = [[-32768], [32767]]
    whole = written(tmp_path / "int16", encoding, *np.array_split(values, 5))
    floats = (values / np.float32(32768)).astype(np.float32)
    float32 = written(tmp_path / "float32", encoding, floats)
    assert whole.read_bytes() == float32.read_bytes()


def test_gsm_ends_in_silence(tmp_path: Path) -> None:
    """The padding of the last blocks of GSM is silent, for ffmpeg and for libsndfile.

    Of the byte that RIFF pads an odd number of blocks with, libsndfile makes 40 ms of noise.
    """
    encoding = gsm()
    for blocks in (1, 2, 3):
        path = written(tmp_path / "a.wav", encoding, sine(encoding)[: blocks * 320 - 40])
        with soundfile.SoundFile(path) as sound:
            heard = sound.read(10_000)
        for back in (read(path), heard):
            assert len(back) == (640 if blocks < 3 else 1280)
            assert np.abs(back).max() < 0.5
            assert np.abs(back[blocks * 320 + 160 :]).max(initial=0) < 0.1


@pytest.mark.parametrize(
    "samples", [1, 159, 160, 161, 319, 321, 576, 640, 641, 1024, 1025, 1151, 1152, 1153, 24_001]
)
def test_any_length_is_held(tmp_path: Path, encoding: Encoding, samples: int) -> None:
    """Lengths around those of frames, and a single sample, come out as long as they went in."""
    rate_hz = encoding.sample_rate_hz
    sound = noise(samples / rate_hz, rate_hz=rate_hz)
    verify(written(tmp_path / f"a.{encoding.format}", encoding, sound), encoding, samples)


@pytest.mark.parametrize("encoding", [ENCODINGS["aac"], ENCODINGS["aac stereo"]], ids=str)
def test_the_shortest_aac_is_known_for_what_it_is(tmp_path: Path, encoding: Encoding) -> None:
    """For few samples of any sound: the file is taken for AAC."""
    random = np.random.default_rng(3)
    for samples in (1, 160, 512, 576, 1000, 1024):
        sound = random.uniform(-0.5, 0.5, (samples, encoding.channels)).astype(np.float32)
        verify(written(tmp_path / "a.aac", encoding, sound), encoding, samples)


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
def test_a_file_is_no_larger_than_was_predicted(tmp_path: Path, encoding: Encoding) -> None:
    """Noise, the hardest there is, stays within the size that the plan counted on."""
    sound = noise(7.3, rate_hz=encoding.sample_rate_hz, channels=encoding.channels, amplitude=0.99)
    path = written(tmp_path / f"a.{encoding.format}", encoding, sound)
    assert path.stat().st_size <= encodings.file_bytes(encoding, len(sound))


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e30])
def test_samples_that_are_no_sound_do_no_harm(
    tmp_path: Path, encoding: Encoding, value: float
) -> None:
    """A burst of impossible samples spoils neither the encoder nor the sound after it."""
    sound = sine(encoding)
    rate_hz = encoding.sample_rate_hz
    sound[rate_hz // 2 : rate_hz // 2 + 50] = value

    path = written(tmp_path / f"a.{encoding.format}", encoding, sound)

    verify(path, encoding, len(sound))
    back = read(path)
    assert np.isfinite(back).all()
    after = back[2 * rate_hz : 3 * rate_hz]
    truth = level_dbfs(sound[2 * rate_hz : 3 * rate_hz])
    assert level_dbfs(after) == pytest.approx(truth, abs=LEVEL_DB[encoding.codec])


def test_what_is_over_full_scale_is_clipped_not_wrapped(tmp_path: Path, encoding: Encoding) -> None:
    """Twice full scale comes out as loud as its clipped self and with its pitch, never folded."""
    sound = sine(encoding, amplitude=2.0)
    path = written(tmp_path / f"a.{encoding.format}", encoding, sound)
    rate_hz = encoding.sample_rate_hz
    back = np.clip(read(path)[rate_hz : 2 * rate_hz], -1, 1)
    clipped = np.clip(sound[rate_hz : 2 * rate_hz], -1, 1)
    assert level_dbfs(back) == pytest.approx(level_dbfs(clipped), abs=LEVEL_DB[encoding.codec])
    spectrum = np.abs(np.fft.rfft(back[:, 0])) / (rate_hz / 2)
    assert int(np.argmax(spectrum)) == 500
    assert spectrum[500] > 0.8


def test_stopping_leaves_no_encoder(tmp_path: Path, encoding: Encoding) -> None:
    """An aborted segment ends at once, twice if need be, and takes no writes."""
    writer = encode.open_writer(tmp_path / f"a.{encoding.format}", encoding)
    writer.write(sine(encoding))
    writer.abort()
    writer.abort()
    assert not has_children()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path, encoding: Encoding) -> None:
    """Nothing can be written where there is no folder."""
    with pytest.raises((OutputError, RuntimeError), match="No such file"):
        written(tmp_path / "gone" / "a", encoding, sine(encoding))
    assert not has_children()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")  # noqa: PTH110
def test_a_full_disk_is_told(encoding: Encoding) -> None:
    """A full disk raises an OutputError that names the cause, and leaves no encoder."""
    with pytest.raises(OutputError, match="no room left"):
        written(Path("/dev/full"), encoding, noise(9.0, rate_hz=encoding.sample_rate_hz))
    assert not has_children()


# --------------------------------------------------------------------------- the proof


@pytest.fixture
def made(encoding: Encoding, tmp_path: Path) -> tuple[Path, Encoding, int]:
    """A finished segment, its encoding, its length."""
    sound = sine(encoding)
    path = written(tmp_path / f"a.{encoding.format}", encoding, sound)
    return path, encoding, len(sound)


def test_a_file_may_reach_its_limit(made: tuple[Path, Encoding, int]) -> None:
    """Limits are inclusive: as large and as long as allowed is allowed."""
    path, encoding, samples = made
    encode.check(
        path,
        encoding,
        samples=samples,
        max_bytes=path.stat().st_size,
        max_samples=encodings.decoded_samples(encoding, samples),
    )


def test_one_byte_too_many_is_refused(made: tuple[Path, Encoding, int]) -> None:
    """A file above its size is refused."""
    path, encoding, samples = made
    most = path.stat().st_size - 1
    with pytest.raises(LimitError, match=f"more than the {most:,}") as caught:
        encode.check(path, encoding, samples=samples, max_bytes=most, max_samples=None)
    assert caught.value.path == str(path)


def test_too_large_is_told_apart(made: tuple[Path, Encoding, int]) -> None:
    """`fits` tells whether a file is small enough; a larger one still passes the check."""
    path, encoding, samples = made
    size_bytes = path.stat().st_size
    assert encode.fits(path, size_bytes)
    assert not encode.fits(path, size_bytes - 1)
    encode.refuse_too_large(path, size_bytes)
    with pytest.raises(LimitError, match=f"has {size_bytes:,} bytes"):
        encode.refuse_too_large(path, size_bytes - 1)
    verify(path, encoding, samples)


def test_one_sample_too_many_is_refused(made: tuple[Path, Encoding, int]) -> None:
    """A file above its duration, padding counted, is refused."""
    path, encoding, samples = made
    most = encodings.decoded_samples(encoding, samples) - 1
    with pytest.raises(
        LimitError, match=f"has {most + 1:,} samples with its padding, more than {most:,}"
    ):
        encode.check(path, encoding, samples=samples, max_bytes=10**9, max_samples=most)


@pytest.mark.parametrize("difference", ["missing", "left over"])
def test_a_wrong_length_is_refused(made: tuple[Path, Encoding, int], difference: str) -> None:
    """A file that lost samples or has more than its codec explains is refused."""
    path, encoding, samples = made
    most = encodings.spec_of(encoding).decoded_extra_samples
    wanted = samples + most + 1 if difference == "missing" else samples - most - 1
    with pytest.raises(LimitError, match="it lasts"):
        verify(path, encoding, wanted)


@pytest.mark.parametrize("name", FORMATS)
def test_a_wrong_format_is_refused(made: tuple[Path, Encoding, int], name: str) -> None:
    """A file that came out as something else is refused."""
    path, encoding, samples = made
    other = FORMATS[name]
    if other is encoding:
        other = Encoding(
            format=encoding.format,
            codec=encoding.codec,
            sample_rate_hz=encoding.sample_rate_hz,
            channels=2,
            bit_rate=encoding.bit_rate,
        )
    with pytest.raises(LimitError, match=r"it is \(|libsndfile cannot read it"):
        verify(path, other, samples)


def test_a_torn_file_is_refused(made: tuple[Path, Encoding, int]) -> None:
    """A file that lost its second half on the way is refused."""
    path, encoding, samples = made
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(LimitError, match="it lasts"):
        verify(path, encoding, samples)


@pytest.mark.parametrize("encoding", WAVS.values(), ids=WAVS)
def test_a_wav_is_read_back_without_ffmpeg(
    tmp_path: Path, encoding: Encoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading back by libsndfile starts no process."""
    monkeypatch.setenv(ffmpeg.ENVIRONMENT_VARIABLE, str(tmp_path / "none"))
    path = written(tmp_path / "a.wav", encoding, sine(encoding))
    verify(path, encoding, len(sine(encoding)))


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({"format": "WAVEX"}, "is \\('wavex'"),
        ({"format": "RF64"}, "is \\('rf64'"),
        ({"format": "WAV", "endian": "BIG"}, "lacks the plain header"),
    ],
)
def test_an_extended_header_is_refused(tmp_path: Path, form: dict[str, str], problem: str) -> None:
    """A WAV that not every reader understands is refused."""
    path, sound = tmp_path / "a.wav", sine(wav())
    soundfile.write(path, sound, 16_000, subtype="PCM_16", **form)
    with pytest.raises(LimitError, match=f"it {problem}"):
        verify(path, wav(), len(sound))


def test_a_file_that_is_gone_is_refused(tmp_path: Path, encoding: Encoding) -> None:
    """A file that cannot be read is refused."""
    with pytest.raises(LimitError, match="a finished segment was refused"):
        verify(tmp_path / "gone", encoding, 1)


def test_a_segment_carries_no_tags(tmp_path: Path) -> None:
    """Tags cost bytes and tell the service nothing: the MP3 begins with its first frame."""
    path = written(tmp_path / "a.mp3", mp3(48_000, 24_000), noise(1.0, rate_hz=24_000))
    assert path.read_bytes()[:2] == b"\xff\xf3"
    assert "Metadata" not in ffmpeg.header(path).partition("Duration")[0]
