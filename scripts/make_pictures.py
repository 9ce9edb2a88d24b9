"""Make the pictures of the documentation, in docs/pictures/.

    python scripts/make_pictures.py                # all of them
    python scripts/make_pictures.py plan           # only the plan
    python scripts/make_pictures.py architecture   # only the layers of the package
    python scripts/make_pictures.py --check        # write nothing; 1 if the architecture is stale

The architecture (SVG) is drawn from the order of folders that `tests/test_guards.py` enforces. The
plan (SVG) is drawn by captoolkit. The page (PNG) is a photograph of the page in a Chromium of this
machine (`chromium` or `google-chrome` on PATH), by Playwright; its captions are those of the local
captioner, on spoken fixtures joined end to end.
"""

from __future__ import annotations

import argparse
import ast
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from html import escape
from pathlib import Path

import numpy as np
import soundfile

import captoolkit

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "fixtures"
PICTURES = ROOT / "docs" / "pictures"
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SPEECH = ("en-opposite", "zh-complaint", "en-first-track", "zh-relief", "zh-plea")
PAUSE_S = 6
WIDTH, HEIGHT = 1180, 760

# The content of each folder or module in the picture of the architecture.
CONTENTS = {
    "api": "the verbs: probe, plan, prepare, split, caption, ask, embed, page",
    "bitstream": "file formats as bytes",
    "captioners": "one request, one answer",
    "cli": "the command line",
    "dispatch": "retry, rate, budget, ledger",
    "drawing": "the SVG of a plan",
    "dsp": "arrays to measurements",
    "emulator": "the rehearsal server",
    "errors": "the exceptions",
    "events": "progress as values",
    "jobs": "many recordings",
    "media": "ffmpeg, probe, decode, encode",
    "model": "the values",
    "net": "HTTP",
    "pipeline": "carry out a plan",
    "planning": "options to plan",
    "services": "limits and prices",
    "support": "files, JSON, cancel scopes",
    "timeline": "captions to text",
    "units": "lengths, sizes, clocks",
}
LAYER_WIDTH, LAYER_HEIGHT, LAYER_GAP, BOX_GAP = 800, 48, 8, 8


def main() -> int:
    """Make the requested pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = ["architecture", "plan", "page"]
    parser.add_argument("which", nargs="*", choices=[*names, []], help="default: all")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; 1 if the architecture is stale"
    )
    arguments = parser.parse_args()
    if arguments.check:
        return check_architecture()
    which = arguments.which or names
    PICTURES.mkdir(exist_ok=True)
    if "architecture" in which:
        write(PICTURES / "architecture.svg", architecture())
    if "plan" in which:
        write(PICTURES / "plan.svg", plan())
    if "page" in which:
        photograph_page(PICTURES / "page.png")
    return 0


def write(path: Path, text: str) -> None:
    """Write a picture and print its name."""
    path.write_text(text, encoding="utf-8")
    print(path.relative_to(ROOT))


# ------------------------------------------------------------------------- the architecture


def check_architecture() -> int:
    """Return 1, with a message, if the picture is not that of the guard test's layers."""
    if (PICTURES / "architecture.svg").read_text(encoding="utf-8") == architecture():
        return 0
    print("the picture is stale: run scripts/make_pictures.py architecture", file=sys.stderr)
    return 1


def layers() -> list[list[str]]:
    """Return the folders of each layer, from the bottom to the top, as the guard test has them."""
    tree = ast.parse((ROOT / "tests" / "test_guards.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "HOUSE":
            layer_sets: tuple[set[str], ...] = ast.literal_eval(node.value)
            return [sorted(rooms) for rooms in layer_sets if rooms != {"__main__"}]
    raise SystemExit("error: tests/test_guards.py has no HOUSE")


def architecture() -> str:
    """Return the layers of the package as an SVG; a layer imports only layers below it."""
    found = layers()
    height = len(found) * (LAYER_HEIGHT + LAYER_GAP) + LAYER_GAP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LAYER_WIDTH} {height}" '
        f'width="{LAYER_WIDTH}" height="{height}" role="img" font-family="sans-serif">',
        "<title>The layers of captoolkit: each imports only layers below it</title>",
        f'<rect width="{LAYER_WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for number, rooms in enumerate(reversed(found)):
        lines += layer(rooms, LAYER_GAP + number * (LAYER_HEIGHT + LAYER_GAP))
    return "\n".join([*lines, "</svg>", ""])


def layer(rooms: list[str], top: int) -> Iterator[str]:
    """Yield the boxes of one layer, side by side."""
    width = (LAYER_WIDTH - BOX_GAP * (len(rooms) + 1)) // len(rooms)
    for column, room in enumerate(rooms):
        left = BOX_GAP + column * (width + BOX_GAP)
        middle = left + width // 2
        yield (
            f'<rect x="{left}" y="{top}" width="{width}" height="{LAYER_HEIGHT}" rx="6" '
            'fill="#eef3f8" stroke="#5b7083"/>'
        )
        for text, line, style in (
            (room, 21, 'font-size="15" font-weight="bold"'),
            (CONTENTS[room], 38, 'font-size="12"'),
        ):
            yield (
                f'<text x="{middle}" y="{top + line}" text-anchor="middle" {style} '
                f'fill="#1d2b36">{escape(text)}</text>'
            )


# ------------------------------------------------------------------------- the plan and the page


def plan() -> str:
    """Return the picture of the segments of a recording, as they are cut."""
    with captoolkit.prepare(FIXTURES / "hammering-mandarin.flac", segment=8) as prepared:
        list(prepared)
        return prepared.picture()


def photograph_page(path: Path) -> None:
    """Photograph the page of a recording with a silence in it, during a search."""
    from playwright.sync_api import sync_playwright

    browser_path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if browser_path is None:
        raise SystemExit(f"error: no browser: none of {', '.join(CHROMIUMS)} is on PATH")
    options = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        recording = record(Path(folder) / "voices.flac")
        timeline = captoolkit.caption(recording, segment=4, skip_silence=4)
        page = Path(folder) / "page.html"
        page.write_text(captoolkit.page(timeline, folder=folder), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=browser_path, args=options)
        view = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        view.goto(page.as_uri())
        view.fill("#query", "1 pause")
        view.press("#query", "Enter")
        view.focus("#play")
        view.keyboard.press("j")
        view.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        view.wait_for_timeout(500)
        view.screenshot(path=path)
        browser.close()
    print(path.relative_to(ROOT))


def record(path: Path) -> Path:
    """Join the spoken fixtures end to end, with a pause in the middle."""
    parts = []
    for name in SPEECH:
        sound, rate_hz = soundfile.read(FIXTURES / "speech" / f"{name}.flac", always_2d=True)
        parts.append(sound[:, :1])
    parts.insert(2, np.zeros((PAUSE_S * rate_hz, 1)))
    soundfile.write(path, np.concatenate(parts), rate_hz)
    return path


if __name__ == "__main__":
    sys.exit(main())
