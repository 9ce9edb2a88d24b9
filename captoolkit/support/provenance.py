"""How a result was made: the verb, its options and its source, as manifests and timelines record.

Rules: two runs with equal provenance and the same source make the same result. No option is a key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from captoolkit.support import files

OptionValue = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """How a result was made: the verb, and the options that decide the result.

    Attributes:
        options: the values that differ from the defaults, as JSON values, by their keywords.
    """

    verb: str
    options: Mapping[str, OptionValue]

    def fields(self) -> dict[str, Any]:
        """Return the object `made_by` of a document."""
        return {"verb": self.verb, "options": dict(self.options)}

    def difference(self, other: Provenance) -> str:
        """Return how this result differs from that of `other`; empty if they are alike."""
        if self.verb != other.verb:
            return f"was made by {self.verb}, not by {other.verb}"
        mine, theirs = self.options, other.options
        names = [
            name for name in dict.fromkeys([*mine, *theirs]) if mine.get(name) != theirs.get(name)
        ]
        if not names:
            return ""
        return f"was made with {_values(names, mine)}, not with {_values(names, theirs)}"


def _values(names: Sequence[str], options: Mapping[str, object]) -> str:
    return ", ".join(
        f"{name}={options[name]}" if name in options else f"no {name}" for name in names
    )


def source_difference(
    source: Path, *, path: str, sha256: str, size_bytes: int, modified_ns: int | None
) -> str:
    """Return how a source differs from the recorded one; empty if it is the same.

    The source is hashed only if its path or its time of change differs from the recorded one.

    Args:
        source: the file.
        path: the recorded path.
        sha256: the recorded hash; empty if it is unknown.
        size_bytes: the recorded size.
        modified_ns: the recorded time of the last change; None if it is unknown.
    """
    status = source.stat()
    is_same_path = str(source) == path
    if status.st_size == size_bytes and (
        (is_same_path and status.st_mtime_ns == modified_ns) or files.sha256(source) == sha256
    ):
        return ""
    if is_same_path:
        return "was made before its source changed"
    if PurePath(path).name == path:  # a pipe or an array has no place
        return "was made from another recording (standard input or sound in memory)"
    return f"was made from {path}"
