"""Small folders of text files."""

from __future__ import annotations

from pathlib import Path


def names_in(folder: Path) -> list[str]:
    """The names in a folder, with hidden ones."""
    return sorted(entry.name for entry in folder.iterdir())


def folder_with(folder: Path, **texts: str) -> Path:
    """A new folder with those files."""
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder
