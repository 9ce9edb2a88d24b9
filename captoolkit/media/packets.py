"""A track's packets inside their container: their places, sizes and checksums.

Rules: nothing is decoded here; ffmpeg lists the packets line by line, and they are never held. A
time stamp counts where it follows from the one before it, and in a track with gaps; elsewhere a
packet's own length counts, because a decoder returns the sound of packets without gaps.
"""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from captoolkit.bitstream import ogg, opus
from captoolkit.bitstream.containers import MATROSKA
from captoolkit.media import ffmpeg, ffmpeg_process
from captoolkit.media.player_clock import LONGEST_GAP_S
from captoolkit.model import MediaInfo, Span, Track
from captoolkit.support.cancel import Closing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# How far a time stamp may be off from where the packet before it ends: containers round them.
ROUNDED_S = Fraction(2, 1000)
# The frames that an encoder's delay takes at most; a decoder drops them. An edit list that drops
# more drops sound. (AAC encoders state up to 2624 samples, of 1024 a frame; Opus states 80 ms.)
PRIMING_FRAMES = {
    "aac": 3,
    "mp3": 2,
    "opus": opus.PRIMING_PACKETS,
    "ac3": 1,
    "eac3": 1,
    "amr_nb": 1,
    "amr_wb": 1,
}
DISCARD = 4  # ffmpeg's flag of a packet that is decoded, and not heard
# The lengths that all packets of a track may have, in samples. AAC with band replication has twice
# as many.
PACKET_SAMPLES = {
    "aac": (1024, 2048, 960, 1920),
    "ac3": (1536,),
    "eac3": (1536, 768, 512, 256),
    "mp2": (1152,),
    "mp3": (1152, 576),
}
CONFIRMED_PACKETS = 4  # by which their sum may differ from the decoded length: delay and padding
WRONG_SHARE = Fraction(2, 100)  # of a track; lengths that are further off are not trusted
HEAD_BYTES = 64  # of a Matroska file, with the name of its kind


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Packets:
    """The places of a track's packets.

    Attributes:
        starts: the first sample of each, on the track's clock, shape (packets,), ascending; 0 for
            packets before the first audible sample.
        late_s: how much later than the file the track begins.
        gapless: each packet begins where the one before it ends.
        total_samples: the length of the track.
        gaps: the gaps in the track's time stamps.
    """

    starts: NDArray[np.int64]
    late_s: Fraction
    gapless: bool
    total_samples: int
    gaps: tuple[Span, ...] = ()

    @property
    def count(self) -> int:
        """The number of packets."""
        return len(self.starts)

    def sample_of(self, packet: int) -> int:
        """Return the sample of the track at which a packet begins; the ends are the track's."""
        if packet <= 0:
            return 0
        return int(self.starts[packet]) if packet < self.count else self.total_samples

    def end_of(self, packet: int) -> int:
        """Return the sample at which the packet before another one ends, so before a gap."""
        start = self.sample_of(packet)
        at = bisect.bisect_right(self.gaps, start, key=_middle) - 1
        if at < 0 or packet <= 0 or self.sample_of(packet - 1) >= _middle(self.gaps[at]):
            return start
        return self.gaps[at].start_samples

    def boundary_at(self, sample: int) -> int:
        """Return the packet that begins nearest to a sample; in a gap, the one after it."""
        at = bisect.bisect_right(self.gaps, sample, key=lambda gap: gap.start_samples) - 1
        if at >= 0 and sample < self.gaps[at].end_samples:
            return int(self.starts.searchsorted(_middle(self.gaps[at])))
        after = int(self.starts.searchsorted(sample))
        if after == 0 or after == self.count:
            return after
        before_is_nearer = sample - self.starts[after - 1] <= self.starts[after] - sample
        return after - 1 if before_is_nearer else after


