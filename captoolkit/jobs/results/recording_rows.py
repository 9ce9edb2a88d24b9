"""The rows of a job: one for each recording, the marker of its completion and the table of results.

Rules: a row is written after everything that it describes. The rows of a chunk are one file,
`.captoolkit/rows/RUN-CHUNK.jsonl`, which is never replaced; if a recording has several rows, the
last one counts. RUN begins with the time of the run, so the order of the names is that of the runs.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from captoolkit.errors import CaptoolkitError
from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.stores.base_store import Store, scheme_of
from captoolkit.media.source import public_url
from captoolkit.support import files
from captoolkit.support.exact_json import escape

ROWS = ".captoolkit/rows/"
KEY_BYTES = 16  # of a digest; 10^6 ids collide with a probability of 10^-27
BUCKETS = 4096
HASH_BYTES = 6  # of a place or a version; it is compared with that of one row


class RowStatus(StrEnum):
    """The state of a recording."""

    DONE = "done"
    SILENT = "silent"  # it holds no sound to prepare
    FAILED = "failed"  # it cannot be done, for the reason in `error`
    QUARANTINED = "quarantined"  # it ended its worker, or took too long, as often as is allowed
    HOLES = "holes"  # some or all of its segments have no caption


FINISHED = frozenset({RowStatus.DONE, RowStatus.SILENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSegment:
    """A segment of a recording.

    Attributes:
        file: the name of its file in OUT; None if it has none, as a caption of a part of the source
            has. With the tar layout, `SHARD.tar#MEMBER`.
        start_s: the start on the source's clock.
        end_s: the end on the source's clock.
        duration_s: the length of its sound.
        sha256: the hash of the file; empty without a file.
        status: `ok`, `failed` or `silent` for a caption; empty for a segment without a caption.
        text: the caption.
        error: the reason of a failed caption.
        usage: the tokens of the caption.
    """

    file: str | None
    start_s: float
    end_s: float
    duration_s: float
    sha256: str = ""
    status: str = ""
    text: str | None = None
    error: str = ""
    usage: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRow:
    """The result of one recording.

    Attributes:
        id: the id of the input.
        url: the path of the input, or its URL with its scheme and without secrets.
        size_bytes: the size of the input when it was read.
        version: the version of the input when it was read, as in `Input`.
        status: the state.
        error_class: the name of the error's class, such as `NotMediaError`; empty without one.
        error: the error, as one line.
        tries: how often it has been begun.
        worker_s: the time that a worker took.
        duration_s: the length of the recording's sound.
        sha256: the hash of the recording; empty if it was not read.
        codec: the codec of the segments' files, or of the recording if they have no files.
        sample_rate_hz: their sample rate.
        channels: their channels.
        segments: the segments, in order.
        warnings: oddities of the recording, and differences between the plan and the result, as
            sentences.
    """

    id: str
    url: str
    size_bytes: int | None = None
    version: str | None = None
    status: RowStatus
    error_class: str = ""
    error: str = ""
    tries: int = 1
    worker_s: float = 0.0
    duration_s: float | None = None
    sha256: str = ""
    codec: str = ""
    sample_rate_hz: int | None = None
    channels: int | None = None
    segments: tuple[RowSegment, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do for this recording."""
        return self.status in FINISHED


def failed_row(
    recording: Input, error: CaptoolkitError, *, status: RowStatus = RowStatus.FAILED
) -> RecordingRow:
    """Return the row of an input that cannot be done."""
    text = str(error).replace(recording.url, recording.public_url)
    return RecordingRow(
        id=recording.id,
        url=recording.public_url,
        size_bytes=recording.size_bytes,
        version=recording.version,
        status=status,
        error_class=type(error).__name__,
        error=" ".join(text.split()),
    )


# -------------------------------------------------------------------------- write and read


def write_rows(store: Store, run_id: str, chunk_id: str, rows: Iterable[RecordingRow]) -> bool:
    """Write the rows of a chunk; return False if this run has written them already.

    Raises:
        OutputError: they cannot be written.
    """
    text = "".join(render_row(row) for row in rows)
    return store.write_new(f"{ROWS}{run_id}-{chunk_id}.jsonl", text.encode())


def render_row(row: RecordingRow) -> str:
    """Return a row as one line of JSON."""
    fields = _without_defaults(row)
    if row.segments:
        fields["segments"] = [_without_defaults(segment) for segment in row.segments]
    return escape(json.dumps(fields, ensure_ascii=False, separators=(",", ":"))) + "\n"


def parse_row(line: bytes | str) -> RecordingRow:
    """Return the row in a line of JSON; fields of later versions are left out.

    Raises:
        ValueError, KeyError, TypeError: it is no row.
    """
    fields = json.loads(line)
    segments = tuple(
        RowSegment(**{name: item.get(name, default) for name, default in _SEGMENT_FIELDS.items()})
        for item in fields.pop("segments", ())
    )
    own = {name: fields[name] for name in _ROW_FIELDS if name in fields}
    own |= {"status": RowStatus(fields["status"]), "warnings": tuple(fields.get("warnings", ()))}
    return RecordingRow(**own, segments=segments)


