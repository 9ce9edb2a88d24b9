"""A recording's segments in the making: what carries out a plan, and what is left of it.

Rules: nothing happens until somebody asks for a segment; each is yielded as soon as it is finished
and checked, while later ones do not exist yet; memory does not grow with the recording; the source
is only ever read; a failure leaves no file and no child.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from captoolkit.drawing import plan_svg
from captoolkit.errors import InputError, NoAudioError, SourceNotFoundError, UsageError
from captoolkit.events import OnEvent, SegmentReady, ignore
from captoolkit.media import durations, encode, measure_file
from captoolkit.media.source import OpenSource
from captoolkit.model import Action, Plan, SourceInfo, Span, Via
from captoolkit.pipeline import manifest
from captoolkit.pipeline.job import Hashing, Job, is_segment_name, segment_name
from captoolkit.pipeline.report import Report
from captoolkit.pipeline.segment import Folder, ReadySegment
from captoolkit.pipeline.start import Making, begin
from captoolkit.planning.layout import ALIKE_S
from captoolkit.support import files
from captoolkit.support.cancel import Closing


class Prepared(Closing):
    """A recording's segments: iterate to get each as soon as it is ready; `save` keeps them.

    A context manager. Closing it ends what still runs and removes what was not saved. Iterating
    again begins with the segments that are there already. Several threads may iterate: each sees
    all segments, and each segment is made once.

    It can be pickled. A copy in another process has the segments if they are saved, and makes them
    itself if not; it needs the source where it is, be that a temporary file of the original.

    Attributes:
        plan: what is being done, and why.
    """

    def __init__(
        self, plan: Plan, source: OpenSource, *, jobs: int = 1, on_event: OnEvent = ignore
    ) -> None:
        self.plan = plan
        self._segments: list[ReadySegment] = []
        self._source = source
        self._jobs = jobs
        self._report = Report(plan, on_event)
        self._stem = source.stem
        self._folder: Folder | None = None
        self._making: Making | None = None
        self._work: Iterator[ReadySegment] = iter(())
        self._hashing: Hashing | None = None
        self._described: SourceInfo | None = None  # as the process knows it that made this
        self._complete = False
        self._over = ""  # why no more can be made
        self._turn = threading.RLock()  # of whoever makes the next segment, or clears up
        self._is_making = False
        self._closed = False
        self._discarded: set[int] = set()
        self._forget_source = weakref.finalize(self, source.close)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy begins with: all of what is saved, or nothing but the plan."""
        is_saved = self._complete and self._folder is None
        return {
            "begun_with": (self.plan, self._source, self._jobs, self._report.on_event),
            "over": self._over if not is_saved else "",
            "stem": self._stem,
            "segments": self.segments if is_saved else (),
            "described": self.source if is_saved else None,
            "said": (self._report.warnings, self._report.remarks) if is_saved else None,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        plan, source, jobs, on_event = state["begun_with"]
        Prepared.__init__(self, plan, source, jobs=jobs, on_event=on_event)
        self._over, self._stem, self._described = state["over"], state["stem"], state["described"]
        self._segments = [*state["segments"]]
        self._complete = self._described is not None
        if state["said"]:
            self._report.warnings, self._report.remarks = state["said"]

    def __iter__(self) -> Iterator[ReadySegment]:
        """Yield the segments in order, making those that do not exist yet."""
        number = 0
        while True:
            if number == len(self._segments) and not self._advance(number):
                return
            yield self._segments[number]
            number += 1

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd about the source, or turned out otherwise than planned."""
        return tuple(self._report.warnings)

    @property
    def skipped(self) -> tuple[Span, ...]:
        """What lies between the segments finished so far because it is silent.

        Frames that are kept as they are end where frames do, so this may be a little less or more
        than was planned.
        """
        if not self.plan.skipped:
            return ()
        rate_hz = self.plan.track.sample_rate_hz
        spans = [segment.source_span for segment in self._segments]
        starts = [0, *(span.end_samples for span in spans)]
        ends = [span.start_samples for span in spans]
        ends += [self._found_samples] if self._complete else []
        return tuple(
            Span(start_samples=start, end_samples=end, rate_hz=rate_hz)
            for start, end in zip(starts, ends, strict=False)
            if end > start
        )

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
            UsageError: `stem` is no plain name; or this is closed, or has failed before; or a
                segment was discarded.
            OutputExistsError: something of that name is there and `overwrite` is false.
            OutputError: the folder cannot be written, or its disk is full.
        """
        if stem is not None and (
            stem in ("", ".", "..") or Path(stem).name != stem or "\0" in stem
        ):
            raise UsageError(f"stem={stem!r} must be a plain name", fix="give the folder as `out`")
        self._refuse_over()
        self._refuse_discarded()
        out = Path(out).absolute()
        self._stem = stem if stem is not None else self._stem
        described = out / f"{self._stem}.manifest.json"
        if not overwrite:
            files.refuse_existing([described])
        try:
            if self._making is None:
                self._open_folder(out)
            for _ in self:
                pass
            with self._turn:
                self._refuse_over()
                self._refuse_discarded()
                self._gather_in(out)
                self._commit(out, described, overwrite=overwrite, spare=[self._source.path, *spare])
        except BaseException:
            self.close()  # no child and no staging folder waits for whoever drops this
            raise
        return self.segments

    def picture(self) -> str:
        """Return a drawing (SVG) of the plan over the levels of its recording, to check the cuts.

        If all segments are finished, it shows their cuts; otherwise the planned cuts, how far each
        may move, and the quietest point there. It decodes the recording once more.

        Raises:
            NotMediaError, ToolError: the recording cannot be decoded.
            UsageError: the preparation is closed.
        """
        self._refuse_over()
        path = self._source.path
        levels_db = measure_file.levels_db(path, self.plan.track)
        if self._complete:
            spans = [segment.source_span for segment in self._segments]
            return plan_svg.draw(self.plan, levels_db, segments=spans)
        quiet_places = measure_file.quiet_places(path, self.plan)
        return plan_svg.draw(self.plan, levels_db, quiet_places=quiet_places)

    def discard(self, segment: ReadySegment) -> None:
        """Remove the file of a segment that nobody needs any more; never the source's own."""
        if segment.folder is self._folder:
            segment.path.unlink(missing_ok=True)
            self._discarded.add(segment.index)

    @property
    def source(self) -> SourceInfo:
        """What the manifest says about where the segments come from.

        Until all segments are made its length is what was promised, and its hash is empty; the
        hash stays empty where this was closed before the source had been read to its end.
        """
        if self._described is not None:
            return self._described
        info, track = self.plan.info, self.plan.track
        ended = self._complete and self._hashing is not None
        return SourceInfo(
            path=self._source.name,
            sha256=self._hashing.result() if ended and self._hashing else "",
            size_bytes=info.size_bytes,
            container=info.container,
            codec=track.codec,
            sample_rate_hz=track.sample_rate_hz,
            channels=track.channels,
            track=track.number,
            duration_samples=self._found_samples if ended else track.duration_samples,
        )

    def close(self) -> None:
        """End what runs and remove what was not saved; may be called twice.

        From inside `on_event` it only tells the work to end, which may be waiting for that to
        return; what was not saved then goes before the loop over the segments does.
        """
        self._closed = True
        self._over = self._over or "this preparation is closed"
        for each in self._running:
            each.halt()
        self._clear_up()

    def _clear_up(self) -> None:
        """Wait until nothing runs, and only then remove what it made."""
        if self._report.is_telling_here:  # whoever runs may wait for us; it clears up afterwards
            return
        with self._turn:
            try:
                _close_all(*self._running)
            finally:
                if self._folder is not None:
                    self._folder.remove()
                self._forget_source()

    @property
    def _running(self) -> list[Making | Hashing]:
        return [each for each in (self._making, self._hashing) if each is not None]

    def _advance(self, number: int) -> bool:
        """Make the segment after so many, unless another thread just has; False after the last."""
        # Whoever tells an event is waited for by whose turn it is, and cannot wait for that one.
        if not self._turn.acquire(blocking=not self._report.is_telling_here):
            raise _asked_inside()
        try:
            return number < len(self._segments) or self._made_another()
        finally:
            self._turn.release()
            if self._closed:
                self._clear_up()

    def _made_another(self) -> bool:
        if self._complete:
            return False
        self._refuse_over()
        if self._making is None:
            self._begin()
        if self._is_making:
            raise _asked_inside()
        try:
            self._is_making = True
            segment = next(self._work, None)
        except BaseException:
            self._over = self._over or "this preparation has failed before"
            raise
        finally:
            self._is_making = False
        self._refuse_over()  # closed meanwhile
        if segment is None:
            self._end()
            return False
        segment = dataclasses.replace(segment, via=self.plan.via, url=self._url)
        self._segments.append(segment)
        self._report.tell(SegmentReady(path=self.plan.info.path, segment=segment))
        return True

    def _refuse_discarded(self) -> None:
        if self._discarded:
            raise UsageError(
                "segments that were discarded cannot be saved",
                fix="save first, or prepare the source again",
            )

    def _begin(self) -> None:
        if not self._source.path.exists():
            raise SourceNotFoundError(
                "the source is gone",
                fix="leave it in its place, or what it was given to open, until the work is done",
                path=self.plan.info.path,
            )
        folder = self._folder or self._open_folder(None)
        job = Job(plan=self.plan, source=self._source.path, folder=folder, stem=self._stem)
        self._report.started()
        self._making = begin(job, self._report, jobs=self._jobs)
        self._hashing = Hashing(self._source.path)
        self._work = iter(self._making)
        # Dropped without a word, what runs ends as if it had been closed.
        weakref.finalize(self, _close_all, self._making, self._hashing)
        self._refuse_over()  # closed meanwhile, by somebody who found nothing to end

    def _end(self) -> None:
        """Everything is made: note when the sound was longer or shorter than its header said."""
        if not self._segments:
            raise NoAudioError(
                "its sound is too short to be encoded",
                fix="give at least some milliseconds",
                path=self.plan.info.path,
            )
        self._complete = True
        track = self.plan.track
        found_s = self._found_samples / track.sample_rate_hz
        if abs(found_s - track.duration_s) > ALIKE_S:
            self._report.warned(
                durations.shortfall_warning(promised_s=track.duration_s, held_s=found_s)
            )

    @property
    def _found_samples(self) -> int:
        """How long the sound turned out to be; what is skipped at its end was there."""
        last, promised = self._segments[-1].source_span.end_samples, self.plan.track
        skipped = max((span.end_samples for span in self.plan.skipped), default=0)
        return promised.duration_samples if skipped > last else last

    @property
    def _url(self) -> str | None:
        """Where on the web the only segment lies; None if it is no file that lies there."""
        as_it_is = self.plan.action is Action.PASS_THROUGH and self.plan.via is Via.URL
        return self._source.url if as_it_is else None

    def _refuse_over(self) -> None:
        if self._over:
            raise UsageError(self._over, fix="begin another one")

    def _open_folder(self, parent: Path | None) -> Folder:
        self._folder = Folder.staging(parent)
        return self._folder

    def _gather_in(self, out: Path) -> None:
        """Bring segments that lie elsewhere (an untouched source, a renamed stem) to `out`."""
        before = self._folder
        folder = before
        if folder is None or folder.path.parent != out:
            folder = self._open_folder(out)
        try:
            self._segments = [self._placed(segment, folder) for segment in self._segments]
        finally:
            if before is not None and before is not folder:
                before.remove()

    def _placed(self, segment: ReadySegment, folder: Folder) -> ReadySegment:
        """The segment in `folder` under its final name, copied there if need be."""
        suffix = f".{self.plan.suffix}"
        name = segment_name(self._stem, segment.index, len(self.plan.spans), suffix)
        if segment.folder is not folder or segment.file != name:
            files.copy(segment.path, folder.path / name)
            self._refuse_changed(segment, folder.path / name)
        return dataclasses.replace(segment, folder=folder, file=name)

    def _refuse_changed(self, segment: ReadySegment, copy: Path) -> None:
        """Refuse a copy of what somebody else has written to since it was described."""
        if encode.sha256(copy) != segment.sha256:
            raise InputError(
                "it changed while it was being prepared",
                fix="wait until it is complete",
                path=self._source.path,
            )

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
        said = [*self._report.remarks, *self._report.warnings]
        text = manifest.render(
            self.plan, self.source, self.segments, skipped=self.skipped, warnings=said
        )
        self._refuse_over()  # closed meanwhile: the source's hash may not be that of all of it
        stale = [name for name in _left_by(described, self._stem) if name not in names]
        files.write_whole(folder.path / described.name, text, overwrite=True)
        files.move_all(folder.path, out, [*names, described.name])
        kept = files.among([out / name for name in stale], spare)
        for name in stale:
            if out / name not in kept:
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


def _asked_inside() -> UsageError:
    return UsageError(
        "a segment cannot be waited for inside on_event", fix="iterate after it has returned"
    )


def _close_all(*running: Closing) -> None:
    with contextlib.ExitStack() as stack:
        for each in running:
            stack.callback(each.close)
