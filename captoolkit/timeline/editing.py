"""Functions on entries and parts that `Timeline` is built from: cut, move, split, merge, search.

Rules: samples are whole and move by whole samples. Texts are split only between sentences or words,
and every character is kept, so that merging the pieces again gives the same text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import PurePath

from captoolkit.errors import UsageError
from captoolkit.model import CaptionerInfo, Cost, Entry, SourceInfo, Span, Status, Usage
from captoolkit.timeline.breaking import columns, needs_no_space_after, sentences, words_with_spaces
from captoolkit.units import format_seconds

VARIOUS = "various"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePart:
    """A stretch of a recording, and its place on a timeline's clock.

    Attributes:
        source: the recording as it was captioned.
        source_span: the stretch of it, counted at the timeline's rate.
        at_samples: the sample of the timeline at which it begins, at the same rate.
    """

    source: SourceInfo
    source_span: Span
    at_samples: int

    @classmethod
    def whole(cls, source: SourceInfo) -> SourcePart:
        """Return the part that is a whole recording, from the beginning of the timeline."""
        return cls(source=source, source_span=source.span, at_samples=0)

    def scaled(self, scale: int, by_samples: int) -> SourcePart:
        """Return the part on a clock `scale` times as fine, later by `by_samples` of that clock."""
        span = scaled_span(self.source_span, scale, 0)
        return replace(self, source_span=span, at_samples=self.at_samples * scale + by_samples)

    def within(self, end_samples: int) -> SourcePart | None:
        """Return the stretch of the part from zero up to `end_samples`, None if it is empty."""
        early = max(0, -self.at_samples)
        length = min(self.source_span.samples, end_samples - self.at_samples)
        if early >= length:
            return None
        start = self.source_span.start_samples
        span = replace(self.source_span, start_samples=start + early, end_samples=start + length)
        return replace(self, source_span=span, at_samples=self.at_samples + early)

    def continues(self, other: SourcePart) -> bool:
        """Return whether this part begins where `other` ends, on the timeline and in the source."""
        return (
            self.source == other.source
            and self.source_span.start_samples == other.source_span.end_samples
            and self.at_samples == other.at_samples + other.source_span.samples
        )


# ------------------------------------------------------------------------------------- clocks


def scaled_span(span: Span, scale: int, by_samples: int) -> Span:
    """Return a span on a clock `scale` times as fine, later by `by_samples` of that clock."""
    return Span(
        start_samples=span.start_samples * scale + by_samples,
        end_samples=span.end_samples * scale + by_samples,
        rate_hz=span.rate_hz * scale,
    )


def scaled(entry: Entry, scale: int, by_samples: int) -> Entry:
    """Return an entry on a clock `scale` times as fine, later by `by_samples` of that clock."""
    return replace(entry, source_span=scaled_span(entry.source_span, scale, by_samples))


def moved(entry: Entry, by_samples: int) -> Entry:
    """Return an entry moved later by `by_samples`."""
    return scaled(entry, 1, by_samples)


def within(entries: Iterable[Entry], start_samples: int, end_samples: int) -> Iterator[Entry]:
    """Yield the entries inside a stretch, those at its edges cut."""
    for entry in entries:
        start = max(entry.source_span.start_samples, start_samples)
        end = min(entry.source_span.end_samples, end_samples)
        if start < end:
            span = replace(entry.source_span, start_samples=start, end_samples=end)
            yield replace(entry, source_span=span)


def numbered(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return entries numbered from 1."""
    return tuple(replace(entry, index=index) for index, entry in enumerate(entries, 1))


# -------------------------------------------------------------------------------- recordings


def moved_parts(parts: Iterable[SourcePart], by_samples: int, end_samples: int) -> list[SourcePart]:
    """Return parts moved by `by_samples` and cut to the stretch from zero up to `end_samples`."""
    cut = (part.scaled(1, by_samples).within(end_samples) for part in parts)
    return [part for part in cut if part is not None]


