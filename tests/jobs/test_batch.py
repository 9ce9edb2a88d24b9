"""Tests of `batch` in this process: options, resume, captions from a service."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

import captoolkit
from captoolkit import events
from captoolkit.emulator import Emulator
from captoolkit.errors import CaptoolkitError, KeyMissingError, UsageError
from captoolkit.jobs.results.datasets import export_rows
from captoolkit.jobs.results.recording_rows import RowStatus, read_rows
from captoolkit.jobs.stores.object_store import open_store
from captoolkit.support.staging_folders import HIDDEN_PREFIX, OWNER_SUFFIX, host
from tests.support.batches import SECRET, service_options
from tests.support.recorder import Recorder
from tests.support.tones import write_tone, write_tones
from tests.support.web import serving


def run(verb: Any, inputs: str | Path, out: str | Path, **options: Any) -> captoolkit.BatchSummary:
    """Run a batch in this process."""
    return captoolkit.batch(verb, [inputs], out=out, **{"cluster": "none", **options})


def files_of(out: Path) -> dict[str, bytes]:
    """Return the results in a folder, without the state of the job."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and ".captoolkit" not in path.parts
    }


def test_a_batch_does_each_recording_and_a_second_run_does_none(tmp_path: Path) -> None:
    """Good recordings are done, a bad one is a row, and the same call again keeps them all."""
    write_tones(tmp_path / "in", 3)
    (tmp_path / "in" / "bad.wav").write_bytes(b"no media")
    seen: list[events.Event] = []
    first = run("prepare", tmp_path / "in", tmp_path / "out", on_event=seen.append)
    assert (first.done, first.failed, first.segments) == (3, 1, 3)
    assert not first.is_complete
    assert first.reasons[0].error_class == "NotMediaError"
    assert first.reasons[0].example == "bad.wav"
    last = seen[-1]
    assert isinstance(last, events.BatchProgressed)
    assert (last.total, last.done, last.failed) == (4, 3, 1)
    before = files_of(tmp_path / "out")
    second = run("prepare", tmp_path / "in", tmp_path / "out")
    assert (second.done, second.kept, second.failed_before) == (0, 3, 1)
    assert files_of(tmp_path / "out") == before


def test_a_run_without_work_removes_what_a_killed_run_left(tmp_path: Path) -> None:
    """The kill came after the last recording, so no later run makes a folder of its own there."""
    out = tmp_path / "out"
    write_tones(tmp_path / "in", 1, seconds=1)
    run("probe", tmp_path / "in", out)
    left = out / f"{HIDDEN_PREFIX}0123456789ab-abcdefgh"
    left.mkdir()
    owner = out / f"{HIDDEN_PREFIX}0123456789ab{OWNER_SUFFIX}"
    owner.write_text(json.dumps({"host": host()}))
    assert run("probe", tmp_path / "in", out).kept == 1
    assert [path.name for path in out.iterdir()] == [".captoolkit"]


def test_a_batch_reads_and_writes_google_storage(
    google_server: object, google: str, tmp_path: Path
) -> None:
    """Recordings and results are in a bucket; the second run keeps everything."""
    (recording,) = write_tones(tmp_path / "in", 1)
    open_store(google).write("in/a/b.wav", recording)
    first = run("prepare", f"{google}/in/**/*.wav", f"{google}/out")
    assert (first.done, first.segments) == (1, 1)
    assert open_store(google).read("out/a/b/b.001.wav") == recording.read_bytes()
    assert run("prepare", f"{google}/in", f"{google}/out").kept == 1


def test_a_bucket_recording_of_a_manifest_is_kept_by_the_next_run(s3: str, tmp_path: Path) -> None:
    """The manifest states no size and no version, and the row those that were read."""
    (recording,) = write_tones(tmp_path / "in", 1)
    open_store(s3).write("in/a.wav", recording.read_bytes())
    manifest = tmp_path / "list.csv"
    manifest.write_text(f"url\n{s3}/in/a.wav\n")
    assert run("prepare", manifest, tmp_path / "out").done == 1
    again = run("prepare", manifest, tmp_path / "out")
    assert (again.done, again.kept, again.changed) == (0, 1, 0)


