"""The lossless writer: samples that keep every bit, and the read-back that proves it.

Rules: a finished file decodes to the written samples, bit by bit; a float that is not a number
stays one. A lossy decoder's output beyond full scale arrives clipped, because no integer holds it.
A file carries its recording's tags.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captoolkit.bitstream import containers
from captoolkit.bitstream.lossless import LOSSLESS
from captoolkit.errors import LimitError
from captoolkit.media import decode, ffmpeg, ffmpeg_process, probe_file, sndfile
from captoolkit.media.tags import tagged
from captoolkit.media.tags import write as write_tags
from captoolkit.model import Encoding
from captoolkit.support import files

Block = NDArray[Any]

BLOCK_BITS = 32  # of an `int32` block; its samples may have fewer
READ_FRAMES = 1 << 16  # read back at a time
# The name of the chunk of samples in Sony's Wave64, and the bytes in which it begins.
W64_DATA = b"data" + bytes.fromhex("f3acd3118cd100c04f8edb8a")
W64_HEAD_BYTES, W64_SIZE_BYTES = 4096, 8


class LosslessWriter:
    """Feeds the samples of one segment through a pipe to an ffmpeg that writes its file.

    Args:
        path: the file.
        encoding: the encoding, with the type of the samples.
        tags: the tags of the file.
        layout: the channels of the samples, as ffmpeg names them.
    """

    def __init__(
        self, path: Path, encoding: Encoding, *, tags: Mapping[str, str], layout: str = ""
    ) -> None:
        self.samples = 0
        self._path = path
        self._encoding = encoding
        self._container = containers.of(encoding.format)
        self._type = np.dtype(encoding.sample_type).newbyteorder("<")
        self._digest = hashlib.sha256()
        self._aborted = False
        self._proof: decode.TrackDecoder | None = None
        with ffmpeg_process.output_errors(path):
            self._tag_file = write_tags(tags, path.parent)
        argv = ffmpeg.compile_argv(_node(path, self._tag_file, encoding, layout))
        self._process = ffmpeg_process.Process(argv, feed=True)

    def write(self, block: Block) -> None:
        """Take samples.

        Raises:
            OutputError: the disk is full.
            ToolError: ffmpeg failed.
        """
        data = _rounded(block, self._encoding).astype(self._type, copy=False).tobytes()
        self._digest.update(data)
        with ffmpeg_process.output_errors(self._path):
            self._process.write(data)
        self.samples += len(block)

    def finish(self) -> None:
        """Complete the file, decode it and compare the samples with those written.

        Raises:
            LimitError: they differ.
            OutputError: the disk is full.
            ToolError: ffmpeg failed.
        """
        try:
            with ffmpeg_process.output_errors(self._path):
                self._process.finish()
        finally:
            self._process.close()
            self._tag_file.unlink(missing_ok=True)
        if self._container.muxer_pads:
            self._end_without_padding()
        if self._read_back() != self._digest.digest():
            raise LimitError(
                "a finished piece was refused: its samples differ from those written",
                fix="this is a fault in captoolkit, please report it",
                path=self._path,
            )

    def abort(self) -> None:
        """Stop the encoder or the read-back."""
        self._aborted = True
        self._process.close()
        self._tag_file.unlink(missing_ok=True)
        if self._proof is not None:
            self._proof.close()

    def _end_without_padding(self) -> None:
        """Cut the padding off a Wave64: ffmpeg's muxer adds it and counts it as sound."""
        sound_bytes = self.samples * self._encoding.channels * self._encoding.depth_bits // 8
        with files.writing(self._path), self._path.open("r+b") as stream:
            at = stream.read(W64_HEAD_BYTES).index(W64_DATA)
            chunk_bytes = len(W64_DATA) + W64_SIZE_BYTES + sound_bytes
            for place, size in (
                (len(W64_DATA), at + chunk_bytes),
                (at + len(W64_DATA), chunk_bytes),
            ):
                stream.seek(place)
                stream.write(size.to_bytes(W64_SIZE_BYTES, "little"))
            stream.truncate(at + chunk_bytes)

    def _read_back(self) -> bytes:
        """The digest of the file's samples, by libsndfile where it reads the container."""
        if self._container.in_libsndfile:
            return self._read_in_process()
        digest = hashlib.sha256()
        track = probe_file.probe(self._path).default_track
        with decode.TrackDecoder(
            self._path, track=track, dtype=self._encoding.sample_type
        ) as decoder:
            self._proof = decoder
            if self._aborted:  # `abort` may have run before the decoder existed
                decoder.close()
                return b""
            for block in decoder:
                digest.update(block.tobytes())
        return digest.digest()

    def _read_in_process(self) -> bytes:
        import soundfile

        digest = hashlib.sha256()
        try:
            with sndfile.open_file(self._path) as stream, sndfile.sound_in(stream) as sound:
                for block in sound.blocks(READ_FRAMES, dtype=self._type.name, always_2d=True):
                    if self._aborted:
                        break
                    digest.update(block.astype(self._type, copy=False).tobytes())
        except soundfile.SoundFileError:
            return b""
        return digest.digest()


def _rounded(block: Block, encoding: Encoding) -> Block:
    """The block at the depth of the file; a block that has this depth is unchanged."""
    spare_bits = BLOCK_BITS - encoding.depth_bits
    if block.dtype != np.int32 or not spare_bits:
        return block
    step = 1 << spare_bits
    highest = np.iinfo(np.int32).max - step + 1
    return (np.minimum(block, highest - step // 2) + step // 2) & -step


def _node(path: Path, tag_file: Path, encoding: Encoding, layout: str) -> Any:
    is_named = encoding.channels > 2 and re.fullmatch(r"[\w.]+(\([\w]+\))?", layout)
    source = ffmpeg.raw_source(
        rate_hz=encoding.sample_rate_hz,
        channels=encoding.channels,
        sample_format=decode.SAMPLE_FORMATS[encoding.sample_type],
        **({"channel_layout": layout} if is_named else {}),
    )
    container, codec = containers.of(encoding.format), encoding.codec
    row = LOSSLESS.get(codec)  # none for PCM
    return tagged(
        source["a"],
        tag_file,
        path,
        f=container.muxer_of(codec),
        acodec=codec,
        fflags="+bitexact",
        flags="+bitexact",
        **(row.encoder_options(encoding) if row else {}),
        **container.muxer_options,
    )
