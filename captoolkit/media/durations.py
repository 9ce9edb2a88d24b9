"""The exact duration of a track in samples: every way to count it, the cheapest first.

A duration in a header is a claim, so `measure` counts samples wherever the header cannot be proven
cheaply. The result is always the number of samples that `decode.TrackDecoder` yields at the track's
own rate. In this order:

1. PCM and FLAC in plain containers: the frame count of libsndfile, checked against the file; of a
   FLAC that states no length, the number in its last frame.
2. MP3 files: the samples of all frames, without the encoder's delay and padding.
3. Containers with exact lengths in their packets: the sum over all packets, by ffmpeg.
4. Everything else, and every file that a cheaper way does not understand: a full decode.

The tests compare each way with a full decode. Where a track turns out shorter than promised,
`shortfall_warning` words the warning.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from captoolkit.bitstream import channel_layouts, containers, flac, mpeg_audio
from captoolkit.bitstream.lossless import is_in_libsndfile
from captoolkit.errors import NotMediaError, ToolError
from captoolkit.media import ffmpeg, ffmpeg_process, short_files, sndfile
from captoolkit.media.frame_index import read_frame_index
from captoolkit.media.packets import (
    PRIMING_FRAMES,
    PacketListing,
    holds_removed_sound,
    is_discarded,
)
from captoolkit.media.player_clock import RISING, read_frames
from captoolkit.media.player_clock import oddities as discontinuities
from captoolkit.model import Discontinuity
from captoolkit.support.recent_files import state_of

if TYPE_CHECKING:
    from soundfile import SoundFile

    from captoolkit.bitstream.frames import FrameIndex

# Codecs with packets that are copied out of an MP4 although it does not state their lengths.
COPIED_CODECS = frozenset({"mp3", "mp2", "ac3", "eac3", "amr_nb", "amr_wb", "dts"})
SMALLEST_MP3_FRAME_BYTES = 48  # a decoder may drop a last frame that is cut off below it
SMALLEST_AAC_BYTES = 8  # a smaller packet may hold no channel, and decodes to nothing at the start
NEGATIVE_TICKS = 1 << 31  # ffmpeg prints a packet's negative length unsigned, from here on

TAIL_FRAMES = 1 << 16  # read at the end of a FLAC to prove that the end is there
LOG_BYTES = 1 << 16  # kept of ffmpeg's log while it decodes

# ffmpeg's log, with the module and the level of each line: `[flac @ 0x55] [error] invalid
# residual`. A tag with the same text stands behind another beginning.
_MODULE = r"^(?:\[[^\]]+ @ [^\]]+\] )*"
_ERROR_LINE = re.compile(_MODULE + r"\[(?:error|fatal)\] (.+)$", re.MULTILINE)
_CHANGE_LINE = re.compile(
    _MODULE + r"\[info\] Reconfiguring filter graph because audio parameters changed to "
    r"(\d+ Hz, [\w .()+]+), \w+$",
    re.MULTILINE,
)
_DEPTH_CHANGE = "switching bps mid-stream"  # of the FLAC decoder
_STOPPED = "Error during demuxing"  # the rest of the file is lost, although ffmpeg exits with 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundStream:
    """A sound stream, as its header describes it.

    Attributes:
        index: its place among all streams, from 0.
        number: its place among the sound streams, from 0; libsndfile reads only the first.
        stated_s: the length of the longest stream as the header states it; None without a
            statement.
    """

    container: str
    codec: str
    rate_hz: int
    layout: str
    index: int = 0
    number: int = 0
    stated_s: float | None = None

    @property
    def shape(self) -> str:
        """Rate and layout, as ffmpeg prints them: `44100 Hz, stereo`."""
        return f"{self.rate_hz} Hz, {self.layout}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """The exact duration of a stream.

    Attributes:
        samples: at the stream's rate.
        counted: the samples were counted, because no header could be trusted.
        is_steady: sample rate and channels stay the same throughout.
        is_as_stated: they are those of the header, apart from the start of an AAC: parametric
            stereo begins as mono.
        oddities: peculiarities that a listener should know, each the rest of a sentence.
        discontinuities, is_edited: as in `Track`.
    """

    samples: int
    counted: bool = True
    is_steady: bool = True
    is_as_stated: bool = True
    oddities: tuple[str, ...] = ()
    discontinuities: tuple[Discontinuity, ...] = ()
    is_edited: bool = False


def measure(file: Path, stream: SoundStream) -> Duration:
    """Return the exact duration of a stream of a file.

    Raises:
        NotMediaError: the stream cannot be decoded.
    """
    container = containers.of(stream.container)
    # Codecs with many samples in a block reveal the length of the last one only in a decode.
    has_frames = container.counts_frames and is_in_libsndfile(stream.codec)
    if has_frames and not stream.number:
        frames = count_frames_in_process(file, container=stream.container, rate_hz=stream.rate_hz)
        if frames is not None:
            return Duration(samples=frames, counted=False)
        if stream.container == stream.codec == "flac":
            frames = count_flac_samples(file)
            if frames is not None:
                return Duration(samples=frames, counted=stream.stated_s is None)
    if container.has_index_frame and stream.codec in container.codecs:
        if read_frame_index(file) is None:  # it may change on the way, which no packet states
            return _count_by_decoding(file, stream)
        samples = _count_mp3_frames(file, stream)
        if samples is not None:
            return Duration(samples=samples)
    if stream.codec in container.packet_counted:
        return _count_packets(file, stream)
    duration = _count_by_decoding(file, stream)
    if container.starts_at_zero and stream.codec in COPIED_CODECS:
        return replace(duration, is_edited=_is_edited(file, stream))
    return duration


def _is_edited(file: Path, stream: SoundStream) -> bool:
    """Whether an edit list removes sound that the packets of a stream still hold."""
    listed = short_files.listing(file, stream.number)
    if listed is not None:
        return holds_removed_sound(listed[0], stream.codec)
    with PacketListing(file, stream.index) as listing:
        return holds_removed_sound(listing.lines(), stream.codec)


MISSING_S = 0.2  # headers are rounded, and codecs pad: a smaller shortfall is normal
MISSING_SHARE = 0.002


def is_shortfall(*, promised_s: float, held_s: float) -> bool:
    """Return whether a file holds notably less sound than its header promises."""
    return promised_s - held_s >= MISSING_S + MISSING_SHARE * promised_s


def shortfall_warning(*, promised_s: float, held_s: float) -> str:
    """Return the warning for a file that does not hold the sound that its header promises.

    ```python
    >>> shortfall_warning(promised_s=24, held_s=14.5)
    'It promises 24.000 s of sound and holds 14.500 s.'

    ```
    """
    return f"It promises {promised_s:.3f} s of sound and holds {held_s:.3f} s."


# ----------------------------------------------------------------------- by libsndfile


def count_frames_in_process(file: Path, *, container: str, rate_hz: int) -> int | None:
    """Return the frame count of libsndfile; None where it cannot be proven.

    Args:
        file: the media file.
        container: its container, in which libsndfile counts frames (`Container.counts_frames`).
        rate_hz: the sample rate that libsndfile must find too.
    """
    import soundfile

    try:
        with sndfile.open_file(file) as stream, sndfile.sound_in(stream) as sound:
            frames = int(sound.frames)
            if sound.samplerate != rate_hz or not frames:  # 0: a recorder died before it wrote it
                return None
            is_checked = not containers.of(container).end_unchecked
            return frames if is_checked or _is_whole_flac(sound, stream, file) else None
    except soundfile.SoundFileError:
        return None


def count_flac_samples(file: Path) -> int | None:
    """Return the samples of a FLAC by its last frame; None in any doubt."""
    with file.open("rb") as stream:
        return flac.samples_by_last_frame(stream)


def _is_whole_flac(sound: SoundFile, stream: BinaryIO, file: Path) -> bool:
    """Whether a FLAC has its first and its last frames, and holds no other FLAC.

    libFLAC reads some KB ahead. Bytes that it has not read by then are no tag, but may be another
    FLAC. It may also find the last frames in another FLAC of the same length.
    """
    tail = min(int(sound.frames), TAIL_FRAMES)
    sound.seek(sound.frames - tail)
    is_whole = len(sound.read(tail, dtype="int16")) == tail
    is_at_end = is_whole and stream.tell() == file.stat().st_size
    if not is_at_end:
        return False
    with file.open("rb") as other:
        return not flac.begins_late(other) and not flac.holds_another(other)


# ------------------------------------------------------------------------ by MP3 frames


def _count_mp3_frames(file: Path, stream: SoundStream) -> int | None:
    """The samples of a plain MP3 by its frames alone, without ffmpeg.

    None where other bytes stand between the frames, or the last frame is torn.
    """
    index = read_frame_index(file)
    if index is None or index.junk_bytes or index.torn_bytes:
        return None
    is_same = (index.codec, index.rate_hz) == (stream.codec, stream.rate_hz)
    if not is_same or index.sizes[-1] < SMALLEST_MP3_FRAME_BYTES:
        return None
    return _without_delay(file, index.duration_samples)


def frame_samples(file: Path, index: FrameIndex) -> int | None:
    """Return the samples that a decoder returns for the frames of an MP3, ADTS or AMR file.

    None for several MP3s in one file.
    """
    samples = index.duration_samples
    return _without_delay(file, samples) if containers.of(index.format).has_index_frame else samples


def _without_delay(file: Path, framed_samples: int) -> int | None:
    """The samples of an MP3's frames without the encoder's delay and padding."""
    with file.open("rb") as stream:
        delay = mpeg_audio.read_encoder_delay(stream)
    return framed_samples if delay is None else delay.audible_samples(framed_samples)


# ------------------------------------------------------------------------------ by packets


@dataclass(frozen=True, slots=True, kw_only=True)
class _PacketSum:
    """A stream's packets, summed up, in ticks of `base` seconds.

    Attributes:
        ticks: the length of all packets together.
        first_pts: the start of the first one; negative before the first audible sample.
        first_ticks: the length of the first one.
        first_bytes: its size.
        gapless: each packet begins where the one before it ends.
        even: all but the last have the same length.
        last, before_last: the fields of the last two; empty where there are fewer.
        is_edited: some packets after the first heard one are not heard.
    """

    base: Fraction
    ticks: int
    first_pts: int
    first_ticks: int
    first_bytes: int
    gapless: bool
    even: bool
    last: list[bytes]
    before_last: list[bytes]
    is_edited: bool

    def samples(self, ticks: int, rate_hz: int) -> int:
        """Convert ticks to samples."""
        return round(ticks * self.base * rate_hz)


def _count_packets(file: Path, stream: SoundStream) -> Duration:
    """Count a stream's packets; decode them where a decoder may return something else."""
    state, listed = state_of(file), short_files.listing(file, stream.number)
    if listed is not None:
        lines, log = listed
        packets = _sum_packets(lines)
    else:
        node = ffmpeg.source(file)[str(stream.index)].output(
            "pipe:1", f="framecrc", acodec="copy", flush_packets=0, loglevel="level+error"
        )
        with ffmpeg_process.Process(ffmpeg.compile_argv(node), tail_bytes=LOG_BYTES) as process:
            packets = _sum_packets(process.lines())
            process.wait()  # a truncated file ends with an error after its last whole packet
            log = process.stderr_tail
    if packets.last != [b""]:
        short_files.FIRST_PACKETS.put(state, stream.index, (packets.base, packets.first_pts))
    priming_ticks = PRIMING_FRAMES.get(stream.codec, 0) * packets.first_ticks
    has_edits = containers.of(stream.container).starts_at_zero
    is_edited = has_edits and packets.is_edited
    if has_edits or stream.codec == "opus":  # each piece would state the same pre-skip
        is_edited = is_edited or -packets.first_pts > priming_ticks
    samples = _audible_samples(file, stream, packets)
    if samples is None:
        return replace(_count_by_decoding(file, stream), is_edited=is_edited)
    oddities = _oddities(log, stream, samples)
    return Duration(samples=samples, oddities=oddities, is_edited=is_edited)