@pytest.mark.parametrize("layout", ["files", "tar"])
def test_secrets_of_urls_do_not_reach_out(tmp_path: Path, layout: str) -> None:
    """Rows, tar files and tables hold the public URL; a URL that is signed again is kept."""
    write_tones(tmp_path / "in", 1)
    manifest, out = tmp_path / "list.csv", tmp_path / "out"
    with serving(tmp_path / "in") as host:
        for kept, signature in enumerate(("SIGNATURE", "SIGNED-AGAIN")):
            names = [f"http://u:PASSW@{host}/{name}" for name in ("t000.wav", "gone.wav")]
            urls = [*names, "http://u:PASSW/@host/a.wav"]
            manifest.write_text("\n".join(["url", *(f"{url}?sig={signature}" for url in urls)]))
            summary = run("prepare", manifest, out, layout=layout)
            assert (summary.done, summary.kept, summary.changed) == (1 - kept, kept, 0)
    export_rows(open_store(str(out)), tmp_path / "out" / "rows.jsonl", failed=True)
    export_rows(open_store(str(out)), tmp_path / "out" / "failed.jsonl")
    rows = list(read_rows(open_store(str(out))))
    assert f"http://{host}/t000.wav" in {row.url for row in rows}
    for path in out.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        for secret in ("PASSW", "SIGNATURE", "SIGNED-AGAIN"):
            assert secret not in str(path)
            assert secret.encode() not in data, path


def test_failed_recordings_are_tried_again_on_request(tmp_path: Path) -> None:
    """`retry_failed` does them again, and then the batch is complete."""
    bad = tmp_path / "in" / "a.wav"
    bad.parent.mkdir()
    bad.write_bytes(b"no media")
    assert run("probe", tmp_path / "in", tmp_path / "out").failed == 1
    write_tone(bad, 1)
    again = run("probe", tmp_path / "in", tmp_path / "out", retry_failed=True, redo="changed")
    assert again.done == 1
    assert again.is_complete
    assert [row.status for row in read_rows(open_store(str(tmp_path / "out")))] == [RowStatus.DONE]


def test_a_changed_recording_is_named_and_done_again_on_request(tmp_path: Path) -> None:
    """Without `redo` its results stay; with `changed` they are made again, and only they."""
    first, _ = write_tones(tmp_path / "in", 2)
    run("prepare", tmp_path / "in", tmp_path / "out")
    before = files_of(tmp_path / "out")
    write_tone(first, 7, seconds=2)
    kept = run("prepare", tmp_path / "in", tmp_path / "out")
    assert (kept.changed, kept.kept, kept.is_complete) == (1, 1, False)
    assert files_of(tmp_path / "out") == before
    redone = run("prepare", tmp_path / "in", tmp_path / "out", redo="changed")
    assert (redone.done, redone.kept, redone.is_complete) == (1, 1, True)
    after = files_of(tmp_path / "out")
    assert after["t000/t000.001.wav"] != before["t000/t000.001.wav"]
    assert after["t001/t001.001.wav"] == before["t001/t001.001.wav"]


def test_the_identity_of_content_sees_a_change_that_keeps_size_and_time(tmp_path: Path) -> None:
    """With `identity='content'` each recording is read and compared by its hash."""
    path = write_tone(tmp_path / "in" / "a.wav", 1)
    run("prepare", tmp_path / "in", tmp_path / "out")
    before = files_of(tmp_path / "out")
    status = path.stat()
    write_tone(path, 2)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert run("prepare", tmp_path / "in", tmp_path / "out").kept == 1
    assert files_of(tmp_path / "out") == before
    assert run("prepare", tmp_path / "in", tmp_path / "out", identity="content").done == 1
    assert files_of(tmp_path / "out") != before


def test_another_recipe_in_one_place_is_wrong_usage(tmp_path: Path) -> None:
    """The message names the option that differs, and nothing changes."""
    write_tones(tmp_path / "in", 1)
    run("prepare", tmp_path / "in", tmp_path / "out")
    with pytest.raises(UsageError, match="`segment` is not given there and 5s here"):
        run("prepare", tmp_path / "in", tmp_path / "out", segment="5s")


