"""Faults of real services and connections: every segment still becomes exactly one entry."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import random
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import captoolkit
from captoolkit.captioners import dashscope
from captoolkit.captioners.service_captioner import ServiceCaptioner
from captoolkit.dispatch.ledger import Ledger
from captoolkit.errors import ServiceError
from captoolkit.events import Event
from captoolkit.model import Status
from captoolkit.net.client import Client
from captoolkit.net.connections import HttpLimits
from captoolkit.services.regions import NATIVE, parse_base_url
from tests.support.captioning import MODEL, InstantClock
from tests.support.certificates import self_signed
from tests.support.paths import ROOT
from tests.support.recorder import Recorder, Seen
from tests.support.services import captioner_with
from tests.support.sound import write_wav

KEY = "sk-weather-0123456789abcdef"
RATE_HZ = 8_000


def sound_of(seen: Seen) -> str:
    """The SHA-256 of the sound in a request."""
    (part,) = seen.json["input"]["messages"][0]["content"]
    return hashlib.sha256(base64.b64decode(part["audio"].partition(",")[2])).hexdigest()


def answer(seen: Seen) -> bytes:
    """An answer that names the sound."""
    choice = {"finish_reason": "stop", "message": {"content": [{"text": sound_of(seen)}]}}
    usage = {"input_tokens": 20, "output_tokens": 30, "total_tokens": 50}
    return json.dumps({"output": {"choices": [choice]}, "usage": usage}).encode()


class Sky:
    """Chooses the fault of each request, and counts the complete answers."""

    def __init__(self, faults: dict[str, float], *, seed: int) -> None:
        self.answered: Counter[str] = Counter()
        self.chosen: set[str] = set()
        self.faults = faults
        self._random = random.Random(seed)
        self._guard = threading.Lock()

    def choose(self, seen: Seen) -> str:
        """Choose a fault at random."""
        with self._guard:
            names, shares = list(self.faults), list(self.faults.values())
            (kind,) = self._random.choices(["fair", *names], [1 - sum(shares), *shares])
            self.chosen.add(kind)
            if kind == "fair":
                self.answered[sound_of(seen)] += 1
            return kind


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """Twenty minutes in which no two seconds are alike."""
    sound = np.random.default_rng(7).normal(0, 0.1, (1200 * RATE_HZ, 1)).astype(np.float32)
    return write_wav(tmp_path / "noise.wav", sound, rate_hz=RATE_HZ)


@pytest.fixture
def elsewhere() -> Iterator[Recorder]:
    """Another such server, at another port."""
    server = Recorder()
    yield server
    server.close()


@pytest.fixture
def asker(recorder: Recorder) -> Iterator[ServiceCaptioner]:
    """A captioner of Model Studio's protocol with short time limits."""
    endpoint = parse_base_url(f"{recorder.url}/api/v1", NATIVE)
    limits = HttpLimits(connect_s=20, read_s=2, answer_s=6)  # a busy machine answers late
    client = Client(endpoint, api_key=KEY, limits=limits)
    with captioner_with(client, dashscope.PROTOCOL, model=MODEL) as opened:
        yield opened


FAULTS = {
    "reset": 0.06,
    "half": 0.05,
    "throttled": 0.05,
    "come back": 0.03,
    "failed": 0.06,
    "html": 0.03,
    "header": 0.02,
    "hang": 0.004,
    "drip": 0.004,
}


@pytest.mark.slow
def test_under_every_fault_each_segment_ends_once_and_nothing_is_lost(
    noise: Path, recorder: Recorder, asker: ServiceCaptioner
) -> None:
    """600 segments become entries in order, and no answered request is sent again."""
    sky = Sky(FAULTS, seed=1)
    recorder.weather(sky.choose, answer)
    options: dict[str, Any] = {
        "captioner": asker,
        "segment": "2s",
        "concurrency": 8,
        "clock": InstantClock(),
    }
    timeline = captoolkit.caption(noise, **options)
    assert len(timeline.entries) >= 600
    assert sky.chosen == {"fair", *FAULTS}
    assert [entry.index for entry in timeline.entries] == list(range(1, len(timeline.entries) + 1))
    spans = [entry.source_span for entry in timeline.entries]
    assert [span.end_samples for span in spans[:-1]] == [span.start_samples for span in spans[1:]]
    told = Counter(entry.text for entry in timeline.entries if entry.status is Status.OK)
    assert told == sky.answered
    assert all(hole.error for hole in timeline.holes)
    assert len(timeline.holes) < 0.1 * len(timeline.entries)

    sky.faults = {}
    mended = captoolkit.caption(noise, **options)
    assert mended.holes == ()
    assert set(sky.answered.values()) == {1}
    assert len(sky.answered) == len(mended.entries)
    assert {entry.text for entry in mended.entries} == set(sky.answered)


