"""One ffmpeg that decodes a stretch of a source and encodes it into a finished segment.

Rules: both ends of the stretch are decided, so no sample passes through this process. The segment
has the same samples as one that `encode` makes. Encodings that ffmpeg cannot clip on the way, and
floats that are not numbers, go through `encode`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from captoolkit.bitstream.encodings import spec_of
from captoolkit.media import decode, encode, encode_mp3, ffmpeg, ffmpeg_process
from captoolkit.model import Encoding, Span, Track
from captoolkit.support.cancel import Closing

PROGRESS_S = 0.25
MICROSECONDS = 1_000_000


def can_transcode(track: Track, encoding: Encoding) -> bool:
    """Return whether ffmpeg alone encodes a track with the same result as `encode`.

    False where this process encodes: of a source that ffmpeg decodes as well, a pipe from there to
    here takes less CPU time than ffmpeg's encoder does.
    """
    if encoding.sample_type or decode.may_hold_nan(track) or encode_mp3.can_encode(encoding):
        return False
    return spec_of(encoding).clips_integers


class Transcoder(Closing):
    """An ffmpeg that decodes a stretch of a track and encodes it into a file.

    Iterating waits for ffmpeg and yields its progress.

    Args:
        source: the media file, in which a decoder can jump to any sample.
        path: the file to make.
        encoding: the encoding; one for which `can_transcode` is true.
        track: the track to decode.
        span: the stretch of the track.
        mix, gain_db: as for `TrackDecoder`.
    """

    def __init__(
        self,
        source: Path,
        path: Path,
        encoding: Encoding,
        *,
        track: Track,
        span: Span,
        mix: decode.Mix | None,
        gain_db: float = 0.0,
    ) -> None:
        filters = decode.mix_filters(encoding.sample_rate_hz, track, mix, gain_db)
        node = decode.track_source(source, track, span.start_samples, span.end_samples).output(
            ffmpeg.file_url(path),
            af=",".join([decode.GATHER, *filters, "aformat=sample_fmts=s32p"]),
            ar=encoding.sample_rate_hz,
            threads=1,  # each core has a segment of its own
            progress="pipe:1",
            stats_period=PROGRESS_S,
            **encode.options(encoding),
        )
        self._path = path
        self._process = ffmpeg_process.Process(ffmpeg.compile_argv(node))

    def __iter__(self) -> Iterator[float]:
        """Yield, several times, how many seconds of the stretch are done.

        Raises:
            OutputError: the disk is full.
            ToolError: ffmpeg could not decode, or not encode.
        """
        for line in self._process.lines():
            name, _, value = line.strip().partition(b"=")
            if name == b"out_time_us" and value.isdigit():
                yield int(value) / MICROSECONDS
        with ffmpeg_process.output_errors(self._path):
            self._process.finish()

    def close(self) -> None:
        """End ffmpeg; may be called twice."""
        self._process.close()
