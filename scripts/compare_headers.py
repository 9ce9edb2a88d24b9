"""Write one sound under every header of PCM, and compare how each reader decodes it.

    python scripts/compare_headers.py            # print the table: kind, readers, captoolkit
    python scripts/compare_headers.py --odd      # only kinds that some reader gets wrong

A kind is a container, a codec, a bit depth and an oddity of the header. The samples are known, so
each reader is compared with the truth: `right`, `wrong` (it returns other sound), `short` (the
right sound, and not all of it) or `refused`. captoolkit's choice is the action of its plan, and the
sound that it prepares is compared as well.
"""

from __future__ import annotations

import argparse
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import soundfile
from numpy.typing import NDArray

import captoolkit

RATE_HZ = 16_000
SECONDS = 2.0
FREQUENCIES_HZ = (400.0, 700.0)  # of the channels
RIGHT_DB = 25.0  # signal to noise of a reader that is right; 8-bit codecs have 30 and more
SHORT = 0.98  # of the samples

Sound = NDArray[np.float64]  # shape (frames, channels)

PCM_TAIL = bytes.fromhex("000000001000800000aa00389b71")  # a GUID behind its format tag
AMBISONIC_TAIL = bytes.fromhex("00002107d3118644c8c1ca000000")
W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")
W64_RIFF = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")
TAGS = {"pcm": 1, "float": 3, "alaw": 6, "mulaw": 7}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A file of known samples under one header."""

    name: str
    suffix: str
    data: bytes
    channels: int


# --------------------------------------------------------------------------------- samples


def truth(channels: int) -> Sound:
    """Return the known sound: a tone in each channel, half of full scale."""
    time_s = np.arange(round(SECONDS * RATE_HZ)) / RATE_HZ
    tones = [0.5 * np.sin(2 * np.pi * hz * time_s) for hz in FREQUENCIES_HZ[:channels]]
    return np.stack(tones, axis=1)


def packed(
    sound: Sound, valid_bits: int, size_bytes: int, *, order: str = "<", low: bool = False
) -> bytes:
    """Return whole numbers of `valid_bits` in the high bits of `size_bytes`; with `low`, the low.

    Numbers of one byte are unsigned, as in a WAV, unless `low` is set.
    """
    whole = np.rint(sound * (2 ** (valid_bits - 1) - 1)).astype(np.int64)
    if not low:
        whole <<= 8 * size_bytes - valid_bits
    if size_bytes == 1 and not low:
        return bytes((whole + 128).astype(np.uint8).tobytes())
    wide = whole.astype("<i8").tobytes()
    octets = np.frombuffer(wide, np.uint8).reshape(-1, 8)[:, :size_bytes]
    return bytes((octets if order == "<" else octets[:, ::-1]).tobytes())


def floats(sound: Sound, kind: str) -> bytes:
    """Return floats of numpy's type `kind`."""
    return bytes(sound.astype(kind).tobytes())


def mulaw(sound: Sound) -> bytes:
    """Return G.711 mu-law."""
    whole = np.rint(sound * 32_767).astype(np.int64)
    sign, size = whole < 0, np.minimum(np.abs(whole), 32_635) + 132
    exponent = np.floor(np.log2(size)).astype(np.int64) - 7
    mantissa = size >> (exponent + 3) & 15
    code = ~(sign * 128 | exponent << 4 | mantissa) & 255
    return bytes(code.astype(np.uint8).tobytes())


def alaw(sound: Sound) -> bytes:
    """Return G.711 A-law."""
    whole = np.rint(sound * 32_767).astype(np.int64)
    sign, size = whole >= 0, np.minimum(np.abs(whole), 32_635)
    exponent = np.where(size < 256, 0, np.floor(np.log2(np.maximum(size, 1))).astype(np.int64) - 7)
    mantissa = np.where(exponent == 0, size >> 4, size >> (exponent + 3)) & 15
    code = (sign * 128 | exponent << 4 | mantissa) ^ 0x55
    return bytes((code & 255).astype(np.uint8).tobytes())


# -------------------------------------------------------------------------------- containers


def fmt(
    tag: int, bits: int, block: int, channels: int, *, extension: bytes = b"", order: str = "<"
) -> bytes:
    """Return the content of a `fmt ` chunk."""
    rates = (RATE_HZ, RATE_HZ * block)
    front = struct.pack(f"{order}HHIIHH", tag, channels, *rates, block, bits)
    return front + (struct.pack(f"{order}H", len(extension)) + extension if extension else b"")


