from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from captoolkit.emulator import compatible_protocol, native_protocol, refusals
from captoolkit.emulator.chat_request import MAX_DATA_URIS, Ask, Turn, refuse_unfit
from captoolkit.emulator.refusals import Refusal, RefusedError
from captoolkit.services import catalogue

CAPTIONER = catalogue.target("qwen3-omni-captioner")
QWEN_AUDIO = catalogue.target("qwen-audio")
SOUND = Turn(role="user", audios=("https://example.invalid/a.wav",))
QUESTION = Turn(role="user", audios=SOUND.audios, texts=("What is it?",))
SYSTEM = Turn(role="system", texts=("Be brief.",))
REPLY = Turn(role="assistant", texts=("A dog.",))


def ask(*turns: Turn) -> Ask:
    """A request of some turns."""
    return Ask(model="m", turns=turns)


@pytest.mark.parametrize(
    ("turns", "refusal"),
    [
        ((QUESTION,), refusals.NO_TEXT),
        ((SYSTEM, SOUND), refusals.NO_SYSTEM),
        ((SOUND, REPLY, SOUND), refusals.NO_TURNS),
        ((Turn(role="user", audios=SOUND.audios * 2),), refusals.many_audios(1)),
        ((Turn(role="user"),), refusals.NO_AUDIO),
        ((SOUND, REPLY), refusals.BAD_ROLES),
        ((Turn(role="robot", audios=SOUND.audios), SOUND), refusals.BAD_ROLES),
    ],
)
def test_the_captioner_takes_one_audio_and_nothing_else(
    turns: tuple[Turn, ...], refusal: Refusal
) -> None:
    """A prompt, a system message, a second audio or turn, or no audio at all is refused."""
    with pytest.raises(RefusedError) as caught:
        refuse_unfit(ask(*turns), CAPTIONER)
    assert caught.value.refusal == refusal


@pytest.mark.parametrize(
    "turns", [(SOUND,), (QUESTION,), (SYSTEM, QUESTION), (SYSTEM, QUESTION, REPLY, QUESTION)]
)
def test_qwen_audio_takes_a_conversation(turns: tuple[Turn, ...]) -> None:
    """Voice chat, a prompt, a system message and several turns are what it is for."""
    refuse_unfit(ask(*turns), QWEN_AUDIO)


def test_a_data_uri_is_refused_from_the_first_character_over_the_limit() -> None:
    """The limit itself passes; one character more does not, and the words name the limit."""
    limit = CAPTIONER.limit("max_base64_chars")
    assert limit is not None
    longest = "data:;base64,".ljust(int(limit), "A")
    refuse_unfit(ask(Turn(role="user", audios=(longest,))), CAPTIONER)
    with pytest.raises(RefusedError, match=f"max bytes per data-uri item : {limit}$"):
        refuse_unfit(ask(Turn(role="user", audios=(longest + "A",))), CAPTIONER)


def test_data_uris_are_counted() -> None:
    """A request holds 250 of them at most, whoever it is for."""
    many = Turn(role="user", audios=("data:;base64,AA==",) * (MAX_DATA_URIS + 1))
    with pytest.raises(RefusedError, match="max data-uri per request : 250"):
        refuse_unfit(ask(many), QWEN_AUDIO)


MESSAGES = [{"role": "user", "content": [{"audio": "oss://a"}]}]


@pytest.mark.parametrize(
    ("document", "refusal"),
    [
        ({}, refusals.NO_MODEL),
        ({"model": 3}, refusals.NO_MODEL),
        ({"model": "m"}, refusals.NO_INPUT),
        ({"model": "m", "input": {"messages": []}}, refusals.NO_INPUT),
        ({"model": "m", "input": {"messages": ["hello"]}}, refusals.NO_INPUT),
        ({"model": "m", "input": {"messages": [{"role": "user"}]}}, refusals.NO_INPUT),
        (
            {"model": "m", "input": {"messages": MESSAGES}, "parameters": None},
            refusals.NO_PARAMETERS,
        ),
        (
            {"model": "m", "input": {"messages": MESSAGES}, "parameters": {"max_tokens": 0}},
            refusals.out_of_range("max_tokens", 2**31 - 1),
        ),
        (
            {"model": "m", "input": {"messages": [{"role": "user", "content": [{"image": "x"}]}]}},
            refusals.UNKNOWN_PART,
        ),
        (
            {"model": "m", "input": {"messages": [{"role": "user", "content": [{"audio": 1}]}]}},
            refusals.UNKNOWN_PART,
        ),
        (
            {"model": "m", "input": {"messages": [{"role": "user", "content": ["x"]}]}},
            refusals.UNKNOWN_PART,
        ),
    ],
)
def test_a_malformed_native_request_is_refused(
    document: Mapping[str, Any], refusal: Refusal
) -> None:
    """Each thing that is missing or of the wrong type has its own words."""
    with pytest.raises(RefusedError) as caught:
        native_protocol.read(document, {})
    assert caught.value.refusal == refusal


def test_the_pages_sample_without_parameters_is_read() -> None:
    """The pages' own curl samples leave `parameters` out."""
    read = native_protocol.read({"model": "m", "input": {"messages": MESSAGES}}, {})
    assert (read.audios, read.streams, read.incremental) == (("oss://a",), False, False)


def test_a_stream_is_asked_for_by_header_in_one_protocol_and_by_field_in_the_other() -> None:
    """`X-DashScope-SSE: enable` and `"stream": true` mean the same."""
    document = {"model": "m", "input": {"messages": MESSAGES}}
    assert native_protocol.read(document, {"x-dashscope-sse": "enable"}).streams
    assert not native_protocol.read(document, {"x-dashscope-sse": "disable"}).streams
    messages = [{"role": "user", "content": "What?"}]
    assert compatible_protocol.read(
        {"model": "m", "messages": messages, "stream": True}, {}
    ).streams
    assert not compatible_protocol.read({"model": "m", "messages": messages}, {}).streams


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": "data:;base64,AA=="},
        {"type": "input_audio"},
        {"type": "image_url", "image_url": {"url": "https://example.invalid/a.png"}},
        {"text": "without a type"},
    ],
)
def test_a_malformed_part_of_a_chat_is_refused(part: Mapping[str, Any]) -> None:
    """The compatible protocol knows `input_audio` with `data`, and `text`."""
    document = {"model": "m", "messages": [{"role": "user", "content": [part]}]}
    with pytest.raises(RefusedError, match="must be audio or text"):
        compatible_protocol.read(document, {})
