"""Tests of the table of refusals."""

from __future__ import annotations

import pytest

from captoolkit.emulator import refusals
from captoolkit.emulator.refusals import ALGO, Refusal

TABLE = {name: row for name, row in vars(refusals).items() if isinstance(row, Refusal)}


@pytest.mark.parametrize("name", sorted(TABLE))
def test_the_models_refusals_have_its_prefix(name: str) -> None:
    """A refusal has the prefix exactly if the model refuses with `InvalidParameter`."""
    row = TABLE[name]
    assert row.message.startswith(ALGO) == (row.by_model and row.code == "InvalidParameter")
    assert row.status == 400 or not row.by_model


def test_only_throttling_has_a_retry_time() -> None:
    """The other refusals leave the header `Retry-After` out, as the services do."""
    assert [name for name, row in TABLE.items() if row.retry_after_s is not None] == ["THROTTLED"]


def test_refusals_of_limits_name_the_limit() -> None:
    """The number of the limit stands in the message."""
    for refusal in (refusals.large_body(77), refusals.large_item(77), refusals.many_items(77)):
        assert (refusal.code, refusal.message[-2:]) == ("BadRequest.TooLarge", "77")
    assert refusals.many_audios(77, 78).message.endswith("[1, 77]")
    assert refusals.long_input(78, 77).message.endswith("input length should be [1, 77]")
    assert refusals.long_output("max_tokens", 78, 77).message.endswith("[1, 77]")
