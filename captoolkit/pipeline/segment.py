"""A finished segment: its file as path, bytes, samples or `AudioSegment`, or its caption."""

from __future__ import annotations

import base64
import functools
import os
import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captoolkit.errors import UsageError
from captoolkit.media import decode, probe_file
from captoolkit.model import Caption, Segment, Track, Via
from captoolkit.support import files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# The number of frames before a block, their rate, and the block; None after the last one.
OnDecoded = Callable[[int, int, "NDArray[np.float32] | None"], None]


@dataclass(slots=True, weakref_slot=True, eq=False)
class Folder:
    """The folder of some segments; when its `path` changes, their paths change as well.

    A staging folder is removed by `remove`, or with the last object that refers to it.
    """

    path: Path
    remove: Callable[[], object] = field(default=lambda: None, repr=False)

    @classmethod
    def staging(cls, parent: Path | None) -> Folder:
        """Create a hidden folder inside `parent`, or in the system's temporary folder if None."""
        folder = cls(files.make_staging(parent))
        # `remove` may be called twice: the second call removes files that appeared meanwhile.
        folder.remove = functools.partial(_remove, folder.path, os.getpid())
        weakref.finalize(folder, folder.remove)
        return folder

    def __reduce__(self) -> tuple[type[Folder], tuple[Path]]:
        """Pickle as a folder that uses the same path and does not remove it."""
        return Folder, (self.path,)


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked process does not own the folder
        files.remove_folder(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadySegment(Segment):
    """A segment with a finished file, or one that a captioner measured while it was decoded.

    The file exists until its `Prepared` is closed; `Prepared.save` keeps it.

    Attributes:
        folder: the folder of the file.
        via: how the segment is sent to a service.
        url: the URL of the same bytes, if it is sent as a URL; may be signed.
        on_decoded: receives the blocks of `samples` while they are read.
        captioned: the caption of a segment that was measured while it was decoded, or the
            captioner's error; None for a segment with a file.

    It is pickled without `on_decoded`, which belongs to this process.
    """

    folder: Folder = field(repr=False, compare=False)
    via: Via = Via.BASE64
    url: str | None = field(default=None, repr=False, compare=False)
    on_decoded: OnDecoded | None = field(default=None, repr=False, compare=False)
    captioned: Caption | Exception | None = field(default=None, repr=False, compare=False)

    def __getstate__(self) -> list[Any]:
        """Return the values of the fields, which pickle stores."""
        names = (each.name for each in fields(self))
        return [None if name == "on_decoded" else getattr(self, name) for name in names]

    @property
    def path(self) -> Path:
        """The path of the file now.

        Raises:
            UsageError: the segment has no file.
        """
        if not self.file:
            raise UsageError(
                f"segment {self.index} has no file: it was captioned while it was decoded",
                fix="prepare the source to get files",
            )
        return self.folder.path / self.file

    @property
    def start_s(self) -> float:
        """The start on the source's clock in seconds, for display."""
        return self.source_span.start_s

    def read_bytes(self) -> bytes:
        """Return the file's bytes."""
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            raise UsageError(
                f"segment {self.index} is gone: its file lasts until the preparation is closed",
                fix="read it inside the with block, or keep it with save()",
                path=self.path,
            ) from None

    def data_uri(self, media_type: str = "") -> str:
        """Return `data:MEDIA_TYPE;base64,...` without line breaks, as services expect it.

        The media type is empty by default, as in the services' own examples.
        """
        return f"data:{media_type};base64,{base64.b64encode(self.read_bytes()).decode('ascii')}"

    def samples(self) -> decode.TrackDecoder:
        """Decode the segment at its own rate and channels, block by block (a context manager)."""
        track = probe_file.probe(self.path).default_track
        if self.on_decoded is None:
            return decode.TrackDecoder(self.path, track=track)
        return _ReportingDecoder(self.path, track=track, on_decoded=self.on_decoded)

    def to_array(self) -> tuple[NDArray[np.float32], int]:
        """Return all samples, shape (frames, channels), float32 in [-1, 1], and their rate."""
        import numpy as np

        with self.samples() as samples:
            blocks = list(samples)
            empty = np.zeros((0, samples.channels), np.float32)
            return np.concatenate([empty, *blocks]), samples.rate_hz

    def to_audiosegment(self) -> Any:
        """Return a 16-bit `pydub.AudioSegment`."""
        import numpy as np

        with warnings.catch_warnings():  # pydub warns if PATH has no ffmpeg; it needs none here
            warnings.simplefilter("ignore")
            import pydub

        array, rate_hz = self.to_array()
        scaled = np.clip(np.rint(array * 32768), -32768, 32767).astype("<i2")
        return pydub.AudioSegment(
            scaled.tobytes(), sample_width=2, frame_rate=rate_hz, channels=array.shape[1]
        )


class _ReportingDecoder(decode.TrackDecoder):
    """A decoder that reports its blocks."""

    def __init__(self, path: Path, *, track: Track, on_decoded: OnDecoded) -> None:
        super().__init__(path, track=track)
        self._on_decoded = on_decoded

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield the blocks."""
        at = 0
        for block in super().__iter__():
            self._on_decoded(at, self.rate_hz, block)
            at += len(block)
            yield block
        self._on_decoded(at, self.rate_hz, None)
