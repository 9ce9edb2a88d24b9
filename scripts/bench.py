#!/usr/bin/env python3
"""Measure how fast captoolkit prepares a long recording, beside other ways of doing the same.

    .venv/bin/python scripts/bench.py                       3 hours of made sound, 3 rounds
    .venv/bin/python scripts/bench.py --hours 1 --rounds 1  a quick look
    .venv/bin/python scripts/bench.py --sound talk.flac     on a recording of your own
    .venv/bin/python scripts/bench.py --long --many 1000    and 10 and 24 hours, a thousand files
    .venv/bin/python scripts/bench.py --formats wav,flac,m4a --many 1000
                                                            only short files, with one job and more
    .venv/bin/python scripts/bench.py --folder DIR          keep the made sounds for the next time

All ways run in turn on the same machine in each round; every other round goes backwards. A command
that several tables have runs once a round for all of them. Each writes into a folder of its own,
which is removed. What is printed are medians over the rounds:
time on the wall and CPU time of the process and all below it, each with its ratio, per second of
sound, to the reference of the table; the peak memory of the whole process tree, sampled every
50 ms; and how often captoolkit starts ffmpeg, counted in a run of its own. One table has the memory
of `prepare`, `caption` and `export -f html` on the longest recording, 24 hours with --long. The
last one has the CPU time of each stage of the work, alone, on the beginning of the sound.

The made sound is FLAC, 44.1 kHz, stereo, 16 bits: a voice with pauses, then plucked notes, looped.
The exit status is 1 if a way failed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from captoolkit.errors import CaptoolkitError  # noqa: E402
from captoolkit.media import ffmpeg  # noqa: E402
from scripts.bench_sounds import (  # noqa: E402
    MP3_BIT_RATE,
    PIECE_FORMATS,
    PIECE_S,
    UNIT_S,
    Sounds,
    quiet_ffmpeg,
    sounds_for,
)
from scripts.measured_runs import (  # noqa: E402
    OUT,
    SAMPLE_S,
    Run,
    Way,
    adopt_orphans,
    cores,
    machine,
    memory_measure,
    run_in_turn,
)

# ------------------------------------------------------------------------------------- the ways

WHOLE = "A long recording"
COPIED = f"From an MP3 of it ({MP3_BIT_RATE}), whose frames can be copied"
MANY = f"Many files of {PIECE_S} seconds, in one call"
BY_FORMAT = f"Many files of {PIECE_S} seconds, of one format"
GROWTH = "How time and memory grow with the length"
VERBS = "The longest recording: memory of each command"
STAGES = "CPU time of each stage, on the beginning of the sound"
FLAC_BY_MINIAUDIO = "FLAC decoded by miniaudio (extra fast), in process"
MP3_BY_LAMEENC = "LAME level 7, MP3 24k, by lameenc (extra fast), in process"
STAGES_S = 600.0
GROWTH_S = (600.0, 3600.0)
LONG_S = (36_000.0, 86_400.0)
PREPARE = (sys.executable, "-m", "captoolkit", "prepare")
SPLIT = (sys.executable, "-m", "captoolkit", "split")
CAPTION = (sys.executable, "-m", "captoolkit", "caption")
BY_ACOUSTIC = ("--captioner", "acoustic", "--no-resume")
EXPORT = (sys.executable, "-m", "captoolkit", "export")
FAST_PACKAGES = ("miniaudio", "lameenc")  # of the extra `fast`
CUT_S = 450

ONE_BY_ONE = """
import subprocess, sys
folder, count, *argv = sys.argv[1:]
argv, sources = argv[:-int(count)], argv[-int(count):]
for number, source in enumerate(sources):
    out = ("-ac", "1", "-ar", "16000", f"{folder}/out{number}.wav")
    subprocess.run([*argv, "-i", source, *out], check=True)
