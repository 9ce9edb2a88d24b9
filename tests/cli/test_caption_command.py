"""Tests of `captoolkit caption`: outputs, refusals, failures, the table of costs."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from tests.support.command_line import Run, run_on_terminal, start_captoolkit, wait_for
from tests.support.model_studio import ANSWER
from tests.support.recorder import Recorder
from tests.support.sound import tone, write_wav

PLAIN_HTTP = "http://dashscope.aliyuncs.com/api/v1"


def test_several_formats_go_into_a_folder(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """Each format is one file with the input's stem, and its path is printed."""
    source = fixtures / "hammering-mandarin.flac"
    ran = run("caption", source, "--segment", "15s", "-f", "json,srt,vtt,txt,md", "-o", tmp_path)
    assert ran.status == 0
    names = {f"hammering-mandarin.{form}" for form in ("json", "srt", "vtt", "txt", "md")}
    assert {Path(line).name for line in ran.out.splitlines()} == names
    assert {path.name for path in tmp_path.iterdir()} == names
    timeline = json.loads((tmp_path / "hammering-mandarin.json").read_text(encoding="utf-8"))
    assert [entry["status"] for entry in timeline["entries"]] == ["ok"] * 3
    assert timeline["entries"][-1]["end_s"] == 43
    assert timeline["captioner"]["name"] == "acoustic"


