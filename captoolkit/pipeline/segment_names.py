"""The names of the files of one recording: templates, segments and their manifest.

A template is a path below the output folder, such as `{parent}/{stem}.{index:03}`. Its fields:

- `{stem}`: the source's name without its ending.
- `{parent}`: the name of the folder that holds the source.
- `{path}`: the source's path below the folder that was searched, without its ending; for a file
  that was named it is the stem.
- `{index}`: the segment's number from 1; `{index:03}` writes at least three digits, and more where
  the recording has more segments.
- `{ext}`: the ending of the segment's format. It may only be last; without it captoolkit adds it.

Rules: two files never get the same name. So `{index}` occurs once, in the last part of the path,
before or after all other fields, and a character that is no digit separates it from them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from string import Formatter

from captoolkit.errors import UsageError

MIN_NUMBER_WIDTH = 3  # talk.001.mp3
DEFAULT_TEMPLATE = "{path}.{index:03}"
ENDING = ".{ext}"
MANIFEST_ENDING = ".manifest.json"
TEXT_FIELDS = ("stem", "parent", "path")
FIELDS = (*TEXT_FIELDS, "index", "ext")

_SEPARATORS_AT_END = re.compile(r"[\W_]+$")
_SEPARATORS_AT_START = re.compile(r"^[\W_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentNames:
    """The names of one recording's files in their folder: `talk.001.mp3`, `talk.manifest.json`.

    Attributes:
        before: the text before the number.
        after: the text between the number and the ending.
        min_width: the least number of digits.
        manifest_stem: the beginning of the manifest's name.
    """

    before: str
    after: str = ""
    min_width: int = MIN_NUMBER_WIDTH
    manifest_stem: str

    @classmethod
    def of(cls, stem: str) -> SegmentNames:
        """Return the usual names of a stem.

        Raises:
            UsageError: the stem is empty, a folder, or holds a separator or a NUL.
        """
        if stem in ("", ".", "..") or PurePath(stem).name != stem or "\0" in stem:
            raise UsageError(f"stem={stem!r} must be a plain name", fix="give the folder as `out`")
        return cls(before=f"{stem}.", manifest_stem=stem)

    @property
    def manifest(self) -> str:
        """The name of the manifest."""
        return f"{self.manifest_stem}{MANIFEST_ENDING}"

    def segment(self, index: int, segments: int, suffix: str) -> str:
        """Return the name of a segment; `suffix` begins with a dot.

        ```python
        >>> SegmentNames.of("talk").segment(7, 1200, ".mp3")
        'talk.0007.mp3'

        ```
        """
        width = max(self.min_width, len(str(segments)) if self.min_width > 1 else 1)
        return f"{self.before}{index:0{width}d}{self.after}{suffix}"

    def is_segment(self, name: str) -> bool:
        """Return whether a name is one of these segments'.

        ```python
        >>> names = SegmentNames.of("talk")
        >>> names.is_segment("talk.001.mp3"), names.is_segment("talk.docx")
        (True, False)

        ```
        """
        before, after = re.escape(self.before), re.escape(self.after)
        return re.fullmatch(rf"{before}\d{{{self.min_width},}}{after}\.\w+", name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A literal text, or a field with the text of its format."""

    literal: str = ""
    field: str = ""
    spec: str = ""


