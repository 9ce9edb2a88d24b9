"""Tests of conversations as JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from captoolkit.api import conversation_file
from captoolkit.api.conversation_file import SavedAnswer, SavedSound, SavedTurn
from captoolkit.errors import InputError
from captoolkit.model import Caption, CaptionerInfo, Usage

INFO = CaptionerInfo(name="dashscope", model="m", base_url="https://h/api/v1")
ANSWER = Caption(
    text="Rain.\n\n“Hard”, he said.", finish_reason="stop", usage=Usage(input_tokens=7)
)


def document(turns: tuple[SavedTurn, ...] = ()) -> str:
    """The JSON of a conversation."""
    return conversation_file.render(
        INFO,
        target=None,
        via="base64",
        options={"system": "Be brief.", "api_key": "sk-secret-123", "resume": True},
        turns=turns,
        usage=Usage(input_tokens=7),
        cost=None,
    )


def test_what_is_written_is_read() -> None:
    """Turns, answers and options come back equal; a key is never written."""
    turn = SavedTurn(
        question="What?",
        audio=SavedSound(place="https://example.com/a.wav", sha256="0" * 64),
        answer=SavedAnswer.of(ANSWER),
    )
    text = document((turn,))
    assert "sk-secret" not in text
    saved = conversation_file.parse(text)
    assert (saved.info, saved.turns, saved.options) == (INFO, (turn,), {"system": "Be brief."})
    assert saved.turns[0].answer.caption() == ANSWER


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is no JSON object"),
        ("[]", "is no JSON object"),
        ("\ud800", "is no JSON object"),
        ("{}", "is no conversation"),
        ('{"format": "captoolkit.timeline/1"}', "is no conversation"),
        ('{"format": "captoolkit.conversation/2"}', "is of another version"),
        (document().replace('"base64"', "64"), r"Expected `str`, got `int` - at `\$\.via`"),
        (document().replace('"via"', '"vis"'), "unknown field|missing required field"),
    ],
)
def test_other_text_is_refused_with_the_reason(text: str, problem: str) -> None:
    """The error says where the fault is."""
    content = text.encode("utf-8", "surrogatepass")
    with pytest.raises(InputError, match=problem):
        conversation_file.parse(content)


def test_missing_file_is_an_input_error(tmp_path: Path) -> None:
    """So is a folder."""
    with pytest.raises(InputError, match="cannot be read"):
        conversation_file.read(tmp_path / "none.json")
    with pytest.raises(InputError, match="cannot be read"):
        conversation_file.read(tmp_path)


def test_an_option_of_a_wrong_kind_is_refused() -> None:
    """A file from elsewhere may hold a list as the system message; the error names the place."""
    text = document().replace('"Be brief."', "[1]")
    with pytest.raises(InputError, match=r"got `array` - at `\$\.options"):
        conversation_file.parse(text)


def test_a_file_grants_no_permission_to_send_a_key() -> None:
    """A file from elsewhere, with an address of its own, could lead a key away."""
    odd = '"send_key": true, "insecure_http": true, "system": "Be brief."'
    saved = conversation_file.parse(document().replace('"system": "Be brief."', odd))
    assert saved.options == {"system": "Be brief."}
