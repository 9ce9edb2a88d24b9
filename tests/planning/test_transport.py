from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

import pytest

from captoolkit.errors import UsageError
from captoolkit.model import Action, Plan, Span, Target, Via
from captoolkit.planning import transport
from captoolkit.planning.options import ParsedOptions
from captoolkit.planning.prepare_plan import make_plan
from tests.support.media_values import CAPTIONER, QWEN_AUDIO, VLLM, media, service, track

ALL = frozenset(Via)
B, U, W = Via.BASE64, Via.UPLOAD, Via.URL


@pytest.mark.parametrize(
    ("wish", "has_url", "ways", "expected"),
    [
        ("base64", True, ALL, (B,)),
        ("upload", True, ALL, (U,)),
        ("url", True, ALL, (W, B, U)),
        ("url", True, {B, W}, (W, B)),
        ("auto", True, ALL, (B, W, U)),
        ("auto", False, ALL, (B, U)),
        ("auto", False, {B, W}, (B,)),
        ("auto", True, {B}, (B,)),
        # Files are made and not sent: the caller names the way.
        ("url", False, None, (W,)),
        ("url", True, None, (W,)),
        ("auto", False, None, (B, U)),
        ("auto", True, None, (B, U)),
    ],
)
def test_the_ways_to_choose_from(
    wish: str, has_url: bool, ways: Collection[Via] | None, expected: tuple[Via, ...]
) -> None:
    """The ways that the captioner takes, the preferred one first."""
    assert transport.candidates(wish, has_url=has_url, ways=ways) == expected


@pytest.mark.parametrize(
    ("wish", "has_url", "ways", "told"),
    [
        ("pigeon", False, None, "via=pigeon is not a way; take base64, upload, url, auto"),
        ("upload", False, {B, W}, "via=upload: the captioner takes no sound that way; take bas"),
        ("url", True, {B}, "via=url: the captioner takes no sound that way; take base64"),
        ("url", False, ALL, "via=url: the source is no URL that a service could fetch"),
    ],
)
def test_ways_that_there_are_not_are_refused(
    wish: str, has_url: bool, ways: Collection[Via] | None, told: str
) -> None:
    """Before anything is fetched or prepared."""
    with pytest.raises(UsageError, match=told):
        transport.candidates(wish, has_url=has_url, ways=ways)


def planned(seconds: float, ways: tuple[Via, ...], target: Target = CAPTIONER, **kind: Any) -> Plan:
    """The best plan for a recording of that length."""
    codec, container = kind.get("codec", "flac"), kind.get("container", "flac")
    sound = track(seconds, codec=codec)
    info = media(sound, container=container, size_bytes=kind.get("size_bytes", 1_000_000))
    return transport.best(
        lambda via: make_plan(info, sound, target, via=via, options=ParsedOptions()), ways
    )


@pytest.mark.parametrize(
    ("seconds", "via", "reason"),
    [
        (200, B, "It is sent inside the request, as Base64 text: no other way would keep more"),
        (
            300,
            U,
            "It is sent uploaded to the service's own storage: within 10.00 MB as Base64 text "
            "it would be one segment as MP3",
        ),
        # Three hours are five segments whichever way; uploaded, each keeps more.
        (3 * 3600, U, "It is sent uploaded to the service's own storage: within"),
    ],
)
def test_auto_takes_what_fits_inline_and_uploads_what_does_not(
    seconds: float, via: Via, reason: str
) -> None:
    """The size alone decides, and the last reason names it."""
    plan = planned(seconds, (B, U))
    assert plan.via is via
    assert plan.reasons[-1].startswith(reason)


def test_without_uploads_there_are_more_or_smaller_segments() -> None:
    """With one way there is no choice, and no reason for it."""
    alone = planned(300, (B,))
    assert alone.via is B
    assert alone.encoding is not None
    assert alone.encoding.format == "mp3"
    assert not any("It is sent" in reason for reason in alone.reasons)


def test_files_to_be_published_have_a_reason_for_it() -> None:
    """Files that are made for fetching by URL keep its limits, and the plan names the way."""
    plan = planned(300, (W,))
    assert (plan.via, plan.reasons[-1]) == (W, transport.FETCHED)


def test_a_url_is_sent_only_if_nothing_has_to_be_changed() -> None:
    """The service fetches a file that fits; other files go another way, with a reason."""
    fitting: dict[str, Any] = {"codec": "mp3", "container": "mp3", "size_bytes": 20_000_000}
    plan = planned(1200, (W, B, U), **fitting)
    assert (plan.via, plan.action) == (W, Action.PASS_THROUGH)
    assert plan.reasons[-1].startswith("It is sent by its own URL")
    plan = planned(200, (W, B, U))
    assert (plan.via, plan.action) == (B, Action.ENCODE)
    assert plan.reasons[-1].endswith("the file at its URL does not fit.")
    plan = planned(300, (W, B, U))
    assert plan.via is U


def test_auto_sends_a_url_where_that_changes_less() -> None:
    """A file too large for a request, whole at its URL, stays whole; a small one goes inline."""
    large: dict[str, Any] = {"codec": "mp3", "container": "mp3", "size_bytes": 20_000_000}
    assert planned(1200, (B, W, U), **large).via is W
    small: dict[str, Any] = {"codec": "mp3", "container": "mp3", "size_bytes": 900_000}
    assert planned(100, (B, W, U), **small).via is B


@pytest.mark.parametrize("target", [CAPTIONER, QWEN_AUDIO, VLLM, service(max_duration_s=60)])
@pytest.mark.parametrize("seconds", [1, 29, 31, 299, 2401, 9000])
def test_no_way_asks_more_or_keeps_less_than_inline(target: Target, seconds: float) -> None:
    """The chosen way is never worse than the first one."""
    inline, chosen = planned(seconds, (B,), target), planned(seconds, (B, W, U), target)
    assert len(chosen.spans) <= len(inline.spans)
    if len(chosen.spans) == len(inline.spans) and chosen.encoding and inline.encoding:
        assert chosen.encoding.bit_rate >= inline.encoding.bit_rate


@pytest.mark.parametrize("preferred", [(B, U), (U, B)])
def test_auto_takes_the_fewest_requests_first(preferred: tuple[Via, Via]) -> None:
    """One request with encoded sound comes before two requests with the frames of the source."""
    one = planned(300, (B,))
    assert (len(one.spans), one.action) == (1, Action.ENCODE)
    halves = halves_of(one.spans[0])
    two = dataclasses.replace(one, via=B, action=Action.COPY, encoding=None, spans=halves)
    plans = {B: two, U: dataclasses.replace(one, via=U)}

    assert transport.best(plans.__getitem__, preferred).via is U


def halves_of(span: Span) -> tuple[Span, Span]:
    """The two halves of a span."""
    middle = (span.start_samples + span.end_samples) // 2
    return (
        dataclasses.replace(span, end_samples=middle),
        dataclasses.replace(span, start_samples=middle),
    )