def _without_defaults(value: RecordingRow | RowSegment) -> dict[str, Any]:
    """The fields of a row that say something."""
    return {
        field.name: getattr(value, field.name)
        for field in dataclasses.fields(value)
        if getattr(value, field.name) != field.default
    }


_ROW_FIELDS = {field.name for field in dataclasses.fields(RecordingRow)} - {"segments"}
_SEGMENT_FIELDS: dict[str, Any] = {
    field.name: None if field.default is dataclasses.MISSING else field.default
    for field in dataclasses.fields(RowSegment)
}


def read_rows(store: Store) -> Iterator[RecordingRow]:
    """Yield the last row of each recording, the newest run first; memory holds 16 bytes a row.

    Raises:
        InputError: the store cannot be read.
    """
    seen = DigestTable(0)
    names = sorted((file.name for file in store.list(ROWS)), reverse=True)
    for _, data in store.read_many(names):
        for row in _rows_in(data):
            if seen.add(row.id, b""):
                yield row


def _rows_in(data: bytes) -> Iterator[RecordingRow]:
    for line in data.split(b"\n"):
        if line:
            yield parse_row(line)


# ------------------------------------------------------------------------------- finished rows


class DigestTable:
    """A map from texts to a few bytes, for a million texts in a few dozen megabytes.

    Args:
        value_bytes: the length of each value.
    """

    def __init__(self, value_bytes: int) -> None:
        self._record_bytes = KEY_BYTES + value_bytes
        self._buckets = [bytearray() for _ in range(BUCKETS)]
        self._count = 0

    def __len__(self) -> int:
        """Return the number of texts."""
        return self._count

    def get(self, text: str) -> bytes | None:
        """Return the value of a text, None if it has none."""
        key = _digest(text)
        return self._find(self._bucket(key), key)

    def add(self, text: str, value: bytes) -> bool:
        """Set the value of a text that has none; return False if it has one, which stays."""
        key = _digest(text)
        bucket = self._bucket(key)
        if self._find(bucket, key) is not None:
            return False
        bucket += key + value
        self._count += 1
        return True

    def _find(self, bucket: bytearray, key: bytes) -> bytes | None:
        at = bucket.find(key)
        while at >= 0:
            if at % self._record_bytes == 0:
                return bytes(bucket[at + KEY_BYTES : at + self._record_bytes])
            at = bucket.find(key, at + 1)
        return None

    def _bucket(self, key: bytes) -> bytearray:
        return self._buckets[(key[0] << 8 | key[1]) % BUCKETS]


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


class RowState(StrEnum):
    """The state of an input by the rows of a job."""

    NEW = "new"  # there is no row, or that of a failure of another version of the input
    FINISHED = "finished"
    CHANGED = "changed"  # there are results of another version of the input
    FAILED = "failed"
    QUARANTINED = "quarantined"
    HOLES = "holes"


_STATUSES = tuple(RowStatus)


class RowIndex:
    """The state of each recording of a job; 29 bytes for a row.

    An input without a size and a version, as a URL of a manifest is, has the version of its row.
    """

    def __init__(self, rows: Iterable[RecordingRow]) -> None:
        """Read rows, the last one of each recording."""
        self._table = DigestTable(1 + 2 * HASH_BYTES)
        for row in rows:
            number = _STATUSES.index(row.status)
            self._table.add(row.id, bytes([number]) + _place_hash(row) + _version_hash(row))

    def __len__(self) -> int:
        """Return the number of recordings with a row."""
        return len(self._table)

    def state_of(self, recording: Input) -> RowState:
        """Return the state of an input by its row."""
        value = self._table.get(recording.id)
        if value is None or recording.error is not None:
            return RowState.NEW
        status, place, version = _STATUSES[value[0]], value[1:-HASH_BYTES], value[-HASH_BYTES:]
        if status is RowStatus.HOLES:  # it is done in any case
            return RowState.HOLES
        has_version = recording.size_bytes is not None or recording.version is not None
        is_same = place == _place_hash(recording) and (
            not has_version or version == _version_hash(recording)
        )
        if status in FINISHED:
            return RowState.FINISHED if is_same else RowState.CHANGED
        return RowState(status.value) if is_same else RowState.NEW  # it may have been repaired


def is_same_version(row: RecordingRow, recording: Input) -> bool:
    """Return whether a row describes an input with this place, size and version."""
    hashes = _place_hash(row), _version_hash(row)
    return hashes == (_place_hash(recording), _version_hash(recording))


def _place_hash(each: RecordingRow | Input) -> bytes:
    """A hash of the place of a recording; a URL that was signed again is the same place."""
    place = public_url(each.url) if scheme_of(each.url) else files.absolute(each.url)
    return _digest(place)[:HASH_BYTES]


def _version_hash(each: RecordingRow | Input) -> bytes:
    return _digest(f"{each.size_bytes} {each.version}")[:HASH_BYTES]
