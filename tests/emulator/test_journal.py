"""Tests of the record of all requests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from captoolkit.emulator.journal import RequestJournal
from captoolkit.errors import OutputError, OutputExistsError
from tests.support.emulator_requests import (
    CAPTIONER,
    StartEmulator,
    beep,
    data_uri,
    native_body,
    post_native,
)


def test_the_log_has_a_line_for_each_request_and_no_key(
    start: StartEmulator, tmp_path: Path
) -> None:
    """Each line is there when its reply arrives, and earlier content of the file stays."""
    log = tmp_path / "asked.jsonl"
    log.write_text('{"path": "/before"}\n')
    emulator = start(log=log, faults=["reset=0", "quota=1"])
    for number in range(2):
        answer = post_native(emulator, native_body({"audio": data_uri(beep())}))
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        assert len(lines) == number + 2
        assert lines[-1] == {
            "path": "/api/v1/services/aigc/multimodal-generation/generation",
            "model": CAPTIONER,
            "audio_sha256": hashlib.sha256(beep()).hexdigest(),
            "status": answer.status_code,
            "request_id": answer.headers["X-Request-Id"],
            "fault": [
                "quota",
                None,
            ][number],
        }
    assert "sk-rehearsal" not in log.read_text()
    assert "sk-rehearsal" not in repr(emulator.requests)


def test_a_log_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """The error is raised before the emulator serves a request."""
    with pytest.raises(OutputError, match="cannot be written"):
        RequestJournal(tmp_path / "no" / "such" / "folder.jsonl")
    recording = tmp_path / "talk.wav"
    recording.write_bytes(b"RIFF")
    with pytest.raises(OutputExistsError, match="is no log of requests"):
        RequestJournal(recording)
    assert recording.read_bytes() == b"RIFF"
