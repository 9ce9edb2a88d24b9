"""Move finished segments and their manifest to the folder in which they stay.

Rules: all or nothing, even if SIGKILL ends the process (`support/move_journal.py`); the manifest is
moved last. An input is never replaced. Segments that an earlier run left under the same stem are
removed only if their hashes are still those of its manifest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from captoolkit.errors import InputError
from captoolkit.model import Plan
from captoolkit.pipeline import earlier_run
from captoolkit.pipeline.segment import Folder, ReadySegment
from captoolkit.pipeline.segment_names import SegmentNames
from captoolkit.support import files, group_moves


def gather(
    plan: Plan,
    segments: Sequence[ReadySegment],
    folder: Folder,
    *,
    names: SegmentNames,
    source: Path,
) -> list[ReadySegment]:
    """Return the segments in `folder` under their final names; copy those that lie elsewhere.

    Raises:
        InputError: the file of a segment (a source that is passed through) has changed.
        OutputError: the folder cannot be written.
    """
    gathered = []
    for segment in segments:
        name = names.segment(segment.index, len(plan.spans), f".{plan.suffix}")
        if segment.folder is not folder or segment.file != name:
            files.copy(segment.path, folder.path / name)
            if files.sha256(folder.path / name) != segment.sha256:
                raise InputError(
                    "it changed while it was being prepared",
                    fix="wait until it is complete",
                    path=source,
                )
        gathered.append(dataclasses.replace(segment, folder=folder, file=name))
    return gathered


def refuse_outputs(
    out: Path, names: Sequence[str], *, overwrite: bool, inputs: files.FileSet
) -> None:
    """Refuse to save under names that exist or that are inputs.

    Raises:
        OutputExistsError: a file of that name exists and `overwrite` is false.
        OutputError: the file of that name is an input.
    """
    if not overwrite:
        files.refuse_existing(out / name for name in names)
    inputs.refuse(out / name for name in names)


def commit(
    staged: Path,
    out: Path,
    *,
    names: SegmentNames,
    segments: Sequence[str],
    text: str,
    spare: files.FileSet,
) -> None:
    """Move segments from `staged` to `out`, with the manifest's text; remove those of earlier runs.

    Args:
        staged: the hidden folder in which the segments were made.
        out: the folder in which they stay.
        names: the names of this recording's files.
        segments: the names of the segments.
        text: the manifest.
        spare: files that are not removed even if an earlier run made them.

    Raises:
        OutputError: a file cannot be moved; `out` is then as it was.
    """
    stale = earlier_run.stale_segments(out, names, segments)
    spared = [path.name for path in spare.among(out / name for name in stale)]
    files.write_flushed(staged / names.manifest, text)
    group_moves.move_all(
        staged,
        out,
        [*segments, names.manifest],
        stale=[name for name in stale if name not in spared],
    )
