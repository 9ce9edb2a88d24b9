"""A browser's visit to a page: what a person sees, hears and presses."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, ViewportSize

from captoolkit.timeline.value import Timeline

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDE = ViewportSize(width=1280, height=800)
PHONE = ViewportSize(width=360, height=740)

HIT = ("hit-bar", 2)
FAILED, SILENT, CURRENT = ("failed", 13), ("silent", 13), ("accent", -2)


class Visit:
    """An opened page, with its console messages and its requests."""

    def __init__(self, browser: Browser, file: Path, **options: Any) -> None:
        self.file = file
        self.context = browser.new_context(**{"viewport": WIDE, **options})
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())
        self.until("document.documentElement.classList.contains('js')")
        self.until("document.querySelector('#ruler span') != null")

    def until(self, expression: str) -> None:
        """Wait until a condition holds, from outside, because the policy allows no `eval`."""
        for _ in range(500):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(20)
        raise AssertionError(f"never: {expression}")

    def text(self, selector: str) -> str:
        """The visible text of an element."""
        return self.page.inner_text(selector)

    @property
    def current(self) -> int:
        """The number of the highlighted caption."""
        lit = self.page.locator(".entry[aria-current]")
        return int(lit.locator(".number").text_content() or 0)

    def marked(self, colour: str, y: int) -> list[int]:
        """The numbers of the entries that have this colour on the waveform, `y` pixels below it."""
        self.page.wait_for_timeout(60)  # the next frame draws
        found: list[int] = self.page.evaluate(
            """([colour, y]) => {
                const data = JSON.parse(document.getElementById("data").textContent);
                const marks = document.getElementById("marks"), { width, height } = marks;
                const probe = document.body.appendChild(document.createElement("span"));
                probe.style.color = `var(--${colour})`;
                const wanted = getComputedStyle(probe).color.match(/[0-9]+/g).map(Number);
                probe.remove();
                const copy = new OffscreenCanvas(width, height);
                const context = copy.getContext("2d", { willReadFrequently: true });
                context.drawImage(marks, 0, 0);
                return data.starts.map((start, at) => at).filter((at) => {
                    const middle = (data.starts[at] + data.ends[at]) / 2 / data.samples;
                    const row = y < 0 ? height + y : y;
                    const pixel = context.getImageData(middle * width, row, 1, 1).data;
                    return wanted.every((value, which) => Math.abs(value - pixel[which]) < 3);
                }).map((at) => at + 1);
            }""",
            [colour, y],
        )
        return found


Open = Callable[..., Visit]


def of_file(timeline: Timeline, path: Path) -> Timeline:
    """The timeline as one of the recording in that file."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    source = dataclasses.replace(
        timeline.source, path=str(path), sha256=digest, size_bytes=path.stat().st_size
    )
    return dataclasses.replace(timeline, source=source)