"""

PYDUB = """
import sys
from pydub import AudioSegment, silence
AudioSegment.converter, source, folder = sys.argv[1:]
sound = AudioSegment.from_file(source, format="wav").set_channels(1).set_frame_rate(16000)
quiet = silence.detect_silence(sound, 200, sound.dBFS - 16, seek_step=10)
cuts = [(start + end) // 2 for start, end in quiet]
start, number = 0, 0
while start < len(sound):
    limit = start + 2400 * 1000
    within = [cut for cut in cuts if start < cut <= limit]
    end = len(sound) if limit >= len(sound) else max(within, default=limit)
    sound[start:end].export(f"{folder}/out{number}.mp3", format="mp3", bitrate="24k").close()
    start, number = end, number + 1
"""

QWEN_PACKAGE = "qwen3_asr_toolkit"
QWEN = """
import os, sys
program, source, folder = sys.argv[1:]
os.symlink(program, os.path.join(folder, "ffmpeg"))
os.environ["PATH"] = folder + os.pathsep + os.environ.get("PATH", "")
from qwen3_asr_toolkit.audio_tools import load_audio, process_vad, save_audio_file
from silero_vad import load_silero_vad
sound = load_audio(source)
for number, part in enumerate(process_vad(sound, load_silero_vad(onnx=True), 120)):
    save_audio_file(part[2], os.path.join(folder, f"out{number}.wav"))
os.remove(os.path.join(folder, "ffmpeg"))
"""


def whole_ways(path: Path, duration_s: float) -> list[Way]:
    """Return the reference, and captoolkit beside it."""
    template = ("-ac", "1", "-ar", "16000", "-b:a", "24k", "-f", "segment", "-segment_time", "2400")
    reference = (*quiet_ffmpeg(), "-i", f"{path}", *template, f"{OUT}/out%d.mp3")
    prepare = (*PREPARE, f"{path}", "-o", OUT)
    commands = {
        "ffmpeg, fixed cuts every 40 min, MP3 24k": reference,
        "captoolkit prepare": prepare,
        "captoolkit prepare --segment 30s": (*prepare, "--segment", "30s"),
    }
    return table_of(WHOLE, commands, duration_s)


# Each gets the file, the folder and a number of seconds.
READ = """
import sys, soundfile
source, folder, duration_s = sys.argv[1:]
with soundfile.SoundFile(source) as sound:
    for block in sound.blocks(4 * sound.samplerate, dtype="int16", always_2d=True,
                              frames=int(float(duration_s) * sound.samplerate)):
        pass
"""
MINIAUDIO = """
import sys
from pathlib import Path
import soundfile
from captoolkit.media.decode_flac import open_miniaudio
source, folder, duration_s = sys.argv[1:]
with open(source, "rb") as stream, soundfile.SoundFile(stream) as sound:
    end = int(float(duration_s) * sound.samplerate)
    is_short = sound.subtype == "PCM_16"
    reader = open_miniaudio(Path(source), stream, sound, start=0, end=min(end, sound.frames),
                            dtype="int16" if is_short else "float32")
    while reader.read() is not None:
        pass
    assert not reader.has_fault
"""
LAME = """
import sys
from pathlib import Path
import soundfile
from captoolkit.media.encode_mp3 import LameWriter
from captoolkit.model import Encoding
wav, folder = sys.argv[1:]
encoding = Encoding(format="mp3", codec="mp3", sample_rate_hz=16000, channels=1, bit_rate=24000,
                    effort=7, cutoff_hz=8000)
writer = LameWriter(Path(folder, "out.mp3"), encoding)
for block in soundfile.blocks(wav, 16000, dtype="int16", always_2d=True):
    writer.write(block)
writer.finish()
"""
CONVERT = """
import sys
import numpy as np
from captoolkit.media.convert import converted
noise = np.random.default_rng(1).integers(-9000, 9000, (4 * 44100, 2), np.int16)
blocks = (noise for _ in range(int(float(sys.argv[3]) / 4)))
for block in converted(
    blocks, source_hz=44100, rate_hz=16000, mix=((0.5, 0.5),), dtype="int16"
):
    pass
"""
CURVE = """
import sys
import numpy as np
from captoolkit.dsp.quietest import power_curve
noise = np.random.default_rng(1).integers(-9000, 9000, (4 * 16000, 1), np.int16)
for _ in range(int(float(sys.argv[3]) / 4)):
    power_curve(noise, rate_hz=16000)
"""
HASH = """
import sys
from pathlib import Path
from captoolkit.support import files
files.sha256(Path(sys.argv[1]))
"""
NOTHING = "import numpy, soundfile, soxr, captoolkit.media.convert"


def stage_ways(sounds: Sounds, path: Path, duration_s: float) -> list[Way]:
    """Return each stage of the work alone, on the beginning of the sound."""
    part_s = min(duration_s, STAGES_S)
    part, quiet = sounds.beginning(path, part_s), quiet_ffmpeg()
    wav = sounds.as_wav(part, part_s, "-ac", "1", "-ar", "16000")
    lame = ("-c:a", "libmp3lame", "-b:a", "24k", "-cutoff", "8000", "-compression_level", "7")

    def python(code: str) -> tuple[str, ...]:
        return (sys.executable, "-c", code, f"{part}", OUT, f"{part_s}")

    commands = {
        "start of Python, numpy, libsndfile and soxr (in the rows in process)": python(NOTHING),
        FLAC_BY_MINIAUDIO: python(MINIAUDIO),
        "FLAC decoded by libsndfile, in process": python(READ),
        "FLAC decoded by ffmpeg, one thread": (
            *(*quiet, "-threads", "1", "-i", f"{part}", "-f", "null", "-"),
        ),
        "mix to mono and soxr to 16 kHz, in process": python(CONVERT),
        "loudness curve, in process": python(CURVE),
        "SHA-256 of the file, in process": python(HASH),
        MP3_BY_LAMEENC: (sys.executable, "-c", LAME, f"{wav}", OUT),
        "LAME level 7, MP3 24k, by ffmpeg": (
            *(*quiet, "-i", f"{wav}", "-threads", "1", *lame, f"{OUT}/out.mp3"),
        ),
    }
    if not all(importlib.util.find_spec(name) for name in FAST_PACKAGES):
        del commands[FLAC_BY_MINIAUDIO], commands[MP3_BY_LAMEENC]
    return [
        Way(table=STAGES, name=name, argv=argv, amount=part_s) for name, argv in commands.items()
    ]


def copied_ways(path: Path, duration_s: float) -> list[Way]:
    """Return ffmpeg and captoolkit where frames can be copied."""
    template = ("-map", "0:a:0", "-c", "copy", "-f", "segment", "-segment_time", f"{CUT_S}")
    commands = {
        f"ffmpeg -c copy, fixed cuts every {CUT_S} s": (
            *(*quiet_ffmpeg(), "-i", f"{path}", *template, f"{OUT}/out%d.mp3"),
        ),
        f"captoolkit split --segment {CUT_S}s": (
            *(*SPLIT, f"{path}", "-o", OUT, "--segment", f"{CUT_S}s"),
        ),
        "captoolkit prepare": (*PREPARE, f"{path}", "-o", OUT),
    }
    return table_of(COPIED, commands, duration_s)


def many_ways(pieces: Sequence[Path]) -> list[Way]:
    """Return one ffmpeg after another, one start of it that does nothing, and captoolkit."""
    paths = [f"{piece}" for piece in pieces]
    one_by_one = (sys.executable, "-c", ONE_BY_ONE, OUT, f"{len(paths)}", *quiet_ffmpeg(), *paths)
    commands = {
        f"ffmpeg for each of {len(paths)} files, WAV 16 kHz": one_by_one,
        f"captoolkit prepare, {len(paths)} files": (*PREPARE, *paths, "-o", OUT),
    }
    nothing = (*quiet_ffmpeg(), "-version")
    start = Way(table=MANY, name="one start of ffmpeg that does nothing", argv=nothing, amount=1)
    return [*table_of(MANY, commands, len(paths)), start]


def format_ways(sounds: Sounds, forms: Sequence[str], count: int) -> list[Way]:
    """Return captoolkit on many short files of each format, with one job and one for each core."""
    commands = {}
    for form in forms:
        paths = [f"{piece}" for piece in sounds.pieces_of(form, count)]
        for jobs in sorted({1, cores()}):
            name = f"captoolkit prepare --jobs {jobs}, {len(paths)} files, {form}"
            commands[name] = (*PREPARE, *paths, "-o", OUT, "--jobs", f"{jobs}")
    return table_of(BY_FORMAT, commands, count)


def timeline_of(path: Path, folder: Path) -> Path:
    """Return a timeline of a file, by the captioner that needs no service."""
    made = folder / f"{path.stem}.json"
    if not made.exists():
        argv = (*CAPTION, f"{path}", *BY_ACOUSTIC, "--quiet", "-f", "json", "-o", f"{made}")
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return made


def table_of(table: str, commands: dict[str, tuple[str, ...]], amount: float) -> list[Way]:
    """Return the ways of a table; the first is its reference."""
    return [
        Way(
            table=table,
            name=name,
            argv=argv,
            amount=amount,
            is_reference=not index,
            counts_starts=argv[1:3] == PREPARE[1:3],  # captoolkit
        )
        for index, (name, argv) in enumerate(commands.items())
    ]


def pydub_way(sounds: Sounds, path: Path, longest_s: float) -> Way:
    """Return pydub's way, on the beginning of the sound: it holds all of it in memory."""
    wav = sounds.as_wav(path, longest_s)
    argv = (sys.executable, "-c", PYDUB, ffmpeg.find().path, f"{wav}", OUT)
    name = f"pydub: load, downmix, find silences, export (first {length(longest_s)}, from WAV)"
    return Way(table=WHOLE, name=name, argv=argv, amount=longest_s)


def qwen_way(path: Path, duration_s: float) -> Way:
    """Return the way of Qwen3-ASR-Toolkit."""
    argv = (sys.executable, "-c", QWEN, ffmpeg.find().path, f"{path}", OUT)
    name = "Qwen3-ASR-Toolkit: load, VAD split, save WAV"
    return Way(table=WHOLE, name=name, argv=argv, amount=duration_s)


def growth_ways(sounds: Sounds, path: Path, duration_s: float, *, long: bool) -> list[Way]:
    """Return captoolkit on sounds from short to long, the long recording among them."""
    shorter = [one_s for one_s in GROWTH_S if one_s < duration_s]
    files = {one_s: sounds.of_length(one_s) for one_s in (*shorter, *(LONG_S if long else ()))}
    files[duration_s] = path
    return [
        Way(
            table=GROWTH,
            name=f"captoolkit prepare, {length(one_s)}",
            argv=(*PREPARE, f"{files[one_s]}", "-o", OUT),
            amount=one_s,
            is_reference=one_s == min(files),
        )
        for one_s in sorted(files)
    ]


def verb_ways(sounds: Sounds, path: Path, duration_s: float) -> list[Way]:
    """Return the commands that look at all of a recording, on the longest one."""
    timeline = timeline_of(path, sounds.folder)
    commands = {
        "captoolkit prepare": (*PREPARE, f"{path}", "-o", OUT),
        "captoolkit prepare --segment 30s": (*PREPARE, f"{path}", "-o", OUT, "--segment", "30s"),
        "captoolkit caption --captioner acoustic": (
            *(*CAPTION, f"{path}", *BY_ACOUSTIC, "-f", "json,srt", "-o", OUT),
        ),
        "captoolkit export -f html": (
            *EXPORT,
            f"{timeline}",
            "-f",
            "html",
            "-o",
            f"{OUT}/page.html",
        ),
    }
    named = {f"{name}, {length(duration_s)}": argv for name, argv in commands.items()}
    return table_of(VERBS, named, duration_s)


def chosen(options: argparse.Namespace, folder: Path) -> list[Way]:
    """Return all ways that are asked for; the sounds they need are made."""
    if options.formats:
        options.hours = min(UNIT_S, PIECE_S * options.many) / 3600
        sounds, _, _ = sounds_for(options, folder)
        return format_ways(sounds, options.formats, options.many)
    sounds, path, duration_s = sounds_for(options, folder)
    ways = whole_ways(path, duration_s)
    if options.pydub:
        ways.append(pydub_way(sounds, path, min(duration_s, options.pydub_minutes * 60)))
    if importlib.util.find_spec(QWEN_PACKAGE):
        ways.append(qwen_way(path, duration_s))
    ways += copied_ways(sounds.as_mp3(path), duration_s)
    if options.many:
        ways += many_ways(sounds.pieces(options.many))
    ways += growth_ways(sounds, path, duration_s, long=options.long)
    if options.long and max(LONG_S) > duration_s:
        ways += verb_ways(sounds, sounds.of_length(max(LONG_S)), max(LONG_S))
    else:
        ways += verb_ways(sounds, path, duration_s)
    return ways + stage_ways(sounds, path, duration_s)


# -------------------------------------------------------------------------------------- results


def length(duration_s: float) -> str:
    """Return a duration in the unit that people say it in."""
    for name, unit_s in (("h", 3600), ("min", 60)):
        if duration_s >= unit_s:
            return f"{duration_s / unit_s:.3g} {name}"
    return f"{duration_s:.3g} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The medians over the runs of a way that did not fail."""

    way: Way
    wall_s: float
    cpu_s: float
    peak_bytes: float | None
    files: float
    starts: int | None

    @property
    def each_s(self) -> float:
        """Time on the wall for a second of sound, or for a file."""
        return self.wall_s / self.way.amount

    @property
    def each_cpu_s(self) -> float:
        """CPU time for a second of sound, or for a file."""
        return self.cpu_s / self.way.amount


def row_of(way: Way, runs: Iterable[Run]) -> Row | None:
    """Return the medians of a way, None if all its runs failed."""
    good = [one for one in runs if (one.table, one.way) == (way.table, way.name)]
    good = [one for one in good if one.problem is None]
    if not good:
        return None
    peaks = [one.peak_bytes for one in good if one.peak_bytes is not None]
    return Row(
        way=way,
        wall_s=statistics.median(one.wall_s for one in good),
        cpu_s=statistics.median(one.cpu_s for one in good),
        peak_bytes=statistics.median(peaks) if peaks else None,
        files=statistics.median(one.files for one in good),
        starts=next((one.starts for one in good if one.starts is not None), None),
    )


def as_markdown(table: str, ways: Sequence[Way], runs: Sequence[Run], measure: str | None) -> str:
    """Return one table; a ratio is time per second of sound, or per file, over the reference's."""
    rows = {way.name: row_of(way, runs) for way in ways}
    reference = next((rows[way.name] for way in ways if way.is_reference), None)
    lines = [
        f"| {table} | time | ratio | CPU | ratio | speed | memory ({measure or 'not measured'}) "
        "| files | starts of ffmpeg |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, row in rows.items():
        cells = row_cells(row, reference) if row else ["failed", *[""] * 7]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines)


def row_cells(row: Row, reference: Row | None) -> list[str]:
    """Return what a row says beside its name."""
    return [
        f"{row.wall_s:.2f} s",
        f"{row.each_s / reference.each_s:.2f}" if reference else "",
        f"{row.cpu_s:.2f} s",
        f"{row.each_cpu_s / reference.each_cpu_s:.2f}" if reference else "",
        speed(row),
        "" if row.peak_bytes is None else f"{row.peak_bytes / 1e6:.0f} MB",
        f"{row.files:.0f}",
        "" if row.starts is None else f"{row.starts}",
    ]


def speed(row: Row) -> str:
    """Return the speed of a row, in the unit of its table."""
    if row.way.table == BY_FORMAT:
        return f"{row.each_cpu_s * 1000:.1f} ms of CPU a file"
    if row.way.table == MANY:
        return f"{row.each_s:.4f} s a file"
    if row.way.table == STAGES:
        return f"{row.each_cpu_s * 3600:.2f} s of CPU an hour"
    return f"{1 / row.each_s:.0f} x real time"


def report(ways: Sequence[Way], runs: Sequence[Run], options: argparse.Namespace) -> str:
    """Return all tables, and what they rest on."""
    measure, rounds = memory_measure(), options.rounds
    told = "not measured on this system"
    if measure:
        told = (
            f"the peak of the summed {measure} of all its processes, every {SAMPLE_S * 1e3:.0f} ms"
        )
    parts = [f"{machine()}.\nMedians of {rounds} round{'s' * (rounds != 1)}; memory: {told}."]
    parts.append(f"The recording lasts {length(ways[0].amount)}.")
    for table in dict.fromkeys(way.table for way in ways):
        own = [way for way in ways if way.table == table]
        parts.append(as_markdown(table, own, runs, measure))
        if table == WHOLE and not importlib.util.find_spec(QWEN_PACKAGE):
            parts.append("Qwen3-ASR-Toolkit is not installed here, so it was not measured.")
        if table == WHOLE and options.pydub:
            parts.append("pydub holds everything in memory, so it gets the beginning only.")
    failed = dict.fromkeys(f"{one.way}: {one.problem}" for one in runs if one.problem)
    return "\n\n".join([*parts, *(f"Failed: {sentence}" for sentence in failed)])


def as_json(runs: Sequence[Run]) -> str:
    """Return the raw figures of every run."""
    document: dict[str, Any] = {
        "machine": machine(),
        "memory": memory_measure(),
        "runs": [asdict(one) for one in runs],
    }
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)


