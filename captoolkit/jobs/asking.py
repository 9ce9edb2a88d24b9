"""Captions of a batch from a service: workers prepare segments, this process asks about them.

Rules: the key, the ledger, the budget and the rate limits stay in the driver's process, so nothing
is paid for twice when a worker dies. No new chunk is prepared while more than four segments for
each request in flight wait. A recording's row is written after its timeline, and its segments are
removed after the row: an answer is never lost before something in OUT or in the ledger holds it.
"""

from __future__ import annotations

import dataclasses
import json
import queue
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from captoolkit.captioners.answers import ending_warnings
from captoolkit.dispatch.asker import Outcome
from captoolkit.dispatch.budget import cost_of
from captoolkit.dispatch.run import AskingRun
from captoolkit.errors import CaptoolkitError, InputError, ServiceError
from captoolkit.jobs.chunks import Chunk
from captoolkit.jobs.lease import Lease
from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.results import result_names
from captoolkit.jobs.results.recording_rows import RecordingRow, RowStatus, failed_row
from captoolkit.jobs.results.result_rows import timeline_row
from captoolkit.jobs.results.timeline_formats import FurtherFormats
from captoolkit.jobs.stores.base_store import Store
from captoolkit.model import Entry, SourceInfo, Span, Usage, Via
from captoolkit.pipeline.segment import Folder, ReadySegment
from captoolkit.support.cancel import Closing
from captoolkit.timeline import render
from captoolkit.timeline.stitch import stitch
from captoolkit.units import samples_at

FEEDERS = 4  # threads that fetch segments of a remote store


@dataclass(slots=True, kw_only=True)
class _Recording:
    """A recording with segments that wait for answers."""

    input: Input
    row: RecordingRow
    source: SourceInfo
    skipped: tuple[Span, ...]
    segments: tuple[ReadySegment, ...]
    entries: list[Entry] = field(default_factory=list)

    @property
    def is_answered(self) -> bool:
        return len(self.entries) == len(self.segments)


@dataclass(slots=True, kw_only=True)
class _ChunkRows:
    """The rows of a chunk; those of its recordings that wait are None."""

    chunk: Chunk
    rows: list[RecordingRow | None]

    @property
    def is_complete(self) -> bool:
        return None not in self.rows


@dataclass(frozen=True, slots=True)
class _Answer:
    """The outcome of a segment, or the exception that ended its request."""

    chunk: _ChunkRows
    place: int
    recording: _Recording
    outcome: Outcome | BaseException