class NameTemplate:
    """A template of output names, checked.

    Args:
        text: the template.
        has_index: False for files that an input has once, such as timelines.

    Raises:
        UsageError: the template is malformed, leaves the output folder, has an unknown field, or
            could give two files one name.
    """

    def __init__(self, text: str, *, has_index: bool = True) -> None:
        self.text = text
        *folders, name = _without_ending(text).split("/")
        self._folders = [self._parse(part) for part in folders]
        self._name = self._parse(name)
        indices = [part for part in self._name if part.field == "index"]
        if any(part.field == "index" for folder in self._folders for part in folder):
            raise self._error("has {index} in a folder", "write it into the last part of the path")
        if not has_index and indices:
            raise self._error("has {index}", "leave it out: each input has one file")
        if has_index and len(indices) != 1:
            raise self._error("needs {index} once", "write, for example, {stem}.{index:03}")
        self._min_width = self._index_width(indices[0].spec) if has_index else 0
        if has_index:
            self._check_index()

    @property
    def is_distinct(self) -> bool:
        """Whether different inputs get different names."""
        parts = [*self._name, *(part for folder in self._folders for part in folder)]
        return any(part.field in ("stem", "path") for part in parts)

    def folder(self, **values: str) -> str:
        """Return the folder below the output folder; empty for the output folder itself.

        Args:
            **values: the values of `stem`, `parent` and `path`.
        """
        name = _render(self._name, values)
        inner = name.rpartition("/")[0]  # a `{path}` may hold folders
        folders = [_render(folder, values) for folder in self._folders]
        return "/".join(_plain(part) for part in "/".join([*folders, inner]).split("/") if part)

    def names(self, **values: str) -> SegmentNames:
        """Return the names of an input's segments in their folder."""
        at = next(i for i, part in enumerate(self._name) if part.field == "index")
        before, after = self._name[:at], self._name[at + 1 :]
        whole = _render(before, values).rpartition("/")[2], _render(after, values)
        if before and before[-1].literal:
            before = [*before[:-1], _Part(literal=_SEPARATORS_AT_END.sub("", before[-1].literal))]
        if after and after[0].literal:
            after = [_Part(literal=_SEPARATORS_AT_START.sub("", after[0].literal)), *after[1:]]
        stem = (_render(before, values) + _render(after, values)).rpartition("/")[2]
        return SegmentNames(
            before=whole[0],
            after=whole[1],
            min_width=self._min_width,
            manifest_stem=stem or values["stem"],
        )

    def name(self, **values: str) -> str:
        """Return the name of an input's only file in its folder, without ending."""
        return _plain(_render(self._name, values).rpartition("/")[2])

    def _parse(self, text: str) -> list[_Part]:
        """Return the parts of one folder or name of the template."""
        if text in ("", ".", "..") or {"\\", "\0"} & set(text):
            raise self._error("is no path below the output folder", "write NAME or FOLDER/NAME")
        parts = []
        try:
            for literal, field, spec, conversion in Formatter().parse(text):
                if literal:
                    parts.append(_Part(literal=literal))
                if field is None:
                    continue
                if field not in FIELDS or conversion:
                    shown = field + (f"!{conversion}" if conversion else "")
                    fields = ", ".join(f"{{{each}}}" for each in (*TEXT_FIELDS, "index"))
                    raise self._error(f"has an unknown field {{{shown}}}", f"take {fields}")
                if field == "ext":
                    raise self._error("has {ext} before its end", "leave it out: it is added")
                if spec and field != "index":
                    raise self._error(f"has a format for {{{field}}}", "only {index} has one")
                parts.append(_Part(field=field, spec=spec or ""))
        except ValueError as error:
            if isinstance(error, UsageError):
                raise
            raise self._error("is malformed", "write {{ and }} for braces") from error
        return parts

    def _index_width(self, spec: str) -> int:
        if re.fullmatch(r"(0[1-9])?", spec) is None:
            raise self._error(f"has the format {spec} for {{index}}", "write {index} or {index:03}")
        return int(spec or 1)

    def _check_index(self) -> None:
        """Raise unless a separator keeps the number apart from each text next to it."""
        at = next(i for i, part in enumerate(self._name) if part.field == "index")
        before, after = self._name[:at], self._name[at + 1 :]
        has_before, has_after = (any(part.field for part in side) for side in (before, after))
        if has_before and has_after:
            raise self._error("has {index} between other fields", "write it first or last")
        is_separated = (not has_before or not before[-1].literal[-1:].isalnum()) and (
            not has_after or not after[0].literal[:1].isalnum()
        )
        has_separator = (not has_before or before[-1].literal) and (
            not has_after or after[0].literal
        )
        if not (is_separated and has_separator):
            raise self._error(
                "has nothing between {index} and another field", "write a dot, for example"
            )

    def _error(self, problem: str, fix: str) -> UsageError:
        return UsageError(f"the name template {self.text!r} {problem}", fix=fix)


def _without_ending(text: str) -> str:
    """Return the template without `.{ext}` at its end, which is added in any case."""
    return text.removesuffix(ENDING)


def _render(parts: list[_Part], values: dict[str, str]) -> str:
    return "".join(part.literal or values.get(part.field, "") for part in parts)


def _plain(name: str) -> str:
    """Return a name that is no folder's shorthand."""
    return "_" * len(name) if name in (".", "..") else name