def coalesced(parts: Iterable[SourcePart]) -> tuple[SourcePart, ...]:
    """Return parts with each part merged into its predecessor if it continues that."""
    merged: list[SourcePart] = []
    for part in parts:
        if merged and part.continues(merged[-1]):
            span = replace(merged[-1].source_span, end_samples=part.source_span.end_samples)
            merged[-1] = replace(merged[-1], source_span=span)
        else:
            merged.append(part)
    return tuple(merged)


def described(
    parts: Sequence[SourcePart], default: SourceInfo, *, rate_hz: int, duration_samples: int
) -> SourceInfo:
    """Return one description for the recordings of all parts; `default` if there are no parts."""
    sources = tuple(dict.fromkeys(part.source for part in parts)) or (default,)
    source = sources[0] if len(sources) == 1 else _combined(sources)
    return replace(source, sample_rate_hz=rate_hz, duration_samples=duration_samples)


def _combined(sources: Sequence[SourceInfo]) -> SourceInfo:
    return replace(
        sources[0],
        path=_joined((PurePath(source.path).name for source in sources), " + "),
        sha256="",  # no file has these bytes
        size_bytes=sum(source.size_bytes for source in sources),
        container=_common([source.container for source in sources]),
        codec=_common([source.codec for source in sources]),
        channels=max(source.channels for source in sources),
        track=1,
    )


def all_captioners(captioners: Sequence[CaptionerInfo]) -> CaptionerInfo:
    """Return one description for several captioners; its URL is None unless they share one."""
    urls = {captioner.base_url for captioner in captioners}
    return CaptionerInfo(
        name=_joined((captioner.name for captioner in captioners), " + "),
        model=_joined((captioner.model for captioner in captioners), " + "),
        base_url=urls.pop() if len(urls) == 1 else None,
    )


def total_cost(costs_and_usages: Iterable[tuple[Cost | None, Usage]]) -> Cost | None:
    """Return the sum of costs, None if one is unknown or the currencies differ.

    A timeline with neither a cost nor a token was free and does not make the sum unknown.
    """
    costs = [cost for cost, usage in costs_and_usages if cost is not None or usage != Usage()]
    stated = [cost for cost in costs if cost is not None]
    if not stated or len(stated) < len(costs) or len({cost.currency for cost in stated}) > 1:
        return None
    total = sum((cost.amount for cost in stated[1:]), stated[0].amount)
    return Cost(currency=stated[0].currency, amount=total)


def _joined(words: Iterable[str], separator: str) -> str:
    return separator.join(dict.fromkeys(words))


def _common(words: Sequence[str]) -> str:
    return words[0] if len(set(words)) == 1 else VARIOUS


# ----------------------------------------------------------------------------------- entries


def split(entry: Entry, at_samples: int) -> list[Entry]:
    """Return the two pieces of an entry before and after a sample inside it, else the entry."""
    span = entry.source_span
    if not span.start_samples < at_samples < span.end_samples:
        return [entry]
    text = entry.text
    share = (at_samples - span.start_samples) / span.samples
    width = columns(text)
    places = _inner_places(sentences(text)) or _inner_places(words_with_spaces(text))
    cut = min(places, key=lambda place: abs(places[place] - share * width), default=len(text))
    return _pieces(entry, [text[:cut], text[cut:]], [at_samples])


def spread(entry: Entry) -> list[Entry]:
    """Return one entry for each sentence of a caption, with times in proportion to their length."""
    texts = sentences(entry.text)
    span = entry.source_span
    if entry.status is not Status.OK or not 1 < len(texts) <= span.samples:
        return [entry]
    reached = list(accumulate(columns(sentence) for sentence in texts))
    # Each sentence gets one sample, and its share of the others.
    shared = span.samples - len(texts)
    edges = [
        span.start_samples + number + shared * width // reached[-1]
        for number, width in enumerate(reached[:-1], 1)
    ]
    return _pieces(entry, texts, edges)


