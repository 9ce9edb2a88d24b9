"""Tests of text for the terminal."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from captoolkit.cli.app import app
from captoolkit.cli.show import (
    display_path,
    display_source,
    learn_options,
    name_options,
    print_error,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("talk.wav", "talk.wav"),
        ("https://user:secret@example.com/a.wav?token=1", "https://example.com/a.wav"),
        ("https://user:secret@[::1/a.wav", "https://(malformed)"),
    ],
)
def test_a_url_is_shown_without_its_secrets(name: str, expected: str) -> None:
    """Login and query are left out; of an invalid URL only the scheme is shown."""
    assert display_source(name) == expected


def test_a_path_inside_the_current_folder_is_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other paths do not change."""
    monkeypatch.chdir(tmp_path)
    assert display_path(tmp_path / "a" / "b.wav") == str(Path("a", "b.wav"))
    assert display_path(tmp_path.parent / "b.wav") == str(tmp_path.parent / "b.wav")


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Line breaks become `?`, and the request id follows."""
    print_error("a\nb", request_id="r-1")
    assert capsys.readouterr().err == "error: a?b [request id r-1]\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("max_cost=0.5 is too small; allow more", "--max-cost 0.5 is too small; allow more"),
        ("check `base_url` and the network", "check --base-url and the network"),
        ("or pass overwrite=True to replace it", "or pass -y to replace it"),
        ("send it again (via=base64)", "send it again (--via base64)"),
        ("stem='../x' must be a plain name", "--stem '../x' must be a plain name"),
        ("see `captoolkit targets`, and `messages`", "see `captoolkit targets`, and `messages`"),
    ],
)
def test_a_message_names_the_options_of_the_command(text: str, shown: str) -> None:
    """The library names keywords; words that are no options of the command stay."""
    command = app.get_command(click.Context(app), "caption")
    assert command is not None
    learn_options(command)
    assert name_options(text) == shown


def test_a_name_of_a_file_is_no_option(capsys: pytest.CaptureFixture[str]) -> None:
    """Only the problem is translated, and not the input that it is about."""
    app.get_command(click.Context(app), "caption")
    print_error("segment=1 is short", name="segment=1.wav")
    assert capsys.readouterr().err == "error: segment=1.wav: --segment 1 is short\n"
