from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from captoolkit.errors import NoAudioError
from captoolkit.media import decode
from captoolkit.media.probe_file import probe
from tests.support.calls import KINDS, write_call
from tests.support.media_files import MediaMaker
from tests.support.sound import Convert, Count, noise

ANY_LENGTH = {
    "a.wav": ("-c:a pcm_s16le", (8_000, 12_345, 44_100, 192_000), (1, 2, 6), 1),
    "a.flac": ("", (8_000, 44_100, 96_000), (1, 2, 6), 16),
    "a.mp3": ("", (8_000, 16_000, 22_050, 44_100, 48_000), (1, 2), 1),
    # ffmpeg does not recognise a shorter one
    "bare.mp3": ("-write_xing 0 -id3v2_version 0", (8_000, 16_000, 44_100), (1, 2), 5_000),
    "a.m4a": ("-c:a aac", (8_000, 16_000, 44_100, 96_000), (1, 2, 6), 1),
    # With six channels ffmpeg's encoder crashes on a last packet of one or two samples.
    "alac.m4a": ("-c:a alac", (8_000, 44_100, 96_000), (1, 2), 1),
    "opus.mp4": ("-c:a libopus", (16_000, 48_000), (1, 2, 6), 1),
    "vorbis.ogg": ("-c:a libvorbis", (8_000, 22_050, 32_000, 44_100, 48_000), (1, 2, 6), 1),
    "a.opus": ("", (8_000, 24_000, 48_000), (1, 2, 6), 1),
    "flac.ogg": ("-c:a flac", (8_000, 44_100), (1, 2), 16),
    "a.aac": ("-c:a aac", (8_000, 16_000, 44_100), (1, 2), 5_000),  # nor here
    "a.amr": ("", (8_000,), (1,), 1),
    "a.mka": ("-c:a libvorbis", (44_100,), (1, 2), 1),
}


@st.composite
def sounds(draw: st.DrawFn) -> tuple[str, int, int, int, int]:
    """A file's name, its rate and channels, samples of silence, then samples of noise."""
    name = draw(st.sampled_from(sorted(ANY_LENGTH)))
    _, rates_hz, channels, fewest = ANY_LENGTH[name]
    lengths = st.one_of(st.integers(0, 3_000), st.integers(0, 90_000))
    return (
        name,
        draw(st.sampled_from(rates_hz)),
        draw(st.sampled_from(channels)),
        draw(lengths),
        max(fewest, draw(lengths)),
    )


