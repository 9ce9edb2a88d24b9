"""`embed`: write a timeline into its media file, as a subtitle track and as chapters.

Rules: every other stream is copied packet by packet; tags and cover art are kept; the new file
appears complete or not at all, and the source is only read. ffmpeg reads the timeline from the
formats `srt` (or `vtt`) and `ffmetadata`. A timeline's clock is that of its source, and its source
states when the sound begins on it; `embed` moves the times if the sound of the media file begins at
another time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from captoolkit.bitstream.containers import (
    MOV_TEXT,
    CaptionSupport,
    Container,
    captioned_containers,
)
from captoolkit.errors import InputError, ToolError, UsageError
from captoolkit.media import ffmpeg, probe_by_ffmpeg
from captoolkit.media.player_clock import LONGEST_GAP_S
from captoolkit.media.probe_by_ffmpeg import MediaStream, MediaStreams
from captoolkit.support import files
from captoolkit.timeline import load, losses, render
from captoolkit.timeline.cues import cues
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import full_text

CHAPTERS = "ffmetadata"
DEMUXERS = {"srt": "srt", "vtt": "webvtt"}
PICTURES = {"mjpeg": ("jpg", "image/jpeg"), "png": ("png", "image/png")}
TRACK_NAME = "Captions"
MOST_TEXT_BYTES = 0xFFFF  # the length of a mov_text sample has 16 bits
MOST_TICKS = 2**31 - 1  # in one chapter, on the clock of an MP4's header
DEFAULT_CLOCK_HZ = 1000
MOST_LISTED_CHAPTERS = 255  # the older of an MP4's two lists of chapters counts them in 8 bits
# A timeline whose duration differs by more than this is perhaps not of this recording.
ALIKE_S = 1.0
ALIKE_SHARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """The result of `embed`.

    Attributes:
        path: the new file.
        subtitles: the codec of its subtitle track, None if the container has no such tracks.
        chapters: the number of its chapters.
        notes: differences from the source and from the timeline, as sentences.
    """

    path: Path
    subtitles: str | None
    chapters: int
    notes: tuple[str, ...]


def embed(
    media: str | os.PathLike[str],
    timeline: Timeline | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    spread: bool = False,
) -> Embedded:
    """Write the media file with the timeline inside: a subtitle track and chapters.

    Args:
        media: the captioned media file, or one with the same sound.
        timeline: the timeline, or its `.json` file.
        out: the new file; its ending selects the container.
        overwrite: replace an existing file, but never an input.
        spread: give each sentence its own subtitle, with times in proportion to their length.

    Raises:
        UsageError: the container holds neither subtitles nor chapters, or less text than this.
        InputError: the media or the timeline cannot be read, or the container cannot hold the
            streams of the media file.
        OutputError: the new file cannot be written, exists already or is one of the inputs.
        ToolError: ffmpeg failed.
    """
    place = Path(os.path.abspath(out))  # noqa: PTH100 - keeps links as they are
    container, captions = _container(place)
    inputs = [Path(media)] if isinstance(timeline, Timeline) else [Path(media), Path(timeline)]
    files.FileSet(inputs).refuse([place])
    if not overwrite:
        files.refuse_existing([place])
    loaded = timeline if isinstance(timeline, Timeline) else load(timeline)
    source = probe_by_ffmpeg.probe_streams(media)
    shown = _on_clock_of(source, loaded)
    _refuse_too_many(container, captions, shown)
    _refuse_long_texts(captions, shown.spread() if spread else shown)
    with files.staging(place.parent) as folder:
        staged = folder / place.name
        texts = _write_texts(folder, captions, shown, spread=spread)
        job = _Job(
            media=Path(media),
            muxer=container.muxer,
            captions=captions,
            texts=texts,
            clock_hz=_clock_hz(shown),
            before_s=source.before_s,
            staged=staged,
        )
        left_out = _mux(job, source)
        with files.writing(place):
            staged.replace(place)
    notes = (*_notes(captions, source, shown, spread=spread), *left_out)
    return Embedded(
        path=place, subtitles=captions.subtitles, chapters=len(shown.entries), notes=notes
    )


def _on_clock_of(media: MediaStreams, timeline: Timeline) -> Timeline:
    """The timeline on the clock of the media file.

    Its own clock is that of a file in which the sound begins at another time, if the timeline was
    made of an extract of the sound.
    """
    own_s = Fraction(timeline.source.start_samples, timeline.source.sample_rate_hz)
    later_s = media.before_s + media.late_s(timeline.source.track) - own_s
    if later_s < 0:
        return timeline.slice(-later_s, from_zero=True)
    return timeline.shifted(later_s)


def _container(place: Path) -> tuple[Container, CaptionSupport]:
    """The container of the new file, and how it carries a timeline."""
    rows = captioned_containers()
    try:
        return rows[place.suffix.lower().removeprefix(".")]
    except KeyError:
        suffixes = ", ".join(f".{suffix}" for suffix in rows)
        raise UsageError(
            f"{place.suffix or place.name!r} is no container for subtitles or chapters",
            fix=f"let the name end in {suffixes}; .mkv and .mka hold any sound",
            path=place,
        ) from None


def _refuse_too_many(container: Container, captions: CaptionSupport, timeline: Timeline) -> None:
    """Refuse more chapters than the container's list counts: the file would be invalid."""
    most = captions.max_chapters
    if most is not None and len(timeline.entries) > most:
        raise UsageError(
            f"an {container.title} holds {most} chapters, and the timeline has "
            f"{len(timeline.entries):,} entries",
            fix="make an .mka, which holds any number",
        )


