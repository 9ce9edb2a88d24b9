#!/usr/bin/env python3
"""Measure what encodings cost the model's ear, beside what the ladder says they cost.

    .venv/bin/python scripts/fidelity.py                          the ladder, on the usual sounds
    .venv/bin/python scripts/fidelity.py --rungs all              and what it was chosen from
    .venv/bin/python scripts/fidelity.py --rungs mp3:24k:16000:5 amr:12.2k
    .venv/bin/python scripts/fidelity.py talk.flac music=song.wav     on sounds of your own
    .venv/bin/python scripts/fidelity.py speech=talk.flac --check     exit 1 if one falls short

A rung is named `wav:RATE`, `mp3:BITRATE:RATE[:EFFORT[:CUTOFF]]`, `aac:BITRATE:RATE[:CUTOFF]`,
`amr:BITRATE` or `gsm`; EFFORT is LAME's level (7 unless named), CUTOFF the low-pass in Hz, or
`none`. `ladder` stands for the rungs of captoolkit/planning/ladder.py, `all` adds their rivals. A
sound may be said to be of a kind, as `music=song.wav` is; the kinds are speech, music, environment
and quiet.

What is measured is the signal-to-noise ratio of the model's own input in dB, higher is better:
`10*log10(var(R) / mean((E-R)^2))`, where R and E are the normalised log-mels of a sound and of its
encoding, which is shifted to where it correlates best, with a constant change of level taken out.
The sounds of a kind are played one after another, as one.

The dB depend on the sounds. The ladder's figures come from others than those taken here, so only
the order of its rungs is expected to be the same; whether it is, is printed below the table.

Each sound, or its first 4 minutes, is brought to 48 kHz mono; the reference and what goes into the
encoders are made from that. Else a recording at 16 kHz would lose what soxr takes above 7.6 kHz on
each way between two rates, and a rung would gain by having the recording's own rate.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
import resource
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from captoolkit.bitstream.encodings import (  # noqa: E402
    AAC_DELAY_SAMPLES,
    ENCODINGS,
    MODEL_BAND_HZ,
    MODEL_RATE_HZ,
)
from captoolkit.dsp import mel  # noqa: E402
from captoolkit.errors import CaptoolkitError, UsageError  # noqa: E402
from captoolkit.media import ffmpeg  # noqa: E402
from captoolkit.media.encode import open_writer  # noqa: E402
from captoolkit.model import Encoding  # noqa: E402
from captoolkit.planning import ladder  # noqa: E402
from captoolkit.units import parse_bit_rate, rescale  # noqa: E402
from scripts.fidelity_sounds import (  # noqa: E402
    GIVEN,
    KINDS,
    SOURCE_RATE_HZ,
    Part,
    Samples,
    decoded,
    given_part,
    usual_parts,
)

LogMel = NDArray[np.float64]  # (hops, 128)

# ------------------------------------------------------------------------------- the metric

SILENT_LOG = -10.0  # the model takes nothing for softer than 1e-10
DECADES = 8.0
DECADES_PER_UNIT = 4.0  # of the normalised log-mel
LOUD_SHARE = 0.1  # of the cells, from which a change of level is read
BLOCK_HOPS = 6_000  # heard at once; it bounds memory
SEARCH_SAMPLES = 1_200  # on each side of the expected delay; more than any encoder's own
FAINTEST = 1e-6  # under the strongest frequency, in power
OUTSTANDING = 10  # times the mean over all delays; of noise, the best is 4 times it


def log_mel(samples: Samples) -> LogMel:
    """Return what the model makes of a sound at 16 kHz, before it is normalised.

    `mel_power` has the windows, hops and bands of the definition. Its scale, which is the model's
    own, decides only what lies under the floor of 1e-10: a factor adds the same to all cells,
    moves the floor under the loudest cell along, and is taken out as a change of level.
    """
    frame, hop = (round(MODEL_RATE_HZ * s) for s in (mel.FRAME_S, mel.HOP_S))
    padded = np.pad(samples, frame // 2, mode="reflect").astype(np.float32)  # hops are centred
    starts = range(0, len(padded) - frame + 1, BLOCK_HOPS * hop)
    blocks = (padded[start : start + (BLOCK_HOPS - 1) * hop + frame] for start in starts)
    power = [mel.mel_power(block, rate_hz=MODEL_RATE_HZ) for block in blocks]
    return np.log10(np.maximum(np.concatenate(power), 10**SILENT_LOG))


def normalised(heard: LogMel) -> LogMel:
    """Return a log-mel as the model scales it: eight decades under the loudest cell are kept."""
    return np.asarray((np.maximum(heard, heard.max() - DECADES) + 4) / DECADES_PER_UNIT)


def fidelity_db(reference: LogMel, encoded: LogMel) -> float:
    """Return how much of a sound an encoding keeps, both aligned; infinite if it keeps all."""
    truth = normalised(reference)
    loud = truth >= np.quantile(truth, 1 - LOUD_SHARE)
    level = DECADES_PER_UNIT * np.median((normalised(encoded) - truth)[loud])
    error = normalised(np.maximum(encoded - level, SILENT_LOG)) - truth
    power = float(np.mean(error**2))
    return 10 * math.log10(float(truth.var()) / power) if power else math.inf


def find_delay(reference: Samples, encoded: Samples, *, expected: int) -> int:
    """Return by how many samples `encoded` is late, or `expected` where nothing correlates."""
    size = 1 << (len(reference) + len(encoded) + SEARCH_SAMPLES).bit_length()
    across = np.fft.rfft(encoded, size) * np.fft.rfft(reference, size).conj()
    # Of each frequency only the phase: by power, one strong tone would decide, and a tone is the
    # same again after every period. What is far under the strongest says nothing.
    across /= np.abs(across) + FAINTEST * np.abs(across).max() + FAINTEST
    delays = np.arange(expected - SEARCH_SAMPLES, expected + SEARCH_SAMPLES + 1)
    alike = np.fft.irfft(across, size)[delays]  # a negative delay is found at the far end
    stands_out = alike.max() > OUTSTANDING * np.sqrt(np.mean(alike**2))
    return int(delays[np.argmax(alike)]) if stands_out else expected


def aligned(encoded: Samples, delay: int, length: int) -> Samples:
    """Return `length` samples of an encoding that is late by `delay`; what is missing is silent."""
    begun = np.pad(encoded[max(0, delay) :], (max(0, -delay), 0))[:length]
    return np.pad(begun, (0, length - len(begun)))


# ------------------------------------------------------------------------- a sound of a kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """All parts of a kind, one after another: in a file at SOURCE_RATE_HZ, and as it is heard."""

    kind: str
    path: Path
    reference: Samples  # at the model's rate
    heard: LogMel


def joined(parts: Sequence[Part], folder: Path) -> Iterator[Sound]:
    """Yield the parts as one sound of each kind, in the ladder's order, with files in a folder."""
    for kind in (*KINDS, GIVEN):
        same = [part.samples for part in parts if part.kind == kind]
        if same:
            path = folder / f"{kind}.wav"
            soundfile.write(path, np.concatenate(same), SOURCE_RATE_HZ, subtype="FLOAT")
            reference = decoded(path, MODEL_RATE_HZ)
            yield Sound(kind=kind, path=path, reference=reference, heard=log_mel(reference))


