"""The container of a file by its first bytes.

Rules: the first four bytes of most containers are in their rows (`Container.magics`). This module
has the rest: longer or shorter signatures, and those that several kinds of files share.
"""

from __future__ import annotations

from captoolkit.bitstream.containers import CONTAINERS, MP4_DEMUXER, Container, of, recognized

# First bytes of media that `Container.magics` does not list, or lists for more kinds than media.
OTHER_MAGICS = {
    b"fLaC": "flac", b"ID3": "mp3", b"#!AMR": "amr", b".snd": "au", b"wvpk": "wv", b"MAC ": "ape",
    b"TTA1": "tta", b"tBaK": "tak", b"MPCK": "mpc8",
}  # fmt: skip
AMBIGUOUS_FORMS = {
    b"RIFF": {b"WAVE": "wav", b"AVI ": "avi"}, b"FORM": {b"AIFF": "aiff", b"AIFC": "aiff"},
}  # fmt: skip
PICTURE_BRANDS = (b"hei", b"hev", b"mif1", b"msf1", b"avi", b"crx", b"jxl")


def magics() -> frozenset[bytes]:
    """Return the first four bytes of all containers that a stream of frames cannot begin with."""
    return frozenset(magic for row in CONTAINERS.values() for magic in row.magics)


def by_signature(head: bytes) -> Container | None:
    """Return the container that a file has by its first bytes; None if they are of none.

    Pictures have none. Streams of frames, such as MP3 without tags, are not recognized.

    ```python
    >>> by_signature(b"RIFF....WAVEfmt ").title, by_signature(b"RIFF....WEBPVP8 ")
    ('WAV', None)

    ```
    """
    magic = head[:4]
    if magic in AMBIGUOUS_FORMS:
        name = AMBIGUOUS_FORMS[magic].get(head[8:12], "")
    elif head[4:8] == b"ftyp":
        is_picture = head[8:12].startswith(PICTURE_BRANDS)
        name = "" if is_picture else recognized(MP4_DEMUXER, head[8:12].decode("latin-1"))
    else:
        name = next((row.name for row in CONTAINERS.values() if magic in row.magics), "")
        name = name or next((OTHER_MAGICS[one] for one in OTHER_MAGICS if head.startswith(one)), "")
    return of(name) if name else None
