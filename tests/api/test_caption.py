"""The verbs `caption`, `captions` and `acaption`: each segment becomes exactly one entry."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import captoolkit
from captoolkit.captioners.acoustic import AcousticCaptioner
from captoolkit.captioners.base import Captioner, Clip
from captoolkit.errors import NotMediaError, ServiceError, UsageError
from captoolkit.events import EntryReady, Event, Progressed, SegmentReady
from captoolkit.media import decode_in_process
from captoolkit.model import Caption, CaptionerInfo, Cost, Status, Usage
from tests.support.processes import children_of
from tests.support.sound import silence, tone, write_wav

RATE_HZ = 16_000


class OwnCaptioner:
    """A captioner of the caller's own, which answers with a function."""

    def __init__(
        self,
        answer: Callable[[Clip], str],
        *,
        model: str = "asked/1",
        base_url: str | None = None,
        usage: Usage | None = None,
    ) -> None:
        self.info = CaptionerInfo(name="asked", model=model, base_url=base_url)
        self.closed = False
        self._answer = answer
        self._usage = usage or Usage()

    def caption(self, clip: Clip) -> Caption:
        """Return the answer of the function."""
        return Caption(text=self._answer(clip), finish_reason="stop", usage=self._usage)

    def close(self) -> None:
        """Record the call."""
        self.closed = True

    def __enter__(self) -> OwnCaptioner:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def number_of(clip: Clip) -> int:
    """Return the number in a segment's name."""
    return int(clip.path.name.split(".")[-2])


@pytest.fixture
def minute(tmp_path: Path) -> Path:
    """Six tones of 9.5 s with half a second of silence after each."""
    parts = [
        part
        for hertz in (220, 330, 440, 550, 660, 770)
        for part in (
            tone(9.5, rate_hz=RATE_HZ, frequency_hz=hertz),
            silence(0.5, rate_hz=RATE_HZ),
        )
    ]
    return write_wav(tmp_path / "minute.wav", *parts, rate_hz=RATE_HZ)


def test_every_segment_is_one_entry_in_time_order(minute: Path) -> None:
    """Entries are in time order, in whatever order the answers arrive."""

    def slow_first(clip: Clip) -> str:
        time.sleep(0.3 / number_of(clip))
        return f"segment {number_of(clip)}"

    timeline = captoolkit.caption(minute, captioner=OwnCaptioner(slow_first), segment="10s")
    assert [entry.text for entry in timeline.entries] == [f"segment {n}" for n in range(1, 7)]
    assert [entry.index for entry in timeline.entries] == list(range(1, 7))
    edges = [
        (entry.source_span.start_samples, entry.source_span.end_samples)
        for entry in timeline.entries
    ]
    assert edges[0][0] == 0
    assert edges[-1][1] == 60 * RATE_HZ
    assert [end for _, end in edges[:-1]] == [start for start, _ in edges[1:]]


def test_cuts_fall_into_the_silences_and_the_captions_know_their_tone(minute: Path) -> None:
    """The local captioner describes each tone in its own segment."""
    timeline = captoolkit.caption(minute, segment="10s")
    for entry, hertz in zip(timeline.entries, (220, 330, 440, 550, 660, 770), strict=True):
        assert f"{hertz} Hz" in entry.details


def test_concurrency_limits_parallel_requests(minute: Path) -> None:
    """`concurrency` limits the number of requests that run in parallel."""
    lock, under_way, most = threading.Lock(), 0, 0

    def counted(clip: Clip) -> str:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.1)
        with lock:
            under_way -= 1
        return "said"

    captoolkit.caption(minute, captioner=OwnCaptioner(counted), segment="5s", concurrency=2)
    assert most == 2


def test_the_first_request_goes_out_while_later_segments_do_not_exist(tmp_path: Path) -> None:
    """The first caption is requested before the last segment is prepared."""
    parts = [tone(55, rate_hz=RATE_HZ), silence(5, rate_hz=RATE_HZ)] * 20
    long = write_wav(tmp_path / "long.wav", *parts, rate_hz=RATE_HZ)
    ready: list[int] = []
    seen_at_first: list[int] = []

    def watch(event: Event) -> None:
        if isinstance(event, SegmentReady):
            ready.append(event.segment.index)

    def note(clip: Clip) -> str:
        if number_of(clip) == 1:
            seen_at_first.append(len(ready))
        return "said"

    captoolkit.caption(
        long, captioner=OwnCaptioner(note), segment="60s", on_event=watch, format="mp3"
    )
    assert ready == list(range(1, 21))
    assert seen_at_first[0] < 20


