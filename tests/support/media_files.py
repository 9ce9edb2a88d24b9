"""Media files of many kinds, made of a known sound: silence, then a tone.

`KINDS` has one row per file: how it is made, and the container, codec and shape that it then has.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from tests.support.sound import ODD_LENGTH_S, Sound, silence, tone

TONE_S = 1.0  # the tone begins here
AMPLITUDE = 0.4

ASSETS = {
    "PICTURE": "-f lavfi -i color=s=16x16 -frames:v 1",
    "FILM": "-f lavfi -i color=s=64x48:r=5 -t 3.2 -c:v mpeg4",
}


class MediaMaker:
    """Makes files of known sound by a plain ffmpeg, by libsndfile or by hand."""

    def __init__(self, folder: Path, ffmpeg: str) -> None:
        self.folder = folder
        self._ffmpeg = ffmpeg

    def ffmpeg(self, *arguments: str | Path) -> None:
        """Run it."""
        argv = [self._ffmpeg, "-v", "error", "-y", *map(str, arguments)]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)

    def sound(self, rate_hz: int, channels: int) -> Sound:
        """Silence, then a tone, in all channels alike."""
        quiet = silence(TONE_S, rate_hz=rate_hz)
        loud = tone(ODD_LENGTH_S - TONE_S, rate_hz=rate_hz, amplitude=AMPLITUDE)
        return np.repeat(np.concatenate([quiet, loud]), channels, axis=1)

    def wav(self, rate_hz: int, channels: int) -> Path:
        """The same as a WAV."""
        path = self.folder / f"sound-{rate_hz}-{channels}.wav"
        if not path.exists():
            soundfile.write(str(path), self.sound(rate_hz, channels), rate_hz, subtype="PCM_16")
        return path

    def asset(self, name: str) -> Path:
        """A picture or a film without sound."""
        path = self.folder / f"{name}.{'png' if name == 'PICTURE' else 'avi'}"
        if not path.exists():
            self.ffmpeg(*ASSETS[name].split(), path)
        return path

    def encode(self, options: str, rate_hz: int, channels: int, path: Path) -> Path:
        """The sound by ffmpeg; `PICTURE` and `FILM` in its options are those assets."""
        words = [self.asset(word) if word in ASSETS else word for word in options.split()]
        self.ffmpeg("-i", self.wav(rate_hz, channels), *words, path)
        return path


Maker = Callable[[MediaMaker, "Kind", Path], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How a file is made, and what it then is.

    Attributes:
        make: writes the file.
        tone_s: where in it the tone begins.
        pictures: its picture streams; one with `cover` in its name is a cover.
        in_process: whether it is read in process, without ffmpeg.
    """

    name: str
    make: Maker
    container: str
    codec: str
    rate_hz: int
    channels: int
    tone_s: float
    pictures: int
    in_process: bool


def kind(
    name: str,
    make: str | Maker,
    container: str,
    codec: str,
    rate_hz: int = 44_100,
    channels: int = 2,
    *,
    tone_s: float = TONE_S,
    pictures: int = 0,
    in_process: bool = False,
) -> Kind:
    """A row of the table below; `make` may be options for ffmpeg."""
    return Kind(
        name=name,
        make=encoded(make) if isinstance(make, str) else make,
        container=container,
        codec=codec,
        rate_hz=rate_hz,
        channels=channels,
        tone_s=tone_s,
        pictures=pictures,
        in_process=in_process,
    )


def encoded(options: str) -> Maker:
    """Made by ffmpeg in one go."""
    return lambda maker, one, path: maker.encode(options, one.rate_hz, one.channels, path)


def copied(first: str, options: str, *, seek: str = "", suffix: str = ".m4a") -> Maker:
    """Encoded with the options `first`, then copied with others, maybe from later on."""

    def make(maker: MediaMaker, one: Kind, path: Path) -> None:
        middle = path.with_name(f"first-{path.stem}{suffix}")
        maker.encode(first, one.rate_hz, one.channels, middle)
        maker.ffmpeg(*seek.split(), "-i", middle, "-c", "copy", *options.split(), path)

    return make


