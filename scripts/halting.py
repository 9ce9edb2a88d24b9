"""How captoolkit stops when nothing is answered, keeps a shared rate, heals and carries load.

    python scripts/halting.py table  # requests and seconds until a run gives up
    python scripts/halting.py table --package OTHER   # the same with another checkout of captoolkit
    python scripts/halting.py rate  # two processes at 600 requests a minute
    python scripts/halting.py heal  # 40 s of throttling, 20 s of rest, 20 requests
    python scripts/halting.py load --segments 5000    # against the emulator, 32 at a time

Each run is the command line in a process of its own, with a ledger of its own, against a server of
this script on 127.0.0.1. The key is a random text; `load` looks for it in everything that is left.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import secrets
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import wave
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RATE_HZ = 8_000
KEY = f"sk-{secrets.token_hex(16)}"
ANSWER = json.dumps(
    {
        "output": {
            "choices": [{"finish_reason": "stop", "message": {"content": [{"text": "Rain."}]}}]
        },
        "usage": {"input_tokens": 160, "output_tokens": 40, "total_tokens": 200},
        "request_id": "r-1",
    }
).encode()
Reply = tuple[int, bytes]
FAULTS: dict[str, Reply] = {
    "402 Insufficient Balance": (402, b'{"error":{"message":"Insufficient Balance"}}'),
    "400 InvalidParameter": (400, b'{"code":"InvalidParameter","message":"not valid"}'),
    "409 Conflict": (409, b'{"code":"Conflict","message":"conflict"}'),
    "502 Bad Gateway": (502, b"<html>Bad gateway</html>"),
    "HTML in a 200": (200, b"<html><h1>Welcome</h1></html>"),
}
THROTTLED: Reply = (429, b'{"code":"Throttling","message":"Requests throttled"}')


class Server:
    """Answers as `reply` decides, and keeps the time of each request."""

    def __init__(self, reply: Callable[[], Reply], context: ssl.SSLContext | None = None) -> None:
        self.times_s: list[float] = []
        times_s = self.times_s

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                times_s.append(time.monotonic())
                status, body = reply()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Write no log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class Trial:
    """Recordings in a folder, and runs of captoolkit on them."""

    def __init__(self, folder: Path, package: Path) -> None:
        self.folder = folder
        self.ledger = folder / "ledger.sqlite3"
        self._package = package

    def record(self, name: str, seconds: int) -> Path:
        """Write a recording whose seconds all differ."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
            for _ in range(seconds):
                file.writeframes(secrets.token_bytes(2 * RATE_HZ))
        return path

    def start(self, *words: str | Path, base_url: str) -> subprocess.Popen[str]:
        """Start captoolkit."""
        argv = [sys.executable, "-m", "captoolkit", *map(str, words), "--captioner", "dashscope"]
        argv += ["--base-url", base_url, "--ledger", str(self.ledger), "--yes"]
        environment = {**os.environ, "PYTHONPATH": str(self._package), "DASHSCOPE_API_KEY": KEY}
        return subprocess.Popen(
            argv,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def caption(self, recording: Path, *more: str, base_url: str) -> tuple[int, float, str]:
        """Caption a recording second by second; return status, seconds and messages."""
        begun_s = time.monotonic()
        words = ("caption", recording, "--segment", "1s", "-o", self.folder / "out.json", "-y")
        with self.start(*words, *more, base_url=base_url) as run:
            _, messages = run.communicate()
        return run.returncode, time.monotonic() - begun_s, messages


def show_table(trial: Trial, options: argparse.Namespace) -> None:
    """Print how many requests each fault gets, and the seconds until the run gives up."""
    recording = trial.record("night.wav", options.segments or 100)
    print(f"{'fault':28}{'requests':>9}{'seconds':>9}{'status':>8}  last message")
    for name, url, count in _faulty_servers(trial.folder):
        trial.ledger = trial.folder / f"{secrets.token_hex(4)}.sqlite3"
        status, seconds, messages = trial.caption(recording, base_url=f"{url}/api/v1")
        number = count()
        requests = "-" if number is None else str(number)
        last = next((line for line in reversed(messages.splitlines()) if "error" in line), "")
        print(f"{name:28}{requests:>9}{seconds:>9.1f}{status:>8}  {last[-150:]}", flush=True)


def _faulty_servers(folder: Path) -> Iterator[tuple[str, str, Callable[[], int | None]]]:
    """Yield a name for each fault, the URL of its server, and the number of its requests."""
    for name, reply in FAULTS.items():
        server = Server(lambda reply=reply: reply)  # type: ignore[misc]
        yield name, f"http://{server.address}", lambda server=server: len(server.times_s)  # type: ignore[misc]
        server.close()
    with socket.socket() as held:  # bound, but not listening
        held.bind(("127.0.0.1", 0))
        yield "closed port", f"http://127.0.0.1:{held.getsockname()[1]}", lambda: None
    server = Server(lambda: (200, ANSWER))
    yield "https:// to a plain port", f"https://{server.address}", lambda: len(server.times_s)
    server.close()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(folder))
    tls = Server(lambda: (200, ANSWER), context)
    yield "unknown certificate", f"https://{tls.address}", lambda: len(tls.times_s)
    yield "http:// to a TLS port", f"http://{tls.address}", lambda: len(tls.times_s)
    tls.close()