# -------------------------------------------------------------------------------- the rungs

LAME_EFFORTS = tuple("0123456789")  # from the best to the fastest
# What the ladder was chosen from: the other level of LAME, the other codecs, what the services'
# pages show, and what LAME does when it is told nothing.
RIVALS = (
    "mp3:48k:24000:5", "mp3:40k:24000:5", "mp3:32k:24000", "mp3:32k:22050:5", "mp3:24k:16000:5",
    "aac:64k:16000", "aac:48k:16000", "aac:32k:16000", "aac:24k:16000",
    "amr:12.2k", "amr:4.75k", "gsm", "mp3:128k:44100:5:none", "mp3:64k:22050:5:none",
    "mp3:64k:16000:5:none", "mp3:48k:16000:5:none", "mp3:32k:16000:5:none", "mp3:24k:16000:5:none",
)  # fmt: skip
# Where a decoder begins, in samples at the encoding's rate: no tag tells it of the delay.
DELAYS_SAMPLES = {"aac": AAC_DELAY_SAMPLES, "amr_nb": 40}


def rung_of(name: str, *, cutoff_hz: int | None = MODEL_BAND_HZ) -> Encoding:
    """Return the encoding that a name stands for, with that low-pass if it is an MP3's without.

    Raises:
        UsageError: it is no name of an encoding.
    """
    match name.split(":"):
        case ["wav", rate]:
            return ENCODINGS["wav"].encoding(sample_rate_hz=number(rate))
        case ["mp3", bit_rate, rate]:
            usual = made("mp3", bit_rate, number(rate))
            return dataclasses.replace(usual, cutoff_hz=cutoff_hz)
        case ["mp3", bit_rate, rate, effort] if effort in LAME_EFFORTS:
            usual = rung_of(f"mp3:{bit_rate}:{rate}", cutoff_hz=cutoff_hz)
            return dataclasses.replace(usual, effort=int(effort))
        case ["mp3", bit_rate, rate, effort, cutoff]:
            return rung_of(f"mp3:{bit_rate}:{rate}:{effort}", cutoff_hz=low_pass_hz(cutoff))
        case ["aac", bit_rate, rate]:
            return made("aac", bit_rate, number(rate))
        case ["aac", bit_rate, rate, cutoff]:
            usual = made("aac", bit_rate, number(rate))
            return dataclasses.replace(usual, cutoff_hz=low_pass_hz(cutoff))
        case ["amr", bit_rate]:
            return made("amr", bit_rate, 8_000)
        case ["gsm"]:
            return made("gsm", "13k", 8_000)
    raise UsageError(f"{name!r} is no rung", fix="write mp3:64k:24000, aac:48k:16000, amr:12.2k")


