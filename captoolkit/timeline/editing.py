"""How entries and parts are cut, moved, shared out and put together: what `Timeline` is made with.

Rules: samples are whole and moved by whole samples. Words are cut only between words and their
characters are all kept, so that putting pieces together again gives the same text.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import PurePath

from captoolkit.errors import UsageError
from captoolkit.model import CaptionerInfo, Cost, Entry, SourceInfo, Span, Status, Usage
from captoolkit.timeline.breaking import columns, may_go_on, sentences, words_with_spaces
from captoolkit.units import format_seconds

VARIOUS = "various"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A stretch of a recording, and where it lies on a timeline's clock.

    Attributes:
        source: the recording as it was captioned.
        source_span: which stretch of it, counted at the timeline's rate.
        at_samples: where on the timeline it begins, at the same rate.
    """

    source: SourceInfo
    source_span: Span
    at_samples: int

    def scaled(self, scale: int, by_samples: int) -> Part:
        """Return the same on a clock `scale` times as fine, later by `by_samples` of that."""
        span = scaled_span(self.source_span, scale, 0)
        return replace(self, source_span=span, at_samples=self.at_samples * scale + by_samples)

    def within(self, end_samples: int) -> Part | None:
        """Return what of the part lies from zero up to `end_samples`, None if nothing does."""
        early = max(0, -self.at_samples)
        length = min(self.source_span.samples, end_samples - self.at_samples)
        if early >= length:
            return None
        start = self.source_span.start_samples
        span = replace(self.source_span, start_samples=start + early, end_samples=start + length)
        return replace(self, source_span=span, at_samples=self.at_samples + early)

    def continues(self, other: Part) -> bool:
        """Return whether the sound of this part goes on from where that of `other` ends."""
        return (
            self.source == other.source
            and self.source_span.start_samples == other.source_span.end_samples
            and self.at_samples == other.at_samples + other.source_span.samples
        )


# ------------------------------------------------------------------------------------- clocks


def common_rate(rates_hz: Iterable[int]) -> int:
    """Return the slowest clock on which every sample of all these rates has a whole number."""
    return math.lcm(*rates_hz)


def scaled_span(span: Span, scale: int, by_samples: int) -> Span:
    """Return a span on a clock `scale` times as fine, later by `by_samples` of that."""
    return Span(
        start_samples=span.start_samples * scale + by_samples,
        end_samples=span.end_samples * scale + by_samples,
        rate_hz=span.rate_hz * scale,
    )


def scaled(entry: Entry, scale: int, by_samples: int) -> Entry:
    """Return an entry on a clock `scale` times as fine, later by `by_samples` of that."""
    return replace(entry, source_span=scaled_span(entry.source_span, scale, by_samples))


def moved(entry: Entry, by_samples: int) -> Entry:
    """Return an entry later by so many samples."""
    return scaled(entry, 1, by_samples)


def within(entries: Iterable[Entry], start_samples: int, end_samples: int) -> Iterator[Entry]:
    """Yield what of the entries lies in a stretch, cut to its edges."""
    for entry in entries:
        start = max(entry.source_span.start_samples, start_samples)
        end = min(entry.source_span.end_samples, end_samples)
        if start < end:
            span = replace(entry.source_span, start_samples=start, end_samples=end)
            yield replace(entry, source_span=span)


