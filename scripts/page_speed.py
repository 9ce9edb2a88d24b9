"""Measure how fast the HTML page answers, in a Chromium of this machine.

    python scripts/page_speed.py                  # pages of 1,200 and of 10,000 entries
    python scripts/page_speed.py page.html        # a page of your own

Each figure is the time from an action to the second frame after it, and in brackets the CPU time of
the page's main thread for it, which other work on the machine disturbs less; milliseconds, the
median of `--repeat` runs. The goals are 100 ms at 1,200 entries and 500 ms at 10,000.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from captoolkit.model import CaptionerInfo, Entry, Envelope, SourceInfo, Span, Status
from captoolkit.timeline.html import render
from captoolkit.timeline.value import Timeline

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
RATE_HZ = 16_000
ENTRY_S = 30
SAID = "A woman speaks calmly over soft rain while a clock ticks somewhere in the room. "
WORD = "rain"  # nine hits in each caption

# Each action is a body of JavaScript; the page is searched for WORD before those after the search.
ACTIONS = {
    "search": f"query.value = '{WORD}'; press(query, 'Enter')",
    "times": "press(document.body, 't')",
    "zoom in": "wider.click()",
    "zoom in twice more": "wider.click(); wider.click()",
    "zoom out": "narrower.click()",
    "hits only": "hits.checked = true; hits.dispatchEvent(new Event('change'))",
    "all again": "hits.checked = false; hits.dispatchEvent(new Event('change'))",
    "last caption": "press(document.body, 'End')",
    "first caption": "press(document.body, 'Home')",
    "search for nothing": "query.value = ''; press(query, 'Escape')",
}
TIMER = """
    const [query, wider, narrower, hits] = ["query", "wider", "narrower", "hits-only"]
        .map((id) => document.getElementById(id));
    const press = (target, key) =>
        target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    const frame = () => new Promise(requestAnimationFrame);
    await frame();
    const begun = performance.now();
"""


def main() -> int:
    """Measure the pages and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pages", nargs="*", type=Path, help="default: made for this")
    parser.add_argument("--entries", type=int, nargs="+", default=[1_200, 10_000])
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    browser_path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if browser_path is None:
        raise SystemExit(f"error: no browser: none of {', '.join(CHROMIUMS)} is on PATH")
    options = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        pages = arguments.pages or [make(Path(folder), number) for number in arguments.entries]
        browser = playwright.chromium.launch(executable_path=browser_path, args=options)
        found = {}
        for path in pages:
            runs = [measure(browser.new_page(), path) for _ in range(arguments.repeat)]
            found[path.name] = {
                name: tuple(statistics.median(run[name][which] for run in runs) for which in (0, 1))
                for name in runs[0]
            }
        browser.close()
    print("ms".ljust(20), *(name.rjust(14) for name in found))
    for name in next(iter(found.values())):
        print(name.ljust(20), *(f"{t[name][0]:7.0f} ({t[name][1]:4.0f})" for t in found.values()))
    return 0


def make(folder: Path, number: int) -> Path:
    """Write a page with that many captions of 700 characters."""
    path = folder / f"{number}.html"
    path.write_text(page_of(number), encoding="utf-8")
    return path


def page_of(number: int) -> str:
    """Return a page with that many captions of 700 characters and a waveform."""
    return render(timeline_of(number), remarks=())


def timeline_of(number: int) -> Timeline:
    """Return a timeline with that many captions of 700 characters and an envelope."""
    samples = number * ENTRY_S * RATE_HZ
    swell = bytes(128 + step * 7919 % 100 for step in range(8000))
    return Timeline(
        source=SourceInfo(
            path="/recordings/long.flac",
            sha256="",
            size_bytes=1,
            container="flac",
            codec="flac",
            sample_rate_hz=RATE_HZ,
            channels=1,
            track=1,
            duration_samples=samples,
        ),
        captioner=CaptionerInfo(name="openai", model="a-model"),
        entries=tuple(
            Entry(
                index=at + 1,
                source_span=Span(start_samples=start, end_samples=end, rate_hz=RATE_HZ),
                status=Status.OK,
                text=f"{SAID * 5}\n\nThis is number {at}.\n\n{SAID * 4}",
            )
            for at, (start, end) in enumerate(pairwise(range(0, samples + 1, ENTRY_S * RATE_HZ)))
        ),
        envelope=Envelope(
            rate_hz=RATE_HZ,
            step_samples=samples // 8000,
            duration_samples=samples,
            peaks=swell,
            loudness=swell,
        ),
    )


def measure(page: Page, path: Path) -> dict[str, tuple[float, float]]:
    """Return the time of each action on a page and its CPU time, in milliseconds."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def cpu_ms() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        found = next(one["value"] for one in metrics if one["name"] == "TaskDuration")
        return 1000 * float(found)

    begun_ms = cpu_ms()
    page.goto(path.resolve().as_uri())
    page.wait_for_timeout(1000)
    opened_ms = page.evaluate("performance.timing.domComplete - performance.timing.fetchStart")
    times = {"open": (float(opened_ms), cpu_ms() - begun_ms)}
    for name, action in ACTIONS.items():
        begun_ms = cpu_ms()
        wall_ms = page.evaluate(
            f"async () => {{ {TIMER} {action}; await frame(); await frame();"
            " return performance.now() - begun; }"
        )
        times[name] = (float(wall_ms), cpu_ms() - begun_ms)
    page.close()
    return times


if __name__ == "__main__":
    sys.exit(main())
