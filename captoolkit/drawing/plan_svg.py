"""A plan and the levels of its recording as one drawing (SVG), to check the cuts.

The drawing shows the level of the recording, from the quietest to the loudest 100 ms in each
column; the segments with their numbers, durations and longest allowed durations; how far a cut may
move; skipped stretches; silences. Below it are close-ups of the cuts, because a pause between two
words is too short to be visible in an hour; of many cuts, the loudest ones.

Rules: pure; the caller measures the levels. The SVG loads nothing when it is opened and has no
script and no font. It is readable on light and dark backgrounds, and describes itself in words
(`desc`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from xml.etree import ElementTree as Xml

import numpy as np

from captoolkit.dsp.silence import HOPS_PER_S, SHORTEST_HOPS, Levels, silences
from captoolkit.model import Action, Plan, Span
from captoolkit.units import format_clock, format_count

WIDTH, MARGIN = 1200, 48
PLOT_TOP, PLOT_HEIGHT = 74, 190
STRIP_HEIGHT, ROW_GAP = 30, 6
LEGEND_LINE = 20
LOWEST_DB, HIGHEST_DB = -80.0, 0.0
GRID_DB = (-60, -40, -20)
CLOSE_UP_GRID_DB = (-60, -20)

MOST_CLOSE_UPS, CLOSE_UPS_PER_ROW = 12, 4
CLOSE_UP_WIDTH, CLOSE_UP_HEIGHT, CLOSE_UP_GAP = 264, 78, 16
MOST_LIMITS = 12
CLOSE_UP_S = 3.0  # on either side of a cut

NUMBERED_PX, TIMED_PX = 22, 92  # the width of a segment with its number, and with its duration too
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
.scale { font-size: 11px; paint-order: stroke; stroke: var(--paper); stroke-width: 3px; }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One place where a segment ends and the next begins.

    Attributes:
        number: the number of the segment that ends there.
        at_s: its place, planned or final.
        reach_s: how far it may move in either direction; 0 for a final cut.
        quietest_s: the quietest point within its reach, where it will be made; `at_s` if final.
        level_db: the level of the 100 ms at `quietest_s`.
    """

    number: int
    at_s: float
    reach_s: float
    quietest_s: float
    level_db: float


def draw(
    plan: Plan,
    levels_db: Levels,
    *,
    segments: Sequence[Span] | None = None,
    quiet_places: Mapping[int, int] | None = None,
) -> str:
    """Return the drawing of a plan as SVG.

    Args:
        plan: the plan, carried out or not.
        levels_db: the levels of the whole track from a `HopLevelMeter`, shape (hops,).
        segments: the spans of the finished segments; None draws the planned segments, and how far
            each cut may move.
        quiet_places: for each planned cut that may move, by its planned sample: the sample of the
            quietest point within its reach.
    """
    spans = plan.spans if segments is None else tuple(segments)
    cuts = _cuts(plan, spans, levels_db, quiet_places or {}, are_final=segments is not None)
    return _Drawing(plan, levels_db, spans, cuts).svg()


def _cuts(
    plan: Plan,
    spans: Sequence[Span],
    levels_db: Levels,
    quiet_places: Mapping[int, int],
    *,
    are_final: bool,
) -> list[Cut]:
    rate_hz = plan.track.sample_rate_hz
    cuts = []
    for number, (span, following) in enumerate(itertools.pairwise(spans), start=1):
        end = span.end_samples
        if end == following.start_samples:
            quietest_s = quiet_places.get(end, end) / rate_hz
            cut = Cut(
                number=number,
                at_s=span.end_s,
                reach_s=0.0 if are_final or end in plan.marks else plan.reach_samples / rate_hz,
                quietest_s=quietest_s,
                level_db=float(levels_db[min(int(quietest_s * HOPS_PER_S), len(levels_db) - 1)]),
            )
            cuts.append(cut)
    return cuts


