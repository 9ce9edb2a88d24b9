"""Frames that are missing from the middle of a FLAC, as after a copy that lost some bytes.

Every decoder goes on with the next frame, so that all later sound is early. The numbers of the
frames tell how much is missing, and `decode` puts silence in its place.

Rules: a file is searched where a decoder has met a fault, or where ffmpeg decodes. The holes are
kept for the warning about the recording.
"""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

from captoolkit.bitstream.flac_pieces import FlacPieces
from captoolkit.model import Span, Track
from captoolkit.support.recent_files import RecentFiles, state_of

_HOLES: RecentFiles[frozenset[Span]] = RecentFiles(64)
_ADDING = threading.Lock()


def stretches(path: Path, track: Track, start: int, end: int) -> list[tuple[int, int]]:
    """Return the parts of the samples [start, end) that a file holds; one for a whole file."""
    whole = [(start, end)]
    if track.codec != "flac" or track.counted:  # without a length the numbers may mean anything
        return whole
    try:
        with path.open("rb") as stream:
            pieces = FlacPieces(stream, start=start, total=track.duration_samples)
            found = pieces.stretches(end) if pieces.is_usual else whole
    except OSError:
        return whole
    if len(found) == 1:
        return whole
    rate_hz, state = track.sample_rate_hz, state_of(path)
    holes = frozenset(
        Span(start_samples=before[1], end_samples=after[0], rate_hz=rate_hz)
        for before, after in itertools.pairwise(found)
    )
    with _ADDING:
        _HOLES.put(state, "", holes | (_HOLES.get(state, "") or frozenset()))
    return [
        (max(begin, start), min(stop, end)) for begin, stop in found if begin < end and stop > start
    ]


def warnings(path: Path) -> list[str]:
    """Return the holes that were found in a file so far, as a sentence; none for a whole file."""
    holes = sorted(_HOLES.get(state_of(path), "") or ())
    if not holes:
        return []
    total_s, first_s = sum(hole.duration_s for hole in holes), holes[0].start_s
    places = "after" if len(holes) == 1 else f"in {len(holes):,} places, first after"
    return [
        f"{total_s:.3f} s of its sound are missing {places} {first_s:.3f} s; silence takes their "
        "place."
    ]
