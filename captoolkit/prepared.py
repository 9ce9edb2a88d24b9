"""A recording's segments in the making: what carries out a plan, and what is left of it.

Rules: nothing happens until somebody asks for a segment; each is yielded as soon as it is finished
and checked, while later ones do not exist yet; one decode feeds everything, and memory does not
grow with the recording; the source is only ever read; a failure leaves no file and no child.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from captoolkit import files, manifest
from captoolkit.audio import encode, ffmpeg, pcm
from captoolkit.audio.clip import Folder, ReadySegment
from captoolkit.audio.source import OpenSource
from captoolkit.closing import Closing
from captoolkit.errors import (
    InputError,
    NoAudioError,
    NotMediaError,
    SourceNotFoundError,
    ToolError,
    ToolTimeoutError,
    UsageError,
)
from captoolkit.events import OnEvent, Progressed, SegmentReady, Started, Warned, ignore
from captoolkit.model import Encoding, Plan, SourceInfo
from captoolkit.planning.cuts import CutRule, cut
from captoolkit.units import rescale
from captoolkit.workshop import ENDS_ALIKE_S, Workshop, is_segment_name, segment_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Prepared(Closing):
    """A recording's segments: iterate to get each as soon as it is ready; `save` keeps them.

    A context manager. Closing it ends what still runs and removes what was not saved. Iterating
    again begins with the segments that are there already.

    Attributes:
        plan: what is being done, and why.
        warnings: what is odd about the source, or turned out otherwise than planned.
    """

    def __init__(self, plan: Plan, source: OpenSource, *, on_event: OnEvent = ignore) -> None:
        self.plan = plan
        self._segments: list[ReadySegment] = []
        self.warnings = [*plan.info.warnings]
        self._source = source
        self._on_event = on_event
        self._stem = Path(source.name).stem
        self._folder: Folder | None = None
        self._work: Iterator[ReadySegment] | None = None
        self._source_sha256: str | None = None
        self._complete = False
        self._over = ""  # why no more can be made
        self._forget_source = weakref.finalize(self, source.close)

    def __iter__(self) -> Iterator[ReadySegment]:
        """Yield the segments in order, making those that do not exist yet."""
        number = 0
        while True:
            if number == len(self._segments) and not self._advance():
                return
            yield self._segments[number]
            number += 1

    @property
    def segments(self) -> tuple[ReadySegment, ...]:
        """The segments finished so far."""
        return tuple(self._segments)

    def save(
        self,
        out: str | Path,
        *,
        stem: str | None = None,
        overwrite: bool = False,
        spare: Iterable[str | Path] = (),
    ) -> tuple[ReadySegment, ...]:
        """Make all segments and keep them in the folder `out` with `STEM.manifest.json`.

        All or nothing: the files appear together when the last one has been checked.

        Args:
            out: the folder; made if it is not there.
            stem: what the names begin with; the source's own without its ending if None.
            overwrite: replace what an earlier run left there under these names.
            spare: files that are not to be replaced whatever their names; the source never is.

        Returns:
            The segments, whose `path` is now in `out`.

        Raises:
            UsageError: `stem` is no plain name; or this is closed, or has failed before.
            OutputExistsError: something of that name is there and `overwrite` is false.
            OutputError: the folder cannot be written, or its disk is full.
        """
        if stem is not None and (not stem or Path(stem).name != stem or "\0" in stem):
            raise UsageError(f"stem={stem!r} must be a plain name", fix="give the folder as `out`")
        self._refuse_over()
        out = Path(out).absolute()
        self._stem = stem if stem is not None else self._stem
        described = out / f"{self._stem}.manifest.json"
        if not overwrite:
            files.refuse_existing([described])
        try:
            if self._work is None:
                self._open_folder(out)
            for _ in self:
                pass
            self._gather_in(out)
            self._commit(out, described, overwrite=overwrite, spare=[self._source.path, *spare])
        except BaseException:
            self.close()  # no child and no staging folder waits for whoever drops this
            raise
        return self.segments

    def discard(self, segment: ReadySegment) -> None:
        """Remove the file of a segment that nobody needs any more; never the source's own."""
        if segment.folder is self._folder:
            segment.path.unlink(missing_ok=True)

    @property
    def source(self) -> SourceInfo:
        """What the manifest says about where the segments come from.

        Until all segments are made its length is what was promised, and its hash is empty.
        """
        info, track = self.plan.info, self.plan.track
        if self._source_sha256 is None:
            self._source_sha256 = _source_sha256(self._source.path) if self._complete else ""
        end = self._segments[-1].source_span.end_samples if self._complete else 0
        return SourceInfo(
            path=self._source.name,
            sha256=self._source_sha256,
            size_bytes=info.size_bytes,
            container=info.container,
            codec=track.codec,
            sample_rate_hz=track.sample_rate_hz,
            channels=track.channels,
            track=track.number,
            duration_samples=end or track.duration_samples,
        )

    def close(self) -> None:
        """End what runs and remove what was not saved; may be called twice."""
        self._over = self._over or "this preparation is closed"
        work, self._work = self._work, iter(())
        try:
            if work is not None and hasattr(work, "close"):
                work.close()
        finally:
            if self._folder is not None:
                self._folder.remove()
            self._forget_source()

    def _advance(self) -> bool:
        """Make the next segment; False when there are no more."""
        if self._complete:
            return False
        self._refuse_over()
        if self._work is None:
            folder = self._folder or self._open_folder(None)
            self._work = self._make(folder)
        try:
            segment = next(self._work, None)
        except BaseException:
            self._over = "this preparation has failed before"
            raise
        if segment is None:
            if not self._segments:
                raise NoAudioError(
                    "its sound is too short to be encoded",
                    fix="give at least some milliseconds",
                    path=self.plan.info.path,
                )
            self._complete = True
            return False
        self._segments.append(segment)
        self._on_event(SegmentReady(path=self.plan.info.path, segment=segment))
        return True

    def _refuse_over(self) -> None:
        if self._over:
            raise UsageError(self._over, fix="begin another one")

    def _open_folder(self, parent: Path | None) -> Folder:
        self._folder = Folder.staging(parent)
        return self._folder

    def _make(self, folder: Folder) -> Iterator[ReadySegment]:
        plan = self.plan
        self._on_event(Started(path=plan.info.path, plan=plan))
        for warning in self.warnings:
            self._on_event(Warned(path=plan.info.path, message=warning))
        if plan.encoding is None:
            return iter([_untouched(plan, self._source)])
        return self._encode(plan.encoding, folder)

    def _encode(self, encoding: Encoding, folder: Folder) -> Iterator[ReadySegment]:
        """Decode once, cut where it is quiet, encode, check, yield."""
        plan, track = self.plan, self.plan.track
        rule = _cut_rule(plan, encoding)
        decoder = pcm.Decoder(
            self._source.path, track=track, rate_hz=encoding.sample_rate_hz, mix=plan.mix
        )
        with decoder, Workshop(plan, encoding, folder, self._stem) as workshop:
            hashing = workshop.pool.submit(_source_sha256, self._source.path)
            for piece, block in cut(decoded(decoder, plan.info.path), rule):
                workshop.write(piece, block)
                self._progress(workshop.samples, encoding.sample_rate_hz)
                yield from workshop.finished(wait=False)
            yield from workshop.finished(wait=True)
            self._compare(workshop.samples, encoding.sample_rate_hz)
            self._source_sha256 = hashing.result()

    def _progress(self, samples: int, rate_hz: int) -> None:
        self._on_event(
            Progressed(
                path=self.plan.info.path,
                done_s=samples / rate_hz,
                total_s=self.plan.track.duration_s,
            )
        )

    def _compare(self, samples: int, rate_hz: int) -> None:
        """Note when the sound was longer or shorter than its header promised."""
        found_s, promised_s = samples / rate_hz, self.plan.track.duration_s
        if abs(found_s - promised_s) > ENDS_ALIKE_S:
            told = f"It promises {promised_s:.3f} s of sound and holds {found_s:.3f} s."
            self.warnings.append(told)
            self._on_event(Warned(path=self.plan.info.path, message=told))

    def _gather_in(self, out: Path) -> None:
        """Bring segments that lie elsewhere (an untouched source, a renamed stem) to `out`."""
        folder = self._folder
        if folder is None or folder.path.parent != out:
            folder = self._open_folder(out)
        self._segments = [self._placed(segment, folder) for segment in self._segments]

    def _placed(self, segment: ReadySegment, folder: Folder) -> ReadySegment:
        """The segment in `folder` under its final name, copied there if need be."""
        made = self.plan.encoding
        suffix = f".{made.format if made else self.plan.info.container}"
        name = segment_name(self._stem, segment.index, len(self.plan.spans), suffix)
        if segment.folder is not folder or segment.file != name:
            files.copy(segment.path, folder.path / name)
        return dataclasses.replace(segment, folder=folder, file=name)

    def _commit(
        self, out: Path, described: Path, *, overwrite: bool, spare: Sequence[str | Path]
    ) -> None:
        """Move the staged files into `out`, the manifest last."""
        assert self._folder is not None
        folder = self._folder
        names = [segment.file for segment in self.segments]
        if not overwrite:
            files.refuse_existing(out / name for name in names)
        files.refuse_inputs([out / name for name in (*names, described.name)], spare)
        text = manifest.render(self.plan, self.source, self.segments, warnings=self.warnings)
        stale = [name for name in _left_by(described, self._stem) if name not in names]
        files.write_whole(folder.path / described.name, text, overwrite=True)
        files.move_all(folder.path, out, [*names, described.name])
        for name in stale:
            if not files.is_one_of(out / name, spare):
                (out / name).unlink(missing_ok=True)
        folder.remove()
        folder.path = out
        self._folder = None  # what is saved stays: it is not ours to discard or to move


