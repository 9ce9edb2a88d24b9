"""The timeline: captions over a whole recording, and the operations that return new timelines.

Rules: a timeline is an immutable value; every operation returns another one. Times are whole
samples and move by whole samples. Operations keep every word, except `slice` and `filtered`, which
select entries. `source` is the recording that the entries' clock belongs to. If that
clock is not the clock of one recording from its beginning (after `joined`, `shifted` or
`slice(from_zero=True)`), `parts` maps stretches of the clock to stretches of recordings.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from captoolkit.errors import UsageError
from captoolkit.model import CaptionerInfo, Cost, Entry, Envelope, SourceInfo, Status, Usage
from captoolkit.support.provenance import Provenance
from captoolkit.timeline import editing
from captoolkit.timeline.editing import SourcePart
from captoolkit.units import format_count, format_length, parse_time, samples_at

Time = str | int | float | Fraction | Decimal
"""Seconds, or a text such as `90`, `1m30s` or `0:01:30.5`."""

SPREAD_NOTE = (
    "The sentences of each segment share its time in proportion to their length; only the start "
    "and the end of each segment were measured."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusTotal:
    """The number of entries with one status, and their exact total duration."""

    entries: int
    duration_s: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The contents of a timeline, counted."""

    ok: StatusTotal
    failed: StatusTotal
    silent: StatusTotal
    characters: int
    usage: Usage
    cost: Cost | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Captions over a whole recording, on the recording's own clock.

    ```python
    timeline = captoolkit.load("night.json")  # or Timeline.load
    captoolkit.save(timeline.slice("1h", "2h").filtered(text="owl"), "owls.srt")
    ```

    Attributes:
        entries: in time order, without overlap; failed and silent segments are entries too.
        cost: the price of the answers at the region's rates, None if unknown.
        parts: the recordings that `source` consists of; empty if it is one, from its beginning.
        notes: remarks on the times or the words for readers of every format, as sentences.
        made_by: the verb and options of the run that made this timeline; None if it is unknown, and
            after an operation that changed it.
        modified_ns: when the source was last changed, as that run found it; None if the source was
            no file.
        envelope: the levels of the recording from its beginning, for the waveform of a page; None
            if they were not measured, and if the clock is no recording's own.
    """

    source: SourceInfo
    captioner: CaptionerInfo
    entries: tuple[Entry, ...]
    cost: Cost | None = None
    parts: tuple[SourcePart, ...] = ()
    notes: tuple[str, ...] = ()
    made_by: Provenance | None = None
    modified_ns: int | None = None
    envelope: Envelope | None = None

    def __repr__(self) -> str:
        """Return a summary; `captoolkit.render(timeline, "txt")` is the text."""
        entries = format_count(len(self.entries), "entry", "entries")
        failed = f", {len(self.holes):,} of them failed" if self.holes else ""
        length = format_length(self.source.span.exact_s)
        return f"<Timeline of {self.source.path!r}: {length}, {entries}{failed}>"

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Timeline:
        """Return the timeline in a `.json` file: the same as `captoolkit.load`."""
        import captoolkit  # the front door imports the reader of files on first use

        return captoolkit.load(path)

    # --------------------------------------------------------------------------- contents

    @property
    def usage(self) -> Usage:
        """The sum of the tokens of all entries."""
        return sum((entry.usage for entry in self.entries), Usage())

    @property
    def holes(self) -> tuple[Entry, ...]:
        """The entries without a caption because their request failed."""
        return tuple(entry for entry in self.entries if entry.status is Status.FAILED)

    @property
    def all_parts(self) -> tuple[SourcePart, ...]:
        """`parts`, or `source` as the only part if `parts` is empty."""
        return self.parts or (SourcePart.whole(self.source),)

    @property
    def totals(self) -> Totals:
        """Entries and seconds by status, characters, tokens and cost."""
        return Totals(
            ok=self._status_total(Status.OK),
            failed=self._status_total(Status.FAILED),
            silent=self._status_total(Status.SILENT),
            characters=sum(len(entry.text) for entry in self.entries),
            usage=self.usage,
            cost=self.cost,
        )

    def _status_total(self, status: Status) -> StatusTotal:
        spans = [entry.source_span for entry in self.entries if entry.status is status]
        total_s = sum((span.exact_s for span in spans), Fraction(0))
        return StatusTotal(entries=len(spans), duration_s=total_s)

    # -------------------------------------------------------------------------- selecting

    def filtered(
        self,
        *,
        status: Status | str | Iterable[Status | str] | None = None,
        text: str | re.Pattern[str] | None = None,
    ) -> Timeline:
        """Return the entries that match, with their own numbers and times.

        Args:
            status: `ok`, `failed`, `silent`, or several of them; any status if None.
            text: words to find in the caption or in its details, ignoring case, character width and
                line ends, or a compiled pattern to search for; any text if None.

        Raises:
            UsageError: `status` names no status.
        """
        statuses = editing.read_statuses(status)
        matches = editing.text_matcher(text)
        return self._with_entries(
            entry
            for entry in self.entries
            if entry.status in statuses and any(map(matches, (entry.text, entry.details)))
        )

    def slice(
        self, start: Time | None = None, end: Time | None = None, *, from_zero: bool = False
    ) -> Timeline:
        """Return the stretch from `start` up to `end`, each to the nearest sample.

        An entry that reaches over an edge is cut there and keeps all its words. Times stay on the
        recording's clock; with `from_zero` they count from `start`, as in a clip cut out there.

        Raises:
            UsageError: `start` is not before `end`, or one of them is outside the recording.
        """
        length = self.source.duration_samples
        first = 0 if start is None else self._sample(start)
        last = length if end is None else self._sample(end)
        if not 0 <= first < last <= length and (first, last) != (0, length):
            given = ("its start" if start is None else start, "its end" if end is None else end)
            raise UsageError(
                f"{given[0]} to {given[1]} is no stretch of this timeline, which is "
                f"{length / self.source.sample_rate_hz:g} s long",
                fix="give a start before the end, both inside it",
            )
        inside = self._with_entries(editing.within(self.entries, first, last))
        return inside._moved(-first, last - first) if from_zero else inside

    def _with_entries(self, entries: Iterable[Entry]) -> Timeline:
        """The timeline with fewer entries; its cost is known only for all of them."""
        selected = tuple(entries)
        cost = self.cost if selected == self.entries else None
        return self._edited(entries=selected, cost=cost)

    def _edited(self, **changes: Any) -> Timeline:
        """The timeline with changes; no run has made a timeline that has changed."""
        edited = replace(self, **changes)
        return edited if edited == self else replace(edited, made_by=None, modified_ns=None)

    # --------------------------------------------------------------------- changing clocks

    def shifted(self, by: Time) -> Timeline:
        """Return the timeline moved by `by` seconds, to the nearest sample.

        A positive `by` moves it later, as for sound inside a longer recording; a negative one moves
        it earlier.

        Raises:
            UsageError: an entry would begin before zero.
        """
        samples = self._sample(by)
        starts = [entry.source_span.start_samples for entry in self.entries]
        if min(starts, default=self.source.duration_samples) + samples < 0:
            raise UsageError(
                f"shifted by {by}, an entry would begin before zero",
                fix="take a slice without that entry first",
            )
        return self._moved(samples, self.source.duration_samples + samples)

    def _moved(self, by_samples: int, duration_samples: int) -> Timeline:
        """The timeline moved by `by_samples`, on a clock that ends at `duration_samples`."""
        parts = editing.moved_parts(self.all_parts, by_samples, duration_samples)
        entries = tuple(editing.moved(entry, by_samples) for entry in self.entries)
        return self._on_clock(parts, entries, self.source.sample_rate_hz, duration_samples)

    def _on_clock(
        self,
        parts: Iterable[SourcePart],
        entries: tuple[Entry, ...],
        rate_hz: int,
        duration_samples: int,
    ) -> Timeline:
        """The timeline with these entries and parts, on a clock of that rate and length."""
        merged = editing.coalesced(parts)
        source = editing.described(
            merged, self.source, rate_hz=rate_hz, duration_samples=duration_samples
        )
        is_whole = merged == (SourcePart.whole(source),)
        if not is_whole:
            source = replace(source, start_samples=0)
        return self._edited(
            source=source,
            entries=entries,
            parts=() if is_whole else merged,
            envelope=self.envelope if is_whole else None,
        )

    @classmethod
    def joined(cls, timelines: Iterable[Timeline]) -> Timeline:
        """Return several timelines end to end as one, entries numbered from 1.

        The joined clock counts at the least common multiple of their rates, so that every time
        stays exact. Their costs are added if every timeline with tokens has one, all in the same
        currency.

        Raises:
            UsageError: `timelines` is empty.
        """
        joining = tuple(timelines)
        if not joining:
            raise UsageError("there is no timeline to join", fix="give at least one")
        if len(joining) == 1:
            return joining[0]
        rate_hz = math.lcm(*(timeline.source.sample_rate_hz for timeline in joining))
        parts: list[SourcePart] = []
        entries: list[Entry] = []
        at_samples = 0
        for timeline in joining:
            scale = rate_hz // timeline.source.sample_rate_hz
            parts += (part.scaled(scale, at_samples) for part in timeline.all_parts)
            entries += (editing.scaled(entry, scale, at_samples) for entry in timeline.entries)
            at_samples += timeline.source.duration_samples * scale
        merged = replace(
            joining[0],
            captioner=editing.all_captioners([timeline.captioner for timeline in joining]),
            cost=editing.total_cost([(timeline.cost, timeline.usage) for timeline in joining]),
            notes=tuple(dict.fromkeys(note for timeline in joining for note in timeline.notes)),
        )
        return merged._on_clock(parts, editing.numbered(entries), rate_hz, at_samples)

    # -------------------------------------------------------------- splitting and merging

    def split_at(self, time: Time) -> Timeline:
        """Return the timeline with the entry around `time` split in two, entries numbered from 1.

        Its text is split at the end of the sentence nearest to `time`, or of the nearest word if it
        has one sentence. The first half keeps the tokens. Where an entry begins, nothing changes.

        Raises:
            UsageError: `time` is outside the recording.
        """
        at_samples, length = self._sample(time), self.source.duration_samples
        if not 0 <= at_samples <= length:
            raise UsageError(
                f"{time} is outside this timeline, which is "
                f"{length / self.source.sample_rate_hz:g} s long",
                fix="give a time inside it",
            )
        pieces = (piece for entry in self.entries for piece in editing.split(entry, at_samples))
        return self._edited(entries=editing.numbered(pieces))

    def merged(self, first: int, last: int) -> Timeline:
        """Return the timeline with entries `first` to `last` (by `index`) merged, numbered from 1.

        Their texts become paragraphs of one text; two halves of one caption become the caption
        again. If one of them failed, the merged entry is failed, with that error and all texts.

        Raises:
            UsageError: an index does not exist, or a stretch between two entries has no entry.
        """
        numbers = [entry.index for entry in self.entries]
        if first not in numbers or last not in numbers or first > last:
            raise UsageError(
                f"there are no entries {first} to {last}",
                fix="give the index of an entry, and that of a later one",
            )
        low, high = numbers.index(first), numbers.index(last) + 1
        merged = editing.merged(self.entries[low:high])
        entries = (*self.entries[:low], merged, *self.entries[high:])
        return self._edited(entries=editing.numbered(entries))

    def spread(self) -> Timeline:
        """Return the timeline with an entry for each sentence of a caption, numbered from 1.

        The sentences share the caption's time in proportion to their length. These times are
        estimates, and `notes` of the result says so.
        """
        pieces = [piece for entry in self.entries for piece in editing.spread(entry)]
        if len(pieces) == len(self.entries):
            return self
        notes = tuple(dict.fromkeys([*self.notes, SPREAD_NOTE]))
        return self._edited(entries=editing.numbered(pieces), notes=notes)

    # ------------------------------------------------------------------------------- times

    def _sample(self, time: Time) -> int:
        try:
            seconds = parse_time(time) if isinstance(time, str) else Fraction(time)
        except (OverflowError, ValueError) as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(f"{time} is not a time") from error
        nearest = samples_at(abs(seconds), self.source.sample_rate_hz)
        return nearest if seconds >= 0 else -nearest
