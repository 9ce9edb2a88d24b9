"""The pages of the documentation: README.md and everything in docs/."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.paths import FIXTURES, ROOT

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
}
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))


def blocks(language: str) -> list[tuple[str, str]]:
    """Return the name of the page and the text of each block in one language, in order."""
    return [
        (name, body)
        for name, text in PAGES.items()
        for found, body in BLOCK.findall(text)
        if found == language
    ]


def make_desk(folder: Path) -> Path:
    """Return a folder in which the paths of the documentation exist."""
    (folder / "fixtures").symlink_to(FIXTURES)
    return folder