def by_libsndfile(format: str, subtype: str) -> Maker:
    """Written by libsndfile, where ffmpeg does not or does it otherwise."""

    def make(maker: MediaMaker, one: Kind, path: Path) -> None:
        sound = maker.sound(one.rate_hz, one.channels)
        soundfile.write(str(path), sound, one.rate_hz, format=format, subtype=subtype)

    return make


def with_no_numbers(maker: MediaMaker, one: Kind, path: Path) -> None:
    """A WAV of floats some of which are NaN or infinite."""
    sound = maker.sound(one.rate_hz, one.channels)
    sound[10_000, 0], sound[20_000, 1] = np.nan, np.inf
    sound[60_000], sound[100_000] = np.nan, -np.inf
    soundfile.write(str(path), sound, one.rate_hz, subtype="FLOAT")


AMR_WB_MODE, AMR_WB_FRAME_BYTES, AMR_WB_FRAMES_PER_S = 5, 46, 50


def wide_band_amr(maker: MediaMaker, one: Kind, path: Path) -> None:
    """AMR-WB, for which there is no encoder: empty frames are silence, random ones a roar."""
    dice = random.Random(4)
    head = bytes([AMR_WB_MODE << 3 | 4])
    quiet = [bytes(AMR_WB_FRAME_BYTES)] * round(TONE_S * AMR_WB_FRAMES_PER_S)
    loud_frames = round((ODD_LENGTH_S - TONE_S) * AMR_WB_FRAMES_PER_S)
    loud = [dice.randbytes(AMR_WB_FRAME_BYTES) for _ in range(loud_frames)]
    path.write_bytes(b"#!AMR-WB\n" + b"".join(head + frame for frame in (*quiet, *loud)))


def wide_band_3gp(maker: MediaMaker, one: Kind, path: Path) -> None:
    """The same in 3GP."""
    inside = path.with_suffix(".amr")
    wide_band_amr(maker, one, inside)
    maker.ffmpeg("-i", inside, "-c", "copy", path)


FAST = "-movflags +faststart"
COVER = "-i PICTURE -map 0 -map 1 -c:v copy -disposition:v attached_pic"
FILM = "-i FILM -map 0 -map 1 -c:v copy"
LATER = "-output_ts_offset 7.5"  # time stamps that do not begin at 0
# ffmpeg's WMA encoder says nothing of its delay, and its decoder drops the first block.
WMA_S = TONE_S - 2048 / 48_000