def _sum_packets(lines: Iterable[bytes]) -> _PacketSum:
    """Read a `framecrc` listing: `stream, dts, pts, duration, size, checksum, side data`."""
    base, ticks, first_pts, first_ticks, before_ticks, end = Fraction(0), 0, 0, 0, 0, 0
    first_bytes = 0
    gapless = even = True
    is_heard = is_edited = False
    last, before_last = b"", b""
    for line in lines:
        if line.startswith(b"#tb 0:"):
            base = Fraction(line[6:].strip().decode())
        elif not line.startswith(b"#"):
            fields = line.split(b",", 4)
            pts, length = int(fields[2]), int(fields[3])
            if not last:
                first_pts, first_ticks, before_ticks, end = pts, length, length, pts
                first_bytes = int(fields[4].partition(b",")[0])
            gapless = gapless and pts == end
            even = even and before_ticks == first_ticks
            if b"F=" in line and is_discarded(line.split(b",")):
                is_edited = is_edited or is_heard
            else:
                is_heard = True
            ticks += length
            end, before_ticks = pts + length, length
            last, before_last = line, last
    return _PacketSum(
        base=base,
        ticks=ticks,
        first_pts=first_pts,
        first_ticks=first_ticks,
        first_bytes=first_bytes,
        gapless=gapless,
        even=even,
        last=last.split(b","),
        before_last=before_last.split(b","),
        is_edited=is_edited,
    )


