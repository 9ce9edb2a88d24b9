"""The table of encodings: what each row makes, how large it is and how long."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import captoolkit
from captoolkit.bitstream import mpeg_audio
from captoolkit.bitstream.amr import NB_BIT_RATES, NB_BYTES_BY_BIT_RATE
from captoolkit.bitstream.containers import CONTAINERS
from captoolkit.bitstream.encodings import (
    ENCODINGS,
    EncodingSpec,
    at_lower_bit_rates,
    decoded_samples,
    describe,
    file_bytes,
    max_samples,
    with_best_effort,
)
from captoolkit.errors import UsageError
from captoolkit.media.encode import open_writer
from captoolkit.model import Encoding
from captoolkit.planning import ladder
from tests.support.encodings import AAC_RUNGS, RUNGS, aac, amr, gsm, mp3, wav
from tests.support.media_values import service
from tests.support.sound import noise as white_noise
from tests.support.sound import tone, write_wav

NARROW = [gsm(), *(amr(bit_rate) for bit_rate in NB_BIT_RATES)]
ALL = [*RUNGS, *AAC_RUNGS, *NARROW, *ladder.QUALITIES.values()]

encodings = st.sampled_from(ALL)


# ------------------------------------------------------------------------------ the rows


@pytest.mark.parametrize(
    ("make", "fix"),
    [
        (lambda: mp3(63_000, 24_000), "take one of 8k, 16k, 24k"),
        (lambda: mp3(192_000, 24_000), "take one of 8k, 16k, 24k"),
        (lambda: mp3(24_000, 44_100), "take one of 32k, 40k, 48k"),
        (lambda: mp3(64_000, 11_025), "take one of 16000, 22050, 24000"),
        (lambda: amr(12_000), "take one of 4.75k, 5.15k"),
        (lambda: aac(64_000, 12_345), "take one of 7350, 8000"),
    ],
)
def test_rate_that_a_codec_lacks_is_refused(make: Callable[[], Encoding], fix: str) -> None:
    """A rate that a codec does not have is refused with those it has."""
    with pytest.raises(UsageError) as raised:
        make()
    assert raised.value.fix.startswith(fix)


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        (wav(), "16-bit WAV, 16 kHz mono"),
        (mp3(32_000, 22_050), "MP3 32 kbit/s, 22.05 kHz mono"),
        (ladder.QUALITIES["music"], "MP3 192 kbit/s, 44.1 kHz stereo"),
        (amr(), "AMR 12.2 kbit/s, 8 kHz mono"),
        (gsm(), "GSM WAV 13 kbit/s, 8 kHz mono"),
    ],
)
def test_encoding_in_words(encoding: Encoding, words: str) -> None:
    """An encoding has a short description."""
    assert describe(encoding) == words


# ------------------------------------------------------------------------ more, and less


@pytest.mark.parametrize(
    ("encoding", "effort"),
    [(RUNGS[-1], 5), (RUNGS[-2], 5), (mp3(40_000, 24_000), 7), (RUNGS[1], 7)],
    ids=str,
)
def test_effort_is_taken_where_it_helps(encoding: Encoding, effort: int) -> None:
    """LAME's slower level is better up to 32 kbit/s and worse above; nothing else changes."""
    assert encoding.effort == 7
    assert with_best_effort(encoding) == replace(encoding, effort=effort)


@pytest.mark.parametrize("encoding", [wav(), gsm(), amr(), aac(24_000)], ids=str)
def test_effort_is_for_mp3_alone(encoding: Encoding) -> None:
    """Other formats know of no effort."""
    assert with_best_effort(encoding) == encoding


@pytest.mark.parametrize(
    ("encoding", "kbps"),
    [
        (mp3(64_000, 24_000), [56, 48, 40, 32, 24]),
        (mp3(64_000, 44_100, 2), [56, 48, 40, 32]),
        (mp3(16_000, 16_000), []),
        (aac(70_000), [64, 56, 48, 40, 32, 24]),
        (aac(24_000), []),
        (amr(6_700), [5.9, 5.15, 4.75]),
        (wav(), []),
        (gsm(), []),
    ],
    ids=str,
)
def test_lower_bit_rates_end_at_the_floor(encoding: Encoding, kbps: list[float]) -> None:
    """The same at each lower bit rate that the codec has, down to 24 kbit/s, AMR to its last."""
    assert at_lower_bit_rates(encoding) == tuple(
        replace(encoding, bit_rate=round(1000 * rate)) for rate in kbps
    )


