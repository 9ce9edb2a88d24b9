from __future__ import annotations

import hashlib
import threading
from fractions import Fraction
from pathlib import Path

import pytest

from captoolkit.errors import SourceNotFoundError
from captoolkit.model import Span
from captoolkit.pipeline.job import CHUNK_BYTES, Hashing, Job
from captoolkit.pipeline.segment import Folder
from captoolkit.pipeline.segment_names import SegmentNames
from captoolkit.pipeline.supervisor import Supervisor
from captoolkit.planning.options import ParsedOptions
from captoolkit.planning.prepare_plan import make_plan
from tests.support.media_values import CAPTIONER, media, track


def hashing_threads() -> list[threading.Thread]:
    """The running threads that hash."""
    return [thread for thread in threading.enumerate() if thread.name == "captoolkit-hash"]


def test_a_job_names_and_describes_segments(tmp_path: Path) -> None:
    """Name, path, size and digest are those of the file."""
    sound = track(6)
    plan = make_plan(
        media(sound), sound, CAPTIONER, options=ParsedOptions(format="mp3", segment_s=Fraction(1))
    )
    job = Job(
        plan=plan,
        source=tmp_path / "a.flac",
        folder=Folder(tmp_path),
        names=SegmentNames.of("talk"),
    )
    span = Span(start_samples=3, end_samples=5, rate_hz=44_100)
    job.path(2).write_bytes(b"sound")

    segment = job.describe(2, span)

    assert (segment.index, segment.file, segment.path) == (2, "talk.002.mp3", job.path(2))
    assert job.path(2) == tmp_path / "talk.002.mp3"
    assert (segment.size_bytes, segment.source_span) == (5, span)
    assert segment.sha256 == hashlib.sha256(b"sound").hexdigest()


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, 3 * CHUNK_BYTES + 1])
def test_the_hash_of_a_source(tmp_path: Path, size: int) -> None:
    """The digest covers the whole file of any length, and `result` can be called again."""
    path = tmp_path / "source"
    path.write_bytes(b"x" * size)
    with Supervisor(jobs=1) as supervisor:
        hashing = Hashing(path, supervisor)
        truth = hashlib.sha256(b"x" * size).hexdigest()
        assert (hashing.result(), hashing.result()) == (truth, truth)
    assert hashing_threads() == []


@pytest.mark.parametrize("missing", ["nothing", "folder"])
def test_a_source_that_cannot_be_read_is_an_error(tmp_path: Path, missing: str) -> None:
    """`result` raises the error of the thread, and the error names the file."""
    (tmp_path / "folder").mkdir()
    with Supervisor(jobs=1) as supervisor:
        hashing = Hashing(tmp_path / missing, supervisor)
        with pytest.raises(SourceNotFoundError, match="no longer be read") as caught:
            hashing.result()
    assert caught.value.path == str(tmp_path / missing)


def test_hashing_ends_with_its_supervisor(tmp_path: Path) -> None:
    """`close` does not wait until a long source is read to its end."""
    path = tmp_path / "source"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)  # takes no room on the disk, and an hour to read
    supervisor = Supervisor(jobs=1)
    Hashing(path, supervisor)
    supervisor.close()
    assert hashing_threads() == []


def test_a_stopped_hash_does_not_pass_for_a_whole_one(tmp_path: Path) -> None:
    """A digest of only a part of the source is not returned: the result is empty."""
    path = tmp_path / "source"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)  # takes no room on the disk, and an hour to read
    with Supervisor(jobs=1) as supervisor:
        hashing = Hashing(path, supervisor)
        supervisor.halt()
        assert hashing.result() == ""