def _refuse_long_texts(captions: CaptionSupport, timeline: Timeline) -> None:
    if captions.subtitles != MOV_TEXT:
        return
    for cue in cues(timeline):
        size_bytes = len(full_text(cue.entry).encode())
        if size_bytes > MOST_TEXT_BYTES:
            raise UsageError(
                f"the caption of entry {cue.entry.index} ({cue.times}) is {size_bytes:,} bytes "
                f"long; a subtitle of this container holds {MOST_TEXT_BYTES:,}",
                fix="pass --spread (spread=True), or make an .mkv",
            )


def _clock_hz(timeline: Timeline) -> int:
    """The clock of an MP4's header: the sample rate of the sound, so that no edit is rounded.

    Without this option ffmpeg 9 takes a clock on which every track is exact, and then loses
    chapters of more than 2^31 ticks of it (20 minutes, for example).
    """
    longest = max((entry.source_span.samples for entry in timeline.entries), default=0)
    return timeline.source.sample_rate_hz if longest <= MOST_TICKS else DEFAULT_CLOCK_HZ


def _write_texts(
    folder: Path, captions: CaptionSupport, timeline: Timeline, *, spread: bool
) -> dict[str, Path]:
    """Write the files from which ffmpeg reads the timeline, and return them by their formats."""
    formats = [CHAPTERS, *([captions.text] if captions.subtitles else [])]
    paths = {name: folder / f"timeline.{name}" for name in formats}
    for name, path in paths.items():
        text = render(timeline, name, spread=spread)
        with files.writing(path):
            path.write_text(text, encoding="utf-8", newline="\n")
    return paths


# ------------------------------------------------------------------------------------- ffmpeg


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """The parameters of one new file."""

    media: Path
    muxer: str
    captions: CaptionSupport
    texts: dict[str, Path]
    clock_hz: int
    before_s: Fraction
    staged: Path


def _mux(job: _Job, source: MediaStreams) -> list[str]:
    """Make the file; return sentences on the streams that it leaves out.

    It keeps data streams (a camera's positions, for example) if the container takes them.
    """
    kept = [stream for stream in source.streams if not _is_chapter_track(stream)]
    without_data = [stream for stream in kept if stream.kind != "Data"]
    dropped = len(kept) - len(without_data)
    try:
        _run(job, kept)
    except ToolError as error:
        if not dropped:
            raise _cannot_hold(error, job) from error
    else:
        return []
    try:
        _run(job, without_data)
    except ToolError as error:
        raise _cannot_hold(error, job) from error
    return [f"The container cannot hold {dropped} data stream{'s' if dropped > 1 else ''}."]


def _is_chapter_track(stream: MediaStream) -> bool:
    """Whether it is the text track of an MP4's chapters, which the new chapters replace."""
    return stream.kind == "Data" and stream.tag == "text"


