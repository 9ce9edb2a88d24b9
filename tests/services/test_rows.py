"""Reading `targets.toml`: values, sources and mistakes."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest

from captoolkit.errors import UsageError
from captoolkit.model import Fact, Price, Target
from captoolkit.services.rows import parse
from tests.support.media_values import SERVICES

ROW = """
[sources.page]
title = "A page"
checked = "2026-11-20"

[targets.mine]
title = "Mine"
models = ["mine-1"]
accepts = { wav = ["pcm_s16le"] }
limits.max_duration_s = { value = 30, source = "page", note = "so it says" }

[[targets.mine.prices]]
source = "page"
region = "r"
currency = "USD"
input_per_million = "1.10"
output_per_million = "2"
"""


# ----------------------------------------------------------------------------- the rows


def test_a_row_is_read_with_its_sources() -> None:
    """Each number of a row is exact, and has a page and a day."""
    row = parse(ROW, origin="rows.toml")["mine"]
    fact, (price,) = row.facts["max_duration_s"], row.prices
    assert (fact.value, fact.source, fact.checked, fact.note) == (
        Fraction(30),
        "A page",
        "2026-11-20",
        "so it says",
    )
    assert (str(price.input_per_million), str(price.output_per_million)) == ("1.10", "2")
    assert (price.source, price.checked) == ("A page", "2026-11-20")


def test_decimals_are_exact() -> None:
    """A limit with decimals is the written number, not the nearest float."""
    row = parse(ROW.replace("value = 30", "value = 12.1"), origin="rows.toml")["mine"]
    assert row.limit("max_duration_s") == Fraction(121, 10)
    assert row.limit("max_bytes_url") is None


@pytest.mark.parametrize(
    ("right", "wrong", "place"),
    [
        ("value = 30", "value = 0", "targets.mine.limits.max_duration_s=0"),
        ("value = 30", "value = -1.5", "targets.mine.limits.max_duration_s=-1.5"),
        ("value = 30", "value = inf", "targets.mine.limits.max_duration_s=inf"),
        ("value = 30", "value = nan", "targets.mine.limits.max_duration_s=nan"),
        ("value = 30", 'value = "30"', "targets.mine.limits.max_duration_s: Expected `int"),
        ("value = 30", "valeu = 30", "targets.mine.limits.max_duration_s: Object"),
        ("max_duration_s", "max_duration", "targets.mine.limits: unknown max_duration"),
        ('source = "page", note', 'source = "leaf", note', "targets.mine.limits.max_duration_s"),
        ('source = "page"\nregion', 'source = "leaf"\nregion', "targets.mine.prices: there is no"),
        ('"1.10"', '"a lot"', "targets.mine.prices.input_per_million=a lot"),
        ('"1.10"', '"NaN"', "targets.mine.prices.input_per_million=NaN"),
        ('"2"', '"-2"', "targets.mine.prices.output_per_million=-2"),
        ('"2"', "2", "targets.mine.prices: Expected `str`"),
        ('models = ["mine-1"]', 'models = "mine-1"', "targets.mine: Expected `array`"),
        ('title = "Mine"', "", "targets.mine: Object missing required field `title`"),
        (
            'title = "Mine"',
            'title = "Mine"\non_exceed = "shout"',
            "targets.mine: Invalid enum value",
        ),
        ('title = "Mine"', 'title = "Mine"\nprompts = true', "targets.mine: Object contains"),
        ('checked = "2026-11-20"', "", r"$.sources"),
        ("[targets.mine]", "[targets.mine", "line 6"),
    ],
)
def test_a_mistake_is_refused_with_its_place(right: str, wrong: str, place: str) -> None:
    """A mistake in a row is refused in one line that names the file and the place."""
    assert right in ROW
    with pytest.raises(UsageError) as raised:
        parse(ROW.replace(right, wrong), origin="rows.toml")
    message = str(raised.value)
    assert message.startswith("rows.toml: ")
    assert place in message
    assert "\n" not in message


@pytest.mark.parametrize("row", SERVICES.values(), ids=lambda row: row.name)
def test_every_number_has_a_source_and_a_date(row: Target) -> None:
    """Each limit and price of captoolkit's rows names its page and the day."""
    said: list[Fact | Price] = [*row.facts.values(), *row.prices]
    assert said
    for one in said:
        assert len(one.source) > 10
        assert date.fromisoformat(one.checked) <= date(2026, 11, 21)