@settings(max_examples=40)
@given(sounds())
@example(("vorbis.ogg", 8_000, 1, 0, 1))  # a length below zero in ffmpeg's listing
@example(("vorbis.ogg", 22_050, 2, 0, 67_626))  # a packet's length wrong at a page's end
@example(("vorbis.ogg", 48_000, 6, 48_000, 96_000))
def test_any_duration_is_exact_to_the_sample(
    bench: MediaMaker, decoded_samples: Count, sound: tuple[str, int, int, int, int]
) -> None:
    """The duration equals that of a full decode, down to a single sample."""
    name, rate_hz, channels, silent, loud = sound
    source, path = bench.folder / "any.wav", bench.folder / f"any-{name}"
    quiet = np.zeros((silent, channels), np.float32)
    made = np.concatenate([quiet, noise(loud / rate_hz, rate_hz=rate_hz, channels=channels)])
    soundfile.write(str(source), made, rate_hz, subtype="PCM_16")
    bench.ffmpeg("-i", source, *ANY_LENGTH[name][0].split(), path)
    samples = decoded_samples(path)
    if samples:
        info = probe(path)
        assert (info.default_track.duration_samples, info.warnings) == (samples, ())
    else:  # some encoders make nothing of a few samples
        with pytest.raises(NoAudioError):
            probe(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Two files in one, and the warning about it."""

    suffix: str
    options: str
    second_rate_hz: int = 44_100
    second_channels: int = 2
    rate_hz: int = 44_100
    warning: str = ""


CHANGES = "changes on the way, to {second}; it is read as {first} throughout."


SECOND_S = 1.7  # of the second file


STOPS = "cannot be read past 3.217 s ("  # ffmpeg's reason follows


RESTARTS = "sets its clock anew once, first after "


JOINED = {
    "ADTS": Joined(suffix=".aac", options="-c:a aac"),
    "ADTS, another rate": Joined(
        suffix=".aac", options="-c:a aac", second_rate_hz=22_050, warning=CHANGES
    ),
    "ADTS, other channels": Joined(
        suffix=".aac", options="-c:a aac", second_channels=1, warning=CHANGES
    ),
    "MP3, another rate": Joined(
        suffix=".mp3", options="-b:a 128k", second_rate_hz=48_000, warning=CHANGES
    ),
    "MP3, half the rate": Joined(
        suffix=".mp3", options="-b:a 128k", second_rate_hz=22_050, warning=CHANGES
    ),
    "bare MP3, another rate": Joined(
        suffix=".mp3", options="-write_xing 0", second_rate_hz=48_000, warning=CHANGES
    ),
    "MPEG-TS, another shape": Joined(
        suffix=".ts", options="-c:a aac", second_rate_hz=22_050, second_channels=1, warning=CHANGES
    ),
    "AC-3, another rate": Joined(
        suffix=".ac3", options="", rate_hz=48_000, second_rate_hz=32_000, warning=CHANGES
    ),
    "Vorbis": Joined(suffix=".ogg", options="-c:a libvorbis", warning=RESTARTS),
    "Vorbis, another rate": Joined(
        suffix=".ogg", options="-c:a libvorbis", second_rate_hz=22_050, warning=STOPS
    ),
    "Opus": Joined(
        suffix=".opus", options="", rate_hz=48_000, second_rate_hz=48_000, warning=RESTARTS
    ),
    "Opus, another input rate": Joined(
        suffix=".opus", options="", rate_hz=48_000, second_rate_hz=16_000, warning=RESTARTS
    ),
    "Opus, other channels": Joined(
        suffix=".opus",
        options="",
        rate_hz=48_000,
        second_rate_hz=48_000,
        second_channels=1,
        warning=STOPS,
    ),
    "FLAC in Ogg, another rate": Joined(
        suffix=".oga", options="-c:a flac", second_rate_hz=22_050, warning=CHANGES
    ),
    "FLAC": Joined(suffix=".flac", options=""),
    "FLAC, other channels": Joined(suffix=".flac", options="", second_channels=1, warning=CHANGES),
    "FLAC, another rate": Joined(
        suffix=".flac", options="", second_rate_hz=22_050, warning=CHANGES
    ),
    "Matroska": Joined(suffix=".mka", options="-c:a aac", warning=RESTARTS),
}


@pytest.mark.parametrize("one", JOINED.values(), ids=JOINED)
def test_joined_files(bench: MediaMaker, tmp_path: Path, one: Joined) -> None:
    """They have the duration of their decode, and a warning where they differ or end early."""
    first, second = (tmp_path / f"{number}{one.suffix}" for number in (1, 2))
    bench.encode(one.options, one.rate_hz, 2, first)
    serial = " -serial_offset 7" if one.suffix in (".ogg", ".opus", ".oga") else ""
    more = f"{one.options} -t {SECOND_S}{serial}"
    bench.encode(more, one.second_rate_hz, one.second_channels, second)
    joined = tmp_path / f"joined{one.suffix}"
    joined.write_bytes(first.read_bytes() + second.read_bytes())

    info = probe(joined)

    track = info.default_track
    with decode.TrackDecoder(joined, track=track) as decoder:
        assert track.duration_samples == sum(len(block) for block in decoder)
    layout = "stereo" if one.second_channels == 2 else "mono"
    told = one.warning.format(
        first=f"{one.rate_hz} Hz, stereo", second=f"{one.second_rate_hz} Hz, {layout}"
    )
    assert [warning[: len(told) + 14] for warning in info.warnings] == (
        [f"Sound track 1 {told}"] if told else []
    )


@pytest.mark.parametrize("content", [b"\xe0", b"\xc2\0\xe0"], ids=["empty", "padding"])
@pytest.mark.parametrize("suffix", ["m4a", "mp4", "mov"])
def test_an_aac_packet_without_a_channel_is_no_sound(
    bench: MediaMaker,
    tmp_path: Path,
    convert: Convert,
    decoded_samples: Count,
    content: bytes,
    suffix: str,
) -> None:
    """A first packet that decodes to nothing does not count."""
    sound = tmp_path / "sound.aac"
    bench.encode("-c:a aac", 44_100, 1, sound)
    data = sound.read_bytes()
    size = 7 + len(content)
    head = bytearray(data[:7])
    head[3:6] = head[3] & 0xFC | size >> 11, size >> 3 & 0xFF, head[5] & 0x1F | (size & 7) << 5
    sound.write_bytes(bytes(head) + content + data)
    path = convert(sound, tmp_path / f"talk.{suffix}", ["-c", "copy"])
    info = probe(path)
    assert info.default_track.duration_samples == decoded_samples(path)
    assert info.warnings == ()


@pytest.mark.parametrize("magic", KINDS)
def test_pauses_of_an_amr_keep_their_time(tmp_path: Path, magic: bytes) -> None:
    """Phones record pauses as comfort noise or no data, frames that ffmpeg does not decode.

    They may be most of the frames, as in a recording of one side of a call.
    """
    path = write_call(tmp_path / "call.amr", magic)
    track = probe(path).default_track
    assert track.duration_s == pytest.approx(19, abs=0.1)
    with decode.TrackDecoder(path, track=track) as decoder:
        assert sum(map(len, decoder)) == track.duration_samples
