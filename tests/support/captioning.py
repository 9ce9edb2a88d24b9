"""A clock without real waits, a captioner that costs money, a question for the ledger."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path

from captoolkit.captioners.base import Clip, OnText
from captoolkit.dispatch.asker import Outcome
from captoolkit.dispatch.ledger import Question
from captoolkit.dispatch.run import AskingRun
from captoolkit.model import Caption, CaptionerInfo, Span, Usage
from captoolkit.pipeline.segment import Folder, ReadySegment
from captoolkit.support.cancel import Clock, StoppedError

MODEL = "qwen3-omni-30b-a3b-captioner"
USAGE = Usage(input_tokens=160, output_tokens=399, total_tokens=559)
INFO = CaptionerInfo(name="dashscope", model="m", base_url="https://h/api/v1")
CAPTION = Caption(
    text="一个人\n\n-->", finish_reason="stop", request_id="r-1", usage=Usage(input_tokens=7)
)


def question(audio: str = "a" * 64, recipe: str = "{}") -> Question:
    """A question for the ledger."""
    return Question(audio_sha256=audio, recipe=recipe, info=INFO)


class InstantClock(Clock):
    """A clock that moves on at once by the length of each wait."""

    def __init__(self) -> None:
        self.waits_s: list[float] = []
        self._now_s = 0.0
        self._guard = threading.Lock()

    def now_s(self) -> float:
        """The total length of all waits so far."""
        return self._now_s

    def today(self) -> datetime:
        """The first of January 2026 plus the waits so far."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self._now_s)

    def pass_by(self, seconds: float) -> None:
        """Move the clock on."""
        with self._guard:
            self._now_s += seconds

    def wait(self, stop: threading.Event, seconds: float) -> None:
        """Record the wait and return at once."""
        if stop.is_set():
            raise StoppedError
        if seconds > 0:
            self.waits_s.append(seconds)
            self.pass_by(seconds)


class OwnCaptioner:
    """A captioner of the caller's own that counts its requests and reports token usage."""

    def __init__(
        self,
        answer: Callable[[Clip], str],
        *,
        recipe: str = "ask politely",
        usage: Usage = USAGE,
        base_url: str | None = None,
    ) -> None:
        self.info = CaptionerInfo(name="paid", model=MODEL, base_url=base_url)
        self.recipe = recipe
        self.asked = 0
        self.closed = threading.Event()
        self._usage = usage
        self._answer = answer

    def caption(self, clip: Clip, *, on_text: OnText | None = None) -> Caption:
        """Return the answer; report it in two pieces if `on_text` is given."""
        self.asked += 1
        text = self._answer(clip)
        if on_text is not None:
            on_text(text[:3])
            on_text(text[3:])
        return Caption(text=text, finish_reason="stop", request_id="r", usage=self._usage)

    def close(self) -> None:
        """Record the call."""
        self.closed.set()

    def __enter__(self) -> OwnCaptioner:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def segment(folder: Path, index: int = 1) -> ReadySegment:
    """A segment of one second at 16 kHz with a tiny file."""
    name = f"night.{index:03}.wav"
    (folder / name).write_bytes(b"RIFF")
    return ReadySegment(
        index=index,
        source_span=Span(
            start_samples=(index - 1) * 16_000, end_samples=index * 16_000, rate_hz=16_000
        ),
        file=name,
        size_bytes=4,
        sha256=f"{index:064}",
        folder=Folder(folder),
    )


def submit(run: AskingRun, segment: ReadySegment, *, path: str) -> Future[Outcome]:
    """Ask about a segment in a place of its own."""
    run.reserve()
    return run.submit(segment, path=path)
