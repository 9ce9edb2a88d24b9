from __future__ import annotations

import json
import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captoolkit.model import Plan, Segment, SourceInfo, Via
from captoolkit.pipeline import manifest
from captoolkit.planning.prepare_plan import make_plan
from captoolkit.units import samples_at
from tests.support.media_values import CAPTIONER, media, track

NAMES = st.text(st.sampled_from("a.b/\\\0:\n\"'~ é\ud800"), max_size=6)
JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3) | NAMES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["segments", "file", "x"]), inner, max_size=3)
    ),
    max_leaves=10,
)


def planned(seconds: Fraction | float, *, container: str = "flac", codec: str = "flac") -> Plan:
    """A plan for a file of that length."""
    sound = track(seconds, codec=codec)
    return make_plan(media(sound, container=container), sound, CAPTIONER, via=Via.BASE64)


def source_of(plan: Plan) -> SourceInfo:
    """The source of a plan as a manifest describes it."""
    return SourceInfo(
        path=plan.info.path,
        sha256="5e" * 32,
        size_bytes=plan.info.size_bytes,
        container=plan.info.container,
        codec=plan.track.codec,
        sample_rate_hz=plan.track.sample_rate_hz,
        channels=plan.track.channels,
        track=plan.track.number,
        duration_samples=plan.track.duration_samples,
    )


def segments_of(plan: Plan, *, stem: str = "night") -> list[Segment]:
    """One finished file of 1000 bytes and more for each span."""
    return [
        Segment(
            index=index,
            source_span=span,
            file=f"{stem}.{index:03d}.mp3",
            size_bytes=1000 + index,
            sha256=f"{index:064x}",
        )
        for index, span in enumerate(plan.spans, start=1)
    ]


def rendered(plan: Plan, **options: Any) -> dict[str, Any]:
    """The manifest of a plan, read by the standard library."""
    text = manifest.render(plan, source_of(plan), segments_of(plan), **options)
    document: dict[str, Any] = json.loads(text, parse_float=Decimal)
    return document


def test_manifest_has_the_agreed_form() -> None:
    """Every agreed field is there, in its place, and no other."""
    plan = planned(2460)
    document = rendered(plan, remarks=["It was large."], warnings=["It was longer."])
    segments = document.pop("segments")
    assert list(document) == [
        *("format", "source", "target", "via", "action", "encoding", "gain_db"),
        *("skipped", "tokens", "reasons", "warnings", "made_by"),
    ]
    assert document == {
        "format": "captoolkit.manifest/1",
        "source": {
            "path": "/sounds/night.flac",
            "sha256": "5e" * 32,
            "bytes": 1_000_000,
            "container": "flac",
            "codec": "flac",
            "sample_rate_hz": 44_100,
            "channels": 1,
            "track": 1,
            "duration_s": Decimal("2460.000000"),
            "modified_ns": None,
        },
        "target": "qwen3-omni-captioner",
        "via": "base64",
        "action": "encode",
        "encoding": {
            "format": "mp3",
            "codec": "mp3",
            "sample_rate_hz": 24_000,
            "channels": 1,
            "bit_rate": 48_000,
        },
        "gain_db": 0.0,
        "skipped": [],
        "tokens": {"audio": 30_750},
        "reasons": [*plan.reasons, "It was large.", "It was longer."],
        "warnings": ["It was longer."],
        "made_by": None,
    }
    assert segments[1] == {
        "index": 2,
        "file": "night.002.mp3",
        "start_s": 1230,
        "end_s": 2460,
        "duration_s": 1230,
        "bytes": 1002,
        "base64_bytes": 1336,
        "sha256": f"{2:064x}",
    }


def test_untouched_file_is_described_as_it_was() -> None:
    """Without an encoding the manifest has the source's codec and rate."""
    document = rendered(planned(10, container="wav", codec="pcm_s24le"))
    assert document["action"] == "pass-through"
    assert document["encoding"] == {
        "format": "wav",
        "codec": "pcm_s24le",
        "sample_rate_hz": 44_100,
        "channels": 1,
        "bit_rate": None,
    }


def test_times_have_six_decimals_and_find_their_samples() -> None:
    """Six decimals identify the sample of each edge."""
    plan = planned(Fraction(5_000_000, 44_100) * 50)
    text = manifest.render(plan, source_of(plan), segments_of(plan))
    found = re.findall(r'"(start|end)_s": ([0-9.]+)', text)
    edges = [samples_at(Fraction(number), 44_100) for _, number in found]
    assert all(re.fullmatch(r"\d+\.\d{6}", number) for _, number in found)
    assert edges == [edge for span in plan.spans for edge in (span.start_samples, span.end_samples)]
    assert len(plan.spans) == 3


@pytest.mark.parametrize("stem", ["night", '"q" \n\x1b[2J', "说\u2028", "12:30", "a\udcff"])
def test_names_are_read_back(stem: str) -> None:
    """File names with any characters are read back from the manifest."""
    plan = planned(2460)
    text = manifest.render(plan, source_of(plan), segments_of(plan, stem=stem))
    assert set(manifest.hashes(text)) == {f"{stem}.001.mp3", f"{stem}.002.mp3"}


@given(names=st.lists(NAMES, max_size=6))
@settings(deadline=None)
def test_no_name_leads_elsewhere(names: list[str]) -> None:
    """All names of the manifest's own folder are returned, and no others."""
    text = json.dumps({"segments": [{"file": name, "sha256": "0"} for name in names]})
    found = set(manifest.hashes(text))
    assert found <= set(names)
    for name in set(names):
        stays = name not in ("", ".", "..") and not set("/\\\0\ud800") & set(name)
        assert (name in found) == stays
        assert name not in found or (Path("out") / name).parent == Path("out")


@given(JSON_LIKE)
@settings(deadline=None)
def test_any_document_gives_plain_names(document: object) -> None:
    """Any JSON gives plain names and hashes, and no error."""
    for name in set(manifest.hashes(json.dumps(document))):
        assert Path(name).name == name


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "null", "[]", "{}", '{"segments": [1]}', '{"segments": ["a"]}'),
        *('{"segments": [{}]}', '{"segments": null}', '{"segments": [{"file": [1]}]}', "\ud800"),
        pytest.param("9" * 5000, id="a long number"),
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_no_manifest_names_no_files(text: str) -> None:
    """A text that is not a manifest has no files."""
    assert set(manifest.hashes(text)) == set()