def made(name: str, bit_rate: str, rate_hz: int) -> Encoding:
    """Return the encoding of a row at a bit rate such as `64k`."""
    return ENCODINGS[name].encoding(sample_rate_hz=rate_hz, bit_rate=parse_bit_rate(bit_rate))


def name_of(encoding: Encoding) -> str:
    """Return the shortest name of an encoding, of which `rung_of` makes the same again."""
    rate_hz, bit_rate = encoding.sample_rate_hz, f"{encoding.bit_rate / 1000:g}k"
    usual = {"pcm_s16le": f"wav:{rate_hz}", "gsm_ms": "gsm", "amr_nb": f"amr:{bit_rate}"}
    name = usual.get(encoding.codec, f"{encoding.format}:{bit_rate}:{rate_hz}")
    if encoding.codec != "mp3" or encoding == rung_of(name):
        return name
    name = f"{name}:{encoding.effort}"
    return name if encoding == rung_of(name) else f"{name}:{encoding.cutoff_hz or 'none'}"


def number(text: str) -> int:
    """Return a whole number."""
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"{text!r} is not a whole number", fix="write a rate in Hz, as 16000")
    return int(text)


def low_pass_hz(text: str) -> int | None:
    """Return a low-pass in Hz, or None for `none`, which leaves it to the encoder."""
    return None if text == "none" else number(text)


def chosen(names: Sequence[str], *, cutoff_hz: int | None) -> list[Encoding]:
    """Return the encodings that names stand for, each once."""
    on_the_ladder = [name_of(rung.encoding) for rung in ladder.LADDER]
    sets = {"ladder": on_the_ladder, "all": [*on_the_ladder, *RIVALS]}
    spelled = itertools.chain.from_iterable(sets.get(name, [name]) for name in names)
    return list(dict.fromkeys(rung_of(name, cutoff_hz=cutoff_hz) for name in spelled))


def stated_db(encoding: Encoding) -> dict[str, float]:
    """Return what the ladder says an encoding keeps, by kind of sound; it says so per bit rate.

    Its figures for 32 and 24 kbit/s were measured with LAME's level 5, the others with level 7.
    """
    for rung in ladder.LADDER:
        same = dataclasses.replace(rung.encoding, effort=encoding.effort) == encoding
        if same and rung.fidelity_db:
            return dataclasses.asdict(rung.fidelity_db)
    return {}


# -------------------------------------------------------------------------------- measuring

