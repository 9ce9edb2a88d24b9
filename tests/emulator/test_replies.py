"""Tests of HTTP replies as values, and of the faults that change them."""

from __future__ import annotations

import pytest

from captoolkit.emulator import native_protocol, refusals
from captoolkit.emulator.fault_injection import FaultKind
from captoolkit.emulator.replies import HttpReply, apply_fault, encode_json

REFUSAL = native_protocol.write_refusal(refusals.TOO_LONG, "r", False)
STREAM = HttpReply(status=200, parts=(b"1", b"2", b"3", b"4"), streams=True, failure=b"!")


@pytest.mark.parametrize("kind", [None, *sorted(set(FaultKind) - {FaultKind.BIGHEADER})])
def test_no_fault_changes_a_refusal(kind: FaultKind | None) -> None:
    """A refusal has no stream to cut and no answer to replace."""
    assert apply_fault(REFUSAL, kind) == REFUSAL


def test_a_stream_is_cut_between_events() -> None:
    """Half of the events stay complete; an error follows them."""
    assert apply_fault(STREAM, FaultKind.BREAK).parts == (b"1", b"2")
    assert apply_fault(STREAM, FaultKind.SSE_ERROR).parts == (b"1", b"2", b"!")
    assert apply_fault(STREAM, FaultKind.DRIP) == STREAM


def test_text_without_a_utf8_form_is_replaced() -> None:
    """A lone surrogate in client text does not prevent the reply that repeats it."""
    assert encode_json({"model": "\ud800é"}) == '{"model":"?é"}'.encode()
