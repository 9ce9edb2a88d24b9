from __future__ import annotations

import json
import unicodedata
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from captoolkit.model import SourceInfo
from captoolkit.support.exact_json import line_of, render, render_line, seconds
from captoolkit.timeline.json import source_fields

TEXTS = st.text(st.characters() | st.sampled_from("\ud800\udbff\udc00\udfff\x00\x1b\x7f\x85\u2028"))
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.decimals(-(10**9), 10**9, places=6)
    | st.text()
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
)


@given(VALUES)
@settings(deadline=None)
def test_what_is_written_is_read_back(value: object) -> None:
    """A JSON reader gets the same value, with all digits of its numbers."""
    assert json.loads(render(value), parse_float=Decimal) == value


@given(TEXTS)
@settings(deadline=None)
def test_text_is_harmless_and_unharmed(text: str) -> None:
    """Text is written in UTF-8 without control characters, and read back unchanged."""
    written = render(text)
    assert written.encode("utf-8")
    assert [c for c in written if unicodedata.category(c) in ("Cc", "Zl", "Zp")] == ["\n"]
    again = json.loads(written)
    assert again.encode("utf-16", "surrogatepass") == text.encode("utf-16", "surrogatepass")


def test_other_scripts_stay_readable() -> None:
    """Text outside ASCII is written as itself."""
    assert render({"说": "«é» 🎵"}) == '{\n  "说": "«é» 🎵"\n}\n'


def test_digits_of_amounts_are_kept() -> None:
    """Zeros at the end of an amount stay, and no amount gets an exponent."""
    assert render([Decimal("0.100000"), Decimal("1E+3"), Decimal("1E-9")]) == (
        "[\n  0.100000,\n  1000,\n  0.000000001\n]\n"
    )


def test_empty_values_take_one_line() -> None:
    """Empty lists and objects are written short."""
    assert render({"skipped": [], "error": {}}) == '{\n  "skipped": [],\n  "error": {}\n}\n'


def test_seconds_have_six_decimals() -> None:
    """Times keep six decimals even where they are whole seconds."""
    assert render(seconds(88_200, 44_100)) == "2.000000\n"
    assert render(seconds(1, 44_100)) == "0.000023\n"


def test_source_is_described_by_its_fields() -> None:
    """Manifests and timelines share one description of the source."""
    source = SourceInfo(
        path="/sounds/night.flac",
        sha256="ab" * 32,
        size_bytes=1234,
        container="flac",
        codec="flac",
        sample_rate_hz=48_000,
        channels=2,
        track=1,
        duration_samples=72_000,
    )
    assert json.loads(render(source_fields(source))) == {
        "path": "/sounds/night.flac",
        "sha256": "ab" * 32,
        "bytes": 1234,
        "container": "flac",
        "codec": "flac",
        "sample_rate_hz": 48_000,
        "channels": 2,
        "track": 1,
        "duration_s": 1.5,
    }


@given(VALUES)
def test_a_line_is_one_line_and_says_the_same(value: object) -> None:
    """JSON Lines: nothing in a text can end the line."""
    line = render_line(value)
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    assert json.loads(line) == json.loads(render(value))


@given(st.lists(VALUES, min_size=1, max_size=5), st.data())
def test_the_line_of_an_item_is_found(items: list[object], data: st.DataObject) -> None:
    """The value is found after others of any shape and length."""
    number = data.draw(st.integers(0, len(items) - 1))
    marked = [*items[:number], "the one that is meant", *items[number + 1 :]]
    lines = render({"other": items, "items": marked}).split("\n")
    found = lines[line_of("\n".join(lines), f"$.items[{number}]") - 1]
    assert found.strip(" ,") == '"the one that is meant"'
