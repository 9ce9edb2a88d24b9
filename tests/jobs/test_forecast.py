"""Tests of the forecast: hours, requests, price, and the limit that decides."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import pytest

from captoolkit.captioners.registry import open_captioner, service_of
from captoolkit.jobs.forecast import Forecast, Limit, forecast
from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.listing.listings import list_inputs
from captoolkit.services.service import Service
from tests.support.tones import write_tones

HOUR_S = 3600.0


@pytest.fixture(scope="module")
def service() -> Service:
    """Qwen3-Omni-Captioner at Model Studio: 60 requests and 100,000 tokens a minute."""
    with open_captioner("dashscope", api_key="sk-any") as captioner:
        return service_of(captioner)


def hours(count: int) -> list[Input]:
    """Return recordings of an hour each, as a manifest states it."""
    return [
        Input(id=f"{number}.wav", url=f"s3://b/{number}.wav", relative="a.wav", duration_s=HOUR_S)
        for number in range(count)
    ]


def test_short_segments_are_bound_by_requests(service: Service) -> None:
    """30 s segments allow 30 hours of sound an hour; longer segments are advised."""
    expected = forecast(hours(300), "prepare", cores=16, service=service, segment_s=Fraction(30))
    assert expected.requests == 300 * 120
    assert expected.binding is Limit.REQUESTS
    assert expected.times_s[Limit.REQUESTS] == pytest.approx(10 * HOUR_S)
    assert "longer segments" in expected.advice


def test_one_request_for_each_recording_is_the_least(service: Service) -> None:
    """Recordings of 4 s need a request each: longer segments would change nothing."""
    short = [dataclasses.replace(each, duration_s=4.0) for each in hours(60)]
    expected = forecast(short, "prepare", cores=16, service=service)
    assert (expected.requests, expected.binding) == (60, Limit.REQUESTS)
    assert expected.advice == "only a higher quota of requests makes it faster (--rpm)"


def test_tokens_are_unknown_where_no_page_states_their_rate() -> None:
    """OpenAI states no tokens for a second of sound: the forecast has no number, and not 0."""
    with open_captioner("openai", target="openai", api_key="sk-any") as captioner:
        expected = forecast(hours(1), "prepare", cores=1, service=service_of(captioner))
    assert (expected.requests, expected.input_tokens, expected.cost) == (1, None, None)


def test_long_segments_are_bound_by_tokens(service: Service) -> None:
    """100,000 tokens a minute are about 133 hours of sound an hour."""
    expected = forecast(hours(133), "prepare", cores=16, service=service)
    assert expected.requests == 133 * 2
    assert expected.binding is Limit.TOKENS
    assert expected.times_s[Limit.TOKENS] == pytest.approx(HOUR_S, rel=0.01)
    assert expected.cost is not None
    assert expected.cost.most is not None
    assert 0 < expected.cost.least < expected.cost.most


def test_without_a_service_the_cores_decide() -> None:
    """Twice as many workers need half the time."""
    one, two = (forecast(hours(10), "prepare", cores=cores) for cores in (1, 2))
    assert one.binding is Limit.CORES
    assert one.times_s[Limit.CORES] == 2 * two.times_s[Limit.CORES]
    assert one.requests == 0


def test_lengths_that_no_manifest_states_are_measured_on_a_sample(tmp_path: Path) -> None:
    """Files of one kind are estimated by their size; some of them are probed."""
    write_tones(tmp_path, 30, seconds=2)
    expected: Forecast = forecast(list_inputs([str(tmp_path)]), "prepare", cores=1)
    assert (expected.inputs, expected.sampled) == (30, 12)
    assert expected.duration_s == pytest.approx(60, rel=0.01)
