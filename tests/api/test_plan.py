"""The verb `plan`."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from captoolkit.api.plan import plan
from captoolkit.api.prepare import prepare
from captoolkit.api.probe import probe
from captoolkit.api.split import split
from captoolkit.errors import (
    CaptoolkitError,
    InputError,
    SourceNotFoundError,
    UsageError,
)
from captoolkit.services.price import audio_tokens
from tests.support.media_values import CAPTIONER
from tests.support.preparations import (
    COUNT,
    PIECES,
    listing,
)
from tests.support.sound import tone, write_wav

pytestmark = pytest.mark.usefixtures("spool")


def probed_s(path: Path) -> Fraction:
    """The length of a file as a reader of all its frames counts it."""
    track = probe(path).default_track
    return Fraction(track.duration_samples, track.sample_rate_hz)


@pytest.mark.parametrize("format", ["aac", "amr", "mp3", "gsm"])
def test_no_service_counts_more_tokens_than_the_highest_price_has(talk: Path, format: Any) -> None:
    """Files are longer than their segments, and cuts move; the price of the plan covers both."""
    with prepare(talk, format=format, segment="3s") as prepared:
        counted = sum(audio_tokens(CAPTIONER, probed_s(one.path)) + 8 for one in prepared)
        cost = prepared.plan.costs[0]
        requests = len(prepared.segments)
    answers = requests * 32_768 * Decimal("3.06")
    assert cost.most is not None
    assert counted * Decimal("3.81") <= cost.most * 1_000_000 - answers


def test_bit_rate_may_be_a_text(talk: Path) -> None:
    """`64k` is 64,000 bits per second; another text raises an error with examples."""
    made = plan(talk, bit_rate="64k").encoding
    assert made is not None
    assert made == plan(talk, bit_rate=64_000).encoding
    assert made.bit_rate == 64_000
    with pytest.raises(UsageError, match="bit_rate='loud' is not a bit rate; write 64k"):
        plan(talk, bit_rate="loud")


def test_plan_writes_nothing(talk: Path, tmp_path: Path, spool: Path) -> None:
    """`plan` returns the plan of `prepare`, and leaves no file, not even for bytes."""
    before = listing(tmp_path)
    planned = plan(talk, **PIECES)
    assert len(plan(talk.read_bytes(), **PIECES).spans) == len(planned.spans) == COUNT
    assert listing(tmp_path) == before
    with prepare(talk, **PIECES) as prepared:
        assert prepared.plan == planned


@pytest.mark.parametrize("verb", [plan, prepare])
def test_missing_source_is_named(tmp_path: Path, verb: Any) -> None:
    """The error holds the path of the missing file."""
    with pytest.raises(SourceNotFoundError) as caught:
        verb(tmp_path / "talk.wav")
    assert isinstance(caught.value, CaptoolkitError)
    assert caught.value.path == str(tmp_path / "talk.wav")


def test_too_long_recording_is_refused(tmp_path: Path) -> None:
    """The error names the limit, and the option raises it."""
    source = write_wav(tmp_path / "a.wav", tone(3.0, rate_hz=8_000), rate_hz=8_000)
    for verb in (plan, prepare, split):
        with pytest.raises(InputError, match="it lasts 0:03, longer than the 0:02 allowed"):
            verb(source, max_duration="2s")
        assert verb(source, max_duration=3)
