from __future__ import annotations

import dataclasses
import inspect
import pickle
import subprocess
import sys
import typing
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit import model
from captoolkit.model import CaptionerInfo, Entry, SourceInfo, Span, Status, Usage
from captoolkit.planning.options import ParsedOptions
from captoolkit.planning.prepare_plan import make_plan
from captoolkit.services import catalogue
from captoolkit.timeline.value import Timeline
from tests.support.media_values import media, track
from tests.support.paths import ROOT

COUNTS = st.none() | st.integers(0, 10**9)
USAGES = st.builds(
    Usage,
    audio_tokens=COUNTS,
    text_tokens=COUNTS,
    input_tokens=COUNTS,
    output_tokens=COUNTS,
    total_tokens=COUNTS,
)
MEMBERS = {name: getattr(model, name) for name in dir(model)}
VALUES = [
    value
    for value in MEMBERS.values()
    if isinstance(value, type) and dataclasses.is_dataclass(value)
]


def span(start: int, end: int) -> Span:
    """Return a span at 8 kHz."""
    return Span(start_samples=start, end_samples=end, rate_hz=8_000)


@pytest.mark.parametrize("cls", VALUES, ids=lambda cls: cls.__name__)
def test_values_are_frozen_and_keyword_only(cls: type) -> None:
    """Values cannot be changed, and take no positional arguments."""
    kinds = {parameter.kind for parameter in inspect.signature(cls).parameters.values()}
    assert kinds == {inspect.Parameter.KEYWORD_ONLY}
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(object.__new__(cls), dataclasses.fields(cls)[0].name, None)


def test_only_the_modules_in_use_are_loaded() -> None:
    """Importing one value builds the classes of its module, and a pickle finds all of them."""
    code = (
        "import pickle, sys; from captoolkit.model import MediaInfo; "
        "assert 'captoolkit.model.plans' not in sys.modules; "
        "assert pickle.loads(b'ccaptoolkit.model\\nPlan\\n.').__name__ == 'Plan'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    assert pickle.loads(pickle.dumps(span(1, 2))) == span(1, 2)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        model.nonsense  # noqa: B018 - fetching it is the test


@pytest.mark.parametrize("cls", VALUES, ids=lambda cls: cls.__name__)
def test_the_types_of_fields_can_be_read(cls: type) -> None:
    """Libraries that validate or store values by their type hints can read them."""
    assert typing.get_type_hints(cls).keys() >= {field.name for field in dataclasses.fields(cls)}


def test_span_is_half_open() -> None:
    """Two adjacent spans share no sample, and their lengths add up."""
    first, second = span(0, 12_000), span(12_000, 16_000)
    assert first.samples + second.samples == span(0, 16_000).samples
    assert (first.end_s, second.start_s, second.duration_s) == (1.5, 1.5, 0.5)
    assert sorted([second, first]) == [first, second]


def test_the_exact_length_of_a_span_is_a_fraction() -> None:
    """The exact length is a fraction."""
    assert Span(start_samples=7, end_samples=14_707, rate_hz=44_100).exact_s == Fraction(1, 3)


def test_default_track_is_the_marked_one() -> None:
    """The default track is the one with the mark, else the first."""
    plain = track(1, number=1)
    marked = dataclasses.replace(track(1, number=2), default=True)
    assert media(plain, marked).default_track is marked
    assert media(plain, track(1, number=2)).default_track is plain


@given(one=USAGES, two=USAGES, three=USAGES)
def test_usage_adds_in_any_order(one: Usage, two: Usage, three: Usage) -> None:
    """Addition is commutative and associative, and an empty usage changes nothing."""
    assert one + two == two + one
    assert (one + two) + three == one + (two + three)
    assert one + Usage() == one


def test_unknown_tokens_are_not_zero() -> None:
    """A number that neither side has stays None; a number of one side is kept."""
    total = Usage(audio_tokens=3, input_tokens=5) + Usage(audio_tokens=4)
    assert total == Usage(audio_tokens=7, input_tokens=5, output_tokens=None)


def test_timeline_sums_its_entries_and_shows_its_holes() -> None:
    """A timeline's usage is the sum over its entries; its holes are the failed entries."""
    source = SourceInfo(
        path="/n.wav",
        sha256="",
        size_bytes=1,
        container="wav",
        codec="pcm_s16le",
        sample_rate_hz=8_000,
        channels=1,
        track=1,
        duration_samples=24_000,
    )
    entries = tuple(
        Entry(index=n, source_span=span(8_000 * n, 8_000 * (n + 1)), status=status, usage=usage)
        for n, (status, usage) in enumerate(
            [
                (Status.OK, Usage(audio_tokens=13)),
                (Status.FAILED, Usage()),
                (Status.SILENT, Usage()),
            ]
        )
    )
    timeline = Timeline(
        source=source, captioner=CaptionerInfo(name="acoustic", model="1"), entries=entries
    )
    assert timeline.usage == Usage(audio_tokens=13)
    assert timeline.holes == (entries[1],)
    assert source.span == span(0, 24_000)


def test_large_values_have_a_short_repr() -> None:
    """A prompt of Python shows one line, and not every field."""
    target = catalogue.target("qwen3-omni-captioner")
    sound = track(11)
    plan = make_plan(media(sound), sound, target, options=ParsedOptions())
    assert repr(target).startswith("<Target 'qwen3-omni-captioner': Qwen3-Omni-Captioner on ")
    assert repr(plan) == f"<Plan for {plan.info.path!r}: encode, 1 segment as {plan.suffix}>"
