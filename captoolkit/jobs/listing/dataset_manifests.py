"""Manifests of data sets as listings: JSON lines, CSV and Parquet, in the columns of common tools.

| tool | column of the path or URL | column of the length |
| --- | --- | --- |
| NeMo | `audio_filepath` | `duration` |
| Hugging Face | `file_name`, `audio` (a path, or a struct with `path`) | |
| lhotse | `sources[0].source` of a recording, `recording.sources[0].source` of a cut | `duration` |
| others | `path`, `url`, `file`, `filename`, `source` | `duration`, `duration_s` |

Rules: a manifest is read as a stream. A line without a path is an `Input` with an error. A relative
path begins at the folder of the manifest, or at the current folder if there is no such file there.
No source is run: a lhotse source of another type than `file` or `url` is an error.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from captoolkit.errors import InputError, UsageError
from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.stores.base_store import scheme_of, split_url
from captoolkit.media.source import public_url

ENDINGS = (".jsonl", ".jsonl.gz", ".csv", ".tsv", ".parquet")
PATH_COLUMNS = (
    "audio_filepath",
    "file_name",
    "audio",
    "path",
    "url",
    "file",
    "filename",
    "source",
    "recording",
    "sources",
)
DURATION_COLUMNS = ("duration", "duration_s")
BATCH_ROWS = 1000

Line = Mapping[str, Any]


def is_manifest(name: str) -> bool:
    """Return whether a name is that of a manifest of recordings.

    ```python
    >>> is_manifest("train.jsonl.gz"), is_manifest("s3://bucket/train.CSV"), is_manifest("a.wav")
    (True, True, False)

    ```
    """
    return name.lower().endswith(ENDINGS)


def read_manifest(path: Path, *, url: str, column: str | None = None) -> Iterator[Input]:
    """Yield the recordings of a manifest, in its order.

    Args:
        path: the manifest as a file.
        url: its path or URL as given: relative paths in it begin there.
        column: the column that holds the path or URL; None finds it by its name.

    Raises:
        UsageError: there is no such column, or Parquet cannot be read on this machine.
        InputError: the manifest cannot be read, or has no line.
    """
    name, shown = url.lower(), public_url(url)
    if name.endswith(".parquet"):
        lines = _parquet_lines(path, shown, column)
    elif name.endswith((".csv", ".tsv")):
        lines = _csv_lines(path, shown, column, delimiter="\t" if name.endswith(".tsv") else ",")
    else:
        lines = _json_lines(path)
    is_empty = True
    try:
        for number, line in lines:
            is_empty = False
            yield _input_of(line, number, url=url, column=column)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"the manifest {shown} cannot be read ({reason})",
            fix="check how it was made",
            path=shown,
        ) from error
    if is_empty:
        raise InputError(
            f"the manifest {shown} names no recordings", fix="check how it was made", path=shown
        )


# -------------------------------------------------------------------------------- the formats


def _json_lines(path: Path) -> Iterator[tuple[int, Line | str]]:
    with path.open("rb") as stream:
        is_gzip = stream.read(2) == b"\x1f\x8b"
    open_text: Callable[..., IO[str]] = gzip.open if is_gzip else Path.open
    with open_text(path, "rt", encoding="utf-8-sig") as lines:
        for number, text in enumerate(lines, 1):
            if text.strip():
                yield number, _json_line(text)


def _json_line(text: str) -> Line | str:
    """The object of a line, or why it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "is no JSON"
    return value if isinstance(value, dict) else "is no JSON object"


