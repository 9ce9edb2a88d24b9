"""Check the HTML page for accessibility with axe-core, and take pictures of it.

    python scripts/page_access.py                              # a page made for this
    python scripts/page_access.py page.html --pictures FOLDER  # a page of your own

Each state (at rest, search, filtered, editing, edited, figures unfolded, help) is checked in each
view (light and dark, 1280 and 390 pixels wide). The rules are those of WCAG 2.2 A and AA and the
best practices of axe-core. Prints one line for each violation, and ends with status 1 if there is
any. It needs a Chromium of this machine and the package axe-playwright-python, which ships
axe-core.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from captoolkit.model import Status
from captoolkit.timeline.html import render
from scripts.page_speed import CHROMIUMS, timeline_of

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
VIEWS: Mapping[str, tuple[ViewportSize, Literal["light", "dark"]]] = {
    f"{scheme} {width}": (ViewportSize(width=width, height=height), scheme)
    for width, height in ((1280, 900), (390, 844))
    for scheme in ("light", "dark")
}
ENTRIES = 12


def main() -> int:
    """Check the pages; return 1 if there is a violation."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pages", nargs="*", type=Path, help="default: made for this")
    parser.add_argument("--pictures", type=Path, help="a folder for a picture of each state")
    arguments = parser.parse_args()
    browser_path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if browser_path is None:
        raise SystemExit(f"error: no browser: none of {', '.join(CHROMIUMS)} is on PATH")
    options = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    checked, faults = 0, 0
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=options)
        for path in arguments.pages or [make(Path(folder))]:
            for view in VIEWS:
                for state, violations in check(browser, path, view, pictures=arguments.pictures):
                    checked += 1
                    faults += len(violations)
                    for violation in violations:
                        print(f"{path.name}, {view}, {state}: {violation}", flush=True)
        browser.close()
    print(f"{checked} states, {faults} violations")
    return 1 if faults else 0


def make(folder: Path) -> Path:
    """Write a page with captions, a hole, a silence and figures."""
    path = folder / "made.html"
    timeline = timeline_of(ENTRIES)
    entries = list(timeline.entries)
    entries[1] = replace(entries[1], status=Status.FAILED, text="", error="timed out")
    entries[3] = replace(entries[3], status=Status.SILENT, text="")
    entries[4] = replace(entries[4], details="Loud and steady.\n\n12 onsets in 30 s.")
    path.write_text(render(replace(timeline, entries=tuple(entries)), remarks=()), encoding="utf-8")
    return path


def check(
    browser: Browser, path: Path, view: str, *, pictures: Path | None = None
) -> Iterator[tuple[str, list[str]]]:
    """Yield each state of a page in a view, with its violations."""
    size, scheme = VIEWS[view]
    # axe-core is not part of the page, whose policy would refuse it.
    context = browser.new_context(viewport=size, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(path.resolve().as_uri())
    page.wait_for_timeout(500)
    page.evaluate(resources.files("axe_playwright_python").joinpath("axe.min.js").read_text())
    for state in states(page):
        page.wait_for_timeout(200)
        if pictures:
            name = f"{path.stem} {view} {state}.png".replace(" ", "-")
            page.screenshot(path=pictures / name)
        yield state, violations_of(page)
    context.close()


def states(page: Page) -> Iterator[str]:
    """Bring a page into one state after another."""
    leave = "document.activeElement.blur()"
    yield "at rest"
    word = page.locator(".entry.ok .said p").first.inner_text().split()[0]
    page.fill("#query", word)
    page.press("#query", "Enter")
    yield "search"
    page.check("#hits-only")
    yield "filtered"
    page.uncheck("#hits-only")
    page.press("#query", "Escape")
    page.evaluate(leave)
    page.keyboard.press("Home")
    page.keyboard.press("e")
    page.wait_for_selector(".editor textarea")
    yield "editing"
    page.fill(".editor textarea", "Another caption.")
    page.keyboard.press("Control+Enter")
    yield "edited"
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    yield "figures"
    page.evaluate(leave)
    page.keyboard.press("?")
    yield "help"


def violations_of(page: Page) -> list[str]:
    """Return the violations that axe-core finds, one sentence each.

    The player covers captions while the page is scrolled, which is no fault of the captions.
    """
    page.evaluate("scrollTo(0, 0)")
    found = page.evaluate("(rules) => axe.run({ runOnly: rules })", list(RULES))
    return [
        f"{one['id']} at {node['target']}: {' '.join(node['failureSummary'].split())}"
        for one in found["violations"]
        for node in one["nodes"][:1]
    ]


if __name__ == "__main__":
    sys.exit(main())
