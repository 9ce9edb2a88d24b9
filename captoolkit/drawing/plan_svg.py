"""A plan and the loudness of its recording -> one drawing (SVG): are the cuts right?

What is drawn: how loud the recording is, from the quietest to the loudest 100 ms in each column;
the segments with their numbers and lengths, and how long each might have been; how far a cut may
move; what is left out; silences. Below it a close-up of each cut, of many the loudest, because a
pause between two words is far too short to be seen in an hour.

Rules: pure; nothing is fetched when it is opened, no script, no font. It is readable on light and
on dark, and says in words (`desc`) what it shows.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from xml.etree import ElementTree as Xml

import numpy as np

from captoolkit.dsp.silence import HOPS_PER_S, SHORTEST_HOPS, Levels, silences
from captoolkit.media import measure_file
from captoolkit.model import Action, Plan, Span
from captoolkit.units import format_clock

WIDTH, MARGIN = 1200, 48
PLOT_TOP, PLOT_HEIGHT = 74, 190
STRIP_HEIGHT, ROW_GAP = 30, 6
LOWEST_DB, HIGHEST_DB = -80.0, 0.0
GRID_DB = (-60, -40, -20)

MOST_CLOSE_UPS, CLOSE_UPS_A_ROW = 12, 4
CLOSE_UP_WIDTH, CLOSE_UP_HEIGHT, CLOSE_UP_GAP = 264, 78, 16
MOST_LIMITS = 12
CLOSE_UP_S = 3.0  # either side of a cut that is made

NUMBERED_PX, TIMED_PX = 22, 92  # how wide a segment must be for its number, and for its length too
TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
TICK_PX = 80

STYLE = """
svg { --paper: #ffffff; --ink: #1c2126; --quiet: #59626a; --line: #dddfda; --loud: #b7cdd0;
  --always: #5f8d94; --box: #e2f1f2; --other: #cfe5e7; --edge: #0c6670; --reach: #0c667026;
  --out: #a8321f; --silent: #7b858d; font: 13px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { svg { --paper: #15191c; --ink: #e6e9eb; --quiet: #a4aeb6;
  --line: #353d43; --loud: #2f4a50; --always: #6aa2aa; --box: #17343a; --other: #204750;
  --edge: #6fcad4; --reach: #6fcad433; --out: #ff9d8a; --silent: #8b959d; } }
text { fill: var(--quiet); } .strong { fill: var(--ink); font-weight: 600; }
.paper { fill: var(--paper); } .frame, .grid { fill: none; stroke: var(--line); }
.loud { fill: var(--loud); } .always { fill: var(--always); } .reach { fill: var(--reach); }
.segment { fill: var(--box); stroke: var(--edge); } .odd { fill: var(--other); }
.segment-text { fill: var(--ink); } .segment-text, .tick { text-anchor: middle; }
.cut { stroke: var(--edge); stroke-width: 2; } .planned { stroke-dasharray: 4 3; }
.limit { stroke: var(--quiet); stroke-dasharray: 2 3; } .limit-end { stroke: var(--quiet); }
.out { fill: url(#hatch); stroke: var(--out); } .hatch { stroke: var(--out); stroke-width: 2; }
.silent { fill: var(--silent); } .quietest { fill: var(--edge); } .end { text-anchor: end; }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One place where a segment ends and the next begins.

    Attributes:
        number: of the segment that ends there.
        at_s: where it lies: where it is planned, or where it was made.
        reach_s: how far it may still move; 0 where it is made.
        made_s: where it would be made within reach, or was.
        level_db: the level of the 100 ms there.
    """

    number: int
    at_s: float
    reach_s: float
    made_s: float
    level_db: float


def draw(
    plan: Plan,
    levels_db: Levels,
    *,
    segments: Sequence[Span] | None = None,
    quiet_places: Mapping[int, int] | None = None,
) -> str:
    """Return the picture of a plan as SVG.

    Args:
        plan: what is to be done, or was.
        levels_db: of the whole track, by a `silence.Meter`.
        segments: where the segments came to lie; None draws them as planned, and how far each cut
            may move.
        quiet_places: for each planned cut that may move the sample at which it would be made.
    """
    spans = plan.spans if segments is None else tuple(segments)
    cuts = _cuts(plan, spans, levels_db, quiet_places or {}, are_made=segments is not None)
    picture = _Picture(plan, levels_db, spans, cuts)
    return picture.text()


def _cuts(
    plan: Plan,
    spans: Sequence[Span],
    levels_db: Levels,
    quiet_places: Mapping[int, int],
    *,
    are_made: bool,
) -> list[Cut]:
    rate_hz = plan.track.sample_rate_hz
    cuts = []
    for number, (one, following) in enumerate(itertools.pairwise(spans), start=1):
        end = one.end_samples
        if end == following.start_samples:
            made_s = quiet_places.get(end, end) / rate_hz
            cut = Cut(
                number=number,
                at_s=one.end_s,
                reach_s=0.0 if are_made or end in plan.marks else plan.reach_samples / rate_hz,
                made_s=made_s,
                level_db=float(levels_db[min(int(made_s * HOPS_PER_S), len(levels_db) - 1)]),
            )
            cuts.append(cut)
    return cuts


class _Picture:
    """The drawing in the making."""

    def __init__(
        self, plan: Plan, levels_db: Levels, spans: Sequence[Span], cuts: Sequence[Cut]
    ) -> None:
        self._plan = plan
        self._levels_db = levels_db
        self._spans = spans
        self._cuts = cuts
        self._total_s = plan.track.duration_s
        self._shown = _loudest(cuts)
        self._root = Xml.Element("svg", xmlns="http://www.w3.org/2000/svg", role="img")
        self._root.set("aria-labelledby", "title desc")

    def text(self) -> str:
        """The whole drawing."""
        self._words()
        bottom = self._close_ups(self._strip(self._overview()))
        self._root.set("viewBox", f"0 0 {WIDTH} {bottom}")
        self._root.set("width", str(WIDTH))
        self._root.set("height", str(bottom))
        Xml.indent(self._root, space="")
        return Xml.tostring(self._root, encoding="unicode") + "\n"

    # ------------------------------------------------------------------------------- words

    def _words(self) -> None:
        self._write("title", _clean(PurePath(self._plan.info.path).name), id="title")
        self._write("desc", self._described(), id="desc")
        self._write("style", STYLE)
        hatch = Xml.SubElement(
            Xml.SubElement(self._root, "defs"),
            "pattern",
            {"id": "hatch", "width": "7", "height": "7", "patternUnits": "userSpaceOnUse"},
        )
        Xml.SubElement(hatch, "path", {"d": "M0 7L7 0", "class": "hatch"})
        self._add("rect", "paper", width="100%", height="100%")
        name = _clean(PurePath(self._plan.info.path).name)
        self._write("text", name, "strong", x=MARGIN, y=28)
        self._write("text", self._described(), x=MARGIN, y=50)

    def _described(self) -> str:
        """What the picture shows, in a sentence or two."""
        number = len(self._spans)
        longest_s = max(span.duration_s for span in self._spans)
        said = f"{_clock(self._total_s)} in {number} segment{'s' * (number != 1)}"
        if self._plan.action is Action.PASS_THROUGH:
            said += ", as it is."
        else:
            said += f", the longest {_clock(longest_s)}"
            is_bound = self._limit_s < self._total_s
            said += f" of {_clock(self._limit_s)} allowed." if is_bound else "."
        if self._plan.skipped:
            skipped_s = sum(span.duration_s for span in self._plan.skipped)
            said += f" {_clock(skipped_s)} of silence left out."
        if self._cuts:
            loudest = max(self._cuts, key=lambda cut: cut.level_db)
            said += f" The least quiet cut lies at {loudest.level_db:.0f} dBFS."
        return said

    @property
    def _limit_s(self) -> float:
        return self._plan.max_segment_samples / self._plan.track.sample_rate_hz

    @property
    def _limits_shown(self) -> bool:
        """Whether it can be told apart which limit is whose, and there is one to be shown."""
        few = len(self._spans) <= MOST_LIMITS
        return few and self._spans[0].start_s + self._limit_s < self._total_s

    # ---------------------------------------------------------------------------- overview

    def _overview(self) -> float:
        """Draw the loudness of the whole recording; return where it ends."""
        left, right, top = MARGIN, WIDTH - MARGIN, PLOT_TOP
        bottom = top + PLOT_HEIGHT
        for level_db in GRID_DB:
            y = _height(level_db, top, PLOT_HEIGHT)
            self._line("grid", left, y, right, y)
            self._write("text", str(level_db), "end", x=left - 6, y=y + 4)
        self._write("text", "dBFS", "end", x=left - 6, y=top + 8)
        self._curve(0.0, self._total_s, (left, top, right - left, PLOT_HEIGHT))
        for span in self._plan.skipped:
            self._box("out", self._x(span.start_s), top, self._x(span.end_s), bottom)
        for cut in self._cuts:
            if cut.reach_s:
                low, high = cut.at_s - cut.reach_s, cut.at_s + cut.reach_s
                self._box("reach", self._x(low), top, self._x(high), bottom)
            kind = "cut planned" if cut.reach_s else "cut"
            self._line(kind, self._x(cut.at_s), top, self._x(cut.at_s), bottom)
        self._add("rect", "frame", x=left, y=top, width=right - left, height=PLOT_HEIGHT)
        return bottom

    def _curve(
        self, start_s: float, end_s: float, place: tuple[float, float, float, float]
    ) -> None:
        """Draw the quietest and the loudest 100 ms of each column of a stretch."""
        left, top, width, height = place
        first = max(0, int(start_s * HOPS_PER_S))
        levels_db = self._levels_db[first : max(first + 1, int(np.ceil(end_s * HOPS_PER_S)))]
        if not len(levels_db):
            return
        columns = min(len(levels_db), int(width))
        starts = np.arange(columns) * len(levels_db) // columns
        for kind, reduce in (("loud", np.maximum), ("always", np.minimum)):
            heights = [_height(db, top, height) for db in reduce.reduceat(levels_db, starts)]
            edges = [left + width * column / columns for column in range(columns + 1)]
            path = "".join(
                f"L{edges[at]:.1f} {y:.1f}H{edges[at + 1]:.1f}" for at, y in enumerate(heights)
            )
            self._add("path", kind, d=f"M{left:.1f} {top + height:.1f}{path}V{top + height:.1f}Z")

    # ------------------------------------------------------------------- segments and times

    def _strip(self, top: float) -> float:
        """Draw silences, segments, limits and times; return where they end."""
        silent_top = top + ROW_GAP
        for start_s, end_s in self._silences():
            self._box("silent", self._x(start_s), silent_top, self._x(end_s), silent_top + 4)
        strip = silent_top + 4 + ROW_GAP
        for number, span in enumerate(self._spans, start=1):
            self._segment(number, span, strip)
        times = strip + STRIP_HEIGHT + 2 * ROW_GAP + 12
        tick_s = next((s for s in TICKS_S if self._width(s) >= TICK_PX), TICKS_S[-1])
        for tick in range(int(self._total_s / tick_s) + 1):
            x = self._x(tick * tick_s)
            self._line("limit-end", x, PLOT_TOP + PLOT_HEIGHT, x, PLOT_TOP + PLOT_HEIGHT + 4)
            self._write("text", format_clock(tick * tick_s), "tick", x=x, y=times)
        key = " ".join(self._key())
        self._write("text", key, x=MARGIN, y=times + 24)
        return times + 32

    def _key(self) -> Iterator[str]:
        """What the marks mean that are there."""
        if len(self._levels_db) > WIDTH - 2 * MARGIN:
            yield "Pale: the loudest 100 ms, dark: the quietest."
        else:
            yield "Height: the level of each 100 ms."
        if self._silences():
            yield "Grey bars: a second of silence or more."
        if self._plan.skipped:
            yield "Red hatching: left out."
        if self._limits_shown:
            yield "Dotted: as long as a segment might be."
        if any(cut.reach_s for cut in self._cuts):
            yield "Bands: how far a cut may move; dots: where it will be made."

    def _segment(self, number: int, span: Span, top: float) -> None:
        left, right = self._x(span.start_s), self._x(span.end_s)
        bottom = top + STRIP_HEIGHT
        self._box("segment odd" if number % 2 else "segment", left, top, right, bottom)
        if right - left >= NUMBERED_PX:
            said = f"{number}"
            if right - left >= TIMED_PX:
                said += f" · {_clock(span.duration_s)}"
            self._write("text", said, "segment-text", x=(left + right) / 2, y=top + 20)
        if self._limits_shown and span.start_s + self._limit_s <= self._total_s:
            limit, y = self._x(span.start_s + self._limit_s), bottom + ROW_GAP
            self._line("limit", right, y, limit, y)
            self._line("limit-end", limit, y - 4, limit, y + 4)

    def _silences(self) -> list[tuple[float, float]]:
        rate_hz = self._plan.track.sample_rate_hz
        found = silences(
            self._levels_db,
            rate_hz=rate_hz,
            total_samples=self._plan.track.duration_samples,
            at_least_s=SHORTEST_HOPS / HOPS_PER_S,
        )
        return [(start / rate_hz, end / rate_hz) for start, end in found]

    # --------------------------------------------------------------------------- close-ups

    def _close_ups(self, top: float) -> float:
        """Draw what surrounds each cut; return where that ends."""
        if not self._shown:
            return top + ROW_GAP
        said = (
            "Around each cut"
            if len(self._shown) == len(self._cuts)
            else (f"Around the {len(self._shown)} loudest of {len(self._cuts)} cuts")
        )
        self._write("text", said, "strong", x=MARGIN, y=top + 20)
        for place, cut in enumerate(self._shown):
            row, column = divmod(place, CLOSE_UPS_A_ROW)
            left = MARGIN + column * (CLOSE_UP_WIDTH + CLOSE_UP_GAP)
            self._close_up(cut, left, top + 32 + row * (CLOSE_UP_HEIGHT + 38))
        rows = -(-len(self._shown) // CLOSE_UPS_A_ROW)
        return top + 32 + rows * (CLOSE_UP_HEIGHT + 38)

    def _close_up(self, cut: Cut, left: float, top: float) -> None:
        around_s = max(CLOSE_UP_S, 1.1 * cut.reach_s)
        start_s = max(0.0, cut.at_s - around_s)
        end_s = min(self._total_s, cut.at_s + around_s)
        bottom = top + CLOSE_UP_HEIGHT

        def x(at_s: float) -> float:
            share = (at_s - start_s) / (end_s - start_s)
            return left + CLOSE_UP_WIDTH * min(max(share, 0.0), 1.0)

        self._curve(start_s, end_s, (left, top, CLOSE_UP_WIDTH, CLOSE_UP_HEIGHT))
        kind = "cut"
        if cut.reach_s:
            kind = "cut planned"
            self._box("reach", x(cut.at_s - cut.reach_s), top, x(cut.at_s + cut.reach_s), bottom)
            y = _height(cut.level_db, top, CLOSE_UP_HEIGHT)
            self._add("circle", "quietest", cx=x(cut.made_s), cy=y, r=4)
        self._line(kind, x(cut.at_s), top, x(cut.at_s), bottom)
        self._add("rect", "frame", x=left, y=top, width=CLOSE_UP_WIDTH, height=CLOSE_UP_HEIGHT)
        self._write("text", _said_of(cut), x=left, y=bottom + 17)

    # ---------------------------------------------------------------------------- elements

    def _x(self, at_s: float) -> float:
        return MARGIN + self._width(min(max(at_s, 0.0), self._total_s))

    def _width(self, length_s: float) -> float:
        return (WIDTH - 2 * MARGIN) * length_s / self._total_s

    def _add(self, tag: str, kind: str, **attributes: object) -> None:
        told = {
            key: f"{value:.1f}" if isinstance(value, float) else str(value)
            for key, value in attributes.items()
        }
        Xml.SubElement(self._root, tag, {"class": kind, **told})

    def _box(self, kind: str, left: float, top: float, right: float, bottom: float) -> None:
        self._add("rect", kind, x=left, y=top, width=max(1.0, right - left), height=bottom - top)

    def _line(self, kind: str, x1: float, y1: float, x2: float, y2: float) -> None:
        self._add("line", kind, x1=x1, y1=y1, x2=x2, y2=y2)

    def _write(self, tag: str, said: str, kind: str = "", **attributes: object) -> None:
        told = {key: f"{value}" for key, value in attributes.items()}
        Xml.SubElement(self._root, tag, told | ({"class": kind} if kind else {})).text = said


def _loudest(cuts: Sequence[Cut]) -> list[Cut]:
    """The cuts that are looked at closely, in order of time."""
    loudest = sorted(cuts, key=lambda cut: cut.level_db, reverse=True)[:MOST_CLOSE_UPS]
    return sorted(loudest, key=lambda cut: cut.number)


def _said_of(cut: Cut) -> str:
    quietness = "silence" if cut.level_db < LOWEST_DB else f"{cut.level_db:.0f} dBFS"
    return (
        f"{cut.number} | {cut.number + 1} · {quietness} at {format_clock(cut.made_s, decimals=1)}"
    )


def _clock(length_s: float) -> str:
    """A length: in seconds with a tenth where it is short."""
    return f"{length_s:.1f} s" if length_s < 60 else format_clock(length_s)


def _height(level_db: float, top: float, height: float) -> float:
    """Where a level lies in a plot."""
    share = (level_db - LOWEST_DB) / (HIGHEST_DB - LOWEST_DB)
    return top + height * (1 - min(max(float(share), 0.0), 1.0))


def _clean(name: str) -> str:
    """A name without what XML cannot hold."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name)


def picture(
    plan: Plan, path: str | os.PathLike[str], *, segments: Sequence[Span] | None = None
) -> str:
    """Return a drawing (SVG) of a plan over the loudness of its recording, which is decoded for it.

    Args:
        plan: what is to be done, or was.
        path: the file that holds the recording.
        segments: where the segments came to lie; None draws them as planned, how far each cut may
            move, and where in its reach it would be made.

    Raises:
        NotMediaError, ToolError: it cannot be decoded.
    """
    levels_db = measure_file.levels_db(Path(path), plan.track)
    if segments is not None:
        return draw(plan, levels_db, segments=segments)
    return draw(plan, levels_db, quiet_places=measure_file.quiet_places(Path(path), plan))
