"""Frames that are missing from the middle of a FLAC, as after a copy that lost some bytes.

Every decoder goes on with the next frame, so that all later sound is early. The numbers of the
frames tell how much is missing, and silence takes its place: ffmpeg decodes a mended copy
(`flac_mending`) in the temporary folder.

Rules: a file is searched once, where a decoder has met a fault, or where ffmpeg decodes: it would
jump to a wrong place behind a hole. The holes are kept for the warning about the recording. A file
with too many false headers of frames is refused: each could stand for some seconds of sound.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from captoolkit.bitstream import flac_mending
from captoolkit.bitstream.flac_pieces import FlacPieces
from captoolkit.errors import NotMediaError
from captoolkit.model import Span, Track
from captoolkit.support import files
from captoolkit.support.forked import PerProcess
from captoolkit.support.recent_files import RecentFiles, state_of

_HOLES: RecentFiles[tuple[Span, ...]] = RecentFiles(64)
_SEARCHING = PerProcess(threading.Lock)


def is_damaged(path: Path, track: Track) -> bool:
    """Return whether frames are missing from the middle of a file, or have a wrong checksum.

    Raises:
        NotMediaError: it holds more headers of frames than frames.
    """
    if track.codec != "flac" or track.counted:  # without a length the numbers may mean anything
        return False
    state = state_of(path)
    with _SEARCHING.value:  # the other threads that decode the file wait for the result
        holes = _HOLES.get(state, "")
        if holes is None:
            try:
                holes = tuple(_find_holes(path, track))
            except flac_mending.FalseHeadersError as error:
                raise NotMediaError(
                    "it cannot be decoded (it holds more headers of FLAC frames than frames)",
                    fix="check how the file was made",
                    path=path,
                ) from error
            _HOLES.put(state, "", holes)
    return bool(holes)


def _find_holes(path: Path, track: Track) -> Iterator[Span]:
    total, at = track.duration_samples, 0
    try:
        with path.open("rb") as stream:
            pieces = FlacPieces(stream, start=0, total=total)
            frames = flac_mending.whole_frames(pieces, stream, total) if pieces.is_usual else ()
            for frame in frames:
                if at < frame.begin:
                    yield Span(
                        start_samples=at, end_samples=frame.begin, rate_hz=track.sample_rate_hz
                    )
                at = frame.end
    except OSError:  # the decoder reports it
        return


def write_mended(path: Path, track: Track, start: int, end: int, copy: Path) -> int:
    """Write the samples [start, end) of a file as a FLAC without holes; return its first sample.

    Raises:
        OutputError: the copy cannot be written, or the file not be read.
    """
    with path.open("rb") as stream, files.writing(copy), copy.open("wb") as mended:
        pieces = FlacPieces(stream, start=start, total=track.duration_samples)
        first = pieces.sample
        mended.writelines(flac_mending.mended(pieces, stream, end))
    return first


def warnings(path: Path) -> list[str]:
    """Return the holes that were found in a file so far, as a sentence; none for a whole file."""
    holes = _HOLES.get(state_of(path), "")
    if not holes:
        return []
    total_s, first_s = sum(hole.duration_s for hole in holes), holes[0].start_s
    places = "after" if len(holes) == 1 else f"in {len(holes):,} places, first after"
    return [
        f"{total_s:.3f} s of its sound are missing or damaged {places} {first_s:.3f} s; silence "
        "takes their place."
    ]
