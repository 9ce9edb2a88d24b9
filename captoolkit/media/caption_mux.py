"""The ffmpeg command that writes a media file with a timeline inside.

Rules: every stream is copied packet by packet if the new container holds it. A subtitle track in
another text codec is converted; a stream that the container cannot hold is left out and named. The
written subtitles are the last stream, except for attachments. `caption_check` reads the file back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from captoolkit.bitstream.containers import (
    MOV_TEXT,
    CaptionSupport,
    captioned_containers,
)
from captoolkit.errors import InputError, ToolError
from captoolkit.media import ffmpeg, ffmpeg_process
from captoolkit.media.player_clock import LONGEST_GAP_S
from captoolkit.media.probe_by_ffmpeg import MediaStream

CHAPTERS = "ffmetadata"
DEMUXERS = {"srt": "srt", "vtt": "webvtt"}
PICTURES = {"mjpeg": ("jpg", "image/jpeg"), "png": ("png", "image/png")}
TRACK_NAME = "Captions"
SUBTITLE_CLOCK_HZ = 1000
# Subtitle codecs of plain or styled text, which ffmpeg converts into each other.
TEXT_CODECS = frozenset({"ass", "mov_text", "ssa", "subrip", "text", "webvtt"})
# QuickTime's own tags (make, location), which an MP4 holds only in a list of keys.
QUICKTIME_TAG = "com."


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionJob:
    """The parameters of one new file.

    Attributes:
        media: the media file.
        muxer: ffmpeg's muxer.
        captions: how the container carries a timeline.
        streams: the streams of the media file that the new file gets.
        texts: the timeline, by the formats that ffmpeg reads it from.
        language: the language of the subtitles (ISO 639-2); empty if it is unknown.
        tag_names: the names of the tags of the media file.
        clock_hz: the clock of an MP4's header.
        before_s: the time before the first stream.
        staged: the new file.
    """

    media: Path
    muxer: str
    captions: CaptionSupport
    streams: tuple[MediaStream, ...]
    texts: dict[str, Path]
    language: str
    tag_names: frozenset[str]
    clock_hz: int
    before_s: Fraction
    staged: Path

    @property
    def covers(self) -> list[MediaStream]:
        """The covers that become attachments; a copied cover would become a video."""
        return [one for one in self.streams if one.is_cover] if self._attaches_covers else []

    @property
    def _attaches_covers(self) -> bool:
        return self.captions.attaches_covers

    def is_converted(self, stream: MediaStream) -> bool:
        """Return whether a subtitle stream gets another codec."""
        return stream.kind == "Subtitle" and stream.codec not in self.captions.holds_subtitles


def select_streams(
    captions: CaptionSupport, streams: Sequence[MediaStream], suffix: str
) -> tuple[tuple[MediaStream, ...], list[str]]:
    """Return the streams for the new file, and sentences on the others and on converted ones."""
    kept, notes = [], []
    for stream in streams:
        is_text = stream.codec in TEXT_CODECS and captions.subtitles
        place = f"Stream {stream.index} ({_description(stream)})"
        if stream.is_chapter_track:  # the new chapters replace it
            continue
        if (
            (stream.kind == "Attachment" and not captions.holds_attachments)
            or (stream.is_cover and not captions.holds_covers)
            or (
                stream.kind == "Subtitle"
                and stream.codec not in captions.holds_subtitles
                and not is_text
            )
        ):
            notes.append(f"{place} is left out, because {suffix} files cannot hold it.")
            continue
        if stream.kind == "Subtitle" and stream.codec not in captions.holds_subtitles:
            notes.append(
                f"{place} was converted to {captions.subtitles}; its styles and positions may "
                "be lost."
            )
        kept.append(stream)
    return tuple(kept), notes


def _description(stream: MediaStream) -> str:
    kind = "cover" if stream.is_cover else stream.kind.lower()
    return f"{kind}, {stream.codec}" if stream.codec != "none" else kind


def mux(job: CaptionJob) -> tuple[CaptionJob, list[str]]:
    """Write the file; return the job with the streams that it has, and sentences on the others.

    The file gets data streams (a camera's positions, for example) if the container takes them.

    Raises:
        InputError: the container cannot hold the streams.
        OutputError: the file cannot be written.
        ToolError: ffmpeg was ended.
    """
    data = [stream for stream in job.streams if stream.kind == "Data"]
    try:
        _run(job)
    except ToolError as error:
        if not data:
            raise _cannot_hold(error, job) from error
    else:
        return job, []
    without = replace(job, streams=tuple(one for one in job.streams if one.kind != "Data"))
    try:
        _run(without)
    except ToolError as error:
        raise _cannot_hold(error, job) from error
    return without, [
        f"The container cannot hold {len(data)} data stream{'s' if len(data) > 1 else ''}."
    ]


def _run(job: CaptionJob) -> None:
    """Run ffmpeg: copy every stream, append the subtitles as the last one, set the chapters."""
    captions, covers = job.captions, job.covers
    # ffmpeg lets the first stream begin at zero; this keeps the time before it.
    shift: dict[str, Any] = {"itsoffset": float(job.before_s)} if job.before_s else {}
    media = ffmpeg.source(job.media, **shift)
    copied = [stream for stream in job.streams if stream not in covers]
    nodes = [media[str(stream.index)] for stream in copied]
    subtitles = [stream for stream in copied if stream.kind == "Subtitle"]
    options: dict[str, Any] = {"c": "copy", **captions.muxer_options}
    for number, stream in enumerate(subtitles):
        if job.is_converted(stream):
            options[f"c:s:{number}"] = captions.subtitles
    if captions.subtitles == MOV_TEXT:
        options["movie_timescale"] = job.clock_hz
        if any(name.startswith(QUICKTIME_TAG) for name in job.tag_names):
            options["movflags"] = f"{options.get('movflags', '')}+use_metadata_tags"
    if captions.subtitles:
        number = len(subtitles)
        nodes.append(ffmpeg.own_source(job.texts[captions.text], demuxer=DEMUXERS[captions.text]))
        options[f"metadata:s:s:{number}"] = f"{captions.track_tag}={TRACK_NAME}"
        if captions.subtitles == MOV_TEXT:
            options[f"c:s:{number}"] = MOV_TEXT
            # In ffmpeg's default unit of microseconds, a subtitle could not last 36 minutes.
            options[f"bsf:s:{number}"] = f"setts=time_base=1/{SUBTITLE_CLOCK_HZ}"
    # Chapters are no stream; this optional selector matches nothing and makes the file an input.
    nodes.append(ffmpeg.own_source(job.texts[CHAPTERS], demuxer=CHAPTERS)["t?"])
    node = ffmpeg.output(
        nodes,
        job.staged,
        f=job.muxer,
        dts_delta_threshold=LONGEST_GAP_S,  # ffmpeg would close longer gaps of a transport stream
        map_metadata=0,
        map_chapters=_chapter_input(captions),
        fflags="+bitexact",
        **options,
    )
    argv, place = ffmpeg.compile_argv(node), ffmpeg.file_url(job.staged)
    fonts = sum(stream.kind == "Attachment" for stream in copied)
    extra = _attachments(job, covers, fonts)
    if captions.subtitles and job.language:
        extra += [f"-metadata:s:s:{len(subtitles)}", f"language={job.language}"]
    argv[argv.index(place) : argv.index(place)] = extra
    with (
        ffmpeg_process.output_errors(job.staged),
        ffmpeg_process.Process(argv, writes=job.staged) as process,
    ):
        process.finish()


def _chapter_input(captions: CaptionSupport) -> int:
    """The number of the input with the chapters; -1 if they are written elsewhere."""
    if captions.has_id3_chapters:
        return -1
    return 2 if captions.subtitles else 1


def _attachments(job: CaptionJob, covers: list[MediaStream], first: int) -> list[str]:
    """The options that attach covers as Matroska does."""
    options: list[str] = []
    for number, stream in enumerate(covers):
        suffix, kind = PICTURES.get(stream.codec, (stream.codec, f"image/{stream.codec}"))
        name = f"cover{f'-{number + 1}' if number else ''}.{suffix}"
        picture = job.staged.with_name(name)
        node = ffmpeg.source(job.media)[str(stream.index)].output(
            ffmpeg.file_url(picture), f="image2pipe", c="copy", **{"frames:v": 1}
        )
        with (
            ffmpeg_process.output_errors(picture),
            ffmpeg_process.Process(ffmpeg.compile_argv(node)) as process,
        ):
            process.finish()
        place = f"-metadata:s:t:{first + number}"
        options += ["-attach", ffmpeg.file_url(picture)]
        options += [place, f"mimetype={kind}", place, f"filename={name}"]
    return options


def _cannot_hold(error: ToolError, job: CaptionJob) -> Exception:
    if error.returncode is None or error.returncode < 0:
        return error
    lines = error.stderr_tail.splitlines()
    causes = [line for line in lines if "supported" in line or "find tag" in line]
    cause = ffmpeg_process.last_line(causes[0] if causes else error.stderr_tail)
    own = job.media.suffix.lower()
    is_other = own.removeprefix(".") in captioned_containers() and own != job.staged.suffix.lower()
    other = own if is_other else ".mkv"
    return InputError(
        f"{job.staged.suffix} files cannot hold the streams of this one ({cause})",
        fix=f"let the name of the new file end in {other}",
    )