def _csv_lines(
    path: Path, url: str, column: str | None, *, delimiter: str
) -> Iterator[tuple[int, Line | str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream, delimiter=delimiter)
        _refuse_columns(reader.fieldnames or (), column, url)
        for line in reader:
            yield reader.line_num, line


def _parquet_lines(path: Path, url: str, column: str | None) -> Iterator[tuple[int, Line | str]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UsageError(
            "Parquet files need a library that is not installed",
            fix="pip install 'captoolkit[parquet]'",
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            _refuse_columns(schema.names, column, url)
            wanted = {column} if column else {*PATH_COLUMNS}
            names = [name for name in schema.names if name in {*wanted, "id", *DURATION_COLUMNS}]
            # The sound itself, which Hugging Face keeps next to the path, is not read.
            columns = [
                f"{name}.path" if pyarrow.types.is_struct(schema.field(name).type) else name
                for name in names
            ]
            number = 0
            for batch in file.iter_batches(BATCH_ROWS, columns=columns):
                for line in batch.to_pylist():
                    number += 1
                    yield number, line
    except pyarrow.ArrowException as error:
        raise InputError(
            f"the manifest {url} cannot be read ({error})", fix="check how it was made", path=url
        ) from error


def _refuse_columns(names: Any, column: str | None, url: str) -> None:
    """Refuse a table without columns, and one without a column of paths."""
    if not list(names):
        raise InputError(
            f"the manifest {url} cannot be read (it is empty)",
            fix="check how it was made",
            path=url,
        )
    if column is not None and column not in names:
        raise UsageError(
            f"{url} has no column {column}", fix=f"its columns are {', '.join(map(str, names))}"
        )
    if column is None and not set(names) & set(PATH_COLUMNS):
        raise UsageError(
            f"no column of {url} is known to hold paths: {', '.join(map(str, names))}",
            fix="name one with --column",
        )


# ----------------------------------------------------------------------------------- the lines


def _input_of(line: Line | str, number: int, *, url: str, column: str | None) -> Input:
    """Return the recording of a line; with an error if it names none."""
    path, problem = ("", line) if isinstance(line, str) else _path_in(line, column)
    if isinstance(line, str) or problem:
        shown = public_url(url)
        error = InputError(
            f"line {number} of {shown} {problem}", fix="correct it, or name a --column", path=shown
        )
        place = f"{shown}:{number}"
        return Input(id=place, url=place, relative=f"line-{number}", error=error)
    cut = line.get("recording")
    own_id = (cut if isinstance(cut, dict) else line).get("id")  # cuts of one recording share it
    shown = public_url(path)
    return Input(
        id=str(own_id) if isinstance(own_id, str | int) and own_id != "" else shown,
        url=_whole(path, url),
        relative=shown.partition("://")[2] if scheme_of(path) else path,
        duration_s=_duration_s(line),
    )


def _path_in(line: Line, column: str | None) -> tuple[str, str]:
    """Return the path or URL of a line, and what is wrong with the line, as a clause."""
    for name in [column] if column else PATH_COLUMNS:
        value = line.get(name)
        if name == "recording" and isinstance(value, dict):
            value = value.get("sources")
        if isinstance(value, list) and value and isinstance(value[0], dict):
            kind = value[0].get("type", "file")
            if kind not in ("file", "url"):
                return "", f"has a source of the type {kind!r}, which is neither a file nor a URL"
            value = value[0].get("source")
        if isinstance(value, dict):
            value = value.get("path") or value.get("url")
        if isinstance(value, str) and value.strip() and "\0" not in value:
            return value.strip(), ""
    return "", f"names no recording in the column {column}" if column else "names no recording"


def _duration_s(line: Line) -> float | None:
    if isinstance(line.get("recording"), dict):
        line = line["recording"]
    for name in DURATION_COLUMNS:
        try:
            value = float(line.get(name) or "nan")
        except (TypeError, ValueError):
            continue
        if 0 <= value < 1e9 and not line.get("offset"):  # NeMo: the length of a part
            return value
    return None


def _whole(path: str, manifest: str) -> str:
    """Return a path of a manifest, from the current folder or from the root, or its URL."""
    if scheme_of(path) is not None:
        return path
    if scheme_of(manifest) is not None:
        folder = manifest.rpartition("/")[0]
        return (
            f"{folder}/{path}"
            if not path.startswith("/")
            else split_url(manifest)[0].rstrip("/") + path
        )
    beside = str(Path(manifest).parent / path)
    return beside if os.path.lexists(beside) or not os.path.lexists(path) else path
