"""Tests of one turn of a conversation as a question to the ledger."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from captoolkit.captioners.messages import Message, Role
from captoolkit.captioners.registry import open_captioner, service_of
from captoolkit.dispatch.budget import worst_case
from captoolkit.dispatch.conversation_turn import (
    Sound,
    TurnCaptioner,
    TurnMessage,
    _count_earlier,
)
from captoolkit.model import Span
from captoolkit.pipeline.segment import Folder, ReadySegment
from captoolkit.services.price import price_in
from tests.support.media_values import SERVICES


def sound(digit: str, folder: Path) -> Sound:
    """A sound whose hash consists of one digit."""
    span = Span(start_samples=0, end_samples=16_000, rate_hz=16_000)
    segment = ReadySegment(
        index=1,
        source_span=span,
        file="a.wav",
        size_bytes=4,
        sha256=digit * 64,
        folder=Folder(folder),
    )
    return Sound(segment=segment)


def test_the_recipe_holds_every_message_and_no_reference(tmp_path: Path) -> None:
    """Two turns have one recipe exactly if texts, roles, sounds and the captioner are equal."""
    with open_captioner("openai", base_url="http://127.0.0.1:9/v1", model="m") as captioner:

        def recipe(*messages: TurnMessage, of: str = "{}") -> str:
            return TurnCaptioner(captioner, messages, recipe=of).recipe  # type: ignore[arg-type]

        one = TurnMessage(role=Role.USER, text="What?", sound=sound("1", tmp_path))
        other = TurnMessage(role=Role.USER, text="What?", sound=sound("2", tmp_path))
        answer = TurnMessage(role=Role.ASSISTANT, text="What?")
        recipes = {
            recipe(one),
            recipe(other),
            recipe(one, answer),
            recipe(answer, one),
            recipe(one, of='{"model":"n"}'),
        }
        assert len(recipes) == 5
        (tmp_path / "a.wav").write_bytes(b"RIFF")
        again = TurnMessage(role=Role.USER, text="What?", sound=sound("1", tmp_path))
        assert again.for_service(captioner).audio == "data:;base64,UklGRg=="  # type: ignore[arg-type]
        assert recipe(again) in recipes
        assert json.loads(recipe(one))["messages"][0]["audio"] == "1" * 64


def test_a_reference_is_made_once(tmp_path: Path) -> None:
    """A later turn sends the same reference, even if the prepared file is gone."""
    with open_captioner("openai", base_url="http://127.0.0.1:9/v1", model="m") as captioner:
        (tmp_path / "a.wav").write_bytes(b"RIFF")
        message = TurnMessage(role=Role.USER, sound=sound("1", tmp_path))
        first = message.for_service(captioner)  # type: ignore[arg-type]
        (tmp_path / "a.wav").unlink()
        assert message.for_service(captioner) == first  # type: ignore[arg-type]
        assert first == Message(role=Role.USER, audio="data:;base64,UklGRg==")


def test_earlier_sounds_cost_as_much_as_sound() -> None:
    """The worst case of a later turn has the price of sound for the sounds of all turns."""
    row = SERVICES["gemini"]
    price = replace(row.prices[0], audio_input_per_million=Decimal(1000), until=None)
    with open_captioner("openai", target=replace(row, prices=(price,)), api_key="k") as captioner:
        service = service_of(captioner)
    heard = sound("1", Path()).segment
    later = _count_earlier(service, [], [heard] * 3)
    assert price_in(later.target, "global") == service.price == price
    first, all_sounds = (
        worst_case(target, price, heard.source_span.exact_s)
        for target in (service.target, later.target)
    )
    assert all_sounds - first == Decimal(1000) * 3 * 32 / 1_000_000


def test_a_target_that_states_no_text_tokens_counts_role_names() -> None:
    """The bytes of the texts are the most tokens of the texts alone."""
    options = {"base_url": "http://127.0.0.1:9/v1", "region": "global"}
    with open_captioner("openai", target="gemini", **options) as captioner:  # type: ignore[arg-type]
        service = service_of(captioner)
        messages = [TurnMessage(role=Role.USER, text="What?")]
        target = _count_earlier(service, messages, []).target
    assert target.limit("text_tokens") == 5 + 64
