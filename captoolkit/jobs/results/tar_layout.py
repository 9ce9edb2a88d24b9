"""The tar layout: the segments of a chunk in one file that WebDataset reads.

```
shard-000123.tar     talks/a_001.json talks/a_001.wav talks/a_002.json ...
shard-000123.jsonl   the rows of its recordings, without the times that differ between runs
```

Rules: members are sorted, their time is 0 and their owner nobody. A key is the path without its
ending, and holds no dot in its last part: WebDataset ends a key there. The rows are written after
the tar file, and mark it as complete. The same recordings give the same bytes.
"""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.results.recording_rows import RecordingRow, parse_row, render_row
from captoolkit.jobs.results.result_names import tar_key
from captoolkit.support.cancel import Closing
from captoolkit.support.exact_json import escape

MEMBER_MARK = "#"  # between the name of the tar file and that of the member


class TarShard(Closing):
    """A tar file that is written.

    Args:
        path: the file.
        name: its name in OUT.
    """

    def __init__(self, path: Path, *, name: str) -> None:
        self._tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - see `close`
        self._name = name
        self.members = 0

    def close(self) -> None:
        """Complete the file."""
        self._tar.close()

    def add(
        self, recording: Input, document: Mapping[str, Any], folder: Path, row: RecordingRow
    ) -> RecordingRow:
        """Add the segments of a recording, and return its row with their members.

        Args:
            recording: the input.
            document: its manifest.
            folder: the folder with the segments.
            row: its row.
        """
        key, width = tar_key(recording), max(3, len(str(len(row.segments))))
        segments = []
        for each, segment in zip(document["segments"], row.segments, strict=True):
            stem = f"{key}_{each['index']:0{width}d}"
            facts = {"id": row.id, "url": row.url, "index": each["index"]}
            facts |= {name: each[name] for name in ("start_s", "end_s", "duration_s", "sha256")}
            text = escape(json.dumps(facts, ensure_ascii=False)).encode()
            self._add(f"{stem}.json", io.BytesIO(text), len(text))
            path = folder / each["file"]
            member = f"{stem}{path.suffix}"
            with path.open("rb") as stream:
                self._add(member, stream, path.stat().st_size)
            file = f"{self._name}{MEMBER_MARK}{member}"
            segments.append(dataclasses.replace(segment, file=file))
        return dataclasses.replace(row, segments=tuple(segments))

    def _add(self, name: str, stream: BinaryIO, size_bytes: int) -> None:
        member = tarfile.TarInfo(name)  # of root, from 1970
        member.size, member.mode = size_bytes, 0o644
        self._tar.addfile(member, stream)
        self.members += 1


def in_order(inputs: Iterable[Input]) -> list[Input]:
    """Return recordings in the order of their members."""
    return sorted(inputs, key=lambda each: f"{tar_key(each)}_")


def render_rows(rows: Iterable[RecordingRow]) -> bytes:
    """Return the rows of a tar file without what differs between runs."""
    return "".join(
        render_row(dataclasses.replace(row, worker_s=0.0, tries=1)) for row in rows
    ).encode()


def parse_rows(data: bytes) -> list[RecordingRow]:
    """Return the rows of a tar file."""
    return [parse_row(line) for line in data.splitlines() if line]
