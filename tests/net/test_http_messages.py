"""Headers, JSON and texts of responses."""

from __future__ import annotations

import pytest

from captoolkit.captioners import dashscope
from captoolkit.errors import ServiceError
from captoolkit.net.http_messages import Response, clean, parse_json, request_id_of, retry_after_s
from tests.support.clips import BytesClip
from tests.support.recorder import Recorder
from tests.support.services import captioner_with, client_of


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "3"}, 3),
        ({"Retry-After": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "Retry-After": "9"}, 0.25),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({}, None),
    ],
)
def test_the_wait_that_a_service_states_is_read(
    recorder: Recorder, clip: BytesClip, headers: dict[str, str], wait_s: float | None
) -> None:
    """Seconds and milliseconds are read; other texts state nothing. Dates are tested below."""
    recorder.answer({"code": "Throttling"}, status=429, headers=headers)
    client = client_of(f"{recorder.url}/api/v1")
    with (
        captioner_with(client, dashscope.PROTOCOL) as captioner,
        pytest.raises(ServiceError) as caught,
    ):
        captioner.caption(clip)
    assert caught.value.retry_after_s == wait_s


def test_a_date_to_wait_for_is_counted_from_the_services_own_clock() -> None:
    """A date counts from the service's own `Date`."""
    later = "Sat, 21 Nov 2026 10:00:30 GMT"
    assert retry_after_s({"retry-after": later, "date": "Sat, 21 Nov 2026 10:00:00 GMT"}) == 30
    assert retry_after_s({"retry-after": later, "date": "Sat, 21 Nov 2026 11:00:00 GMT"}) == 0
    assert retry_after_s({"retry-after": "Sat, 21 Nov 2015 10:00:00 GMT"}) == 0
    assert retry_after_s({"retry-after": "Sat, 99 Nov 2026 99:00:00 GMT"}) is None


def test_a_text_of_a_service_is_cleaned() -> None:
    """Control characters, bidirectional overrides and lone surrogates do not reach a terminal."""
    assert clean("a\x00b\u202ec\ud800d\n e", 100) == "a b c d e"
    assert clean("x" * 50, 10) == "x" * 9 + "…"
    assert clean(" " * 10_000, 10) == ""


def test_json_with_half_a_letter_is_read() -> None:
    """A stream that is cut within an escape pair still holds JSON; other damage is an error."""
    assert parse_json(b'{"a": "\\ud83d"}') == {"a": "\ud83d"}
    for body in (b"", b"{", b"\xff", b"[" * 100_000):
        with pytest.raises(ValueError, match=r".*"):
            parse_json(body)


def test_the_request_id_of_the_body_precedes_the_header() -> None:
    """Support asks for the id that the answer states; the header is used where it states none."""
    response = Response(status_code=200, body=b"", headers={"x-request-id": "h-1"})
    assert request_id_of(response, "b-1") == "b-1"
    assert request_id_of(response, None) == "h-1"
    assert request_id_of(Response(status_code=200, body=b""), None) is None