# ----------------------------------------------------------------------------- the command line


def command_line() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sound = parser.add_mutually_exclusive_group()
    sound.add_argument("--hours", type=positive, default=3.0, help="of made sound (3)")
    sound.add_argument("--sound", type=Path, metavar="FILE", help="a recording to take instead")
    parser.add_argument("--rounds", type=whole, default=3, help="how often each way runs (3)")
    parser.add_argument("--many", type=whole, default=100, help="short files in one call (100)")
    parser.add_argument(
        "--formats",
        type=formats,
        default=(),
        metavar="FORMAT,...",
        help=f"only short files of these formats: {', '.join(PIECE_FORMATS)}",
    )
    parser.add_argument("--long", action="store_true", help="10 and 24 hours too")
    parser.add_argument("--no-pydub", dest="pydub", action="store_false", help="leave pydub out")
    parser.add_argument(
        "--no-starts",
        dest="starts",
        action="store_false",
        help="do not run each way once more to count the starts of ffmpeg",
    )
    parser.add_argument(
        "--pydub-minutes", type=positive, default=20.0, help="what pydub gets of the sound (20)"
    )
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where made sounds are kept")
    parser.add_argument("--json", type=Path, metavar="FILE", help="receives all raw figures")
    return parser


def formats(text: str) -> tuple[str, ...]:
    """Return names of formats."""
    names = tuple(text.split(","))
    if not set(names) <= set(PIECE_FORMATS):
        raise ValueError
    return names


def positive(text: str) -> float:
    """Return a number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError
    return value


def whole(text: str) -> int:
    """Return a whole number from 1."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


@contextlib.contextmanager
def folder_of(options: argparse.Namespace) -> Iterator[Path]:
    """Yield the folder for made sounds: the one asked for, which stays, or a temporary one."""
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
        yield options.folder.resolve()
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks."""
    parser = command_line()
    options = parser.parse_args(arguments)
    try:
        with folder_of(options) as folder:
            print("making the sounds ...", file=sys.stderr, flush=True)
            ways = chosen(options, folder)
            if not options.starts:
                ways = [replace(way, counts_starts=False) for way in ways]
            runs = run_in_turn(ways, rounds=options.rounds, scratch=folder)
    except (CaptoolkitError, OSError, subprocess.CalledProcessError) as error:
        parser.error(f"{error}")
    print(report(ways, runs, options))
    if options.json:
        options.json.write_text(f"{as_json(runs)}\n", encoding="utf-8")
    return 1 if any(one.problem for one in runs) else 0


if __name__ == "__main__":
    adopt_orphans()
    sys.exit(main())