def _left_by(described: Path, stem: str) -> list[str]:
    """The segments that an earlier run left and that nobody has touched since; none without one.

    A manifest may say anything, so a file counts only if its name is one that this stem's segments
    have and its content is what the manifest says.
    """
    try:
        hashes = manifest.hashes(described.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):  # what stands there instead is told when it is moved
        return []
    return [
        name
        for name, sha256 in hashes.items()
        if is_segment_name(name, stem)
        and (described.parent / name).is_file()
        and encode.sha256(described.parent / name) == sha256
    ]


def _untouched(plan: Plan, source: OpenSource) -> ReadySegment:
    """The source itself as the only segment, if it still is what was planned with."""
    path = source.path
    sha256 = _source_sha256(path)
    if path.stat().st_size != plan.info.size_bytes:
        raise InputError(
            "it changed while it was being prepared", fix="wait until it is complete", path=path
        )
    return ReadySegment(
        index=1,
        source_span=plan.spans[0],
        file=path.name,
        size_bytes=plan.info.size_bytes,
        sha256=sha256,
        folder=Folder(path.parent),
    )


def _source_sha256(path: Path) -> str:
    try:
        return encode.sha256(path)
    except OSError as error:
        raise SourceNotFoundError(
            f"it can no longer be read ({error.strerror})",
            fix="leave it in its place until the work is done",
            path=path,
        ) from error


def _cut_rule(plan: Plan, encoding: Encoding) -> CutRule:
    """The plan's cuts on the clock of the encoded samples; rounding moves no limit."""
    from_hz, to_hz = plan.track.sample_rate_hz, encoding.sample_rate_hz
    return CutRule(
        total=rescale(plan.track.duration_samples, from_hz, to_hz),
        pieces=len(plan.spans),
        longest=-(-plan.max_segment_samples * to_hz // from_hz),
        reach=plan.reach_samples * to_hz // from_hz,
        rate_hz=to_hz,
    )


def decoded(
    blocks: Iterable[NDArray[np.float32]], path: str | Path
) -> Iterator[NDArray[np.float32]]:
    """Yield what a decoder does.

    Raises:
        NotMediaError: it cannot decode; that is the file's fault, and says so.
    """
    try:
        yield from blocks
    except ToolTimeoutError:
        raise
    except ToolError as error:
        raise NotMediaError(
            f"its sound cannot be decoded ({ffmpeg.last_line(error.stderr_tail)})",
            fix="check that the file is complete",
            path=path,
        ) from error
