"""Timelines for tests: small ones with known entries, and strategies for arbitrary ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

from hypothesis import strategies as st

from captoolkit.model import CaptionerInfo, Cost, Entry, SourceInfo, Span, Status, Usage
from captoolkit.timeline.value import Timeline

TimelineOf = Callable[..., Timeline]

RATE_HZ = 48_000


def source_of(duration_samples: int) -> SourceInfo:
    """Return a stereo FLAC recording of that length."""
    return SourceInfo(
        path="/recordings/night in the harbour.flac",
        sha256="ab" * 32,
        size_bytes=123_456,
        container="flac",
        codec="flac",
        sample_rate_hz=RATE_HZ,
        channels=2,
        track=1,
        duration_samples=duration_samples,
    )


def timeline_of(*texts: str, holes: tuple[str, ...] = (), silences: int = 0) -> Timeline:
    """Return a timeline of one-second entries: captions, failures with these reasons, silences."""
    contents = [
        *((Status.OK, text, None) for text in texts),
        *((Status.FAILED, "", reason) for reason in holes),
        *((Status.SILENT, "", None) for _ in range(silences)),
    ]
    entries = tuple(
        Entry(
            index=index,
            source_span=Span(
                start_samples=(index - 1) * RATE_HZ, end_samples=index * RATE_HZ, rate_hz=RATE_HZ
            ),
            status=status,
            text=text,
            error=error,
        )
        for index, (status, text, error) in enumerate(contents, 1)
    )
    return Timeline(
        source=source_of(len(entries) * RATE_HZ),
        captioner=CaptionerInfo(name="acoustic", model="acoustic-1"),
        entries=entries,
    )


def hours_of(count: int) -> Timeline:
    """Return a timeline with one caption for each of `count` hours."""
    hour_samples = 3600 * RATE_HZ
    whole = timeline_of(*(f"Hour {number}." for number in range(count)))
    entries = tuple(
        replace(
            entry,
            source_span=Span(
                start_samples=(entry.index - 1) * hour_samples,
                end_samples=entry.index * hour_samples,
                rate_hz=RATE_HZ,
            ),
        )
        for entry in whole.entries
    )
    source = replace(whole.source, duration_samples=count * hour_samples)
    return replace(whole, source=source, entries=entries)


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
    """Timelines in order inside the source, with or without gaps, up to months long."""
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
    """Descriptions of a recording of this length, with arbitrary texts."""
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
    """Entries over this stretch, with arbitrary contents."""
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