def numbered(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return entries with numbers from 1."""
    return tuple(replace(entry, index=index) for index, entry in enumerate(entries, 1))


# -------------------------------------------------------------------------------- recordings


def moved_parts(parts: Iterable[Part], by_samples: int, end_samples: int) -> list[Part]:
    """Return what of the parts, moved by so many samples, lies from zero up to an end."""
    moved_on = (part.scaled(1, by_samples).within(end_samples) for part in parts)
    return [part for part in moved_on if part is not None]


def coalesced(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Return parts with those that go on where the one before ends put together."""
    whole: list[Part] = []
    for part in parts:
        if whole and part.continues(whole[-1]):
            span = replace(whole[-1].source_span, end_samples=part.source_span.end_samples)
            whole[-1] = replace(whole[-1], source_span=span)
        else:
            whole.append(part)
    return tuple(whole)


def described(
    parts: Sequence[Part], usual: SourceInfo, *, rate_hz: int, duration_samples: int
) -> SourceInfo:
    """Return one description of the recordings that parts are of; of none, the usual one."""
    sources = tuple(dict.fromkeys(part.source for part in parts)) or (usual,)
    one = sources[0] if len(sources) == 1 else _together(sources)
    return replace(one, sample_rate_hz=rate_hz, duration_samples=duration_samples)


def _together(sources: Sequence[SourceInfo]) -> SourceInfo:
    return replace(
        sources[0],
        path=_joined((PurePath(source.path).name for source in sources), " + "),
        sha256="",  # no file has these bytes
        size_bytes=sum(source.size_bytes for source in sources),
        container=_alike([source.container for source in sources]),
        codec=_alike([source.codec for source in sources]),
        channels=max(source.channels for source in sources),
        track=1,
    )


def all_captioners(captioners: Sequence[CaptionerInfo]) -> CaptionerInfo:
    """Return one name for all who were asked; the address only where it is the same."""
    urls = {captioner.base_url for captioner in captioners}
    return CaptionerInfo(
        name=_joined((captioner.name for captioner in captioners), " + "),
        model=_joined((captioner.model for captioner in captioners), " + "),
        base_url=urls.pop() if len(urls) == 1 else None,
    )


def total_cost(bills: Iterable[tuple[Cost | None, Usage]]) -> Cost | None:
    """Return the sum of costs, None where one is unknown or the currencies differ.

    Who says neither a cost nor a token has asked nobody who is paid.
    """
    costs = [cost for cost, usage in bills if cost is not None or usage != Usage()]
    known = [cost for cost in costs if cost is not None]
    if not known or len(known) < len(costs) or len({cost.currency for cost in known}) > 1:
        return None
    total = sum((cost.amount for cost in known[1:]), known[0].amount)
    return Cost(currency=known[0].currency, amount=total)


def _joined(words: Iterable[str], mark: str) -> str:
    return mark.join(dict.fromkeys(words))


def _alike(words: Sequence[str]) -> str:
    return words[0] if len(set(words)) == 1 else VARIOUS


# ----------------------------------------------------------------------------------- entries


def split(entry: Entry, at_samples: int) -> list[Entry]:
    """Return the two pieces of an entry before and after a sample inside it, else the entry."""
    span = entry.source_span
    if not span.start_samples < at_samples < span.end_samples:
        return [entry]
    text = entry.text
    share = (at_samples - span.start_samples) / span.samples
    whole = columns(text)
    places = _inner_places(sentences(text)) or _inner_places(words_with_spaces(text))
    cut = min(places, key=lambda place: abs(places[place] - share * whole), default=len(text))
    return _pieces(entry, [text[:cut], text[cut:]], [at_samples])


def spread(entry: Entry) -> list[Entry]:
    """Return one entry for each sentence of a caption, over its time in proportion to length."""
    said = sentences(entry.text)
    span = entry.source_span
    if entry.status is not Status.OK or not 1 < len(said) <= span.samples:
        return [entry]
    reached = list(accumulate(columns(sentence) for sentence in said))
    # Each has a sample to itself, and its share of the rest.
    rest = span.samples - len(said)
    edges = [
        span.start_samples + number + rest * width // reached[-1]
        for number, width in enumerate(reached[:-1], 1)
    ]
    return _pieces(entry, said, edges)


def _pieces(entry: Entry, texts: Sequence[str], edges: Sequence[int]) -> list[Entry]:
    """An entry in pieces; what was counted for all of it stays with the first."""
    span = entry.source_span
    spans = pairwise([span.start_samples, *edges, span.end_samples])
    return [
        replace(
            entry,
            text=text,
            source_span=replace(span, start_samples=start, end_samples=end),
            usage=Usage() if number else entry.usage,
        )
        for number, (text, (start, end)) in enumerate(zip(texts, spans, strict=True))
    ]


def _inner_places(pieces: Sequence[str]) -> dict[int, int]:
    """How many columns come before each place between two pieces, by the place's character."""
    places = accumulate(len(piece) for piece in pieces[:-1])
    return dict(zip(places, accumulate(map(columns, pieces)), strict=False))


def merged(entries: Sequence[Entry]) -> Entry:
    """Return neighbours as one entry.

    Raises:
        UsageError: a stretch between two of them belongs to no entry.
    """
    for one, other in pairwise(entries):
        end, start = one.source_span.end_samples, other.source_span.start_samples
        if start != end:
            from_s, to_s = (format_seconds(n, one.source_span.rate_hz) for n in (end, start))
            raise UsageError(
                f"entries {one.index} and {other.index} are no neighbours: no entry says what lies "
                f"between {from_s} s and {to_s} s"
            )
    first, last = entries[0], entries[-1]
    text = first.text
    for one, other in pairwise(entries):
        text += _gap(text, one, other) + other.text
    return replace(
        first,
        source_span=replace(first.source_span, end_samples=last.source_span.end_samples),
        status=_status_of_all({entry.status for entry in entries}),
        text=text,
        finish_reason=_all_said([entry.finish_reason for entry in entries]),
        request_id=_all_said([entry.request_id for entry in entries]),
        error=_all_said([entry.error for entry in entries]),
        usage=sum((entry.usage for entry in entries), Usage()),
    )


def _gap(before: str, one: Entry, other: Entry) -> str:
    """What keeps what was said so far and what `other` says apart: nothing between halves of one.

    Halves have a space between them, or a full stop that needs none and one answer: the second
    names the same request and has no tokens, which `_pieces` leaves with the first.
    """
    after = other.text
    is_apart = not before or not after or before[-1].isspace() or after[0].isspace()
    is_one_answer = one.request_id == other.request_id and other.usage == Usage()
    return "" if is_apart or (is_one_answer and may_go_on(before)) else "\n\n"


def _status_of_all(statuses: set[Status]) -> Status:
    """A hole stays marked, and a silence beside a caption belongs to it."""
    order = (Status.FAILED, Status.OK, Status.SILENT)
    return next(status for status in order if status in statuses)


def _all_said(words: Iterable[str | None]) -> str | None:
    said = [word for word in words if word is not None]
    return _joined(said, ", ") if said else None


# ---------------------------------------------------------------------------------- searching


def statuses(wanted: Status | str | Iterable[Status | str] | None) -> frozenset[Status]:
    """Return the statuses that are meant; all of them by None.

    Raises:
        UsageError: there is no such status.
    """
    if wanted is None:
        return frozenset(Status)
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    try:
        return frozenset(Status(name) for name in names)
    except ValueError as error:
        raise UsageError(str(error), fix=f"use {', '.join(Status)}") from None


def finder(wanted: str | re.Pattern[str] | None) -> Callable[[str], bool]:
    """Return what tells whether a text says what is wanted."""
    if wanted is None:
        return lambda text: True
    if isinstance(wanted, re.Pattern):
        return lambda text: wanted.search(text) is not None
    words = folded(wanted)
    return lambda text: words in folded(text)


def folded(text: str) -> str:
    """Return `text` as a search sees it: one case, one width, one space between words."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
