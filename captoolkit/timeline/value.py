"""The timeline itself: captions over a whole recording, and what can be done with them.

Rules: a timeline is a value; whatever is done to it gives another. Times are whole samples and are
only ever moved by whole samples; no word is lost, and what shows less (`slice`, `filtered`) says so
in its name. `source` is the recording whose clock the entries are on. Where that is not one
recording from its beginning (after `joined`, `shifted`, `slice(from_zero=True)`), `parts` says
which stretch of which recording lies where.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from captoolkit.errors import InputError, SourceNotFoundError, UsageError
from captoolkit.model import CaptionerInfo, Cost, Entry, SourceInfo, Status, Usage
from captoolkit.support import files
from captoolkit.timeline import editing
from captoolkit.timeline.editing import Part
from captoolkit.units import parse_time, samples_at

Time = str | int | float | Fraction | Decimal
"""Seconds, or a text such as `90`, `1m30s` or `0:01:30.5`."""

DEFAULT_FORMAT = "json"
SPREAD_NOTE = (
    "The sentences of each segment are laid over it in proportion to their length; only where the "
    "segments begin and end was measured."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How much of a timeline has one status: `duration_s` is exact."""

    entries: int
    duration_s: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What a timeline holds altogether."""

    ok: Share
    failed: Share
    silent: Share
    characters: int
    usage: Usage
    cost: Cost | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Captions over a whole recording, on the recording's own clock.

    ```python
    timeline = captoolkit.Timeline.load("night.json")
    timeline.slice("1h", "2h").filtered(text="owl").save("owls.srt")
    ```

    Attributes:
        entries: in time order, without overlap; holes and silences are entries too.
        cost: what the answers cost by the prices of the region, None when nobody says.
        parts: the recordings that `source` is made of; none where it is one, from its beginning.
        notes: what a reader of any format must know about the times or the words, as sentences.
    """

    source: SourceInfo
    captioner: CaptionerInfo
    entries: tuple[Entry, ...]
    cost: Cost | None = None
    parts: tuple[Part, ...] = ()
    notes: tuple[str, ...] = ()

    # ------------------------------------------------------------------------------ files

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Timeline:
        """Return the timeline in a `.json` file that captoolkit wrote.

        Raises:
            SourceNotFoundError: there is no such file, or it may not be read.
            InputError: it holds no timeline, or not one that is read here; the message says where.
        """
        from captoolkit.timeline.formats import parse

        try:
            return parse(Path(path).read_bytes().decode("utf-8"))
        except OSError as error:
            raise SourceNotFoundError(
                f"it cannot be read ({error.strerror})", fix="check the name", path=path
            ) from error
        except UnicodeDecodeError as error:
            raise InputError(
                f"it is not UTF-8 text (byte {error.start})",
                fix="give a timeline that captoolkit wrote",
                path=path,
            ) from error
        except InputError as error:
            error.path = str(path)
            raise

    def save(
        self,
        path: str | os.PathLike[str],
        format: str | None = None,
        *,
        overwrite: bool = False,
        **options: Any,
    ) -> None:
        """Write the timeline to a file that is there whole or not at all.

        Args:
            path: where; its ending names the format if `format` does not.
            format: one of the names in `captoolkit.timeline.FORMATS`.
            overwrite: replace what is there.
            **options: as `render` takes them, such as `spread=True`.

        Raises:
            UsageError: no format has that name or ending, or it cannot hold this timeline.
            OutputExistsError, OutputError: it is there already, or cannot be written.
        """
        from captoolkit.timeline.formats import format_of, render

        name = format or format_of(path) or DEFAULT_FORMAT
        files.write_whole(Path(path), render(self, name, **options), overwrite=overwrite)

    # ----------------------------------------------------------------------- what it holds

    @property
    def usage(self) -> Usage:
        """The tokens of all entries together."""
        return sum((entry.usage for entry in self.entries), Usage())

    @property
    def holes(self) -> tuple[Entry, ...]:
        """The entries that have no caption because asking failed."""
        return tuple(entry for entry in self.entries if entry.status is Status.FAILED)

    @property
    def all_parts(self) -> tuple[Part, ...]:
        """The recordings that the timeline lies over; `source` alone where `parts` names none."""
        return self.parts or (Part(source=self.source, source_span=self.source.span, at_samples=0),)

    @property
    def totals(self) -> Totals:
        """How much was captioned, failed or silent, in entries and seconds, and what it took."""
        return Totals(
            ok=self._share(Status.OK),
            failed=self._share(Status.FAILED),
            silent=self._share(Status.SILENT),
            characters=sum(len(entry.text) for entry in self.entries),
            usage=self.usage,
            cost=self.cost,
        )

    def _share(self, status: Status) -> Share:
        spans = [entry.source_span for entry in self.entries if entry.status is status]
        total_s = sum((Fraction(span.samples, span.rate_hz) for span in spans), Fraction(0))
        return Share(entries=len(spans), duration_s=total_s)

    # ------------------------------------------------------------------------ showing less

    def filtered(
        self,
        *,
        status: Status | str | Iterable[Status | str] | None = None,
        text: str | re.Pattern[str] | None = None,
    ) -> Timeline:
        """Return the entries of these statuses that say this, with their own numbers and times.

        Args:
            status: `ok`, `failed`, `silent`, or several of them; any if None.
            text: words to be found in the caption, whatever their case, width and line ends, or a
                compiled pattern to be searched for; anything if None.

        Raises:
            UsageError: there is no such status.
        """
        statuses = editing.statuses(status)
        says = editing.finder(text)
        return self._with(
            entry for entry in self.entries if entry.status in statuses and says(entry.text)
        )

    def slice(
        self, start: Time | None = None, end: Time | None = None, *, from_zero: bool = False
    ) -> Timeline:
        """Return what lies from `start` up to `end`, each to the nearest sample.

        An entry that sticks out is cut to the edge and keeps its words. Times stay those of the
        recording; with `from_zero` they count from `start`, as in a clip that was cut out there.

        Raises:
            UsageError: `start` is not before `end`, or one of them is outside the recording.
        """
        length = self.source.duration_samples
        first = 0 if start is None else self._sample(start)
        last = length if end is None else self._sample(end)
        if not 0 <= first < last <= length and (first, last) != (0, length):
            raise UsageError(
                f"from {start} to {end} is no part of the {float(self._seconds(length)):g} s "
                "of this timeline",
                fix="give a start before the end, both inside it",
            )
        kept = self._with(editing.within(self.entries, first, last))
        return kept._moved(-first, last - first) if from_zero else kept

    def _with(self, entries: Iterable[Entry]) -> Timeline:
        """The same with these of its entries; what they cost is known only of all together."""
        kept = tuple(entries)
        whole = kept == self.entries
        return replace(self, entries=kept, cost=self.cost if whole else None)

    # ----------------------------------------------------------------------- other clocks

    def shifted(self, by: Time) -> Timeline:
        """Return the same with everything later by `by` seconds, to the nearest sample.

        For sound that begins later in something longer; earlier where `by` is negative.

        Raises:
            UsageError: an entry would begin before zero.
        """
        samples = self._sample(by)
        starts = [entry.source_span.start_samples for entry in self.entries]
        if min(starts, default=self.source.duration_samples) + samples < 0:
            raise UsageError(
                f"shifted by {by}, an entry would begin before zero",
                fix="take a slice of what lies behind first",
            )
        return self._moved(samples, self.source.duration_samples + samples)

    def _moved(self, by_samples: int, duration_samples: int) -> Timeline:
        """The same on a clock that was at `-by_samples` when the old one was at zero."""
        parts = editing.moved_parts(self.all_parts, by_samples, duration_samples)
        entries = tuple(editing.moved(entry, by_samples) for entry in self.entries)
        return self._made_of(parts, entries, self.source.sample_rate_hz, duration_samples)

    def _made_of(
        self, parts: Iterable[Part], entries: tuple[Entry, ...], rate_hz: int, samples: int
    ) -> Timeline:
        """The same with these entries on a clock on which these parts lie."""
        whole = editing.coalesced(parts)
        source = editing.described(whole, self.source, rate_hz=rate_hz, duration_samples=samples)
        alone = (Part(source=source, source_span=source.span, at_samples=0),)
        return replace(self, source=source, entries=entries, parts=() if whole == alone else whole)

    @classmethod
    def joined(cls, timelines: Iterable[Timeline]) -> Timeline:
        """Return several timelines end to end as one, entries numbered from 1.

        The clock counts at the least common multiple of their rates, so that no time changes.
        What they cost is added where all that asked for tokens say it in one currency.

        Raises:
            UsageError: there is none to join.
        """
        lines = tuple(timelines)
        if not lines:
            raise UsageError("there is no timeline to join", fix="give at least one")
        if len(lines) == 1:
            return lines[0]
        rate_hz = editing.common_rate(line.source.sample_rate_hz for line in lines)
        parts: list[Part] = []
        entries: list[Entry] = []
        at_samples = 0
        for line in lines:
            scale = rate_hz // line.source.sample_rate_hz
            parts += (part.scaled(scale, at_samples) for part in line.all_parts)
            entries += (editing.scaled(entry, scale, at_samples) for entry in line.entries)
            at_samples += line.source.duration_samples * scale
        merged = replace(
            lines[0],
            captioner=editing.all_captioners([line.captioner for line in lines]),
            cost=editing.total_cost([(line.cost, line.usage) for line in lines]),
            notes=tuple(dict.fromkeys(note for line in lines for note in line.notes)),
        )
        return merged._made_of(parts, editing.numbered(entries), rate_hz, at_samples)

    # -------------------------------------------------------------------- finer or coarser

    def split_at(self, time: Time) -> Timeline:
        """Return the same with the entry around `time` in two, entries numbered from 1.

        Its words are shared out where a sentence ends (else a word), as near to `time` as there
        is such a place; the first half keeps the tokens. Nothing changes where an entry begins.
        """
        at_samples = self._sample(time)
        pieces = (piece for entry in self.entries for piece in editing.split(entry, at_samples))
        return replace(self, entries=editing.numbered(pieces))

    def merged(self, first: int, last: int) -> Timeline:
        """Return the same with entries `first` to `last` (by `index`) as one, numbered from 1.

        Their words follow one another, halves of one as they were and others as paragraphs; a hole
        among them makes it a hole that has words, and its error stays.

        Raises:
            UsageError: there are no such entries, or a stretch between two of them has none.
        """
        numbers = [entry.index for entry in self.entries]
        if first not in numbers or last not in numbers or first > last:
            raise UsageError(f"there are no entries {first} to {last}")
        low, high = numbers.index(first), numbers.index(last) + 1
        one = editing.merged(self.entries[low:high])
        entries = (*self.entries[:low], one, *self.entries[high:])
        return replace(self, entries=editing.numbered(entries))

    def spread(self) -> Timeline:
        """Return the same with a caption's sentences as entries of their own, numbered from 1.

        They share the caption's time in proportion to their length, which nobody has measured:
        `notes` says so.
        """
        pieces = [piece for entry in self.entries for piece in editing.spread(entry)]
        if len(pieces) == len(self.entries):
            return self
        notes = tuple(dict.fromkeys([*self.notes, SPREAD_NOTE]))
        return replace(self, entries=editing.numbered(pieces), notes=notes)

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

    def _seconds(self, samples: int) -> Fraction:
        return Fraction(samples, self.source.sample_rate_hz)
