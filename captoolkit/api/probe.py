"""The verb `probe`: the content of a recording."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

from captoolkit.api.recording import open_file
from captoolkit.media import probe_file
from captoolkit.model import MediaInfo

if TYPE_CHECKING:
    from captoolkit.media.source import Source


def probe(source: Source) -> MediaInfo:
    """Return the content of a recording: container, tracks, exact durations, and warnings.

    Args:
        source: as for `plan`.

    Raises:
        UsageError: the source is no recording of a supported type.
        InputError: it is missing, no media, or without sound.
        ToolError: ffmpeg failed.
    """
    with contextlib.closing(open_file(source)) as opened:
        return dataclasses.replace(probe_file.probe(opened.path), path=opened.name)
