"""The rows of a batch as tables that tools for data sets read.

| columns | a line for each | fields |
| --- | --- | --- |
| `table` | segment | those of NeMo and Hugging Face, and every fact of the row |
| `nemo` | segment | `audio_filepath`, `duration`, `offset`, `text`; of a tar file also `shard_id` |
| `huggingface` | segment | `file_name` (below OUT), `text`, `duration`, `id` |
| `lhotse` | segment | a file of recordings and one of supervisions |

Rules: a caption without a file of its own names the recording, and where it begins. A finished
recording without segments (of `probe`) is one line. Fields without a value are left out of JSON and
null in Parquet. A table is written as a stream, whole or not at all.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from captoolkit.errors import UsageError
from captoolkit.jobs.results.recording_rows import RecordingRow, RowSegment, RowStatus, read_rows
from captoolkit.jobs.results.tar_layout import MEMBER_MARK
from captoolkit.jobs.stores.base_store import Store, scheme_of
from captoolkit.support import files
from captoolkit.support.exact_json import escape

GROUP_LINES = 10_000  # of a row group of Parquet
_SHARD_NUMBER = re.compile(r"shard-(\d+)")

Line = dict[str, Any]


class Columns(StrEnum):
    """The columns of a table of rows."""

    TABLE = "table"
    NEMO = "nemo"
    LHOTSE = "lhotse"
    HUGGING_FACE = "huggingface"


# The columns of Parquet and their types, in the order of the tables.
TYPES = {
    "id": "string",
    "url": "string",
    "status": "string",
    "index": "int32",
    "audio_filepath": "string",
    "file_name": "string",
    "shard_id": "int32",
    "offset": "float64",
    "duration": "float64",
    "text": "string",
    "start_s": "float64",
    "end_s": "float64",
    "sha256": "string",
    "codec": "string",
    "sample_rate_hz": "int32",
    "channels": "int32",
    "audio_tokens": "int64",
    "output_tokens": "int64",
    "error_class": "string",
    "error": "string",
    "tries": "int32",
    "size_bytes": "int64",
    "version": "string",
    "recording_s": "float64",
    "recording_sha256": "string",
    "worker_s": "float64",
    "warnings": "string",
}
FIELDS = {
    Columns.TABLE: tuple(TYPES),
    Columns.NEMO: ("audio_filepath", "duration", "offset", "text", "shard_id"),
    Columns.HUGGING_FACE: ("file_name", "text", "duration", "id"),
}
FAILED_FIELDS = (
    *("id", "url", "status", "error_class", "error", "tries"),
    *("size_bytes", "version", "recording_s", "worker_s"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedRows:
    """The end of an export.

    Attributes:
        paths: the files.
        lines: the lines of each.
    """

    paths: tuple[Path, ...]
    lines: tuple[int, ...]


def export_rows(
    store: Store,
    path: str | Path,
    *,
    columns: str | Columns = Columns.TABLE,
    failed: bool = False,
    overwrite: bool = False,
) -> ExportedRows:
    """Write the rows of a batch as a table.

    Args:
        store: OUT.
        path: a file that ends in `.jsonl`, `.jsonl.gz` or `.parquet`. With the columns of lhotse,
            `X.jsonl` becomes `X.recordings.jsonl` and `X.supervisions.jsonl`.
        columns: the columns.
        failed: only the recordings that are not done, a line for each with its error.
        overwrite: replace the file.

    Raises:
        UsageError: the columns or the ending are not known, or a library is missing.
        InputError: the store cannot be read.
        OutputExistsError: the file exists and `overwrite` is false.
        OutputError: the file cannot be written.
    """
    if columns not in tuple(Columns):
        raise UsageError(f"columns={columns} are not known", fix=f"take {', '.join(Columns)}")
    path = Path(path)
    if columns == Columns.LHOTSE and not failed:
        return _export_lhotse(store, path, overwrite=overwrite)
    fields = FAILED_FIELDS if failed else FIELDS[Columns(columns)]
    lines = table_lines(store, columns=columns, failed=failed)
    return _write(lines, path, fields, overwrite=overwrite)


def table_lines(
    store: Store, *, columns: str | Columns = Columns.TABLE, failed: bool = False
) -> Iterator[Line]:
    """Yield the lines of a table as values; fields without a value are left out.

    Raises:
        InputError: the store cannot be read.
        UsageError: the columns are those of Hugging Face, and a line has no file below OUT.
    """
    needs_file = columns == Columns.HUGGING_FACE and not failed
    fields = FAILED_FIELDS if failed else FIELDS[Columns(columns)]
    for row in read_rows(store):
        has_holes = row.status is RowStatus.HOLES  # a line among the failed, and its captions
        if failed != row.is_finished or has_holes:
            for facts in [_facts_of(row)] if failed else _segment_lines(row, store):
                if needs_file and not facts.get("file_name"):
                    raise UsageError(
                        f"{row.id} has no file below OUT, and Hugging Face finds no other files",
                        fix="take columns=nemo or columns=table, which name the recording",
                    )
                yield {name: facts[name] for name in fields if facts.get(name) is not None}


def _segment_lines(row: RecordingRow, store: Store) -> Iterator[Line]:
    """Yield all facts of each segment that has sound or a text."""
    if not row.segments and row.status is RowStatus.DONE:
        duration = {"offset": 0.0, "duration": row.duration_s}
        yield _facts_of(row) | {"audio_filepath": _place(row.url)} | duration
    for index, segment in enumerate(row.segments, 1):
        if segment.status in ("", "ok"):
            yield _facts_of(row) | _facts_of_segment(segment, index, row, store)


def _facts_of(row: RecordingRow) -> Line:
    return {
        "id": row.id,
        "url": row.url,
        "status": row.status.value,
        "codec": row.codec or None,
        "sample_rate_hz": row.sample_rate_hz,
        "channels": row.channels,
        "error_class": row.error_class or None,
        "error": row.error or next((each.error for each in row.segments if each.error), None),
        "tries": row.tries,
        "size_bytes": row.size_bytes,
        "version": row.version,
        "recording_s": row.duration_s,
        "recording_sha256": row.sha256 or None,
        "worker_s": row.worker_s,
        "warnings": " ".join(row.warnings) or None,
    }


def _facts_of_segment(segment: RowSegment, index: int, row: RecordingRow, store: Store) -> Line:
    name, _, member = (segment.file or "").partition(MEMBER_MARK)
    shard = _SHARD_NUMBER.match(name) if member else None
    usage: Mapping[str, Any] = segment.usage or {}
    path = member or (store.url_of(name) if name else row.url)
    return {
        "index": index,
        "audio_filepath": path if member else _place(path),
        "file_name": member or name or None,
        "shard_id": int(shard[1]) if shard else None,
        "offset": 0.0 if name else segment.start_s,
        "duration": segment.duration_s,
        "text": segment.text,
        "start_s": segment.start_s,
        "end_s": segment.end_s,
        "sha256": segment.sha256 or None,
        "audio_tokens": usage.get("audio_tokens"),
        "output_tokens": usage.get("output_tokens"),
    }


def _place(path: str) -> str:
    """Return a URL, or the absolute path of a file."""
    return path if scheme_of(path) else files.absolute(path)


# ------------------------------------------------------------------------------------- lhotse


def _export_lhotse(store: Store, path: Path, *, overwrite: bool) -> ExportedRows:
    """Write a RecordingSet and a SupervisionSet."""
    base, dot, ending = path.name.partition(".jsonl")
    if not dot or ending not in ("", ".gz"):
        raise UsageError(
            f"{path.name} is no name for the columns of lhotse", fix="end it in .jsonl or .jsonl.gz"
        )
    kinds: tuple[tuple[str, Callable[[RecordingRow, Store], Iterator[Line]]], ...] = (
        ("recordings", _recordings_of),
        ("supervisions", _supervisions_of),
    )
    paths = [path.with_name(f"{base}.{kind}.jsonl{ending}") for kind, _ in kinds]
    if not overwrite:
        files.refuse_existing(paths)
    counts: list[int] = []
    for own, (_, lines_of) in zip(paths, kinds, strict=True):
        lines = itertools.chain.from_iterable(
            lines_of(row, store) for row in read_rows(store) if row.segments
        )
        counts += _write(lines, own, (), overwrite=overwrite).lines
    return ExportedRows(paths=tuple(paths), lines=tuple(counts))


def _recordings_of(row: RecordingRow, store: Store) -> Iterator[Line]:
    """Yield a Recording for each file: the segments, or the source of captions without files."""
    if row.segments[0].file is None:
        yield _recording(row, row.id, row.url, row.duration_s or 0.0)
        return
    for index, segment in enumerate(row.segments, 1):
        if MEMBER_MARK in (segment.file or ""):
            raise UsageError(
                "recordings of lhotse cannot name members of tar files",
                fix="take --columns nemo, or prepare without --layout tar",
            )
        if segment.file is not None:
            own_id, place = _segment_id(row, index), store.url_of(segment.file)
            yield _recording(row, own_id, place, segment.duration_s)


def _recording(row: RecordingRow, id: str, place: str, duration_s: float) -> Line:
    channels, rate_hz = list(range(row.channels or 1)), row.sample_rate_hz or 0
    kind = "url" if scheme_of(place) else "file"
    samples = _samples(row, duration_s)
    return {
        "id": id,
        "sources": [{"type": kind, "channels": channels, "source": _place(place)}],
        "sampling_rate": rate_hz,
        "num_samples": samples,
        "duration": _exact_s(row, duration_s),
        "channel_ids": channels,
    }


def _supervisions_of(row: RecordingRow, store: Store) -> Iterator[Line]:
    """Yield a SupervisionSegment for each caption, on the clock of its recording."""
    channels = list(range(row.channels or 1))
    for index, segment in enumerate(row.segments, 1):
        if segment.status in ("", "ok"):
            has_file = segment.file is not None
            start_s = 0.0 if has_file else segment.start_s
            whole_s = segment.duration_s if has_file else row.duration_s or 0.0
            yield {
                "id": _segment_id(row, index),
                "recording_id": _segment_id(row, index) if has_file else row.id,
                "start": start_s,
                "duration": min(segment.duration_s, _exact_s(row, whole_s) - start_s),
                "channel": channels if len(channels) > 1 else 0,
                **({"text": segment.text} if segment.text is not None else {}),
            }


def _samples(row: RecordingRow, duration_s: float) -> int:
    return round(duration_s * (row.sample_rate_hz or 0))


def _exact_s(row: RecordingRow, duration_s: float) -> float:
    """A length as whole samples give it; a row has six decimals."""
    rate_hz = row.sample_rate_hz
    return _samples(row, duration_s) / rate_hz if rate_hz else duration_s


def _segment_id(row: RecordingRow, index: int) -> str:
    return f"{row.id}-{index:03d}"


# ------------------------------------------------------------------------------------ writing


def _write(
    lines: Iterable[Line], path: Path, fields: tuple[str, ...], *, overwrite: bool
) -> ExportedRows:
    """Write lines as a file of its own kind, whole or not at all."""
    writers = {".jsonl": _write_json, ".jsonl.gz": _write_json, ".parquet": _write_parquet}
    ending = next((each for each in writers if path.name.lower().endswith(each)), None)
    if ending is None:
        raise UsageError(
            f"{path.name} has no ending of a table", fix=f"end it in {', '.join(writers)}"
        )
    if not overwrite:
        files.refuse_existing([path])
    with files.writing(path), files.staging(path.absolute().parent) as folder:
        staged = folder / path.name
        count = writers[ending](lines, staged, fields)
        files.place(staged, path, overwrite=overwrite)
    return ExportedRows(paths=(path,), lines=(count,))


def render_line(line: Line) -> str:
    """Return a line of JSON."""
    return escape(json.dumps(line, ensure_ascii=False)) + "\n"


def _write_json(lines: Iterable[Line], path: Path, fields: tuple[str, ...]) -> int:
    count = 0
    is_gzip = path.name.lower().endswith(".gz")
    with path.open("wb") as raw:
        stream = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if is_gzip else raw
        for line in lines:
            stream.write(render_line(line).encode())
            count += 1
        if is_gzip:
            stream.close()
        raw.flush()
        os.fsync(raw.fileno())
    return count


def _write_parquet(lines: Iterable[Line], path: Path, fields: tuple[str, ...]) -> int:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UsageError(
            "Parquet files need a library that is not installed",
            fix="pip install 'captoolkit[parquet]', or write .jsonl",
        ) from error
    schema = pyarrow.schema([(name, pyarrow.type_for_alias(TYPES[name])) for name in fields])
    count, source = 0, iter(lines)
    with parquet.ParquetWriter(path, schema) as writer:
        while group := list(map(_in_unicode, itertools.islice(source, GROUP_LINES))):
            writer.write_table(pyarrow.Table.from_pylist(group, schema=schema))
            count += len(group)
    return count


def _in_unicode(line: Line) -> Line:
    r"""Return a line with the names that are not UTF-8 written as in JSON, such as `b\udcffad`."""
    return {
        name: value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
        for name, value in line.items()
    }
