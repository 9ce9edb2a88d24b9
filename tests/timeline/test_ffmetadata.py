from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.captions import NASTY
from tests.support.chapters import Read, check_losses, check_markers, check_titles

_CHAPTER = re.compile(r"Chapter #0:\d+: start ([\d.]+), end ([\d.]+)\n *Metadata:\n *title +: (.*)")


@pytest.fixture
def read_ffmetadata(ffmpeg: str, tmp_path: Path) -> Read:
    """Return the times in milliseconds and the title of each chapter, as ffmpeg prints them."""

    def read(text: str) -> list[tuple[int, int, str]]:
        path = tmp_path / "chapters.txt"
        path.write_text(text, encoding="utf-8", newline="\n")
        argv = [ffmpeg, "-hide_banner", "-f", "ffmetadata", "-i", str(path)]
        printed = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=False)
        return [
            (round(float(start) * 1000), round(float(end) * 1000), title)
            for start, end, title in _CHAPTER.findall(printed.stderr.decode())
        ]

    return read


@pytest.mark.parametrize("caption", NASTY.values(), ids=NASTY)
def test_a_title_is_its_caption_or_the_beginning(read_ffmetadata: Read, caption: str) -> None:
    """Difficult captions give titles that ffmpeg reads back."""
    check_titles("ffmetadata", read_ffmetadata, caption)


def test_failures_and_silences_are_chapters(read_ffmetadata: Read) -> None:
    """Entries without a caption have the same titles as in every format."""
    check_markers("ffmetadata", read_ffmetadata)


def test_losses_count_shortened_titles() -> None:
    """A sentence counts the titles that are not the whole caption."""
    check_losses("ffmetadata")