RUNS = 3
CLOCK_S = 1e-3  # no CPU time can be told from less


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was measured of one encoding.

    Attributes:
        kbps: from the sizes of the files.
        speed: seconds of sound that are encoded in a second of user CPU time.
        delays_samples: by kind of sound, at the model's rate.
        fidelity_db: by kind of sound.
    """

    name: str
    encoding: Encoding
    kbps: float
    speed: float
    delays_samples: dict[str, int]
    fidelity_db: dict[str, float]

    def above_stated_db(self, kind: str) -> float | None:
        """By how much it is better than the ladder says, None where the ladder says nothing."""
        stated = stated_db(self.encoding).get(kind)
        return None if stated is None else self.fidelity_db[kind] - stated


def measured(encoding: Encoding, sounds: Sequence[Sound], folder: Path) -> Result:
    """Encode every sound and listen to what comes out."""
    path = folder / f"encoded.{encoding.format}"
    own_delay = DELAYS_SAMPLES.get(encoding.codec, 0)
    expected = rescale(own_delay, encoding.sample_rate_hz, MODEL_RATE_HZ)
    inputs = [decoded(sound.path, encoding.sample_rate_hz) for sound in sounds]
    sizes_bytes, delays, found_db = [], {}, {}
    for sound, samples in zip(sounds, inputs, strict=True):
        encode(path, encoding, samples)
        sizes_bytes.append(path.stat().st_size)
        result = decoded(path, MODEL_RATE_HZ)
        delay = find_delay(sound.reference, result, expected=expected)
        heard = log_mel(aligned(result, delay, len(sound.reference)))
        delays[sound.kind] = delay
        found_db[sound.kind] = fidelity_db(sound.heard, heard)
    duration_s = sum(len(sound.reference) for sound in sounds) / MODEL_RATE_HZ
    return Result(
        name=name_of(encoding),
        encoding=encoding,
        kbps=8e-3 * sum(sizes_bytes) / duration_s,
        speed=speed(path, encoding, np.concatenate(inputs)),
        delays_samples=delays,
        fidelity_db=found_db,
    )


def encode(path: Path, encoding: Encoding, samples: Samples) -> None:
    """Write samples to a file as captoolkit does."""
    writer = open_writer(path, encoding)
    try:
        writer.write(samples[:, None].astype(np.float32, copy=False))
        writer.finish()
    finally:
        writer.abort()


def speed(path: Path, encoding: Encoding, samples: Samples) -> float:
    """Return how many times faster than it sounds it is encoded, the median of three times."""
    times_s = []
    for _ in range(RUNS):
        before_s = user_cpu_s()
        encode(path, encoding, samples)
        times_s.append(user_cpu_s() - before_s)
    used_s = max(statistics.median(times_s), CLOCK_S)
    return len(samples) / encoding.sample_rate_hz / used_s


def user_cpu_s() -> float:
    """Return the user CPU time of this process and of the children that have ended."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(resource.getrusage(who).ru_utime for who in whose)


# ---------------------------------------------------------------------------------- judging

ORDER_SLACK_DB = 0.3


def disorder(results: Sequence[Result]) -> list[str]:
    """Return a sentence for each rung of the ladder that is better than the one above it."""
    by_encoding = {result.encoding: result for result in results}
    encodings = [rung.encoding for rung in ladder.LADDER]
    present = [by_encoding[encoding] for encoding in encodings if encoding in by_encoding]
    return [
        f"{kind}: {lower.name} is {gain_db:.1f} dB better than {upper.name}"
        for upper, lower in itertools.pairwise(present)
        for kind in upper.fidelity_db
        if (gain_db := lower.fidelity_db[kind] - upper.fidelity_db[kind]) > ORDER_SLACK_DB
    ]


def shortfalls(results: Sequence[Result], *, tolerance_db: float) -> list[str]:
    """Return a sentence for each rung that keeps less than the ladder says, by kind of sound."""
    return [
        f"{kind}: {result.name} is {-gain_db:.1f} dB below its figure"
        for result in results
        for kind in result.fidelity_db
        if (gain_db := result.above_stated_db(kind)) is not None and gain_db < -tolerance_db
    ]


# ---------------------------------------------------------------------------------- telling

NAME_COLUMNS = 22


def heading(kinds: Sequence[str]) -> str:
    """Return the two lines above the table."""
    groups = "".join(f" | {kind:<20}" for kind in kinds)
    columns = f"{'rung':<{NAME_COLUMNS}} kbit/s   speed      delay"
    return f"{'':<{len(columns)}}{groups}\n{columns}{' |     dB ladder  diff.' * len(kinds)}"


def line(result: Result, kinds: Sequence[str]) -> str:
    """Return a row of the table."""
    delays = sorted(result.delays_samples.values())
    delay = f"{delays[0]}" if delays[0] == delays[-1] else f"{delays[0]}..{delays[-1]}"
    cells = "".join(f" | {cell(result, kind)}" for kind in kinds)
    rates = f"{result.kbps:6.1f} {result.speed:6.0f}x {delay:>10}"
    return f"{result.name:<{NAME_COLUMNS}} {rates}{cells}"


