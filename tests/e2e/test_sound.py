"""The sound of prepared segments is that of the source, from every type of source."""

from __future__ import annotations

import io
import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from captoolkit.api.prepare import prepare
from captoolkit.api.probe import probe
from captoolkit.media.frame_index import read_frame_index
from captoolkit.model import Action, Span
from captoolkit.planning.options import FormatName
from tests.support.preparations import (
    CLICKS_S,
    LENGTH_S,
    PAUSE_S,
    PAUSES_S,
    PIECES,
    RATE_HZ,
    joined,
)
from tests.support.sound import Convert, Sound, level_dbfs, noise, silence, tone, write_wav


@pytest.mark.parametrize("wish", ["wav", "mp3"])
def test_segments_tile_the_source(clicks: Path, wish: FormatName) -> None:
    """Each segment begins where the previous one ends, and holds the sound of its span."""
    with prepare(clicks, format=wish, segment="6s") as prepared:
        segments = list(prepared)
        arrays = [segment.to_array() for segment in segments]

    spans = [segment.source_span for segment in segments]
    assert len(spans) == 5
    assert spans[0].start_samples == 0
    assert spans[-1].end_samples == LENGTH_S * RATE_HZ
    for before, after in itertools.pairwise(spans):
        assert before.end_samples == after.start_samples
    for span, (sound, rate_hz) in zip(spans, arrays, strict=True):
        assert len(sound) / rate_hz == pytest.approx(span.duration_s, abs=0.0021)
        inside = [at for at in CLICKS_S if span.start_s + 0.02 < at < span.end_s - 0.02]
        assert inside
        for click_s in inside:
            local = round((click_s - span.start_s) * rate_hz)
            around = rate_hz // 100
            found = int(np.argmax(np.abs(sound[local - around : local + around, 0])))
            assert abs(found - around) <= 0.0003 * rate_hz


def test_cuts_fall_into_the_silences(clicks: Path) -> None:
    """Where a pause is within reach, the cut is in it."""
    with prepare(clicks, format="mp3", segment="6s") as prepared:
        cuts = [segment.source_span.end_s for segment in prepared][:-1]
    assert [abs(at - pause) < PAUSE_S / 2 for at, pause in zip(cuts, PAUSES_S, strict=True)] == [
        True
    ] * 4


def test_no_sample_is_lost_or_doubled(talk: Path) -> None:
    """Lossless segments, joined, are the source sample by sample."""
    with prepare(talk, format="wav", segment="5s") as prepared:
        assert prepared.plan.action is Action.ENCODE
        sound = joined(tuple(prepared))
    np.testing.assert_allclose(
        sound, soundfile.read(str(talk), dtype="float32", always_2d=True)[0], atol=1e-7
    )


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_any_rate_is_tiled(tmp_path: Path, rate_hz: int, channels: int) -> None:
    """Spans are on the source's clock at every sample rate."""
    sound = noise(7.217, rate_hz=rate_hz, channels=channels)
    path = write_wav(tmp_path / "talk.wav", sound, rate_hz=rate_hz)
    with prepare(path, **PIECES) as prepared:
        spans = [segment.source_span for segment in prepared]
    edges = [span.start_samples for span in spans] + [len(sound)]
    assert spans == [
        Span(start_samples=start, end_samples=end, rate_hz=rate_hz)
        for start, end in itertools.pairwise(edges)
    ]
    assert edges[0] == 0


def test_out_of_phase_channels_do_not_cancel(fixtures: Path) -> None:
    """The mix of L = -R is as loud as one of the channels."""
    truth = json.loads((fixtures / "out-of-phase.flac.json").read_text(encoding="utf-8"))
    with prepare(fixtures / "out-of-phase.flac") as prepared:
        level = level_dbfs(joined(tuple(prepared)))
        assert any("cancel each other" in reason for reason in prepared.plan.reasons)
    assert level == pytest.approx(truth["channel_levels_dbfs"][0], abs=0.7)


@pytest.mark.parametrize("dead", [0, 1])
def test_a_dead_channel_does_not_halve_the_level(tmp_path: Path, dead: int) -> None:
    """The mix leaves out a silent channel."""
    sound = np.repeat(tone(4.0, rate_hz=RATE_HZ), 2, axis=1)
    sound[:, dead] = 0
    path = write_wav(tmp_path / "talk.wav", sound, rate_hz=RATE_HZ)
    with prepare(path, format="wav") as prepared:
        level = level_dbfs(joined(tuple(prepared)))
    assert level == pytest.approx(level_dbfs(tone(4.0, rate_hz=RATE_HZ)), abs=0.05)


def test_silence_can_be_prepared(tmp_path: Path) -> None:
    """Digital silence is cut and encoded like any other sound."""
    path = write_wav(tmp_path / "a.wav", silence(9.0, rate_hz=16_000), rate_hz=16_000)
    with prepare(path, **PIECES) as prepared:
        assert level_dbfs(joined(tuple(prepared))) < -80
        assert len(prepared.segments) == 3