def fixed_packet_samples(listed: Packets, track: Track) -> int | None:
    """Return the length of each packet of a track in samples; None where packets differ.

    The codec gives them one length, and the decoded length of the track confirms it.
    """
    if not listed.gapless or not track.is_steady or track.discontinuities or track.is_edited:
        return None
    return next(
        (
            samples
            for samples in PACKET_SAMPLES.get(track.codec, ())
            if abs(listed.count * samples - track.duration_samples) <= CONFIRMED_PACKETS * samples
        ),
        None,
    )


def _middle(gap: Span) -> int:
    """A sample inside a gap; its ends may be some samples away from those of packets."""
    return (gap.start_samples + gap.end_samples) // 2


def list_packets(contents: PacketListing, track: Track) -> Packets | None:
    """Return the places of a track's packets; None where it has none."""
    import numpy as np

    starts, gapless, gaps = array("q"), True, track.gaps
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
        # `ticks` is the start of the packet before this one, `length` its length.
        ticks += length + (pts - due if follows or gaps else 0)
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
    if not gaps:
        scale *= _correction((ticks + length - late) * scale, track.duration_samples)
    samples *= 2 * scale.numerator
    samples += scale.denominator
    samples //= 2 * scale.denominator
    np.maximum.accumulate(samples, out=samples)
    return Packets(
        starts=samples.clip(0, track.duration_samples, out=samples),
        late_s=late * base,
        gapless=gapless,
        total_samples=track.duration_samples,
        gaps=gaps,
    )


def _correction(stated_samples: Fraction, held_samples: int) -> Fraction:
    """The factor from stated lengths to real ones; 1 where they nearly agree.

    Some recorders state another length than packets decode to, in ASF as a rule the same wrong one
    for each. The pieces are compared with their decode afterwards.
    """
    off_by = abs(stated_samples - held_samples)
    if stated_samples <= 0 or off_by <= held_samples * WRONG_SHARE:
        return Fraction(1)
    return Fraction(held_samples) / stated_samples


class PacketListing(Closing):
    """Each packet's size and checksum; two packets with the same ones count as equal.

    Iterate over it once, then close it.
    """

    def __init__(self, path: str | Path, stream_index: int = 0) -> None:
        node = ffmpeg.source(path)[str(stream_index)].output(
            "pipe:1",
            f="framecrc",
            acodec="copy",
            flush_packets=0,
            dts_delta_threshold=LONGEST_GAP_S,  # ffmpeg would close longer gaps of a stream
        )
        self._process = ffmpeg_process.Process(ffmpeg.compile_argv(node))

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


def is_discarded(fields: Sequence[bytes]) -> bool:
    """Return whether a packet is decoded and not heard, by the fields of its line in a listing."""
    flags = next((field for field in fields[6:7] if field.strip().startswith(b"F=")), b"F=0x0")
    return bool(int(flags.strip()[2:], 16) & DISCARD)


def holds_removed_sound(lines: Iterable[bytes], codec: str) -> bool:
    """Return whether an edit list removes sound that the packets in a listing still hold."""
    lead_ticks = length = 0
    is_heard = False
    for line in lines:
        if line.startswith(b"#"):
            continue
        fields = line.split(b",")
        if is_discarded(fields) and is_heard:
            return True
        if not length:
            lead_ticks, length = -int(fields[2]), int(fields[3])
        is_heard = is_heard or not is_discarded(fields)
    return lead_ticks > PRIMING_FRAMES.get(codec, 0) * length


def container_of(info: MediaInfo) -> str:
    """Return the name of a file's container, as `probe` does, but with WebM as one of its own."""
    if info.container != MATROSKA:
        return info.container
    with Path(info.path).open("rb") as stream:
        return "webm" if b"webm" in stream.read(HEAD_BYTES) else MATROSKA


def is_chained(info: MediaInfo) -> bool:
    """Return whether a file is a chain of Ogg recordings, whose packets need several headers."""
    if info.container != "ogg":
        return False
    with Path(info.path).open("rb") as stream:
        return ogg.is_chained(stream)
