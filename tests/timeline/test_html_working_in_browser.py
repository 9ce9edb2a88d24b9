"""Working on the HTML page in a real browser: playing, filtering, copying, editing, saving."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from captoolkit.api.page import page
from captoolkit.model import Status
from captoolkit.timeline import load, render
from captoolkit.timeline.html import render as render_page
from captoolkit.timeline.value import Timeline
from tests.support.timelines import TimelineOf
from tests.support.visits import FAILED, HIT, Open, Visit

NASTY = (
    "Speech from 0:00 to 0:11, pitch about 249 Hz, 3 pauses; it peaks at 0:09 with −6.5 dBFS.",
    "A woman says: 00:00:01.000 --> 00:00:02,500 and {\\b1}laughs{\\b0} <i>loudly</i> \\N & so on.",
    "一位女士在说话，背景里有雨声、风声和远处的汽车喇叭声（很轻），然后她笑了起来。ABC测试123号。",
    "They count:\n\n42\n\n  Applause,  two; and-a-very-long-word-that-no-line-can-hold-at-all.",
    "صوت المطر على النافذة، ثم صوت امرأة تتحدث بهدوء مع طفلها الصغير.",
    "e\u0301galite\u0301 🎵🎵 control\x07 U+FFFE\ufffe line\u2028separator",
    "",
)


def saved(visit: Visit, button: str) -> Path:
    """The file that a button of the page saves."""
    with visit.page.expect_download() as waiting:
        visit.page.click(button)
    path = visit.file.parent / f"saved-{waiting.value.suggested_filename}"
    waiting.value.save_as(path)
    return path


def test_a_click_on_a_caption_plays_from_there(opened: Visit) -> None:
    """A click on the text plays from its start; a double click selects a word and does not play."""
    opened.page.dblclick("#s4 .said p", position={"x": 20, "y": 10})
    opened.page.wait_for_timeout(400)
    assert opened.page.evaluate("document.querySelector('#sound').paused")
    assert opened.page.evaluate("getSelection().toString().trim()") == "Nothing"
    opened.page.click("#s1 .when")
    opened.page.evaluate("getSelection().removeAllRanges()")
    opened.page.click("#s3 .said p", position={"x": 20, "y": 10})
    opened.until("!document.querySelector('#sound').paused")
    assert opened.page.evaluate("document.querySelector('#sound').currentTime") >= 2


def test_the_list_shows_one_kind_or_the_hits(opened: Visit) -> None:
    """The filter counts each kind; hits can be shown alone; h goes to the next hole."""
    page = opened.page
    options = page.locator("#show option:not([hidden])").all_text_contents()
    assert options == ["All (8)", "Captioned (6)", "Without caption (1)", "Silent (1)"]
    page.select_option("#show", "silent")
    assert page.locator(".entry:visible").count() == 1
    assert opened.text("#shown") == "1 of 8 shown"
    page.keyboard.press("h")  # shows all again, because the hole is filtered out
    assert (opened.current, page.input_value("#show")) == (7, "all")
    page.fill("#query", "dog")
    page.press("#query", "Enter")
    page.check("#hits-only")
    assert page.locator(".entry:visible .number").all_text_contents() == ["1", "2"]
    page.uncheck("#hits-only")
    assert page.locator(".entry:visible").count() == 8
    assert opened.text("#shown") == ""
    page.check("#hits-only")
    page.press("#query", "Escape")
    assert page.locator(".entry:visible").count() == 8


def test_a_hit_begins_at_a_word_unless_parts_are_wanted(
    visit: Open, timeline_of: TimelineOf
) -> None:
    """`regular` finds `regularly` and not `irregular`; scripts without spaces match anywhere."""
    timeline = timeline_of("Regularly, a bell.", "Irregular steps.", "那里有雨声。")
    seen = visit(render_page(timeline))
    for words, parts, expected in [
        ("regular", False, [1]),
        ("regular", True, [1, 2]),
        ("雨声", False, [3]),
        (", a", False, [1]),
    ]:
        seen.page.set_checked("#parts", parts)
        seen.page.fill("#query", words)
        seen.page.press("#query", "Enter")
        assert seen.marked(*HIT) == expected, words


def test_links_lead_to_a_time(visit: Open, recorded: Timeline) -> None:
    """`#t=` opens the page at a time; the link of the position and of a caption has one."""
    text = page(recorded, folder=Path(recorded.source.path).parent)
    seen = visit(text)
    seen.page.evaluate("location.hash = '#t=0:03.5'")
    seen.until("document.querySelector('#s4').hasAttribute('aria-current')")
    seen.page.click("#link")
    assert seen.page.evaluate("location.hash") == "#t=3.5"
    seen.page.click("#s6 .link")
    assert seen.page.evaluate("location.hash") == "#t=5"
    seen.page.reload()
    seen.until("document.querySelector('#s6')?.hasAttribute('aria-current')")
    seen.page.keyboard.press("[")
    assert seen.current == 5
    seen.page.keyboard.press("]")
    assert seen.current == 6


@pytest.mark.parametrize("name", ["txt", "srt", "vtt"])
def test_files_of_the_page_are_those_of_captoolkit(
    visit: Open, timeline_of: TimelineOf, name: str
) -> None:
    """A saved file equals the same format by `export`, of all entries and of filtered ones."""
    timeline = timeline_of(*NASTY, holes=("it said: --> no\nway",), silences=1)
    figures = dataclasses.replace(timeline.entries[0], details="Peak -3 dBFS.\n\nMono.")
    timeline = dataclasses.replace(
        timeline, entries=(figures, *timeline.entries[1:]), notes=("Times are estimates -->",)
    )
    seen = visit(render_page(timeline))
    seen.page.select_option("#format", name)
    assert saved(seen, "#download").read_text(encoding="utf-8") == render(timeline, name)
    seen.page.select_option("#show", "ok")
    filtered = render(timeline.filtered(status="ok"), name)
    assert saved(seen, "#download").read_text(encoding="utf-8") == filtered


def test_a_changed_caption_is_marked_and_saved(visit: Open, timeline_of: TimelineOf) -> None:
    """The saved timeline differs in the changed entries alone; a filled hole is a caption."""
    timeline = timeline_of("A dog.", 'She says "text": {"entries": [', "Rain.", holes=("why",))
    entries = (*timeline.entries[:2], dataclasses.replace(timeline.entries[2], details="Mono."))
    timeline = dataclasses.replace(timeline, entries=(*entries, timeline.entries[3]))
    seen = visit(render_page(timeline))
    changes = {1: 'Two "dogs"\u2028bark.\n\nThen --> rain.', 3: "Hail.", 4: "Filled."}
    for number, text in changes.items():
        seen.page.click(f"#s{number} .edit")
        seen.page.fill(".editor textarea", text)
        seen.page.keyboard.press("Control+Enter")
    seen.page.click("#s2 .edit")
    seen.page.keyboard.type("not kept")
    seen.page.keyboard.press("Escape")
    assert seen.text("#changes") == "3 changed"
    assert seen.page.locator(".entry.edited").count() == 3
    assert (seen.marked(*FAILED), seen.text("#s1 .said p:first-child")) == ([], 'Two "dogs"\nbark.')
    seen.page.click("#s3 .revert")
    assert (seen.text("#changes"), seen.text("#s3 .said p")) == ("2 changed", "Rain.")
    path = saved(seen, "#save")
    expected = [
        dataclasses.replace(
            entry, text=changes[entry.index], status=Status.OK, error=None, is_edited=True
        )
        if entry.index in {1, 4}
        else entry
        for entry in timeline.entries
    ]
    assert load(path) == dataclasses.replace(timeline, entries=tuple(expected))
    again = visit(render_page(load(path)), name="again.html")
    assert again.page.locator(".entry.edited").count() == 2
    assert seen.complaints == again.complaints == []
    assert seen.requests == [seen.file.as_uri()]


def test_the_editor_opens_with_the_words_of_a_caption(visit: Open, timeline_of: TimelineOf) -> None:
    """A marker is no text; keeping unchanged words changes nothing; a revert keeps older marks."""
    timeline = timeline_of("[silence]", "Rain.", holes=("why",))
    real, older, hole = timeline.entries
    entries = (
        real,
        dataclasses.replace(older, is_edited=True),
        dataclasses.replace(hole, text="Half\n\na text."),
    )
    seen = visit(render_page(dataclasses.replace(timeline, entries=entries)))
    for number, text in ((1, "[silence]"), (2, "Rain."), (3, "Half\n\na text.")):
        seen.page.click(f"#s{number} .edit")
        assert seen.page.input_value(".editor textarea") == text
        seen.page.keyboard.press("Control+Enter")
    assert seen.page.locator("#unsaved").is_hidden()
    assert seen.text("#s1 .said p") == "[silence]"
    seen.page.click("#s2 .edit")
    seen.page.fill(".editor textarea", "Hail.")
    seen.page.keyboard.press("Control+Enter")
    seen.page.click("#s2 .revert")
    assert seen.page.locator(".entry.edited").count() == 1
    assert seen.complaints == []


def test_a_page_that_moved_with_its_recording_plays_it(
    visit: Open, recorded: Timeline, tmp_path: Path
) -> None:
    """The page looks in its own folder when the recording is not where it was."""
    (tmp_path / "moved").mkdir()
    text = page(recorded, folder=tmp_path / "pages" / "of" / "today")
    Path(recorded.source.path).rename(tmp_path / "moved" / "night & day #1.wav")
    seen = visit(text, name="moved/page.html")
    seen.until("document.querySelector('#sound').duration === 8")
    assert seen.page.is_enabled("#play")
    assert seen.page.is_hidden("#trouble")


def test_a_film_shows_its_picture(visit: Open, fixtures: Path, timeline_of: TimelineOf) -> None:
    """The player of a recording with a moving picture is a video, and a click on it plays."""
    timeline = dataclasses.replace(timeline_of("A film.", "More."))
    film = render_page(timeline, places=[(fixtures / "two-languages.mp4").as_uri()], is_film=True)
    seen = visit(film)
    assert seen.page.locator("video#sound:visible").count() == 1
    assert visit(render_page(timeline), name="sound.html").page.locator("video").count() == 0


def test_times_are_durations_that_machines_read(timeline_of: TimelineOf) -> None:
    """Each `time` has a `datetime` in the syntax of HTML, with at most three decimals."""
    text = render_page(timeline_of("A dog."))
    assert '<time datetime="PT0.000S">0:00</time>' in text
    assert '<time datetime="PT1.000S">0:01</time>' in text