def test_one_format_goes_into_the_named_file(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """`-o` is the file for one input and one format."""
    out = tmp_path / "deep" / "name.of-mine"
    assert run("caption", fixtures / "speech.amr", "-f", "srt", "-o", out).status == 0
    assert out.read_text(encoding="utf-8").startswith("1\n00:00:00,000 --> 00:00:04,520\n")


def test_the_number_of_jobs_changes_no_timeline(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """`--jobs` is accepted as by `prepare`, from 1 on; the timeline is the same to the byte."""
    source = fixtures / "hammering-mandarin.flac"
    for jobs in ("1", "3"):
        ran = run(
            "caption", source, "--segment", "15s", "--jobs", jobs, "-o", tmp_path / f"{jobs}.json"
        )
        assert ran.status == 0, ran.err
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "3.json").read_bytes()
    assert run("caption", source, "--jobs", "0", "-o", tmp_path / "0.json").status == 2


def test_the_default_folder_is_the_current_one(
    run: Run, fixtures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `-o` the timeline is STEM.json."""
    monkeypatch.chdir(tmp_path)
    ran = run("caption", fixtures / "speech.amr")
    assert ran.out == "speech.json\n"
    assert (tmp_path / "speech.json").is_file()


def test_a_dash_is_standard_output(run: Run, fixtures: Path) -> None:
    """`-o -` prints the timeline."""
    ran = run("caption", fixtures / "speech.amr", "-f", "txt", "-o", "-")
    assert ran.status == 0
    assert "LUFS" in ran.out


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (("-f", "doc"), "'doc' is not a timeline format"),
        (("-f", "srt,vtt", "-o", "-"), "-o - takes one input and one format"),
        (("-f", "srt,vtt", "-o", "speech.srt"), "speech.srt is the name of one file"),
        (("--captioner", "acoustic", "--region", "beijing"), "region"),
        (
            ("--captioner", "dashscope", "--base-url", "http://dashscope.aliyuncs.com/api/v1"),
            "unencrypted",
        ),
        (("--captioner", "openai", "--target", "vllm"), "--base-url"),
        (("--captioner", "openai", "--model", "qwen-audio-turbo"), "take --captioner dashscope"),
    ],
    ids=["format", "dash", "one-file", "region", "plain-http", "hosted-elsewhere", "protocol"],
)
def test_wrong_usage_is_refused_before_any_work(
    run: Run, fixtures: Path, argv: tuple[str, ...], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invalid options are refused before captoolkit prepares or sends."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-test-0123456789")
    ran = run("caption", fixtures / "speech.amr", *argv)
    assert ran.status == 2
    assert word in ran.err


def test_a_missing_key_is_one_error_line(run: Run, fixtures: Path) -> None:
    """The error names the environment variable."""
    ran = run("caption", fixtures / "speech.amr", "--captioner", "dashscope")
    assert ran.status == 1
    assert "DASHSCOPE_API_KEY is not set" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_existing_files_are_refused_before_a_request(
    run: Run, fixtures: Path, tmp_path: Path, recorder: Recorder
) -> None:
    """No caption is requested that could not be written."""
    (tmp_path / "speech.json").write_text("mine")
    argv = ("--captioner", "dashscope", "--base-url", f"{recorder.url}/api/v1", "-o", tmp_path)
    ran = run("caption", fixtures / "speech.amr", *argv, "-f", "json,srt")
    assert ran.status == 1
    assert "exists" in ran.err
    assert recorder.seen == []
    assert (tmp_path / "speech.json").read_text() == "mine"


def test_each_segment_is_one_request(
    run: Run, fixtures: Path, tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timeline has captions and usage; no output has the key."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-test-0123456789")
    recorder.answer(ANSWER)
    argv = ("--captioner", "dashscope", "--base-url", f"{recorder.url}/api/v1", "-o", tmp_path)
    source = fixtures / "hammering-mandarin.flac"
    ran = run("caption", source, "--segment", "15s", *argv, "-f", "json,srt")
    assert ran.status == 0
    assert len(recorder.seen) == 3
    text = (tmp_path / "hammering-mandarin.json").read_text(encoding="utf-8")
    timeline = json.loads(text)
    assert [entry["text"] for entry in timeline["entries"]] == ["一个人说：“好”。"] * 3
    assert timeline["usage"]["total_tokens"] == 3 * 559
    assert timeline["usage"]["audio_tokens"] == 3 * 152
    assert timeline["usage"]["input_tokens"] == 3 * 160
    assert timeline["usage"]["predicted_input_tokens"] == 563
    assert "hammering-mandarin.flac: 564 input tokens in 3 requests" in ran.err
    *_, head, row = ran.err.splitlines()
    assert re.split("  +", head)[1:5] == ["segments", "requested", "from the ledger", "failed"]
    assert row.split()[1:7] == ["3", "3", "0", "0", "1,677", "-"]
    assert "sk-test" not in text + ran.out + ran.err


def test_a_failed_segment_is_a_marked_hole_and_status_1(
    run: Run, fixtures: Path, tmp_path: Path, recorder: Recorder
) -> None:
    """The timeline is still written, with the reason at the segment."""
    recorder.answer(
        {"code": "DataInspectionFailed", "message": "try another", "request_id": "r-9"}, status=400
    )
    argv = ("--captioner", "dashscope", "--base-url", f"{recorder.url}/api/v1", "-o", tmp_path)
    ran = run("caption", fixtures / "speech.amr", *argv, "-f", "json,srt")
    assert ran.status == 1
    assert "segment 1: " in ran.err
    assert "try another" in ran.err
    timeline = json.loads((tmp_path / "speech.json").read_text(encoding="utf-8"))
    (hole,) = timeline["entries"]
    assert hole["status"] == "failed"
    assert "try another" in hole["error"]
    assert hole["request_id"] == "r-9"
    assert "[no caption: " in (tmp_path / "speech.srt").read_text(encoding="utf-8")


def test_one_reason_is_one_line(
    run: Run, fixtures: Path, tmp_path: Path, recorder: Recorder
) -> None:
    """Segments that failed alike share a line, also with others between them."""
    one, other = ({"code": "DataInspectionFailed", "message": text} for text in ("one", "other"))
    again = partial(recorder.answer, one, status=400)
    recorder.answer(one, status=400, after=lambda: recorder.answer(other, status=400, after=again))
    source, sent = fixtures / "hammering-mandarin.flac", ("--concurrency", "1", *at(recorder))
    ran = run("caption", source, "--segment", "15s", *sent, "-o", tmp_path)
    errors = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert ["segments 1 to 3, 2 of them: " in line for line in errors] == [True, False]
    assert ": segment 2: " in errors[1]


def test_an_input_is_never_an_output(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """`-y` does not allow it either, nor does a link."""
    own = tmp_path / "own.wav"
    shutil.copy(fixtures / "tones-and-silences.wav", own)
    before = own.read_bytes()
    (tmp_path / "link.srt").symlink_to(own)
    for out in (own, tmp_path / "link.srt"):
        ran = run("caption", own, "-f", "srt", "-o", out, "-y")
        assert ran.status == 1
        assert "is an input and is not replaced" in ran.err
    assert own.read_bytes() == before


def test_an_impossible_path_is_refused_before_a_request(
    run: Run, fixtures: Path, tmp_path: Path, recorder: Recorder
) -> None:
    """A file in place of a folder is refused before a request."""
    (tmp_path / "a-file").write_text("mine")
    argv = ("--captioner", "dashscope", "--base-url", f"{recorder.url}/api/v1")
    ran = run("caption", fixtures / "speech.amr", *argv, "-o", tmp_path / "a-file" / "x.json")
    assert ran.status == 1
    assert recorder.seen == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_timeline_that_cannot_be_written_is_rescued(fixtures: Path, tmp_path: Path) -> None:
    """If standard output is full, the timeline goes to the temporary folder."""
    argv = [sys.executable, "-m", "captoolkit", "caption", str(fixtures / "speech.amr"), "-o", "-"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, env=environment)
    assert done.returncode == 1
    assert "standard output cannot be written (No space left on device)" in done.stderr
    assert "Traceback" not in done.stderr
    (kept,) = tmp_path.glob("captoolkit-rescued-*/timeline.json")
    assert str(kept) in done.stderr
    assert json.loads(kept.read_text(encoding="utf-8"))["entries"][0]["text"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_timeline_that_was_written_is_not_rescued(fixtures: Path, tmp_path: Path) -> None:
    """If its path cannot be printed, the file is there all the same, and no second copy of it."""
    written = tmp_path / "speech.json"
    options = [str(fixtures / "speech.amr"), "-o", str(written)]
    argv = [sys.executable, "-m", "captoolkit", "caption", *options]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, env=environment)
    assert done.returncode == 1
    assert "standard output cannot be written (No space left on device)" in done.stderr
    assert "is kept in" not in done.stderr
    assert list(tmp_path.glob("captoolkit-rescued-*")) == []
    assert json.loads(written.read_text(encoding="utf-8"))["entries"][0]["text"]


def test_the_extension_of_o_sets_the_format(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """`-o talk.srt` alone writes SRT; the case of a format's name does not matter."""
    assert run("caption", fixtures / "speech.amr", "-o", tmp_path / "talk.srt").status == 0
    assert (tmp_path / "talk.srt").read_text(encoding="utf-8").startswith("1\n00:00")
    assert run("caption", fixtures / "speech.amr", "-f", "VTT", "-o", tmp_path).status == 0
    assert (tmp_path / "speech.vtt").read_text(encoding="utf-8").startswith("WEBVTT")


def test_the_model_sets_the_limits(
    run: Run, fixtures: Path, tmp_path: Path, recorder: Recorder
) -> None:
    """Qwen-Audio hears 30 s, so 43 s are two requests; a target has its own model."""
    recorder.answer(ANSWER)
    argv = ("--captioner", "dashscope", "--base-url", f"{recorder.url}/api/v1", "-o", tmp_path)
    source = fixtures / "hammering-mandarin.flac"
    assert run("caption", source, *argv, "--model", "qwen-audio-turbo").status == 0
    assert [seen.json["model"] for seen in recorder.seen] == ["qwen-audio-turbo"] * 2
    recorder.seen.clear()
    assert run("caption", source, *argv, "--target", "qwen-audio", "-y").status == 0
    assert [seen.json["model"] for seen in recorder.seen] == ["qwen-audio-turbo-latest"] * 2


@pytest.mark.parametrize(
    ("form", "option"), [("json", "--skip-existing"), ("srt", "-y"), ("txt", "")]
)
def test_the_option_that_does_the_rest(
    run: Run, fixtures: Path, tmp_path: Path, recorder: Recorder, form: str, option: str
) -> None:
    """A run that a fault has ended names the option, and with it the same command is done."""
    credit = {"code": "Arrearage", "message": "Overdue bill."}
    recorder.answer(ANSWER, after=lambda: recorder.answer(credit, status=402))
    out = tmp_path / f"rest.{form}" if option else "-"
    source = fixtures / "hammering-mandarin.flac"
    sent = ("--segment", "15s", "--concurrency", "1", *at(recorder))
    argv = ("caption", source, "-f", form, "-o", out, *sent)
    ended = run(*argv)
    assert ended.status == 1
    with_option = f" with {option}" if option else ""
    assert ended.err.splitlines()[-1] == f"2 segments left: run it again{with_option}"
    recorder.answer(ANSWER)
    hint = ", or --skip-existing to keep finished files and do the rest\n"
    assert not option or run(*argv).err.endswith(hint) is (form == "json")
    seen = len(recorder.seen)
    assert run(*argv, *option.split()).status == 0
    assert len(recorder.seen) == seen + 2


def test_a_target_alone_selects_no_service(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """`caption` and `batch caption` then make local captions, and a note names the option."""
    argv = (fixtures / "speech.amr", "--target", "gemini", "-o", tmp_path / "out")
    note = (
        "note: the local captioner makes the captions, and --target gemini sets only the limits; "
        "--captioner openai asks the service\n"
    )
    assert run("batch", "caption", *argv, "--dry-run").err == note
    assert run("caption", *argv, "--captioner", "acoustic").err.startswith("file ")
    made = run("caption", *argv, "-y")
    assert made.status == 0
    assert made.err.startswith(note)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (
            ("--captioner", "dashscope", "--via", "url"),
            "--via url: the source is no URL that a service",
        ),
        (("--captioner", "openai", "--via", "upload"), "the captioner takes no sound that way"),
        (("--captioner", "acoustic", "--via", "upload"), "the captioner takes no sound that"),
        (("--captioner", "dashscope", "--prompt", "What?"), "does not take a prompt"),
        (("--captioner", "dashscope", "--system", "Be brief."), "does not take a system message"),
        (("--captioner", "acoustic", "--prompt", "What?"), "takes no options"),
    ],
    ids=["url", "upload", "upload-here", "prompt", "system", "prompt-here"],
)
def test_options_for_another_captioner_are_refused_before_a_request(
    run: Run, fixtures: Path, recorder: Recorder, argv: tuple[str, ...], expected: str
) -> None:
    """The refusal is one line, and the service receives no request."""
    path = {"dashscope": "/api/v1", "openai": "/v1"}.get(argv[1])
    place = () if path is None else ("--base-url", recorder.url + path)
    ran = run("caption", fixtures / "speech.amr", *argv, *place, "-o", "-")
    assert ran.status == 2
    assert expected in ran.err
    assert len(ran.err.splitlines()) == 1
    assert recorder.seen == []


def test_a_caption_that_is_cut_off_gets_a_warning(
    run: Run, fixtures: Path, tmp_path: Path, recorder: Recorder
) -> None:
    """An answer that reached the length limit is kept, with a warning."""
    answer = json.loads(json.dumps(ANSWER))
    answer["output"]["choices"][0]["finish_reason"] = "length"
    recorder.answer(answer)
    argv = ("--captioner", "dashscope", "--base-url", f"{recorder.url}/api/v1", "-o", tmp_path)
    ran = run("caption", fixtures / "speech.amr", *argv)
    assert ran.status == 0
    assert "segment 1: the caption reached the model's length limit and is cut off" in ran.err


def test_a_file_that_is_cut_off_gets_a_warning(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """Every command that reads the file prints the missing length."""
    for command in (
        ("probe",),
        ("plan",),
        ("prepare", "-o", tmp_path),
        ("caption", "-o", tmp_path / "timeline.json"),
    ):
        ran = run(command[0], fixtures / "cut-off.flac", *command[1:])
        assert ran.status == 0
        assert "It promises 4.120 s of sound and holds 2.601 s." in ran.out + ran.err
    manifest = json.loads((tmp_path / "cut-off.manifest.json").read_text(encoding="utf-8"))
    assert manifest["reasons"][-1] == "It promises 4.120 s of sound and holds 2.601 s."


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["-f", "json,edl", "--frame-rate", "31"], "--frame-rate 31"),
        (["-f", "json", "--spread"], "--spread does nothing for json"),
    ],
)
def test_wrong_format_options_are_refused_before_a_request(
    options: list[str], problem: str, run: Run, fixtures: Path, tmp_path: Path
) -> None:
    """Captions may cost money, so the options are checked first."""
    ran = run("caption", fixtures / "speech.amr", *options, "-o", tmp_path / "out")
    assert (ran.status, len(ran.err.splitlines())) == (2, 1)
    assert problem in ran.err
    assert not (tmp_path / "out").exists()


