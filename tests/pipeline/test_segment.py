from __future__ import annotations

import base64
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from captoolkit.errors import SourceNotFoundError
from captoolkit.model import Span
from captoolkit.pipeline.segment import Folder, ReadySegment
from tests.support.processes import has_children
from tests.support.sound import noise, write_wav


@pytest.fixture
def segment(tmp_path: Path) -> ReadySegment:
    """A finished stereo segment of 0.75 s."""
    sound = noise(0.75, rate_hz=16_000, channels=2)
    path = write_wav(tmp_path / "talk.001.wav", sound, rate_hz=16_000)
    return ReadySegment(
        index=1,
        source_span=Span(start_samples=0, end_samples=12_000, rate_hz=16_000),
        file=path.name,
        size_bytes=path.stat().st_size,
        sha256="",
        folder=Folder(tmp_path),
    )


def test_a_segment_follows_its_folder(segment: ReadySegment, tmp_path: Path) -> None:
    """When the folder moves, the segment's path changes."""
    assert segment.path == tmp_path / "talk.001.wav"
    (tmp_path / "final").mkdir()
    segment.path.rename(tmp_path / "final" / segment.file)
    segment.folder.path = tmp_path / "final"
    assert segment.path == tmp_path / "final" / "talk.001.wav"
    assert len(segment.read_bytes()) == segment.size_bytes


def test_segments_are_compared_by_what_they_are(segment: ReadySegment, tmp_path: Path) -> None:
    """The folder is no part of a segment's equality."""
    assert dataclasses.replace(segment, folder=Folder(tmp_path / "other")) == segment


@pytest.mark.parametrize("media_type", ["", "audio/wav"])
def test_the_data_uri_is_the_file(segment: ReadySegment, media_type: str) -> None:
    """The URI holds the bytes in one line of Base64; the media type is optional."""
    head, _, body = segment.data_uri(media_type).partition(",")
    assert head == f"data:{media_type};base64"
    assert base64.b64decode(body, validate=True) == segment.path.read_bytes()


def test_the_samples_come_as_an_array(segment: ReadySegment) -> None:
    """All samples, float32, frames by channels, with their rate."""
    array, rate_hz = segment.to_array()
    assert (array.shape, array.dtype, rate_hz) == ((12_000, 2), np.dtype(np.float32), 16_000)
    truth = noise(0.75, rate_hz=16_000, channels=2)
    np.testing.assert_allclose(array, truth, atol=1 / 32768)


def test_the_samples_come_as_an_audiosegment(segment: ReadySegment) -> None:
    """A pydub segment holds the same 16-bit samples, interleaved."""
    sound = segment.to_audiosegment()
    assert (sound.frame_rate, sound.channels, sound.sample_width) == (16_000, 2, 2)
    data = segment.path.read_bytes()
    assert sound.raw_data == data[data.index(b"data") + 8 :]


def test_the_samples_come_block_by_block(segment: ReadySegment) -> None:
    """Decoding can stop at any time and leaves no process."""
    with segment.samples() as blocks:
        assert next(iter(blocks)).shape == (12_000, 2)
    assert not has_children()


def test_a_segment_that_is_gone_says_so(segment: ReadySegment) -> None:
    """After its preparation is closed a segment has no samples."""
    segment.path.unlink()
    with pytest.raises(SourceNotFoundError):
        segment.to_array()
