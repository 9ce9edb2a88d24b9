from __future__ import annotations

import pytest

from captoolkit.emulator import native_protocol, refusals
from captoolkit.emulator.corrupt import spoil
from captoolkit.emulator.fault_injection import Kind
from captoolkit.emulator.replies import Reply

REFUSAL = native_protocol.refuse(refusals.TOO_LONG, "r", False)
STREAM = Reply(status=200, parts=(b"1", b"2", b"3", b"4"), streams=True, failure=b"!")


@pytest.mark.parametrize("kind", [None, *sorted(set(Kind) - {Kind.BIGHEADER})])
def test_a_refusal_stays_what_it_is(kind: Kind | None) -> None:
    """There is no stream in it to break off, and no answer to put an error into."""
    assert spoil(REFUSAL, kind) == REFUSAL


def test_a_stream_is_cut_between_events() -> None:
    """Half of its events stay whole; an error comes after them, not instead."""
    assert spoil(STREAM, Kind.BREAK).parts == (b"1", b"2")
    assert spoil(STREAM, Kind.SSE_ERROR).parts == (b"1", b"2", b"!")
    assert spoil(STREAM, Kind.DRIP) == STREAM