# ----------------------------------------------------------------------------------- many files


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Ten recordings of two seconds."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-test-0123456789")
    return [
        write_wav(
            tmp_path / f"{index}.wav",
            tone(1, rate_hz=16_000, frequency_hz=200 + index),
            tone(1, rate_hz=16_000, frequency_hz=300 + index),
            rate_hz=16_000,
        )
        for index in range(10)
    ]


def at(recorder: Recorder) -> tuple[str, ...]:
    """The options that send requests to a recorder."""
    url = f"{recorder.url}/api/v1"
    return ("--captioner", "dashscope", "--base-url", url, "--region", "singapore")


def test_concurrency_is_reached_across_files(
    run: Run, recordings: list[Path], tmp_path: Path, recorder: Recorder
) -> None:
    """Ten files of one segment: eight requests are in flight at the same moment."""
    eight = threading.Event()

    def wait_for_eight() -> None:
        if recorder.most_at_once >= 8:
            eight.set()
        eight.wait(30)

    recorder.answer(ANSWER, after=wait_for_eight)
    ran = run("caption", *recordings, *at(recorder), "-o", tmp_path / "out", "--concurrency", "8")
    assert ran.status == 0
    assert recorder.most_at_once == 8
    assert len(recorder.seen) == 10
    assert len(list((tmp_path / "out").glob("*.json"))) == 10
    assert "10 files: 330 input tokens in 10 requests" in ran.err
    *lines, summary = ran.err.splitlines()
    assert summary.startswith("10 made; 10 segments, ")
    rows = [line.split() for line in lines[-11:]]
    assert [row[0] for row in rows[:-1]] == [str(path) for path in recordings]
    assert rows[-1][:5] == ["total", "10", "10", "0", "0"]


