"""Generate about 200 recordings, prepare and split each, and compare two readers with the source.

    python scripts/compare_readers.py            # print what disagrees, and the counts
    python scripts/compare_readers.py --all      # print every file
    python scripts/compare_readers.py --only mp3 # files with this in their name

The source is three seconds of murmur with three tones. Each file holds it in one container, codec,
sample rate, bit depth and number of channels, some with an oddity (joined, cut off, a length of
zero, tags or junk behind). Every finished segment is decoded by a plain ffmpeg, and by libsndfile
where it knows the format. Lengths and the places of the tones must be those of the source, within
the delay of the codec. captoolkit may refuse a file, but not with an unexpected error.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import soundfile
from numpy.typing import NDArray

import captoolkit
from captoolkit.errors import CaptoolkitError
from captoolkit.pipeline.prepared import Prepared

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
LENGTH_S = 3.0
TONES_S = (0.3, 0.95, 2.1)
TONE_S = 0.3
TONE_HZ = 440
LOUD = 0.08
HOP_S = 0.01
LEAST_PAUSE_S = 0.085
CLOSE_S = 0.06  # hops, and the pre-echo of a codec
READ_HZ = 16_000
# Samples by which a codec may delay or pad the sound where its container states neither.
DELAYS = {"aac": 3 * 1024, "mp3": 2 * 1152, "mp2": 2 * 1152, "ac3": 2 * 1536, "eac3": 2 * 1536}
DELAYS |= {"wmav2": 2 * 2048, "vorbis": 2048, "adpcm": 4096, "amr": 640, "opus": 960}

Sound = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A file to generate.

    Attributes:
        name: its line in the table.
        suffix: the ending of the file's name.
        rate_hz, channels: of the sound in it.
        options: of ffmpeg, which encodes it.
        delay_samples: how far the codec may move or extend the sound.
        change: what happens to its bytes afterwards.
        copies: how often the sound is in it.
        is_cut_off: the end of the sound is missing.
    """

    name: str
    suffix: str
    rate_hz: int
    channels: int
    options: tuple[str, ...]
    delay_samples: int = 0
    change: Callable[[bytes], bytes] | None = None
    copies: int = 1
    is_cut_off: bool = False

    @property
    def close_s(self) -> float:
        """How far a tone or the end may be from its place in the source."""
        return CLOSE_S + self.copies * self.delay_samples / self.rate_hz


# -------------------------------------------------------------------------------- recordings

