"""The HTML page in a real browser: what a person sees, hears and presses."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from captoolkit.api.page import page
from captoolkit.model import Entry, Envelope, SourceInfo, Span, Status
from captoolkit.timeline.html import render
from captoolkit.timeline.value import Timeline
from scripts import page_access
from tests.support.sound import tone, write_wav
from tests.support.timelines import RATE_HZ, TimelineOf
from tests.support.visits import (
    CURRENT,
    FAILED,
    HIT,
    PHONE,
    SILENT,
    WIDE,
    Open,
    Visit,
    of_file,
)

BREAKOUTS = [
    "</script><script>window.broken = 1</script>",
    "<img src=x onerror='window.broken = 1'>",
    "<svg onload=window.broken=1><style>body{display:none}</style>",
    "--> <!-- <![CDATA[ ]]> <!doctype html>",
    "</p></div></li></ol></main><h1>Free</h1>",
    "line\u2028separator\u2029and {{ 7 * 7 }} {% raw %} ${window.broken = 1} `x`",
    "<base href='https://example.com/'><meta http-equiv=refresh content='0;url=about:blank'>",
    "<a href='javascript:window.broken=1'>x</a> <iframe srcdoc='<p>x'></iframe>",
    '" onmouseover="window.broken=1" \' & &amp; &#60;b&#62;',
    "صوت المطر 一位女士在说话 🎵",
]


def test_it_opens_without_a_complaint_and_asks_for_nothing_but_its_sound(opened: Visit) -> None:
    """The page has no console message and requests only its recording."""
    opened.until("document.querySelector('#sound').readyState > 0")
    assert opened.complaints == []
    assert set(opened.requests) == {
        opened.file.as_uri(),
        opened.file.with_name("night & day #1.wav").as_uri(),
    }
    assert opened.page.locator(".remark:visible").count() == 0
    assert "night & day #1.wav" in opened.text("h1")


def test_segments_are_on_the_waveform_by_what_became_of_them(opened: Visit) -> None:
    """Each entry is on the waveform, and failures and silences are marked."""
    marks = [opened.marked(*kind) for kind in (FAILED, SILENT, CURRENT, HIT)]
    assert marks == [[7], [8], [1], []]
    assert opened.text(".entry.failed .said") == "[no caption: the service answered 500]"
    assert opened.text(".entry.silent .said") == "[silence]"
    assert "1 without caption" in opened.text(".legend")


def test_it_plays_and_lights_the_caption_that_is_heard(opened: Visit) -> None:
    """Playing moves the position and highlights the current caption."""
    opened.page.keyboard.press("Space")
    opened.until("document.querySelector('#s2').hasAttribute('aria-current')")
    opened.page.keyboard.press("Space")
    opened.until("document.querySelector('#sound').paused")
    assert opened.marked(*CURRENT) in ([2], [3])
    assert opened.page.evaluate("document.querySelector('#sound').currentTime") >= 1


def test_a_click_on_the_waveform_or_on_a_time_seeks(opened: Visit) -> None:
    """A click on the waveform or on a time seeks, in the sound too."""
    box = opened.page.locator("#wave").bounding_box()
    assert box is not None
    opened.page.mouse.click(box["x"] + box["width"] * 5.5 / 8, box["y"] + 40)
    assert opened.current == 6
    opened.page.click("#s3 .when")
    assert (opened.current, opened.text("#now")) == (3, "0:02 / 0:08")
    opened.until("document.querySelector('#sound').currentTime === 2")


def test_a_film_longer_than_its_sound_has_the_ruler_of_the_captions(
    visit: Open, recorded: Timeline
) -> None:
    """The marks of the ruler and the click places are those of the timeline, not of the film."""
    path = Path(recorded.source.path)
    text = page(recorded, folder=path.parent)
    write_wav(path, tone(16, rate_hz=RATE_HZ), rate_hz=RATE_HZ)  # as long as such a film
    one = visit(text)
    one.until("document.querySelector('#sound').duration > 15")
    one.page.click("#wider")
    one.page.click("#narrower")
    marks = one.page.evaluate(
        """() => {
            const wave = document.querySelector('#wave').getBoundingClientRect();
            return [...document.querySelectorAll('#ruler span')].map(mark =>
                [mark.textContent, (mark.getBoundingClientRect().left - wave.left) / wave.width]);
        }"""
    )
    total_s = float(recorded.source.span.duration_s)
    places = {text: share * total_s for text, share in marks}
    assert places["0:02"] == pytest.approx(2, abs=0.1)
    assert places["0:06"] == pytest.approx(6, abs=0.1)


def test_every_key_does_what_the_page_says(opened: Visit) -> None:
    """The keys j, k, arrows, Home, End, zoom, times, theme and help work."""
    keyboard = opened.page.keyboard
    for key, current in [
        ("j", 2),
        ("j", 3),
        ("k", 2),
        ("End", 8),
        ("Home", 1),
        ("ArrowRight", 6),
        ("ArrowLeft", 1),
        ("Shift+ArrowRight", 8),
    ]:
        keyboard.press(key)
        if key != "Shift+ArrowRight":  # past the end: there it ends, after the last caption
            assert opened.current == current, key
    assert opened.text("#now") == "0:08 / 0:08"
    shown = [opened.text("#now")]
    for _ in range(4):
        keyboard.press("t")
        shown.append(opened.text("#now"))
    assert shown[1:4] == ["0:08.000 / 0:08.000", "8.000 / 8.000", "384000 / 384000"]
    assert shown[0] == shown[4]
    wrapper = "document.querySelector('#wave div:last-child').shadowRoot.querySelector('.wrapper')"
    before = opened.page.evaluate(f"{wrapper}.clientWidth")
    keyboard.press("+")
    assert opened.page.evaluate(f"{wrapper}.clientWidth") == pytest.approx(2 * before, rel=0.01)
    keyboard.press("-")
    assert opened.page.evaluate(f"{wrapper}.clientWidth") == before
    keyboard.press("?")
    assert opened.page.locator("#help").evaluate("help => help.open")
    opened.page.uncheck("#keys")
    keyboard.press("Escape")
    assert not opened.page.locator("#help").evaluate("help => help.open")
    keyboard.press("j")
    assert opened.page.locator(".entry[aria-current] .number").count() == 0


def test_search_counts_marks_and_steps_through_the_hits(opened: Visit) -> None:
    """A search counts and marks the hits, and Enter steps through them."""
    opened.page.keyboard.press("/")
    opened.page.keyboard.type("DOG")
    opened.until("document.querySelector('#hits').textContent !== ''")
    assert opened.text("#hits") == "2 hits in 2 captions"
    assert opened.marked(*HIT) == [1, 2]
    opened.page.keyboard.press("Enter")
    assert opened.current == 1
    opened.page.keyboard.press("Enter")
    assert opened.current == 2
    opened.page.fill("#query", "(rain")
    opened.until("document.querySelector('#hits').textContent === 'no hits'")
    opened.page.keyboard.press("Escape")
    opened.until("document.querySelector('#hits').textContent === ''")
    assert opened.marked(*HIT) == []
    assert opened.complaints == []


# ------------------------------------------------------------------------------ how it looks


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_colour_schemes(
    visit: Open, recorded: Timeline, scheme: str
) -> None:
    """All text has the contrast of WCAG AA in both colour schemes."""
    seen = visit(page(recorded), color_scheme=scheme)
    seen.page.keyboard.press("j")
    dark = luminance(colour(seen.page, "body", "color")) > 0.5
    assert dark is (scheme == "dark")
    for selector in (
        "h1",
        "dt",
        ".when",
        ".length",
        ".said p",
        ".entry.failed .said p",
        ".entry.silent .said p",
        ".legend li",
        "#now",
        "#keyboard",
        "footer p",
        ".entry[aria-current] .when",
        ".entry[aria-current] .said p",
        "#theme",
    ):
        assert contrast(seen.page, selector) >= 4.5, selector
    seen.page.click("#theme")
    assert (luminance(colour(seen.page, "body", "color")) > 0.5) is not dark


def test_a_narrow_screen_needs_no_sideways_scrolling(visit: Open, recorded: Timeline) -> None:
    """The page fits into 360 pixels, with controls large enough to touch."""
    seen = visit(page(recorded), viewport=PHONE, has_touch=True, is_mobile=True)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for box in seen.page.locator("#player button:visible").all():
        size = box.bounding_box()
        assert size is not None
        assert min(size["width"], size["height"]) >= 24
    seen.page.tap("#next")
    assert seen.current == 2


def test_a_screen_reader_finds_its_way(opened: Visit) -> None:
    """The page has landmarks, one heading, names for all controls, and few live regions."""
    page = opened.page
    for landmark in ("header", "main", "footer", "[role=search]"):
        assert page.locator(landmark).count() == 1
    assert page.locator("h1").count() == 1
    assert page.locator("[role=status], [aria-live]").count() == 2  # hits, and short notices
    unnamed = page.evaluate(
        "() => [...document.querySelectorAll('button, input, select')].filter(one => "
        "!(one.ariaLabel || one.labels?.[0]?.textContent.trim() || one.innerText.trim())).length"
    )
    assert unnamed == 0
    page.click("#s3 .when")
    assert page.get_attribute("#position", "aria-valuetext") == "0:02 of 0:08"
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_it_prints_light_and_without_what_cannot_be_pressed_on_paper(
    visit: Open, recorded: Timeline
) -> None:
    """A printed page has the captions and the waveform, and no controls."""
    seen = visit(page(recorded), color_scheme="dark")
    seen.page.emulate_media(media="print", color_scheme="dark")
    assert luminance(colour(seen.page, "body", "color")) < 0.2
    assert seen.page.locator(".controls:visible").count() == 0
    assert seen.page.locator(".said:visible").count() == 8


# --------------------------------------------------------------------- what may go wrong


def test_captions_cannot_break_out(visit: Open, timeline_of: TimelineOf) -> None:
    """Markup, scripts and separators in captions, reasons and names stay text."""
    timeline = timeline_of(*BREAKOUTS, holes=tuple(BREAKOUTS))
    source = dataclasses.replace(timeline.source, path=f"/{BREAKOUTS[0]}.wav".replace("</", "<"))
    seen = visit(render(dataclasses.replace(timeline, source=source), remarks=BREAKOUTS))
    assert seen.page.evaluate("window.broken") is None
    assert seen.page.locator("h1").count() == 1
    assert seen.page.locator(".entry").count() == 2 * len(BREAKOUTS)
    assert seen.page.locator("main img, main iframe, base, .said *:not(p, br)").count() == 0
    for at, text in enumerate(BREAKOUTS, start=1):
        said = seen.page.locator(f"#s{at} .said").inner_text()
        assert re.sub(r"\s+", " ", said) == re.sub(r"[\s\u2028\u2029]+", " ", text)
    assert seen.complaints == []


def test_an_injected_script_or_style_would_be_stopped(visit: Open, recorded: Timeline) -> None:
    """The page's policy blocks injected scripts and styles."""
    text = render(recorded).replace(
        "A door",
        "<img src=x onerror='window.broken=1'><b style='color:red'>A door</b>"
        "<script>window.broken = 1</script><style>h1 { display: none }</style>",
    )
    seen = visit(text)
    assert seen.page.evaluate("window.broken") is None
    assert seen.page.locator("h1:visible").count() == 1
    assert len([one for one in seen.complaints if "Content Security Policy" in one]) >= 3