def test_a_refused_key_is_one_error_line(
    run: Run, recordings: list[Path], tmp_path: Path, recorder: Recorder
) -> None:
    """The run ends once, and not once for each file."""
    recorder.answer({"code": "InvalidApiKey", "message": "Invalid API-key provided."}, status=401)
    ran = run("caption", *recordings, *at(recorder), "-o", tmp_path / "out", "--concurrency", "2")
    assert ran.status == 1
    errors = [line for line in ran.err.splitlines() if line.startswith("error")]
    assert len(errors) == 1
    assert errors[0].startswith("error: 10 files left: the service answered HTTP 401 InvalidApiKey")
    assert len(recorder.seen) <= 2
    assert not (tmp_path / "out").exists()


def test_a_file_that_fails_does_not_end_the_others(
    run: Run, recordings: list[Path], fixtures: Path, tmp_path: Path, recorder: Recorder
) -> None:
    """Each failing file is one error line; an existing timeline is no request."""
    recorder.answer(ANSWER)
    out = tmp_path / "out"
    out.mkdir()
    (out / "0.json").write_text("mine")
    files = [*recordings[:3], fixtures / "not-media.wav", tmp_path / "none.wav"]
    ran = run("caption", *files, *at(recorder), "-o", out)
    assert ran.status == 1
    errors = [line for line in ran.err.splitlines() if line.startswith("error")]
    assert len(errors) == 3
    assert sorted(path.name for path in out.iterdir()) == ["0.json", "1.json", "2.json"]
    assert (out / "0.json").read_text() == "mine"
    assert len(recorder.seen) == 2


