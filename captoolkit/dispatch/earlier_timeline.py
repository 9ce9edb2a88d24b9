"""The timeline that an earlier run left: kept, made again, or refused.

Rules: a timeline is kept only if it proves that this run would make it: the same options made it
from the same source, and no segment failed. Edited timelines prove nothing, except one in which
a person changed captions on a page: it is kept, and never replaced to fill the failed segments.
"""

from __future__ import annotations

from pathlib import Path

from captoolkit.errors import InputError, OutputExistsError
from captoolkit.support.provenance import Provenance, source_difference
from captoolkit.timeline import Timeline, load

FIX = "choose another name or folder, or pass overwrite=True to replace it"


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
