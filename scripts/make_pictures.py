"""Make the pictures that the README shows, in fixtures/pictures/, from the fixtures.

    python scripts/make_pictures.py          # all of them
    python scripts/make_pictures.py plan     # only the plan, which needs no browser

The plan (SVG) is drawn by captoolkit alone. The page (PNG) is a photograph of the page in a
Chromium that this machine has (`chromium` or `google-chrome` on PATH), by Playwright. Its captions
are those of the local captioner, on four spoken fixtures one after another.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

import captoolkit

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "fixtures"
PICTURES = FIXTURES / "pictures"
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SPEECH = ("en-opposite", "zh-complaint", "en-first-track", "zh-relief", "zh-plea")
PAUSE_S = 6
WIDTH, HEIGHT = 1180, 760


def main() -> int:
    """Make the pictures that are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("which", nargs="*", choices=["plan", "page", []], help="default: both")
    which = parser.parse_args().which or ["plan", "page"]
    PICTURES.mkdir(exist_ok=True)
    if "plan" in which:
        draw_plan(PICTURES / "plan.svg")
    if "page" in which:
        photograph_page(PICTURES / "page.png")
    return 0


def draw_plan(place: Path) -> None:
    """Draw the segments of the recording that the README plans, as they are cut."""
    with captoolkit.prepare(FIXTURES / "hammering-mandarin.flac", segment=8) as work:
        list(work)
        place.write_text(work.picture(), encoding="utf-8")
    print(place.relative_to(ROOT))


def photograph_page(place: Path) -> None:
    """Photograph the page of a recording with a silence in it, a search under way."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if found is None:
        raise SystemExit(f"error: no browser: none of {', '.join(CHROMIUMS)} is on PATH")
    options = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        recording = record(Path(folder) / "voices.flac")
        timeline = captoolkit.caption(recording, segment=4, skip_silence=4)
        page = Path(folder) / "page.html"
        page.write_text(captoolkit.page(timeline, folder=folder), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=found, args=options)
        view = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        view.goto(page.as_uri())
        view.fill("#query", "tonal for 4")
        view.wait_for_selector("#hits:not(:empty)")
        view.focus("#play")
        view.keyboard.press("j")
        view.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        view.wait_for_timeout(500)
        view.screenshot(path=place)
        browser.close()
    print(place.relative_to(ROOT))


def record(place: Path) -> Path:
    """Put the spoken fixtures one after another, with a pause in the middle."""
    parts = []
    for name in SPEECH:
        sound, rate_hz = soundfile.read(FIXTURES / "speech" / f"{name}.flac", always_2d=True)
        parts.append(sound[:, :1])
    parts.insert(2, np.zeros((PAUSE_S * rate_hz, 1)))
    soundfile.write(place, np.concatenate(parts), rate_hz)
    return place


if __name__ == "__main__":
    sys.exit(main())