def test_one_document_has_the_files_and_the_figures_of_the_run(
    run: Run, recordings: list[Path], tmp_path: Path, recorder: Recorder
) -> None:
    """`--json` prints nothing else on standard output; a file that fails is a line elsewhere."""
    recorder.answer(ANSWER)
    argv = (*at(recorder), "-f", "json,srt", "-o", tmp_path / "out", "--json")
    ran = run("caption", *recordings[:2], tmp_path / "none.wav", *argv)
    assert (ran.status, "none.wav" in ran.err) == (1, True)
    document = json.loads(ran.out)
    assert document["format"] == "captoolkit.caption/1"
    first, second = document["files"]
    assert first["files"]["srt"] == str(tmp_path / "out" / f"{recordings[0].stem}.srt")
    assert Path(second["files"]["json"]).exists()
    assert [one["requested"] for one in (document, first, second)] == [2, 1, 1]
    assert document["total_tokens"] == first["total_tokens"] + second["total_tokens"]
    assert run("caption", recordings[0], "-o", "-", "--json").status == 2


@pytest.mark.parametrize(("typed", "status", "requests"), [(b"y\n", 0, 10), (b"n\n", 1, 0)])
def test_a_terminal_is_asked_once_for_all_files(
    recordings: list[Path],
    tmp_path: Path,
    recorder: Recorder,
    typed: bytes,
    status: int,
    requests: int,
) -> None:
    """The question has the sum of all files; a no sends nothing."""
    recorder.answer(ANSWER)
    argv = ("caption", *recordings, *at(recorder), "-o", tmp_path / "out")
    ended, screen = run_on_terminal(*argv, typed=typed)
    assert ended == status
    assert screen.count("[y/N]") == 1
    assert "10 files: 330 input tokens in 10 requests" in screen
    assert "USD 0.0013 for the input" in screen
    assert "Send at most 10 requests to" in screen
    assert len(recorder.seen) == requests


