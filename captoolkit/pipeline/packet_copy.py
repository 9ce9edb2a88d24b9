"""Copy packets unchanged into a container of the same kind, cut between packets where it is quiet.

Rules: one ffmpeg copies all packets and begins a new file at given packet numbers. captoolkit reads
each file back, compares the size and checksum of each packet with the source's, and the length of
its sound with the piece's span. Where all packets have one length, packets are counted for that and
only the first piece is decoded. Only the sound around the cuts is decoded, several cuts at once,
where the container's time stamps lead to it; otherwise the whole track is decoded once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from captoolkit.bitstream import containers
from captoolkit.bitstream.encodings import MODEL_RATE_HZ
from captoolkit.errors import InputError, LimitError
from captoolkit.media import decode, ffmpeg, ffmpeg_process, packets, probe_file, tags
from captoolkit.media.decode import read_blocks
from captoolkit.media.player_clock import LONGEST_GAP_S
from captoolkit.model import Span
from captoolkit.pipeline.event_gate import PrepareEvents
from captoolkit.pipeline.find_cuts import find_segments, lay_out_track, measure_loudness
from captoolkit.pipeline.job import Job
from captoolkit.pipeline.segment import ReadySegment
from captoolkit.pipeline.supervisor import Supervisor
from captoolkit.planning.cut_search import LoudnessCurve
from captoolkit.planning.frame_cuts import edges, span_of
from captoolkit.support import files
from captoolkit.units import rescale

# By how much a piece may decode to more or less than its span: the codec's delay and a packet.
PIECE_TOLERANCE_S = 0.2
MAX_PIECES = 3_000  # their packet numbers are one argument of ffmpeg; Windows allows 32 KB
NAME = "piece.%d"  # ffmpeg fills in the number; a name of the user's might hold a %


class PacketCopy:
    """The segments of a plan that copies packets from container to container; iterate once.

    Args:
        job: the plan, the source and the folder.
        events: receives progress.
        supervisor: owns the worker threads and the processes.
    """

    def __init__(self, job: Job, events: PrepareEvents, supervisor: Supervisor) -> None:
        self._job = job
        self._events = events
        self._supervisor = supervisor
        self._rate_hz = job.plan.track.sample_rate_hz

    def __iter__(self) -> Iterator[ReadySegment]:
        """Yield the segments, each read back as soon as it is complete."""
        plan, source = self._job.plan, self._job.source
        if len(plan.spans) > MAX_PIECES:
            raise LimitError(
                f"{len(plan.spans):,} pieces are more than the {MAX_PIECES:,} that its packets can "
                "be shared out to",
                fix="choose longer pieces, or exact=True",
                path=source,
            )
        with self._supervisor.watch(
            packets.PacketListing(source, plan.track.stream_index)
        ) as contents:
            listed = packets.list_packets(contents, plan.track)
        if listed is None:
            raise InputError("its packets cannot be read", fix="use exact=True", path=source)
        packet_samples = packets.fixed_packet_samples(listed, plan.track)
        shares = list(edges(plan, listed, self._find_segments(listed)))
        if self._supervisor.is_halted:
            return
        index = 0
        with self._supervisor.watch(
            packets.PacketListing(source, plan.track.stream_index)
        ) as contents:
            expected = iter(contents)
            pieces = self._copy_all([first for first, _ in shares])
            for index, ((first, last), piece) in enumerate(zip(shares, pieces, strict=False), 1):
                self._name_piece(piece, index)
                span = span_of(listed, first, last, rate_hz=self._rate_hz)
                counted = packet_samples * (last - first) if packet_samples and first else None
                self._check(index, itertools.islice(expected, last - first), span, counted)
                self._events.progressed(span.duration_s)
                yield self._job.describe(index, span)
        if index < len(shares):
            raise _broken(source, f"ffmpeg wrote only {index} of {len(shares)}")

    # ------------------------------------------------------------------------ where to cut

    def _find_segments(self, listed: packets.Packets) -> Iterator[tuple[int, int]]:
        """Yield the begin and the end of each segment in samples of the track."""
        plan = self._job.plan
        is_even = listed.gapless and plan.track.is_steady and not plan.track.discontinuities
        if len(plan.spans) < 2:
            yield plan.spans[0].start_samples, plan.spans[0].end_samples
        elif containers.of(plan.info.container).is_seekable and is_even:
            late = round(listed.late_s * self._rate_hz)
            yield from find_segments(
                plan, lambda first, last: self._measure(first, last, late), self._supervisor
            )
        else:
            yield from self._find_by_one_decode()

    def _measure(self, first: int, last: int, late: int) -> LoudnessCurve:
        """Measure samples [first, last) at the model's rate by decoding them alone.

        Runs in a worker thread.
        """
        begin, end = (rescale(at, MODEL_RATE_HZ, self._rate_hz) for at in (first, last))
        decoder = decode.TrackDecoder(
            self._job.source,
            track=self._job.plan.track,
            rate_hz=MODEL_RATE_HZ,
            start_samples=begin + late,
            end_samples=end + late,
        )
        with self._supervisor.watch(decoder):
            return measure_loudness(decoder, self._job.plan.info.path, origin=first)

    def _find_by_one_decode(self) -> list[tuple[int, int]]:
        """Return the segments, found by decoding the whole track."""
        decoder = decode.TrackDecoder(
            self._job.source, track=self._job.plan.track, rate_hz=MODEL_RATE_HZ
        )
        with self._supervisor.watch(decoder):
            blocks = read_blocks(decoder, self._job.plan.info.path)
            return lay_out_track(self._job.plan).find_segments(blocks)

    # ----------------------------------------------------------------------------- copying

    def _copy_all(self, starts: list[int]) -> Iterator[Path]:
        """Copy all packets, and yield each file when it is complete."""
        plan, folder = self._job.plan, self._job.folder.path
        source = ffmpeg.source(self._job.source)[str(plan.track.stream_index)]
        if len(starts) == 1:
            path = folder / f"{NAME % 1}.{plan.suffix}"
            self._copy(source, path, dict(plan.tags))
            yield path
            return
        pattern = f"{str(folder.absolute()).replace('%', '%%')}/{NAME}.{plan.suffix}"
        listed = tags.write(dict(plan.tags), folder)
        node = tags.tagged(
            source,
            listed,
            pattern,
            f="segment",
            segment_format=plan.muxer,
            segment_frames=",".join(map(str, starts[1:])),
            segment_start_number=1,
            segment_list="pipe:1",
            segment_list_type="flat",
            reset_timestamps=1,
            **self._options(),
        )
        process = ffmpeg_process.Process(ffmpeg.compile_argv(node), writes=folder)
        with self._supervisor.watch(process):
            for number, _ in enumerate(process.lines(), start=1):
                yield folder / f"{NAME % number}.{plan.suffix}"
            self._finish(process)
        listed.unlink()

    def _copy(self, stream: Any, path: Path, own_tags: dict[str, str]) -> None:
        """Copy all packets of a stream into one file."""
        folder = self._job.folder.path
        listed = tags.write(own_tags, folder)
        node = tags.tagged(stream, listed, path, f=self._job.plan.muxer, **self._options())
        process = ffmpeg_process.Process(ffmpeg.compile_argv(node), writes=folder)
        with self._supervisor.watch(process):
            self._finish(process)
        listed.unlink()

    def _options(self) -> dict[str, Any]:
        language = self._job.plan.track.language
        tagged = {"metadata:s:a:0": f"language={language}"} if language else {}
        return {
            "acodec": "copy",
            "flush_packets": 0,
            # ffmpeg would close longer gaps of a transport stream.
            "dts_delta_threshold": LONGEST_GAP_S,
            **tagged,
        }

    def _finish(self, process: ffmpeg_process.Process) -> None:
        with ffmpeg_process.output_errors(self._job.folder.path):
            process.finish()

    def _name_piece(self, piece: Path, index: int) -> None:
        """Give a finished file its name, and its own title if it has one."""
        path, own_tags = self._job.path(index), self._job.tags(index)
        if own_tags == dict(self._job.plan.tags):
            with files.writing(path):
                piece.replace(path)
            return
        self._copy(ffmpeg.source(piece)["a:0"], path, own_tags)
        piece.unlink()

    def _check(
        self, index: int, expected: Iterator[bytes], span: Span, counted_samples: int | None
    ) -> None:
        """Read a finished file back; it is decoded unless its packets give the length.

        Raises:
            LimitError: its packets differ from the source's, or it lasts another time than planned.
        """
        path = self._job.path(index)
        with self._supervisor.watch(packets.PacketListing(path)) as written:
            pairs = itertools.zip_longest(written, expected)
            if not all(one == other for one, other in pairs):
                raise _broken(path, "its packets differ from those of the source")
        if self._supervisor.is_halted:
            return
        if counted_samples is not None:
            counted_s = counted_samples / self._rate_hz
            if abs(counted_s - span.duration_s) <= PIECE_TOLERANCE_S:
                return
        try:
            held_s = probe_file.probe(path).default_track.duration_s
        except InputError as error:
            raise _broken(path, f"it cannot be read back ({error.problem})") from error
        if abs(held_s - span.duration_s) > PIECE_TOLERANCE_S:
            raise _broken(
                path, f"it decodes to {held_s:.3f} s of sound, not to {span.duration_s:.3f} s"
            )


def _broken(path: Path, problem: str) -> LimitError:
    return LimitError(
        f"a copied piece was refused: {problem}",
        fix="use exact=True, which keeps the sound and not the packets",
        path=path,
    )
