"""Tests of the emulator as a server on this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from captoolkit.emulator import Emulator
from captoolkit.errors import OutputError, UsageError
from tests.support.emulator_requests import (
    StartEmulator,
    beep,
    data_uri,
    native_body,
    post_native,
    wav,
)
from tests.support.paths import ROOT
from tests.support.processes import children_of
from tests.support.sound import silence


def test_it_listens_on_this_machine_alone(emulator: Emulator) -> None:
    """The URLs begin with 127.0.0.1; another of this machine's addresses refuses connections."""
    assert emulator.url == f"http://127.0.0.1:{emulator.port}"
    assert emulator.native_url == f"{emulator.url}/api/v1"
    assert emulator.compatible_url == f"{emulator.url}/compatible-mode/v1"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", emulator.port))


def test_two_emulators_can_run_at_once(start: StartEmulator) -> None:
    """Each has its own port and journal."""
    first, second = start(), start()
    post_native(first, native_body({"audio": data_uri(beep())}))
    assert (len(first.requests), len(second.requests)) == (1, 0)
    assert first.port != second.port


def test_a_port_that_is_taken_is_an_error(emulator: Emulator) -> None:
    """The error has a fix, and no thread is left."""
    threads = threading.active_count()
    with pytest.raises(UsageError, match=r"cannot be listened on .*; choose another"):
        Emulator(port=emulator.port)
    with pytest.raises(UsageError, match="port=70000"):
        Emulator(port=70_000)
    assert threading.active_count() == threads


def test_wrong_arguments_are_refused_before_the_server_starts(tmp_path: Path) -> None:
    """So are an unknown fault, and a log in a missing folder."""
    threads = threading.active_count()
    with pytest.raises(UsageError, match="fault=nonsense is not known"):
        Emulator(faults=["nonsense"])
    with pytest.raises(
        UsageError, match=r"faults='reset' must be a list of texts; pass \['reset'\]"
    ):
        Emulator(faults="reset")
    with pytest.raises(OutputError):
        Emulator(log=tmp_path / "none" / "log")
    assert threading.active_count() == threads


def test_a_latency_keeps_requests_in_flight(start: StartEmulator) -> None:
    """With a latency two requests overlap, and the emulator counts them."""
    emulator = start(latency_s=1.0)
    body = native_body({"audio": data_uri(beep())})
    with ThreadPoolExecutor(2) as clients:
        answers = [clients.submit(post_native, emulator, body) for _ in range(2)]
        assert [answer.result().status_code for answer in answers] == [200, 200]
    assert emulator.most_in_flight == 2
    with pytest.raises(UsageError, match="latency_s=-1"):
        Emulator(latency_s=-1)


def test_closing_ends_a_latency(start: StartEmulator) -> None:
    """A server with requests that it delays ends as soon as any other."""
    emulator = start(latency_s=60.0)
    with ThreadPoolExecutor(1) as clients:
        asked = clients.submit(post_native, emulator, native_body({"audio": data_uri(beep())}))
        while not emulator.most_in_flight:
            time.sleep(0.01)
        time.sleep(0.2)
        begun_s = time.monotonic()
        emulator.close()
        assert time.monotonic() - begun_s < 10
        assert isinstance(asked.exception(), httpx.TransportError)


def test_closing_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread, child or file is left, and the port is closed; closing twice is allowed."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    threads = set(threading.enumerate())
    with Emulator() as emulator:
        post_native(emulator, native_body({"audio": data_uri(beep())}))
        assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1
    emulator.close()
    assert set(threading.enumerate()) <= threads
    assert children_of(os.getpid()) == []
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(emulator.url)


def test_closing_ends_a_measurement() -> None:
    """Closing ends the decoding of a long clip and its child process."""
    body = native_body({"audio": data_uri(wav(silence(400, rate_hz=8000)))})
    emulator = Emulator()
    clients = [
        threading.Thread(target=_post_ignoring_errors, args=(emulator, body)) for _ in range(4)
    ]
    for client in clients:
        client.start()
    emulator.close()
    for client in clients:
        client.join(10)
        assert not client.is_alive()
    assert children_of(os.getpid()) == []


def _post_ignoring_errors(emulator: Emulator, body: object) -> None:
    try:
        post_native(emulator, body)
    except httpx.HTTPError:
        return


def test_without_the_extra_the_import_is_an_error() -> None:
    """The error names the missing library and the command that installs it."""
    hidden = "import sys; sys.modules['starlette'] = None; sys.modules['uvicorn'] = None; "
    argv = [sys.executable, "-c", hidden + "from captoolkit.emulator import Emulator"]
    failed = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT)
    last = failed.stderr.strip().splitlines()[-1]
    assert last.startswith("captoolkit.errors.UsageError: the emulator needs ")
    assert last.endswith('which is not installed; pip install "captoolkit[emulator]"')


def test_importing_the_package_loads_no_library() -> None:
    """Only the emulator itself needs the extra."""
    code = "import sys, captoolkit.emulator; assert 'starlette' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