def extension(tag: int, valid_bits: int, mask: int, *, tail: bytes = PCM_TAIL) -> bytes:
    """Return what WAVE_FORMAT_EXTENSIBLE adds to a `fmt ` chunk."""
    return struct.pack("<HIH", valid_bits, mask, tag) + tail


def wav(
    shape: bytes,
    sound: bytes,
    *,
    magic: bytes = b"RIFF",
    riff_bytes: int | None = None,
    data_bytes: int | None = None,
    behind: bytes = b"",
) -> bytes:
    """Return a RIFF WAV; sizes that are given replace the true ones."""
    order = ">" if magic == b"RIFX" else "<"
    size = len(sound) if data_bytes is None else data_bytes
    body = b"WAVE" + b"fmt " + struct.pack(f"{order}I", len(shape)) + shape
    body += b"data" + struct.pack(f"{order}I", size & 0xFFFFFFFF) + sound + behind
    whole = len(body) if riff_bytes is None else riff_bytes
    return magic + struct.pack(f"{order}I", whole & 0xFFFFFFFF) + body


def rf64(shape: bytes, sound: bytes, *, magic: bytes = b"RF64", stated: int | None = None) -> bytes:
    """Return an RF64 or BW64; `stated` replaces the true size of the sound."""
    size = len(sound) if stated is None else stated
    frames = size // struct.unpack("<H", shape[12:14])[0]
    sizes = struct.pack("<QQQI", size + len(shape) + 56, size, frames, 0)
    body = b"WAVE" + b"ds64" + struct.pack("<I", len(sizes)) + sizes
    body += b"fmt " + struct.pack("<I", len(shape)) + shape + b"data" + b"\xff" * 4 + sound
    return magic + b"\xff" * 4 + body


def w64(shape: bytes, sound: bytes, *, stated: int | None = None) -> bytes:
    """Return a Sony Wave64; `stated` replaces the true size of the sound."""
    size = len(sound) if stated is None else stated
    padded = shape + bytes(-len(shape) % 8)
    body = b"wave" + W64_TAIL + b"fmt " + W64_TAIL + struct.pack("<Q", 24 + len(shape)) + padded
    body += b"data" + W64_TAIL + struct.pack("<Q", 24 + size) + sound
    return W64_RIFF + struct.pack("<Q", 24 + len(body)) + body


def aiff(sound: bytes, bits: int, channels: int, frames: int, *, kind: bytes = b"") -> bytes:
    """Return an AIFF, or an AIFF-C of a compression type."""
    mantissa = RATE_HZ << (63 - RATE_HZ.bit_length() + 1)
    rate = struct.pack(">HQ", 16383 + RATE_HZ.bit_length() - 1, mantissa)
    common = struct.pack(">HIH", channels, frames, bits) + rate
    chunks = b""
    if kind:
        common += kind + b"\0\0"
        chunks = b"FVER" + struct.pack(">II", 4, 0xA2805140)
    chunks += b"COMM" + struct.pack(">I", len(common)) + common
    chunks += b"SSND" + struct.pack(">III", len(sound) + 8, 0, 0) + sound + bytes(len(sound) % 2)
    form = (b"AIFC" if kind else b"AIFF") + chunks
    return b"FORM" + struct.pack(">I", len(form)) + form


def caf(
    sound: bytes, bits: int, size_bytes: int, channels: int, *, flags: int, kind: bytes = b"lpcm"
) -> bytes:
    """Return a Core Audio file; flag 1 is float, flag 2 little-endian."""
    block = size_bytes * channels
    shape = struct.pack(">d4sIIIII", RATE_HZ, kind, flags, block, 1, channels, bits)
    body = b"desc" + struct.pack(">q", len(shape)) + shape
    return b"caff\0\1\0\0" + body + b"data" + struct.pack(">qI", len(sound) + 4, 0) + sound


def au(sound: bytes, encoding: int, channels: int, *, stated: int | None = None) -> bytes:
    """Return a Sun AU."""
    size = len(sound) if stated is None else stated
    return b".snd" + struct.pack(">IIIII", 24, size, encoding, RATE_HZ, channels) + sound


# ------------------------------------------------------------------------------------- kinds


def kinds() -> Iterator[Kind]:
    """Yield every kind, in mono and in stereo."""
    for channels in (1, 2):
        sound = truth(channels)
        for make in (_plain_wavs, _extensible_wavs, _odd_sizes, _kin_of_wav, _aiffs, _cafs, _aus):
            for name, suffix, data in make(sound, channels):
                yield Kind(
                    name=f"{name}, {'mono' if channels == 1 else 'stereo'}",
                    suffix=suffix,
                    data=data,
                    channels=channels,
                )