def _certificate(folder: Path) -> Path:
    from tests.support.certificates import self_signed

    return self_signed(folder / "certificate.pem")


def show_rate(trial: Trial, options: argparse.Namespace) -> None:
    """Print how many requests of two processes a server sees in 30 s."""
    server = Server(lambda: (200, ANSWER))
    base_url = f"http://{server.address}/api/v1"
    runs = []
    for name in ("one", "other"):
        recording = trial.record(f"{name}/night.wav", 400)
        words = ("batch", "caption", recording, "-o", trial.folder / f"{name}-out")
        rates = ("--segment", "1s", "--rpm", "600")
        runs.append(trial.start(*words, *rates, base_url=base_url))
    while not server.times_s:
        time.sleep(0.1)
    time.sleep(options.seconds)
    for run in runs:
        run.terminate()
    for run in runs:
        run.communicate()
    begun_s = server.times_s[0]
    seen = sum(at_s < begun_s + options.seconds for at_s in server.times_s)
    expected = options.seconds * 10
    print(f"{seen} requests in {options.seconds} s; 600 a minute are {expected}")
    server.close()


def show_healing(trial: Trial, options: argparse.Namespace) -> None:
    """Print how long 20 segments take after 40 s of throttling and 20 s of rest."""
    first_s: list[float] = []

    def reply() -> Reply:
        first_s[:] = first_s or [time.monotonic()]
        is_throttled = time.monotonic() < first_s[0] + 40
        return THROTTLED if is_throttled else (200, ANSWER)

    server = Server(reply)
    base_url = f"http://{server.address}/api/v1"
    status, seconds, _ = trial.caption(trial.record("first.wav", 4), base_url=base_url)
    print(f"4 segments, 40 s of throttling: {seconds:.1f} s, exit status {status}", flush=True)
    time.sleep(20)
    status, seconds, _ = trial.caption(trial.record("next.wav", 20), base_url=base_url)
    took_s = server.times_s[-1] - server.times_s[-20]
    print(f"20 segments after 20 s of rest: {took_s:.1f} s between the first and the last request")
    print(f"({seconds:.1f} s with the start of the program, exit status {status})")
    server.close()


def show_load(trial: Trial, options: argparse.Namespace) -> None:
    """Print the rate, the processor time and the memory of many segments, and look for the key."""
    segments = options.segments or 5_000
    recording = trial.record("long.wav", segments)
    argv = [sys.executable, "-m", "captoolkit", "emulate", "--log", str(trial.folder / "log")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    emulator = subprocess.Popen(
        argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert emulator.stdout is not None
        base_url = f"{emulator.stdout.readline().strip()}/api/v1"
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        status, seconds, messages = trial.caption(
            recording, "--concurrency", "32", base_url=base_url
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    finally:
        emulator.terminate()
        emulator.wait()
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    timeline = json.loads((trial.folder / "out.json").read_text(encoding="utf-8"))
    captions = sum(entry["status"] == "ok" for entry in timeline["entries"])
    found = [path for path in trial.folder.rglob("*") if path.is_file() and _holds_key(path)]
    print(f"{captions} captions of {segments} segments, exit status {status}")
    print(f"{segments / seconds:.0f} segments/s, {1000 * cpu_s / segments:.1f} ms CPU a segment")
    print(f"{after.ru_maxrss / 1024:.0f} MB at most")
    print(f"the key is in {len(found)} files and {messages.count(KEY)} messages")


def _holds_key(path: Path) -> bool:
    return KEY.encode() in path.read_bytes()


TRIALS: dict[str, Callable[[Trial, argparse.Namespace], None]] = {
    "table": show_table,
    "rate": show_rate,
    "heal": show_healing,
    "load": show_load,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the trials."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("trial", choices=TRIALS)
    parser.add_argument("--package", type=Path, default=ROOT, help="the captoolkit to run")
    parser.add_argument("--segments", type=int, help="of table and load, a second each")
    parser.add_argument("--seconds", type=int, default=30, help="of rate")
    options = parser.parse_args(argv)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="halting-"))
        TRIALS[options.trial](Trial(Path(folder), options.package.resolve()), options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
