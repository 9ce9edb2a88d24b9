"""The ladder: its order, and how much sound each rung sends inline."""

from __future__ import annotations

import itertools
from dataclasses import astuple

import pytest

from captoolkit.bitstream.encodings import ENCODINGS, describe, file_bytes, max_samples
from captoolkit.model import Encoding
from captoolkit.planning import ladder
from captoolkit.planning.ladder import LADDER
from captoolkit.units import base64_length
from tests.support.encodings import RUNGS

INLINE_BYTES = 7_499_988
SECONDS_INLINE = (234, 468, 535, 625, 750, 937, 1071, 1250, 1500, 1875, 2500)


def test_rungs_go_from_least_loss_to_smallest() -> None:
    """Down the ladder each rung is smaller and, wherever it was measured, loses more."""
    rates = [rung.bit_rate for rung in RUNGS]
    assert rates == sorted(set(rates), reverse=True)
    measured = [astuple(rung.fidelity_db) for rung in LADDER if rung.fidelity_db]
    for better, worse in itertools.pairwise(measured[1:]):
        assert all(one > two for one, two in zip(better, worse, strict=True))
    assert measured[0][:3] > measured[1][:3]


@pytest.mark.parametrize(
    ("encoding", "seconds"),
    list(zip(RUNGS, SECONDS_INLINE, strict=True)),
    ids=lambda value: describe(value) if isinstance(value, Encoding) else f"{value} s",
)
def test_seconds_in_one_inline_request(encoding: Encoding, seconds: int) -> None:
    """One Base64 request holds 234 s of WAV, 468 s of the next rung, ..., 2500 s of the last."""
    most = max_samples(encoding, size_bytes=INLINE_BYTES, duration_s=None)
    assert most is not None
    assert most / encoding.sample_rate_hz == pytest.approx(seconds, abs=1)


def test_forty_minutes_fit_on_the_last_rung() -> None:
    """40 minutes at the floor are 7.20 MB raw and 9.60 MB as Base64."""
    last = RUNGS[-1]
    size_bytes = file_bytes(last, 2400 * last.sample_rate_hz)
    assert size_bytes == pytest.approx(7_200_000, rel=0.001)
    assert base64_length(size_bytes) == pytest.approx(9_600_000, rel=0.001)


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_format_has_rungs_of_its_own(name: str) -> None:
    """`--format NAME` chooses among encodings of that row, from the largest bit rate down."""
    spec = ENCODINGS[name]
    rungs = ladder.rungs(name)
    assert rungs
    assert {(one.format, one.codec) for one in rungs} == {(spec.container, spec.codec)}
    assert [one.bit_rate for one in rungs] == sorted((one.bit_rate for one in rungs), reverse=True)
