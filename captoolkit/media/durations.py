"""How long a track is, to the sample: what `pcm.Decoder` yields at the track's own rate.

Rules: a duration in a header is a claim, so samples are counted where it cannot be proven cheaply.
`measure` says which way is taken for what, the cheapest first; whatever a cheap way does not
understand is decoded and counted (the tests hold each way against a full decode).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from captoolkit.bitstream import containers, mpeg_audio
from captoolkit.errors import NotMediaError, ToolError
from captoolkit.media import ffmpeg, sndfile
from captoolkit.media.frame_index import read_frame_index

if TYPE_CHECKING:
    from soundfile import SoundFile

SMALLEST_MP3_FRAME_BYTES = 48  # a last frame cut off below it may be left out by the decoder
NEGATIVE_TICKS = 1 << 31  # a packet's length from here on is one below zero, printed unsigned

TAIL_FRAMES = 1 << 16  # what is read at a FLAC's end to see that the end is there
READ_BYTES = 1 << 20
LOG_BYTES = 1 << 16  # what is kept of ffmpeg's words while it decodes

# ffmpeg's words, each line with who says it and how bad it is: `[flac @ 0x55] [error] invalid
# residual`. A tag that says the same stands behind another beginning.
_SPEAKER = r"^(?:\[[^\]]+ @ [^\]]+\] )*"
_COMPLAINT = re.compile(_SPEAKER + r"\[(?:error|fatal)\] (.+)$", re.MULTILINE)
_CHANGED = re.compile(
    _SPEAKER + r"\[info\] Reconfiguring filter graph because audio parameters changed to "
    r"(\d+ Hz, [\w .()+]+), \w+$",
    re.MULTILINE,
)
_STOPPED = "Error during demuxing"  # what follows is lost, though its status says all is well


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A sound stream whose length is wanted.

    Attributes:
        index: its place among all streams, from 0.
        is_first_sound: no sound comes before it; libsndfile reads no other.
    """

    container: str
    codec: str
    rate_hz: int
    layout: str
    index: int = 0
    is_first_sound: bool = True

    @property
    def shape(self) -> str:
        """Rate and layout, as ffmpeg puts them: `44100 Hz, stereo`."""
        return f"{self.rate_hz} Hz, {self.layout}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """How long a stream is.

    Attributes:
        samples: at the stream's rate.
        counted: they had to be counted, because no header could be trusted.
        oddities: what a listener should know about it, each the rest of a sentence.
    """

    samples: int
    counted: bool = True
    oddities: tuple[str, ...] = ()


def measure(file: Path, stream: Stream) -> Length:
    """Return how long a stream of a file is.

    Raises:
        NotMediaError: it cannot be decoded.
    """
    # The length of blocks that hold many samples each is only known when they are decoded.
    container = containers.of(stream.container)
    by_frames = container.counts_frames and stream.codec.startswith(("pcm_", "flac"))
    if by_frames and stream.is_first_sound:
        frames = frames_in_header(file, container=stream.container, rate_hz=stream.rate_hz)
        if frames is not None:
            return Length(samples=frames, counted=False)
    if container.has_index_frame and stream.codec in container.codecs:
        samples = _mp3_samples_by_frames(file, stream)
        if samples is not None:
            return Length(samples=samples)
    if stream.codec in container.packet_counted:
        return _by_packets(file, stream) or _by_decode(file, stream)
    return _by_decode(file, stream)


def frames_in_header(file: Path, *, container: str, rate_hz: int) -> int | None:
    """Return the frames that libsndfile finds, None where they may not be all or not there."""
    import soundfile

    try:
        with sndfile.open_file(file) as stream, sndfile.sound_in(stream) as sound:
            frames = int(sound.frames)
            if sound.samplerate != rate_hz or not frames:  # a recorder died before it wrote it
                return None
            is_checked = not containers.of(container).end_unchecked
            return frames if is_checked or _ends_with_the_file(sound, stream, file) else None
    except soundfile.SoundFileError:
        return None


def _ends_with_the_file(sound: SoundFile, stream: BinaryIO, file: Path) -> bool:
    """Whether a FLAC's last frames are there, and are the last thing that is.

    libFLAC reads some KB ahead: what it has not seen then is no tag, but may be another FLAC.
    """
    tail = min(int(sound.frames), TAIL_FRAMES)
    sound.seek(sound.frames - tail)
    is_there = len(sound.read(tail, dtype="int16")) == tail
    return is_there and stream.tell() == file.stat().st_size


# ------------------------------------------------------------------------------ by packets


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packets:
    """What a stream's packets say, in ticks of `base` seconds.

    Attributes:
        ticks: all packets together.
        first_pts: when the first one begins; below zero before the first sample that is heard.
        first_ticks: how long the first one is.
        gapless: each begins where the one before it ends.
        even: all but the last are equally long.
        last, before_last: the fields of the last two; empty where there are fewer.
    """

    base: Fraction
    ticks: int
    first_pts: int
    first_ticks: int
    gapless: bool
    even: bool
    last: list[bytes]
    before_last: list[bytes]

    def samples(self, ticks: int, rate_hz: int) -> int:
        """Ticks in samples."""
        return round(ticks * self.base * rate_hz)


def _by_packets(file: Path, stream: Stream) -> Length | None:
    """Count a stream's packets; None where they may not say what a decoder makes of them."""
    node = ffmpeg.source(file)[str(stream.index)].output(
        "pipe:1", f="framecrc", acodec="copy", flush_packets=0, loglevel="level+error"
    )
    with ffmpeg.Process(ffmpeg.compile_argv(node), tail_bytes=LOG_BYTES) as process:
        packets = _add_packets(process.lines())
        process.wait()  # a file that was cut off ends with an error after its last whole packet
        log = process.stderr_tail
    samples = _audible_samples(file, stream, packets)
    if samples is None:
        return None
    return Length(samples=samples, oddities=_oddities(log, stream, samples))


