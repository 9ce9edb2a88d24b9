"""The head of a WAV: whether every reader understands it.

A plain header is `RIFF`/`WAVE` whose `fmt ` chunk names its codec in the first two bytes.
`WAVE_FORMAT_EXTENSIBLE` hides it in a GUID, `RF64` and `BW64` move the sizes elsewhere: correct,
but not what a service's page means by "WAV (PCM)".
"""

from __future__ import annotations

from pathlib import Path

EXTENSIBLE = 0xFFFE
HEAD_BYTES = 1 << 16


def has_plain_header(file: Path) -> bool:
    """Return whether the file is a RIFF WAV that states its codec the plain way."""
    with file.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return False
    at = 12
    while at + 8 <= len(head):
        name, size = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        if name == b"fmt ":
            return int.from_bytes(head[at + 8 : at + 10], "little") != EXTENSIBLE
        at += 8 + size + size % 2
    return False
