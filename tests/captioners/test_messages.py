"""The messages of a request, checked against a model."""

from __future__ import annotations

import pytest

from captoolkit.captioners.messages import Message, Role, check_messages
from captoolkit.errors import UsageError
from captoolkit.services import catalogue

SOUND = Message(role=Role.USER, audio="data:;base64,AA==")
ASKED = Message(role=Role.USER, audio="data:;base64,AA==", text="What is it?")
SAID = Message(role=Role.ASSISTANT, text="Rain.")
WORDS = Message(role=Role.USER, text="How hard?")
BEFORE = Message(role=Role.SYSTEM, text="Be brief.")


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([ASKED], "does not take a prompt"),
        ([BEFORE, SOUND], "does not take a system message"),
        ([SOUND, SAID, SOUND], "does not take a second question"),
        ([WORDS], "does not take a prompt"),
        ([], "nothing to ask"),
        ([Message(role=Role.USER)], "nothing to ask"),
        ([Message(role=Role.USER, text="What is \udcff?")], "the question is not UTF-8 text"),
    ],
)
@pytest.mark.parametrize("target", ["qwen3-omni-captioner", "vllm"])
def test_the_captioner_takes_one_sound_and_nothing_else(
    messages: list[Message], problem: str, target: str
) -> None:
    """One sound, no text, one turn: anything else is refused in one line."""
    with pytest.raises(UsageError, match=problem) as caught:
        check_messages(messages, catalogue.target(target))
    assert str(caught.value).isprintable()


def test_qwen_audio_takes_prompts_turns_and_several_sounds() -> None:
    """A model with prompts and turns takes all of them; an unknown model takes everything."""
    row = catalogue.target("qwen3-omni-captioner")
    check_messages([SOUND], row)
    talker = catalogue.target("qwen-audio")
    check_messages([BEFORE, ASKED, SAID, WORDS], talker)
    check_messages([SOUND, SAID, SOUND], talker)
    check_messages([BEFORE, ASKED, SAID, WORDS], None)


def test_two_sounds_are_too_many_for_one_request() -> None:
    """The number of sounds in a request is limited where the row states a limit."""
    with pytest.raises(UsageError, match=r"does not take a (second question|prompt)"):
        check_messages([SOUND, SOUND], catalogue.target("vllm"))


def test_a_message_does_not_show_its_sound() -> None:
    """The sound is megabytes of text, or a signed link."""
    assert "data:" not in repr(SOUND)