def _pieces(entry: Entry, texts: Sequence[str], edges: Sequence[int]) -> list[Entry]:
    """The entry in pieces; its details and tokens stay with the first."""
    span = entry.source_span
    spans = pairwise([span.start_samples, *edges, span.end_samples])
    return [
        replace(
            entry,
            text=text,
            source_span=replace(span, start_samples=start, end_samples=end),
            details="" if number else entry.details,
            usage=Usage() if number else entry.usage,
        )
        for number, (text, (start, end)) in enumerate(zip(texts, spans, strict=True))
    ]


def _inner_places(pieces: Sequence[str]) -> dict[int, int]:
    """The columns before each place between two pieces, by the place's index in the text."""
    places = accumulate(len(piece) for piece in pieces[:-1])
    return dict(zip(places, accumulate(map(columns, pieces)), strict=False))


def merged(entries: Sequence[Entry]) -> Entry:
    """Return neighbouring entries as one.

    Raises:
        UsageError: a stretch between two of them has no entry.
    """
    for entry, following in pairwise(entries):
        end, start = entry.source_span.end_samples, following.source_span.start_samples
        if start != end:
            from_s, to_s = (format_seconds(n, entry.source_span.rate_hz) for n in (end, start))
            raise UsageError(
                f"entries {entry.index} and {following.index} are no neighbours: no entry covers "
                f"the stretch between {from_s} s and {to_s} s"
            )
    first, last = entries[0], entries[-1]
    text = first.text
    for entry, following in pairwise(entries):
        text += _separator(text, entry, following) + following.text
    return replace(
        first,
        source_span=replace(first.source_span, end_samples=last.source_span.end_samples),
        status=_merged_status({entry.status for entry in entries}),
        text=text,
        details="\n\n".join(entry.details for entry in entries if entry.details),
        finish_reason=_joined_or_none([entry.finish_reason for entry in entries]),
        request_id=_joined_or_none([entry.request_id for entry in entries]),
        error=_joined_or_none([entry.error for entry in entries]),
        usage=sum((entry.usage for entry in entries), Usage()),
        is_edited=any(entry.is_edited for entry in entries),
    )


def _separator(before: str, entry: Entry, following: Entry) -> str:
    """The text between the merged texts so far and that of `following`.

    Nothing goes between two halves of one answer. Such halves have a space at the split, or a full
    stop that needs none; the second half has the same request and no tokens, because `_pieces`
    leaves the tokens with the first.
    """
    after = following.text
    has_space = not before or not after or before[-1].isspace() or after[0].isspace()
    is_one_answer = entry.request_id == following.request_id and following.usage == Usage()
    return "" if has_space or (is_one_answer and needs_no_space_after(before)) else "\n\n"


def _merged_status(statuses: set[Status]) -> Status:
    """A failure stays visible, and a silence next to a caption becomes part of that caption."""
    order = (Status.FAILED, Status.OK, Status.SILENT)
    return next(status for status in order if status in statuses)


def _joined_or_none(words: Iterable[str | None]) -> str | None:
    present = [word for word in words if word is not None]
    return _joined(present, ", ") if present else None


# ---------------------------------------------------------------------------------- searching


def read_statuses(status: Status | str | Iterable[Status | str] | None) -> frozenset[Status]:
    """Return one or several statuses as a set; None means all of them.

    Raises:
        UsageError: a name is no status.
    """
    if status is None:
        return frozenset(Status)
    names = [status] if isinstance(status, str) else list(status)
    try:
        return frozenset(Status(name) for name in names)
    except ValueError as error:
        raise UsageError(str(error), fix=f"use {', '.join(Status)}") from None


def text_matcher(wanted: str | re.Pattern[str] | None) -> Callable[[str], bool]:
    """Return a function that tests whether a text contains the words, or matches the pattern."""
    if wanted is None:
        return lambda text: True
    if isinstance(wanted, re.Pattern):
        return lambda text: wanted.search(text) is not None
    words = folded(wanted)
    return lambda text: words in folded(text)


def folded(text: str) -> str:
    """Return `text` as a search compares it: one case, one width, one space between words."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
