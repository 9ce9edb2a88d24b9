"""`embed`: write a timeline into its media file, as a subtitle track and as chapters.

Rules: every other stream is copied packet by packet; tags and cover art are kept, converted or
named; the source is only read. The new file is read back and compared with its source and with the
timeline before it appears under its name. ffmpeg reads the timeline from the formats `srt` (or
`vtt`) and `ffmetadata`; mutagen writes the chapters of an MP3. A timeline's clock is that of its
source, and its source states when the sound begins on it; `embed` moves the times if the sound of
the media file begins at another time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from captoolkit.bitstream.containers import (
    MOV_TEXT,
    CaptionSupport,
    Container,
    captioned_containers,
)
from captoolkit.errors import ToolError, UsageError
from captoolkit.media import (
    caption_check,
    caption_mux,
    durations,
    ffmpeg,
    id3_chapters,
    probe_by_ffmpeg,
)
from captoolkit.media.caption_check import ExpectedCue
from captoolkit.media.caption_mux import CHAPTERS, CaptionJob
from captoolkit.media.file_contents import FileContents, read_contents
from captoolkit.media.id3_chapters import Id3Chapter
from captoolkit.media.probe_by_ffmpeg import MediaStreams
from captoolkit.model import Entry
from captoolkit.support import files
from captoolkit.timeline import ffmetadata, load, losses, render, srt, vtt
from captoolkit.timeline.cues import cues, entry_title, timestamp
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import BEFORE_FIRST

CUE_TEXTS = {"srt": srt.cue_text, "vtt": vtt.cue_text}
LONG_LINE = re.compile(r"\S{2000}(?=\S)")  # ffmpeg cuts off lines of some thousand bytes
LANGUAGE = re.compile(r"[a-z]{3}")
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
    *,
    out: str | os.PathLike[str],
    overwrite: bool = False,
    spread: bool = False,
    language: str | None = None,
) -> Embedded:
    """Write the media file with the timeline inside: a subtitle track and chapters.

    Args:
        media: the captioned media file, or one with the same sound.
        timeline: the timeline, or its `.json` file.
        out: the new file; its ending selects the container.
        overwrite: replace an existing file, but never an input.
        spread: give each sentence its own subtitle, with times in proportion to their length.
        language: the language of the captions as players list it, by its three letters (ISO
            639-2): eng, zho, deu.

    Raises:
        UsageError: the container holds neither subtitles nor chapters, or less text than this, or
            `language` has not three letters.
        InputError: the media or the timeline cannot be read, or the container cannot hold the
            streams of the media file.
        OutputError: the new file cannot be written, exists already or is one of the inputs.
        ToolError: ffmpeg failed, or wrote something else than the timeline and the streams.
    """
    if language is not None and not LANGUAGE.fullmatch(language):
        raise UsageError(
            f"language={language} must have three small letters",
            fix="use a code of ISO 639-2, such as eng, zho or deu",
        )
    place = Path(os.path.abspath(out))  # noqa: PTH100 - keeps links as they are
    container, captions = _container(place)
    inputs = [Path(media)] if isinstance(timeline, Timeline) else [Path(media), Path(timeline)]
    files.FileSet(inputs).refuse([place])
    if not overwrite:
        files.refuse_existing([place])
    loaded = timeline if isinstance(timeline, Timeline) else load(timeline)
    source = probe_by_ffmpeg.probe_streams(media)
    _refuse_too_many(container, captions, loaded)
    with files.staging(place.parent) as folder:
        embedding = _Embedding(
            media=Path(media),
            source=source,
            container=container,
            captions=captions,
            folder=folder,
            staged=folder / place.name,
            language=language or "",
            spread=spread,
        )
        shown, notes = embedding.write(loaded)
        with files.writing(place):
            files.place(embedding.staged, place, overwrite=overwrite)
    return Embedded(
        path=place,
        subtitles=captions.subtitles,
        chapters=len(shown.entries) + _has_time_before(captions, shown),
        notes=tuple(dict.fromkeys([*_notes(captions, source, shown, spread=spread), *notes])),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Embedding:
    """One new file in its staging folder."""

    media: Path
    source: MediaStreams
    container: Container
    captions: CaptionSupport
    folder: Path
    staged: Path
    language: str
    spread: bool

    def write(self, timeline: Timeline) -> tuple[Timeline, list[str]]:
        """Write the file and compare it; return the timeline on its clock, and notes."""
        if self.captions.has_id3_chapters and self.source.container == self.container.name:
            shown = _on_clock_of(self.source, timeline)
            return shown, id3_chapters.write_chapters(self.media, self.staged, _id3(shown))
        streams, notes = caption_mux.select_streams(
            self.captions, self.source.streams, self.staged.suffix
        )
        listed = [stream.index for stream in streams if stream.kind not in ("Attachment", "Data")]
        contents = read_contents(self.media, listed, self.folder)
        shown = _on_clock_of(self.source, timeline, contents)
        _refuse_long_texts(self.captions, self._cue_timeline(shown))
        job = CaptionJob(
            media=self.media,
            muxer=self.container.muxer,
            captions=self.captions,
            streams=streams,
            texts=self._write_texts(shown),
            language=self.language,
            tag_names=frozenset(contents.tags),
            clock_hz=_clock_hz(shown),
            before_s=self.source.before_s,
            staged=self.staged,
        )
        done, dropped = caption_mux.mux(job)
        lost = self._check(done, contents, shown)
        notes += [*dropped, *_faults_of(self.source, contents), *lost]
        if self.captions.has_id3_chapters:
            bare = self.staged.rename(self.folder / "bare.mp3")
            notes += id3_chapters.write_chapters(bare, self.staged, _id3(shown))
        return shown, notes

    @property
    def _is_mp4(self) -> bool:
        return self.captions.subtitles == MOV_TEXT

    def _cue_timeline(self, timeline: Timeline) -> Timeline:
        return timeline.spread() if self.spread else timeline

    def _write_texts(self, timeline: Timeline) -> dict[str, Path]:
        """Write the files from which ffmpeg reads the timeline, and return them by format."""
        formats = [CHAPTERS, *([self.captions.text] if self.captions.subtitles else [])]
        return {name: self._write_text(name, timeline) for name in formats}

    def _write_text(self, name: str, timeline: Timeline) -> Path:
        path = self.folder / f"timeline.{name}"
        text = render(timeline, name, spread=self.spread)
        if name == CHAPTERS and _has_time_before(self.captions, timeline):
            # QuickTime's list of chapters has no gap before its first one.
            first = f"START=0\nEND={_first_ms(timeline)}\ntitle={BEFORE_FIRST}\n"
            chapter = "\n[CHAPTER]\n"  # in a note it would follow a semicolon
            text = text.replace(chapter, f"{chapter}TIMEBASE=1/1000\n{first}{chapter[1:]}", 1)
        with files.writing(path):
            path.write_text(LONG_LINE.sub("\\g<0>\n", text), encoding="utf-8", newline="\n")
        return path

    def _check(self, job: CaptionJob, contents: FileContents, timeline: Timeline) -> list[str]:
        """Compare the new file with its source and the timeline; return notes on missing parts.

        A file with a fault is written again, as long as `_repairs` has another way.

        Raises:
            ToolError: the file departs from them.
        """
        fault, notes, shift_s = self._find_fault(job, contents, timeline)
        first_fault, repairs = fault, self._repairs(job, timeline, shift_s)
        while fault and (repaired := next(repairs, None)) is not None:
            caption_mux.mux(repaired)
            fault, notes, _ = self._find_fault(repaired, contents, timeline)
        if fault:
            tool = ffmpeg.find()
            other = "" if self.staged.suffix == ".mkv" else "let the name end in .mkv, or "
            raise ToolError(
                f"ffmpeg {tool.version} did not write this file correctly: {first_fault}",
                fix=f"{other}{tool.way_out}",
            )
        return notes

    def _repairs(
        self, job: CaptionJob, timeline: Timeline, shift_s: Fraction
    ) -> Iterator[CaptionJob]:
        """Yield jobs for further attempts, and change the texts that ffmpeg reads before each.

        Some versions lose the last packet of a late track of an MP4 on a fine clock. ffmpeg 5.1
        loses the last subtitle of an MP4, so one more follows the last and is lost in its place.
        Matroska has no times below zero, so ffmpeg moves the streams of a film whose beginning is
        cut off by an edit list, and their subtitles, but not the chapters.
        """
        if not self._is_mp4:
            if shift_s > caption_check.NEAR_S:
                self._write_text(CHAPTERS, timeline.shifted(shift_s))
                yield job
            return
        yield replace(job, clock_hz=DEFAULT_CLOCK_HZ)
        if timeline.entries:
            _append_cue(job.texts[self.captions.text], timeline)
            yield job
            yield replace(job, clock_hz=DEFAULT_CLOCK_HZ)

    def _find_fault(
        self, job: CaptionJob, contents: FileContents, timeline: Timeline
    ) -> tuple[str, list[str], Fraction]:
        """The first departure of the new file, or an empty text; and notes on missing parts.

        The third value is how much later the captioned sound is than in the source, in seconds.
        """
        written = probe_by_ffmpeg.probe_streams(self.staged)
        pairs = list(caption_check.copied_streams(job, written))
        absent = next((stream for stream, copy in pairs if copy is None), None)
        if absent is not None:
            return f"stream {absent.index} is missing", [], Fraction(0)
        subtitles = [one.index for one in written.streams if one.kind == "Subtitle"]
        if self.captions.subtitles and not subtitles:
            return "the subtitle track is missing", [], Fraction(0)
        copies = {stream.index: copy.index for stream, copy in pairs if copy is not None}
        found = read_contents(
            self.staged,
            list(copies.values()),
            self.folder,
            text_stream=subtitles[-1] if self.captions.subtitles else None,
        )
        # Before zero there is only the priming of a codec.
        zero_s = max(Fraction(0), self.source.zero_s)
        shift_s = zero_s
        for stream, _ in reversed(pairs):
            own, copy = contents.streams[stream.index], found.streams[copies[stream.index]]
            change = caption_check.find_changed_stream(own, copy, stream.codec)
            if change:
                return f"stream {stream.index} ({stream.codec}) {change}", [], Fraction(0)
            if stream.kind == "Audio" and own.has_times and copy.has_times:
                shift_s = copy.start_s - own.start_s + zero_s
        for stream, _ in pairs:
            own, copy = contents.streams[stream.index], found.streams[copies[stream.index]]
            moved = caption_check.find_moved_packets(own, copy, shift_s - zero_s)
            if moved and not stream.is_cover:
                return f"stream {stream.index} ({stream.codec}) {moved}", [], Fraction(0)
        notes = self._note_losses(contents, found, written)
        return self._find_text_fault(found, timeline, shift_s), notes, shift_s

    def _note_losses(
        self, contents: FileContents, found: FileContents, written: MediaStreams
    ) -> list[str]:
        """Return notes on tags, ID3 frames and a rotation that the new file lacks."""
        notes = []
        lost = caption_check.find_lost_tags(contents, found)
        if lost:
            notes.append(f"Tags that the new file lacks: {', '.join(lost)}.")
        if self.source.container == "mp3":
            frames = id3_chapters.frames_not_carried(self.media)
            notes += [f"ID3 frames that it lacks: {', '.join(frames)}."] if frames else []
        rotated = [one.index for one in self.source.streams if one.is_rotated]
        if rotated and not any(one.is_rotated for one in written.streams):
            notes.append(f"The rotation of stream {rotated[0]} is lost: players show it unrotated.")
        return notes

    def _find_text_fault(self, found: FileContents, timeline: Timeline, shift_s: Fraction) -> str:
        """The first departure of cues and chapters from the timeline; empty without one."""
        fault = ""
        if self.captions.subtitles:
            expected = _expected(self._cue_timeline(timeline), CUE_TEXTS[self.captions.text])
            fault = caption_check.find_cue_fault(
                found.texts, expected, shift_s, self.captions.subtitles
            )
        if not fault and not self.captions.has_id3_chapters:
            expected = _expected(timeline, ffmetadata.chapter_title)
            if _has_time_before(self.captions, timeline):
                first = ExpectedCue(
                    start_s=Fraction(0), end_s=expected[0].start_s, text=BEFORE_FIRST
                )
                expected = [first, *expected]
            # An MP4 has its chapters on the clock of the movie.
            shifts_s = (shift_s, Fraction(0)) if self._is_mp4 else (shift_s,)
            fault = caption_check.find_chapter_fault(found.chapters, expected, *shifts_s)
        return fault


def _expected(timeline: Timeline, text_of: Callable[[Entry], str]) -> list[ExpectedCue]:
    return [
        ExpectedCue(
            start_s=Fraction(cue.start_ms, 1000),
            end_s=Fraction(cue.end_ms, 1000),
            text=text_of(cue.entry),
        )
        for cue in cues(timeline)
    ]


def _first_ms(timeline: Timeline) -> int:
    return next(cues(timeline)).start_ms


def _has_time_before(captions: CaptionSupport, timeline: Timeline) -> bool:
    """Whether an MP4 needs a chapter before the first entry."""
    is_mp4 = captions.subtitles == MOV_TEXT and bool(timeline.entries)
    return is_mp4 and _first_ms(timeline) > 1000 * caption_check.NEAR_S


def _id3(timeline: Timeline) -> list[Id3Chapter]:
    return [
        Id3Chapter(start_ms=cue.start_ms, end_ms=cue.end_ms, title=entry_title(cue.entry))
        for cue in cues(timeline)
    ]


def _append_cue(path: Path, timeline: Timeline) -> None:
    """Add a subtitle behind the last one of an SRT file."""
    last = list(cues(timeline))[-1]
    times = (timestamp(last.end_ms + ms, mark=",") for ms in (0, 1))
    with files.writing(path), path.open("a", encoding="utf-8", newline="\n") as stream:
        stream.write(f"\n{' --> '.join(times)}\n-\n".replace("\n", "\n0\n", 1))


def _faults_of(source: MediaStreams, contents: FileContents) -> list[str]:
    """Sentences on a media file that ends before its end."""
    ends_s = [stream.end_s for stream in contents.streams.values()]
    end_s = max(ends_s, default=Fraction(0)) - source.start_s
    promised_s = source.duration_s
    if promised_s is not None and durations.is_shortfall(
        promised_s=float(promised_s), held_s=float(end_s + max(source.start_s, Fraction(0)))
    ):
        return [
            f"The media file is cut off: it promises {float(promised_s):.1f} s and ends at "
            f"{float(end_s):.1f} s."
        ]
    return [f"The media file is cut off ({contents.fault})."] if contents.fault else []


def _on_clock_of(
    media: MediaStreams, timeline: Timeline, contents: FileContents | None = None
) -> Timeline:
    """The timeline on the clock of the media file.

    Its own clock is that of a file in which the sound begins at another time, if the timeline was
    made of an extract of the sound. An older ffmpeg does not print where a stream begins, so its
    first packet counts as well.
    """
    track = timeline.source.track
    late_s = media.late_s(track)
    sounds = [one for one in media.streams if one.kind == "Audio"]
    if contents is not None and track <= len(sounds):
        packets = contents.streams[sounds[track - 1].index]
        if packets.has_times:
            late_s = max(late_s, packets.start_s - media.start_s)
    own_s = Fraction(timeline.source.start_samples, timeline.source.sample_rate_hz)
    later_s = media.before_s + late_s - own_s
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
            f"{container.title} files hold {most} chapters, and the timeline has "
            f"{len(timeline.entries):,} entries",
            fix="make an .mka, which holds any number",
        )


def _refuse_long_texts(captions: CaptionSupport, timeline: Timeline) -> None:
    if captions.subtitles != MOV_TEXT:
        return
    for cue in cues(timeline):
        size_bytes = len(srt.cue_text(cue.entry).encode())
        if size_bytes > MOST_TEXT_BYTES:
            raise UsageError(
                f"the caption of entry {cue.entry.index} ({cue.times}) is {size_bytes:,} bytes "
                f"long; a subtitle of this container holds {MOST_TEXT_BYTES:,}",
                fix="pass spread=True, or make an .mkv",
            )


def _clock_hz(timeline: Timeline) -> int:
    """The clock of an MP4's header: the sample rate of the sound, so that no edit is rounded.

    Without this option ffmpeg 9 takes a clock on which every track is exact, and then loses
    chapters of more than 2^31 ticks of it (20 minutes, for example).
    """
    longest = max((entry.source_span.samples for entry in timeline.entries), default=0)
    return timeline.source.sample_rate_hz if longest <= MOST_TICKS else DEFAULT_CLOCK_HZ


# -------------------------------------------------------------------------------------- notes


def _notes(
    captions: CaptionSupport, source: MediaStreams, timeline: Timeline, *, spread: bool
) -> Iterator[str]:
    if source.has_chapters:
        yield "Its own chapters were replaced."
    if not captions.subtitles:
        yield "The container has no subtitle tracks, so the file has chapters only."
    if _has_time_before(captions, timeline):
        yield "The chapters of this container begin at 0:00, so one without a caption comes first."
    chapters = len(timeline.entries) + _has_time_before(captions, timeline)
    if captions.subtitles == MOV_TEXT and chapters > MOST_LISTED_CHAPTERS:
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