# Endings with options of ffmpeg, sample rates, and numbers of channels.
KINDS: tuple[tuple[str, str, tuple[int, ...], tuple[int, ...]], ...] = (
    ("wav", "-c:a pcm_s16le", (8000, 11025, 16000, 44100, 48000, 96000), (1, 2)),
    ("wav", "-c:a pcm_s24le", (16000, 44100, 192000), (1, 2, 6)),
    ("wav", "-c:a pcm_s32le", (48000,), (1, 2)),
    ("wav", "-c:a pcm_f32le", (22050, 48000), (1, 2)),
    ("wav", "-c:a pcm_f64le", (44100,), (2,)),
    ("wav", "-c:a pcm_u8", (8000, 22050), (1, 2)),
    ("wav", "-c:a pcm_alaw", (8000,), (1, 2)),
    ("wav", "-c:a pcm_mulaw", (8000,), (1,)),
    ("wav", "-c:a adpcm_ms", (8000, 44100), (1, 2)),
    ("wav", "-c:a adpcm_ima_wav", (22050,), (1, 2)),
    ("wav", "-c:a libmp3lame -b:a 64k", (44100,), (1,)),
    ("wav", "-c:a pcm_s16le -rf64 always", (44100,), (1, 2)),
    ("w64", "-c:a pcm_s16le", (44100,), (2,)),
    ("aiff", "-c:a pcm_s16be", (22050, 44100), (1, 2)),
    ("aiff", "-c:a pcm_s24be", (48000,), (2,)),
    ("caf", "-c:a pcm_s16le", (44100,), (1, 2)),
    ("caf", "-c:a alac", (44100,), (2,)),
    ("au", "-c:a pcm_s16be", (8000, 44100), (1,)),
    ("flac", "-c:a flac", (8000, 16000, 44100, 96000), (1, 2)),
    ("flac", "-c:a flac -sample_fmt s32 -strict -2", (48000,), (2, 6)),
    ("oga", "-c:a flac", (44100,), (2,)),
    ("wv", "-c:a wavpack", (44100,), (1, 2)),
    ("tta", "-c:a tta", (44100,), (2,)),
    ("m4a", "-c:a alac", (44100, 48000), (2,)),
    ("m4a", "-c:a aac", (8000, 16000, 22050, 44100, 48000, 96000), (1, 2)),
    ("m4a", "-c:a aac", (48000,), (6,)),
    ("mp4", "-c:a aac -movflags +frag_keyframe+empty_moov", (44100,), (1, 2)),
    ("mp4", "-c:a libmp3lame", (44100,), (2,)),
    ("mp4", "-c:a libopus", (48000,), (1, 2)),
    ("mov", "-c:a pcm_s16le", (48000,), (2,)),
    ("mov", "-c:a aac", (44100,), (2,)),
    ("aac", "-c:a aac -f adts", (8000, 16000, 24000, 44100, 48000), (1, 2)),
    ("mp3", "-c:a libmp3lame -b:a 64k", (8000, 16000, 24000, 44100, 48000), (1, 2)),
    ("mp3", "-c:a libmp3lame -q:a 5", (22050, 32000, 44100), (1, 2)),
    ("mp3", "-c:a libmp3lame -b:a 96k -write_xing 0 -id3v2_version 0", (44100, 48000), (1, 2)),
    ("mp2", "-c:a mp2", (44100, 48000), (1, 2)),
    ("ac3", "-c:a ac3", (32000, 44100, 48000), (1, 2)),
    ("ac3", "-c:a ac3", (48000,), (6,)),
    ("eac3", "-c:a eac3", (48000,), (2,)),
    ("ogg", "-c:a libvorbis", (8000, 22050, 44100, 48000), (1, 2)),
    ("opus", "-c:a libopus", (48000,), (1, 2, 6)),
    ("amr", "-c:a libopencore_amrnb -b:a 12.2k", (8000,), (1,)),
    ("3gp", "-c:a libopencore_amrnb -b:a 12.2k", (8000,), (1,)),
    ("3gp", "-c:a aac", (16000, 44100), (1,)),
    ("webm", "-c:a libopus", (48000,), (1, 2)),
    ("webm", "-c:a libvorbis", (44100,), (1, 2)),
    ("mka", "-c:a aac", (22050, 44100), (1, 2)),
    ("mka", "-c:a libmp3lame", (44100,), (1, 2)),
    ("mka", "-c:a flac", (48000,), (2,)),
    ("mka", "-c:a pcm_s16le", (16000,), (1,)),
    ("mka", "-c:a ac3", (48000,), (2,)),
    ("mka", "-c:a libvorbis", (48000,), (2,)),
    ("ts", "-c:a aac", (44100, 48000), (1, 2)),
    ("ts", "-c:a mp2", (48000,), (2,)),
    ("ts", "-c:a libmp3lame", (44100,), (2,)),
    ("ts", "-c:a ac3", (48000,), (2,)),
    ("ts", "-c:a libopus", (48000,), (2,)),
    ("mpg", "-c:a mp2", (44100,), (2,)),
    ("avi", "-c:a libmp3lame", (44100, 48000), (1, 2)),
    ("avi", "-c:a pcm_s16le", (44100,), (2,)),
    ("avi", "-c:a ac3", (48000,), (2,)),
    ("flv", "-c:a aac", (44100,), (1, 2)),
    ("flv", "-c:a libmp3lame", (22050, 44100), (2,)),
    ("wma", "-c:a wmav2", (22050, 44100, 48000), (1, 2)),
    ("nut", "-c:a pcm_s16le", (44100,), (2,)),
)

ID3V1 = b"TAG" + b"A title".ljust(125, b"\0")
JUNK = bytes(range(1, 200)) * 9

Change = Callable[[bytes], bytes]


def _unsized_wav(data: bytes, size: bytes) -> bytes:
    """A WAV whose sizes are those of a recorder that wrote to a pipe."""
    at = data.index(b"data") + 4
    return data[:4] + size + data[8:at] + size + data[at + 4 :]


def _without_length(flac: bytes) -> bytes:
    """A FLAC whose STREAMINFO states no number of samples."""
    return flac[:21] + bytes([flac[21] & 0xF0]) + bytes(4) + flac[26:]


