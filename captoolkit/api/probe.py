"""The verb `probe`: the content of a recording."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

from captoolkit.api.recording import open_file, probe_opened
from captoolkit.errors import CaptoolkitError
from captoolkit.model import MediaInfo

if TYPE_CHECKING:
    from captoolkit.media.source import Source


def probe(source: Source, *, raw: str | None = None) -> MediaInfo:
    """Return the content of a recording: container, tracks, exact durations, and warnings.

    Args:
        source: as for `plan`.
        raw: the samples of a file without a header, as `FORMAT:RATE:CHANNELS`: `s16le:16000:1`.

    Raises:
        UsageError: the source is no recording of a supported type.
        InputError: it is missing, no media, or without sound.
        ToolError: ffmpeg failed.
    """
    if raw is not None:
        from captoolkit.bitstream.pcm_layout import parse_raw

        parse_raw(raw)
    with contextlib.closing(open_file(source)) as opened:
        try:
            return dataclasses.replace(probe_opened(opened, raw), path=opened.name)
        except CaptoolkitError as error:
            opened.name_in(error)
            raise
