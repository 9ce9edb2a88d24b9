"""The files that an earlier run left under the same names: kept, refused or removed.

Rules: files are kept only if the manifest proves them: the same verb and options made them from the
same source, the same rule chose their cuts, and each file has the hash that the manifest states. A
manifest is not trusted: a file counts only if its name is one of these segments'.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from captoolkit.errors import OutputExistsError
from captoolkit.model import Segment, Via
from captoolkit.pipeline import manifest
from captoolkit.pipeline.manifest import SavedManifest
from captoolkit.pipeline.segment import Folder, ReadySegment
from captoolkit.pipeline.segment_names import SegmentNames
from captoolkit.planning.cuts import CUT_RULE
from captoolkit.support import files
from captoolkit.support.provenance import Provenance, source_difference

FIX = "choose another name or folder, or pass overwrite=True to replace it"


def find_saved(
    out: Path, names: SegmentNames, provenance: Provenance, source: Path
) -> SavedManifest | None:
    """Return the manifest of an earlier run that made the same files; None if there is no manifest.

    The hash of the source is computed only if its path or its time of change differ from the
    manifest's.

    Raises:
        OutputExistsError: the files were made otherwise, from another source, or have changed; the
            message names the reason.
    """
    files.sweep_ended_runs(out)  # a killed run may have moved only some of its files
    path = out / names.manifest
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        text = ""
    saved = manifest.read(text)
    if saved is None:
        reason = "is no manifest of captoolkit"
    elif saved.provenance is None:
        reason = "does not record the options that it was made with"
    else:
        reason = (
            saved.provenance.difference(provenance)
            or _rule_difference(saved)
            or source_difference(
                source,
                path=saved.source.path,
                sha256=saved.source.sha256,
                size_bytes=saved.source.size_bytes,
                modified_ns=saved.modified_ns,
            )
            or _damage(out, names, saved.segments)
        )
    if reason:
        raise OutputExistsError(f"{path} exists and {reason}", fix=FIX, path=path)
    return saved


def _rule_difference(saved: SavedManifest) -> str:
    """Return which earlier rule chose the cuts of a manifest; empty if it is the present one."""
    if saved.cut_rule in (None, CUT_RULE):
        return ""
    return f"was cut by rule {saved.cut_rule} of another captoolkit, not by rule {CUT_RULE}"


def ready_segments(saved: SavedManifest, out: Path, *, via: Via) -> list[ReadySegment]:
    """Return the segments of a manifest in its folder."""
    folder = Folder(out)
    return [
        ReadySegment(
            **{each.name: getattr(segment, each.name) for each in dataclasses.fields(segment)},
            folder=folder,
            via=via,
        )
        for segment in saved.segments
    ]


def _damage(out: Path, names: SegmentNames, segments: Sequence[Segment]) -> str:
    """Return which segment is missing or has changed; empty if all are as they were made."""
    for segment in segments:
        path = out / segment.file
        if not names.is_segment(segment.file) or not path.is_file():
            return f"its file {segment.file} is missing"
        if path.stat().st_size != segment.size_bytes or files.sha256(path) != segment.sha256:
            return f"its file {segment.file} has changed since"
    return ""


def stale_segments(out: Path, names: SegmentNames, new: Sequence[str]) -> list[str]:
    """Return the names of an earlier run's segments, unchanged since, that `new` does not hold."""
    try:
        hashes = manifest.hashes((out / names.manifest).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):  # `group_moves.move_all` reports the obstacle
        return []
    kept = set(new)
    return [
        name
        for name, sha256 in hashes.items()
        if name not in kept
        and names.is_segment(name)
        and (out / name).is_file()
        and files.sha256(out / name) == sha256
    ]
