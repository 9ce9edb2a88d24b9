"""Chunks: the recordings that a worker does in one task. Pure.

Rules: a chunk is about 30 s of predicted work and at most 200 recordings, the longest first. Chunks
are a function of the inputs and their order alone. Inputs are read in windows, so a listing of any
length needs the memory of one window.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from captoolkit.jobs.listing.inputs import Input

CHUNK_WORK_S = 30.0
MOST_INPUTS = 200
WINDOW = 10_000  # inputs that are sorted together

# Seconds of sound that a core does in a second, and the seconds that each recording takes besides,
# with 30 s segments and the local captioner: `scripts/bench_batch.py --only work`, 2026-11-29. Of
# prepare, FLAC reaches 800 and MP3 and AAC 240; of split, MP3 reaches 340, AAC 230 and FLAC 180.
SPEEDS = {"probe": 30_000.0, "prepare": 390.0, "split": 250.0, "caption": 110.0}
START_S = {"probe": 0.003, "prepare": 0.03, "split": 0.01, "caption": 0.01}
# Bytes of one second of sound by the ending of the name; others are compressed sound.
BYTES_PER_S = dict.fromkeys(["wav", "wave", "aif", "aiff", "w64", "rf64", "caf", "au"], 96_000)
BYTES_PER_S |= dict.fromkeys(["flac", "alac", "ape", "wv", "tta"], 60_000)
BYTES_PER_S |= dict.fromkeys(["mkv", "mp4", "mov", "avi", "webm", "ts", "mpg", "mxf"], 300_000)
COMPRESSED_BYTES_PER_S = 16_000
UNKNOWN_S = 600.0  # a recording of unknown length and size


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Recordings that a worker does in one task.

    Attributes:
        id: a hash of the ids of its inputs.
        inputs: the inputs, the longest first.
        number: the place among the chunks of the listing, from 0; it names the file of the tar
            layout.
        is_part: whether it is a part of that chunk of the listing.
    """

    id: str
    inputs: tuple[Input, ...]
    number: int = 0
    is_part: bool = False

    @property
    def mark(self) -> str:
        """The name of its deaths: the id, and a hash of the versions of its inputs."""
        versions = hash_lines(f"{each.size_bytes} {each.version}" for each in self.inputs)
        return f"{self.id}-{versions}"


def predicted_duration_s(recording: Input) -> float:
    """Return the length of a recording by its manifest, else a guess by its size."""
    if recording.duration_s is not None:
        return max(0.0, recording.duration_s)
    if recording.size_bytes is None:
        return UNKNOWN_S
    ending = recording.relative.rpartition(".")[2].lower()
    return recording.size_bytes / BYTES_PER_S.get(ending, COMPRESSED_BYTES_PER_S)


def predicted_work_s(recording: Input, verb: str) -> float:
    """Return the seconds that one core will take for a recording."""
    return START_S[verb] + predicted_duration_s(recording) / SPEEDS[verb]


def chunk_of(inputs: Iterable[Input], *, number: int = 0, is_part: bool = False) -> Chunk:
    """Return the chunk of these inputs."""
    members = tuple(inputs)
    id = hash_lines(each.id for each in members)
    return Chunk(id=id, inputs=members, number=number, is_part=is_part)


def hash_lines(lines: Iterable[str]) -> str:
    """Return 16 hexadecimal digits that identify lines of text; of ids, the id of their chunk."""
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:16]


def chunks_of(
    inputs: Iterable[Input],
    verb: str,
    *,
    work_s: float = CHUNK_WORK_S,
    most: int = MOST_INPUTS,
    window: int = WINDOW,
) -> Iterator[Chunk]:
    """Yield the chunks of a listing, each as soon as its window has been read."""
    numbers = itertools.count()
    source = iter(inputs)
    while members := list(itertools.islice(source, window)):
        members.sort(key=lambda each: (-predicted_work_s(each, verb), each.id))
        held: list[Input] = []
        held_s = 0.0
        for each in members:
            own_s = predicted_work_s(each, verb)
            if held and (held_s + own_s > work_s or len(held) == most):
                yield chunk_of(held, number=next(numbers))
                held, held_s = [], 0.0
            held.append(each)
            held_s += own_s
        yield chunk_of(held, number=next(numbers))


def split_chunk(chunk: Chunk) -> list[Chunk]:
    """Return a chunk for each input of a chunk that ended its worker."""
    return [chunk_of([each], number=chunk.number, is_part=True) for each in chunk.inputs]