Made = Iterator[tuple[str, str, bytes]]  # name, suffix, file
INTEGERS = ((8, 1), (12, 2), (16, 2), (20, 3), (24, 3), (24, 4), (32, 4))  # valid bits, bytes


def _plain_wavs(sound: Sound, channels: int) -> Made:
    for bits, size in INTEGERS:
        shape = fmt(1, bits, size * channels, channels)
        yield f"WAV {bits} bits in {size} bytes", "wav", wav(shape, packed(sound, bits, size))
    # The low bytes hold the number: a converter's 24 bits, extended to a whole word.
    shape = fmt(1, 24, 4 * channels, channels)
    yield "WAV 24 low bits in 4 bytes", "wav", wav(shape, packed(sound, 24, 4, low=True))
    for kind, bits in (("<f2", 16), ("<f4", 32), ("<f8", 64)):
        shape = fmt(3, bits, bits // 8 * channels, channels)
        yield f"WAV float {bits}", "wav", wav(shape, floats(sound, kind))
    for law, tag in ((alaw, 6), (mulaw, 7)):
        shape = fmt(tag, 8, channels, channels)
        yield f"WAV {law.__name__}", "wav", wav(shape, law(sound))
    shape = fmt(1, 32, 4 * channels, channels)
    yield "WAV float 32 that states PCM", "wav", wav(shape, floats(sound, "<f4"))
    shape = fmt(1, 16, 4 * channels, channels)
    yield "WAV 16 bits with a block of 32", "wav", wav(shape, packed(sound, 16, 4))
    shape = struct.pack("<HHIIHH", 1, channels, RATE_HZ, 1, 2 * channels, 16)
    yield "WAV with a wrong byte rate", "wav", wav(shape, packed(sound, 16, 2))
    shape = struct.pack("<HHIIHH", 1, channels, RATE_HZ, RATE_HZ * 2 * channels, 0, 16)
    yield "WAV with a block of 0", "wav", wav(shape, packed(sound, 16, 2))


def _extensible_wavs(sound: Sound, channels: int) -> Made:
    mask = {1: 4, 2: 3}[channels]
    for bits, size in ((8, 1), (16, 2), (24, 3), (32, 4)):
        for valid in sorted({bits, 0, *(one for one in (12, 16, 20, 24) if one < bits)}):
            shape = fmt(
                0xFFFE, bits, size * channels, channels, extension=extension(1, valid, mask)
            )
            data = packed(sound, valid or bits, size)
            yield f"WAV extensible {valid} valid bits in {bits}", "wav", wav(shape, data)
    for kind, bits in (("<f4", 32), ("<f8", 64)):
        shape = fmt(
            0xFFFE, bits, bits // 8 * channels, channels, extension=extension(3, bits, mask)
        )
        yield f"WAV extensible float {bits}", "wav", wav(shape, floats(sound, kind))
    shape = fmt(0xFFFE, 32, 4 * channels, channels, extension=extension(3, 24, mask))
    yield "WAV extensible float 32 with 24 valid", "wav", wav(shape, floats(sound, "<f4"))
    for law, tag in ((alaw, 6), (mulaw, 7)):
        shape = fmt(0xFFFE, 8, channels, channels, extension=extension(tag, 8, mask))
        yield f"WAV extensible {law.__name__}", "wav", wav(shape, law(sound))
    for name, other in (("no speakers", 0), ("too many speakers", 0x3F), ("odd speakers", 0x600)):
        shape = fmt(0xFFFE, 16, 2 * channels, channels, extension=extension(1, 16, other))
        yield f"WAV extensible with {name}", "wav", wav(shape, packed(sound, 16, 2))
    own = extension(1, 16, mask, tail=AMBISONIC_TAIL)
    shape = fmt(0xFFFE, 16, 2 * channels, channels, extension=own)
    yield "WAV extensible ambisonic", "wav", wav(shape, packed(sound, 16, 2))


def _odd_sizes(sound: Sound, channels: int) -> Made:
    shape, data = fmt(1, 16, 2 * channels, channels), packed(sound, 16, 2)
    half = len(data) // 2
    for name, riff_bytes, data_bytes in (
        ("0", 0, 0),
        ("FFFFFFFF", 2**32 - 1, 2**32 - 1),
        ("7FFFFFFF", 2**31 - 1, 2**31 - 1),
        ("wrong RIFF size", 1234, len(data)),
        ("RIFF size 0", 0, len(data)),
        ("data size 0", len(data) + 36, 0),
        ("too large", 2 * len(data), 2 * len(data)),
        ("half", half + 36, half),
    ):
        made = wav(shape, data, riff_bytes=riff_bytes, data_bytes=data_bytes)
        yield f"WAV sizes: {name}", "wav", made
    tags = b"LIST" + struct.pack("<I", 16) + b"INFOISFT" + struct.pack("<I", 4) + b"abc\0"
    yield "WAV with tags behind", "wav", wav(shape, data, behind=tags)
    made = wav(shape, data, data_bytes=0, riff_bytes=0, behind=tags)
    yield "WAV sizes: 0, with tags behind", "wav", made


def _kin_of_wav(sound: Sound, channels: int) -> Made:
    for bits in (16, 24, 32):
        size = bits // 8
        shape = fmt(1, bits, size * channels, channels, order=">")
        data = packed(sound, bits, size, order=">")
        yield f"RIFX {bits} bits", "wav", wav(shape, data, magic=b"RIFX")
    for tag, bits, data in (
        (1, 16, packed(sound, 16, 2)),
        (1, 24, packed(sound, 24, 3)),
        (3, 32, floats(sound, "<f4")),
    ):
        shape = fmt(tag, bits, bits // 8 * channels, channels)
        name = f"{'float' if tag == 3 else 'PCM'} {bits}"
        yield f"RF64 {name}", "wav", rf64(shape, data)
        yield f"BW64 {name}", "wav", rf64(shape, data, magic=b"BW64")
        yield f"W64 {name}", "w64", w64(shape, data)
    shape, data = fmt(1, 16, 2 * channels, channels), packed(sound, 16, 2)
    for stated in (0, 2**63 - 1, len(data) // 2, 2 * len(data)):
        yield f"RF64 that states {stated}", "wav", rf64(shape, data, stated=stated)
        yield f"W64 that states {stated}", "w64", w64(shape, data, stated=stated)
    extended = extension(1, 24, {1: 4, 2: 3}[channels])
    shape = fmt(0xFFFE, 32, 4 * channels, channels, extension=extended)
    data = packed(sound, 24, 4)
    yield "RF64 extensible 24 valid bits in 32", "wav", rf64(shape, data)
    yield "W64 extensible 24 valid bits in 32", "w64", w64(shape, data)


def _aiffs(sound: Sound, channels: int) -> Made:
    frames = len(sound)
    for bits, size in ((8, 1), (12, 2), (16, 2), (20, 3), (24, 3), (32, 4)):
        data = packed(sound, bits, size, order=">", low=size == 1)
        yield f"AIFF {bits} bits", "aiff", aiff(data, bits, channels, frames)
    for kind, bits, data in (
        (b"NONE", 16, packed(sound, 16, 2, order=">")),
        (b"NONE", 24, packed(sound, 24, 3, order=">")),
        (b"twos", 16, packed(sound, 16, 2, order=">")),
        (b"twos", 24, packed(sound, 24, 3, order=">")),
        (b"sowt", 16, packed(sound, 16, 2)),
        (b"sowt", 24, packed(sound, 24, 3)),
        (b"sowt", 32, packed(sound, 32, 4)),
        (b"sowt", 8, packed(sound, 8, 1, low=True)),
        (b"in24", 24, packed(sound, 24, 3, order=">")),
        (b"in32", 32, packed(sound, 32, 4, order=">")),
        (b"42ni", 32, packed(sound, 24, 3)),
        (b"23ni", 32, packed(sound, 32, 4)),
        (b"raw ", 8, packed(sound, 8, 1)),
        (b"fl32", 32, floats(sound, ">f4")),
        (b"FL32", 32, floats(sound, ">f4")),
        (b"fl64", 64, floats(sound, ">f8")),
        (b"FL64", 64, floats(sound, ">f8")),
        (b"ulaw", 16, mulaw(sound)),
        (b"ULAW", 16, mulaw(sound)),
        (b"ulaw", 8, mulaw(sound)),
        (b"alaw", 16, alaw(sound)),
        (b"ALAW", 16, alaw(sound)),
    ):
        made = aiff(data, bits, channels, frames, kind=kind)
        yield f"AIFF-C {kind.decode()} {bits}", "aiff", made


def _cafs(sound: Sound, channels: int) -> Made:
    for bits, size in ((8, 1), (16, 2), (24, 3), (24, 4), (32, 4)):
        for flags, order in ((0, ">"), (2, "<")):
            data = packed(sound, bits, size, order=order, low=size == 1)
            end = {">": "big", "<": "little"}[order]
            yield (
                f"CAF {bits} bits in {size} bytes, {end}",
                "caf",
                caf(data, bits, size, channels, flags=flags),
            )
    for bits, flags, kind in ((32, 1, ">f4"), (32, 3, "<f4"), (64, 1, ">f8"), (64, 3, "<f8")):
        data = floats(sound, kind)
        yield f"CAF float {kind}", "caf", caf(data, bits, bits // 8, channels, flags=flags)
    for law, name in ((mulaw, b"ulaw"), (alaw, b"alaw")):
        data = law(sound)
        made = caf(data, 8, 1, channels, flags=0, kind=name)
        yield f"CAF {name.decode()}", "caf", made


def _aus(sound: Sound, channels: int) -> Made:
    for encoding, name, data in (
        (1, "mulaw", mulaw(sound)),
        (2, "8 bits", packed(sound, 8, 1, low=True)),
        (3, "16 bits", packed(sound, 16, 2, order=">")),
        (4, "24 bits", packed(sound, 24, 3, order=">")),
        (5, "32 bits", packed(sound, 32, 4, order=">")),
        (6, "float 32", floats(sound, ">f4")),
        (7, "float 64", floats(sound, ">f8")),
        (27, "alaw", alaw(sound)),
    ):
        yield f"AU {name}", "au", au(data, encoding, channels)
    data = packed(sound, 16, 2, order=">")
    for stated in (0, 2**32 - 1, len(data) // 2):
        yield f"AU that states {stated}", "au", au(data, 3, channels, stated=stated)


# ------------------------------------------------------------------------------------ readers


def verdict(sound: NDArray[Any] | None, channels: int, *, mixed_of: int = 0) -> str:
    """Compare a reader's samples, at `RATE_HZ`, with the truth, or the mean of so many channels."""
    if sound is None:
        return "refused"
    expected = truth(mixed_of or channels)
    if channels == 1:
        expected = expected.mean(axis=1, keepdims=True)
    if sound.shape[1] != channels:
        return f"{sound.shape[1]} channels"
    sound, frames = np.nan_to_num(sound), min(len(sound), len(expected))
    if not frames:
        return "empty"
    noise = float(np.mean(np.square(sound[:frames] - expected[:frames])))
    if 10 * np.log10(float(np.mean(np.square(expected))) / max(noise, 1e-12)) < RIGHT_DB:
        return "wrong"
    if frames < SHORT * len(expected):
        return "short"
    return "right" if len(sound) * SHORT <= len(expected) else "long"


def by_ffmpeg(path: Path, channels: int) -> NDArray[np.float32] | None:
    """Return what a plain ffmpeg decodes, shape (frames, channels)."""
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", str(path)]
    argv += ["-f", "f32le", "-ar", str(RATE_HZ), "-"]
    done = subprocess.run(argv, capture_output=True, check=False)
    if done.returncode or len(done.stdout) % (4 * channels):
        return None
    return np.frombuffer(done.stdout, "<f4").reshape(-1, channels)


def by_libsndfile(path: Path, _channels: int) -> NDArray[np.float32] | None:
    """Return what libsndfile decodes."""
    try:
        sound: NDArray[np.float32] = soundfile.read(str(path), dtype="float32", always_2d=True)[0]
    except soundfile.SoundFileError:
        return None
    return sound


READERS = (by_ffmpeg, by_libsndfile)


def by_captoolkit(path: Path, channels: int) -> tuple[str, str, str]:
    """Return the action of captoolkit's plan, and the verdicts of both readers on its file.

    Encoded files are mono: their sound is compared with the mean of the channels.
    """
    try:
        with captoolkit.prepare(path) as prepared:
            action = str(prepared.plan.action)
            is_mixed = prepared.plan.mix is not None
            made = next(iter(prepared)).path
            shape = 1 if is_mixed else channels
            first, second = (
                verdict(read(made, shape), shape, mixed_of=channels) for read in READERS
            )
    except captoolkit.InputError as error:
        return f"refused: {error.problem}", "-", "-"
    return action, first, second


def main() -> int:
    """Print the table; fail if captoolkit prepares wrong sound of any kind."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--odd", action="store_true", help="only where a reader is not right")
    only_odd = parser.parse_args().odd
    print(f"{'kind':44} {'ffmpeg':9} {'libsndfile':10} captoolkit, by both readers")
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds():
            path = Path(folder) / f"sound.{kind.suffix}"
            path.write_bytes(kind.data)
            found = [verdict(read(path, kind.channels), kind.channels) for read in READERS]
            action, *made = by_captoolkit(path, kind.channels)
            bad += not {*made} <= {"right", "-"}
            if not only_odd or found != ["right", "right"]:
                words = action if made[0] == "-" else f"{action}: {', '.join(made)}"
                print(f"{kind.name:44} {found[0]:9} {found[1]:10} {words}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
