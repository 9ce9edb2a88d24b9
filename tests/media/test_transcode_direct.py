from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile

from captoolkit.errors import OutputError, ToolError
from captoolkit.media import decode, encode, encode_mp3
from captoolkit.media.probe_file import probe
from captoolkit.media.transcode_direct import Transcoder, can_transcode
from captoolkit.model import Encoding, Span, Track
from captoolkit.planning import ladder
from captoolkit.units import rescale
from tests.support.encodings import amr, mp3, wav
from tests.support.processes import has_children
from tests.support.sound import Sound, noise, tone

RATE_HZ = 44_100
MP3S = {
    "24k": mp3(24_000, 16_000),
    "48k": mp3(48_000, 24_000),
    "music": ladder.QUALITIES["music"],
}
STRETCHES_S = {"all": (0.0, 6.0), "middle": (1.2345, 4.0), "end": (3.3, 6.0)}


@pytest.fixture(scope="module")
def flac(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of a tone to the left and, twice as loud as fits, noise to the right."""
    path = tmp_path_factory.mktemp("transcode") / "a.flac"
    left = tone(6, rate_hz=RATE_HZ, frequency_hz=700.0, amplitude=0.5)
    soundfile.write(str(path), np.hstack([left, noise(6, rate_hz=RATE_HZ, amplitude=0.9)]), RATE_HZ)
    return path


@pytest.fixture(autouse=True)
def encoded_by_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ffmpeg encodes every MP3."""
    monkeypatch.setenv(encode_mp3.ENVIRONMENT_VARIABLE, encode_mp3.FFMPEG)


def stretch(start_s: float, end_s: float) -> Span:
    """A stretch of the file."""
    edges = (round(start_s * RATE_HZ), round(end_s * RATE_HZ))
    return Span(start_samples=edges[0], end_samples=edges[1], rate_hz=RATE_HZ)


def transcoder(
    source: Path, path: Path, encoding: Encoding, span: Span, mix: decode.Mix | None
) -> Transcoder:
    """A transcoder of the file's only track."""
    track = probe(source).default_track
    return Transcoder(source, path, encoding, track=track, span=span, mix=mix)


def read(path: Path) -> Sound:
    """All samples of a file."""
    with decode.TrackDecoder(path, track=probe(path).default_track) as decoder:
        return np.concatenate(list(decoder))


def by_two_programs(
    source: Path, path: Path, encoding: Encoding, span: Span, mix: decode.Mix | None
) -> Sound:
    """The stretch when one ffmpeg decodes it and another encodes it."""
    decoder = decode.TrackDecoder(
        source,
        track=probe(source).default_track,
        rate_hz=encoding.sample_rate_hz,
        mix=mix,
        start_samples=span.start_samples,
        end_samples=span.end_samples,
    )
    writer = encode.open_writer(path, encoding)
    with decoder:
        for block in decoder:
            writer.write(block)
    writer.finish()
    return read(path)


@pytest.mark.parametrize("span_s", STRETCHES_S.values(), ids=STRETCHES_S)
@pytest.mark.parametrize("encoding", MP3S.values(), ids=MP3S)
def test_one_program_makes_what_two_do(
    flac: Path, tmp_path: Path, encoding: Encoding, span_s: tuple[float, float]
) -> None:
    """Samples, length and clipping are those of a decoder and an encoder apart."""
    span, path = stretch(*span_s), tmp_path / "a.mp3"
    mix = [[0.9, 0.9]] if encoding.channels == 1 else None
    with transcoder(flac, path, encoding, span, mix) as worker:
        done_s = list(worker)

    assert done_s == sorted(done_s)
    assert done_s[-1] == pytest.approx(span.duration_s, abs=0.2)
    samples = rescale(span.samples, RATE_HZ, encoding.sample_rate_hz)
    encode.check(path, encoding, samples=samples, tolerance=1, max_samples=None)
    found = read(path)
    wanted = by_two_programs(flac, tmp_path / "b.mp3", encoding, span, mix)
    assert found.shape == wanted.shape
    # An encoder is no linear thing: a last bit that differs going in may differ more coming out.
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 1e-3
    assert not has_children()


def test_what_cannot_be_done_alone_is_not(flac: Path) -> None:
    """WAV costs no encoder, AMR takes no 32-bit samples, and a float may be no number."""
    track: Track = probe(flac).default_track
    assert can_transcode(track, MP3S["24k"])
    assert not can_transcode(track, wav())
    assert not can_transcode(track, amr())
    assert not can_transcode(dataclasses.replace(track, codec="pcm_f32le"), MP3S["24k"])


def test_what_this_process_encodes_is_not(flac: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ffmpeg does not encode where LAME in this process takes less time."""
    monkeypatch.delenv(encode_mp3.ENVIRONMENT_VARIABLE)
    track = probe(flac).default_track
    assert not any(can_transcode(track, encoding) for encoding in MP3S.values())


def test_leaving_it_ends_it(flac: Path, tmp_path: Path) -> None:
    """A transcoder that is not waited for leaves no child."""
    with transcoder(flac, tmp_path / "a.mp3", MP3S["24k"], stretch(0, 6), [[0.5, 0.5]]):
        pass
    assert not has_children()


def test_faults_are_told_apart(flac: Path, tmp_path: Path) -> None:
    """A source that is no longer there is ffmpeg's fault to tell; a full disk is the disk's."""
    missing = tmp_path / "gone.flac"
    track = probe(flac).default_track
    span, mix = stretch(0, 6), [[0.5, 0.5]]
    path = tmp_path / "a.mp3"
    gone = Transcoder(missing, path, MP3S["24k"], track=track, span=span, mix=mix)
    with gone, pytest.raises(ToolError, match="No such file"):
        list(gone)
    full = transcoder(flac, Path("/dev/full"), MP3S["24k"], span, mix)
    with full, pytest.raises(OutputError, match="no room left"):
        list(full)