def cell(result: Result, kind: str) -> str:
    """Return what was measured, what the ladder says, and the difference."""
    found, gain_db = f"{result.fidelity_db[kind]:6.1f}", result.above_stated_db(kind)
    if gain_db is None:
        return f"{found:<20}"
    return f"{found} {stated_db(result.encoding)[kind]:6.1f} {gain_db:+6.1f}"


def show(parts: Sequence[Part], kinds: Sequence[str], results: Iterator[Result]) -> list[Result]:
    """Print the sounds, and the results as they come; return them."""
    for kind in kinds:
        names = (f"{one.name} ({one.duration_s:.0f} s)" for one in parts if one.kind == kind)
        print(f"{kind}: {', '.join(names)}")
    tool = ffmpeg.find()
    print(f"\nffmpeg {tool.version}, resampled by {'soxr' if tool.has_soxr else 'swr'};")
    print("kbit/s from the files, speed by user CPU time, delay in samples at 16 kHz\n")
    print(heading(kinds))
    shown = []
    for result in results:
        print(line(result, kinds), flush=True)
        shown.append(result)
    print("\nThe ladder's figures come from other sounds: the order counts, not the decibels.")
    return shown


def show_order(results: Sequence[Result]) -> None:
    """Print whether each rung of the ladder is no better than the one above it."""
    found = disorder(results)
    verdict = "is broken" if found else "holds: no rung is better than the one above it"
    print(f"The order of the ladder {verdict} on these sounds, give or take {ORDER_SLACK_DB} dB.")
    for sentence in found:
        print(f"  {sentence}")


def as_json(parts: Sequence[Part], results: Sequence[Result]) -> str:
    """Return all of it as JSON; a null for dB is infinite: nothing was lost."""
    document = {
        "ffmpeg": ffmpeg.find().version,
        "sounds": [
            {"name": part.name, "kind": part.kind, "duration_s": part.duration_s} for part in parts
        ],
        "rungs": [rung_json(result) for result in results],
        "disorder": disorder(results),
    }
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)


def rung_json(result: Result) -> dict[str, Any]:
    """Return a row of the table as JSON has it."""
    found = {kind: db if math.isfinite(db) else None for kind, db in result.fidelity_db.items()}
    stated = stated_db(result.encoding)
    return {**dataclasses.asdict(result), "fidelity_db": found, "ladder_db": stated}


# -------------------------------------------------------------------------- the command line


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks."""
    parser = command_line()
    options = parser.parse_args(arguments)
    try:
        encodings = chosen(options.rungs, cutoff_hz=low_pass_hz(options.cutoff))
        with tempfile.TemporaryDirectory() as folder:
            return measure(options, encodings, Path(folder))
    except CaptoolkitError as error:
        parser.error(f"{error.path}: {error}" if error.path else f"{error}")


def command_line() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sounds", nargs="*", metavar="SOUND", help="PATH or KIND=PATH")
    parser.add_argument("--rungs", nargs="+", default=["ladder"], help="names")
    parser.add_argument("--cutoff", default=f"{MODEL_BAND_HZ}", help="of MP3s without one")
    parser.add_argument("--check", action="store_true", help="exit 1 if a rung falls short")
    parser.add_argument("--tolerance", type=float, default=2.0, help="dB of --check")
    parser.add_argument("--json", action="store_true", help="print JSON, no table")
    return parser


def measure(options: argparse.Namespace, encodings: Sequence[Encoding], folder: Path) -> int:
    """Measure encodings on the sounds asked for, tell about it, and return the exit status."""
    parts = [given_part(argument) for argument in options.sounds] or list(usual_parts())
    sounds = list(joined(parts, folder))
    kinds = [sound.kind for sound in sounds]
    if options.check and not any(kind in stated_db(e) for kind in kinds for e in encodings):
        raise UsageError("there is no figure to check", fix="take rungs of the ladder, KIND=PATH")
    each = (measured(encoding, sounds, folder) for encoding in encodings)
    if options.json:
        results = list(each)
        print(as_json(parts, results))
    else:
        results = show(parts, kinds, each)
        show_order(results)
    short = shortfalls(results, tolerance_db=options.tolerance) if options.check else []
    for sentence in short:
        print(sentence, file=sys.stderr)
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