def test_an_interrupt_keeps_and_lists_finished_files(
    recordings: list[Path], tmp_path: Path, recorder: Recorder
) -> None:
    """The table has the files that are finished; the next run continues."""

    def three_answers() -> None:
        if len(recorder.seen) > 3:
            recorder.released.wait(30)

    recorder.answer(ANSWER, after=three_answers)
    out = tmp_path / "out"
    argv = ("caption", *recordings, *at(recorder), "-o", out, "--concurrency", "1")
    with start_captoolkit(*argv) as process:
        wait_for(lambda: len(list(out.glob("*.json"))) == 3 and len(recorder.seen) == 4)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130
    assert len(list(out.iterdir())) == 3
    assert "answers so far; run it again with --skip-existing to continue." in err
    assert re.search(r"^total +3 +3 +0 +0", err, re.MULTILINE)


def test_a_comma_without_a_format_is_explained(run: Run, fixtures: Path) -> None:
    """The message shows the option as it was typed."""
    ran = run("caption", fixtures / "speech.amr", "-f", "json,,srt")
    assert ran.status == 2
    assert ran.err == (
        "error: -f json,,srt has a comma without a format; write them as in -f json,srt\n"
    )


def outcome_of(report: Path) -> dict[str, str]:
    """The status of each file in a report, by its name without ending."""
    rows = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    return {Path(row["input"]).stem: row["status"] for row in rows}


