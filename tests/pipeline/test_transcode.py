from __future__ import annotations

import dataclasses
import gc
import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from captoolkit import captions, prepare
from captoolkit.bitstream import adts, encodings
from captoolkit.captioners import Clip
from captoolkit.errors import CancelledError, InputError, LimitError, UsageError
from captoolkit.events import Event, Progressed, Replaced, SegmentReady
from captoolkit.model import Caption, CaptionerInfo, Span
from captoolkit.pipeline.segment import ReadySegment
from captoolkit.planning.cuts import RUN_SEGMENTS, plan_sections
from captoolkit.planning.options import FormatName
from captoolkit.support import files
from captoolkit.support.cancel import Closing
from tests.support.encodings import aac, mp3
from tests.support.media_values import service
from tests.support.processes import has_children
from tests.support.sound import Convert, noise, silence, tone

RATE_HZ = 16_000
LENGTH_S = 360
SEGMENT_S = 5
PIECES: dict[str, Any] = {"format": "wav", "segment": SEGMENT_S}
COUNT = LENGTH_S // SEGMENT_S
PAUSE_S = 0.3
# The middle of a pause near each cut, within the second that a cut may move, never at its place.
PAUSES_S = tuple(SEGMENT_S * n + (-0.5, 0.3, 0.6, -0.2, 0.45)[n % 5] for n in range(1, COUNT))
PROMPT_S = 5.0  # closing takes a fraction of this
MEANWHILE_S = 10.0  # nothing here takes so long unless it hangs


@pytest.fixture(autouse=True)
def every_worker_ends() -> Iterator[None]:
    """No test leaves a thread of captoolkit."""
    assert workers() == []
    yield
    gc.collect()
    assert workers() == []


@pytest.fixture(scope="module")
def sound() -> NDArray[np.int16]:
    """Six minutes of tones that differ, over a murmur, with a silent pause near each cut."""
    wave = noise(LENGTH_S, rate_hz=RATE_HZ, amplitude=0.02)[:, 0]
    time_s = np.arange(len(wave)) / RATE_HZ
    wave += 0.4 * np.sin(2 * np.pi * (300 + 40 * np.floor(time_s / 3.1)) * time_s)
    for middle_s in PAUSES_S:
        first = round((middle_s - PAUSE_S / 2) * RATE_HZ)
        wave[first : first + round(PAUSE_S * RATE_HZ)] = 0
    return np.rint(wave * 32767).astype(np.int16)


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory, sound: NDArray[np.int16]) -> Path:
    """The sound as a FLAC, in which a decoder can start anywhere."""
    path = tmp_path_factory.mktemp("talk") / "talk.flac"
    soundfile.write(str(path), sound, RATE_HZ)
    return path


@pytest.fixture(scope="module")
def ogg(talk: Path, convert: Convert) -> Path:
    """The sound as an Ogg, in which a decoder cannot seek exactly."""
    return convert(talk, talk.with_suffix(".ogg"), ["-c:a", "libvorbis", "-q:a", "5"])


