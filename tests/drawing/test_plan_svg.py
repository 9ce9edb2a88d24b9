from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from xml.etree import ElementTree as Xml

import numpy as np

from captoolkit.drawing.plan_svg import MOST_CLOSE_UPS, draw
from captoolkit.dsp.silence import Levels
from captoolkit.model import Plan, Span
from captoolkit.planning.options import ParsedOptions
from captoolkit.planning.prepare_plan import make_plan
from tests.support.media_values import media, service, track

SVG = "{http://www.w3.org/2000/svg}"


def plan_of(seconds: int, *, segment_s: int | None = None, name: str = "night.flac") -> Plan:
    """A plan for a recording of `seconds` at a service that takes at most a minute."""
    sound = track(seconds)
    options = ParsedOptions(segment_s=Fraction(segment_s)) if segment_s else ParsedOptions()
    info = replace(media(sound), path=f"/sounds/{name}")
    return make_plan(info, sound, service(max_duration_s=60), options=options)


def levels_of(seconds: int, *, pauses_s: tuple[int, ...] = ()) -> Levels:
    """Speech at -20 dBFS with pauses of one second at -70."""
    levels_db = np.full(seconds * 10, -20.0)
    for pause in pauses_s:
        levels_db[pause * 10 : pause * 10 + 10] = -70.0
    return levels_db


def elements(text: str, kind: str) -> list[Xml.Element]:
    """The elements of that class."""
    return [one for one in Xml.fromstring(text).iter() if kind in one.get("class", "").split()]


def words(text: str) -> str:
    """The visible text of a drawing."""
    return "\n".join(one.text or "" for one in Xml.fromstring(text).iter(f"{SVG}text"))


def test_a_plan_shows_its_segments_and_how_far_each_cut_may_move() -> None:
    """A plan draws three segments, and two cuts with their reach and their quietest point."""
    plan = plan_of(120)
    rate_hz = plan.track.sample_rate_hz
    ends = [span.end_samples for span in plan.spans]
    quiet = {ends[0]: 41 * rate_hz, ends[1]: 79 * rate_hz}
    text = draw(plan, levels_of(120, pauses_s=(41, 79)), quiet_places=quiet)
    assert len(elements(text, "segment")) == 3
    assert len(elements(text, "planned")) == 4  # in the overview and in the close-up
    assert len(elements(text, "quietest")) == 2
    assert "1 | 2 · -70 dBFS at 0:41.0" in words(text)
    assert "2 | 3 · -70 dBFS at 1:19.0" in words(text)
    assert "Bands: how far a cut may move; dashed: where planned; dots:" in words(text)
    legend = [line for line in words(text).splitlines() if line.startswith(("Height", "Bands"))]
    assert max(map(len, legend)) < 160  # about the width of the drawing
    assert words(text).count("-60 dB") == words(text).count("-20 dB") == 2  # in each close-up


def test_what_was_made_shows_where_the_cuts_fell() -> None:
    """Finished segments draw their final cuts with their levels, and no reach."""
    plan = plan_of(120)
    rate_hz = plan.track.sample_rate_hz
    edges = [0, 41.5, 79.5, 120]
    spans = [
        Span(start_samples=int(a * rate_hz), end_samples=int(b * rate_hz), rate_hz=rate_hz)
        for a, b in itertools.pairwise(edges)
    ]
    text = draw(plan, levels_of(120, pauses_s=(41, 79)), segments=spans)
    assert elements(text, "planned") == elements(text, "reach") == []
    assert len(elements(text, "cut")) == 4
    assert "1 | 2 · -70 dBFS at 0:41.5" in words(text)


def test_the_description_names_the_loudest_cut() -> None:
    """The description names the level of the loudest cut, and is part of the visible text."""
    text = draw(plan_of(120), levels_of(120, pauses_s=(41,)))
    root = Xml.fromstring(text)
    described = root.findtext(f"{SVG}desc") or ""
    assert "2:00 in 3 segments, the longest 40.0 s of 1:00 allowed." in described
    assert "The loudest cut is at -20 dBFS." in described
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "title desc"
    assert described in words(text)


def test_of_many_cuts_the_loudest_are_looked_at_closely() -> None:
    """An hour in 15 s segments has 239 cuts; the dozen close-ups include the loudest one."""
    plan = plan_of(3600, segment_s=15)
    pauses_s = tuple(at for at in range(14, 3600, 15) if at != 1514)
    quiet = {
        span.end_samples: span.end_samples - plan.track.sample_rate_hz // 2 for span in plan.spans
    }
    text = draw(plan, levels_of(3600, pauses_s=pauses_s), quiet_places=quiet)
    assert words(text).count(" | ") == MOST_CLOSE_UPS
    assert "101 | 102 · -20 dBFS" in words(text)
    assert len(text) < 250_000


def test_what_is_left_out_and_silences_are_marked() -> None:
    """A skipped stretch is hatched, and a silence of a second or more has a bar."""
    plan = plan_of(50)
    rate_hz = plan.track.sample_rate_hz
    skipped = Span(start_samples=20 * rate_hz, end_samples=30 * rate_hz, rate_hz=rate_hz)
    kept = (
        Span(start_samples=0, end_samples=20 * rate_hz, rate_hz=rate_hz),
        Span(start_samples=30 * rate_hz, end_samples=50 * rate_hz, rate_hz=rate_hz),
    )
    levels_db = levels_of(50)
    levels_db[195:305] = -95.0
    text = draw(replace(plan, spans=kept, skipped=(skipped,)), levels_db)
    assert len(elements(text, "out")) == 1
    assert len(elements(text, "silent")) == 1
    assert elements(text, "cut") == []  # segments that do not touch have no cut between them
    assert "10.0 s of silence left out." in words(text)
    assert "Red hatching: left out." in words(text)
    assert "0:50" in words(text) or "50.0 s in 2 segments, the longest 20.0 s. " in words(text)
    assert "Pale" not in words(text)  # as many columns as levels: there is one colour


def test_any_name_and_any_length_can_be_drawn() -> None:
    """Names with markup or control characters, a very short sound and no levels can be drawn."""
    for name in ("<b>&amp;\x00\x1b.wav", "夜.flac", "]]>--.mp3"):
        text = draw(plan_of(5, name=name), levels_of(5))
        assert Xml.fromstring(text).findtext(f"{SVG}title")
    moment = make_plan(media(track(0.01)), track(0.01), service(max_duration_s=60))
    assert Xml.fromstring(draw(moment, np.array([-30.0]))) is not None
    assert Xml.fromstring(draw(moment, np.array([]))) is not None