@pytest.mark.parametrize("text", ["name,length\na.wav,3\n", "path\n", ""])
def test_a_manifest_that_cannot_be_used_leaves_nothing_behind(tmp_path: Path, text: str) -> None:
    """A folder of results would hold the options of the refused run against the next one."""
    (tmp_path / "all.csv").write_text(text)
    with pytest.raises(CaptoolkitError, match=r"all\.csv"):
        run("prepare", tmp_path / "all.csv", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_single_path_is_no_list_of_inputs(tmp_path: Path) -> None:
    """A text is not taken letter for letter: the `/` of a path would be the whole disk."""
    singles: tuple[Any, ...] = ("talks", tmp_path)
    for inputs in singles:
        with pytest.raises(UsageError, match=r"inputs=.* must be a list .*; pass \[input\]"):
            captoolkit.batch("probe", inputs, out=tmp_path / "out", cluster="none")
    assert not (tmp_path / "out").exists()


def test_shards_together_are_the_whole(tmp_path: Path) -> None:
    """Three shards into one place give the bytes of one run."""
    write_tones(tmp_path / "in", 7)
    run("prepare", tmp_path / "in", tmp_path / "whole")
    done = [
        run("prepare", tmp_path / "in", tmp_path / "parts", shard=f"{number}/3").done
        for number in range(3)
    ]
    assert sum(done) == 7
    assert files_of(tmp_path / "parts") == files_of(tmp_path / "whole")


def test_too_many_failures_end_the_run(tmp_path: Path) -> None:
    """`max_failures` stops a run in which something is wrong with everything."""
    for number in range(3):
        (tmp_path / f"in{number}").mkdir()
        (tmp_path / f"in{number}" / "bad.wav").write_bytes(b"no media")
    summary = captoolkit.batch(
        "probe",
        [tmp_path / f"in{number}" for number in range(3)],
        out=tmp_path / "out",
        cluster="none",
        max_failures=0,
    )
    assert summary.is_stopped


# ---------------------------------------------------------------------------------- captions


def test_a_local_captioner_writes_timelines(tmp_path: Path) -> None:
    """The worker asks it, and the rows hold the texts; a file without sound fails alone."""
    write_tones(tmp_path / "in", 2)
    (tmp_path / "in" / "bad.wav").write_bytes(b"no media")
    stop = threading.Event()
    summary = run("caption", tmp_path / "in", tmp_path / "out", stop=stop)
    assert (summary.done, summary.failed, summary.requested) == (2, 1, 0)
    assert not stop.is_set()
    assert set(files_of(tmp_path / "out")) == {
        "t000/t000.timeline.json",
        "t001/t001.timeline.json",
    }
    rows = {row.id: row for row in read_rows(open_store(str(tmp_path / "out")))}
    assert rows.pop("bad.wav").error_class == "NotMediaError"
    assert all(row.segments[0].text for row in rows.values())


def test_a_budget_below_one_request_is_wrong_usage(tmp_path: Path) -> None:
    """Nothing is prepared for a run that could not send a single request."""
    with Emulator() as emulator, pytest.raises(UsageError, match="is too small"):
        run(
            "caption",
            tmp_path / "missing",
            tmp_path / "out",
            **service_options(emulator, max_cost="0.0001"),
        )
    assert not (tmp_path / "out").exists()


def test_workers_do_not_ask_where_answers_cost_money(tmp_path: Path) -> None:
    """`asks_on='workers'` is refused for a service with prices."""
    with Emulator() as emulator, pytest.raises(UsageError, match="cost nothing"):
        run(
            "caption",
            tmp_path / "in",
            tmp_path / "out",
            **service_options(emulator, asks_on="workers"),
        )


@pytest.mark.parametrize(
    ("status", "most"),
    [(402, 1), (400, 3)],
)
def test_workers_stop_asking_a_service_that_answers_nothing(
    tmp_path: Path, recorder: Recorder, status: int, most: int
) -> None:
    """The batch ends with the fault, and the same command does the recordings later."""
    write_tones(tmp_path / "in", 5)
    recorder.answer({"error": {"message": "no"}}, status=status)
    options = {
        "captioner": "openai",
        "base_url": f"{recorder.url}/v1",
        "target": "vllm",
        "api_key": SECRET,
        "ledger": ":memory:",
        "asks_on": "workers",
    }
    ended = run("caption", tmp_path / "in", tmp_path / "out", give_up_after=3, **options)
    assert len(recorder.seen) == most
    assert (ended.holes, ended.left, ended.failed, ended.done) == (most, 5 - most, 0, 0)
    assert f"HTTP {status}" in (ended.error or "")
    assert not ended.is_complete
    message = {"role": "assistant", "content": "A tone."}
    recorder.answer({"choices": [{"finish_reason": "stop", "message": message}]})
    again = run("caption", tmp_path / "in", tmp_path / "out", give_up_after=3, **options)
    assert (again.done, again.is_complete) == (5, True)


def test_a_missing_key_is_found_before_the_listing_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is prepared for a service that cannot be asked."""
    monkeypatch.delenv("DASHSCOPE_API_KEY", raising=False)
    with pytest.raises(KeyMissingError):
        run("caption", tmp_path / "missing", tmp_path / "out", captioner="dashscope")
    assert not (tmp_path / "out").exists()


def test_a_recording_is_the_same_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative and an absolute name of one recording are one recording in OUT."""
    write_tone(tmp_path / "in" / "a.wav", 1)
    monkeypatch.chdir(tmp_path)
    assert run("prepare", Path("in"), tmp_path / "out").done == 1
    monkeypatch.chdir("/")
    again = run("prepare", tmp_path / "in", tmp_path / "out")
    assert (again.kept, again.changed) == (1, 0)
    [row] = read_rows(open_store(str(tmp_path / "out")))
    assert row.url == str(tmp_path / "in" / "a.wav")