def _audible_samples(file: Path, stream: SoundStream, packets: _PacketSum) -> int | None:
    """The samples that a decoder returns for the packets, None where they do not determine it."""
    if len(packets.last) < 6 or len(packets.before_last) < 6:  # no packet to compare with
        return None
    if stream.codec == "mp3":
        is_even = packets.even and packets.last[3] == packets.before_last[3]
        if int(packets.last[4]) < SMALLEST_MP3_FRAME_BYTES or not is_even:
            return None
        return _without_delay(file, packets.samples(packets.ticks, stream.rate_hz))
    # Between the pages of an Ogg there may be a hole, or another recording; and next to a page's
    # end the listing may be wrong about a Vorbis packet. An MP4 may stretch a packet to reach the
    # next one.
    if not packets.gapless or not (containers.of(stream.container).packets_vary or packets.even):
        return None
    if _hides_its_end(packets, stream.codec):
        return None
    if stream.codec == "aac" and packets.first_bytes < SMALLEST_AAC_BYTES:
        return None
    skipped = max(0, -packets.first_pts)
    if stream.codec == "vorbis":  # the first packet only prepares the second
        if packets.first_pts + packets.first_ticks < 0:
            return None
        skipped = packets.first_ticks
    return packets.samples(packets.ticks - skipped, stream.rate_hz)


