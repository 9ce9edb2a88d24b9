"""One decode of a track, only to measure it: how loud it is over its length.

Rules: block by block, so memory does not grow with the recording; nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from captoolkit.bitstream.encodings import MODEL_RATE_HZ
from captoolkit.dsp.envelope import EnvelopeMeter
from captoolkit.dsp.silence import HopLevelMeter, Levels
from captoolkit.media import decode
from captoolkit.media.decode import decoded
from captoolkit.model import Envelope, Plan, Track
from captoolkit.planning.cuts import places
from captoolkit.planning.frame_cuts import movable
from captoolkit.units import rescale


def levels_db(path: Path, track: Track) -> Levels:
    """Return the level of each 100 ms of a track in dBFS, as `planning.silence` counts them.

    Raises:
        NotMediaError: it cannot be decoded.
        ToolError: ffmpeg failed.
    """
    meter = HopLevelMeter(MODEL_RATE_HZ)
    with decode.Decoder(path, track=track, rate_hz=MODEL_RATE_HZ) as decoder:
        for block in decoded(decoder, path):
            meter.feed(block)
    return meter.levels_db()


def quiet_places(path: Path, plan: Plan) -> Mapping[int, int]:
    """Return where the cuts of a plan would be made: a sample of the track for each planned one.

    Frames that are kept are cut at the boundary nearest to it. A cut that may not move is not
    among them.

    Raises:
        NotMediaError: it cannot be decoded.
        ToolError: ffmpeg failed.
    """
    track, windows = plan.track, movable(plan)
    if not windows:
        return {}
    source_hz = track.sample_rate_hz
    rate_hz = plan.encoding.sample_rate_hz if plan.encoding else MODEL_RATE_HZ
    heard = [one.at_rate(source_hz, rate_hz) for one in windows]
    with decode.Decoder(path, track=track, rate_hz=rate_hz, mix=plan.mix) as decoder:
        found = places(decoded(decoder, path), heard, rate_hz=rate_hz)
    return {
        one.balanced: rescale(at, rate_hz, source_hz)
        for one, at in zip(windows, found, strict=False)
    }


def envelope(path: Path, track: Track) -> Envelope:
    """Return how loud a track is over its length, at its own rate and in all its channels.

    Raises:
        NotMediaError: it cannot be decoded.
        ToolError: ffmpeg failed.
    """
    meter = EnvelopeMeter(track.sample_rate_hz)
    with decode.Decoder(path, track=track) as decoder:
        for block in decoded(decoder, path):
            meter.feed(block)
    return meter.envelope()
