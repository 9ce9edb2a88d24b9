"""The few bytes of an MP3 that say how much of it is sound: the Xing header and LAME's tag.

An MP3's frames hold the encoder's delay and padding too. LAME and ffmpeg write how much into the
first frame; a decoder that reads it gives the recording back to the sample. Layout: the Xing/Info
header and the LAME tag as gabriel.mp3-tech.org/mp3infotag.html describes them; what is skipped
beside the delay is the decoder's own 529 samples.
"""

from __future__ import annotations

from pathlib import Path

DECODER_DELAY_SAMPLES = 529
SEARCH_BYTES = 1 << 16  # how far behind the ID3 tags the first frame is looked for
TAGGERS = (b"LAME", b"Lavf", b"Lavc")


def audible_samples(file: Path, framed_samples: int) -> int | None:
    """Return how many of `framed_samples` a decoder gives that reads the tag; all without one.

    None where there are more than the tag knows of: files that were put one behind another.
    """
    tag = _info_tag(file)
    if tag is None:
        return framed_samples
    frames, delay, padding, samples_per_frame = tag
    start = delay + DECODER_DELAY_SAMPLES
    if not frames:
        return max(0, framed_samples - start)
    if framed_samples > frames * samples_per_frame:
        return None
    end = frames * samples_per_frame - padding + DECODER_DELAY_SAMPLES
    return max(0, min(framed_samples, end) - start)


def lead_samples(file: Path) -> int:
    """Return how many samples before the recording a decoder leaves out that reads the tag."""
    tag = _info_tag(file)
    return 0 if tag is None else tag[1] + DECODER_DELAY_SAMPLES


def _info_tag(file: Path) -> tuple[int, int, int, int] | None:
    """(frames, delay, padding, samples per frame) of the first frame's tag, None without one."""
    head = _after_id3(file)
    frame = next((n for n in range(len(head) - 4) if _is_layer_3(head[n : n + 4])), None)
    if frame is None:
        return None
    mpeg1, mono = head[frame + 1] >> 3 & 3 == 3, head[frame + 3] >> 6 == 3
    side_bytes = (17 if mono else 32) if mpeg1 else (9 if mono else 17)
    tag = head[frame + 4 + side_bytes :][:200]
    if tag[:4] not in (b"Xing", b"Info"):
        return None
    flags, at = tag[7], 8
    frames = int.from_bytes(tag[at : at + 4]) if flags & 1 else 0
    at += 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    if tag[at : at + 4] not in TAGGERS:
        return None
    packed = int.from_bytes(tag[at + 21 : at + 24])
    return frames, packed >> 12, packed & 0xFFF, 1152 if mpeg1 else 576


def _after_id3(file: Path) -> bytes:
    from captoolkit.bitstream import frames

    with file.open("rb") as stream:
        stream.seek(frames.id3_bytes_in_front(stream))
        return stream.read(SEARCH_BYTES)


def _is_layer_3(word: bytes) -> bool:
    """Whether four bytes are the header of an MPEG layer III frame."""
    sync = word[0] == 0xFF and word[1] & 0xE0 == 0xE0
    layer_3 = word[1] >> 1 & 3 == 1 and word[1] >> 3 & 3 != 1
    return sync and layer_3 and word[2] >> 4 not in (0, 15) and word[2] >> 2 & 3 != 3
