"""Packets as they are, in a container of their own kind: cut between two, where it is quiet.

Rules: one ffmpeg copies all packets and begins a new file where it is told to, by number; each file
is read back, and its packets are the source's, one by one, size and checksum. Only the sound around
a cut is decoded where the container's time stamps lead there, several cuts at once; else all of it,
once.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from captoolkit.bitstream import containers
from captoolkit.bitstream.encodings import MODEL_RATE_HZ
from captoolkit.errors import CaptoolkitError, InputError, LimitError
from captoolkit.media import decode, ffmpeg, packets, tags
from captoolkit.media.decode import read_all, read_blocks
from captoolkit.pipeline.job import Job
from captoolkit.pipeline.report import Report
from captoolkit.pipeline.segment import ReadySegment
from captoolkit.planning.cuts import Window, places, quietest_in
from captoolkit.planning.frame_cuts import Quiet, edges, movable, span_of
from captoolkit.support import files
from captoolkit.support.cancel import Closing
from captoolkit.units import rescale

Worker = TypeVar("Worker", bound=Closing)

MAX_PIECES = 3_000  # their numbers are one argument of ffmpeg's, 32 KB long where that is shortest
NAME = "piece.%d"  # what ffmpeg numbers from 1; no name of the user's, which might hold a %


class PacketCopy(Closing):
    """The segments of a plan that copies packets from container to container; iterated once.

    Args:
        job: what is made.
        report: told of progress.
        jobs: around how many cuts is listened at once.
    """

    def __init__(self, job: Job, report: Report, *, jobs: int = 1) -> None:
        self._job = job
        self._report = report
        self._jobs = jobs
        self._closed = False
        self._running: set[Closing] = set()

    def __iter__(self) -> Iterator[ReadySegment]:
        """Yield the segments, each read back as soon as it is complete."""
        try:
            yield from self._pieces()
        except (CaptoolkitError, ValueError):
            if not self._closed:  # by another thread, which ended what was read from
                raise

    def _pieces(self) -> Iterator[ReadySegment]:
        plan, source = self._job.plan, self._job.source
        if len(plan.spans) > MAX_PIECES:
            raise LimitError(
                f"{len(plan.spans):,} pieces are more than the {MAX_PIECES:,} that its packets can "
                "be shared out to",
                fix="ask for longer pieces, or for --exact",
                path=source,
            )
        with self._watched(packets.Contents(source, plan.track.stream_index)) as contents:
            listed = packets.listing(contents, plan.track)
        if listed is None:
            raise InputError("its packets cannot be read", fix="ask for --exact", path=source)
        shares = self._shares(listed)
        index = 0
        with self._watched(packets.Contents(source, plan.track.stream_index)) as contents:
            expected = iter(contents)
            made = self._made([first for first, _ in shares])
            for index, ((first, last), piece) in enumerate(zip(shares, made, strict=False), 1):
                self._place(piece, index)
                self._check(index, itertools.islice(expected, last - first))
                span = span_of(listed, first, last, rate_hz=self._rate_hz)
                self._report.progressed(span.duration_s)
                yield self._job.described(index, span)
        if index < len(shares):
            raise _broken(source, f"only {index} of {len(shares)} came out")

    def halt(self) -> None:
        """Make no more of them, without waiting."""
        self._closed = True
        for each in tuple(self._running):
            each.close()

    def close(self) -> None:
        """Make no more of them; may be called twice."""
        self.halt()

    # -------------------------------------------------------------------------- where

    def _shares(self, listed: packets.Packets) -> list[tuple[int, int]]:
        """The packets [first, last) of each piece."""
        pool = ThreadPoolExecutor(self._jobs, thread_name_prefix="captoolkit-part")
        try:
            return list(edges(self._job.plan, listed, self._quiet(listed, pool)))
        finally:
            pool.shutdown(cancel_futures=True)

    def _quiet(self, listed: packets.Packets, pool: ThreadPoolExecutor) -> Quiet:
        """The quietest sample of each window that is asked for, in the plan's order."""
        plan = self._job.plan
        if containers.of(plan.info.container).is_seekable and listed.gapless:
            late = round(listed.late_s * plan.track.sample_rate_hz)
            found = pool.map(lambda around: self._quiet_by_seeking(around, late), movable(plan))
            return lambda _around: next(found)
        quiet = dict(zip(movable(plan), self._quiet_by_one_decode(), strict=False))
        return lambda around: quiet.get(around, around.balanced)

    def _quiet_by_seeking(self, around: Window, late: int) -> int:
        """The quietest sample of a window, by decoding that alone."""
        begin = max(0, around.earliest - self._rate_hz // 10)
        decoder = decode.TrackDecoder(
            self._job.source,
            track=self._job.plan.track,
            rate_hz=MODEL_RATE_HZ,
            start_samples=begin + late,
            end_samples=around.latest + late,
        )
        with self._watched(decoder):
            sound = read_all(decoder, self._job.plan.info.path)
        heard = around.at_rate(self._rate_hz, MODEL_RATE_HZ, begin=begin)
        found = quietest_in(sound, heard, rate_hz=MODEL_RATE_HZ, first=0)
        return begin + rescale(found, MODEL_RATE_HZ, self._rate_hz)

    def _quiet_by_one_decode(self) -> list[int]:
        """The quietest sample of each window, by decoding everything."""
        windows = [one.at_rate(self._rate_hz, MODEL_RATE_HZ) for one in movable(self._job.plan)]
        if not windows:
            return []
        decoder = decode.TrackDecoder(
            self._job.source, track=self._job.plan.track, rate_hz=MODEL_RATE_HZ
        )
        with self._watched(decoder):
            blocks = read_blocks(decoder, self._job.plan.info.path)
            found = places(blocks, windows, rate_hz=MODEL_RATE_HZ)
        return [rescale(at, MODEL_RATE_HZ, self._rate_hz) for at in found]

    @property
    def _rate_hz(self) -> int:
        return self._job.plan.track.sample_rate_hz

    # ------------------------------------------------------------------------- making

    def _made(self, starts: list[int]) -> Iterator[Path]:
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
            **self._copying(),
        )
        process = ffmpeg.Process(ffmpeg.compile_argv(node), writes=folder)
        with self._watched(process):
            for number, _ in enumerate(process.lines(), start=1):
                yield folder / f"{NAME % number}.{plan.suffix}"
            self._finish(process)
        listed.unlink()

    def _copying(self) -> dict[str, Any]:
        language = self._job.plan.track.language
        said = {"metadata:s:a:0": f"language={language}"} if language else {}
        return {
            "acodec": "copy",
            "flush_packets": 0,
            **said,
        }

    def _copy(self, stream: Any, path: Path, said: dict[str, str]) -> None:
        """Copy all packets of a stream into one file."""
        folder = self._job.folder.path
        listed = tags.write(said, folder)
        node = tags.tagged(stream, listed, path, f=self._job.plan.muxer, **self._copying())
        with self._watched(ffmpeg.Process(ffmpeg.compile_argv(node), writes=folder)) as process:
            self._finish(process)
        listed.unlink()

    def _finish(self, process: ffmpeg.Process) -> None:
        with ffmpeg.output_errors(self._job.folder.path):
            process.finish()

    def _place(self, made: Path, index: int) -> None:
        """Give a finished file its name, and its title if it has one of its own."""
        path, said = self._job.path(index), self._job.tags(index)
        if said == dict(self._job.plan.tags):
            with files.writing(path):
                made.replace(path)
            return
        self._copy(ffmpeg.source(made)["a:0"], path, said)
        made.unlink()

    def _check(self, index: int, expected: Iterator[bytes]) -> None:
        """Read a finished file back.

        Raises:
            LimitError: its packets are not those that went in.
        """
        path = self._job.path(index)
        with self._watched(packets.Contents(path)) as found:
            pairs = itertools.zip_longest(found, expected)
            if not all(one == other for one, other in pairs):
                raise _broken(path, "its packets are not those that went in")

    @contextlib.contextmanager
    def _watched(self, worker: Worker) -> Iterator[Worker]:
        """Keep a worker where `halt` finds it, and end it when it is left."""
        try:
            with worker:
                self._running.add(worker)
                if self._closed:
                    worker.close()
                yield worker
        finally:
            self._running.discard(worker)


def _broken(path: Path, problem: str) -> LimitError:
    return LimitError(
        f"a copied piece was refused: {problem}",
        fix="ask for --exact, which keeps the sound and not the packets",
        path=path,
    )
