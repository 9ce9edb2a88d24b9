"""The work of a worker: the recordings of one chunk, one after another, and a row for each.

Rules: this module knows no engine and no key, and runs in any process. A recording that cannot be
done is a failed row; a store that cannot be written ends the chunk, because the next recording
would meet the same fault. A chunk has a temporary folder, which is removed. Where recordings and
OUT are folders of this machine, files move from it to their names; otherwise each recording has a
folder of its own in it, so that copies do not add up. The segments of a recording are
written first and its manifest last.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from captoolkit.api.prepare import prepare
from captoolkit.api.probe import probe
from captoolkit.api.split import split
from captoolkit.errors import CaptoolkitError, DiskFullError, ServiceError, UsageError
from captoolkit.events import Event, Warned
from captoolkit.jobs.chunks import Chunk
from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.listing.opened_input import OpenedInput, open_input
from captoolkit.jobs.results import result_names, tar_layout
from captoolkit.jobs.results.documents import Documents, OutFaultError, parse, using_out
from captoolkit.jobs.results.recipe import Recipe, ResultLayout
from captoolkit.jobs.results.recording_rows import (
    RecordingRow,
    RowStatus,
    failed_row,
    is_same_version,
)
from captoolkit.jobs.results.result_rows import manifest_row, probe_row, timeline_row
from captoolkit.jobs.results.timeline_formats import FurtherFormats
from captoolkit.jobs.stores.base_store import Store, scheme_of
from captoolkit.jobs.stores.object_store import open_store
from captoolkit.media import encode_mp3, ffmpeg
from captoolkit.model import Status
from captoolkit.pipeline.prepared import Prepared
from captoolkit.pipeline.segment_names import SegmentNames
from captoolkit.planning.options import PlanOptions, SplitOptions
from captoolkit.support import files
from captoolkit.support.cancel import StoppedError, ended_when
from captoolkit.timeline import FormatOptions, render

log = logging.getLogger("captoolkit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The work of one worker: URLs and options, and never a key. Can be pickled.

    Attributes:
        chunk: the recordings.
        recipe: the verb and its options.
        out: the path or URL of OUT.
        asks_on_worker: with the verb `caption`: whether the worker asks the captioner itself, which
            costs nothing. If not, the worker prepares the segments, and the driver asks.
        is_redo: make the results again even if OUT holds those of the same recording.
        try_number: the number of this attempt, from 1.
        give_up_after: with `asks_on_worker`: as for `caption`, over the recordings of the chunk;
            None where the worker asks no service.
    """

    chunk: Chunk
    recipe: Recipe
    out: str
    asks_on_worker: bool = True
    is_redo: bool = False
    try_number: int = 1
    give_up_after: int | None = None


class AnswerWatch:
    """Notices that a service answers nothing, from the rows of recordings that workers caption.

    Segments without a caption count in a row, over recordings; a caption starts the count again. A
    recording that was given up as a whole (every request would meet its error, or it has too many
    such segments itself) is enough.

    Args:
        give_up_after: the number of segments in a row; 0 never gives up because of a number, and
            None watches nothing.

    Attributes:
        error: why the workers should stop asking; None so far.
    """

    def __init__(self, give_up_after: int | None) -> None:
        self.error: str | None = None
        self._give_up_after = give_up_after
        self._in_a_row = 0

    def add(self, row: RecordingRow) -> None:
        """Count a row."""
        if self._give_up_after is None or self.error is not None:
            return
        errors = [each.error for each in row.segments if each.status == Status.FAILED]
        if any(each.status == Status.OK for each in row.segments):
            self._in_a_row = 0
        elif row.status is RowStatus.HOLES and row.error:
            self.error = row.error
        else:
            self._in_a_row += len(errors)
            if errors and 0 < self._give_up_after <= self._in_a_row:
                self.error = errors[-1]


def ignore_report(id: str) -> None:
    """Ignore that the work on an input begins."""


def work_on(
    task: Task,
    report: Callable[[str], None] = ignore_report,
    stop: threading.Event | None = None,
) -> list[RecordingRow]:
    """Do the recordings of a chunk, and return a row for each: the function that engines run.

    If a service answers nothing, the rows end there: the next run does the other recordings.

    Args:
        task: the chunk, the verb and the options.
        report: is called with the id of each input when the work on it begins.
        stop: ends the work when it is set.

    Raises:
        StoppedError: `stop` was set.
        UsageError: this machine has another ffmpeg than the job, or an option is invalid.
        OutputError: OUT cannot be written.
        InputError: OUT cannot be read.
    """
    refuse_other_encoders(task.recipe)
    store = open_store(task.out)
    with files.staging(store.staging_parent) as folder:
        worker = Worker(task, store, folder, stop or threading.Event())
        if task.recipe.layout is ResultLayout.TAR:
            return worker.pack(report)
        rows: list[RecordingRow] = []
        watch = AnswerWatch(task.give_up_after)
        for recording in task.chunk.inputs:
            if watch.error is not None:
                break
            worker.check()
            report(recording.id)
            rows.append(worker.row_of(recording))
            watch.add(rows[-1])
        return rows