def test_a_segment_that_fails_is_a_hole_and_the_rest_is_kept(minute: Path) -> None:
    """The hole holds the error and the service's request id."""

    def third_fails(clip: Clip) -> str:
        if number_of(clip) == 3:
            raise ServiceError("it refused", fix="ask again", request_id="r-3")
        return "said"

    events: list[Event] = []
    timeline = captoolkit.caption(
        minute, captioner=OwnCaptioner(third_fails), segment="10s", on_event=events.append
    )
    statuses = [entry.status for entry in timeline.entries]
    assert statuses == [Status.OK, Status.OK, Status.FAILED, Status.OK, Status.OK, Status.OK]
    (hole,) = timeline.holes
    assert (hole.error, hole.request_id, hole.text) == ("it refused; ask again", "r-3", "")
    told = [event.entry.index for event in events if isinstance(event, EntryReady)]
    assert sorted(told) == [1, 2, 3, 4, 5, 6]


def test_a_fault_in_a_captioner_of_ones_own_costs_one_segment(
    minute: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception in a captioner becomes a hole that names it; the traceback is in the log."""

    def buggy(clip: Clip) -> str:
        return "said" if number_of(clip) != 2 else str(1 / 0)

    timeline = captoolkit.caption(minute, captioner=OwnCaptioner(buggy), segment="10s")
    (hole,) = timeline.holes
    assert hole.index == 2
    assert hole.error == "the captioner failed with ZeroDivisionError: division by zero"
    assert "division by zero" in caplog.text


def test_captions_are_kept_when_the_rest_cannot_be_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the decoder dies, only the rest of the recording has no captions."""
    monkeypatch.setenv(decode_in_process.ENVIRONMENT_VARIABLE, "ffmpeg")
    parts = [tone(55, rate_hz=8_000), silence(5, rate_hz=8_000)] * 30
    long = write_wav(tmp_path / "long.wav", *parts, rate_hz=8_000)
    killed = threading.Event()

    def kill_a_decoder(event: Event) -> None:
        if not isinstance(event, Progressed) or killed.is_set():
            return
        for child in children_of(os.getpid()):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
                argv = Path(f"/proc/{child}/cmdline").read_text().split("\0")
                length_s = float(argv[argv.index("-t") + 1]) if "-t" in argv else 0
                if "-ss" in argv and length_s > 100:  # not that of the first segments
                    os.kill(child, signal.SIGKILL)
                    killed.set()
                    return

    captioner = OwnCaptioner(lambda _: "said")
    # With one job the first segments are finished before the second decoder starts. While an event
    # is being handled, no sound is read, so that decoder cannot end before it is killed.
    timeline = captoolkit.caption(
        long, captioner=captioner, jobs=1, segment="60s", on_event=kill_a_decoder
    )
    assert killed.is_set()
    assert timeline.entries[0].text == "said"
    last = timeline.entries[-1]
    assert last.status is Status.FAILED
    assert last.error is not None
    assert "cannot be decoded" in last.error
    assert last.source_span.end_samples == 30 * 60 * 8_000


def test_error_before_the_first_segment_is_raised(fixtures: Path) -> None:
    """An error before the first segment is raised, because there is no timeline yet.

    The caller's event is not set: it may cancel the captions of other files.
    """
    stop = threading.Event()
    with pytest.raises(NotMediaError, match="not a media file"):
        captoolkit.caption(fixtures / "not-media.wav", stop=stop)
    assert not stop.is_set()
    with pytest.raises(UsageError, match="concurrency=0"):
        captoolkit.caption(fixtures / "speech.amr", concurrency=0)


def test_open_captioner_stays_open(fixtures: Path) -> None:
    """A captioner that the caller opened is not closed."""
    mine: Captioner = OwnCaptioner(lambda clip: "said")
    captoolkit.caption(fixtures / "speech.amr", captioner=mine)
    captoolkit.caption(fixtures / "raw.aac", captioner=mine)
    assert isinstance(mine, OwnCaptioner)
    assert not mine.closed


def test_the_cost_is_usage_by_the_price_of_the_region(fixtures: Path) -> None:
    """160 input and 399 output tokens cost the amounts on the service's pages, as it bills them."""
    usage = Usage(input_tokens=160, output_tokens=399, total_tokens=559)
    amounts = {
        "https://dashscope-intl.aliyuncs.com/api/v1": Cost(
            currency="USD", amount=Decimal("0.001831")
        ),
        "https://dashscope.aliyuncs.com/api/v1": Cost(currency="CNY", amount=Decimal("0.007595")),
        "https://captions.example/v1": None,
        None: None,
    }
    for base_url, expected in amounts.items():
        mine = OwnCaptioner(
            lambda clip: "said",
            model="qwen3-omni-30b-a3b-captioner",
            base_url=base_url,
            usage=usage,
        )
        cost = captoolkit.caption(fixtures / "speech.amr", captioner=mine).cost
        assert cost == expected


def test_captioned_segments_are_removed(
    minute: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A captioned segment is removed from the disk; a source that is its own segment stays."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    captoolkit.caption(minute, captioner=OwnCaptioner(lambda clip: "said"), segment="10s")
    captoolkit.caption(minute, captioner=OwnCaptioner(lambda clip: "said"))
    assert minute.exists()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_segments_do_not_pile_up_before_a_slow_captioner(tmp_path: Path) -> None:
    """Preparation waits for captions, so that few segments are on the disk at a time."""
    sound = write_wav(tmp_path / "long.wav", *[tone(60, rate_hz=8_000)] * 4, rate_hz=8_000)
    ready, answered, most = 0, 0, 0

    def watch(event: Event) -> None:
        nonlocal ready, answered, most
        ready += isinstance(event, SegmentReady)
        answered += isinstance(event, EntryReady)
        most = max(most, ready - answered)

    def slow(clip: Clip) -> str:
        time.sleep(0.02)
        return "said"

    asker = OwnCaptioner(slow)
    captoolkit.caption(sound, captioner=asker, segment="2s", concurrency=1, on_event=watch)
    assert ready == answered == 120
    assert most <= 8


def test_a_single_source_is_no_list_of_sources(fixtures: Path) -> None:
    """A path, bytes or a file object could be iterated, but that is never meant."""
    path = fixtures / "speech.amr"
    with path.open("rb") as stream:
        for source in (str(path), path, b"RIFF", stream, 3):
            with pytest.raises(UsageError, match=r"sources=.*pass \[source\]"):
                captoolkit.caption_many(source)  # type: ignore[arg-type]


def test_finished_timelines_of_an_earlier_run_are_kept(fixtures: Path, tmp_path: Path) -> None:
    """Unchanged ones are results, without a request; others are errors, or captioned again."""
    sources = [fixtures / "speech.amr", fixtures / "raw.aac", fixtures / "tones-and-silences.wav"]
    paths = [tmp_path / f"{source.stem}.json" for source in sources]

    def caption_all(**options: Any) -> dict[str, str]:
        ends = {}
        with captoolkit.caption_many(sources, existing=paths[:2], **options) as run:
            for result in run:
                ends[Path(str(result.source)).stem] = (
                    "kept" if result.is_kept else str(result.error) if result.error else "made"
                )
                if result.timeline is not None and not result.is_kept:
                    captoolkit.save(result.timeline, paths[result.index], overwrite=True)
        return ends

    assert caption_all() == {"speech": "made", "raw": "made", "tones-and-silences": "made"}
    made = paths[0].read_bytes()
    paths[1].unlink()
    assert caption_all() == {"speech": "kept", "raw": "made", "tones-and-silences": "made"}
    assert paths[0].read_bytes() == made
    refused = caption_all(segment="2s")
    assert "was made with no segment, not with segment=2" in refused["speech"]
    assert caption_all(segment="2s", overwrite=True)["speech"] == "made"
    with sources[0].open("rb") as stream:
        streams = captoolkit.caption_many([stream], existing=paths, segment="2s")
        with streams as run:
            assert run.plans() == (None,)
            assert [result.is_kept for result in run] == [True]


def test_a_timeline_records_its_options_and_no_key(fixtures: Path) -> None:
    """The options that decide the captions are in `made_by`; the same call gives it again."""
    source = fixtures / "speech.amr"
    captioner = OwnCaptioner(lambda clip: "a caption")
    first, second = (
        captoolkit.caption(source, captioner=captioner, segment=s, api_key="sk-secret", prompt="?")
        for s in ("2s", 2)
    )
    assert first == second
    assert first.made_by is not None
    assert first.made_by.verb == "caption"
    assert first.made_by.options.items() >= {"segment": 2, "prompt": "?", "via": "base64"}.items()
    assert "sk-secret" not in captoolkit.timeline.render(first, "json")


def test_options_of_a_run_are_checked_before_any_source(fixtures: Path) -> None:
    """An invalid option is an error of the call, and not of each source."""
    path = fixtures / "speech.amr"
    with pytest.raises(UsageError, match="concurrency=0"):
        captoolkit.caption_many([path], concurrency=0)
    with pytest.raises(UsageError, match="'soon' is not a duration"):
        captoolkit.caption_many([path], segment="soon")
    with pytest.raises(TypeError, match="did you mean 'concurrency'"):
        captoolkit.caption_many([path], concurency=3)  # type: ignore[call-arg]


# ------------------------------------------------------------------------------- asyncio


def test_acaption_gives_what_caption_gives(fixtures: Path) -> None:
    """The timeline is the same, and the event loop keeps running."""

    async def both() -> tuple[object, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.001)

        ticking = asyncio.create_task(tick())
        timeline = await captoolkit.acaption(fixtures / "speech.amr")
        ticking.cancel()
        return timeline, ticks

    timeline, ticks = asyncio.run(both())
    assert timeline == captoolkit.caption(fixtures / "speech.amr")
    assert ticks > 10


def test_cancelling_leaves_no_child_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When `CancelledError` arrives, all threads and processes have ended."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    parts = [tone(55, rate_hz=48_000), silence(5, rate_hz=48_000)] * 40
    long = write_wav(tmp_path / "long.wav", *parts, rate_hz=48_000)
    begun = threading.Event()

    def watch(event: Event) -> None:
        if isinstance(event, SegmentReady):
            begun.set()

    async def cancel_half_way() -> None:
        asker = OwnCaptioner(lambda clip: "said")
        task = asyncio.create_task(
            captoolkit.acaption(long, captioner=asker, segment="60s", on_event=watch)
        )
        await asyncio.to_thread(begun.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_half_way())
    assert begun.is_set()
    assert children_of(os.getpid()) == []
    assert list((tmp_path / "scratch").iterdir()) == []


def test_cancelling_ends_the_measurements_of_a_plan(fixtures: Path) -> None:
    """They may decode hours of sound before the first segment."""
    stop = threading.Event()
    stop.set()
    for options in ({"normalize": -23}, {"skip_silence": True}):
        with pytest.raises(UsageError, match="cancelled while it was planned"):
            captoolkit.captions(fixtures / "speech.amr", stop=stop, **options)


class FileCaptioner(AcousticCaptioner):
    """The local captioner, which gets a file of each segment."""

    def __init__(self) -> None:
        super().__init__(hears=False)
        self.files: list[str] = []

    def caption(self, clip: Clip) -> Caption:
        """Return the caption of a file."""
        self.files.append(clip.path.name)
        return super().caption(clip)


@pytest.mark.parametrize("options", [{"max_segment": "15s"}, {"segment": "7s"}], ids=str)
def test_samples_and_files_give_the_same_timeline(minute: Path, options: dict[str, Any]) -> None:
    """The local captioner gets samples without files, and describes them as it does files."""
    by_file, names = FileCaptioner(), list[str]()

    def note(event: Event) -> None:
        if isinstance(event, SegmentReady):
            names.append(event.segment.file)

    made = captoolkit.caption(minute, captioner=by_file, **options)
    captioner = AcousticCaptioner(hears=False)
    measured = captoolkit.caption(minute, captioner=captioner, on_event=note, **options)
    assert len(by_file.files) == len(made.entries) > 3
    assert names == [""] * len(made.entries)
    assert measured == made
