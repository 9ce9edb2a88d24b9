"""Reading `targets.toml`: values, sources and mistakes."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from captoolkit.errors import UsageError
from captoolkit.model import Dialect, Fact, Price, Target
from captoolkit.services.rows import DEFAULT_PROMPT, parse
from tests.support.media_values import SERVICES
from tests.support.racing import statuses

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
    numbers: list[Fact | Price] = [*row.facts.values(), *row.prices]
    assert numbers or row.name in {"litellm", "transformers"}  # servers of one's own state none
    for one in numbers:
        assert len(one.source) > 10
        assert date.fromisoformat(one.checked) <= date(2026, 11, 29)


ASKED = """
[targets.mine]
title = "Mine"
models = ["mine-1"]
accepts = { wav = ["pcm_s16le"] }
limits = {}
dialect = "openai"
base_url = "https://captions.example/v1"
hosts = ["*.captions.example"]
key_variable = "MINE_KEY"
key_header = "api-key"
headers = { X-Team = "sound" }
query = { version = "2" }
body = { top_k = 20, modalities = ["text"] }
max_tokens_name = "max_completion_tokens"
default_prompt = "Describe it."
must_stream = true
has_format = true
timeout_s = 3600
silence_s = 600
"""


def test_a_row_of_ones_own_says_how_it_is_asked() -> None:
    """Everything that captoolkit's rows say about asking may stand in a row of one's own."""
    row = parse(ASKED, origin="rows.toml")["mine"]
    assert (row.dialect, row.base_url, row.hosts) == (
        Dialect.OPENAI,
        "https://captions.example/v1",
        ("*.captions.example",),
    )
    assert (row.key_variable, row.key_header) == ("MINE_KEY", "api-key")
    assert (row.headers, row.query) == ({"X-Team": "sound"}, {"version": "2"})
    assert row.body == {"top_k": 20, "modalities": ["text"]}
    assert (row.max_tokens_name, row.default_prompt) == ("max_completion_tokens", "Describe it.")
    assert (row.must_stream, row.has_format) == (True, True)
    assert (row.timeout_s, row.silence_s) == (3600, 600)


@pytest.mark.parametrize(
    ("right", "wrong", "place"),
    [
        ('"openai"', '"whisper"', "targets.mine: Invalid enum value 'whisper'"),
        ("captions.example/v1", "captions.example/v1?a=1", "targets.mine.base_url="),
        ('"*.captions.example"', '"*.example"', "targets.mine.hosts: *.example"),
        ('"*.captions.example"', '"*"', "targets.mine.hosts: *"),
        ("MINE_KEY", "MY KEY", "targets.mine.key_variable=MY KEY"),
        ("X-Team", "Authorization", "targets.mine: the header Authorization"),
        ('"sound"', '"a\\nb"', "targets.mine.headers: the value of X-Team"),
        ("timeout_s = 3600", "timeout_s = 0", "targets.mine.timeout_s=0"),
        ("timeout_s = 3600", "timeout_s = 1e300", "targets.mine.timeout_s=1e+300"),
        ("top_k = 20", "top_k = nan", "targets.mine.body cannot be written as JSON"),
        ("top_k = 20", "top_k = 1979-05-27", "targets.mine.body cannot be written as JSON"),
        ("top_k = 20", f"top_k = {2000 * '['}{2000 * ']'}", "recursion"),
        ("X-Team", "Api-Key", "targets.mine.headers: api-key is the header of the key"),
        ("models", 'like = "nobody"\nmodels', "targets.mine.like='nobody' is no target"),
    ],
)
def test_a_row_that_no_request_can_have_is_refused(right: str, wrong: str, place: str) -> None:
    """Hosts of everybody, keys in the file and headers with line breaks are mistakes."""
    assert right in ASKED
    with pytest.raises(UsageError, match=re.escape(place)):
        parse(ASKED.replace(right, wrong), origin="rows.toml")


def test_a_model_that_takes_a_prompt_has_a_default_one() -> None:
    """A row may state another question, or none with an empty text; `like` takes it over."""
    takes = ASKED.replace("must_stream", "prompt = true\nmust_stream")
    stated = 'default_prompt = "Describe it."'
    heirs = '[targets.heir]\nlike = "mine"\n[targets.silent]\nlike = "vllm"\nprompt = true\n'
    heirs += '[targets.deaf]\nlike = "mine"\nprompt = false\n'
    for line, prompt in ((stated, "Describe it."), ("", DEFAULT_PROMPT), (stated[:17] + '""', "")):
        row = parse(takes.replace(stated, line), origin="rows.toml")["mine"]
        assert row.default_prompt == prompt
    empty = parse(takes.replace(stated, stated[:17] + '""') + heirs, origin="a", others=SERVICES)
    assert empty["heir"].default_prompt == ""
    rows = parse(takes + heirs, origin="rows.toml", others=SERVICES)
    assert rows["heir"].default_prompt == "Describe it."
    assert rows["silent"].default_prompt == DEFAULT_PROMPT
    assert rows["deaf"].default_prompt == ""
    prompts = {row.default_prompt for row in SERVICES.values() if row.prompt}
    assert prompts == {DEFAULT_PROMPT}
    assert not any(row.default_prompt for row in SERVICES.values() if not row.prompt)


def test_a_row_takes_over_the_values_of_another() -> None:
    """`like` copies a row; limits are replaced one by one, other keys as a whole."""
    own = """
    [sources.page]
    title = "A page of ours"
    checked = "2026-11-29"
    [targets.ours]
    like = "azure"
    base_url = "https://ours.openai.azure.com/openai/v1"
    models = ["listener"]
    limits.max_duration_s = { value = 60, source = "page" }
    """
    azure = SERVICES["azure"]
    row = parse(own, origin="rows.toml", others=SERVICES)["ours"]
    assert (row.name, row.models) == ("ours", ("listener",))
    assert (row.key_header, row.dialect, row.prompt) == ("api-key", Dialect.OPENAI, True)
    assert row.limit("max_duration_s") == 60
    assert row.limit("max_bytes_base64") == azure.limit("max_bytes_base64") == 20_000_000


def test_a_price_may_end_on_a_day() -> None:
    """`until` is the last day of a price; sound may have a price of its own."""
    text = ROW + 'audio_input_per_million = "32"\nuntil = "2026-12-31"\n'
    (price,) = parse(text, origin="rows.toml")["mine"].prices
    assert (price.audio_input_per_million, price.until) == (Decimal(32), date(2026, 12, 31))
    with pytest.raises(UsageError, match=r"^rows\.toml"):
        parse(text.replace("2026-12-31", "soon"), origin="rows.toml")


def test_threads_may_read_the_first_rows_together() -> None:
    """A web server serves its first requests at the same time, and must not crash."""
    setup = """
import tomllib
from pathlib import Path
from captoolkit.services import catalogue, rows
text = Path(catalogue.__file__).with_name(catalogue.TABLE).read_text()"""
    assert statuses(setup, "rows.parse(text, origin=catalogue.TABLE)") == {0}
