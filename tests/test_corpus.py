"""Real recordings, which nobody here made, through the main job."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pysubs2
import pytest
import srt
import webvtt

import captoolkit
from captoolkit.model import Status
from tests.support.paths import CORPUS

NAMES = sorted(path.name for path in CORPUS.glob("*.*") if path.suffix not in (".md", ".json")) or [
    "(absent)"
]

pytestmark = pytest.mark.corpus


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_becomes_a_timeline_that_others_can_read(
    name: str, corpus: Path, tmp_path: Path
) -> None:
    """Every recording is captioned from end to end, and each format is read back elsewhere."""
    timeline = captoolkit.caption(corpus / name, segment="20s")
    assert all(entry.status is Status.OK and entry.text for entry in timeline.entries)
    assert timeline.entries[-1].source_span.end_samples == timeline.source.duration_samples
    for form in ("json", "srt", "vtt", "md", "txt"):
        path = tmp_path / f"timeline.{form}"
        path.write_text(captoolkit.render(timeline, form), encoding="utf-8")
    count = len(timeline.entries)
    assert len(json.loads((tmp_path / "timeline.json").read_text("utf-8"))["entries"]) == count
    assert len(list(srt.parse((tmp_path / "timeline.srt").read_text("utf-8")))) == count
    assert len(pysubs2.load(str(tmp_path / "timeline.srt"))) == count
    assert len(webvtt.read(str(tmp_path / "timeline.vtt"))) == count
    assert (tmp_path / "timeline.md").read_text("utf-8").count("\n## ") == count


@pytest.mark.parametrize("name", NAMES)
def test_its_length_is_what_a_full_decode_gives(
    name: str, corpus: Path, decoded_samples: Callable[[Path], int]
) -> None:
    """Whatever the header says."""
    track = captoolkit.probe(corpus / name).default_track
    assert track.duration_samples == decoded_samples(corpus / name)


def test_a_file_is_what_its_bytes_are_and_not_what_its_name_says(corpus: Path) -> None:
    """An MP4 whose name says .aac is not sent as it is: its frames move to a real AAC file."""
    plan = captoolkit.plan(corpus / "m4a-named.aac")
    assert plan.info.container == "m4a"
    assert (plan.action, plan.suffix) == ("remux", "aac")


def test_cuts_in_real_speech_fall_where_nobody_speaks(corpus: Path) -> None:
    """Each cut lies at least 6 dB under the sound around it."""
    import numpy as np
    import soundfile

    from captoolkit.dsp.quietest import power_curve

    samples, rate_hz = soundfile.read(
        str(corpus / "english-60s.flac"), dtype="float32", always_2d=True
    )
    with captoolkit.prepare(corpus / "english-60s.flac", segment="10s") as prepared:
        cuts = [segment.source_span.end_samples for segment in prepared][:-1]
    assert len(cuts) == 5
    for cut in cuts:
        near = power_curve(samples[cut - rate_hz // 20 : cut + rate_hz // 20], rate_hz=rate_hz)
        around = power_curve(samples[cut - 2 * rate_hz : cut + 2 * rate_hz], rate_hz=rate_hz)
        assert 10 * np.log10(around.mean() / max(near.mean(), 1e-12)) > 6