def test_without_a_server_each_segment_fails(
    noise: Path, recorder: Recorder, asker: ServiceCaptioner
) -> None:
    """Refused connections are retried for one segment; each fails with the reason."""
    recorder.close()
    options: dict[str, Any] = {"captioner": asker, "segment": "10m", "clock": InstantClock()}
    timeline = captoolkit.caption(noise, **options)
    assert len(timeline.holes) == len(timeline.entries)
    errors = [str(hole.error) for hole in timeline.holes]
    assert all("cannot be reached" in error for error in errors)
    assert any("tried 3 times" in error for error in errors)


def test_a_redirect_is_not_followed_and_ends_the_run(
    noise: Path, recorder: Recorder, asker: ServiceCaptioner, elsewhere: Recorder
) -> None:
    """The key does not go to where a server points."""
    recorder.answer(b"", status=307, headers={"Location": f"{elsewhere.url}/api/v1"})
    with pytest.raises(ServiceError, match="redirects"):
        captoolkit.caption(noise, captioner=asker, segment="60s", concurrency=2)
    assert elsewhere.seen == []
    assert len(recorder.seen) <= 2


def test_a_host_with_an_invalid_certificate_gets_no_request(noise: Path, tmp_path: Path) -> None:
    """TLS that cannot be verified ends the run at once with the reason."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path / "certificate.pem"))
    site = Recorder(context)
    try:
        with pytest.raises(ServiceError, match="certificate verify failed"):
            captoolkit.caption(
                noise, captioner="dashscope", base_url=f"{site.url}/api/v1", segment="60s"
            )
        assert site.seen == []
    finally:
        site.close()


def test_the_key_is_nowhere(
    noise: Path,
    recorder: Recorder,
    asker: ServiceCaptioner,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The key is in no ledger, log, timeline, event or repr, even if the server repeats it."""
    caplog.set_level(logging.DEBUG)
    ledger = tmp_path / "ledger.sqlite3"
    events: list[Event] = []
    options: dict[str, Any] = {"captioner": asker, "segment": "60s", "clock": InstantClock()}
    options["ledger"] = ledger
    sky = Sky({"reset": 0.2, "failed": 0.2, "throttled": 0.1}, seed=2)
    recorder.weather(sky.choose, answer)
    with captoolkit.captions(noise, on_event=events.append, **options) as entries:
        timeline = entries.timeline()
        shown = [repr(entries), repr(asker), repr(timeline), repr(events), caplog.text]
    recorder.echo_authorization()
    with pytest.raises(ServiceError) as refused:
        captoolkit.caption(noise, resume=False, on_event=events.append, **options)
    shown += [str(refused.value), repr(refused.value), captoolkit.render(timeline, "json")]
    shown += [caplog.text, repr(events)]
    assert recorder.seen[0].headers["authorization"] == f"Bearer {KEY}"
    assert not any(KEY in text for text in shown)
    for file in tmp_path.glob("ledger.sqlite3*"):
        if file.is_file():
            assert KEY.encode() not in file.read_bytes(), file


# ---------------------------------------------------------------------------------- SIGKILL


def is_whole(seen: Seen) -> bool:
    """Whether a request had been sent to its end when its sender was killed."""
    return len(seen.body) == int(seen.headers["content-length"])


@pytest.mark.slow
def test_a_killed_run_continues_with_the_unanswered_segments(
    noise: Path, recorder: Recorder, tmp_path: Path
) -> None:
    """Five runs end by SIGKILL; the last one sends no request for an answer that had arrived."""
    sky = Sky({"reset": 0.03}, seed=3)
    recorder.weather(sky.choose, answer)
    lots = random.Random(4)
    argv = [sys.executable, "-m", "captoolkit", "caption", str(noise), "--segment", "5s", "-y"]
    argv += ["--captioner", "dashscope", "--base-url", f"{recorder.url}/api/v1"]
    argv += ["-o", str(tmp_path / "out.json")]
    environment = {**os.environ, "DASHSCOPE_API_KEY": KEY, "TMPDIR": str(tmp_path)}
    known: set[str] = set()
    for _ in range(5):
        begun = len(recorder.seen)
        goal = begun + lots.randrange(1, 50)
        with subprocess.Popen(argv, cwd=ROOT, env=environment, stderr=subprocess.PIPE) as child:
            while len(recorder.seen) < goal and child.poll() is None:
                recorder.released.wait(0.002)
            child.kill()
        assert known.isdisjoint(map(sound_of, filter(is_whole, recorder.seen[begun:])))
        with Ledger() as ledger:
            known |= {one.audio_sha256 for one in ledger.records() if one.state == "answered"}
    assert len(known) > 50
    # What was answered and is not known was on its way when its reader was killed: 4 at a time.
    assert len(sky.answered) - len(known) <= 4 * 5
    begun = len(recorder.seen)
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert known.isdisjoint(map(sound_of, recorder.seen[begun:]))
    timeline = captoolkit.parse((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert len(timeline.entries) == 240
    begun = len(recorder.seen)
    subprocess.run(argv, cwd=ROOT, env=environment, check=True, capture_output=True)
    assert len(recorder.seen) == begun
