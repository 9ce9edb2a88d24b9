"""Probe a media file: container, tracks, pictures and the exact duration of every track.

Rules: a plain WAV, FLAC or short Ogg is read in process (`probe_in_process`), all other files by
ffmpeg (`probe_by_ffmpeg`), which is imported only for them: `probe` of a WAV loads neither numpy
nor the module that starts ffmpeg.
"""

from __future__ import annotations

import os
from pathlib import Path

from captoolkit.errors import NoAudioError
from captoolkit.media.probe_in_process import probe_in_process, readable_size
from captoolkit.media.source import refuse_url
from captoolkit.model import MediaInfo, Track


def probe(path: str | os.PathLike[str], *, decodes: bool = False) -> MediaInfo:
    """Return the contents of the media file at `path`, with the exact duration of every track.

    Args:
        path: the file.
        decodes: the samples will be needed: where it takes no further ffmpeg, keep them.

    Raises:
        SourceNotFoundError: the file does not exist or cannot be read.
        NotMediaError: ffmpeg cannot read it.
        NoAudioError: it has no sound track, or each track is empty or exceeds the limits of
            `channel_layouts`.
    """
    refuse_url(path)
    file = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
    size_bytes = readable_size(file)
    info = probe_in_process(file, size_bytes=size_bytes)
    if info is None:
        from captoolkit.media.probe_by_ffmpeg import probe_by_ffmpeg

        info = probe_by_ffmpeg(file, size_bytes=size_bytes, decodes=decodes)
    return info


def choose_track(info: MediaInfo, wanted: str | int | None) -> Track:
    """Return the track with that number (from 1) or language; the default track for None.

    Raises:
        NoAudioError: no track matches; the error lists all tracks.
    """
    if wanted is None:
        return info.default_track
    for track in info.tracks:
        language = (track.language or "").lower()
        if str(wanted) == str(track.number) or str(wanted).lower() == language:
            return track
    names = [f"{t.number} ({t.language})" if t.language else str(t.number) for t in info.tracks]
    raise NoAudioError(
        f"it has no sound track {wanted}",
        fix=f"choose from {', '.join(names)}"
        if len(names) > 1
        else f"take {names[0]}, the only one",
        path=info.path,
    )
