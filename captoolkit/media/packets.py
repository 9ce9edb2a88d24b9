"""A track's packets inside their container: where each begins, and that copies hold the same ones.

Rules: nothing is decoded here; packets are listed by ffmpeg, line by line, and never held. A time
stamp is believed as far as it follows from the one before it; beyond that a packet's own length
counts, because a decoder puts what it decodes one behind another.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from captoolkit.media import ffmpeg
from captoolkit.model import MediaInfo, Track
from captoolkit.support.cancel import Closing

# How far a time stamp may be off from where the packet before it ends: containers round them.
ROUNDED_S = Fraction(2, 1000)
HEAD_BYTES = 64  # holds the name that a Matroska file has for its own kind


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Packets:
    """Where a track's packets begin.

    Attributes:
        starts: the sample of the track that each begins with, shape (packets,), ascending; what
            comes before the first sample that is heard is at 0.
        late_s: how long after the file's own beginning the track begins.
        gapless: whether each follows from the one before it.
        total_samples: how long the track is.
    """

    starts: NDArray[np.int64]
    late_s: Fraction
    gapless: bool
    total_samples: int

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.starts)

    def sample_of(self, packet: int) -> int:
        """Return the sample of the track that a packet begins with; the ends are the track's."""
        if packet <= 0:
            return 0
        return int(self.starts[packet]) if packet < self.count else self.total_samples

    def boundary_at(self, sample: int) -> int:
        """Return the packet that begins nearest to a sample."""
        after = int(np.searchsorted(self.starts, sample))
        if after == 0 or after == self.count:
            return after
        before_is_nearer = sample - self.starts[after - 1] <= self.starts[after] - sample
        return after - 1 if before_is_nearer else after


def listing(contents: Contents, track: Track) -> Packets | None:
    """Return where a track's packets begin; None where there are none."""
    starts, gapless = array("q"), True
    base, near, lead, ticks, due, length = Fraction(0), Fraction(0), 0, 0, 0, 0
    for line in contents.lines():
        if line.startswith(b"#tb 0:"):
            base = Fraction(line[6:].strip().decode())
            near = ROUNDED_S / base + 1
        if line.startswith(b"#"):
            continue
        fields = line.split(b",", 4)
        pts = int(fields[2])
        if not starts:
            lead = ticks = due = pts
        follows = abs(pts - due) <= near
        gapless = gapless and follows
        # `ticks` is where the packet before this one began, `length` how long that one is.
        ticks += length + (pts - due if follows else 0)
        length = int(fields[3])
        if not starts and track.codec == "vorbis":  # the first only prepares the second
            ticks -= length
        due = pts + length
        starts.append(ticks)
    if not starts:
        return None
    late, scale = max(0, lead), base * track.sample_rate_hz
    samples = np.frombuffer(starts, np.int64)  # of a day there are millions: worked on in place
    samples -= late
    samples *= 2 * scale.numerator
    samples += scale.denominator
    samples //= 2 * scale.denominator
    return Packets(
        starts=samples.clip(0, track.duration_samples, out=samples),
        late_s=late * base,
        gapless=gapless,
        total_samples=track.duration_samples,
    )


class Contents(Closing):
    """Each packet's size and checksum; two packets that share both are taken for the same.

    To be iterated once, and closed.
    """

    def __init__(self, path: str | Path, stream_index: int = 0) -> None:
        node = ffmpeg.source(path)[str(stream_index)].output(
            "pipe:1", f="framecrc", acodec="copy", flush_packets=0
        )
        self._process = ffmpeg.Process(ffmpeg.compile_argv(node))

    def __iter__(self) -> Iterator[bytes]:
        """Yield `size, checksum` of each, as text."""
        for line in self.lines():
            if not line.startswith(b"#"):
                yield b",".join(line.split(b",")[4:6]).strip()

    def lines(self) -> Iterator[bytes]:
        """Yield a `framecrc` listing: `stream, dts, pts, duration, size, checksum, side data`."""
        yield from self._process.lines()
        self._process.wait()  # a file that was cut off ends with an error after its last packet

    def close(self) -> None:
        """End ffmpeg; may be called twice."""
        self._process.close()


def container_of(info: MediaInfo) -> str:
    """Return the container's name as `probe` has it, but WebM apart from the rest of Matroska."""
    if info.container != "matroska":
        return info.container
    with Path(info.path).open("rb") as stream:
        return "webm" if b"webm" in stream.read(HEAD_BYTES) else "matroska"
