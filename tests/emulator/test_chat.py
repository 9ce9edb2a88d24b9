"""Tests of requests and answers, independent of the protocol."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.emulator import refusals
from captoolkit.emulator.chat import (
    MAX_DATA_URIS,
    UNANSWERED,
    ChatMessage,
    ChatRequest,
    ModelAnswer,
    count_input_tokens,
    make_answer,
    refuse_unfit,
    tokens_of,
)
from captoolkit.emulator.refusals import Refusal, RefusedError
from captoolkit.services import catalogue

CAPTIONER = catalogue.target("qwen3-omni-captioner")
QWEN_AUDIO = catalogue.target("qwen-audio")
SOUND = ChatMessage(role="user", audios=("https://example.invalid/a.wav",))
QUESTION = ChatMessage(role="user", audios=SOUND.audios, texts=("What is it?",))
SYSTEM = ChatMessage(role="system", texts=("Be brief.",))
ANSWER = ChatMessage(role="assistant", texts=("A dog.",))
SOUND_ALONE = ChatRequest(model="m", messages=(ChatMessage(role="user", audios=("oss://a",)),))
PROMPTED = ChatRequest(
    model="m", messages=(ChatMessage(role="user", audios=("oss://a",), texts=("这是什么?",)),)
)


def request_of(*messages: ChatMessage) -> ChatRequest:
    """Return a request with these messages."""
    return ChatRequest(model="m", messages=messages)


@pytest.mark.parametrize(
    ("messages", "refusal"),
    [
        ((QUESTION,), refusals.NO_TEXT),
        ((SYSTEM, SOUND), refusals.NO_SYSTEM),
        ((SOUND, ANSWER, SOUND), refusals.NO_TURNS),
        ((ChatMessage(role="user", audios=SOUND.audios * 2),), refusals.many_audios(1, 2)),
        ((ChatMessage(role="user"),), refusals.NO_AUDIO),
        ((SOUND, ANSWER), refusals.BAD_ROLES),
        ((ChatMessage(role="robot", audios=SOUND.audios), SOUND), refusals.BAD_ROLES),
    ],
)
def test_the_captioner_takes_one_audio_and_nothing_else(
    messages: tuple[ChatMessage, ...], refusal: Refusal
) -> None:
    """The captioner refuses prompts, system messages, more audios or turns, and missing audio."""
    with pytest.raises(RefusedError) as caught:
        refuse_unfit(request_of(*messages), CAPTIONER)
    assert caught.value.refusal == refusal


@pytest.mark.parametrize(
    "messages", [(SOUND,), (QUESTION,), (SYSTEM, QUESTION), (SYSTEM, QUESTION, ANSWER, QUESTION)]
)
def test_qwen_audio_takes_a_conversation(messages: tuple[ChatMessage, ...]) -> None:
    """Qwen-Audio takes voice chat, a prompt, a system message and several turns."""
    refuse_unfit(request_of(*messages), QWEN_AUDIO)


def test_a_data_uri_is_refused_from_the_first_character_over_the_limit() -> None:
    """The limit itself passes, one character more does not; the message names the limit."""
    limit = CAPTIONER.limit("max_base64_chars")
    assert limit is not None
    longest = "data:;base64,".ljust(int(limit), "A")
    refuse_unfit(request_of(ChatMessage(role="user", audios=(longest,))), CAPTIONER)
    with pytest.raises(RefusedError, match=f"max bytes per data-uri item : {limit}$"):
        refuse_unfit(request_of(ChatMessage(role="user", audios=(longest + "A",))), CAPTIONER)


def test_data_uris_are_counted() -> None:
    """A request to any model holds at most 250 data URIs."""
    many = ChatMessage(role="user", audios=("data:;base64,AA==",) * (MAX_DATA_URIS + 1))
    with pytest.raises(RefusedError, match="max data-uri per request : 250"):
        refuse_unfit(request_of(many), QWEN_AUDIO)


# ----------------------------------------------------------------------------------- answers


def answer_to(request: ChatRequest, description: str = "It is loud. Then quiet.") -> ModelAnswer:
    """Return the answer with a description under the captioner's limits."""
    return make_answer(
        request,
        CAPTIONER,
        description=description,
        input_tokens=(152, 8),
        request_id="r",
        created_s=1,
    )


@given(st.text())
def test_tokens_make_up_the_text(text: str) -> None:
    """The tokens of any text join to that text, and none is empty."""
    tokens = tokens_of(text)
    assert "".join(tokens) == text
    assert all(tokens)


def test_tokens_are_counted_by_the_models_row() -> None:
    """The captioner counts 12.5 a second plus 8, Qwen-Audio 25; shorter clips count as 1 s."""
    assert count_input_tokens(SOUND_ALONE, CAPTIONER, [Fraction(12)]) == (150, 8)
    assert count_input_tokens(SOUND_ALONE, CAPTIONER, [Fraction(1, 10)]) == (13, 8)
    assert count_input_tokens(PROMPTED, QWEN_AUDIO, [Fraction(3), Fraction(1, 2)]) == (100, 5)
    assert count_input_tokens(PROMPTED, catalogue.target("openai"), [Fraction(301, 100)]) == (31, 5)


def test_an_answer_to_a_question_says_that_it_is_none() -> None:
    """Audio alone gets the description; a question gets a note before it."""
    assert answer_to(SOUND_ALONE).text == "It is loud. Then quiet."
    assert answer_to(PROMPTED).text == UNANSWERED + "It is loud. Then quiet."


def test_max_tokens_cuts_the_answer_off() -> None:
    """The finish reason of a shortened answer is `length`."""
    cut = answer_to(replace(SOUND_ALONE, max_tokens=2))
    assert (cut.text, cut.finish_reason) == ("It is", "length")
    assert answer_to(replace(SOUND_ALONE, max_tokens=5)).finish_reason == "stop"
