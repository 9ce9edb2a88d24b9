"""Samples that ffmpeg reads by their place in the file, because their header misleads it.

`bitstream.pcm_layout` reads the header. Where ffmpeg takes the samples for another codec, or stops
before their end, the track gets `reading`: the options with which ffmpeg reads them as raw PCM.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from captoolkit.bitstream import channel_layouts, containers, riff
from captoolkit.bitstream.pcm_layout import PcmLayout, read_layout
from captoolkit.bitstream.signatures import by_signature
from captoolkit.errors import NoAudioError, NotMediaError, SourceNotFoundError
from captoolkit.model import MediaInfo, Track

HEAD_BYTES = 16  # that identify a container
LAYOUTS = {1: "mono", 2: "stereo"}
SIZES_ARE_WRONG = "The sizes in its header are not those of the file."


def layout_of(file: Path, raw: str | None = None) -> PcmLayout | None:
    """Return the place of a file's samples; None for any other file.

    Args:
        file: the file.
        raw: the samples of a file without a header, as `pcm_layout.parse_raw` reads them.

    Raises:
        NotMediaError: the header contradicts itself.
    """
    if raw is not None:
        return PcmLayout.of_raw(raw, file.stat().st_size)
    with file.open("rb") as stream:
        try:
            return read_layout(stream)
        except NotMediaError as error:
            raise NotMediaError(error.problem, fix=error.fix, path=file) from None


def raw_info(file: Path, raw: str) -> MediaInfo:
    """Return the content of a file of samples without a header.

    Args:
        file: the file.
        raw: the samples, as `pcm_layout.parse_raw` reads them.

    Raises:
        SourceNotFoundError: the file cannot be read.
        NotMediaError: it begins as compressed sound.
        NoAudioError: it holds no sample.
    """
    try:
        size_bytes = file.stat().st_size
        with file.open("rb") as stream:
            begun = by_signature(stream.read(HEAD_BYTES))
    except OSError as error:
        raise SourceNotFoundError(
            f"it cannot be read ({error.strerror})", fix="check the name", path=file
        ) from error
    title = begun.title.partition(",")[0] if begun else ""
    if begun and not begun.holds_samples:
        raise NotMediaError(
            f"it begins as {title}, not as samples without a header",
            fix="leave out `raw`",
            path=file,
        )
    info = info_by_place(file, PcmLayout.of_raw(raw, size_bytes), size_bytes=size_bytes)
    if begun is None:
        return info
    warning = f"It begins as {title}, and its header becomes sound; leave out `raw`."
    return replace(info, warnings=(*info.warnings, warning))


def misreadings(layout: PcmLayout | None) -> list[str]:
    """Return how readers misread samples that ffmpeg reads right, as sentences."""
    return [] if layout is None or layout.has_true_sizes else [SIZES_ARE_WRONG]


def warnings(layout: PcmLayout | None) -> list[str]:
    """Return a sentence on the bytes that are not read, if there are any."""
    if layout is None or layout.unread_bytes < layout.frame_bytes:
        return []
    return [f"{layout.unread_bytes:,} bytes behind its sound belong to nothing and are not read."]


def info_by_place(
    file: Path,
    layout: PcmLayout,
    *,
    size_bytes: int,
    codec: str | None = None,
    channel_layout: str = "",
) -> MediaInfo:
    """Return the content of a file with samples that are read by their place.

    Args:
        file: the file.
        layout: the place of its samples.
        size_bytes: the size of the file.
        codec: the codec that ffmpeg finds; empty where it reads nothing; None if it is not known.
        channel_layout: the channels that ffmpeg finds, as it names them.

    Raises:
        NoAudioError: the header states no sound, or more than captoolkit decodes.
    """
    rate_hz, channels = layout.rate_hz, layout.channels
    excess = channel_layouts.excess(rate_hz=rate_hz, channels=channels)
    if excess or not layout.frames:
        raise NoAudioError(
            f"sound track 1 ({layout.codec}) {excess or 'holds no sound'}",
            fix="check how the file was made",
            path=file,
        )
    if channel_layouts.channels(channel_layout) != channels:
        channel_layout = LAYOUTS.get(channels, f"{channels} channels")
    stated = misreadings(layout)
    if codec not in (None, layout.codec):
        found = f"find {codec} in it" if codec else "cannot read it"
        stated.insert(0, f"Some readers (ffmpeg) {found}; its samples are {layout.codec}.")
    return MediaInfo(
        path=str(file),
        size_bytes=size_bytes,
        container=layout.container,
        tracks=(
            Track(
                number=1,
                stream_index=0,
                codec=layout.codec,
                sample_rate_hz=rate_hz,
                channels=channels,
                layout=channel_layout,
                duration_samples=layout.frames,
                reading=raw_reading(layout.codec, rate_hz, channels, start=layout.start_bytes),
                bit_rate=8 * layout.frame_bytes * rate_hz,
            ),
        ),
        plain_header=not containers.of(layout.container).is_riff or riff.has_plain_header(file),
        misreadings=tuple(stated),
        warnings=tuple(warnings(layout)),
    )


def raw_reading(
    codec: str, rate_hz: int, channels: int, *, start: int = 0
) -> tuple[tuple[str, str | int], ...]:
    """Return ffmpeg's options to read raw samples that begin at a byte of the file."""
    options: list[tuple[str, str | int]] = [("f", codec.removeprefix("pcm_"))]
    options += [("ar", rate_hz), ("ac", channels)]
    return (*options, ("skip_initial_bytes", start)) if start else tuple(options)
