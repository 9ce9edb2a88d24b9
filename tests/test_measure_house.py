"""`scripts/measure_house.py` counts correctly in a small project that is made here."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import measure_house
from tests.support.paths import ROOT

MOST_IDIOMS = 3.0  # per 1,000 words

ONE = '''"""Nobody knows whose it is."""  # a comment

from captoolkit.two import other
from captoolkit.room.two import twin

__all__ = ["Thing", "verb"]


class Thing:
    """A thing."""

    def _called_twice(self):
        return self._called_twice() or self._called_twice()


def verb():
    return _once() + _twice() + _twice() + other() + twin()


def _once():
    """Return one.

    This docstring does not count.
    """
    return 1


def _twice():
    return 2
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one repeated file name, one repeated class name and one circle."""
    package = tmp_path / "captoolkit"
    (package / "room").mkdir(parents=True)
    (package / "one.py").write_text(ONE, encoding="utf-8")
    (package / "two.py").write_text(
        "def other():\n    from captoolkit import one\n    return one\n", encoding="utf-8"
    )
    (package / "room" / "two.py").write_text(
        "class Thing:\n    pass\n\n\ndef twin():\n    return 1\n", encoding="utf-8"
    )
    (tmp_path / "README.md").write_text("text", encoding="utf-8")
    return tmp_path


def test_the_measures_of_a_small_project(project: Path) -> None:
    """Each measure counts exactly the constructs that the project contains."""
    assert measure_house.measures(project) == {
        "private functions called from one place": "1 of 3",
        "file names in several folders": "1: two",
        "class names in several places": "1: Thing",
        "public-looking functions and classes : exported": "5 : 2",
        "idiom words per 1,000": "125.0 (16 words)",
        "README": "4 bytes",
        "import circles": "1: captoolkit.one <-> captoolkit.two",
        "modules under 100 lines": "3 of 3",
        "median lines of a function": "2",
        "functions over 50 lines": "0 of 6",
    }


def test_the_measures_that_this_project_promises() -> None:
    """No file or class name occurs twice, imports have no circle, and prose has few idioms."""
    rows = measure_house.measures(ROOT)
    assert rows["file names in several folders"] == "0"
    assert rows["class names in several places"] == "0"
    assert rows["import circles"] == "0"
    assert float(rows["idiom words per 1,000"].split()[0]) <= MOST_IDIOMS
