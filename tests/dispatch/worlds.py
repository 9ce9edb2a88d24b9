"""What the tests of asking share: a time that passes at once, and a captioner that costs money."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from captoolkit.captioners.base import Clip, OnText
from captoolkit.model import Caption, CaptionerInfo, Usage
from captoolkit.support.cancel import Clock, StoppedError

MODEL = "qwen3-omni-30b-a3b-captioner"
USAGE = Usage(input_tokens=160, output_tokens=399, total_tokens=559)


class Hurried(Clock):
    """A clock whose waits are over at once: the time has simply passed."""

    def __init__(self) -> None:
        self.waits_s: list[float] = []
        self._now_s = 0.0
        self._guard = threading.Lock()

    def now_s(self) -> float:
        """What has been waited for so far."""
        return self._now_s

    def today(self) -> datetime:
        """The first of January 2026, and what has been waited for."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self._now_s)

    def pass_by(self, seconds: float) -> None:
        """Let time go on."""
        with self._guard:
            self._now_s += seconds

    def wait(self, stop: threading.Event, seconds: float) -> None:
        """Note what was waited for."""
        if stop.is_set():
            raise StoppedError
        if seconds > 0:
            self.waits_s.append(seconds)
            self.pass_by(seconds)


class Paid:
    """A captioner whose answers cost something, as a media tool would bring one."""

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
        """Answer, in two pieces where somebody listens."""
        self.asked += 1
        text = self._answer(clip)
        if on_text is not None:
            on_text(text[:3])
            on_text(text[3:])
        return Caption(text=text, finish_reason="stop", request_id="r", usage=self._usage)

    def close(self) -> None:
        """Remember that it happened."""
        self.closed.set()

    def __enter__(self) -> Paid:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