def _add_packets(lines: Iterable[bytes]) -> _Packets:
    """Read a `framecrc` listing: `stream, dts, pts, duration, size, checksum, side data`."""
    base, ticks, first_pts, first_ticks, before_ticks, end = Fraction(0), 0, 0, 0, 0, 0
    gapless = even = True
    last, before_last = b"", b""
    for line in lines:
        if line.startswith(b"#tb 0:"):
            base = Fraction(line[6:].strip().decode())
        elif not line.startswith(b"#"):
            fields = line.split(b",", 4)
            pts, length = int(fields[2]), int(fields[3])
            if not last:
                first_pts, first_ticks, before_ticks, end = pts, length, length, pts
            gapless = gapless and pts == end
            even = even and before_ticks == first_ticks
            ticks += length
            end, before_ticks = pts + length, length
            last, before_last = line, last
    return _Packets(
        base=base,
        ticks=ticks,
        first_pts=first_pts,
        first_ticks=first_ticks,
        gapless=gapless,
        even=even,
        last=last.split(b","),
        before_last=before_last.split(b","),
    )


def _audible_samples(file: Path, stream: Stream, packets: _Packets) -> int | None:
    """What a decoder makes of the packets, None where they do not tell."""
    if len(packets.last) < 6 or len(packets.before_last) < 6:  # no packet to compare with
        return None
    if stream.codec == "mp3":
        return _audible_mp3_samples(file, stream, packets)
    # Between the pages of an Ogg lies a hole, or another recording; and beside a page's end
    # the listing may err about a Vorbis packet. An MP4 may stretch a packet to reach the next one.
    if not packets.gapless or not (containers.of(stream.container).packets_vary or packets.even):
        return None
    if _hides_its_end(packets, stream.codec):
        return None
    skipped = max(0, -packets.first_pts)
    if stream.codec == "vorbis":  # the first packet only prepares the second
        if packets.first_pts + packets.first_ticks < 0:
            return None
        skipped = packets.first_ticks
    return packets.samples(packets.ticks - skipped, stream.rate_hz)