def test_without_its_recording_it_says_so_and_shows_everything_else(
    visit: Open, recorded: Timeline, tmp_path: Path
) -> None:
    """If the recording was moved later, the page says so, and the rest works."""
    text = page(recorded, folder=tmp_path)
    Path(recorded.source.path).unlink()
    seen = visit(text)
    seen.page.wait_for_selector("#trouble:visible")
    assert "cannot be played" in seen.text("#trouble")
    assert "night & day #1.wav" in seen.text("#trouble")
    seen.page.keyboard.press("End")
    assert seen.current == 8
    seen.page.keyboard.press("Space")  # nothing to play, and no complaint of our own
    assert seen.marked(*CURRENT) == [8]
    assert all("ERR_FILE_NOT_FOUND" in one for one in seen.complaints)


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="its names are always Unicode")
def test_a_name_that_is_no_unicode_is_told_when_it_does_not_play(
    visit: Open, recorded: Timeline, tmp_path: Path
) -> None:
    """The message on a missing recording has its percent-encoded name."""
    here = Path(recorded.source.path)
    odd = here.rename(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")))
    text = page(of_file(recorded, odd), folder=tmp_path)
    odd.unlink()
    seen = visit(text)
    seen.page.wait_for_selector("#trouble:visible")
    assert "where this page looks for it (caf%E9.wav)" in seen.text("#trouble")
    assert seen.page.is_disabled("#play")
    assert all("ERR_FILE_NOT_FOUND" in one for one in seen.complaints)


def test_a_recording_that_is_gone_is_told_before_and_needs_no_player(
    visit: Open, recorded: Timeline
) -> None:
    """A page made without its recording explains the missing waveform."""
    Path(recorded.source.path).unlink()
    seen = visit(page(recorded))
    assert "no waveform" in seen.text(".remark")
    assert seen.page.is_disabled("#play")
    seen.page.keyboard.press("j")
    assert (seen.current, seen.complaints) == (2, [])


def test_an_embedded_recording_needs_no_file(visit: Open, recorded: Timeline) -> None:
    """A page with an embedded recording plays without another file."""
    text = page(recorded, embed_audio=True)
    Path(recorded.source.path).unlink()
    seen = visit(text)
    seen.until("document.querySelector('#sound').duration === 8")
    assert seen.complaints == []


def test_without_scripts_captions_and_player_are_there(
    browser: Browser, recorded: Timeline, tmp_path: Path
) -> None:
    """Without scripts the page has the browser's player and every caption."""
    file = tmp_path / "page.html"
    file.write_text(page(recorded, folder=tmp_path), encoding="utf-8")
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(file.as_uri())
    assert plain.locator("#sound:visible").count() == 1
    assert plain.locator(".said:visible").count() == 8
    assert plain.locator("#wave:visible").count() == 0
    context.close()


def test_ten_hours_in_1200_segments_stay_small_and_work(
    visit: Open, timeline_of: TimelineOf, source_of: Callable[[int], SourceInfo]
) -> None:
    """A page of ten hours has less than 2 MB, opens, searches and seeks to the end."""
    source = source_of(10 * 3600 * RATE_HZ)
    entries = many_entries(source, 1200)
    timeline = dataclasses.replace(timeline_of(), source=source, entries=entries)
    swell = (128 + 100 * np.sin(np.arange(8000) / 300)).astype(np.uint8).tobytes()
    envelope = Envelope(
        rate_hz=RATE_HZ,
        step_samples=source.duration_samples // 8000,
        duration_samples=source.duration_samples,
        peaks=swell,
        loudness=swell,
    )
    text = render(timeline, envelope=envelope, remarks=())
    assert len(text.encode()) < 2_000_000
    seen = visit(text)
    seen.page.keyboard.press("End")
    assert seen.current == 1200
    seen.page.fill("#query", "number 7")
    seen.until("document.querySelector('#hits').textContent !== ''")
    assert seen.text("#hits") == "111 hits in 111 captions"
    seen.page.keyboard.press("Enter")
    for _ in range(4):
        seen.page.click("#wider")
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= WIDE["width"]
    assert seen.complaints == []


@pytest.fixture
def long_page(timeline_of: TimelineOf, source_of: Callable[[int], SourceInfo]) -> str:
    """The page of three hours in 36 captions of different heights."""
    source = source_of(3 * 3600 * RATE_HZ)
    entries = tuple(
        dataclasses.replace(entry, text=(entry.text or "") * (1 + entry.index % 4))
        for entry in many_entries(source, 36)
    )
    return render(dataclasses.replace(timeline_of(), source=source, entries=entries), remarks=())


@pytest.mark.parametrize("screen", [WIDE, PHONE])
def test_on_a_long_page_the_caption_that_is_gone_to_is_on_screen(
    visit: Open, long_page: str, screen: ViewportSize
) -> None:
    """End, Home, a click on the waveform and a search scroll to the caption."""
    seen = visit(long_page, viewport=screen)

    def click_the_waveform() -> None:
        box = seen.page.locator("#wave").bounding_box()
        assert box is not None
        seen.page.mouse.click(box["x"] + box["width"] * 25.5 / 36, box["y"] + 30)

    ways: list[tuple[int, Callable[[], None]]] = [
        (36, lambda: seen.page.keyboard.press("End")),
        (1, lambda: seen.page.keyboard.press("Home")),
        (26, click_the_waveform),
        (31, lambda: find(seen, "number 30")),
        (8, lambda: find(seen, "number 7")),
    ]
    for number, way in ways:
        way()
        seen.until(f"document.querySelector('#s{number}').hasAttribute('aria-current')")
        seen.page.wait_for_timeout(700)  # what scrolls slowly would have arrived
        assert on_screen(seen, number), number


def find(seen: Visit, words: str) -> None:
    """Search for words and go to the first hit."""
    seen.page.fill("#query", words)
    seen.page.press("#query", "Enter")


def on_screen(seen: Visit, number: int) -> bool:
    """Whether the beginning of a caption is visible below the player."""
    top, bottom, player, height = seen.page.evaluate(
        """number => {
            const row = document.getElementById(`s${number}`).getBoundingClientRect();
            const player = document.getElementById("player").getBoundingClientRect();
            return [row.top, row.bottom, player.bottom, innerHeight];
        }""",
        number,
    )
    whole = bottom - top <= height - player - 40
    return bool(player <= top and bottom <= height if whole else player <= top <= height / 2)


def test_on_a_phone_the_player_leaves_room_for_the_captions(visit: Open, long_page: str) -> None:
    """The player takes at most a quarter of a phone's screen, and nothing leaves the margin."""
    seen = visit(long_page, viewport=PHONE, has_touch=True, is_mobile=True)
    for form in ("clock", "millis", "seconds", "samples"):
        seen.page.select_option("#form", form)
        seen.page.keyboard.press("End")
        box = seen.page.locator("#player").bounding_box()
        assert box is not None
        assert box["height"] <= PHONE["height"] / 4, form
        for one in (*seen.page.locator("#player button:visible").all(), seen.page.locator("#now")):
            place = one.bounding_box()
            assert place is not None
            assert place["x"] + place["width"] <= box["x"] + box["width"]
    keys = seen.page.locator("#keyboard").bounding_box()
    assert keys is not None
    assert box is not None
    assert keys["x"] + keys["width"] <= box["x"] + box["width"]


def test_three_hours_can_be_looked_at_half_a_minute_at_a_time(visit: Open, long_page: str) -> None:
    """The zoom reaches half a minute; the ruler follows, and no label is cut."""
    seen = visit(long_page)
    shadow = "document.querySelector('#wave div:last-child').shadowRoot"
    for _ in range(10):
        seen.page.keyboard.press("+")
    assert seen.page.is_disabled("#wider")
    across = seen.page.evaluate(
        f"10800 * {shadow}.querySelector('.scroll').clientWidth"
        f" / {shadow}.querySelector('.wrapper').clientWidth"
    )
    assert across == pytest.approx(30, rel=0.05)
    seen.page.wait_for_timeout(60)
    labels = seen.page.locator("#ruler span").all_text_contents()
    assert "0:04" in labels
    seen.page.keyboard.press("t")
    seen.page.set_viewport_size({"width": 1111, "height": 700})
    for _ in range(10):
        seen.page.keyboard.press("-")
        seen.page.wait_for_timeout(60)
        right = seen.page.evaluate(
            "document.querySelector('#ruler span:last-child').getBoundingClientRect().right"
            " - document.querySelector('#ruler').getBoundingClientRect().right"
        )
    assert right <= 0


@pytest.mark.parametrize("place", ["#s3 .when", "#next", "#position", "#follow", "#theme"])
def test_keys_work_after_a_click_on_anything(opened: Visit, place: str) -> None:
    """A click returns the focus to the page, so that the keys work."""
    keyboard = opened.page.keyboard
    opened.page.click(place)
    theme = opened.page.get_attribute("html", "data-theme")
    keyboard.press("End")
    assert opened.current == 8
    keyboard.press("Home")
    keyboard.press("j")
    assert opened.current == 2
    keyboard.press("Space")
    opened.until("!document.querySelector('#sound').paused")
    keyboard.press("Space")
    opened.until("document.querySelector('#sound').paused")
    assert opened.current in {2, 3}
    assert opened.page.get_attribute("html", "data-theme") == theme
    keyboard.press("/")
    assert opened.page.evaluate("document.activeElement.id") == "query"


def test_what_the_keyboard_came_to_keeps_the_focus_and_the_keys(opened: Visit) -> None:
    """Space presses a focused control; all other keys keep their function."""
    page = opened.page
    page.focus("#next")
    page.keyboard.press("Space")
    assert (opened.current, page.evaluate("document.activeElement.id")) == (2, "next")
    assert page.evaluate("document.querySelector('#sound').paused")
    page.focus("#follow")
    page.keyboard.press("Space")
    assert not page.is_checked("#follow")
    page.focus("#position")
    page.keyboard.press("ArrowRight")
    assert opened.text("#now") == "0:06 / 0:08"
    page.keyboard.press("Space")
    opened.until("!document.querySelector('#sound').paused")
    page.keyboard.press("Space")
    page.click("#keyboard")
    page.click("#close")
    page.keyboard.press("End")
    page.keyboard.press("Space")
    assert not page.locator("#help").evaluate("help => help.open")


def many_entries(source: SourceInfo, number: int) -> tuple[Entry, ...]:
    """Captions of 700 characters each over the whole recording."""
    edges = [source.duration_samples * at // number for at in range(number + 1)]
    said = "A woman speaks calmly over soft rain while a clock ticks somewhere in the room. "
    return tuple(
        Entry(
            index=at + 1,
            source_span=Span(start_samples=start, end_samples=end, rate_hz=RATE_HZ),
            status=Status.OK,
            text=f"{said * 5}\n\nThis is number {at}.\n\n{said * 4}",
        )
        for at, (start, end) in enumerate(itertools.pairwise(edges))
    )


# ------------------------------------------------------------------------------- contrast


def colour(page: Page, selector: str, which: str) -> tuple[float, ...]:
    """The computed colour of the first such element, as numbers."""
    numbers = page.locator(selector).first.evaluate(
        """(element, which) => {
            const context = document.createElement("canvas").getContext("2d");
            let at = element, value = getComputedStyle(at)[which];
            while (which === "backgroundColor" && /, 0\\)$/.test(value) && at.parentElement) {
                at = at.parentElement;
                value = getComputedStyle(at)[which];
            }
            context.fillStyle = value;
            context.fillRect(0, 0, 1, 1);
            return [...context.getImageData(0, 0, 1, 1).data];
        }""",
        which,
    )
    assert numbers[3] == 255, (selector, which)
    return tuple(number / 255 for number in numbers[:3])


def luminance(rgb: tuple[float, ...]) -> float:
    """Relative luminance as WCAG defines it."""
    linear = [c / 12.92 if c <= 0.04045 else math.pow((c + 0.055) / 1.055, 2.4) for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(page: Page, selector: str) -> float:
    """The contrast of a text with its background."""
    low, high = sorted(
        luminance(colour(page, selector, which)) for which in ("color", "backgroundColor")
    )
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    "view",
    [
        "dark 390",
        *(pytest.param(view, marks=pytest.mark.slow) for view in ("light 1280", "dark 1280")),
        pytest.param("light 390", marks=pytest.mark.slow),
    ],
)
def test_axe_finds_no_violation(browser: Browser, tmp_path: Path, view: str) -> None:
    """No state of a page breaks a rule of axe-core (`scripts/page_access.py`)."""
    pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python")
    states = dict(page_access.check(browser, page_access.make(tmp_path), view))
    assert len(states) == 7
    assert not any(states.values()), states