# Oddities: a name, the kinds that have them (ending and part of the options), the change of bytes,
# how often the sound is in the file then, and whether its end is missing.
ODDITIES: tuple[tuple[str, tuple[tuple[str, str], ...], Change, int, bool], ...] = (
    ("joined", (("mp3", "-q:a 5"), ("aac", ""), ("ac3", ""), ("flac", "-c:a flac")),
     lambda data: 2 * data, 2, False),
    ("cut off", (("wav", "s16"), ("mp3", "64k"), ("flac", "-c:a flac"), ("aac", ""), ("ogg", "")),
     lambda data: data[: len(data) * 4 // 5], 1, True),
    ("tags behind", (("mp3", ""), ("aac", ""), ("flac", "-c:a flac"), ("wav", "s16")),
     lambda data: data + ID3V1, 1, False),
    ("junk behind", (("mp3", ""), ("aac", ""), ("wav", "s24")), lambda data: data + JUNK, 1, False),
    ("sizes 0", (("wav", "s16"), ("wav", "s24")),
     lambda data: _unsized_wav(data, bytes(4)), 1, False),
    ("sizes FFFFFFFF", (("wav", "s16"), ("wav", "f32")),
     lambda data: _unsized_wav(data, b"\xff" * 4), 1, False),
    ("no length", (("flac", "-c:a flac"),), _without_length, 1, False),
)  # fmt: skip


def recordings() -> Iterator[Recording]:
    """Yield every recording."""
    for suffix, options, rates, channel_numbers in KINDS:
        codec = options.split()[1]
        delays = [length for part, length in DELAYS.items() if part in codec]
        if "mp3" in codec or "lame" in codec:
            delays = [DELAYS["mp3"]]
        for rate_hz in rates:
            for channels in channel_numbers:
                yield Recording(
                    name=f"{suffix}: {options[5:]}, {rate_hz} Hz, {channels} ch",
                    suffix=suffix,
                    rate_hz=rate_hz,
                    channels=channels,
                    options=tuple(options.split()),
                    delay_samples=max(delays, default=0),
                )
    yield from _odd_ones()


def _odd_ones() -> Iterator[Recording]:
    for oddity, kinds, change, copies, is_cut_off in ODDITIES:
        for ending, part in kinds:
            suffix, options, rates, channel_numbers = next(
                kind for kind in KINDS if kind[0] == ending and part in kind[1]
            )
            yield Recording(
                name=f"{suffix}: {options[5:]}, {rates[-1]} Hz, {oddity}",
                suffix=suffix,
                rate_hz=rates[-1],
                channels=channel_numbers[0],
                options=tuple(options.split()),
                delay_samples=max(DELAYS.values()) if suffix not in ("wav", "flac") else 0,
                change=change,
                copies=copies,
                is_cut_off=is_cut_off,
            )


def generate(recording: Recording, folder: Path) -> Path:
    """Write a recording into a folder."""
    wav = folder / f"source-{recording.rate_hz}-{recording.channels}.wav"
    if not wav.exists():
        soundfile.write(wav, _source(recording.rate_hz, recording.channels), recording.rate_hz)
    path = folder / f"sound.{recording.suffix}"
    argv = [FFMPEG, "-y", "-v", "error", "-nostdin", "-i", str(wav), "-map_metadata", "-1"]
    subprocess.run([*argv, *recording.options, str(path)], check=True, stdin=subprocess.DEVNULL)
    if recording.change is not None:
        path.write_bytes(recording.change(path.read_bytes()))
    return path


def _source(rate_hz: int, channels: int) -> Sound:
    """The sound of every recording, shape (frames, channels)."""
    sound = np.random.default_rng(0).normal(0, 1e-3, round(LENGTH_S * rate_hz))
    length = round(TONE_S * rate_hz)
    tone = 0.3 * np.sin(2 * np.pi * TONE_HZ * np.arange(length) / rate_hz)
    for start_s in TONES_S:
        start = round(start_s * rate_hz)
        sound[start : start + length] += tone
    return np.repeat(sound[:, None], channels, axis=1).astype(np.float32)


# ----------------------------------------------------------------------------------- readers


def by_ffmpeg(path: Path) -> tuple[Sound, int] | None:
    """Return the sound of a file, its channels averaged, and its rate, by a plain ffmpeg."""
    argv = [FFMPEG, "-v", "error", "-nostdin", "-i", str(path), "-map", "0:a:0"]
    argv += ["-f", "f32le", "-ac", "1", "-ar", str(READ_HZ), "-"]
    raw = subprocess.run(argv, capture_output=True, check=False).stdout
    return np.frombuffer(raw, "<f4"), READ_HZ


def by_libsndfile(path: Path) -> tuple[Sound, int] | None:
    """Return the same by libsndfile; None for a format that it does not know."""
    if path.suffix in (".aac", ".m4a", ".amr"):
        return None
    try:
        sound, rate_hz = soundfile.read(str(path), dtype="float32", always_2d=True)
    except soundfile.SoundFileError:
        return None
    return sound.mean(axis=1), rate_hz


READERS = {"ffmpeg": by_ffmpeg, "libsndfile": by_libsndfile}


def loud_times_s(sound: Sound, rate_hz: int) -> NDArray[np.float64]:
    """Return the times of the hops that hold a tone."""
    hop = round(HOP_S * rate_hz)
    peaks = np.abs(sound[: len(sound) // hop * hop]).reshape(-1, hop).max(axis=1)
    return np.flatnonzero(peaks > LOUD).astype(np.float64) * HOP_S


def tone_starts_s(times_s: Sequence[float]) -> list[float]:
    """Return where tones begin, to a hop; a tone that a cut divides is one tone."""
    gaps_s = np.diff(times_s, prepend=-np.inf)
    return [float(at) for at in np.asarray(times_s)[gaps_s > LEAST_PAUSE_S]]


# ------------------------------------------------------------------------------- comparisons


def compare(recording: Recording, folder: Path) -> dict[str, str]:
    """Return, for each verb, an empty text or what disagrees or why captoolkit refuses."""
    path = generate(recording, folder)
    runs: dict[str, Callable[[], Prepared]] = {
        "prepare": lambda: captoolkit.prepare(path),
        "split": lambda: captoolkit.split(path, parts=2),
    }
    outcomes = {}
    for verb, run in runs.items():
        try:
            with run() as prepared:
                outcomes[verb] = _disagreements(recording, prepared)
        except CaptoolkitError as error:
            outcomes[verb] = f"refused: {error.problem}"
    return outcomes


def _disagreements(recording: Recording, prepared: Prepared) -> str:
    """What the readers find in the segments that the source does not have, or the reverse."""
    times_s: dict[str, list[float]] = {name: [] for name in READERS}
    lengths_s = dict.fromkeys(READERS, 0.0)
    is_read = dict.fromkeys(READERS, True)
    for segment in prepared:
        begin_s = segment.source_span.start_s
        for name, read in READERS.items():
            result = read(segment.path)
            if result is None:
                is_read[name] = False
                continue
            sound, rate_hz = result
            times_s[name] += (float(begin_s) + loud_times_s(sound, rate_hz)).tolist()
            lengths_s[name] += len(sound) / rate_hz
    parts = [
        f"{name}: {words}"
        for name in READERS
        if is_read[name]
        and (words := _difference(recording, tone_starts_s(times_s[name]), lengths_s[name]))
    ]
    return "; ".join(parts) and f"{prepared.plan.action}: {'; '.join(parts)}"


def _difference(recording: Recording, tones_s: Sequence[float], length_s: float) -> str:
    copies = recording.copies
    expected_s = [copy * LENGTH_S + at for copy in range(copies) for at in TONES_S]
    close_s, total_s = recording.close_s, copies * LENGTH_S
    if recording.is_cut_off:  # the file says how much is left, not the source
        expected_s, total_s = expected_s[: len(tones_s)], length_s
    if len(tones_s) != len(expected_s):
        return f"{len(tones_s)} tones, not {len(expected_s)}"
    worst_s = max((a - b for a, b in zip(tones_s, expected_s, strict=True)), key=abs, default=0.0)
    if abs(worst_s) > close_s:
        return f"a tone is {1000 * worst_s:+.0f} ms away"
    if abs(length_s - total_s) > close_s:
        return f"{length_s:.3f} s, not {total_s:.3f} s"
    return ""


def main() -> int:
    """Print the table and the counts; fail if any file disagrees."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--all", action="store_true", help="print files that agree as well")
    parser.add_argument("--only", default="", help="only files with this text in their name")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for recording in recordings():
            if options.only not in recording.name:
                continue
            counts["files"] += 1
            for verb, words in compare(recording, Path(folder)).items():
                kind = "refused" if words.startswith("refused") else "disagree"
                counts[f"{verb}: {kind if words else 'agree'}"] += 1
                if words or options.all:
                    print(f"{recording.name:58} {verb:8} {words or 'agree'}", flush=True)
    print(", ".join(f"{name}: {number}" for name, number in counts.items()))
    return 1 if any(name.endswith("disagree") for name in counts) else 0


if __name__ == "__main__":
    sys.exit(main())
