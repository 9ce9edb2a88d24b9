"""The segments of a recording: made on demand, saved or discarded.

Rules: nothing happens before the first segment is requested. Each segment is yielded as soon as it
is finished and checked, while later ones do not exist yet. Memory does not grow with the recording.
The source is only read. A failure leaves no file and no child process.
"""

from __future__ import annotations

import dataclasses
import threading
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from captoolkit.drawing import plan_svg
from captoolkit.errors import (
    CancelledError,
    CaptoolkitError,
    NoAudioError,
    NotMediaError,
    OutputExistsError,
    SourceNotFoundError,
    UsageError,
)
from captoolkit.events import OnEvent, SegmentReady, ignore
from captoolkit.media import durations, flac_holes, measure_file
from captoolkit.media.source import OpenSource
from captoolkit.model import Action, Envelope, Plan, SourceInfo, Span, Via
from captoolkit.pipeline import earlier_run, manifest, saving
from captoolkit.pipeline.caption_meter import OpenCaptionMeter
from captoolkit.pipeline.event_gate import PrepareEvents
from captoolkit.pipeline.frame_copy import FrameCopy
from captoolkit.pipeline.header_correction import HeaderCorrection
from captoolkit.pipeline.job import Hashing, Job
from captoolkit.pipeline.packet_copy import PacketCopy
from captoolkit.pipeline.pass_through import PassThrough
from captoolkit.pipeline.run_sound import find_prepared_segments
from captoolkit.pipeline.segment import Folder, ReadySegment
from captoolkit.pipeline.segment_names import NameTemplate, SegmentNames
from captoolkit.pipeline.supervisor import Supervisor
from captoolkit.pipeline.transcode import Transcode
from captoolkit.planning.layout import ALIKE_S
from captoolkit.planning.options import SHORTEST_S
from captoolkit.support import files, group_moves
from captoolkit.support.cancel import Closing
from captoolkit.support.provenance import Provenance
from captoolkit.units import format_count, format_length

FAILED_BEFORE = "this preparation has failed before"
CLOSED = "this preparation is closed"