def refuse_other_encoders(recipe: Recipe) -> None:
    """Refuse to work with another ffmpeg or MP3 encoder than those of the job: files would differ.

    Raises:
        UsageError: the version is another.
        ToolNotFoundError: this machine has no ffmpeg.
    """
    own = ffmpeg.find().version
    if recipe.ffmpeg_version not in ("", own):
        raise UsageError(
            f"this worker has ffmpeg {own}, and the job was begun with {recipe.ffmpeg_version}",
            fix="install the same version of captoolkit on each machine, or set CAPTOOLKIT_FFMPEG",
        )
    own = encode_mp3.encoder_name()
    if recipe.mp3_encoder not in ("", own):
        raise UsageError(
            f"this worker encodes MP3 with {own}, and the job was begun with {recipe.mp3_encoder}",
            fix=f"install captoolkit with the same extras on each machine, or set "
            f"{encode_mp3.ENVIRONMENT_VARIABLE}={encode_mp3.FFMPEG} on all of them from the start",
        )


class Worker:
    """The work on the recordings of one task.

    Args:
        task: the work.
        store: OUT.
        folder: a staging folder for this work.
        stop: ends the work when it is set.
    """

    def __init__(self, task: Task, store: Store, folder: Path, stop: threading.Event) -> None:
        self.task = task
        self.store = store
        self._staging = folder
        self._stop = stop
        self._documents = Documents(store, verb=task.recipe.verb, is_redo=task.is_redo)

    def check(self) -> None:
        """Raise if the work was stopped.

        Raises:
            StoppedError: it was.
        """
        if self._stop.is_set():
            raise StoppedError

    def row_of(self, recording: Input) -> RecordingRow:
        """Do one recording and return its row.

        Raises:
            StoppedError: the work was stopped.
            OutputError, InputError: OUT cannot be written or read.
        """
        verbs = {"probe": self._probe, "caption": self._caption}
        return self._timed(recording, verbs.get(self.task.recipe.verb, self._prepare))

    def _timed(self, recording: Input, do: Callable[[Input, Path], RecordingRow]) -> RecordingRow:
        begun_s = time.monotonic()
        with self._folder_for(recording) as folder:
            row = self.attempt(recording, lambda: do(recording, folder))
        worker_s = round(time.monotonic() - begun_s, 3)
        return dataclasses.replace(row, worker_s=worker_s, tries=self.task.try_number)

    @contextlib.contextmanager
    def _folder_for(self, recording: Input) -> Iterator[Path]:
        """Yield a folder for the files of a recording."""
        is_tar = self.task.recipe.layout is ResultLayout.TAR
        if is_tar or self.store.staging_parent is None or scheme_of(recording.url) is not None:
            with files.staging(self._staging) as folder:
                yield folder
        else:
            yield self._staging  # the files of a recording that failed are replaced

    def attempt(self, recording: Input, call: Callable[[], RecordingRow]) -> RecordingRow:
        """Return the row of `call`, or a failed row if the recording is at fault."""
        try:
            with ended_when(self._stop.is_set):
                return call()
        except StoppedError:
            raise
        except OutFaultError as fault:
            raise fault.error from None
        except CaptoolkitError as error:
            self.check()
            # The files are made on the disk of OUT: each further recording would fail as well.
            if self.store.staging_parent is not None and isinstance(error, DiskFullError):
                raise
            return failed_row(recording, error)
        except Exception as error:  # one recording must not end the others of its chunk
            self.check()
            log.exception("an error that captoolkit did not expect, on %s", recording.id)
            return failed_row(recording, CaptoolkitError(f"{type(error).__name__}: {error}"))

    # ----------------------------------------------------------------------- the tar layout

    def pack(self, report: Callable[[str], None]) -> list[RecordingRow]:
        """Do the recordings of the chunk, and write their segments as one tar file."""
        chunk = self.task.chunk
        name, rows_name, earlier = self._find_shard()
        inputs = {each.id: each for each in chunk.inputs}
        is_usable = earlier and all(
            row.is_finished and is_same_version(row, inputs[row.id]) for row in earlier
        )
        if is_usable and not self.task.is_redo:
            return earlier
        rows = []
        path = self._staging / name
        with tar_layout.TarShard(path, name=name) as shard:
            for recording in tar_layout.in_order(chunk.inputs):
                self.check()
                report(recording.id)
                rows.append(self._timed(recording, partial(self._pack_one, shard)))
        if earlier:  # a tar file without rows is incomplete, and is replaced
            self.store.remove(rows_name)
        if shard.members:
            self.store.write(name, path)
        self.store.write(rows_name, tar_layout.render_rows(rows))
        return rows

    def _find_shard(self) -> tuple[str, str, list[RecordingRow]]:
        """Return the names of the chunk's tar file and rows, and the rows of an earlier attempt.

        A complete tar file with other recordings keeps its name: the chunk gets a name with its id.
        """
        chunk = self.task.chunk
        if not chunk.is_part:
            name, rows_name = result_names.tar_names(chunk.number)
            if not self.store.exists(rows_name):
                return name, rows_name, []
            if rows := self._rows_of_chunk(rows_name):
                return name, rows_name, rows
        name, rows_name = result_names.tar_names(chunk.number, chunk_id=chunk.id)
        return name, rows_name, self._rows_of_chunk(rows_name)

    def _rows_of_chunk(self, rows_name: str) -> list[RecordingRow]:
        """Return the rows of a tar file; none if they are not those of the chunk's recordings."""
        if not self.store.exists(rows_name):
            return []
        try:
            rows = tar_layout.parse_rows(self.store.read(rows_name))
        except (ValueError, KeyError, TypeError):  # another program wrote the file
            return []
        is_same = {row.id for row in rows} == {each.id for each in self.task.chunk.inputs}
        return rows if is_same else []

    def _pack_one(self, shard: tar_layout.TarShard, recording: Input, folder: Path) -> RecordingRow:
        opened = open_input(recording, folder)
        recording = opened.described(recording)
        manifest = self.save_segments(recording, opened, folder)
        document = parse(manifest.read_bytes(), str(manifest))
        row = manifest_row(recording, document, folder="")
        with using_out(), files.writing(manifest):
            return shard.add(recording, document, manifest.parent, row)

    # -------------------------------------------------------------------------- the verbs

    def _probe(self, recording: Input, folder: Path) -> RecordingRow:
        opened = open_input(recording, folder)
        row = probe_row(opened.described(recording), probe(opened.source))
        opened.refuse_changed()
        return row

    def _prepare(self, recording: Input, folder: Path) -> RecordingRow:
        opened = open_input(recording, folder)
        recording = opened.described(recording)
        recording, documents = self._documents.find_names(recording, opened)
        name = result_names.manifest_name(recording)
        document, is_ours = self._documents.find_usable(documents, name, opened)
        if document is None:
            manifest = self.save_segments(recording, opened, folder)
            document = self._documents.commit(manifest, name, opened=opened, replaces=is_ours)
        return manifest_row(recording, document, folder=result_names.result_folder(recording))

    def save_segments(self, recording: Input, opened: OpenedInput, folder: Path) -> Path:
        """Make the segments of a recording in `folder`, and return the path of the manifest.

        Raises:
            CaptoolkitError: the recording is at fault.
        """
        recipe, stem = self.task.recipe, result_names.result_stem(recording)
        make: Callable[..., Prepared] = split if recipe.verb == "split" else prepare
        names = SplitOptions if recipe.verb == "split" else PlanOptions
        options = {n: v for n, v in recipe.options.items() if n in names.__annotations__}
        with make(opened.source, jobs=1, on_event=self._on_event, **options) as prepared:
            prepared.save(folder, stem=stem, overwrite=True)
        opened.refuse_changed()
        return folder / SegmentNames.of(stem).manifest

    def _on_event(self, event: Event) -> None:
        self.check()

    def _caption(self, recording: Input, folder: Path) -> RecordingRow:
        if not self.task.asks_on_worker:
            return self._prepare(recording, folder)
        opened = open_input(recording, folder)
        recording = opened.described(recording)
        recording, documents = self._documents.find_names(recording, opened)
        name = result_names.timeline_name(recording)
        document, is_ours = self._documents.find_usable(documents, name, opened)
        warnings: list[str] = []

        def on_event(event: Event) -> None:
            self.check()
            if isinstance(event, Warned):
                warnings.append(event.message)

        if document is not None:  # a timeline holds no warnings
            warnings += probe(opened.source).warnings
        else:
            from captoolkit.api.caption import caption  # the other verbs need none of its modules

            recipe = self.task.recipe
            formats = FurtherFormats.of(recipe.options)
            options: dict[str, Any] = {
                name: value
                for name, value in {**recipe.options, **recipe.sending}.items()
                if name not in ("formats", *FormatOptions.__annotations__)
            }
            if (give_up_after := self.task.give_up_after) is not None:
                options["give_up_after"] = give_up_after
            try:
                timeline = caption(
                    opened.source, jobs=1, on_event=on_event, stop=self._stop, **options
                )
            except ServiceError as error:
                if give_up_after is None:
                    raise
                # The service is at fault, so the next run does the recording again.
                return failed_row(recording, error, status=RowStatus.HOLES)
            opened.refuse_changed()
            path = folder / name.rpartition("/")[2]
            files.write_whole(path, render(timeline, "json"), overwrite=True)
            with using_out():
                warnings += formats.write(self.store, timeline, name=name)
            document = self._documents.commit(path, name, opened=opened, replaces=is_ours)
        row = timeline_row(recording, document)
        return dataclasses.replace(row, warnings=tuple(warnings))
