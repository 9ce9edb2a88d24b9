"""Samples without a header, and the names of sources that are no files."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from captoolkit import plan, prepare, probe, split
from captoolkit.bitstream.pcm_layout import RAW_FORMATS, parse_raw
from captoolkit.errors import CaptoolkitError, NoAudioError, NotMediaError, UsageError
from captoolkit.model import Action
from scripts.compare_headers import RATE_HZ, alaw, floats, fmt, mulaw, packed, truth, verdict, wav
from tests.support.sound import Convert, noise, write_wav
from tests.support.two_readers import read_by_both

Verb = Callable[..., Any]


def raw_bytes(name: str, channels: int) -> bytes:
    """Return the known sound as samples of a raw format."""
    sound = truth(channels)
    if name in ("alaw", "mulaw"):
        return {"alaw": alaw, "mulaw": mulaw}[name](sound)
    order = ">" if name.endswith("be") else "<"
    bits = int("".join(filter(str.isdecimal, name)))
    if name.startswith("f"):
        return floats(sound, f"{order}f{bits // 8}")
    return packed(sound, bits, bits // 8, order=order, low=name == "s8")


@pytest.mark.parametrize("name", RAW_FORMATS)
def test_raw_samples_are_read_right(tmp_path: Path, name: str) -> None:
    """Samples of every format reach both readers, whatever follows the last whole one."""
    channels = 1 + len(name) % 2
    path = tmp_path / "talk.raw"
    path.write_bytes(raw_bytes(name, channels) + b"\1" * (channels * (name[-2:] in ("le", "be"))))
    raw = f"{name}:{RATE_HZ}:{channels}"
    info = probe(path, raw=raw)
    assert (info.container, info.default_track.codec) == ("raw", f"pcm_{name}")
    assert info.default_track.duration_samples == len(truth(channels))
    with split(path, raw=raw, parts=2) as prepared:
        pieces = [read_by_both(piece.path) for piece in prepared]
        for reader in (0, 1):
            assert verdict(np.concatenate([one[reader] for one in pieces]), channels) == "right"


def test_raw_samples_that_fit_get_a_header(tmp_path: Path) -> None:
    """Samples that a service takes are kept, behind the header of a WAV."""
    data = raw_bytes("s16le", 1)
    for source in (data, io.BytesIO(data)):
        with prepare(source, raw=f"s16le:{RATE_HZ}:1") as prepared:
            (segment,) = prepared
            assert prepared.plan.action is Action.REMUX
            assert segment.read_bytes()[44:] == data


@pytest.mark.parametrize("name", ["talk.pcm", "talk.raw", "talk.s16", "TALK.PCM", "talk.f32le"])
def test_raw_file_is_named_as_one(tmp_path: Path, name: str) -> None:
    """A file without a header is refused in words that name `--raw`."""
    path = tmp_path / name
    path.write_bytes(raw_bytes("s16le", 1))
    with pytest.raises(NotMediaError, match="raw=s16le:16000:1"):
        probe(path)


@pytest.mark.parametrize("verb", [probe, plan, prepare, split])
@pytest.mark.parametrize(
    ("head", "title"),
    [
        (b"OggS\0\2\0\0", "Ogg"),
        (b"fLaC\0\0\0\x22", "FLAC"),
        (b"ID3\4\0\0\0\0", "MP3"),
        (b"\0\0\0\x20ftypisom", "MP4"),
        (b"\0\0\0\x20ftypM4A ", "M4A"),
        (b"\x1aE\xdf\xa3\1\0\0\0", "MKV"),
        (b"RIFF\0\0\0\0AVI LIST", "AVI"),
        (b"#!AMR\n", "AMR"),
    ],
)
def test_container_is_not_read_as_samples(
    tmp_path: Path, verb: Verb, head: bytes, title: str
) -> None:
    """`--raw` is refused for a file that begins as a container of compressed sound."""
    path = tmp_path / "talk.raw"
    path.write_bytes(head + raw_bytes("s16le", 1))
    with pytest.raises(NotMediaError, match=f"begins as {title}, .*; leave out `raw`"):
        verb(path, raw=f"s16le:{RATE_HZ}:1")


@pytest.mark.parametrize(
    ("head", "title"),
    [(wav(fmt(1, 16, 2, 1), b""), "WAV"), (b"FORM\0\0\0\0AIFF", "AIFF"), (b".snd", "AU")],
)
def test_header_that_becomes_sound_warns(tmp_path: Path, head: bytes, title: str) -> None:
    """`--raw` on samples with a header reads all bytes as sound, and warns about the header."""
    path, data = tmp_path / "talk.wav", raw_bytes("s16le", 1)
    path.write_bytes(head + data)
    info = probe(path, raw=f"s16le:{RATE_HZ}:1")
    assert info.default_track.duration_samples == (len(head) + len(data)) // 2
    (warning,) = info.warnings
    assert warning == f"It begins as {title}, and its header becomes sound; leave out `raw`."
    path.write_bytes(data)
    assert probe(path, raw=f"s16le:{RATE_HZ}:1").warnings == ()


@pytest.mark.parametrize(
    "raw", ["s16le", "s16le:16000", "s16:16000:1", "s16le:0:1", "s16le:16000:0", "s16le:-1:1", ""]
)
def test_wrong_description_is_wrong_usage(raw: str) -> None:
    """A description that no samples can have raises before the source is opened."""
    with pytest.raises(UsageError, match="raw="):
        parse_raw(raw)
    for verb in (plan, prepare, split):
        with pytest.raises(UsageError, match="raw="):
            verb("missing.pcm", raw=raw)


@pytest.mark.parametrize("verb", [probe, plan, prepare, split])
@pytest.mark.parametrize("name", [b"smpl", b"LIST", b"id3 "])
def test_chunks_are_no_sound(tmp_path: Path, verb: Verb, name: bytes) -> None:
    """A WAV with other chunks in the place of samples is refused: it holds no sound."""
    other = name + (36_000).to_bytes(4, "little") + raw_bytes("s16le", 1)[:36_000]
    path = tmp_path / "empty.wav"
    path.write_bytes(wav(fmt(1, 16, 2, 1), b"", behind=other))
    with pytest.raises(NoAudioError, match="holds no sound"):
        verb(path)


@pytest.mark.parametrize("verb", [prepare, split])
def test_source_in_memory_has_an_ending(tmp_path: Path, convert: Convert, verb: Verb) -> None:
    """Bytes and arrays that pass through have a file name with their ending."""
    samples = np.rint(truth(1) * 32_000).astype(np.int16)
    with verb((samples, RATE_HZ)) as prepared:
        (segment,) = prepared
        assert segment.path.name == "source.wav"
        mp3 = convert(segment.path, tmp_path / "talk.mp3", ["-b:a", "64k"])
    with verb(mp3.read_bytes()) as prepared:
        assert [segment.path.name for segment in prepared] == ["source.mp3"]


@pytest.mark.parametrize("verb", [probe, plan, prepare, split])
@pytest.mark.parametrize("data", [b"", b"no sound " * 100, b"RIFF$\0\0\0WAVEfmt ", b"ID3\4" * 99])
def test_refusal_of_bytes_has_no_temporary_path(temporary: Path, verb: Verb, data: bytes) -> None:
    """Neither the words nor the path of a refusal show where the bytes were written."""
    for source in (data, io.BytesIO(data)):
        with pytest.raises(CaptoolkitError) as caught:
            verb(source)
        assert str(temporary) not in str(caught.value)
        assert caught.value.path in (None, "source")


def test_spatial_sound_of_an_iphone_is_named(tmp_path: Path, ffmpeg: str) -> None:
    """A film whose only track is APAC is refused by that name."""
    path = tmp_path / "film.mov"
    made = "-v error -f lavfi -i sine=d=1 -c:a aac"
    subprocess.run([ffmpeg, *made.split(), str(path)], check=True)
    path.write_bytes(path.read_bytes().replace(b"mp4a", b"apac").replace(b"esds", b"dapa"))
    with pytest.raises(NoAudioError, match="Apple Positional Audio Codec"):
        probe(path)


def test_a_wav_of_a_dead_recorder_has_a_plain_header(tmp_path: Path) -> None:
    """The sizes in its header are 0, as its writer could not return to them; the rest is plain."""
    path = write_wav(tmp_path / "a.wav", noise(2, rate_hz=16_000), rate_hz=16_000)
    data = bytearray(path.read_bytes())
    at = data.index(b"data")
    data[4:8] = data[at + 4 : at + 8] = bytes(4)
    path.write_bytes(data)
    info = probe(path)
    assert info.plain_header
    assert info.misreadings == ("The sizes in its header are not those of the file.",)
