"""The work of a worker: the recordings of one chunk, one after another, and a row for each.

Rules: this module knows no engine and no key, and runs in any process. A recording that cannot be
done is a failed row; a store that cannot be written ends the chunk, because the next recording
would meet the same fault. A chunk has a temporary folder, which is removed. Where recordings and
OUT are folders of this machine, files move from it to their names; otherwise each recording has a
folder of its own in it, so that copies do not add up. The segments of a recording are
written first and its manifest last, and only if there is none: a manifest that exists belongs to an
earlier attempt or to another driver, and is used if it describes the same bytes. A recording whose
name another one of an earlier run has gets a name with a hash.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from captoolkit.api.caption import caption
from captoolkit.api.prepare import prepare
from captoolkit.api.probe import probe
from captoolkit.api.split import split
from captoolkit.errors import CaptoolkitError, InputError, ServiceError, UsageError
from captoolkit.events import Event, Warned
from captoolkit.jobs.chunks import Chunk
from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.listing.opened_input import OpenedInput, open_input
from captoolkit.jobs.results import result_names, tar_layout
from captoolkit.jobs.results.recipe import Recipe, ResultLayout
from captoolkit.jobs.results.recording_rows import (
    RecordingRow,
    RowStatus,
    failed_row,
    is_same_version,
)
from captoolkit.jobs.results.result_rows import manifest_row, probe_row, timeline_row
from captoolkit.jobs.results.timeline_formats import write_formats
from captoolkit.jobs.stores.base_store import Store, scheme_of
from captoolkit.jobs.stores.object_store import open_store
from captoolkit.media import encode_mp3, ffmpeg
from captoolkit.model import Status
from captoolkit.pipeline.prepared import Prepared
from captoolkit.pipeline.segment_names import SegmentNames
from captoolkit.planning.options import PlanOptions, SplitOptions
from captoolkit.support import files
from captoolkit.support.cancel import StoppedError
from captoolkit.timeline import render

log = logging.getLogger("captoolkit")

Document = dict[str, Any]


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
        error: why nothing more should be asked; None so far.
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
    """Report to nobody that the work on an input begins."""


def work_on(
    task: Task,
    *,
    report: Callable[[str], None] = ignore_report,
    stop: threading.Event | None = None,
) -> list[RecordingRow]:
    """Do the recordings of a chunk, and return a row for each.

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
            return call()
        except StoppedError:
            raise
        except _OutFaultError as fault:
            raise fault.error from None
        except CaptoolkitError as error:
            self.check()
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
        document = _parse(manifest.read_bytes(), str(manifest))
        row = manifest_row(recording, document, folder="")
        with _using_out(), files.writing(manifest):
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
        recording, documents = self._find_names(recording, opened)
        name = result_names.manifest_name(recording)
        document, is_ours = self._usable(documents, name, opened)
        if document is None:
            manifest = self.save_segments(recording, opened, folder)
            document = self._commit(manifest, name, opened=opened, replaces=is_ours)
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
        recording, documents = self._find_names(recording, opened)
        name = result_names.timeline_name(recording)
        document, is_ours = self._usable(documents, name, opened)
        warnings: list[str] = []

        def on_event(event: Event) -> None:
            self.check()
            if isinstance(event, Warned):
                warnings.append(event.message)

        if document is not None:  # a timeline holds no warnings
            warnings += probe(opened.source).warnings
        else:
            recipe = self.task.recipe
            options: dict[str, Any] = {**recipe.options, **recipe.sending}
            formats = options.pop("formats", ())
            if (give_up_after := self.task.give_up_after) is not None:
                options["give_up_after"] = give_up_after
            try:
                timeline = caption(opened.source, jobs=1, on_event=on_event, **options)
            except ServiceError as error:
                if give_up_after is None:
                    raise
                # The service is at fault, so the next run does the recording again.
                return failed_row(recording, error, status=RowStatus.HOLES)
            opened.refuse_changed()
            path = folder / name.rpartition("/")[2]
            files.write_whole(path, render(timeline, "json"), overwrite=True)
            with _using_out():
                warnings += write_formats(self.store, timeline, formats, name=name)
            document = self._commit(path, name, opened=opened, replaces=is_ours)
        row = timeline_row(recording, document)
        return dataclasses.replace(row, warnings=tuple(warnings))

    # ------------------------------------------------------------------- results in OUT

    def _find_names(
        self, recording: Input, opened: OpenedInput
    ) -> tuple[Input, dict[str, Document]]:
        """Return a recording under a name that no other recording has, and its earlier results.

        The name without a hash is taken if it is free and the listing gives it, or if OUT holds
        results of this recording under it.

        Returns:
            The recording; and its manifest and its timeline by name, if OUT holds them.

        Raises:
            InputError: both names belong to other recordings, or a document is damaged.
        """
        names = [result_names.manifest_name]
        if self.task.recipe.verb == "caption":  # the segments are removed, the timeline stays
            names.append(result_names.timeline_name)
        plain = result_names.plain_named(recording)
        for each in (plain, result_names.hash_named(plain)):
            documents = {name_of(each): self._read_document(name_of(each)) for name_of in names}
            there = {name: document for name, document in documents.items() if document}
            owners = {document["source"]["path"] for document in there.values()}
            is_free = not owners and (each != plain or recording == plain)
            if is_free or owners == {opened.name}:
                return each, there
        other = min(owners - {opened.name})
        raise InputError(
            f"{self.store.url_of(next(iter(there)))} describes another recording, {other}",
            fix="give the recordings distinct names, or choose another -o",
            path=recording.public_url,
        )

    def _read_document(self, name: str) -> Document | None:
        with _using_out():
            data = self.store.read(name) if self.store.exists(name) else None
        return None if data is None else _parse(data, self.store.url_of(name))

    def _usable(
        self, documents: dict[str, Document], name: str, opened: OpenedInput
    ) -> tuple[Document | None, bool]:
        """Return a document of an earlier attempt if it can be used, and whether there is one."""
        document = documents.get(name)
        if document is None:
            return None, False
        is_same = document["source"]["sha256"] == opened.sha256() and not self.task.is_redo
        return (document if is_same and self._is_complete(document, name) else None), True

    def _is_complete(self, document: Document, name: str) -> bool:
        """Return whether OUT holds the segments of a manifest, or all captions of a timeline."""
        if any(entry["status"] == Status.FAILED for entry in document.get("entries", ())):
            return False
        folder = name.rpartition("/")[0]
        with _using_out():
            return all(
                result_names.is_segment(segment["file"], name)
                and self.store.exists(f"{folder}/{segment['file']}")
                for segment in document.get("segments", ())
            )

    def _commit(
        self, document: Path, name: str, *, opened: OpenedInput, replaces: bool
    ) -> Document:
        """Write the files that a document describes, then the document, and return it.

        If another driver has written it meanwhile, that one is returned.
        """
        data = document.read_bytes()
        parsed = _parse(data, str(document))
        folder = name.rpartition("/")[0]
        names = [segment["file"] for segment in parsed.get("segments", ())]
        with _using_out():
            stale = self._remove_document(name, keep=names) if replaces else []
            for each in names:
                self.store.write(f"{folder}/{each}", document.parent / each)
            if not self.store.write_new(name, document):
                there = _parse(self.store.read(name), self.store.url_of(name))
                if there["source"] != parsed["source"]:
                    raise InputError(
                        f"{self.store.url_of(name)} was written by another run meanwhile",
                        fix="run the same command again",
                        path=opened.name,
                    )
                return there
            for each in stale:
                self.store.remove(f"{folder}/{each}")
        return parsed

    def _remove_document(self, name: str, *, keep: list[str]) -> list[str]:
        """Remove a document before its files change; return the files that then belong to none."""
        there = _parse(self.store.read(name), self.store.url_of(name))
        self.store.remove(name)
        return [
            segment["file"]
            for segment in there.get("segments", ())
            if segment["file"] not in keep and result_names.is_segment(segment["file"], name)
        ]


class _OutFaultError(Exception):
    """Carries an error of OUT past the errors of a recording, which become rows."""

    def __init__(self, error: CaptoolkitError) -> None:
        super().__init__(error)
        self.error = error


@contextlib.contextmanager
def _using_out() -> Iterator[None]:
    try:
        yield
    except CaptoolkitError as error:
        raise _OutFaultError(error) from error


def _parse(data: bytes, shown: str) -> Document:
    """Return a manifest or a timeline of OUT.

    Raises:
        InputError: the data are neither.
    """
    try:
        document = json.loads(data)
        source = document["source"]
        is_document = isinstance(source["path"], str) and isinstance(source["sha256"], str)
    except (ValueError, KeyError, TypeError, RecursionError):
        is_document = False
    if not is_document:
        raise InputError(f"{shown} is damaged", fix="remove it, or choose another -o", path=shown)
    return dict(document)
