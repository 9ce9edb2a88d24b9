"""The names of the files that are made from several inputs: distinct for any inputs."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from captoolkit.errors import UsageError
from captoolkit.jobs.listing.inputs import Input
from captoolkit.media.source import is_web_url
from captoolkit.pipeline.segment_names import DEFAULT_TEMPLATE, NameTemplate, SegmentNames
from captoolkit.support import files

DEFAULT_FILE_TEMPLATE = "{path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputNames:
    """The names of the files of one input.

    Attributes:
        folder: below the output folder; empty for the output folder itself.
        stem: the name of a single file, without ending.
        segments: the names of segments; None if the template has no number.
    """

    folder: str
    stem: str
    segments: SegmentNames | None = None


def output_names(
    inputs: Sequence[Input],
    template: str | None = None,
    *,
    stdin_stem: str | None = None,
    has_index: bool = True,
) -> list[OutputNames]:
    """Return the names of the files of each input.

    Names that would be alike get a number after the stem: `talk`, `talk-2`. Names that differ only
    in case, or in the encoding of an accent, are alike.

    Args:
        inputs: the inputs.
        template: see `pipeline.segment_names`; None is the path below the folder that was searched.
        stdin_stem: the stem of standard input.
        has_index: whether the files are numbered segments.

    Raises:
        UsageError: the template is malformed, or cannot give each input names of its own.
    """
    default = DEFAULT_TEMPLATE if has_index else DEFAULT_FILE_TEMPLATE
    parsed = NameTemplate(default if template is None else template, has_index=has_index)
    if len(inputs) > 1 and not parsed.is_distinct:
        raise UsageError(
            f"the name template {parsed.text!r} gives all inputs the same names",
            fix="write {stem} or {path} into it",
        )
    if stdin_stem is not None:
        SegmentNames.of(stdin_stem)
        if not any(each.is_standard_input for each in inputs):
            raise UsageError("--stem names standard input", fix="pass - as FILE, or --name")
    seen: set[str] = set()
    numbers: dict[str, int] = {}
    return [_distinct(each, parsed, stdin_stem, seen, numbers, has_index) for each in inputs]


def _distinct(
    item: Input,
    template: NameTemplate,
    stdin_stem: str | None,
    seen: set[str],
    numbers: dict[str, int],
    has_index: bool,
) -> OutputNames:
    """Return the names of an input that no earlier one has."""
    relative = PurePosixPath(item.relative)
    stem = relative.stem
    if item.is_standard_input and stdin_stem is not None:
        stem = stdin_stem
    is_path = not item.is_standard_input and not is_web_url(item.url)
    parent = Path(files.absolute(item.url)).parent.name if is_path else ""
    number, first = 1, ""
    while True:
        numbered = stem if number == 1 else f"{stem}-{number}"
        path = str(relative.parent / numbered) if relative.name else numbered
        values = {"stem": numbered, "parent": parent, "path": path}
        folder = template.folder(**values)
        if has_index:
            names = template.names(**values)
            text = f"{folder}/{names.before}\0{names.after}"
            result = OutputNames(folder=folder, stem=names.manifest_stem, segments=names)
        else:
            result = OutputNames(folder=folder, stem=template.name(**values))
            text = f"{folder}/{result.stem}"
        key = _alike(text)
        first = first or key
        if key not in seen:
            seen.add(key)
            return result
        number = numbers[first] = max(numbers.get(first, 1), number) + 1


def _alike(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
