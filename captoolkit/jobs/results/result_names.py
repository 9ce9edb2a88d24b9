"""The names of results in OUT: functions of the recording alone, safe in every store.

```
REL/STEM/STEM.001.wav  STEM.manifest.json  STEM.timeline.json
shard-000123.tar  shard-000123.jsonl
```
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from pathlib import PurePosixPath

from captoolkit.jobs.listing.inputs import Input
from captoolkit.media.source import MAX_STEM_BYTES, NAMELESS
from captoolkit.pipeline.segment_names import MANIFEST_ENDING, SegmentNames

_UNFIT = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')
# Windows opens a device under these names, with any ending, and drops dots and spaces at the end.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?=\.|$)", re.IGNORECASE)
_END = re.compile(r"[. ]$")
_STATE_FOLDER = ".captoolkit"


def short_hash(text: str) -> str:
    """Return eight hexadecimal digits that identify a text in a name."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def result_folder(recording: Input) -> str:
    """Return the folder of a recording's results in OUT; no two recordings share one.

    ```python
    >>> result_folder(Input(id="1", url="s3://b/talks/a.wav", relative="talks/a.wav"))
    'talks/a'
    >>> result_folder(Input(id="1", url="/data/a.wav", relative="/../data//a.wav"))
    '_/data/a'

    ```
    """
    *folders, name = recording.relative.replace("\\", "/").split("/")
    parts = [_plain(part) for part in folders if part not in ("", ".")]
    if parts and parts[0] == _STATE_FOLDER:
        parts[0] = f"_{_STATE_FOLDER}"
    return "/".join([*parts, _plain(PurePosixPath(name).stem or NAMELESS)])


def plain_named(recording: Input) -> Input:
    """Return a recording without the hash that `hash_named` has added to its name."""
    path, ending = PurePosixPath(recording.relative), f"-{short_hash(recording.id)}"
    if not path.stem.endswith(ending):
        return recording
    name = f"{path.stem.removesuffix(ending)}{path.suffix}"
    return dataclasses.replace(recording, relative=str(path.with_name(name)))


def hash_named(recording: Input) -> Input:
    """Return a recording with a hash of its id in the name, for a name that another one has.

    ```python
    >>> talk = Input(id="talk.mp3", url="in/talk.mp3", relative="talk.mp3")
    >>> hash_named(talk).relative, plain_named(hash_named(talk)) == talk
    ('talk-8185cc95.mp3', True)

    ```
    """
    path = PurePosixPath(recording.relative)
    name = f"{path.stem}-{short_hash(recording.id)}{path.suffix}"
    return dataclasses.replace(recording, relative=str(path.with_name(name)))


def named_by_file(recording: Input, file: str) -> Input:
    """Return a recording under that of its two names to which a file of its results belongs."""
    folder = file.rpartition("/")[0]
    if not file or folder == result_folder(recording):
        return recording
    names = plain_named(recording), hash_named(recording)
    return next((each for each in names if result_folder(each) == folder), recording)


def result_stem(recording: Input) -> str:
    """Return the beginning of the names of a recording's results."""
    return result_folder(recording).rpartition("/")[2]


def manifest_name(recording: Input) -> str:
    """Return the name of a recording's manifest in OUT."""
    return f"{result_folder(recording)}/{result_stem(recording)}.manifest.json"


def is_segment(file: object, manifest: str) -> bool:
    """Return whether a file that a manifest names is a segment next to it, and no other file.

    ```python
    >>> is_segment("a.001.wav", "talks/a/a.manifest.json")
    True
    >>> is_segment("../../a.001.wav", "talks/a/a.manifest.json")
    False

    ```
    """
    stem = manifest.rpartition("/")[2].removesuffix(MANIFEST_ENDING)
    return isinstance(file, str) and SegmentNames.of(stem).is_segment(file)


def timeline_name(recording: Input) -> str:
    """Return the name of a recording's timeline in OUT."""
    return f"{result_folder(recording)}/{result_stem(recording)}.timeline.json"


def format_name(timeline: str, extension: str) -> str:
    """Return the name of a timeline in a further format, from that of the timeline as JSON.

    ```python
    >>> format_name("talks/a/a.timeline.json", "srt")
    'talks/a/a.srt'

    ```
    """
    return f"{timeline.removesuffix('.timeline.json')}.{extension}"


def tar_key(recording: Input) -> str:
    """Return the beginning of the keys of a recording's segments in a tar file.

    WebDataset ends a key at the first dot of the name, so a name with further dots gets none, and
    a hash instead.

    ```python
    >>> tar_key(Input(id="1", url="a.wav", relative="talks/a.wav"))
    'talks/a'
    >>> tar_key(Input(id="1", url="a.b.wav", relative="talks/a.b.wav"))
    'talks/a_b-6b86b273'

    ```
    """
    folder = result_folder(recording)
    parent, slash, stem = folder.rpartition("/")
    if "." in stem:
        stem = f"{stem.replace('.', '_')}-{short_hash(recording.id)}"
    return f"{parent}{slash}{stem}"


def tar_names(number: int, *, chunk_id: str = "") -> tuple[str, str]:
    """Return the names of a chunk's tar file and of the rows next to it.

    Args:
        number: the number of the chunk in the listing.
        chunk_id: the chunk's id, for recordings that are tried again after the file of their chunk
            was finished.
    """
    stem = f"shard-{number:06d}{f'-{chunk_id}' if chunk_id else ''}"
    return f"{stem}.tar", f"{stem}.jsonl"


def _plain(part: str) -> str:
    """A name that names no parent folder, fits into every file system, and differs if cut off."""
    name = _UNFIT.sub("_", part)
    name = "_" if name in ("", ".", "..") else _END.sub("_", name)
    name = f"_{name}" if _DEVICE.match(name) else name
    if len(name) <= MAX_STEM_BYTES // 4:
        return name
    data = name.encode("utf-8", "surrogateescape")
    if len(data) <= MAX_STEM_BYTES:
        return name
    return f"{data[: MAX_STEM_BYTES - 10].decode('utf-8', 'ignore')}-{short_hash(part)}"
