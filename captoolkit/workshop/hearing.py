"""One decode of a track, only to measure it: how loud it is over its length.

Rules: block by block, so memory does not grow with the recording; nothing is written.
"""

from __future__ import annotations

from pathlib import Path

from captoolkit.audio import pcm
from captoolkit.model import Envelope, Track
from captoolkit.planning.envelope import EnvelopeMeter
from captoolkit.planning.ladder import MODEL_RATE_HZ
from captoolkit.planning.silence import Levels, Meter
from captoolkit.workshop.stream import decoded


def levels_db(path: Path, track: Track) -> Levels:
    """Return the level of each 100 ms of a track in dBFS, as `planning.silence` counts them.

    Raises:
        NotMediaError: it cannot be decoded.
        ToolError: ffmpeg failed.
    """
    meter = Meter(MODEL_RATE_HZ)
    with pcm.Decoder(path, track=track, rate_hz=MODEL_RATE_HZ) as decoder:
        for block in decoded(decoder, path):
            meter.listen(block)
    return meter.levels_db()


def envelope(path: Path, track: Track) -> Envelope:
    """Return how loud a track is over its length, at its own rate and in all its channels.

    Raises:
        NotMediaError: it cannot be decoded.
        ToolError: ffmpeg failed.
    """
    meter = EnvelopeMeter(track.sample_rate_hz)
    with pcm.Decoder(path, track=track) as decoder:
        for block in decoded(decoder, path):
            meter.listen(block)
    return meter.envelope()
