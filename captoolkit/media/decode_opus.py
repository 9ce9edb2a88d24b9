"""Decode a short Ogg Opus in this process, by libsndfile with libopus, the reference decoder.

Rules: only a file whose pages captoolkit has verified is decoded here (`bitstream.opus`), as a
whole and up to the limits of `short_files`; ffmpeg decodes every other. Which of the two decodes
depends on the file alone, so that a recording always has the same samples. libsndfile decodes at
the rate that the header states for the source, and misreads some positions, so it gets a copy that
states 48 kHz and begins at 0.

Files of strangers: libsndfile gets at most some megabytes of memory, never a name or a descriptor,
and only whole pages with well-formed packets of one stream with one or two channels; the space for
its samples is the length that captoolkit counted. It has read the headers of Ogg files before
(`sndfile.misreadings`). A watcher holds the line to print if the process dies
(`decode_in_process`), and `CAPTOOLKIT_DECODER=ffmpeg` turns this way off.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from captoolkit.bitstream import opus
from captoolkit.media import child_processes, decode_in_process
from captoolkit.model import Track


class _ForwardSound(soundfile.SoundFile):  # type: ignore[misc]  # soundfile is untyped
    """A sound that is read once: soundfile would seek behind each block, and decode it again."""

    def seekable(self) -> bool:
        return False


def decode_whole(path: Path, track: Track) -> NDArray[np.float32] | None:
    """Return all samples of a short track, shape (frames, channels); None where ffmpeg decodes."""
    if not decode_in_process.is_allowed() or track.stream_index or track.reading:
        return None
    try:
        with path.open("rb") as stream:
            data = stream.read(opus.MAX_FILE_BYTES + 1)
    except OSError:  # ffmpeg reports it
        return None
    sound = opus.read_ogg_opus(data)
    if sound is None or (sound.samples, sound.channels) != (track.duration_samples, track.channels):
        return None
    with child_processes.last_words(decode_in_process.last_words_of(path)):
        try:
            with _ForwardSound(io.BytesIO(opus.plainest(data, sound))) as source:
                if (source.samplerate, source.channels) != (opus.RATE_HZ, sound.channels):
                    return None
                samples: NDArray[np.float32] = source.read(
                    sound.samples, dtype="float32", always_2d=True
                )
        except soundfile.SoundFileError:
            return None
    return samples if len(samples) == sound.samples else None
