"""Where pieces of a recording live: the container that a source's codec goes back into.

Rules: sound goes back into the container it came from; one that nobody writes is replaced by one
that holds the same packets, or the same samples.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from captoolkit.model import Encoding, Track


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A container that can be written.

    Attributes:
        container: what `probe` calls it.
        muxer: what ffmpeg calls its writer.
        suffix: what the names of its files end in, without the dot.
    """

    container: str
    muxer: str
    suffix: str


def _home(container: str, muxer: str = "", suffix: str = "") -> Home:
    return Home(container=container, muxer=muxer or container, suffix=suffix or container)


_HOMES = {
    home.container: home
    for home in (
        *map(_home, ("ac3", "aiff", "amr", "au", "avi", "caf", "dts", "eac3", "flac", "flv")),
        *map(_home, ("mov", "mp3", "mp4", "ogg", "tta", "w64", "wav", "webm", "wv", "3g2", "3gp")),
        _home("aac", "adts"),
        _home("m4a", "ipod"),
        _home("matroska", suffix="mka"),
        _home("mpeg-ts", "mpegts", "ts"),
        _home("wma", "asf"),
    )
}
# What a sound alone is called in place of the container that it has with a picture.
_ALONE_IN_M4A = frozenset({"aac", "alac", "ac3"})
_OGG_SUFFIXES = {"opus": "opus", "speex": "spx"}

# Their pieces are encoded anew, losslessly: a WAV is cut anywhere, and a FLAC's head tells of all.
SAMPLE_CONTAINERS = frozenset({"aiff", "au", "caf", "w64", "wav"})
CODED_ANEW = frozenset({"flac", "tta", "wavpack"})
# Lossless codecs that only ffmpeg's decoder knows, or (MLP and TrueHD) whose decoder begins at few
# of their packets only: what they hold is kept as FLAC.
ONLY_DECODED = frozenset(
    {"als", "ape", "atrac3al", "atrac3pal", "bonk", "dst", "mlp", "mp4als", "osq", "ralf", "rka"}
    | {"shorten", "tak", "truehd", "wavarc"}
)
# Matroska notes the delay of MP3's encoder, and players would take it off every piece.
BETTER_RAW = frozenset({("matroska", "mp3")})
# The type that holds each sample of a PCM codec as it is, by the codec's name without `pcm_`.
_PCM_TYPES = {
    "alaw": ("int16", 8),
    "f32": ("float32", 32),
    "f64": ("float64", 64),
    "mulaw": ("int16", 8),
    "s16": ("int16", 16),
    "s24": ("int32", 24),
    "s32": ("int32", 32),
    "s8": ("int16", 8),
    "u8": ("int16", 8),
}


def home(container: str, codec: str) -> Home:
    """Return where packets of a codec go that came from a container.

    What nobody writes again (program streams, odd recorders' files) goes into Matroska, which
    holds them all.

    ```python
    >>> home("mp4", "aac").suffix, home("ogg", "opus").suffix, home("mpeg-ps", "mp2").suffix
    ('m4a', 'opus', 'mka')

    ```
    """
    if codec == "mp2" and container == "mp3":
        return _home("mp3", "mp2", "mp2")
    if container == "mp4" and codec in _ALONE_IN_M4A:
        return _HOMES["m4a"]
    found = _HOMES.get(container, _HOMES["matroska"])
    is_ogg = found.container == "ogg"
    return replace(found, suffix=_OGG_SUFFIXES.get(codec, found.suffix)) if is_ogg else found


def is_lossless(codec: str) -> bool:
    """Return whether a codec keeps every sample."""
    return codec.startswith("pcm_") or codec in CODED_ANEW | ONLY_DECODED | {"alac"}


def is_cut_between_packets(container: str, codec: str) -> bool:
    """Return whether pieces of this can be had without encoding anything."""
    if codec in CODED_ANEW | ONLY_DECODED:
        return False
    return not (container in SAMPLE_CONTAINERS and _pcm_type(codec) is not None)


def samples_kept(track: Track, container: str, *, sample_type: str, depth_bits: int) -> Encoding:
    """Return the encoding that keeps each sample of a track: its own codec's where that can be.

    Args:
        track: what is encoded.
        container: what it came in.
        sample_type: what its decoder gives: `int16`, `int32`, `float32` or `float64`.
        depth_bits: how many bits of that count.
    """
    pcm = _pcm_type(track.codec)
    codec, lives_in = track.codec, home(container, track.codec).container
    if pcm is not None:
        sample_type, depth_bits = pcm
    elif codec not in CODED_ANEW | {"alac"}:
        codec, lives_in = "flac", "flac"
        # FLAC holds whole numbers; what a lossy decoder rounds to 24 bits nobody can hear.
        sample_type, depth_bits = ("int16", 16) if depth_bits <= 16 else ("int32", 24)
    return Encoding(
        format=lives_in,
        codec=codec,
        sample_rate_hz=track.sample_rate_hz,
        channels=track.channels,
        bit_rate=track.sample_rate_hz * track.channels * depth_bits,
        sample_type=sample_type,
    )


def _pcm_type(codec: str) -> tuple[str, int] | None:
    """The type and depth of a PCM codec's samples, None for what is no plain PCM."""
    kind = codec.removeprefix("pcm_").removesuffix("le").removesuffix("be")
    return _PCM_TYPES.get(kind) if codec.startswith("pcm_") else None
