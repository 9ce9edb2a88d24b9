"""Tests of one turn of a conversation as a question to the ledger."""

from __future__ import annotations

import json
from pathlib import Path

from captoolkit.captioners.messages import Message, Role
from captoolkit.captioners.registry import open_captioner
from captoolkit.dispatch.conversation_turn import Sound, TurnCaptioner, TurnMessage
from captoolkit.model import Span
from captoolkit.pipeline.segment import Folder, ReadySegment


def sound(digit: str, folder: Path) -> Sound:
    """A sound whose hash consists of one digit."""
    (folder / "a.wav").write_bytes(b"RIFF")
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
        again = TurnMessage(role=Role.USER, text="What?", sound=sound("1", tmp_path))
        assert again.for_service(captioner).audio == "data:;base64,UklGRg=="  # type: ignore[arg-type]
        assert recipe(again) in recipes
        assert json.loads(recipe(one))["messages"][0]["audio"] == "1" * 64


def test_a_reference_is_made_once(tmp_path: Path) -> None:
    """A later turn sends the same reference, even if the prepared file is gone."""
    with open_captioner("openai", base_url="http://127.0.0.1:9/v1", model="m") as captioner:
        message = TurnMessage(role=Role.USER, sound=sound("1", tmp_path))
        first = message.for_service(captioner)  # type: ignore[arg-type]
        (tmp_path / "a.wav").unlink()
        assert message.for_service(captioner) == first  # type: ignore[arg-type]
        assert first == Message(role=Role.USER, audio="data:;base64,UklGRg==")