class _Drawing:
    """Builds the SVG, from top to bottom. Methods that draw return the y at which they end."""

    def __init__(
        self, plan: Plan, levels_db: Levels, spans: Sequence[Span], cuts: Sequence[Cut]
    ) -> None:
        self._plan = plan
        self._levels_db = levels_db
        self._spans = spans
        self._cuts = cuts
        self._total_s = plan.track.duration_s
        self._close_up_cuts = _loudest(cuts)
        self._root = Xml.Element("svg", xmlns="http://www.w3.org/2000/svg", role="img")
        self._root.set("aria-labelledby", "title desc")

    def svg(self) -> str:
        """Return the whole drawing."""
        self._heading()
        bottom = self._close_ups(self._strip(self._overview()))
        self._root.set("viewBox", f"0 0 {WIDTH} {bottom}")
        self._root.set("width", str(WIDTH))
        self._root.set("height", str(bottom))
        Xml.indent(self._root, space="")
        return Xml.tostring(self._root, encoding="unicode") + "\n"

    # ----------------------------------------------------------------------------- heading

    def _heading(self) -> None:
        name, description = _clean(PurePath(self._plan.info.path).name), self._description()
        self._write("title", name, id="title")
        self._write("desc", description, id="desc")
        self._write("style", STYLE)
        hatch = Xml.SubElement(
            Xml.SubElement(self._root, "defs"),
            "pattern",
            {"id": "hatch", "width": "7", "height": "7", "patternUnits": "userSpaceOnUse"},
        )
        Xml.SubElement(hatch, "path", {"d": "M0 7L7 0", "class": "hatch"})
        self._add("rect", "paper", width="100%", height="100%")
        self._write("text", name, "strong", x=MARGIN, y=28)
        self._write("text", description, x=MARGIN, y=50)

    def _description(self) -> str:
        """The contents of the drawing in a few sentences."""
        number = len(self._spans)
        longest_s = max(span.duration_s for span in self._spans)
        text = f"{_duration(self._total_s)} in {format_count(number, 'segment')}"
        if self._plan.action is Action.PASS_THROUGH:
            text += ", unchanged."
        else:
            text += f", the longest {_duration(longest_s)}"
            is_limited = self._limit_s < self._total_s
            text += f" of {_duration(self._limit_s)} allowed." if is_limited else "."
        if self._plan.skipped:
            skipped_s = sum(span.duration_s for span in self._plan.skipped)
            text += f" {_duration(skipped_s)} of silence left out."
        if self._cuts:
            loudest = max(self._cuts, key=lambda cut: cut.level_db)
            text += f" The loudest cut is at {loudest.level_db:.0f} dBFS."
        return text

    @property
    def _limit_s(self) -> float:
        return self._plan.max_segment_samples / self._plan.track.sample_rate_hz

    @property
    def _limits_shown(self) -> bool:
        """Whether a segment could be longer, and few enough segments to show by how much."""
        few = len(self._spans) <= MOST_LIMITS
        return few and self._spans[0].start_s + self._limit_s < self._total_s

    # ---------------------------------------------------------------------------- overview

    def _overview(self) -> float:
        """Draw the levels of the whole recording, the skipped stretches and the cuts."""
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

    def _curve(self, start_s: float, end_s: float, box: tuple[float, float, float, float]) -> None:
        """Draw the quietest and the loudest 100 ms of each column into (left, top, width, height).

        The stretch is from `start_s` to `end_s`.
        """
        left, top, width, height = box
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
        """Draw silences, segments, limits and times below the overview."""
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
        lines = list(self._legend())
        for number, line in enumerate(lines, start=1):
            self._write("text", line, x=MARGIN, y=times + 4 + LEGEND_LINE * number)
        return times + 12 + LEGEND_LINE * len(lines)

    def _legend(self) -> Iterator[str]:
        """The lines with the meaning of the marks in this drawing."""
        line = "Height: the level of each 100 ms."
        if len(self._levels_db) > WIDTH - 2 * MARGIN:
            line = "Pale: the loudest 100 ms, dark: the quietest."
        if self._silences():
            line += " Grey bars: a second of silence or more."
        if self._plan.skipped:
            line += " Red hatching: left out."
        if self._limits_shown:
            line += " Dotted: the longest segment allowed."
        yield line
        if any(cut.reach_s for cut in self._cuts):
            yield "Bands: how far a cut may move; dashed: where planned; dots: where it will be."

    def _segment(self, number: int, span: Span, top: float) -> None:
        left, right = self._x(span.start_s), self._x(span.end_s)
        bottom = top + STRIP_HEIGHT
        self._box("segment odd" if number % 2 else "segment", left, top, right, bottom)
        if right - left >= NUMBERED_PX:
            label = f"{number}"
            if right - left >= TIMED_PX:
                label += f" · {_duration(span.duration_s)}"
            self._write("text", label, "segment-text", x=(left + right) / 2, y=top + 20)
        if self._limits_shown and span.start_s + self._limit_s <= self._total_s:
            limit, y = self._x(span.start_s + self._limit_s), bottom + ROW_GAP
            self._line("limit", right, y, limit, y)
            self._line("limit-end", limit, y - 4, limit, y + 4)

    def _silences(self) -> list[tuple[float, float]]:
        rate_hz = self._plan.track.sample_rate_hz
        spans = silences(
            self._levels_db,
            rate_hz=rate_hz,
            total_samples=self._plan.track.duration_samples,
            at_least_s=SHORTEST_HOPS / HOPS_PER_S,
        )
        return [(start / rate_hz, end / rate_hz) for start, end in spans]

    # --------------------------------------------------------------------------- close-ups

    def _close_ups(self, top: float) -> float:
        """Draw the surroundings of each cut, or of the loudest ones."""
        if not self._close_up_cuts:
            return top + ROW_GAP
        shown, total = len(self._close_up_cuts), len(self._cuts)
        title = (
            "Around each cut" if shown == total else f"Around the {shown} loudest of {total:,} cuts"
        )
        self._write("text", title, "strong", x=MARGIN, y=top + 20)
        for index, cut in enumerate(self._close_up_cuts):
            row, column = divmod(index, CLOSE_UPS_PER_ROW)
            left = MARGIN + column * (CLOSE_UP_WIDTH + CLOSE_UP_GAP)
            self._close_up(cut, left, top + 32 + row * (CLOSE_UP_HEIGHT + 38))
        rows = -(-shown // CLOSE_UPS_PER_ROW)
        return top + 32 + rows * (CLOSE_UP_HEIGHT + 38)

    def _close_up(self, cut: Cut, left: float, top: float) -> None:
        around_s = max(CLOSE_UP_S, 1.1 * cut.reach_s)
        start_s = max(0.0, cut.at_s - around_s)
        end_s = min(self._total_s, cut.at_s + around_s)
        bottom = top + CLOSE_UP_HEIGHT

        def x(at_s: float) -> float:
            share = (at_s - start_s) / (end_s - start_s)
            return left + CLOSE_UP_WIDTH * min(max(share, 0.0), 1.0)

        for level_db in CLOSE_UP_GRID_DB:
            y = _height(level_db, top, CLOSE_UP_HEIGHT)
            self._line("grid", left, y, left + CLOSE_UP_WIDTH, y)
        self._curve(start_s, end_s, (left, top, CLOSE_UP_WIDTH, CLOSE_UP_HEIGHT))
        kind = "cut"
        if cut.reach_s:
            kind = "cut planned"
            self._box("reach", x(cut.at_s - cut.reach_s), top, x(cut.at_s + cut.reach_s), bottom)
            y = _height(cut.level_db, top, CLOSE_UP_HEIGHT)
            self._add("circle", "quietest", cx=x(cut.quietest_s), cy=y, r=4)
        self._line(kind, x(cut.at_s), top, x(cut.at_s), bottom)
        for level_db in CLOSE_UP_GRID_DB:
            y = _height(level_db, top, CLOSE_UP_HEIGHT)
            self._write("text", f"{level_db} dB", "scale", x=left + 4, y=y + 4)
        self._add("rect", "frame", x=left, y=top, width=CLOSE_UP_WIDTH, height=CLOSE_UP_HEIGHT)
        self._write("text", _caption_of(cut), x=left, y=bottom + 17)

    # ---------------------------------------------------------------------------- elements

    def _x(self, at_s: float) -> float:
        return MARGIN + self._width(min(max(at_s, 0.0), self._total_s))

    def _width(self, length_s: float) -> float:
        return (WIDTH - 2 * MARGIN) * length_s / self._total_s

    def _add(self, tag: str, kind: str, **attributes: object) -> None:
        texts = {
            key: f"{value:.1f}" if isinstance(value, float) else str(value)
            for key, value in attributes.items()
        }
        Xml.SubElement(self._root, tag, {"class": kind, **texts})

    def _box(self, kind: str, left: float, top: float, right: float, bottom: float) -> None:
        self._add("rect", kind, x=left, y=top, width=max(1.0, right - left), height=bottom - top)

    def _line(self, kind: str, x1: float, y1: float, x2: float, y2: float) -> None:
        self._add("line", kind, x1=x1, y1=y1, x2=x2, y2=y2)

    def _write(self, tag: str, text: str, kind: str = "", **attributes: object) -> None:
        texts = {key: f"{value}" for key, value in attributes.items()}
        Xml.SubElement(self._root, tag, texts | ({"class": kind} if kind else {})).text = text


def _loudest(cuts: Sequence[Cut]) -> list[Cut]:
    """The cuts with a close-up, in order of time."""
    loudest = sorted(cuts, key=lambda cut: cut.level_db, reverse=True)[:MOST_CLOSE_UPS]
    return sorted(loudest, key=lambda cut: cut.number)


def _caption_of(cut: Cut) -> str:
    quietness = "silence" if cut.level_db < LOWEST_DB else f"{cut.level_db:.0f} dBFS"
    time = format_clock(cut.quietest_s, decimals=1)
    return f"{cut.number} | {cut.number + 1} · {quietness} at {time}"


def _duration(duration_s: float) -> str:
    """A duration: in seconds with one decimal if it is short, else as a clock time."""
    return f"{duration_s:.1f} s" if duration_s < 60 else format_clock(duration_s)


def _height(level_db: float, top: float, height: float) -> float:
    """The y of a level in a plot."""
    share = (level_db - LOWEST_DB) / (HIGHEST_DB - LOWEST_DB)
    return top + height * (1 - min(max(float(share), 0.0), 1.0))


def _clean(name: str) -> str:
    """A name without the characters that XML cannot hold."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name)