def _audible_mp3_samples(file: Path, stream: Stream, packets: _Packets) -> int | None:
    is_even = packets.even and packets.last[3] == packets.before_last[3]
    if int(packets.last[4]) < SMALLEST_MP3_FRAME_BYTES or not is_even:
        return None
    return _without_delay(file, packets.samples(packets.ticks, stream.rate_hz))


def _mp3_samples_by_frames(file: Path, stream: Stream) -> int | None:
    """What a decoder makes of a plain MP3, by its frames alone, without any ffmpeg.

    None where they may not tell: where something else lies between them, or they end torn.
    """
    index = read_frame_index(file)
    if index is None or index.junk_bytes or index.torn_bytes:
        return None
    is_alike = (index.codec, index.rate_hz) == (stream.codec, stream.rate_hz)
    if not is_alike or index.sizes[-1] < SMALLEST_MP3_FRAME_BYTES:
        return None
    return _without_delay(file, index.duration_samples)


def _without_delay(file: Path, framed_samples: int) -> int | None:
    """How many samples of an MP3's frames are left without the encoder's delay and padding."""
    with file.open("rb") as stream:
        delay = mpeg_audio.read_encoder_delay(stream)
    return framed_samples if delay is None else delay.audible_samples(framed_samples)


def _hides_its_end(packets: _Packets, codec: str) -> bool:
    """Whether the last packet's length may not be what a decoder makes of it."""
    last, side_data = packets.last, packets.last[6:]
    if any(field.strip() == b"F=0x3" for field in side_data):  # cut off: the end of the file
        return True
    if int(last[3]) >= NEGATIVE_TICKS:
        return True
    told = any(b"Skip Samples" in field for field in side_data)
    # A shorter last packet is heard shorter if the decoder is told so; ALAC says it by itself.
    return told == (last[3] == packets.before_last[3]) and codec != "alac"


# ------------------------------------------------------------------------------- by decode


def _by_decode(file: Path, stream: Stream) -> Length:
    """Decode all of a stream to bytes, one for each sample, and count them."""
    node = ffmpeg.source(file)[str(stream.index)].output(
        "pipe:1",
        f="u8",
        acodec="pcm_u8",
        ar=stream.rate_hz,
        af="aformat=sample_fmts=u8:channel_layouts=mono",
        loglevel="level+info",
        nostats=None,
    )
    samples = 0
    with ffmpeg.Process(ffmpeg.compile_argv(node), tail_bytes=LOG_BYTES) as process:
        try:
            while data := process.read(READ_BYTES):
                samples += len(data)
            process.finish()
        except ToolError as error:
            raise NotMediaError(
                f"its sound cannot be decoded ({_last_complaint(error.stderr_tail)})",
                fix="check that the file is complete",
                path=file,
            ) from error
        log = process.stderr_tail
    return Length(samples=samples, oddities=_oddities(log, stream, samples))


def _last_complaint(log: str) -> str:
    return ffmpeg.last_line("\n".join(_COMPLAINT.findall(log)))


def _oddities(log: str, stream: Stream, samples: int) -> tuple[str, ...]:
    """What ffmpeg's words tell about the stream."""
    found = []
    changes = [shape for shape in _CHANGED.findall(log) if shape != stream.shape]
    if changes:  # the last one: rate and channels of one change may be told apart
        found.append(
            f"changes on the way, to {changes[-1]}; it is read as {stream.shape} throughout"
        )
    complaints = _COMPLAINT.findall(log)
    if any(complaint.startswith(_STOPPED) for complaint in complaints):
        cause = ffmpeg.last_line(complaints[0])
        found.append(f"cannot be read past {samples / stream.rate_hz:.3f} s ({cause})")
    return tuple(found)