@pytest.fixture(scope="module")
def gapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tone of 5 s, 15 s of digital silence, and a tone of 5 s."""
    path = tmp_path_factory.mktemp("gapped") / "gapped.flac"
    parts = tone(5, rate_hz=RATE_HZ), silence(15, rate_hz=RATE_HZ), tone(5, rate_hz=RATE_HZ)
    soundfile.write(str(path), np.concatenate(parts), RATE_HZ)
    return path


@pytest.fixture(scope="module")
def restless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A soft tone and a silence of 12 s each, then bursts of noise that AAC encodes too large."""
    hushed = noise(12, rate_hz=RATE_HZ, amplitude=0.9)
    hushed[(np.arange(len(hushed)) // (RATE_HZ // 20)) % 2 == 1] = 0
    path = tmp_path_factory.mktemp("restless") / "restless.flac"
    calm = tone(12, rate_hz=RATE_HZ, amplitude=0.1)
    soundfile.write(
        str(path), np.concatenate([calm, silence(12, rate_hz=RATE_HZ), hushed]), RATE_HZ
    )
    return path


def workers() -> list[str]:
    """The names of captoolkit's running threads."""
    names = (thread.name for thread in threading.enumerate())
    return [name for name in names if name.startswith("captoolkit")]


def edges(segments: list[ReadySegment]) -> list[int]:
    """Where the segments begin and the last one ends; each begins where the one before it ends."""
    spans = [segment.source_span for segment in segments]
    for before, after in itertools.pairwise(spans):
        assert before.end_samples == after.start_samples
    return [*(span.start_samples for span in spans), spans[-1].end_samples]


def made(path: Path, **options: Any) -> list[tuple[str, Span, bytes]]:
    """Name, span and bytes of each segment of a recording."""
    with prepare(path, **options) as prepared:
        return [(one.file, one.source_span, one.read_bytes()) for one in prepared]


def tight(bit_rate: int, *, length_s: float = 12.7) -> dict[str, Any]:
    """Options for AAC and a target whose limit is the expected size of so many seconds."""
    most = encodings.file_bytes(aac(bit_rate, 24_000), round(length_s * 24_000))
    target = service(accepts={"aac": ("aac",)}, max_bytes_upload=most)
    return {
        "target": target,
        "via": "upload",
        "format": "aac",
        "bit_rate": bit_rate,
        "sample_rate_hz": 24_000,  # where AAC overshoots more than at the ladder's 16 kHz
        "skip_silence": 5,
        "jobs": 2,
    }


# ----------------------------------------------------------------------- runs and their edges


@pytest.mark.parametrize(
    ("wish", "jobs"),
    [(PIECES, (1, 2, 4)), ({"format": "mp3", "segment": 11}, (1, 4))],
    ids=["wav", "mp3"],
)
def test_the_result_does_not_depend_on_the_jobs(
    talk: Path, wish: dict[str, Any], jobs: tuple[int, ...]
) -> None:
    """The bytes of the segments do not depend on `jobs`."""
    with prepare(talk, **wish) as prepared:
        assert len(plan_sections(prepared.plan)) > 1
    alone, *together = (made(talk, jobs=at_once, **wish) for at_once in jobs)
    assert all(one == alone for one in together)


def test_a_long_run_ends_although_it_has_few_segments(
    tmp_path: Path, sound: NDArray[np.int16]
) -> None:
    """Long segments are divided into runs as well, and do not depend on `jobs`."""
    path = tmp_path / "long.flac"
    soundfile.write(str(path), np.tile(sound, 4), RATE_HZ)
    wish: dict[str, Any] = {"format": "wav", "segment": 120}
    with prepare(path, jobs=2, **wish) as prepared:
        assert [section.count for section in plan_sections(prepared.plan)] == [5, 5, 2]
        assert edges(list(prepared))[-1] == 4 * len(sound)
        together = [segment.sha256 for segment in prepared.segments]
    with prepare(path, jobs=1, **wish) as prepared:
        assert [segment.sha256 for segment in prepared] == together


@pytest.mark.parametrize("jobs", [1, 3])
def test_runs_tile_the_recording(talk: Path, sound: NDArray[np.int16], jobs: int) -> None:
    """No sample between two runs is lost, doubled or changed."""
    with prepare(talk, jobs=jobs, **PIECES) as prepared:
        assert [section.count for section in plan_sections(prepared.plan)] == [
            RUN_SEGMENTS,
            RUN_SEGMENTS,
            8,
        ]
        segments = list(prepared)
        files = [soundfile.read(str(one.path), dtype="int16")[0] for one in segments]
    cuts = edges(segments)
    assert (cuts[0], cuts[-1], len(segments)) == (0, len(sound), COUNT)
    assert [len(file) for file in files] == np.diff(cuts).tolist()
    assert np.array_equal(np.concatenate(files), sound)


def test_every_cut_lies_in_its_pause(talk: Path) -> None:
    """Cuts between two runs lie in pauses, as those within a run do."""
    with prepare(talk, jobs=2, **PIECES) as prepared:
        cuts = edges(list(prepared))[1:-1]
    missed = [
        (number, at / RATE_HZ, pause_s)
        for number, (at, pause_s) in enumerate(zip(cuts, PAUSES_S, strict=True), 1)
        if abs(at / RATE_HZ - pause_s) > PAUSE_S / 2
    ]
    assert missed == []


def test_a_recording_without_seeking_is_cut_alike(talk: Path, ogg: Path) -> None:
    """An Ogg is decoded once, into as many segments with cuts in the same pauses."""
    with prepare(talk, jobs=2, **PIECES) as prepared:
        expected = edges(list(prepared))
    with prepare(ogg, jobs=2, **PIECES) as prepared:
        found = edges(list(prepared))
    assert len(found) == len(expected) == COUNT + 1
    assert np.abs(np.subtract(found, expected)).max() < PAUSE_S * RATE_HZ


@pytest.mark.parametrize("jobs", [1, 4])
def test_progress_grows_to_the_whole(talk: Path, jobs: int) -> None:
    """Progress counts each second once, and segments are reported in order."""
    events: list[Event] = []
    with prepare(talk, jobs=jobs, on_event=events.append, **PIECES) as prepared:
        segments = list(prepared)
    done_s = [event.done_s for event in events if isinstance(event, Progressed)]
    assert done_s == sorted(done_s)
    assert done_s[-1] == pytest.approx(LENGTH_S)
    ready = [event.segment for event in events if isinstance(event, SegmentReady)]
    assert ready == segments


# ------------------------------------------------------------------------------ the end of it


@pytest.mark.parametrize("wish", ["wav", "mp3"])
@pytest.mark.parametrize("jobs", [1, 4])
def test_closing_early_is_prompt_and_leaves_nothing(
    talk: Path, jobs: int, wish: FormatName
) -> None:
    """Closing after the first segment is quick and leaves no thread, process or file."""
    with prepare(talk, format=wish, segment=SEGMENT_S, jobs=jobs) as prepared:
        first = next(iter(prepared))
        assert workers()
        begun_s = time.monotonic()
    assert time.monotonic() - begun_s < PROMPT_S
    assert not has_children()
    assert workers() == []
    assert not first.path.exists()


class SlowCaptioner(Closing):
    """A captioner that is its own meter, takes its time for each caption, and counts them."""

    info = CaptionerInfo(name="slow", model="slow/1")

    def __init__(self) -> None:
        self.captions = 0

    def open_meter(self, *, rate_hz: int, channels: int, start_s: float) -> Self:
        """Return this captioner."""
        return self

    def feed(self, block: NDArray[np.float32]) -> None:
        """Drop the samples."""

    def finish(self) -> Caption:
        """Return a caption after a while."""
        self.captions += 1
        time.sleep(0.05)
        return Caption(text="a sound")

    def caption(self, clip: Clip) -> Caption:
        """Return the same caption."""
        return self.finish()

    def close(self) -> None:
        """Release nothing."""


def test_no_caption_is_measured_after_closing() -> None:
    """Only the meters that caption already are waited for, not those of the rest of a run."""
    captioner, sound = SlowCaptioner(), (np.zeros((4_000 * 300, 1), np.float32), 4_000)
    with captions(sound, captioner=captioner, segment=3, jobs=2) as entries:
        next(entries)
        begun = captioner.captions
    assert 0 < begun <= captioner.captions <= begun + 10  # of 100


@pytest.mark.parametrize("jobs", [1, 4])
@pytest.mark.parametrize("count", [1, 10, 20])
def test_exceptions_of_on_event_in_a_worker_reach_the_caller(
    talk: Path, jobs: int, count: int
) -> None:
    """The consumer gets the same exception object; no thread or process goes on."""
    fault, seen, where = ZeroDivisionError("mine"), itertools.count(1), []

    def on_event(event: Event) -> None:
        if isinstance(event, Progressed) and next(seen) == count:
            where.append(threading.current_thread())
            raise fault

    with prepare(talk, jobs=jobs, on_event=on_event, **PIECES) as prepared:
        with pytest.raises(ZeroDivisionError) as caught:
            list(prepared)
        with pytest.raises(UsageError, match="has failed before"):
            list(prepared)
    assert caught.value is fault
    assert where
    assert where[0] is not threading.main_thread()
    assert not has_children()
    assert workers() == []


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_dropped_preparation_ends(talk: Path, jobs: int) -> None:
    """An object that is dropped without `close` ends its work."""
    prepared = prepare(talk, format="mp3", segment=SEGMENT_S, jobs=jobs)
    next(iter(prepared))
    assert workers()
    del prepared
    gc.collect()
    assert workers() == []
    assert not has_children()


def test_a_program_may_end_in_the_middle(talk: Path) -> None:
    """An open preparation neither keeps a program alive nor prints a message."""
    code = (
        "import sys, captoolkit\n"
        "prepared = captoolkit.prepare(sys.argv[1], format='mp3', segment=5, jobs=2)\n"
        "print(next(iter(prepared)).index)\n"
    )
    argv = [sys.executable, "-c", code, str(talk)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


@pytest.mark.parametrize(("after", "pause_s"), [(1, 0.0), (1, 0.1), (33, 0.1)])
@pytest.mark.parametrize("jobs", [1, 4])
def test_closing_from_another_thread_ends_the_loop(
    talk: Path, jobs: int, after: int, pause_s: float
) -> None:
    """The consumer soon gets one CancelledError, and no thread or process is left."""
    prepared = prepare(talk, format="mp3", segment=SEGMENT_S, jobs=jobs)
    faults: list[BaseException] = []
    reached = threading.Event()

    def take() -> None:
        try:
            for segment in prepared:
                if segment.index >= after:
                    reached.set()
                    time.sleep(pause_s)
        except BaseException as error:
            faults.append(error)

    taker = threading.Thread(target=take, daemon=True)
    taker.start()
    assert reached.wait(6 * MEANWHILE_S)
    prepared.close()
    taker.join(MEANWHILE_S)
    assert not taker.is_alive()
    assert [type(fault) for fault in faults] == [CancelledError]
    assert "is closed" in str(faults[0])
    assert not has_children()
    assert workers() == []


# ---------------------------------------------------------------------------- what is too large


def test_a_segment_that_is_too_large_is_encoded_again(restless: Path, tmp_path: Path) -> None:
    """Only the segment that is too large is encoded again; an event and the manifest say so."""
    events: list[Event] = []
    with prepare(restless, on_event=events.append, **tight(32_000)) as prepared:
        most = prepared.plan.max_segment_bytes
        assert most is not None
        segments = prepared.save(tmp_path / "out")
        sounds = [one.to_array() for one in segments]

    (replaced,) = (event for event in events if isinstance(event, Replaced))
    made_of = aac(24_000, 24_000)
    assert replaced == Replaced(path=str(restless), index=2, encoding=made_of)
    assert len(segments) == 2
    for segment, (samples, rate_hz) in zip(segments, sounds, strict=True):
        assert segment.size_bytes == segment.path.stat().st_size <= most
        assert segment.sha256 == files.sha256(segment.path)
        delay_s = 3 * adts.FRAME_SAMPLES / rate_hz
        assert 0 <= len(samples) / rate_hz - segment.source_span.duration_s <= delay_s
    text = (tmp_path / "out" / "restless.manifest.json").read_text(encoding="utf-8")
    manifest = json.loads(text)
    said = [reason for reason in manifest["reasons"] if "too large" in reason]
    made_as = encodings.describe(made_of)
    assert said == [f"Segment 2 was too large and was encoded as {made_as}."]
    assert manifest["encoding"]["bit_rate"] == 32_000


def test_a_segment_that_fits_is_kept(restless: Path) -> None:
    """Segments within the limit are not encoded again."""
    events: list[Event] = []
    options = tight(32_000, length_s=60.0)
    with prepare(restless, on_event=events.append, **options) as prepared:
        assert len(list(prepared)) == 2
    assert not [event for event in events if isinstance(event, Replaced)]


def test_when_nothing_smaller_is_left_it_is_an_error(restless: Path, tmp_path: Path) -> None:
    """A segment that is too large at the lowest rate is never shipped."""
    prepared = prepare(restless, **tight(24_000))
    assert prepared.plan.fallbacks == ()
    with pytest.raises(LimitError, match="segment 2 is larger than the"):
        prepared.save(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    assert not has_children()


# ------------------------------------------------------------------- sounds with a flaw


def test_flacs_behind_one_another_lose_nothing_where_they_change(tmp_path: Path) -> None:
    """A stereo FLAC that continues as mono loses only the resampler's delay."""
    one, other = tmp_path / "1.flac", tmp_path / "2.flac"
    soundfile.write(one, np.repeat(tone(5.0, rate_hz=44_100), 2, axis=1), 44_100)
    soundfile.write(other, tone(5.0, rate_hz=44_100), 44_100)
    joined = tmp_path / "joined.flac"
    joined.write_bytes(one.read_bytes() + other.read_bytes())
    with prepare(joined, format="wav") as prepared:
        (segment,) = prepared
    assert segment.source_span.duration_s == pytest.approx(10.0, abs=0.06)


def test_no_number_in_a_float_becomes_silence(tmp_path: Path, convert: Convert) -> None:
    """NaN and Inf in a lossless float become silence; all other samples stay."""
    sound = tone(2.0, rate_hz=RATE_HZ, amplitude=0.5)
    sound[1000], sound[2000], sound[3000] = np.nan, np.inf, -np.inf
    source = tmp_path / "a.wav"
    soundfile.write(source, sound, RATE_HZ, subtype="FLOAT")
    path = convert(source, tmp_path / "a.wv", ["-c:a", "wavpack"])
    with prepare(path, format="wav") as prepared:
        (segment,) = prepared
        heard, _ = segment.to_array()
    assert np.abs(heard[[1000]]).max() == 0
    kept = np.setdiff1d(np.arange(len(sound)), [1000, 2000, 3000])
    np.testing.assert_allclose(heard[kept], sound[kept], atol=1e-4)


# --------------------------------------------------------------------- segments of their own


def test_a_sound_that_ends_before_it_should_is_made_as_far_as_it_goes(
    talk: Path, tmp_path: Path
) -> None:
    """A file that was truncated after the plan gives the sound that is left, then the error."""
    path = tmp_path / "cut.flac"
    path.write_bytes(talk.read_bytes())
    with prepare(path, format="mp3", jobs=2) as prepared:
        (span,) = prepared.plan.spans
        with path.open("r+b") as stream:
            stream.truncate(path.stat().st_size // 2)
        segments = iter(prepared)
        segment = next(segments)
        sound, rate_hz = segment.to_array()
        with pytest.raises(InputError, match="it changed while it was being prepared"):
            next(segments)
    assert 0.3 < segment.source_span.samples / span.samples < 0.7
    assert len(sound) / rate_hz == pytest.approx(segment.source_span.duration_s, abs=0.01)


def test_a_single_segment_that_is_too_large_is_encoded_again(talk: Path) -> None:
    """A single segment that is too large gets the next encoding as well."""
    events: list[Event] = []
    planned = mp3(32_000, 16_000)
    expected = encodings.file_bytes(planned, LENGTH_S * RATE_HZ)
    target = service(accepts={"mp3": ("mp3",)}, max_bytes_upload=expected)
    with prepare(talk, target=target, via="upload", on_event=events.append) as prepared:
        tighter = dataclasses.replace(prepared.plan, max_segment_bytes=expected * 4 // 5)
        assert prepared.plan.encoding is not None
        assert prepared.plan.encoding.bit_rate == planned.bit_rate
        prepared.plan = tighter
        (segment,) = prepared
    assert segment.size_bytes <= expected * 4 // 5
    (replaced,) = (event for event in events if isinstance(event, Replaced))
    assert replaced.encoding in tighter.fallbacks


# -------------------------------------------------------------------------------- silences


@pytest.mark.parametrize("suffix", ["flac", "ogg"])
@pytest.mark.parametrize("wish", ["wav", "mp3"])
def test_silences_are_skipped(
    gapped: Path, tmp_path: Path, convert: Convert, suffix: str, wish: FormatName
) -> None:
    """The tones keep the source's clock, and the manifest lists the skipped silence."""
    path = gapped
    if suffix == "ogg":
        path = convert(gapped, tmp_path / "gapped.ogg", ["-c:a", "libvorbis", "-q:a", "5"])
    with prepare(path, format=wish, skip_silence=10, jobs=2) as prepared:
        segments = prepared.save(tmp_path / "out")
        sounds = [one.to_array() for one in segments]

    first, second = (one.source_span for one in segments)
    # Half a second of the silence stays on either side; its edges are known to a tenth of one.
    assert (first.start_samples, second.end_samples) == (0, 25 * RATE_HZ)
    assert first.end_s == pytest.approx(5.5, abs=0.21)
    assert second.start_s == pytest.approx(19.5, abs=0.21)
    for span, (samples, rate_hz) in zip((first, second), sounds, strict=True):
        assert len(samples) / rate_hz == pytest.approx(span.duration_s, abs=0.0021)
        loud = np.flatnonzero(np.abs(samples[:, 0]) > 0.1)
        heard = span.start_s + loud[0] / rate_hz, span.start_s + loud[-1] / rate_hz
        assert heard == pytest.approx((0, 5) if span == first else (20, 25), abs=0.02)
    manifest = json.loads((tmp_path / "out" / "gapped.manifest.json").read_text("utf-8"))
    (skipped,) = manifest["skipped"]
    assert (skipped["start_s"], skipped["end_s"], skipped["reason"]) == (
        pytest.approx(first.end_s, abs=1e-6),
        pytest.approx(second.start_s, abs=1e-6),
        "silence",
    )
    assert [one["start_s"] for one in manifest["segments"]] == pytest.approx(
        [0, second.start_s], abs=1e-6
    )
    assert manifest["source"]["duration_s"] == 25.0
    assert prepared.warnings == ()


@pytest.mark.parametrize("jobs", [1, 4])
def test_silences_at_the_ends_are_skipped(tmp_path: Path, jobs: int) -> None:
    """Skipped silences at the start and the end belong to no segment."""
    path = tmp_path / "ends.flac"
    hush, voice = silence(15, rate_hz=RATE_HZ), tone(5, rate_hz=RATE_HZ)
    soundfile.write(str(path), np.concatenate([hush, voice, hush]), RATE_HZ)
    with prepare(path, format="wav", skip_silence=True, jobs=jobs) as prepared:
        (segment,) = prepared
        assert segment.source_span.start_s == pytest.approx(14.5, abs=0.21)
        assert segment.source_span.end_s == pytest.approx(20.5, abs=0.21)
        assert prepared.source.duration_samples == 35 * RATE_HZ
        assert len(prepared.plan.skipped) == 2
        assert prepared.warnings == ()