KINDS = [
    kind("8-bit.wav", "-c:a pcm_u8", "wav", "pcm_u8", 8_000, 1, in_process=True),
    kind("16-bit.wav", "-c:a pcm_s16le", "wav", "pcm_s16le", in_process=True),
    kind("24-bit.wav", by_libsndfile("WAV", "PCM_24"), "wav", "pcm_s24le", 48_000, in_process=True),
    kind(
        "32-bit.wav", by_libsndfile("WAV", "PCM_32"), "wav", "pcm_s32le", 22_050, 1, in_process=True
    ),
    kind("float.wav", by_libsndfile("WAV", "FLOAT"), "wav", "pcm_f32le", 32_000, in_process=True),
    kind("double.wav", "-c:a pcm_f64le", "wav", "pcm_f64le", 96_000, 1, in_process=True),
    kind("no-numbers.wav", with_no_numbers, "wav", "pcm_f32le", in_process=True),
    kind("extensible.wav", by_libsndfile("WAVEX", "PCM_16"), "wav", "pcm_s16le", in_process=True),
    kind("extensible-24.wav", "-c:a pcm_s24le", "wav", "pcm_s24le", 192_000, in_process=True),
    kind("extensible-32.wav", "-c:a pcm_s32le", "wav", "pcm_s32le", 11_025, 1, in_process=True),
    kind("three.wav", "-c:a pcm_s16le", "wav", "pcm_s16le", 48_000, 3),
    kind("eight.wav", "-c:a pcm_s16le", "wav", "pcm_s16le", 48_000, 8),
    kind("rf64.wav", "-c:a pcm_s16le -rf64 always", "wav", "pcm_s16le"),
    kind("mu-law.wav", "-c:a pcm_mulaw", "wav", "pcm_mulaw", 8_000, 1),
    kind("a-law.wav", "-c:a pcm_alaw", "wav", "pcm_alaw", 8_000, 1),
    kind("adpcm.wav", "-c:a adpcm_ms", "wav", "adpcm_ms", 22_050, 1),
    kind("ima.wav", "-c:a adpcm_ima_wav", "wav", "adpcm_ima_wav", 11_025),
    kind("gsm.wav", by_libsndfile("WAV", "GSM610"), "wav", "gsm_ms", 8_000, 1),
    kind("mp3-inside.wav", "-c:a libmp3lame", "wav", "mp3"),
    kind("long.w64", "", "w64", "pcm_s16le", 16_000, 1),
    kind("be.aiff", "", "aiff", "pcm_s16be"),
    kind("float.aiff", "-c:a pcm_f32be", "aiff", "pcm_f32be", 48_000, 1),
    kind("le.aiff", "-c:a pcm_s16le", "aiff", "pcm_s16le"),
    kind("be.caf", "", "caf", "pcm_s16be", 48_000, 1),
    kind("alac.caf", "-c:a alac", "caf", "alac"),
    kind("sun.au", "", "au", "pcm_s16be", 8_000, 1),
    kind("stereo.flac", "", "flac", "flac", in_process=True),
    kind("speech.flac", "", "flac", "flac", 16_000, 1, in_process=True),
    kind("fine.flac", "-sample_fmt s32", "flac", "flac", 192_000, in_process=True),
    kind("eight.flac", "", "flac", "flac", 48_000, 8),
    kind("cover.flac", COVER, "flac", "flac", pictures=1, in_process=True),
    kind("aac.m4a", "-c:a aac", "m4a", "aac"),
    kind("aac-8k.m4a", "-c:a aac", "m4a", "aac", 8_000, 1),
    kind("aac-96k.m4a", "-c:a aac", "m4a", "aac", 96_000),
    kind("aac-six.m4a", "-c:a aac", "m4a", "aac", 48_000, 6),
    kind("aac-later.m4a", f"-c:a aac {LATER}", "m4a", "aac"),
    kind("cover.m4a", f"{COVER} -c:a aac", "m4a", "aac", pictures=1),
    kind("edited.m4a", copied("-c:a aac", "", seek="-ss 0.5"), "m4a", "aac", tone_s=0.5),
    kind("edited-alac.m4a", copied("-c:a alac", "", seek="-ss 0.5"), "m4a", "alac", tone_s=0.5),
    kind("edited.mov", copied("-c:a aac", "", seek="-ss 0.5"), "mov", "aac", tone_s=0.5),
    kind("alac.m4a", "-c:a alac", "m4a", "alac"),
    kind("aac.mp4", f"-c:a aac {FAST}", "mp4", "aac", 22_050, 1),
    kind("fragmented.mp4", "-c:a aac -movflags frag_keyframe+empty_moov", "mp4", "aac"),
    kind("opus.mp4", "-c:a libopus", "mp4", "opus", 48_000),
    kind("mp3.mp4", "-c:a libmp3lame", "mp4", "mp3"),
    kind("ac3.mp4", "-c:a ac3", "mp4", "ac3", 48_000),
    kind("film.mp4", f"{FILM} -c:a aac", "mp4", "aac", 48_000, pictures=1),
    kind("pcm.mov", "-c:a pcm_s16le", "mov", "pcm_s16le"),
    kind("film.mov", f"{FILM} -c:a aac", "mov", "aac", 32_000, pictures=1),
    kind("aac.3gp", "-c:a aac", "3gp", "aac"),
    kind("phone.3gp", "-c:a libopencore_amrnb", "3gp", "amr_nb", 8_000, 1),
    kind("wide.3gp", wide_band_3gp, "3gp", "amr_wb", 16_000, 1),
    kind("phone.amr", "", "amr", "amr_nb", 8_000, 1),
    kind("wide.amr", wide_band_amr, "amr", "amr_wb", 16_000, 1),
    kind("cbr.mp3", "-b:a 128k", "mp3", "mp3"),
    kind("cbr-8k.mp3", "-b:a 24k", "mp3", "mp3", 8_000, 1),
    kind("cbr-16k.mp3", "-b:a 32k", "mp3", "mp3", 16_000, 1),
    kind("vbr.mp3", "-q:a 5", "mp3", "mp3", 48_000),
    kind("no-xing.mp3", "-q:a 5 -write_xing 0", "mp3", "mp3"),
    kind("cover.mp3", COVER, "mp3", "mp3", pictures=1),
    kind("layer-2.mp2", "", "mp3", "mp2"),
    kind("adts.aac", "-c:a aac", "aac", "aac"),
    kind("dolby.ac3", "", "ac3", "ac3", 48_000),
    kind("dolby-six.ac3", "", "ac3", "ac3", 48_000, 6),
    kind("dolby.eac3", "", "eac3", "eac3", 48_000),
    kind("vorbis.ogg", "-c:a libvorbis", "ogg", "vorbis", in_process=True),
    kind("vorbis-8k.ogg", "-c:a libvorbis", "ogg", "vorbis", 8_000, 1, in_process=True),
    kind("vorbis-six.ogg", "-c:a libvorbis", "ogg", "vorbis", 48_000, 6),
    kind("vorbis-later.ogg", f"-c:a libvorbis {LATER}", "ogg", "vorbis"),
    kind("opus.ogg", "-c:a libopus", "ogg", "opus", 48_000, in_process=True),
    kind("voice.opus", "-c:a libopus -ar 16000 -ac 1", "ogg", "opus", 48_000, 1, in_process=True),
    kind("opus-eight.opus", "-c:a libopus", "ogg", "opus", 48_000, 8),
    kind("opus-later.opus", f"-c:a libopus {LATER}", "ogg", "opus", 48_000, in_process=True),
    kind("flac.ogg", "-c:a flac", "ogg", "flac"),
    kind("flac-later.ogg", f"-c:a flac {LATER}", "ogg", "flac"),
    kind("vorbis.mka", "-c:a libvorbis", "matroska", "vorbis"),
    kind("aac.mka", "-c:a aac", "matroska", "aac"),
    kind("pcm.mka", "-c:a pcm_s16le", "matroska", "pcm_s16le"),
    kind("film.mkv", f"{FILM} -c:a ac3", "matroska", "ac3", 48_000, 6, pictures=1),
    kind("mp3-later.mkv", f"-c:a libmp3lame {LATER}", "matroska", "mp3"),
    kind("opus.webm", "-c:a libopus", "matroska", "opus", 48_000, 1),
    kind("vorbis-later.webm", f"-c:a libvorbis {LATER}", "matroska", "vorbis"),
    kind("mp3.avi", "-c:a libmp3lame", "avi", "mp3"),
    kind("film.avi", f"{FILM} -c:a pcm_s16le", "avi", "pcm_s16le", pictures=1),
    kind("aac.ts", "-c:a aac", "mpeg-ts", "aac"),
    kind("film-later.ts", f"{FILM} -c:a mp2 {LATER}", "mpeg-ts", "mp2", 48_000, pictures=1),
    kind("windows.wma", "", "wma", "wmav2", 48_000, tone_s=WMA_S),
    kind("windows-later.wma", f"-c:a wmav1 {LATER}", "wma", "wmav1", 48_000, tone_s=WMA_S),
]
