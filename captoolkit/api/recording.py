"""A source, opened: the file with its bytes, the description of its content, and the track to use.

Rules: a verb opens its source only after it has read its options. A URL is downloaded to a
temporary file, and only then is the HTTP client imported.
"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

from captoolkit.errors import CaptoolkitError, InputError
from captoolkit.media import probe_file
from captoolkit.media.source import OpenSource, is_web_url, open_source
from captoolkit.support.cancel import Closing
from captoolkit.units import format_clock

if TYPE_CHECKING:
    from fractions import Fraction
    from pathlib import Path

    from captoolkit.media.source import Source
    from captoolkit.model import MediaInfo, Plan, Track
    from captoolkit.planning.options import ParsedOptions


class Recording(Closing):
    """One track of an open source; closing it removes the temporary file, if there is one.

    Attributes:
        source: the file, and the name that the caller knows it by.
        info: the content of the file; its `path` is that of the file.
        track: the track to use.
    """

    def __init__(self, source: OpenSource, info: MediaInfo, track: Track) -> None:
        self.source = source
        self.info = info
        self.track = track

    def close(self) -> None:
        """Remove the temporary file, if there is one; may be called twice."""
        self.source.close()

    def __exit__(self, *error: object) -> None:
        """Close the recording; an error that leaves names the source as the caller does."""
        for part in error:
            if isinstance(part, CaptoolkitError):
                self.source.name_in(part)
        self.close()

    def named(self, plan: Plan) -> Plan:
        """Return the plan with the caller's name of the source instead of a temporary path."""
        return dataclasses.replace(plan, info=dataclasses.replace(plan.info, path=self.source.name))


def open_recording(source: Source, options: ParsedOptions) -> Recording:
    """Return the track of a source that the options choose.

    Raises:
        UsageError: the source is no recording of a supported type.
        InputError: it is missing, no media, has no such track, or lasts too long.
        ToolError: ffmpeg failed.
        OutputError: the disk has no room for a temporary file.
    """
    opened = open_file(source)
    try:
        info = probe_opened(opened, options.raw, decodes=True)
        opened.add_ending(ending_of(opened.name, info, info.default_track))
        info = dataclasses.replace(
            info, path=str(opened.path) if opened.is_temporary else info.path
        )
        track = probe_file.choose_track(info, options.track)
        _refuse_too_long(track, options.max_duration_s, opened.path)
    except BaseException as error:
        if isinstance(error, CaptoolkitError):
            opened.name_in(error)
        opened.close()
        raise
    return Recording(opened, info, track)


def _refuse_too_long(track: Track, longest_s: Fraction, path: Path) -> None:
    """Raise an InputError if a track lasts too long, or ends too late on the file's clock."""
    rate_hz, allowed = track.sample_rate_hz, f"the {format_clock(longest_s)} allowed"
    if track.duration_samples > longest_s * rate_hz:
        problem = f"it lasts {format_clock(track.duration_s)}, longer than {allowed}"
        fix = "raise the limit (`max_duration`) if that is what it is"
    elif track.end_samples > longest_s * rate_hz:
        begins_s, ends_s = track.start_samples / rate_hz, track.end_samples / rate_hz
        problem = (
            f"its sound begins at {format_clock(begins_s)} on the file's clock and ends at "
            f"{format_clock(ends_s)}, later than {allowed}"
        )
        fix = (
            "extract the sound track, for example to WAV, if that time is wrong; else raise the "
            "limit (`max_duration`)"
        )
    else:
        return
    raise InputError(problem, fix=fix, path=path)


def probe_opened(opened: OpenSource, raw: str | None, *, decodes: bool = False) -> MediaInfo:
    """Return the content of an open source.

    Args:
        opened: the source.
        raw: the samples of a file without a header.
        decodes: whether the samples will be needed (`probe_file.probe`).
    """
    if raw is not None:
        from captoolkit.media import samples_by_place

        return samples_by_place.raw_info(opened.path, raw)
    return probe_file.probe(opened.path, decodes=decodes)


def ending_of(name: str, info: MediaInfo, track: Track) -> str:
    """Return the ending for a temporary file: that of the source's name, else the container's.

    Only endings of media are taken from a name, and not `.php`, for example.
    """
    from captoolkit.bitstream import containers

    own = name.rpartition("/")[2].rpartition(".")[2].lower()
    if containers.is_media_suffix(own):
        return own
    from captoolkit.media import packets

    is_moving = any(not picture.is_cover for picture in info.pictures)
    container = containers.of(packets.container_of(info))
    return container.suffix_of(track.codec, is_moving=is_moving)


def open_file(source: Source) -> OpenSource:
    """Return a source as a file."""
    if web_url(source) is None:
        return open_source(source)
    from captoolkit.net.download import download

    return open_source(source, fetch=download)


def web_url(source: Source) -> str | None:
    """Return the http(s) URL that a source is, None for any other source."""
    if not isinstance(source, str | os.PathLike):
        return None
    text = os.fsdecode(source)
    return text if is_web_url(text) else None
