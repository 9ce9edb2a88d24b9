"""Progress of captioning: a bar over all files, and captions as they arrive."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from captoolkit.cli.caption_progress import StreamedCaptions, StreamedFiles
from captoolkit.emulator import Emulator
from captoolkit.events import EntryReady, RetryScheduled, TextArrived, Warned
from captoolkit.model import Entry, Span, Status
from tests.support.command_line import Run, run_on_terminal

SPAN = Span(start_samples=0, end_samples=1, rate_hz=1)


def piece(index: int, text: str, path: str = "a.wav") -> TextArrived:
    """Return an event with text of a segment."""
    return TextArrived(path=path, index=index, text=text)


def end(index: int, text: str = "", status: Status = Status.OK, path: str = "a.wav") -> EntryReady:
    """Return the event that ends a segment."""
    entry = Entry(index=index, source_span=SPAN, status=status, text=text)
    return EntryReady(path=path, entry=entry)


def test_segments_are_written_in_order(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The text of the first segment is written as it arrives; later text is kept."""
    with StreamedCaptions("a.wav") as screen:
        screen.show(piece(2, "rain"))
        screen.show(piece(1, "A "))
        assert capsys.readouterr().err == "[1] A "
        screen.show(piece(2, " falls"))
        screen.show(Warned(path="a.wav", message="odd"))
        screen.show(piece(1, "dog"))
        screen.show(end(2, "rain falls"))
        assert capsys.readouterr().err == "\nwarning: a.wav: odd\ndog"
        screen.show(end(1, "A dog"))
        assert capsys.readouterr().err == "\n[2] rain falls\n"
        screen.show(end(3, status=Status.FAILED))
        screen.show(end(4, "known already\n\x1b[31mred"))
    assert capsys.readouterr().err == "[3] (no caption)\n[4] known already\n?[31mred\n"


def test_a_failed_segment_has_no_caption(capsys: pytest.CaptureFixture[str]) -> None:
    """A failure after some text is marked, whether the text was written or not."""
    with StreamedCaptions("a.wav") as screen:
        screen.show(piece(1, "A do"))
        screen.show(piece(2, "Ra"))
        screen.show(end(2, status=Status.FAILED))
        screen.show(end(1, status=Status.FAILED))
    assert capsys.readouterr().err == "[1] A do\n[1] (no caption)\n[2] (no caption)\n"


def test_a_repeated_request_starts_a_new_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The earlier text is void, and the reason is printed."""
    with StreamedCaptions("a.wav") as screen:
        screen.show(piece(1, "A do"))
        screen.show(RetryScheduled(path="a.wav", index=1, wait_s=1, reason="it broke"))
        screen.show(piece(1, "A cat"))
        screen.show(end(1, "A cat"))
    expected = "[1] A do\na.wav: segment 1 is requested again: it broke\n[1] A cat\n"
    assert capsys.readouterr().err == expected


def test_a_repeated_request_is_a_detail_of_a_run(
    run: Run, fixtures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With -v the retry and its reason are a line; without, the run is as quiet as before."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-any")
    with Emulator(faults=["reset=1"]) as emulator:
        ran = run(
            *("caption", fixtures / "speech.amr", "--captioner", "dashscope", "-v"),
            *("--base-url", emulator.native_url, "-o", tmp_path / "a.json"),
        )
    assert ran.status == 0
    assert "speech.amr: segment 1 is requested again: " in ran.err


def test_files_are_written_one_after_another(capsys: pytest.CaptureFixture[str]) -> None:
    """The text of a later file is kept until the files before it are finished."""
    with StreamedFiles(["a.wav", "b.wav", "c.wav"]) as screen:
        screen.show(piece(1, "A "))
        screen.show(piece(1, "Rain", path="b.wav"))
        screen.show(end(1, "Rain", path="b.wav"))
        screen.finish("b.wav")
        screen.finish("")  # a file that could not be opened
        screen.show(piece(1, "dog"))
        assert capsys.readouterr().err == "a.wav:\n[1] A dog"
        screen.show(end(1, "A dog"))
        screen.finish("a.wav")
        screen.show(piece(1, "Wi", path="c.wav"))
    assert capsys.readouterr().err == "\nb.wav:\n[1] Rain\nc.wav:\n[1] Wi\n"


def test_a_single_file_has_no_heading(capsys: pytest.CaptureFixture[str]) -> None:
    """Its name is on the command line already."""
    with StreamedFiles(["a.wav"]) as screen:
        screen.show(end(1, "A dog"))
        screen.finish("a.wav")
    assert capsys.readouterr().err == "[1] A dog\n"


def test_several_files_have_one_bar(fixtures: Path, tmp_path: Path) -> None:
    """The bar counts finished files and is full when all their sound has captions."""
    sources = [fixtures / name for name in ("speech.amr", "raw.aac", "hammering-mandarin.flac")]
    names = tmp_path / "names"
    _, screen = run_on_terminal("caption", *sources, "-o", tmp_path / "out", stdout=names)
    assert "caption  3 of 3 files" in screen
    assert "100%" in screen
    assert len(names.read_text(encoding="utf-8").splitlines()) == 3


def test_one_file_has_a_bar_for_each_step(fixtures: Path, tmp_path: Path) -> None:
    """The bars of preparing and captioning have the name of the file."""
    source = fixtures / "hammering-mandarin.flac"
    names = tmp_path / "names"
    _, screen = run_on_terminal(
        "caption", source, "--segment", "15s", "-o", tmp_path / "a.json", stdout=names
    )
    assert re.search(r"prepare  \S*hammering-mandarin.flac", screen)
    assert re.search(r"caption  \S*hammering-mandarin.flac", screen)
    assert "100%" in screen
