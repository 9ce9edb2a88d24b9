"""A finished segment on disk, ready for whoever wants it: as a path, as bytes, as samples."""

from __future__ import annotations

import base64
import functools
import os
import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captoolkit.errors import UsageError
from captoolkit.media import decode, probe_file
from captoolkit.model import Segment, Via
from captoolkit.support import files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(slots=True, weakref_slot=True, eq=False)
class Folder:
    """Where segments lie. They follow when it moves from its staging place to its final one.

    A staging folder goes with the last segment that lies in it, or when it is removed.
    """

    path: Path
    remove: Callable[[], object] = field(default=lambda: None, repr=False)

    @classmethod
    def staging(cls, parent: Path | None) -> Folder:
        """Make a hidden folder inside `parent`, the system's temporary one if None."""
        folder = cls(files.make_staging(parent))
        # Whatever a first removal could not take, a second one may.
        folder.remove = functools.partial(_remove, folder.path, os.getpid())
        weakref.finalize(folder, folder.remove)
        return folder

    def __reduce__(self) -> tuple[type[Folder], tuple[Path]]:
        """A copy in another process may use what lies here, and does not own it."""
        return Folder, (self.path,)


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # a fork's copy of us owns nothing
        files.remove_folder(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadySegment(Segment):
    """A segment whose file can be used now.

    The file is there until its `Prepared` is closed; `Prepared.save` makes it stay.

    Attributes:
        via: how it is to travel to a service.
        url: where on the web the same bytes lie, if it is to travel that way; it may be signed.
    """

    folder: Folder = field(repr=False, compare=False)
    via: Via = Via.BASE64
    url: str | None = field(default=None, repr=False, compare=False)

    @property
    def path(self) -> Path:
        """Where the file is now."""
        return self.folder.path / self.file

    @property
    def start_s(self) -> float:
        """Where it begins on the source's clock, in seconds (for showing)."""
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
        """Return `data:MEDIA_TYPE;base64,...` without line breaks, as services want it.

        The media type is left out by default: so do the services' own samples.
        """
        return f"data:{media_type};base64,{base64.b64encode(self.read_bytes()).decode('ascii')}"

    def samples(self) -> decode.TrackDecoder:
        """Decode the segment at its own rate and channels, block by block (a context manager)."""
        info = probe_file.probe(self.path)
        return decode.TrackDecoder(self.path, track=info.default_track)

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

        with warnings.catch_warnings():  # it warns of an ffmpeg missing on PATH; none is needed
            warnings.simplefilter("ignore")
            import pydub

        array, rate_hz = self.to_array()
        scaled = np.clip(np.rint(array * 32768), -32768, 32767).astype("<i2")
        return pydub.AudioSegment(
            scaled.tobytes(), sample_width=2, frame_rate=rate_hz, channels=array.shape[1]
        )