def test_a_second_run_keeps_finished_timelines(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """Missing formats are written from the timeline; other files are named and stay."""
    out, report = tmp_path / "out", tmp_path / "report.jsonl"
    sources = [fixtures / "speech.amr", fixtures / "raw.aac"]
    command = ("caption", *sources, "-o", out, "--skip-existing", "--report", report)
    assert run(*command).status == 0
    assert outcome_of(report) == {"speech": "done", "raw": "done"}
    made = {path: path.read_bytes() for path in out.iterdir()}
    times = {path: path.stat().st_mtime_ns for path in made}

    again = run(*command)
    assert (again.status, len(again.out.splitlines())) == (0, 2)
    assert outcome_of(report) == {"speech": "kept", "raw": "kept"}
    assert "0 made, 2 kept from an earlier run; 2 segments" in again.err

    more = run(*command, "-f", "srt,json")
    assert "2 made; 2 segments" in more.err
    assert (out / "raw.srt").is_file()
    (out / "raw.srt").write_text("corrected by hand")
    refused = run(*command, "-f", "srt,json")
    assert (refused.status, outcome_of(report)) == (1, {"raw": "failed", "speech": "kept"})
    assert "raw.srt exists and is not " in refused.err
    other = run(*command, "--segment", "2s")
    assert other.err.count("was made with no segment, not with --segment 2; choose another") == 2
    assert times == {path: path.stat().st_mtime_ns for path in made}
    assert (out / "raw.srt").read_text() == "corrected by hand"

    assert run(*command, "--segment", "2s", "-y", "-f", "json,srt").status == 0
    assert run(*command, "-y", "-f", "json,srt").status == 0
    assert made == {path: path.read_bytes() for path in made}
    assert (out / "raw.srt").read_text() != "corrected by hand"
    assert run(*command, "-f", "srt").status == 2


def test_a_timeline_with_failed_segments_is_made_again(
    run: Run, fixtures: Path, tmp_path: Path, recorder: Recorder
) -> None:
    """The next run requests it and replaces its files; the one after that requests nothing."""
    report = tmp_path / "report.jsonl"
    command = ("caption", fixtures / "speech.amr", *at(recorder), "-f", "json,srt,html")
    command = (*command, "-o", tmp_path / "out", "--skip-existing", "--report", report)
    recorder.answer({"code": "DataInspectionFailed", "message": "try another"}, status=400)
    assert run(*command).status == 1
    assert outcome_of(report) == {"speech": "holes"}
    recorder.answer(ANSWER)
    assert run(*command).status == 0
    assert outcome_of(report) == {"speech": "done"}
    assert "一个人说" in (tmp_path / "out/speech.srt").read_text(encoding="utf-8")
    assert "一个人说" in (tmp_path / "out/speech.html").read_text(encoding="utf-8")
    asked = len(recorder.seen)
    assert run(*command).status == 0
    assert outcome_of(report) == {"speech": "kept"}
    assert len(recorder.seen) == asked


def test_progress_as_objects(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """Each line on standard error is JSON; each file begins, goes on, and ends."""
    sources = [fixtures / name for name in ("speech.amr", "not-media.wav")]
    ran = run("caption", *sources, "-o", tmp_path, "--segment", "2s", "--progress", "json")
    events = [json.loads(line) for line in ran.err.splitlines()]
    own = [event["event"] for event in events if event.get("input") == str(sources[0])]
    assert own == ["started", "progress", "finished"]
    assert (events[-1]["event"], events[-1]["done"], events[-1]["failed"]) == ("summary", 1, 1)
