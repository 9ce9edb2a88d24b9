"""Damage copies of media files at random: each must end in sound or in one line of error.

    python scripts/damaged_files.py talk.opus song.mp3            # 20 copies of each
    python scripts/damaged_files.py talk.opus --copies 200 --seed 7 --keep damaged/

Each copy has changed bits, or lacks, repeats or gains some bytes, or is cut off. Every other copy
of an Ogg gets the checksums of its changed pages, so that the damage reaches the decoders. `probe`
and `prepare` then run on all copies of a file. Faults are: a traceback, an exit status other than 0
and 1, a run longer than a second for each copy and half a minute, a copy without a row in the
report, and a failed copy without a line of error, or with several. The MP3 decoder of libsndfile
prints lines of its own, which are counted. The exit status is 1 if there is a fault.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from captoolkit.bitstream import ogg

VERBS = ("probe", "prepare")
SPARE_S, COPY_S = 30, 1


def change_bits(data: bytearray, rng: random.Random) -> None:
    """Change some bits anywhere."""
    for _ in range(rng.choice((1, 3, 10, len(data) // 50 + 1))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def change_head(data: bytearray, rng: random.Random) -> None:
    """Change some of the first bytes."""
    for _ in range(4):
        data[rng.randrange(min(400, len(data)))] = rng.randrange(256)


def remove(data: bytearray, rng: random.Random) -> None:
    """Remove some bytes."""
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 100, 5000))]


def repeat(data: bytearray, rng: random.Random) -> None:
    """Repeat some bytes."""
    at = rng.randrange(len(data))
    data[at:at] = data[at : at + rng.choice((10, 1000, 5000))]


def insert(data: bytearray, rng: random.Random) -> None:
    """Insert other bytes."""
    at = rng.randrange(len(data))
    data[at:at] = rng.randbytes(rng.choice((1, 50, 4000)))


def cut_off(data: bytearray, rng: random.Random) -> None:
    """Remove the end."""
    del data[rng.randrange(1, len(data)) :]


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(change_bits, change_bits, change_head, remove, repeat, insert, cut_off),
)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return damaged data; the pages of an Ogg may have the right checksums."""
    changed = bytearray(data)
    rng.choice(DAMAGES)(changed, rng)
    has_checksums = data.startswith(ogg.MAGIC) and rng.random() < 0.5
    return with_checksums(bytes(changed)) if has_checksums else bytes(changed)


def with_checksums(data: bytes) -> bytes:
    """Return an Ogg whose pages have the right checksums, as far as there are pages."""
    pages, at = [], 0
    while data[at : at + len(ogg.MAGIC)] == ogg.MAGIC and at + ogg.HEADER_BYTES < len(data):
        body = at + ogg.HEADER_BYTES + data[at + ogg.HEADER_BYTES - 1]
        end = body + sum(data[at + ogg.HEADER_BYTES : body])
        pages.append(ogg.with_checksum(bytearray(data[at:end])))
        at = end
    return b"".join(pages) + data[at:]


@dataclass(kw_only=True)
class Trial:
    """The result of one command on the copies of a file."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def try_command(verb: str, copies: Sequence[Path], folder: Path) -> Trial:
    """Run a command on damaged copies."""
    trial, report = Trial(), folder / f"{verb}.jsonl"
    argv = [sys.executable, "-m", "captoolkit", verb, "--report", str(report), "-y"]
    argv = argv[:-1] if verb == "probe" else [*argv, "-o", str(folder / "out")]
    try:
        done = subprocess.run(
            [*argv, *map(str, copies)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SPARE_S + COPY_S * len(copies),
            check=False,
        )
    except subprocess.TimeoutExpired:
        trial.faults.append(f"{verb} of {copies[0].name} and others takes too long")
        return trial
    if done.returncode not in (0, 1) or "Traceback" in done.stderr:
        last = done.stderr.splitlines()[-1:] or [""]
        trial.faults.append(f"{verb} ends with {done.returncode}: {last[0]}")
    lines = done.stderr.splitlines()
    trial.counts["foreign lines"] = sum("libmpg123" in line for line in lines)
    rows = [json.loads(line) for line in report.read_text("utf-8").splitlines()]
    status = {row["path"]: row["status"] for row in rows if "path" in row}
    for copy in copies:
        errors = sum(line.startswith(f"error: {copy}: ") for line in lines)
        outcome = status.get(str(copy), "missing")
        trial.counts[outcome] += 1
        if outcome == "missing" or errors != (outcome == "failed"):
            trial.faults.append(f"{verb} {copy.name}: {outcome}, {errors} lines of error")
    return trial


def try_file(path: Path, folder: Path, *, copies: int, seed: int) -> dict[str, Trial]:
    """Damage copies of a file, and run each command on them."""
    rng = random.Random(f"{seed} {path.name}")  # noqa: S311 - repeatable, and no secret
    data = path.read_bytes()
    made = [folder / f"{path.stem}-{number:04d}{path.suffix}" for number in range(copies)]
    for copy in made:
        copy.write_bytes(damaged(data, rng))
    return {verb: try_command(verb, made, folder) for verb in VERBS}


def main() -> int:
    """Print a row for each file and command, and each fault."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--copies", type=int, default=20, help="of each file (20)")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers (1)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the copies here")
    options = parser.parse_args()
    faults = 0
    for number, path in enumerate(options.files):
        with tempfile.TemporaryDirectory() as temporary:
            folder = (options.keep or Path(temporary)) / f"{number}"
            folder.mkdir(parents=True, exist_ok=True)
            trials = try_file(path, folder, copies=options.copies, seed=options.seed)
        for verb, trial in trials.items():
            counts = ", ".join(f"{count} {name}" for name, count in trial.counts.items() if count)
            print(f"{path.name}: {verb}: {counts}", *trial.faults, sep="\n  ", flush=True)
            faults += len(trial.faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
