"""Decode a short Ogg with Opus or Vorbis in this process, by libsndfile.

libsndfile has the reference decoders of both: libopus and libvorbis. Rules: only a file whose pages
captoolkit has verified is decoded here (`bitstream.ogg_sound`), as a whole and up to the limits of
`short_files`; ffmpeg decodes every other. Which of the two decodes depends on the file alone, so
that a recording always has the same samples. libsndfile decodes an Opus at the rate that the header
states for the source, and misreads some positions, so it gets a copy that states 48 kHz and begins
at 0.

Files of strangers: libsndfile gets at most some megabytes of memory, never a name or a descriptor,
and only whole pages of one stream with one or two channels, whose packets have well-formed headers;
the space for its samples is the length that captoolkit counted. It reads the headers of all other
Ogg files as well (`sndfile.misreadings`). A watcher holds the line to print if the process dies
(`decode_in_process`), and `CAPTOOLKIT_DECODER=ffmpeg` turns this way off.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from captoolkit.bitstream import ogg_sound
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
            data = stream.read(ogg_sound.MAX_FILE_BYTES + 1)
    except OSError:  # ffmpeg reports it
        return None
    sound = ogg_sound.read_sound(data)
    if sound is None or (sound.samples, sound.channels) != (track.duration_samples, track.channels):
        return None
    with child_processes.last_words(decode_in_process.last_words_of(path)):
        try:
            with _ForwardSound(io.BytesIO(ogg_sound.plainest(data, sound))) as source:
                if (source.samplerate, source.channels) != (sound.rate_hz, sound.channels):
                    return None
                samples: NDArray[np.float32] = source.read(
                    sound.samples, dtype="float32", always_2d=True
                )
        except soundfile.SoundFileError:
            return None
    return samples if len(samples) == sound.samples else None