class Prepared(Closing):
    """A recording's segments: iterate to get each as soon as it is ready; `save` keeps them.

    A context manager. Closing it ends the work and removes the segments that were not saved. A
    second iteration begins with the segments that exist already. Several threads may iterate: each
    gets all segments, and each segment is made once.

    It can be pickled. A copy in another process has the segments if they are saved, and makes them
    itself if not; it needs the source at the same path, even if that is a temporary file of the
    original.

    Attributes:
        plan: the plan that is carried out, with its reasons.
        modified_ns: when the source was last changed, if it is a file.
    """

    def __init__(
        self,
        plan: Plan,
        source: OpenSource,
        *,
        jobs: int = 1,
        on_event: OnEvent = ignore,
        provenance: Provenance | None = None,
        measures_envelope: bool = False,
        open_meter: OpenCaptionMeter | None = None,
    ) -> None:
        self.plan = plan
        self._segments: list[ReadySegment] = []
        self._source = source
        self._jobs = jobs
        self._events = PrepareEvents(plan, on_event)
        self._supervisor = Supervisor(jobs=jobs)
        self._provenance = provenance
        self._measures_envelope = measures_envelope
        self._open_meter = open_meter
        self.modified_ns = source.modified_ns
        self._names = SegmentNames(before=f"{source.stem}.", manifest_stem=source.stem)
        self._folder: Folder | None = None
        self._work: Iterator[ReadySegment] | None = None
        self._transcode: Transcode | None = None
        self._hashing: Hashing | None = None
        self._described: SourceInfo | None = None  # a copy keeps the original's description
        self._complete = False
        self._over = ""  # why no more segments can be made
        self._turn = threading.RLock()  # held by the thread that makes a segment or cleans up
        self._is_making = False
        self._closed = False
        self._discarded: set[int] = set()
        self._forget_source = weakref.finalize(self, source.close)

    def __repr__(self) -> str:
        """Return a summary."""
        state = "complete" if self._complete else self._over or "made on demand"
        segments = format_count(len(self._segments), "segment")
        return f"<Prepared from {self.plan.info.path!r}: {segments} so far, {state}>"

    def __getstate__(self) -> dict[str, Any]:
        """Return the state of a copy: all segments if they are saved, otherwise only the plan."""
        is_saved = self._complete and self._folder is None
        return {
            "begun_with": (self.plan, self._source),
            "keywords": {
                "jobs": self._jobs,
                "on_event": self._events.gate.on_event,
                "provenance": self._provenance,
                "measures_envelope": self._measures_envelope,
            },
            "over": self._over if not is_saved else "",
            "names": self._names,
            "segments": self.segments if is_saved else (),
            "described": self.source if is_saved else None,
            "sentences": (self._events.warnings, self._events.remarks) if is_saved else None,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        Prepared.__init__(self, *state["begun_with"], **state["keywords"])
        self._over, self._names = state["over"], state["names"]
        self._described = state["described"]
        self._segments = [*state["segments"]]
        self._complete = self._described is not None
        if state["sentences"]:
            self._events.warnings, self._events.remarks = state["sentences"]

    def __iter__(self) -> Iterator[ReadySegment]:
        """Yield the segments in order; make those that do not exist yet."""
        number = 0
        while True:
            if number == len(self._segments) and not self._advance(number):
                return
            yield self._segments[number]
            number += 1

    @property
    def file(self) -> Path:
        """The file that is read, which is the source or its temporary copy."""
        return self._source.path

    @property
    def is_kept(self) -> bool:
        """Whether `save` has kept the files of an earlier run."""
        return self._described is not None and self._work is None and self._complete

    @property
    def warnings(self) -> tuple[str, ...]:
        """Oddities of the source, and differences between the plan and the result."""
        return tuple(self._events.warnings)

    @property
    def skipped(self) -> tuple[Span, ...]:
        """The silent spans between the segments finished so far, on the file's clock.

        The first may be the time before the sound begins. Where packets are copied, a gap in the
        time stamps may lie between two segments.

        Copied frames end at frame boundaries, so the spans may be slightly shorter or longer than
        planned.
        """
        track, rate_hz = self.plan.track, self.plan.track.sample_rate_hz
        if not (self.plan.skipped or track.start_samples or track.gaps):
            return ()
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

    @property
    def measures_envelope(self) -> bool:
        """Whether the envelope is measured on request, from the samples that are decoded."""
        return self._measures_envelope and self.plan.encoding is not None

    @property
    def envelope(self) -> Envelope | None:
        """The envelope of the recording, if it is measured and all segments are finished.

        None if nothing is decoded, because packets or frames are copied.
        """
        return self._transcode.envelope if self._complete and self._transcode else None

    @property
    def source(self) -> SourceInfo:
        """The source as the manifest describes it.

        Until all segments are made its length is the planned one and its hash is empty; the hash
        stays empty if `close` was called before the source was read to its end.
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
            duration_samples=self._found_samples if ended else track.end_samples,
            start_samples=track.start_samples,
        )

    def save(
        self,
        out: str | Path,
        *,
        stem: str | None = None,
        name: str | SegmentNames | None = None,
        overwrite: bool = False,
        skip_existing: bool = False,
        spare: Iterable[str | Path] | files.FileSet = (),
    ) -> tuple[ReadySegment, ...]:
        """Make all segments and keep them in the folder `out` with `STEM.manifest.json`.

        All or nothing: the files appear together after the last one has been checked.

        Args:
            out: the folder; created if it does not exist.
            stem: the beginning of all names; the source's name without its suffix if None.
            name: a template of the names below `out`, such as `{parent}/{stem}-{index:04}`.
            overwrite: replace the files of an earlier run that have these names.
            skip_existing: keep the files of an earlier run if the same verb and options made them
                from the same source and they have not changed since; nothing is made then. Other
                files of these names are refused, or replaced with `overwrite`.
            spare: files that are never replaced; the source never is.

        Returns:
            The segments, with their `path` in `out`.

        Raises:
            UsageError: `stem` is no plain name, or `name` no template; or this has failed before,
                or a segment was discarded.
            CancelledError: this is closed.
            OutputExistsError: a file of that name exists and `overwrite` is false.
            OutputError: the folder cannot be written, or its disk is full.
        """
        folder, names = self._names_for(stem, name)
        self._refuse_over()
        self._refuse_discarded()
        out = Path(out).absolute() / folder
        self._names = names
        files.sweep_ended_runs(out)
        if skip_existing and self._keep(out, overwrite=overwrite):
            return self.segments
        if not overwrite:
            files.refuse_existing([out / names.manifest])
        try:
            if self._work is None:
                self._open_folder(out)
            for _ in self:
                pass
            with self._turn:
                self._refuse_over()
                self._refuse_discarded()
                self._commit(out, overwrite=overwrite, spare=spare)
        except BaseException:
            self.close()  # the caller may drop this without closing it
            raise
        return self.segments

    def picture(self) -> str:
        """Return a drawing (SVG) of the plan over the levels of its recording, to check the cuts.

        If all segments are finished, it shows their cuts; otherwise the planned cuts, how far each
        may move, and the quietest point there. It decodes the recording once more.

        Raises:
            NotMediaError, ToolError: the recording cannot be decoded.
            CancelledError: the preparation is closed.
        """
        self._refuse_over()
        path = self._source.path
        levels_db = measure_file.levels_db(path, self.plan.track)
        if self._complete:
            late = self.plan.track.start_samples
            spans = [segment.source_span.shifted(-late) for segment in self._segments]
            return plan_svg.draw(self.plan, levels_db, segments=spans)
        spans = find_prepared_segments(path, self.plan)
        if len(spans) != len(self.plan.spans):  # fewer where pauses allow
            return plan_svg.draw(self.plan, levels_db, segments=spans)
        ends = zip(self.plan.spans, spans, strict=True)
        quiet_places = {planned.end_samples: span.end_samples for planned, span in ends}
        return plan_svg.draw(self.plan, levels_db, quiet_places=quiet_places)

    def refuse_changed(self) -> None:
        """Refuse a source that was written to before its last segment was made.

        Raises:
            InputError: the segments may be from different states of the file.
        """
        if not self._complete:
            self._source.refuse_changed()

    def discard(self, segment: ReadySegment) -> None:
        """Remove the file of a segment that is no longer needed; never the source itself."""
        if segment.folder is self._folder and segment.file:
            segment.path.unlink(missing_ok=True)
            self._discarded.add(segment.index)

    def close(self) -> None:
        """End the work and remove the segments that were not saved; may be called twice.

        Inside `on_event` it ends the work without waiting for it, because the work may wait for
        `on_event` to return; the segments are then removed before the loop over them ends.
        """
        self._closed = True
        self._over = self._over or CLOSED
        self._supervisor.halt()
        self._clean_up()

    # ---------------------------------------------------------------------------- making

    def _advance(self, number: int) -> bool:
        """Make segment `number` unless another thread has; return False after the last segment."""
        # The thread whose turn it is may wait for this one to return from `on_event`.
        if not self._turn.acquire(blocking=not self._events.gate.is_inside):
            raise _requested_inside_event()
        try:
            return number < len(self._segments) or self._make_another()
        except BaseException:
            if self._events.gate.error is not None:  # `on_event` has raised, perhaps in a worker
                self._over = self._over or FAILED_BEFORE
            raise
        finally:
            self._turn.release()
            if self._closed:
                self._clean_up()

    def _make_another(self) -> bool:
        if self._complete:
            return False
        self._refuse_over()
        if self._is_making:
            raise _requested_inside_event()
        work = self._work or self._begin()
        segment = self._next_of(work)
        if self._supervisor.is_halted:  # by `close` meanwhile, or by the end of the program
            self._over = self._over or CLOSED
        self._refuse_over()
        if segment is None:
            self._end()
            return False
        # Only a file that is passed through has the URL's bytes.
        has_url = self.plan.action is Action.PASS_THROUGH and self.plan.via is Via.URL
        url = self._source.url if has_url else None
        segment = dataclasses.replace(segment, via=self.plan.via or Via.BASE64, url=url)
        self._segments.append(segment)
        self._events.gate(SegmentReady(path=self.plan.info.path, segment=segment))
        return True

    def _next_of(self, work: Iterator[ReadySegment]) -> ReadySegment | None:
        """Return the next segment; None after the last one, or if `close` ended the work."""
        try:
            self._is_making = True
            return next(work, None)
        except BaseException as error:
            if isinstance(error, CaptoolkitError):
                self._source.name_in(error)
            is_own = error is not self._events.gate.error
            if self._closed and is_own and isinstance(error, CaptoolkitError | ValueError):
                return None
            self._over = self._over or FAILED_BEFORE
            if is_own and isinstance(error, CaptoolkitError | OSError):
                # A source that was written to or removed may cause any of them.
                self._refuse_missing()
                self._source.refuse_changed()
            raise
        finally:
            self._is_making = False

    def _begin(self) -> Iterator[ReadySegment]:
        self._refuse_missing()
        folder = self._folder or self._open_folder(None)
        job = Job(plan=self.plan, source=self._source.path, folder=folder, names=self._names)
        self._is_making = True  # `on_event` may ask for a segment
        try:
            self._events.started()
        finally:
            self._is_making = False
        self._refuse_over()  # `on_event` may have closed it
        # Ends the work of an object that is dropped without `close`, before its folder is removed.
        weakref.finalize(self, self._supervisor.close)
        self._hashing = Hashing(self._source.path, self._supervisor)
        work = self._carry_out(job)
        self._transcode = work if isinstance(work, Transcode) else None
        self._work = iter(work)
        return self._work

    def _carry_out(
        self, job: Job
    ) -> PassThrough | HeaderCorrection | FrameCopy | PacketCopy | Transcode:
        """Return the segments of the plan in the way that its action asks for."""
        plan, events, supervisor = job.plan, self._events, self._supervisor
        if plan.encoding is not None:
            return Transcode(
                job,
                plan.encoding,
                events,
                supervisor,
                measures_envelope=self._measures_envelope,
                open_meter=self._open_meter,
            )
        if plan.action is Action.PASS_THROUGH:
            return PassThrough(job, events)
        if plan.muxer:
            return PacketCopy(job, events, supervisor)
        if plan.suffix == HeaderCorrection.SUFFIX:
            return HeaderCorrection(job, events)
        return FrameCopy(job, events, supervisor)

    def _end(self) -> None:
        """Complete the work; warn if the length of the sound differs from its header."""
        self.refuse_changed()
        if not self._segments and self.plan.track.duration_s >= SHORTEST_S:
            raise NotMediaError(
                "none of its sound can be decoded",
                fix="check that the file is complete; if it plays elsewhere, convert it to WAV",
                path=self.plan.info.path,
            )
        if not self._segments:
            raise NoAudioError(
                "its sound is too short to be encoded",
                fix="give at least some milliseconds",
                path=self.plan.info.path,
            )
        self._complete = True
        track = self.plan.track
        if len(self._segments) > 1 and self.plan.reach_samples:
            lengths_s = [segment.source_span.exact_s for segment in self._segments]
            shortest, longest = format_length(min(lengths_s)), format_length(max(lengths_s))
            lasts = f"about {shortest} each" if shortest == longest else f"{shortest} to {longest}"
            self._events.remarks.append(f"The {len(lengths_s):,} segments last {lasts}.")
        for warning in flac_holes.warnings(self._source.path):
            self._events.warned(warning)
        found_s = (self._found_samples - track.start_samples) / track.sample_rate_hz
        if abs(found_s - track.duration_s) > ALIKE_S:
            self._events.warned(
                durations.shortfall_warning(promised_s=track.duration_s, held_s=found_s)
            )

    @property
    def _found_samples(self) -> int:
        """The real end of the sound on the file's clock; silence skipped at its end counts."""
        last, promised = self._segments[-1].source_span.end_samples, self.plan.track
        skipped = max((span.end_samples for span in self.plan.skipped), default=0)
        is_skipped = skipped + promised.start_samples > last
        return promised.end_samples if is_skipped else last

    # ------------------------------------------------------------------ saving and closing

    def _open_folder(self, parent: Path | None) -> Folder:
        self._folder = Folder.staging(parent)
        return self._folder

    def _names_for(
        self, stem: str | None, name: str | SegmentNames | None
    ) -> tuple[str, SegmentNames]:
        """Return the folder below the output folder, and the names of the files in it."""
        if isinstance(name, SegmentNames):
            return "", name
        usual = self._names if stem is None else SegmentNames.of(stem)
        if name is None:
            return "", usual
        stem = self._source.stem if stem is None else stem
        is_path = str(self._source.path) == self._source.name
        parent = self._source.path.parent.name if is_path else ""
        template, values = NameTemplate(name), {"stem": stem, "path": stem, "parent": parent}
        return template.folder(**values), template.names(**values)

    def _keep(self, out: Path, *, overwrite: bool) -> bool:
        """Take over the files of an earlier run, if this preparation would make the same files."""
        if self._provenance is None:
            return False
        try:
            saved = earlier_run.find_saved(out, self._names, self._provenance, self._source.path)
        except OutputExistsError:
            if overwrite:
                return False
            raise
        if saved is None:
            return False
        via = self.plan.via or Via.BASE64
        self._segments = earlier_run.ready_segments(saved, out, via=via)
        self._described, self._complete = saved.source, True
        return True

    def _commit(
        self, out: Path, *, overwrite: bool, spare: Iterable[str | Path] | files.FileSet
    ) -> None:
        """Stage all segments in `out` and move them to their names, with the manifest."""
        staged, self._segments = self._stage_in(out)
        names = [segment.file for segment in self._segments]
        others = spare if isinstance(spare, files.FileSet) else files.FileSet(spare)
        spared = files.FileSet([self._source.path], others=others)
        text = manifest.render(
            self.plan,
            self.source,
            self._segments,
            skipped=self.skipped,
            remarks=self._events.remarks,
            warnings=self._events.warnings,
            provenance=self._provenance,
            modified_ns=self.modified_ns,
        )
        self._refuse_over()  # after `close` the hash may not be that of the whole source
        with group_moves.moving_alone(out):  # another process may save under these names
            outputs = [*names, self._names.manifest]
            saving.refuse_outputs(out, outputs, overwrite=overwrite, inputs=spared)
            saving.commit(
                staged.path, out, names=self._names, segments=names, text=text, spare=spared
            )
        staged.remove()
        staged.path = out
        self._folder = None  # saved segments are neither discarded nor moved

    def _stage_in(self, out: Path) -> tuple[Folder, list[ReadySegment]]:
        """Return a staging folder of `out` and the segments in it."""
        before = self._folder
        folder = before
        if folder is None or folder.path.parent != out:
            folder = self._open_folder(out)
        try:
            source = self._source.path
            return folder, saving.gather(
                self.plan, self._segments, folder, names=self._names, source=source
            )
        finally:
            if before is not None and before is not folder:
                before.remove()

    def _clean_up(self) -> None:
        """Wait until nothing runs, then remove the files that were not saved."""
        if self._events.gate.is_inside:  # the work may wait for this thread; `_advance` cleans up
            return
        with self._turn:
            try:
                self._supervisor.close()
            finally:
                if self._folder is not None:
                    self._folder.remove()
                self._forget_source()

    def _refuse_over(self) -> None:
        if self._over:
            kind = CancelledError if self._over == CLOSED else UsageError
            raise kind(self._over, fix="begin another one")

    def _refuse_missing(self) -> None:
        if not self._closed and not self._source.path.exists():
            raise SourceNotFoundError(
                "the source is gone",
                fix="leave it in its place, or what it was given to open, until the work is done",
                path=self.plan.info.path,
            )

    def _refuse_discarded(self) -> None:
        if self._discarded:
            raise UsageError(
                "segments that were discarded cannot be saved",
                fix="save first, or prepare the source again",
            )


def _requested_inside_event() -> UsageError:
    return UsageError(
        "a segment cannot be waited for inside on_event", fix="iterate after it has returned"
    )
