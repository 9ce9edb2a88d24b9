"""The verb `probe`."""

from __future__ import annotations

import io
from pathlib import Path

from captoolkit.api.probe import probe
from tests.support.sound import tone, write_wav


def test_every_type_of_source_is_probed_alike(tmp_path: Path) -> None:
    """A path, bytes and a stream give the same content, under the caller's name."""
    source = write_wav(tmp_path / "a.wav", tone(3.0, rate_hz=8_000), rate_hz=8_000)
    found = probe(source)
    assert found.path == str(source)
    for same in (source.read_bytes(), io.BytesIO(source.read_bytes()), str(source)):
        again = probe(same)
        assert (again.tracks, again.container) == (found.tracks, found.container)
