"""Tests of how results record the run that made them."""

from __future__ import annotations

import os
from pathlib import Path

from captoolkit.support import files
from captoolkit.support.provenance import Provenance, source_difference


def test_a_difference_names_the_options() -> None:
    """Both values of each differing option are in the text."""
    made = Provenance(verb="caption", options={"segment": 30, "via": "base64"})
    other = Provenance(verb="caption", options={"via": "base64", "prompt": "Birds?"})
    assert made.difference(other) == (
        "was made with segment=30, no prompt, not with no segment, prompt=Birds?"
    )
    assert not made.difference(Provenance(**made.fields()))
    assert made.difference(Provenance(verb="split", options={})) == (
        "was made by caption, not by split"
    )


def test_a_source_is_the_same_by_its_time_or_its_bytes(tmp_path: Path) -> None:
    """A copy and a touched file are the same source, other bytes are not."""
    source, copy = tmp_path / "a.wav", tmp_path / "b.wav"
    source.write_bytes(b"sound")
    copy.write_bytes(b"sound")

    def difference(file: Path, sha256: str = files.sha256(source)) -> str:
        return source_difference(
            file, path=str(source), sha256=sha256, size_bytes=5, modified_ns=1_000
        )

    assert not difference(copy)
    assert not difference(source)
    os.utime(source, ns=(1_000, 1_000))
    assert not difference(source, sha256="not computed")
    source.write_bytes(b"noise")
    copy.write_bytes(b"other sound")
    assert difference(source) == "was made before its source changed"
    assert difference(copy) == f"was made from {source}"
