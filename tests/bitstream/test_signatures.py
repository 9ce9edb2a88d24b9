"""The container of a file by its first bytes."""

from __future__ import annotations

import pytest

from captoolkit.bitstream.containers import CONTAINERS
from captoolkit.bitstream.signatures import AMBIGUOUS_FORMS, OTHER_MAGICS, by_signature, magics


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"RIFF\0\0\0\0WAVEfmt ", "wav"),
        (b"RIFF\0\0\0\0WEBPVP8 ", None),
        (b"FORM\0\0\0\0AIFCFVER", "aiff"),
        (b"\0\0\0\x20ftypM4A ", "m4a"),
        (b"\0\0\0\x20ftypisom", "mp4"),
        (b"\0\0\0\x20ftypheic", None),
        (b"ID3\4\0\0\0\0\0\0", "mp3"),
        (b"fLaC\0\0\0\x22", "flac"),
        (b"\xff\xfb\x90\x64", None),
        (b"", None),
    ],
)
def test_a_container_is_recognized_by_its_first_bytes(head: bytes, name: str | None) -> None:
    """Pictures and frames without a header have none."""
    found = by_signature(head)
    assert (found and found.name) == name


def test_each_signature_has_a_row() -> None:
    """A signature names a container of the table, or one with the defaults of a row."""
    names = {name for forms in AMBIGUOUS_FORMS.values() for name in forms.values()}
    assert names <= set(CONTAINERS)
    assert {*OTHER_MAGICS.values()} - set(CONTAINERS) <= {"mpc8"}
    for row in CONTAINERS.values():
        for magic in row.magics:
            assert magic in magics()
            found = by_signature(magic + bytes(60))
            assert found is row or magic in AMBIGUOUS_FORMS
