"""Measure a track in one decode: its levels, envelope, peak and loudness.

Rules: block by block, so that memory does not grow with the recording; nothing is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from captoolkit.bitstream.encodings import MODEL_RATE_HZ
from captoolkit.dsp.envelope import BLOCK_FRAMES, EnvelopeMeter
from captoolkit.dsp.loudness import LoudnessMeter
from captoolkit.dsp.peaks import PeakMeter, TruePeakMeter
from captoolkit.dsp.quietest import PowerMeter, hop_samples
from captoolkit.dsp.silence import HopLevelMeter, Levels
from captoolkit.dsp.spectrogram import SpectrogramMeter
from captoolkit.dsp.tiles import HopGrid, Tiler, zero_faulty_samples
from captoolkit.media import decode
from captoolkit.media.decode import read_blocks
from captoolkit.model import Envelope, Plan, Spectrogram, Track
from captoolkit.planning.cut_search import LoudnessCurve
from captoolkit.planning.cuts import context_samples
from captoolkit.planning.segmentation import MAX_REACH_S
from captoolkit.units import rescale


def levels_db(path: Path, track: Track) -> Levels:
    """Return the level of each 100 ms of a track in dBFS, as `dsp.silence` measures them.

    Raises:
        NotMediaError: the track cannot be decoded.
        ToolError: ffmpeg failed.
    """
    meter = HopLevelMeter(MODEL_RATE_HZ)
    with decode.TrackDecoder(path, track=track, rate_hz=MODEL_RATE_HZ) as decoder:
        for block in read_blocks(decoder, path):
            meter.feed(block)
    return meter.levels_db()


def loudness_around(path: Path, plan: Plan, places: Sequence[int]) -> list[LoudnessCurve]:
    """Return the loudness around places of a track, as far as cuts move, on the track's clock.

    Formats without an index are searched roughly: the places may be some frames off.

    Raises:
        NotMediaError: the track cannot be decoded.
        ToolError: ffmpeg failed.
    """
    track = plan.track
    around = int(MAX_REACH_S * track.sample_rate_hz) + context_samples(track.sample_rate_hz)
    return [_loudness_of(path, plan, max(0, at - around), at + around) for at in places]


def _loudness_of(path: Path, plan: Plan, begin: int, end: int) -> LoudnessCurve:
    meter = PowerMeter(plan.track.sample_rate_hz)
    decoder = decode.TrackDecoder(
        path,
        track=plan.track,
        mix=plan.mix,
        start_samples=begin,
        end_samples=end,
        roughly=not decode.seeks_exactly(plan.info, plan.track),
    )
    with decoder:
        for block in read_blocks(decoder, path):
            meter.feed(block)
    hop = hop_samples(plan.track.sample_rate_hz)
    return LoudnessCurve(origin=begin, hop=hop, power=meter.curve())


def envelope(path: Path, track: Track) -> Envelope:
    """Return the envelope of a track at its own rate, in all its channels, on the file's clock.

    Raises:
        NotMediaError: the track cannot be decoded.
        ToolError: ffmpeg failed.
    """
    meter = EnvelopeMeter(track.sample_rate_hz)
    meter.feed_silence(track.start_samples)
    with decode.TrackDecoder(path, track=track) as decoder:
        for block in read_blocks(decoder, path):
            meter.feed(block)
    return meter.envelope()


def spectrogram(path: Path, track: Track) -> Spectrogram:
    """Return the spectrogram of a track in all its channels, on the file's clock.

    Raises:
        NotMediaError: the track cannot be decoded.
        ToolError: ffmpeg failed.
    """
    late = rescale(track.start_samples, track.sample_rate_hz, MODEL_RATE_HZ)
    with decode.TrackDecoder(path, track=track, rate_hz=MODEL_RATE_HZ) as decoder:
        meter = SpectrogramMeter(MODEL_RATE_HZ, channels=decoder.channels)
        for start in range(0, late, BLOCK_FRAMES):
            frames = min(BLOCK_FRAMES, late - start)
            meter.feed(np.zeros((frames, decoder.channels), dtype=np.float32))
        for block in read_blocks(decoder, path):
            meter.feed(block)
    return meter.spectrogram()


def peak(path: Path, track: Track) -> PeakMeter:
    """Return the peak of a track's own samples; PCM is read in this process.

    Raises:
        NotMediaError: the track cannot be decoded.
        ToolError: ffmpeg failed.
    """
    meter = PeakMeter()
    for block in read_blocks(decode.whole(path, track=track), path):
        meter.feed(block)
    return meter


def peak_as_planned(path: Path, plan: Plan) -> PeakMeter:
    """Return the peak of the sound that a plan encodes: mixed and resampled, without its gain.

    Raises:
        NotMediaError: the track cannot be decoded.
        ToolError: ffmpeg failed.
    """
    meter = PeakMeter()
    with _decoder_as_planned(path, plan) as decoder:
        for block in read_blocks(decoder, path):
            meter.feed(block)
    return meter


def loudness_as_planned(path: Path, plan: Plan) -> tuple[float | None, float]:
    """Return the integrated loudness in LUFS and the true peak of the sound that a plan encodes.

    The loudness is None where no 0.4 s of the sound reach -70 LUFS; the true peak is an amplitude,
    1.0 is full scale.

    Raises:
        NotMediaError: the track cannot be decoded.
        ToolError: ffmpeg failed.
    """
    with _decoder_as_planned(path, plan) as decoder:
        grid = HopGrid(decoder.rate_hz)
        tiler = Tiler(channels=decoder.channels, tile_samples=grid.tile_samples)
        loudness = LoudnessMeter(channels=decoder.channels, grid=grid)
        true_peak = TruePeakMeter(channels=decoder.channels)
        for block in read_blocks(decoder, path):
            for tile in tiler.push(block):
                zero_faulty_samples(tile)
                loudness.feed(tile)
                true_peak.feed(tile.T)
        rest = tiler.rest()
        zero_faulty_samples(rest)
        loudness.feed(rest)
        true_peak.feed(rest.T)
    return loudness.result().integrated_lufs, true_peak.peak


def _decoder_as_planned(path: Path, plan: Plan) -> decode.TrackDecoder:
    rate_hz = plan.encoding.sample_rate_hz if plan.encoding else MODEL_RATE_HZ
    return decode.TrackDecoder(path, track=plan.track, rate_hz=rate_hz, mix=plan.mix)