class Asking(Closing):
    """Asks about the segments that workers have prepared. A context manager.

    Args:
        store: OUT.
        run: the run of asking; the caller closes it.
        lease: the lease of OUT.
        formats: the formats of the timelines in addition to JSON.

    Attributes:
        begun_s: when it began, on `time.monotonic()`.
        is_capped: whether a segment was not sent because of the budget or the time limit.
    """

    def __init__(
        self, store: Store, run: AskingRun, lease: Lease, *, formats: FurtherFormats
    ) -> None:
        self.run = run
        self.is_capped = False
        self.begun_s = time.monotonic()
        self._store = store
        self._lease = lease
        self._formats = formats
        self._waiting: queue.SimpleQueue[
            tuple[_ChunkRows, int, _Recording, ReadySegment] | None
        ] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        self._unanswered = 0
        self._has_caption = False
        self._threads = [
            threading.Thread(target=self._feed, name=f"captoolkit-feed-{number}", daemon=True)
            for number in range(1 if store.local_path("a") is not None else FEEDERS)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def unanswered(self) -> int:
        """The number of segments that wait or are in flight."""
        return self._unanswered

    @property
    def is_full(self) -> bool:
        """Whether so many segments wait that no further chunk should be prepared."""
        return self._unanswered >= self.run.limit

    def add(
        self, chunk: Chunk, rows: Iterable[RecordingRow]
    ) -> Iterator[tuple[Chunk, list[RecordingRow]]]:
        """Ask about the segments of a prepared chunk; yield it if nothing has to be asked."""
        prepared = list(rows)
        chunk = _named_as_prepared(chunk, prepared)
        waiting = _ChunkRows(chunk=chunk, rows=[*prepared])
        inputs = {each.id: each for each in chunk.inputs}
        begun = []
        for place, row in enumerate(waiting.rows):
            if row is None or row.status is not RowStatus.DONE:
                continue
            try:
                recording = self._recording(inputs[row.id], row)
            except CaptoolkitError as error:
                waiting.rows[place] = failed_row(inputs[row.id], error)
                continue
            waiting.rows[place] = None
            begun += [(waiting, place, recording, segment) for segment in recording.segments]
        self._unanswered += len(begun)
        for item in begun:
            self._waiting.put(item)
        if waiting.is_complete:
            yield chunk, [row for row in waiting.rows if row is not None]

    def completed(self) -> Iterator[tuple[Chunk, list[RecordingRow]]]:
        """Take the answers so far; yield each chunk with its rows when all have arrived.

        Raises:
            ServiceError: the service refuses every request, and there is no caption yet.
            CaptoolkitError: another driver has taken the lease.
        """
        while True:
            try:
                answer = self._answers.get_nowait()
            except queue.Empty:
                return
            self._unanswered -= 1
            if isinstance(answer.outcome, BaseException):
                raise answer.outcome
            self._take(answer.recording, answer.outcome)
            if not answer.recording.is_answered:
                continue
            chunk = answer.chunk
            chunk.rows[answer.place] = self._finish(answer.recording)
            if chunk.is_complete:
                yield chunk.chunk, [row for row in chunk.rows if row is not None]

    def remove_segments(self, chunk: Chunk, rows: Iterable[RecordingRow]) -> None:
        """Remove the segments of captioned recordings, after their rows are written."""
        inputs = {each.id: each for each in chunk.inputs}
        for row in rows:
            if row.status is not RowStatus.DONE:
                continue
            folder = result_names.result_folder(inputs[row.id])
            name = result_names.manifest_name(inputs[row.id])
            if not self._store.exists(name):
                continue
            made = [each["file"] for each in json.loads(self._store.read(name))["segments"]]
            self._store.remove(name)
            for file in made:
                if result_names.is_segment(file, name):
                    self._store.remove(f"{folder}/{file}")

    def close(self) -> None:
        """End the threads that feed the run; close the run before. May be called twice."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(timeout=10)

    # ------------------------------------------------------------------------------ inside

    def _recording(self, recording: Input, row: RecordingRow) -> _Recording:
        """Return the segments of a prepared recording, as its manifest describes them."""
        name = result_names.manifest_name(recording)
        document = json.loads(self._store.read(name), parse_float=Decimal)
        try:
            if not all(
                result_names.is_segment(each["file"], name) for each in document["segments"]
            ):
                raise ValueError("a file of the manifest is no segment")
            source = _source_of(document["source"])
            folder = Folder(Path(result_names.result_folder(recording)))
            via = Via(document["via"] or Via.BASE64)
            return _Recording(
                input=recording,
                row=row,
                source=source,
                skipped=tuple(_span(each, source.sample_rate_hz) for each in document["skipped"]),
                segments=tuple(
                    ReadySegment(
                        index=each["index"],
                        source_span=_span(each, source.sample_rate_hz),
                        file=each["file"],
                        size_bytes=each["bytes"],
                        sha256=each["sha256"],
                        folder=folder,
                        via=via,
                    )
                    for each in document["segments"]
                ),
            )
        except (KeyError, TypeError, ValueError) as error:
            shown = self._store.url_of(name)
            raise InputError(f"{shown} is damaged", fix="remove it, and run it again") from error

    def _feed(self) -> None:
        """Fetch segments and hand them to the run. Runs in a thread."""
        while (item := self._waiting.get()) is not None:
            chunk, place, recording, segment = item
            try:
                self._submit(chunk, place, recording, segment)
            except BaseException as error:
                self._answers.put(_Answer(chunk, place, recording, error))

    def _submit(
        self, chunk: _ChunkRows, place: int, recording: _Recording, segment: ReadySegment
    ) -> None:
        """Ask about one segment; the file of a remote store is copied for the request."""
        if not self._lease.is_held:
            raise CaptoolkitError(
                f"another run has taken over the recordings of {self._store.url}",
                fix="let one run end before the next one begins",
            )
        name = f"{segment.folder.path.as_posix()}/{segment.file}"
        local = self._store.local_path(name)
        self.run.reserve()
        if local is not None:
            ready = dataclasses.replace(segment, folder=Folder(local.parent))
        else:
            folder = Folder.staging(None)
            try:
                self._store.fetch(name, folder.path / segment.file)
            except BaseException:
                folder.remove()
                self.run.give_back()
                raise
            ready = dataclasses.replace(segment, folder=folder)

        def answered(future: Future[Outcome]) -> None:
            ready.folder.remove()
            outcome: Outcome | BaseException
            try:
                outcome = future.result()
            except BaseException as error:
                outcome = error
            self._answers.put(_Answer(chunk, place, recording, outcome))

        future = self.run.submit(ready, path=recording.input.id)
        future.add_done_callback(answered)

    def _take(self, recording: _Recording, outcome: Outcome) -> None:
        """Keep the entry of a segment."""
        recording.entries.append(outcome.entry)
        self._has_caption = self._has_caption or outcome.error is None
        if self.run.error is not None and not self._has_caption:
            raise self.run.final_error(self._unanswered + len(recording.entries), is_least=True)
        is_sent = outcome.requested or outcome.recalled
        if not is_sent and not isinstance(outcome.error, ServiceError | InputError):
            self.is_capped = True

    def _finish(self, recording: _Recording) -> RecordingRow:
        """Write the timeline of a recording, and return its row."""
        usage = sum((entry.usage for entry in recording.entries), Usage())
        timeline = stitch(
            source=recording.source,
            captioner=self.run.service.info,
            entries=recording.entries,
            skipped=recording.skipped,
            cost=cost_of(usage, self.run.service.price),
        )
        text = render(timeline, "json")
        name = result_names.timeline_name(recording.input)
        warnings = self._formats.write(self._store, timeline, name=name)
        self._store.write(name, text.encode())
        prepared = recording.row
        described = dataclasses.replace(
            recording.input, size_bytes=prepared.size_bytes, version=prepared.version
        )
        row = timeline_row(described, json.loads(text))
        return dataclasses.replace(
            row,
            tries=prepared.tries,
            worker_s=prepared.worker_s,
            warnings=(*prepared.warnings, *warnings, *ending_warnings(timeline.entries)),
        )


def _named_as_prepared(chunk: Chunk, rows: Iterable[RecordingRow]) -> Chunk:
    """Return a chunk with the names under which workers have written the segments."""
    files = {row.id: row.segments[0].file or "" for row in rows if row.segments}
    inputs = (result_names.named_by_file(each, files.get(each.id, "")) for each in chunk.inputs)
    return dataclasses.replace(chunk, inputs=tuple(inputs))


def _source_of(fields: dict[str, Any]) -> SourceInfo:
    rate_hz = fields["sample_rate_hz"]
    return SourceInfo(
        path=fields["path"],
        sha256=fields["sha256"],
        size_bytes=fields["bytes"],
        container=fields["container"],
        codec=fields["codec"],
        sample_rate_hz=rate_hz,
        channels=fields["channels"],
        track=fields["track"],
        duration_samples=samples_at(Fraction(fields["duration_s"]), rate_hz),
    )


def _span(fields: dict[str, Any], rate_hz: int) -> Span:
    return Span(
        start_samples=samples_at(Fraction(fields["start_s"]), rate_hz),
        end_samples=samples_at(Fraction(fields["end_s"]), rate_hz),
        rate_hz=rate_hz,
    )
