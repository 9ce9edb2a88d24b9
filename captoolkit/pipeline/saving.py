"""Move finished segments and their manifest to the folder in which they stay.

Rules: all or nothing; the manifest is moved last. An input is never replaced. Segments that an
earlier run left under the same stem are removed only if their hashes are still those of its
manifest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from captoolkit.errors import InputError, UsageError
from captoolkit.model import Plan
from captoolkit.pipeline import manifest
from captoolkit.pipeline.job import is_segment_name, segment_name
from captoolkit.pipeline.segment import Folder, ReadySegment
from captoolkit.support import files


def manifest_path(out: Path, stem: str) -> Path:
    """Return the path of the manifest: `STEM.manifest.json`."""
    return out / f"{stem}{manifest.ENDING}"


def refuse_stem(stem: str) -> None:
    """Refuse a stem that is no plain file name.

    Raises:
        UsageError: it is empty, a folder, or holds a separator or a NUL.
    """
    if stem in ("", ".", "..") or Path(stem).name != stem or "\0" in stem:
        raise UsageError(f"stem={stem!r} must be a plain name", fix="give the folder as `out`")


def gather(
    plan: Plan, segments: Sequence[ReadySegment], folder: Folder, *, stem: str, source: Path
) -> list[ReadySegment]:
    """Return the segments in `folder` under their final names; copy those that lie elsewhere.

    Raises:
        InputError: the file of a segment (a source that is passed through) has changed.
        OutputError: the folder cannot be written.
    """
    gathered = []
    for segment in segments:
        name = segment_name(stem, segment.index, len(plan.spans), f".{plan.suffix}")
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
    out: Path, names: Sequence[str], *, overwrite: bool, inputs: Sequence[str | Path]
) -> None:
    """Refuse to save under names that exist or that are inputs; the last name is the manifest's.

    Raises:
        OutputExistsError: a segment of that name exists and `overwrite` is false.
        OutputError: the file of that name is an input.
    """
    if not overwrite:
        files.refuse_existing(out / name for name in names[:-1])
    files.refuse_inputs([out / name for name in names], inputs)


def commit(
    staged: Path,
    out: Path,
    *,
    stem: str,
    names: Sequence[str],
    text: str,
    spare: Sequence[str | Path],
) -> None:
    """Move segments from `staged` to `out`, with the manifest's text; remove those of earlier runs.

    Args:
        staged: the hidden folder in which the segments were made.
        out: the folder in which they stay.
        stem: the stem of all names.
        names: the names of the segments.
        text: the manifest.
        spare: files that are not removed even if an earlier run made them.

    Raises:
        OutputError: a file cannot be moved; `out` is then as it was.
    """
    described = manifest_path(out, stem)
    stale = [name for name in _left_by_earlier_run(described, stem) if name not in names]
    files.write_whole(staged / described.name, text, overwrite=True)
    files.move_all(staged, out, [*names, described.name])
    kept = files.among([out / name for name in stale], spare)
    for name in stale:
        if out / name not in kept:
            (out / name).unlink(missing_ok=True)


def _left_by_earlier_run(described: Path, stem: str) -> list[str]:
    """Return the names of an earlier run's segments that have not changed since.

    A manifest is not trusted: a file counts only if its name is one of this stem's segments and its
    hash is the manifest's.
    """
    try:
        hashes = manifest.hashes(described.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):  # `files.move_all` reports the obstacle
        return []
    return [
        name
        for name, sha256 in hashes.items()
        if is_segment_name(name, stem)
        and (described.parent / name).is_file()
        and files.sha256(described.parent / name) == sha256
    ]