def test_truncated_file_is_prepared_to_its_end(fixtures: Path, tmp_path: Path) -> None:
    """A truncated recording is prepared to its last sample."""
    path = fixtures / "cut-off.flac"
    truth = json.loads((fixtures / "cut-off.flac.json").read_text(encoding="utf-8"))
    with prepare(path, format="wav", segment="1s") as prepared:
        segments = prepared.save(tmp_path / "out")
        assert prepared.source.duration_samples == truth["tracks"][0]["duration_samples"]
    assert segments[-1].source_span.end_samples == truth["tracks"][0]["duration_samples"]


def test_undecodable_stretch_shortens_the_sound(
    talk: Path, tmp_path: Path, convert: Convert
) -> None:
    """A stretch that cannot be decoded shortens the sound, and the manifest has a warning."""
    path = convert(talk, tmp_path / "talk.m4a", ["-c:a", "aac", "-b:a", "64k"])
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20_000] = b"\xff" * 20_000
    path.write_bytes(data)

    with prepare(path, **PIECES) as prepared:
        promised = prepared.plan.track.duration_samples
        segments = prepared.save(tmp_path / "out")
        found = prepared.source.duration_samples

    assert 16_000 * 15 < found < promised == 16_000 * 24
    assert segments[-1].source_span.end_samples == found
    assert [warning.startswith("It promises 24.000 s") for warning in prepared.warnings] == [True]
    manifest = json.loads((tmp_path / "out" / "talk.manifest.json").read_text(encoding="utf-8"))
    assert manifest["reasons"][-1] == prepared.warnings[0]
    assert manifest["source"]["duration_s"] == pytest.approx(found / 16_000, abs=1e-6)


def test_header_that_promises_too_much_is_not_shipped(
    talk: Path, tmp_path: Path, convert: Convert
) -> None:
    """Such a file is not passed through: its frames or its samples are written again."""
    mp3 = convert(talk, tmp_path / "short.mp3", ["-q:a", "5"])
    found = read_frame_index(mp3)
    assert found is not None
    quarter = len(found.sizes) // 4
    mp3.write_bytes(mp3.read_bytes()[: int(found.starts_of(quarter, quarter + 1)[0])])
    wav = tmp_path / "short.wav"
    wav.write_bytes(talk.read_bytes()[: talk.stat().st_size // 4])
    for source, action in ((mp3, Action.REMUX), (wav, Action.REMUX)):
        assert "promises" in probe(source).warnings[0]
        with prepare(source) as prepared:
            (segment,) = prepared.save(tmp_path / source.suffix[1:])
        assert prepared.plan.action is action
        assert any("promises more sound" in reason for reason in prepared.plan.reasons)
        made = probe(segment.path)
        assert made.warnings == ()
        assert probe(segment.path).misreadings == ()
        assert made.default_track.duration_s == pytest.approx(6.0, abs=0.5)


def sources(path: Path) -> dict[str, Any]:
    """Return one recording as a source of each type."""
    samples = soundfile.read(str(path), dtype="int16", always_2d=True)[0]
    return {
        "name": str(path),
        "bytes": path.read_bytes(),
        "BytesIO": io.BytesIO(path.read_bytes()),
        "array": (samples, 16_000),
        "floats": ((samples / 32768).astype(np.float32), 16_000),
    }


@pytest.mark.parametrize("kind", ["name", "bytes", "BytesIO", "array", "floats"])
def test_every_type_of_source_gives_the_same_samples(talk: Path, kind: str) -> None:
    """The type of the source makes no difference to the sound."""
    truth: Sound = soundfile.read(str(talk), dtype="float32", always_2d=True)[0]
    with prepare(sources(talk)[kind], format="wav", segment="6s") as prepared:
        np.testing.assert_allclose(joined(tuple(prepared)), truth, atol=1e-7)


def test_pipe_gives_the_same_samples(talk: Path) -> None:
    """A stream without seeking is read once and then used like a file."""
    with subprocess.Popen(["cat", str(talk)], stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        with prepare(program.stdout, format="wav", segment="6s") as prepared:
            sound = joined(tuple(prepared))
    truth = soundfile.read(str(talk), dtype="float32", always_2d=True)[0]
    np.testing.assert_allclose(sound, truth, atol=1e-7)


def test_audiosegment_becomes_an_audiosegment(talk: Path) -> None:
    """A pydub segment is prepared and returned as one, with the same samples."""
    with prepare(talk, format="wav", segment="6s") as prepared:
        before = next(iter(prepared)).to_audiosegment()
    with prepare(before) as prepared:
        (segment,) = prepared
        after = segment.to_audiosegment()
    assert after.raw_data == before.raw_data
    assert after.frame_rate == before.frame_rate == 16_000
