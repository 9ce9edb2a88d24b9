"""Timelines of any shape, for what must always hold."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from hypothesis import strategies as st

from captoolkit.model import CaptionerInfo, Cost, Entry, SourceInfo, Span, Status, Usage
from captoolkit.timeline.value import Timeline

texts = st.text(max_size=30)
prose = st.text(
    st.sampled_from("abcéA .!?…\n\"')”雨声。，！？“（）ไทย नम।🎵\u200d\u0301") | st.characters(),
    max_size=80,
)
maybe_texts = st.none() | texts
counts = st.none() | st.integers(0, 2**60)
usages = st.builds(
    Usage,
    audio_tokens=counts,
    text_tokens=counts,
    input_tokens=counts,
    output_tokens=counts,
    total_tokens=counts,
)
costs = st.builds(
    Cost,
    currency=texts,
    amount=st.decimals(min_value=0, allow_nan=False, allow_infinity=False, places=9)
    | st.sampled_from(
        [
            Decimal("1E+3"),
            Decimal("1.5E-12"),
            Decimal("0.10"),
            Decimal("123456789.01234567890123456"),
        ]
    ),
)
rates = st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000, 768_000])


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    """Entries in order inside the source, with or without gaps, up to months long."""
    rate_hz = draw(rates)
    edges = sorted(draw(st.sets(st.integers(0, rate_hz * 10**7), max_size=10)))
    spans = [
        Span(start_samples=start, end_samples=end, rate_hz=rate_hz)
        for start, end in pairwise(edges)
        if draw(st.booleans())
    ]
    return Timeline(
        source=draw(sources(rate_hz, edges[-1] if edges else 0)),
        captioner=draw(st.builds(CaptionerInfo, name=texts, model=texts, base_url=maybe_texts)),
        entries=tuple(draw(entries(span)) for span in spans),
        cost=draw(st.none() | costs),
    )


def sources(rate_hz: int, duration_samples: int) -> st.SearchStrategy[SourceInfo]:
    """Describe a recording of this length in any words."""
    return st.builds(
        SourceInfo,
        path=texts,
        sha256=texts,
        size_bytes=st.integers(0, 2**50),
        container=texts,
        codec=texts,
        sample_rate_hz=st.just(rate_hz),
        channels=st.integers(1, 64),
        track=st.integers(1, 64),
        duration_samples=st.just(duration_samples),
    )


def entries(span: Span) -> st.SearchStrategy[Entry]:
    """Say anything about this stretch."""
    return st.builds(
        Entry,
        index=st.integers(0, 10**6),
        source_span=st.just(span),
        status=st.sampled_from(Status),
        text=texts,
        finish_reason=maybe_texts,
        request_id=maybe_texts,
        error=maybe_texts,
        usage=usages,
    )
