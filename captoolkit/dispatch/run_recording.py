"""One recording of a run: opened and planned, or kept as the timeline of an earlier run.

Rules: a timeline is kept only if it proves that this run would make it: the same options made it
from the same source, and no segment failed. Edited timelines prove nothing, except one in which
a person changed captions on a page: it is kept, and never replaced to fill the failed segments.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from captoolkit.dispatch.run import AskingRun, RecordingEntries
from captoolkit.errors import CaptoolkitError, InputError, OutputExistsError
from captoolkit.media.source import local_file
from captoolkit.pipeline.prepared import Prepared
from captoolkit.support.provenance import Provenance, source_difference
from captoolkit.timeline import Timeline, load

if TYPE_CHECKING:
    from captoolkit.media.source import Source

FIX = "choose another name or folder, or pass overwrite=True to replace it"

Open = Callable[["Source", int], Prepared]  # opens and plans a source, with its share of the jobs


class RunRecording:
    """One recording of a run.

    Attributes:
        index: its place among the sources, from 0.
        source: the source, as the caller gave it.
        prepared: its preparation; None before it is open, and if it could not be opened.
        entries: its entries so far; None as long as `prepared` is.
        kept: the finished timeline of an earlier run; None if absent.
        error: the error that ended its preparation; None if there was none.
        is_halted: whether it met the error that ended the run.
    """

    def __init__(
        self, index: int, source: Source, existing: str | os.PathLike[str] | None = None
    ) -> None:
        self.index = index
        self.source = source
        self.existing = None if existing is None else Path(existing)
        self.begun_s = 0.0  # on `time.monotonic()`
        self.kept: Timeline | None = None
        self.prepared: Prepared | None = None
        self.entries: RecordingEntries | None = None
        self.error: CaptoolkitError | None = None
        self.is_halted = False
        self.pending = 1  # segments without an entry, and the preparation itself

    @property
    def is_answered(self) -> bool:
        """Whether it has segments, and each segment so far has an entry."""
        return self.pending == 1 and self.prepared is not None and bool(self.prepared.segments)

    def open(self, open_source: Open, jobs: int, run: AskingRun, *, is_redo: bool = False) -> None:
        """Open and plan the source, unless its timeline is finished; keep the error of a failure.

        Args:
            open_source: opens the source.
            jobs: the parallel jobs for this recording.
            run: the run of asking.
            is_redo: caption it again if its existing timeline was made otherwise.
        """
        self.begun_s = time.monotonic()
        try:
            if self._keep(local_file(self.source), run, is_redo=is_redo):
                return
            self.prepared = open_source(self.source, jobs)
            if local_file(self.source) is None and self._keep(
                self.prepared.file, run, is_redo=is_redo
            ):
                return
            self.entries = RecordingEntries(self.prepared, run)
            run.refuse_small_budget(self.prepared.plan)
        except CaptoolkitError as error:
            self.error = error

    def _keep(self, file: Path | None, run: AskingRun, *, is_redo: bool) -> bool:
        """Keep the timeline of an earlier run if it is the one that this run would make."""
        if self.existing is None or run.made_by is None or file is None:
            return False
        try:
            self.kept = find_finished(self.existing, run.made_by, file)
        except OutputExistsError:
            if not is_redo:
                raise
        return self.kept is not None


def find_finished(path: Path, made_by: Provenance, source: Path) -> Timeline | None:
    """Return the timeline of an earlier run; None if the file is missing or segments failed.

    Args:
        path: the JSON timeline.
        made_by: the verb and options of this run.
        source: the recording. It is hashed only if its path or its time of change has changed.

    Raises:
        OutputExistsError: the timeline was made otherwise, or from another source; the message
            names the reason. Or segments failed, and a person has changed captions.
    """
    if not path.exists():
        return None
    try:
        timeline = load(path)
    except InputError:
        raise _refusal(path, "is no timeline that this captoolkit reads") from None
    if timeline.made_by is None:
        raise _refusal(path, "does not record the options that it was made with")
    reason = timeline.made_by.difference(made_by) or source_difference(
        source,
        path=timeline.source.path,
        sha256=timeline.source.sha256,
        size_bytes=timeline.source.size_bytes,
        modified_ns=timeline.modified_ns,
    )
    if reason:
        raise _refusal(path, reason)
    if timeline.holes and any(entry.is_edited for entry in timeline.entries):
        raise _refusal(path, "holds captions that a person changed, which this run would lose")
    return None if timeline.holes else timeline


def _refusal(path: Path, reason: str) -> OutputExistsError:
    return OutputExistsError(f"{path} exists and {reason}", fix=FIX, path=path)
