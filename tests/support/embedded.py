"""Media files with everything that `embed` has to keep, and timelines to embed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mutagen.id3 import GEOB, ID3, POPM, SYLT, TPE1, UFID, USLT, WXXX

ID3V1 = b"TAG" + b"An old title".ljust(125, b"\0")


def add_rare_frames(path: Path, *, version: int) -> None:
    """Add ID3 frames that ffmpeg does not carry to an MP3, and an ID3v1 tag at its end."""
    read: Any = ID3
    makers: list[Any] = [UFID, POPM, GEOB, SYLT, WXXX, TPE1, USLT]
    fields: list[dict[str, Any]] = [
        {"owner": "http://a.example", "data": b"id"},
        {"email": "a@b.example", "rating": 196, "count": 7},
        {"encoding": 0, "mime": "a/b", "filename": "x", "desc": "d", "data": b"\0\1\xff\0"},
        {"encoding": 1, "lang": "eng", "format": 2, "type": 1, "desc": "", "text": [("la", 10)]},
        {"encoding": 1, "desc": "d", "url": "http://b.example"},
        {"encoding": 1, "text": ["First", "Second"]},
        {"encoding": 1, "lang": "eng", "desc": "", "text": "la\nla"},
    ]
    tag = read(path)
    for make, values in zip(makers, fields, strict=True):
        tag.add(make(**values))
    tag.save(path, v2_version=version, v23_sep=None)
    with path.open("ab") as stream:
        stream.write(ID3V1)