# ------------------------------------------------------------------- one against the other


@given(encoding=encodings, size_bytes=st.integers(20_000, 10**9))
@settings(deadline=None)
def test_no_more_fits_than_fits(encoding: Encoding, size_bytes: int) -> None:
    """The most samples within a size stay within it, and one sample more does not."""
    most = max_samples(encoding, size_bytes=size_bytes, duration_s=None)
    assert most is not None
    assert file_bytes(encoding, most) <= size_bytes < file_bytes(encoding, most + 1)


@given(encoding=encodings, duration_s=st.fractions(1, 10**5))
@settings(deadline=None)
def test_padding_counts_as_duration(encoding: Encoding, duration_s: Fraction) -> None:
    """The most samples within a duration stay within it with their padding, one more does not."""
    most = max_samples(encoding, size_bytes=None, duration_s=duration_s)
    assert most is not None
    limit = duration_s * encoding.sample_rate_hz
    assert decoded_samples(encoding, most) <= limit < decoded_samples(encoding, most + 1)


@given(encoding=encodings, size_bytes=st.integers(20_000, 10**8), duration_s=st.fractions(1, 10**4))
@settings(deadline=None)
def test_tighter_limit_counts(encoding: Encoding, size_bytes: int, duration_s: Fraction) -> None:
    """With both limits the tighter one holds; with none there is none."""
    both = max_samples(encoding, size_bytes=size_bytes, duration_s=duration_s)
    by_size = max_samples(encoding, size_bytes=size_bytes, duration_s=None)
    by_length = max_samples(encoding, size_bytes=None, duration_s=duration_s)
    assert by_size is not None
    assert by_length is not None
    assert both == min(by_size, by_length)
    assert max_samples(encoding, size_bytes=None, duration_s=None) is None


