from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from captoolkit.emulator.chat_request import Ask, Turn
from captoolkit.emulator.replies import (
    UNANSWERED,
    Answer,
    encoded,
    input_tokens,
    make_answer,
    tokens_of,
)
from captoolkit.services import catalogue

CAPTIONER = catalogue.target("qwen3-omni-captioner")
QWEN_AUDIO = catalogue.target("qwen-audio")
ASK = Ask(model="m", turns=(Turn(role="user", audios=("oss://a",)),))
PROMPTED = Ask(model="m", turns=(Turn(role="user", audios=("oss://a",), texts=("这是什么?",)),))


def answer_to(ask: Ask, measured: str = "It is loud. Then quiet.") -> Answer:
    """What the captioner's row makes of some words."""
    return make_answer(
        ask, CAPTIONER, measured=measured, counted=(152, 8), request_id="r", created_s=1
    )


@given(st.text())
def test_tokens_make_up_the_text(text: str) -> None:
    """Whatever the text, nothing is lost between its tokens, and none is empty."""
    tokens = tokens_of(text)
    assert "".join(tokens) == text
    assert all(tokens)


def test_tokens_are_counted_by_the_models_row() -> None:
    """The captioner counts 12.5 a second and 8 beside, Qwen-Audio 25; under a second is one."""
    assert input_tokens(ASK, CAPTIONER, [Fraction(12)]) == (150, 8)
    assert input_tokens(ASK, CAPTIONER, [Fraction(1, 10)]) == (13, 8)
    assert input_tokens(PROMPTED, QWEN_AUDIO, [Fraction(3), Fraction(1, 2)]) == (100, 5)


def test_a_question_is_not_passed_off_as_answered() -> None:
    """Audio alone gets the measurements; a question gets them with a word about what they are."""
    assert answer_to(ASK).text == "It is loud. Then quiet."
    assert answer_to(PROMPTED).text == UNANSWERED + "It is loud. Then quiet."


def test_an_answer_is_cut_off_where_it_was_asked_to_be() -> None:
    """`max_tokens` ends it early, and the finish reason says so."""
    cut = answer_to(replace(ASK, max_tokens=2))
    assert (cut.text, cut.finish_reason) == ("It is", "length")
    assert answer_to(replace(ASK, max_tokens=5)).finish_reason == "stop"


def test_what_cannot_be_encoded_is_replaced() -> None:
    """Half a surrogate in what a client sent does not stop the answer that repeats it."""
    assert encoded({"model": "\ud800é"}) == '{"model":"?é"}'.encode()
