"""A use of every public name, for the type checkers: no test runs this module.

`mypy --strict` and pyright must accept it. `tests/test_typing.py` checks that no name is missing.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import assert_type

import numpy as np

import captoolkit
from captoolkit import captioners, emulator, errors, events, model, timeline


def sources() -> list[captoolkit.Source]:
    """Return a source of each type."""
    array = (np.zeros((16_000, 2), dtype=np.float32), 16_000)
    url = "https://example.com/talk.mp3"
    return ["talk.mkv", Path("talk.mkv"), b"RIFF", bytearray(b"RIFF"), io.BytesIO(), array, url]


# ------------------------------------------------------------------------------- the verbs


def batches(options: captoolkit.BatchOptions) -> captoolkit.FailureReason | None:
    """Use `batch` on many recordings."""
    summary = captoolkit.batch("prepare", ["talks", Path("a.wav")], out="ready", **options)
    assert_type(summary, captoolkit.BatchSummary)
    captoolkit.batch(
        "caption",
        ["s3://talks/**/*.wav"],
        out="s3://captions",
        cluster="tcp://scheduler:8786",
        captioner="dashscope",
        max_cost="5.00",
        segment="30s",
        shard="0/3",
        redo="changed",
        requests_per_minute=60,
        file_timeout="10m",
        on_event=print,
    )
    assert_type(summary.cost, model.Cost | None)
    assert_type(summary.is_complete, bool)
    return summary.reasons[0] if summary.reasons else None


def prepare_files(source: captoolkit.Source, options: captoolkit.PlanOptions) -> None:
    """Use the verbs that make files."""
    assert_type(captoolkit.probe(source), model.MediaInfo)
    assert_type(captoolkit.plan(source, **options), model.Plan)
    plan = captoolkit.plan(source, target="qwen-audio", via=model.Via.UPLOAD, bit_rate="64k")
    with captoolkit.prepare(source, jobs=2, on_event=print, **options) as prepared:
        assert_type(prepared, captoolkit.Prepared)
        for segment in prepared:
            assert_type(segment, captoolkit.ReadySegment)
            assert_type(segment.path, Path)
            assert_type(segment.data_uri(), str)
        assert_type(prepared.plan, model.Plan)
    captoolkit.prepare(
        source,
        target=plan.target,
        segment=Fraction(61, 2),
        max_segment=40.0,
        parts=3,
        track="zho",
        max_duration="72h",
        format="mp3",
        quality="voice",
        sample_rate_hz=24_000,
        channels=1,
        effort="best",
        skip_silence=True,
    ).save("ready", overwrite=True)


def split_files(source: captoolkit.Source, options: captoolkit.SplitOptions) -> None:
    """Use `split`."""
    assert_type(captoolkit.split(source, **options), captoolkit.Prepared)
    captoolkit.split(source, exact=True, at="chapters", max_segment="10m", on_event=events.ignore)


def caption_files(source: captoolkit.Source, options: captoolkit.CaptionOptions) -> None:
    """Use `caption` and `captions`."""
    assert_type(captoolkit.caption(source, **options), captoolkit.Timeline)
    captoolkit.caption(
        source,
        captioner="dashscope",
        model="qwen3-omni-30b-a3b-captioner",
        region="singapore",
        max_cost=captoolkit.Budget(Decimal("0.50")),
        ledger=Path("ledger.sqlite3"),
        retry_policy=captoolkit.RetryPolicy(longest_wait_s=5.0),
        run_timeout_s=60,
        concurrency=8,
        resume=False,
        stream=True,
        stop=threading.Event(),
        clock=captoolkit.Clock(),
        segment="30s",
    )
    with captoolkit.captions(source, max_cost="0.50", captioner=Recogniser()) as entries:
        assert_type(entries, captoolkit.Captions)
        for entry in entries:
            assert_type(entry, model.Entry)
        assert_type(entries.timeline(), captoolkit.Timeline)


def caption_many_files(
    sources: Sequence[Path], options: captoolkit.CaptionOptions
) -> list[captoolkit.CaptionResult]:
    """Use `caption_many`."""
    captoolkit.caption_many((b"RIFF", "a.wav"), max_cost="5", jobs=2, on_event=events.ignore)
    captoolkit.caption_many(sources, existing=[Path("a.json"), "b.json", None], overwrite=True)
    with captoolkit.caption_many(sources, captioner=Recogniser(), **options) as run:
        assert_type(run, captoolkit.CaptionRun)
        assert_type(run.plans(), tuple[model.Plan | captoolkit.CaptoolkitError | None, ...])
        assert_type(run.cost_range(), model.CostRange | None)
        for result in run:
            assert_type(result, captoolkit.CaptionResult)
            assert_type(result.index, int)
            assert_type(result.timeline, captoolkit.Timeline | None)
            assert_type(result.error, captoolkit.CaptoolkitError | None)
            assert_type((result.is_kept, result.seconds), tuple[bool, float])
            if result.timeline is not None:
                assert_type(result.timeline.made_by, timeline.Provenance | None)
            assert_type((result.requested, result.usage), tuple[int, model.Usage])
            assert_type(result.cost, model.Cost | None)
        assert_type((run.captioner, run.recalled), tuple[model.CaptionerInfo, int])
        return list(run)


async def caption_without_blocking(source: captoolkit.Source) -> captoolkit.Timeline:
    """Use `acaption`."""
    return await captoolkit.acaption(
        source, captioner="openai", base_url="http://127.0.0.1:8000/v1"
    )


def ask_questions(options: captoolkit.ConversationOptions) -> list[captioners.Message]:
    """Use a conversation."""
    with captoolkit.Conversation("dashscope", **options) as conversation:
        answer = conversation.ask("What is being said?", audio="welcome.mp3", on_text=print)
        assert_type(answer, model.Caption)
        assert_type(conversation.usage, model.Usage)
        assert_type(conversation.cost, model.Cost | None)
        conversation.save("welcome.json")
    with captoolkit.Conversation.load("welcome.json", max_cost="0.10") as conversation:
        assert_type(conversation.to_json(), str)
        return conversation.messages


def use_timelines(value: captoolkit.Timeline, options: captoolkit.FormatOptions) -> None:
    """Use the verbs for timelines."""
    assert_type(captoolkit.render(value, "srt", spread=True), str)
    assert_type(captoolkit.render(value, "edl", frame_rate="29.97"), str)
    assert_type(captoolkit.parse("{}"), captoolkit.Timeline)
    captoolkit.save(value, "talk.vtt", overwrite=True, **options)
    assert_type(captoolkit.load("talk.json"), captoolkit.Timeline)
    assert_type(captoolkit.page(value), str)
    assert_type(captoolkit.embed("talk.mp4", value, out="talk.captioned.mp4"), captoolkit.Embedded)
    assert_type(captoolkit.targets()["qwen-audio"], model.Target)


# ------------------------------------------------------------------------- captoolkit.model


def describe_media(info: model.MediaInfo, plan: model.Plan) -> None:
    """Read the values about files and plans."""
    track: model.Track = info.default_track
    pictures: tuple[model.Picture, ...] = info.pictures
    subtitles: tuple[model.SubtitleTrack, ...] = info.subtitles
    chapter: model.Chapter = info.chapters[0]
    assert_type(chapter.end_s, Fraction | None)
    assert_type(track.language, str | None)
    assert_type(plan.action, model.Action)
    assert_type(plan.encoding, model.Encoding | None)
    assert_type(plan.spans, tuple[model.Span, ...])
    assert_type(plan.spans[0].exact_s, Fraction)
    costs: tuple[model.CostRange, ...] = plan.costs
    assert plan.target is not None
    fact: model.Fact = plan.target.facts["max_duration_s"]
    loudness: model.LoudnessTarget | None = plan.target.loudness
    dialect: model.Dialect | None = plan.target.dialect
    assert loudness is None
    assert dialect is not model.Dialect.OPENAI
    assert_type(plan.gain_db, float)
    price: model.Price = plan.target.prices[0]
    print(pictures, subtitles, costs, fact.value, price.currency)


def describe_entry(entry: model.Entry, segment: model.Segment, levels: model.Envelope) -> None:
    """Read the values about segments and entries."""
    assert_type(entry.status, model.Status)
    usage: model.Usage = entry.usage + model.Usage(input_tokens=1)
    print([getattr(usage, name) for name in model.USAGE_FIELDS], segment.sha256, levels.peaks)


def make_timeline(cost: model.Cost, source: model.SourceInfo) -> captoolkit.Timeline:
    """Make a timeline of values."""
    who = model.CaptionerInfo(name="mine", model="1")
    entry = model.Entry(index=1, source_span=source.span, status=model.Status.OK, text="Rain.")
    return timeline.stitch(source=source, captioner=who, entries=[entry], cost=cost)


# ------------------------------------------------------------------------ captoolkit.events


def show(event: events.Event) -> None:
    """Tell the events apart by their type."""
    match event:
        case events.Started(path=path, plan=plan):
            print(path, plan.reasons)
        case events.Progressed(done_s=done_s, total_s=total_s):
            print(done_s / total_s)
        case events.SegmentReady(segment=segment):
            print(segment.file)
        case events.Replaced(encoding=encoding):
            print(encoding.bit_rate)
        case events.EntryReady(entry=entry, recalled=recalled):
            print(entry.text, recalled)
        case events.TextArrived(text=text):
            print(text)
        case events.RetryScheduled(wait_s=wait_s, reason=reason):
            print(wait_s, reason)
        case events.Warned(message=message):
            print(message)
        case events.BatchProgressed(done=done, total=total):
            print(done, total)


HANDLER: events.OnEvent = show


# ------------------------------------------------------------------------ captoolkit.errors


def remedy(error: captoolkit.CaptoolkitError) -> str:
    """Tell the errors apart by their class."""
    match error:
        case captoolkit.SourceNotFoundError() | captoolkit.NotMediaError() | errors.NoAudioError():
            return error.fix
        case (
            captoolkit.OutputExistsError()
            | captoolkit.DiskFullError()
            | errors.KeyMissingError()
            | errors.LimitError()
        ):
            return error.problem
        case captoolkit.ToolNotFoundError() | errors.ToolTimeoutError():
            return error.stderr_tail
        case captoolkit.ServiceConnectionError():
            return "again" if error.kind is errors.ConnectionFailure.SILENT else str(error.kind)
    kinds: list[type[errors.CaptoolkitError]] = [
        captoolkit.InputError,
        captoolkit.KeyMissingError,
        captoolkit.LimitError,
        captoolkit.NoAudioError,
        captoolkit.OutputError,
        captoolkit.ServiceError,
        captoolkit.ToolError,
        captoolkit.ToolTimeoutError,
        captoolkit.UsageError,
        captoolkit.CancelledError,
        errors.CancelledError,
        errors.InputError,
        errors.NotMediaError,
        errors.OutputError,
        errors.DiskFullError,
        errors.OutputExistsError,
        errors.ServiceConnectionError,
        errors.ServiceError,
        errors.SourceNotFoundError,
        errors.ToolError,
        errors.ToolNotFoundError,
        errors.UsageError,
    ]
    return next(kind.__name__ for kind in kinds if isinstance(error, kind))


# ---------------------------------------------------------------------- captoolkit.timeline


def use_formats(value: timeline.Timeline, options: timeline.FormatOptions) -> None:
    """Use the functions of `captoolkit.timeline`."""
    row: timeline.Format = timeline.FORMATS["srt"]
    timeline.check(row.name, **options)
    assert_type(timeline.losses(value, "srt", spread=True), list[str])
    assert_type(timeline.extension_of("srt"), str)
    assert_type(timeline.format_of("talk.srt"), str | None)
    assert_type(timeline.parse(timeline.render(value, "json")), captoolkit.Timeline)
    assert_type(value.totals, timeline.Totals)
    assert_type(value.totals.ok, timeline.StatusTotal)
    assert_type(value.all_parts, tuple[timeline.SourcePart, ...])
    timeline.save(timeline.load("talk.json"), "talk.srt")


# -------------------------------------------------------------------- captoolkit.captioners


class Recogniser:
    """A captioner of one's own."""

    @property
    def info(self) -> model.CaptionerInfo:
        """The name and the model."""
        return model.CaptionerInfo(name="mine", model="1")

    def caption(self, clip: captioners.Clip) -> model.Caption:
        """Return the length of the file as its caption."""
        with clip.samples() as samples:
            assert_type(samples, captioners.Samples)
        return model.Caption(text=f"{len(clip.read_bytes())} bytes")

    def close(self) -> None:
        """Do nothing."""

    def __enter__(self) -> Recogniser:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def use_captioners(options: captoolkit.CaptionerOptions, clip: captioners.Clip) -> None:
    """Use the protocols of `captoolkit.captioners`."""
    where: captioners.ServiceOptions = {"region": "beijing", "model": "qwen-audio-turbo"}
    same: captioners.CaptionerOptions = {**where, "prompt": "What is it?"}
    on_text: captioners.OnText = print
    with captioners.open_captioner("openai", target="vllm", **(options or same)) as captioner:
        assert_type(captioner, captioners.Captioner)
        if isinstance(captioner, captioners.PaidCaptioner):
            assert_type(captioner.caption(clip, on_text=on_text), model.Caption)
        if isinstance(captioner, captioners.ConversationalCaptioner):
            question = captioners.Message(role=captioners.Role.USER, text="What is it?")
            assert_type(captioner.ask([question]), model.Caption)
        if isinstance(captioner, captioners.HasTransports):
            assert_type(captioner.ways, frozenset[model.Via])
        if isinstance(captioner, captioners.MeasuringCaptioner):
            meter = captioner.open_meter(rate_hz=16_000, channels=1, start_s=0.0)
            assert_type(meter, captioners.CaptionMeter)
            assert_type(meter.finish(), model.Caption)


# ---------------------------------------------------------------------- captoolkit.emulator


def rehearse() -> list[emulator.RecordedRequest]:
    """Use the emulator."""
    with emulator.Emulator(faults=["429"], latency_s=1.5) as server:
        assert_type(server.most_in_flight, int)
        captoolkit.caption("talk.mkv", captioner="dashscope", base_url=server.native_url)
        return list(server.requests)