@given(encoding=encodings, samples=st.integers(0, 10**9), more=st.integers(0, 10**6))
@settings(deadline=None)
def test_more_sound_is_never_smaller(encoding: Encoding, samples: int, more: int) -> None:
    """Longer sound never makes a smaller file nor a shorter one, and padding only adds."""
    assert file_bytes(encoding, samples) <= file_bytes(encoding, samples + more)
    assert (
        samples <= decoded_samples(encoding, samples) <= decoded_samples(encoding, samples + more)
    )


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 24_000, 44_100])
def test_forty_minutes_are_forty_minutes_as_mp3(rate_hz: int) -> None:
    """A tag states delay and padding, so a recording as long as the limit is one file."""
    encoding, limit_s = mp3(64_000, rate_hz), Fraction(2400)
    assert max_samples(encoding, size_bytes=None, duration_s=limit_s) == 2400 * rate_hz


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_padding_that_no_tag_states_is_predicted(
    rate_hz: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ffmpeg's MP3s with a nearly full last frame, decoders return a little more."""
    monkeypatch.setenv("CAPTOOLKIT_ENCODER", "ffmpeg")
    encoding = mp3(64_000, rate_hz)
    for samples in (1, 47, 48, 576, 577):
        data = encoded(tmp_path / "sound", encoding, noise(1, encoding)[:samples])
        assert counted_samples(encoding, data) == decoded_samples(encoding, samples)


@pytest.mark.parametrize("encoding", ALL, ids=describe)
def test_nothing_fits_into_nothing(encoding: Encoding) -> None:
    """A limit that not even a header keeps leaves no samples."""
    assert max_samples(encoding, size_bytes=4, duration_s=None) == 0


# ------------------------------------------------------------------ against real encoders


def encoded(path: Path, encoding: Encoding, sound: NDArray[np.float32]) -> bytes:
    """The bytes that our own writer makes of a sound."""
    writer = open_writer(path, encoding)
    try:
        writer.write(sound)
        writer.finish()
    finally:
        writer.abort()
    return path.read_bytes()


def noise(seconds: float, encoding: Encoding) -> NDArray[np.float32]:
    """White noise, which no encoder can make smaller."""
    shape = (round(seconds * encoding.sample_rate_hz), encoding.channels)
    return np.random.default_rng(7).uniform(-0.5, 0.5, shape).astype(np.float32)


def counted_samples(encoding: Encoding, data: bytes) -> int:
    """Samples of a file, as a reader counts them: MP3 has a tag that states its delay."""
    if encoding.format == "mp3":
        return int(soundfile.info(io.BytesIO(data)).frames)
    if encoding.codec == "gsm_ms":
        return (len(data) - 60) // 65 * 320
    if encoding.format == "wav":
        return (len(data) - 44) // (2 * encoding.channels)
    if encoding.format == "amr":
        return (len(data) - 6) // NB_BYTES_BY_BIT_RATE[encoding.bit_rate] * 160
    at, samples = 0, 0
    while at < len(data):
        length, frame_samples = _adts_step(data[at : at + 7])
        at, samples = at + length, samples + frame_samples
    return samples


def _adts_step(header: bytes) -> tuple[int, int]:
    assert header[:2] in (b"\xff\xf1", b"\xff\xf9")
    return (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5, 1024


@pytest.mark.parametrize("encoding", ALL, ids=describe)
def test_prediction_holds(encoding: Encoding, tmp_path: Path) -> None:
    """A real file is at most as large and long as predicted, and at least nine tenths of it."""
    sound = noise(20, encoding)
    data = encoded(tmp_path / "sound", encoding, sound)
    most_bytes, most_samples = (
        file_bytes(encoding, len(sound)),
        decoded_samples(encoding, len(sound)),
    )
    assert 0.9 * most_bytes <= len(data) <= most_bytes
    assert len(sound) <= counted_samples(encoding, data) <= most_samples
    assert most_samples - len(sound) <= 0.25 * encoding.sample_rate_hz


@pytest.mark.parametrize(
    "encoding",
    [wav(), gsm(), mp3(128_000, 24_000), RUNGS[-1], aac(24_000), amr()],
    ids=describe,
)
@pytest.mark.parametrize("samples", [1, 576, 1024, 1105, 4097])
def test_prediction_holds_for_the_shortest(
    encoding: Encoding, samples: int, tmp_path: Path
) -> None:
    """Padding and headers, which rule a short file's size, are all foreseen."""
    sound = tone(1, rate_hz=encoding.sample_rate_hz)[:samples]
    data = encoded(tmp_path / "sound", encoding, sound)
    assert len(data) <= file_bytes(encoding, samples)
    assert counted_samples(encoding, data) <= decoded_samples(encoding, samples)


def hard_sounds(samples: int, encoding: Encoding) -> dict[str, NDArray[np.float32]]:
    """Sounds for which an encoder may spend more bytes than its bit rate."""
    time_s = np.arange(samples)[:, None] / encoding.sample_rate_hz
    white = np.random.default_rng(11).uniform(-1, 1, (samples, encoding.channels))
    sounds = {
        "noise": white,
        "noise that comes and goes": white * (time_s % 0.2 < 0.1),
        "clicks": white * (time_s % 0.2 < 0.005),
        "a tone": np.sin(2 * np.pi * 440 * time_s).repeat(encoding.channels, axis=1),
        "silence": 0 * white,
    }
    return {name: sound.astype(np.float32) for name, sound in sounds.items()}


STEADY = [wav(), gsm(), RUNGS[1], RUNGS[-1], ladder.QUALITIES["music"], amr(), amr(4_750)]


@pytest.mark.parametrize("encoding", STEADY, ids=describe)
@pytest.mark.parametrize("seed", range(3))
def test_prediction_holds_whatever_the_sound(encoding: Encoding, seed: int, tmp_path: Path) -> None:
    """Of any length and of the hardest sounds no file is larger than predicted; WAV is exact."""
    samples = int(np.random.default_rng(seed).integers(1, 5 * encoding.sample_rate_hz))
    most = file_bytes(encoding, samples)
    for name, sound in hard_sounds(samples, encoding).items():
        size_bytes = len(encoded(tmp_path / "sound", encoding, sound))
        assert size_bytes <= most, name
        assert size_bytes == most or encoding.format != "wav", name


@pytest.mark.parametrize("encoding", AAC_RUNGS, ids=describe)
def test_aac_of_a_tone_stays_within_its_bound(encoding: Encoding, tmp_path: Path) -> None:
    """AAC keeps no constant rate: a plain tone stays within the bound as well."""
    sound = tone(20, rate_hz=encoding.sample_rate_hz)
    data = encoded(tmp_path / "sound", encoding, sound)
    assert len(data) <= file_bytes(encoding, len(sound))


# --------------------------------------------------------------------------- one row more

LAYER_2 = EncodingSpec(
    name="layer2",
    title="MPEG layer II",
    container="mp3",
    codec="mp2",
    encoder="mp2",
    sample_rates_hz=(24_000, 48_000),
    bit_rates=mpeg_audio.bit_rates_at,
    rungs=((64_000, 24_000), (32_000, 24_000)),
    frame_samples=lambda _rate_hz: 1152,
    frame_bytes=lambda encoding: Fraction(144 * encoding.bit_rate, encoding.sample_rate_hz),
    delay_samples=481,
    extra_frames=1,
    decoded_extra_samples=481 + 2 * 1152,
)


def test_an_encoding_takes_one_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With one row more, `format` accepts a name, and plan and prepare make files of it."""
    monkeypatch.setitem(ENCODINGS, LAYER_2.name, LAYER_2)
    path = write_wav(tmp_path / "talk.wav", white_noise(20, rate_hz=44_100), rate_hz=44_100)
    target = service(accepts={"mp3": ("mp2",)}, max_bytes_base64=100_000, max_duration_s=60)
    options: dict[str, Any] = {"format": "layer2", "target": target}

    plan = captoolkit.plan(path, **options)

    assert plan.encoding == LAYER_2.encoding(sample_rate_hz=24_000, bit_rate=32_000)
    assert plan.suffix == "mp2"
    assert "One segment of 20 s fits as MPEG layer II 32 kbit/s, 24 kHz mono." in plan.reasons[-1]
    (segment,) = captoolkit.prepare(path, **options).save(tmp_path / "ready")
    info = captoolkit.probe(segment.path)
    assert (segment.file, info.container) == ("talk.001.mp2", "mp3")
    assert info.default_track.codec == "mp2"
    assert segment.size_bytes <= file_bytes(plan.encoding, 20 * 24_000 + 1)


def test_what_one_row_lacks_is_refused_by_its_title(monkeypatch: pytest.MonkeyPatch) -> None:
    """The errors of a new row name its rates."""
    monkeypatch.setitem(ENCODINGS, LAYER_2.name, LAYER_2)
    with pytest.raises(UsageError, match="44100 is not a sample rate of MPEG layer II; take"):
        LAYER_2.encoding(sample_rate_hz=44_100, bit_rate=64_000)
    with pytest.raises(UsageError, match="bit_rate=63000 is not a bit rate of MPEG layer II at"):
        LAYER_2.encoding(sample_rate_hz=24_000, bit_rate=63_000)


def test_rows_are_told_apart() -> None:
    """Each row has a name of its own, and no two make the same codec in one container."""
    kinds = {(row.container, row.codec) for row in ENCODINGS.values()}
    assert len(kinds) == len(ENCODINGS)
    assert [row.name for row in ENCODINGS.values()] == list(ENCODINGS)
    assert {row.container for row in ENCODINGS.values()} <= {*CONTAINERS}


@pytest.mark.parametrize(
    ("name", "container", "codec", "is_found"),
    [
        ("wav", "wav", "pcm_s24le", True),
        ("wav", "wav", "gsm_ms", False),
        ("gsm", "wav", "gsm_ms", True),
        ("gsm", "wav", "pcm_s16le", False),
        ("mp3", "mp3", "mp3", True),
        ("mp3", "matroska", "mp3", False),
        ("amr", "amr", "amr_wb", True),
    ],
)
def test_files_that_are_of_a_format_already(
    name: str, container: str, codec: str, is_found: bool
) -> None:
    """A file needs no encoding where it is already what `format` names."""
    assert ENCODINGS[name].is_found_in(container, codec) is is_found