def _hides_its_end(packets: _PacketSum, codec: str) -> bool:
    """Whether a decoder may return another length than the last packet states."""
    last, side_data = packets.last, packets.last[6:]
    if any(field.strip() == b"F=0x3" for field in side_data):  # truncated: the end of the file
        return True
    if int(last[3]) >= NEGATIVE_TICKS:
        return True
    has_skip = any(b"Skip Samples" in field for field in side_data)
    # A decoder shortens a shorter last packet only with this side data; ALAC needs none.
    return has_skip == (last[3] == packets.before_last[3]) and codec != "alac"


# ------------------------------------------------------------------------------- by decode


def _count_by_decoding(file: Path, stream: SoundStream) -> Duration:
    """Decode all of a stream, and count the samples of its frames and of the gaps between them.

    The samples of a short one are kept: planning and making need them.
    """
    channels, stated_s = channel_layouts.channels(stream.layout), stream.stated_s
    if stated_s is None:
        is_short = short_files.may_be_short(file)
    else:
        is_short = short_files.is_short(
            stated_s=stated_s, rate_hz=stream.rate_hz, channels=channels
        )
    if is_short:
        with (
            short_files.Extra(
                file,
                index=stream.index,
                codec=stream.codec,
                rate_hz=stream.rate_hz,
                channels=channels,
            ) as extra,
            contextlib.suppress(NotMediaError),
        ):  # perhaps only a further output has failed
            duration = _decoded_length(file, stream, extra.argv([_listed_frames(stream)]))
            extra.keep(steady=duration.is_steady)
            return duration
    source = ffmpeg.source(file, codec=stream.codec)
    node = _listed_frames(stream)(source[str(stream.index)])
    return _decoded_length(file, stream, ffmpeg.compile_argv(node))


