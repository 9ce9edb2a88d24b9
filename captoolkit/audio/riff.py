"""The head of a WAV: whether every reader understands it.

A plain header is `RIFF`/`WAVE` whose `fmt ` chunk names its codec in the first two bytes.
`WAVE_FORMAT_EXTENSIBLE` hides it in a GUID, `RF64` and `BW64` move the sizes elsewhere: correct,
but not what a service's page means by "WAV (PCM)".
"""

from __future__ import annotations

from pathlib import Path

EXTENSIBLE = 0xFFFE
UNKNOWN_BYTES = 0xFFFFFFFF
PADDING_BYTES = 1  # a chunk of odd length is padded; some writers count the byte and leave it out
HEAD_BYTES = 1 << 16


def missing_bytes(file: Path) -> int:
    """Return how many bytes the file lacks of what its RIFF header promises; 0 for a whole one.

    A writer that could not go back to fill the size in leaves 0 or the largest number there.
    """
    with file.open("rb") as stream:
        head = stream.read(8)
        size = stream.seek(0, 2)
    promised = int.from_bytes(head[4:8], "little")
    if head[:4] != b"RIFF" or promised in (0, UNKNOWN_BYTES):
        return 0
    return max(0, promised + len(head) - size - PADDING_BYTES)


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
