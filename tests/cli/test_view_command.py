"""Tests of `captoolkit view`."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import pytest

from tests.support.command_line import Run


@pytest.fixture
def timeline(run: Run, fixtures: Path, tmp_path: Path) -> Path:
    """A timeline as `caption` wrote it."""
    path = tmp_path / "speech.json"
    assert run("caption", fixtures / "hammering-mandarin.flac", "-o", path).status == 0
    return path


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The URLs that the browser opened; the cache is a folder of the test."""
    asked: list[str] = []

    class Browser(webbrowser.BaseBrowser):
        def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
            asked.append(url)
            return True

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    webbrowser.register("test", None, Browser(), preferred=True)
    return asked


def test_it_opens_the_page_and_prints_its_path(run: Run, timeline: Path, shown: list[str]) -> None:
    """The page is in the cache, at one path for each timeline."""
    ran = run("view", timeline)
    path = Path(ran.out.strip())
    assert (ran.status, shown) == (0, [path.as_uri()])
    assert "hammering-mandarin.flac" in path.read_text(encoding="utf-8")
    again = run("view", timeline, "--no-open")
    assert (again.out, len(shown)) == (ran.out, 1)
    assert len(list(path.parent.iterdir())) == 1


@pytest.mark.parametrize("letter", ["n", "夜", "🌙"])
def test_a_timeline_with_the_longest_name_is_shown(
    run: Run, timeline: Path, shown: list[str], letter: str
) -> None:
    """The page's name never exceeds the limit; two names with one beginning stay two."""
    most = (255 - len(".json")) // len(letter.encode())
    names = [letter * most + ".json", letter * (most - 1) + "b.json"]
    paths = set()
    for name in names:
        longest = timeline.with_name(name)
        longest.write_bytes(timeline.read_bytes())
        ran = run("view", longest)
        assert (ran.status, ran.err) == (0, "")
        paths.add(Path(ran.out.strip()))
    assert len(paths) == len(shown) == 2
    assert all(path.name.startswith(letter * 20) for path in paths)


def test_the_page_can_be_written_to_a_file(
    run: Run, timeline: Path, shown: list[str], tmp_path: Path
) -> None:
    """`-o` names the file, `-y` replaces it, and an ending of another type is a warning."""
    path = tmp_path / "kept.html"
    assert run("view", timeline, "-o", path).status == 0
    assert run("view", timeline, "-o", path).status == 1
    assert run("view", timeline, "-o", path, "-y").err == ""
    assert "holds HTML in spite" in run("view", timeline, "-o", tmp_path / "page.pdf").err
    assert run("view", timeline, "-o", timeline, "-y").status == 1
    assert timeline.read_text(encoding="utf-8").startswith("{")


def test_a_file_without_a_timeline_opens_no_browser(
    run: Run, shown: list[str], tmp_path: Path
) -> None:
    """The failure is one error line."""
    bad = tmp_path / "bad.json"
    bad.write_text('{"format": "captoolkit.timeline/9"}')
    for path in (bad, tmp_path / "none.json"):
        ran = run("view", path)
        assert (ran.status, len(ran.err.splitlines()), shown) == (1, 1, [])