def _listed_frames(stream: SoundStream) -> Callable[[Any], Any]:
    """The output that lists decoded frames with their time stamps."""
    # `copyts`: ffmpeg would close the gaps of a transport stream itself.
    return lambda node: node.output(
        "pipe:1",
        f="framecrc",
        acodec="pcm_u8",
        ar=stream.rate_hz,
        af=f"aformat=sample_fmts=u8:sample_rates={stream.rate_hz}:channel_layouts=mono,{RISING}",
        loglevel="level+info",
        nostats=None,
        copyts=None,
        flush_packets=0,
    )


def _decoded_length(file: Path, stream: SoundStream, argv: Sequence[str]) -> Duration:
    """The length of a stream by an ffmpeg that lists its decoded frames."""
    container = containers.of(stream.container)
    has_time_stamps = container.has_time_stamps and stream.codec not in container.untimed_codecs
    with ffmpeg_process.Process(argv, tail_bytes=LOG_BYTES) as process:
        try:
            sound = read_frames(
                process.lines(), rate_hz=stream.rate_hz, has_time_stamps=has_time_stamps
            )
            process.finish()
        except ToolError as error:
            reason = ffmpeg_process.last_line("\n".join(_ERROR_LINE.findall(error.stderr_tail)))
            raise NotMediaError(
                f"its sound cannot be decoded ({reason})",
                fix="check that the file is complete",
                path=file,
            ) from error
        log = process.stderr_tail
    if stream.codec == "flac":
        _refuse_mixed_flac(log, stream, file)
    return Duration(
        samples=sound.clock_samples,
        is_steady=not _CHANGE_LINE.search(log),
        is_as_stated=not _changes(log, stream),
        oddities=(
            *_oddities(log, stream, sound.samples),
            *discontinuities(sound, rate_hz=stream.rate_hz),
        ),
        discontinuities=sound.discontinuities,
    )


def _refuse_mixed_flac(log: str, stream: SoundStream, file: Path) -> None:
    """Refuse joined FLACs that ffmpeg decodes wrong.

    It loses the sound after a change of the bit depth, and places frames wrongly where rate and
    channels change together. It follows a change of only one of the two.
    """
    own_rate, own_layout = stream.shape.split(", ")
    changes = [shape.split(", ") for shape in _changes(log, stream)]
    is_both = {rate for rate, _ in changes} - {own_rate} and {layout for _, layout in changes} - {
        own_layout
    }
    if is_both or any(_DEPTH_CHANGE in line for line in _ERROR_LINE.findall(log)):
        raise NotMediaError(
            "it holds FLAC sound of several formats (bit depths, or sample rates and channels), "
            "which is not decoded reliably past the first change",
            fix="separate the joined files, or convert each to one format before joining them",
            path=file,
        )


def _changes(log: str, stream: SoundStream) -> list[str]:
    """The rates and channels to which the stream changes, as ffmpeg's log reports them."""
    shapes: list[str] = _CHANGE_LINE.findall(log)
    return [shape for shape in shapes if shape != stream.shape or stream.codec != "aac"]


def _oddities(log: str, stream: SoundStream, samples: int) -> tuple[str, ...]:
    """The peculiarities of the stream that ffmpeg's log reports."""
    found = []
    changes = _changes(log, stream)
    if changes:  # the last one: ffmpeg may report rate and channels of one change separately
        change = f"changes on the way, to {changes[-1]}"
        if {*changes} == {stream.shape}:
            change = "begins with another sample rate or other channels"
        found.append(f"{change}; it is read as {stream.shape} throughout")
    errors = _ERROR_LINE.findall(log)
    if any(error.startswith(_STOPPED) for error in errors):
        cause = ffmpeg_process.last_line(errors[0])
        found.append(f"cannot be read past {samples / stream.rate_hz:.3f} s ({cause})")
    return tuple(found)