def _run(job: _Job, kept: list[MediaStream]) -> None:
    """Run ffmpeg: copy every stream, append the subtitles as the last one, set the chapters."""
    captions = job.captions
    covers = [stream for stream in kept if stream.is_cover] if captions.attaches_covers else []
    # ffmpeg lets the first stream begin at zero; this keeps the time before it.
    media = ffmpeg.source(job.media, **({"itsoffset": float(job.before_s)} if job.before_s else {}))
    nodes = [media[str(stream.index)] for stream in kept if stream not in covers]
    options: dict[str, Any] = {"c": "copy", **captions.muxer_options}
    if captions.subtitles == MOV_TEXT:
        options["movie_timescale"] = job.clock_hz
    if captions.subtitles:
        number = sum(stream.kind == "Subtitle" for stream in kept)
        nodes.append(ffmpeg.own_source(job.texts[captions.text], demuxer=DEMUXERS[captions.text]))
        options[f"metadata:s:s:{number}"] = f"{captions.track_tag}={TRACK_NAME}"
        if captions.subtitles == MOV_TEXT:
            options[f"c:s:{number}"] = MOV_TEXT
            # In ffmpeg's default unit of microseconds, a subtitle could not last 36 minutes.
            options[f"bsf:s:{number}"] = f"setts=time_base=1/{DEFAULT_CLOCK_HZ}"
    # Chapters are no stream; this optional selector matches nothing and makes the file an input.
    nodes.append(ffmpeg.own_source(job.texts[CHAPTERS], demuxer=CHAPTERS)["t?"])
    node = ffmpeg.output(
        nodes,
        job.staged,
        f=job.muxer,
        dts_delta_threshold=LONGEST_GAP_S,  # ffmpeg would close longer gaps of a transport stream
        map_metadata=0,
        map_chapters=2 if captions.subtitles else 1,
        fflags="+bitexact",
        **options,
    )
    argv, place = ffmpeg.compile_argv(node), ffmpeg.file_url(job.staged)
    fonts = sum(stream.kind == "Attachment" for stream in kept)
    argv[argv.index(place) : argv.index(place)] = _attachments(job, covers, fonts)
    with ffmpeg.output_errors(job.staged), ffmpeg.Process(argv, writes=job.staged) as process:
        process.finish()


def _attachments(job: _Job, covers: list[MediaStream], first: int) -> list[str]:
    """The options that attach covers as Matroska does; a copied cover would become a video."""
    options: list[str] = []
    for number, stream in enumerate(covers):
        suffix, kind = PICTURES.get(stream.codec, (stream.codec, f"image/{stream.codec}"))
        name = f"cover{f'-{number + 1}' if number else ''}.{suffix}"
        picture = job.staged.with_name(name)
        node = ffmpeg.source(job.media)[str(stream.index)].output(
            ffmpeg.file_url(picture), f="image2pipe", c="copy", **{"frames:v": 1}
        )
        with ffmpeg.output_errors(picture), ffmpeg.Process(ffmpeg.compile_argv(node)) as process:
            process.finish()
        place = f"-metadata:s:t:{first + number}"
        options += ["-attach", ffmpeg.file_url(picture)]
        options += [place, f"mimetype={kind}", place, f"filename={name}"]
    return options


def _cannot_hold(error: ToolError, job: _Job) -> Exception:
    if error.returncode is None or error.returncode < 0:
        return error
    cause = ffmpeg.last_line(error.stderr_tail)
    own = job.media.suffix.lower()
    is_other = own.removeprefix(".") in captioned_containers() and own != job.staged.suffix.lower()
    other = own if is_other else ".mkv"
    return InputError(
        f"a {job.staged.suffix} cannot hold the streams of this file ({cause})",
        fix=f"let the name of the new file end in {other}",
    )


# -------------------------------------------------------------------------------------- notes


def _notes(
    captions: CaptionSupport, source: MediaStreams, timeline: Timeline, *, spread: bool
) -> Iterator[str]:
    if source.has_chapters:
        yield "Its own chapters were replaced."
    if not captions.subtitles:
        yield "The container has no subtitle tracks, so the file has chapters only."
    if captions.subtitles == MOV_TEXT and len(timeline.entries) > MOST_LISTED_CHAPTERS:
        yield f"Some players list only the first {MOST_LISTED_CHAPTERS} chapters."
    yield from losses(timeline, CHAPTERS)
    if captions.subtitles:
        yield from losses(timeline, captions.text, spread=spread)
    length_s, media_s = timeline.source.span.exact_s, source.duration_s
    # An MP4's duration counts the time before its first stream only sometimes.
    if media_s is not None and min(
        abs(length_s - media_s), abs(length_s - media_s - source.before_s)
    ) > (ALIKE_S + ALIKE_SHARE * media_s):
        yield (
            f"The timeline is {float(length_s):.1f} s long and the media file "
            f"{float(media_s):.1f} s: they may not belong together."
        )
