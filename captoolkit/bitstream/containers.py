"""The table of containers: one row each, with every fact that captoolkit knows about it.

Rules: a module that needs a fact about a container reads it from its row, through `of`, and never
compares names. A container without a row is readable (ffmpeg decides that) and has the facts of
`Container`'s defaults, which assume as little as possible: nothing is known of its header, its
length is counted by decoding, and its pieces go into Matroska, which holds every codec.

How to add a container, in three steps:

1. Add one row to `CONTAINERS`. `name`, `title` and `suffixes` are required; each other field states
   a fact that allows captoolkit a cheaper or better way. Leave a field out until a test shows it.
2. Where ffmpeg's demuxer has another name than the row, name it in `demuxers`; `brands` tell the
   containers of the MP4 family apart.
3. Add such a file to `KINDS` in `tests/support/media_files.py`: the tests then compare its probed
   length with a full decode, and the prepared files with the source.

ffmpeg opens only the demuxers in `media.ffmpeg.DEMUXERS`: that list is a fence, so a new one is
added there by hand.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from captoolkit.bitstream.pcm_layout import RAW_FORMATS

RAW = "raw"  # samples without a header, which only the caller can describe
MATROSKA = "matroska"  # holds the packets of every codec
MOV_TEXT = "mov_text"  # ffmpeg's codec of the subtitles in the MP4 family
MP4_DEMUXER = "mov"  # ffmpeg's name for all of the MP4 family, which brands tell apart


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CaptionSupport:
    """How a container carries a timeline: its chapters always, its captions as subtitles or not.

    Attributes:
        suffixes: the endings, without the dot, of the files that captoolkit makes so.
        subtitles: ffmpeg's codec of a subtitle track; None where the container has none.
        text: the timeline format from which ffmpeg makes that track.
        track_tag: the tag that names the track.
        holds_subtitles: ffmpeg's codecs of the subtitle tracks that it takes unchanged.
        holds_covers: it takes pictures as covers.
        attaches_covers: a cover is an attachment of the file, not a stream.
        holds_attachments: it takes attached files, such as fonts.
        has_id3_chapters: its chapters are frames of an ID3 tag, which ffmpeg does not write.
        max_chapters: the largest number of chapters that a valid file lists; None for no limit.
        muxer_options: further options of ffmpeg's muxer.
    """

    suffixes: tuple[str, ...]
    subtitles: str | None = None
    text: str = "srt"
    track_tag: str = "title"
    holds_subtitles: frozenset[str] = frozenset()
    holds_covers: bool = True
    attaches_covers: bool = False
    holds_attachments: bool = False
    has_id3_chapters: bool = False
    max_chapters: int | None = None
    muxer_options: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Container:
    """One container.

    Attributes:
        name: the name that `probe` prints and that `Target.accepts` uses.
        title: the name in sentences and in the documentation.
        suffixes: the endings of its files, without the dot; captoolkit writes the first.
        codecs: the codecs that it usually holds, by ffmpeg's names, for the documentation.

        demuxers: ffmpeg's demuxers, where they have other names than the row.
        brands: how the brand of an MP4-like file begins that is of this kind.
        magics: the first four bytes of its files.
        is_riff: `bitstream.riff` reads its header.

        muxer: ffmpeg's muxer; empty where captoolkit does not write it.
        codec_muxers: muxers for single codecs.
        codec_suffixes: endings for single codecs.
        moving_suffix: the ending of a file with a moving picture; empty for the same one.
        sound_alone: the container of the same family that a file without a picture is, and the
            codecs for which that holds.
        media_type: its media type for browsers; empty for `audio/NAME`.

        states_duration: its header states how long the sound is.
        duration_from_zero: the stated duration runs from the container's zero, and the sound may
            begin later.
        counts_frames: libsndfile reads its number of samples, and a decoder lands on any of them.
        end_unchecked: libsndfile does not compare the stated length with the size of the file.
        packet_counted: codecs with packets that state their exact length in samples.
        packets_vary: packets of unequal length are usual, and all of them are heard.
        is_seekable: time stamps lead a reader near a packet without reading all before it.
        has_time_stamps: it stores times, and a gap between them is one that a player shows.
        untimed_codecs: ffmpeg misreads the time stamps of these codecs. A FLAC in Ogg that begins
            late begins at zero there, and jumps after its first page.
        starts_at_zero: its clock begins at zero even where all its streams begin later.
        hides_delay: it states the encoder's delay outside the packets, so that the time stamps of a
            sound that begins late do not show it.

        is_frame_stream: its files are frames of `codecs` and nothing else.
        fewest_frames: ffmpeg does not recognize a stream of fewer frames.
        stream_title: such a file in sentences, with its article.
        has_index_frame: a frame before the sound may state its length and the encoder's delay.
        bare_options: options of ffmpeg's muxer that write frames and nothing else.
        tag_options: options of ffmpeg's muxer that write tags before the frames; none where a
            stream of frames holds no tags.
        raw_codecs: codecs that leave it as a stream of frames, not as packets.
        holds_samples: it is a header and PCM samples, so it can be cut at any sample.
        byte_order: the order in which captoolkit writes samples of several bytes: `le` or `be`;
            empty for any.
        read_by_libsndfile: libsndfile reads its files, and services may read them with it.
        in_libsndfile: libsndfile returns each sample that ffmpeg wrote into it.
        muxer_pads: ffmpeg's muxer pads the end and counts the padding as sound.
        muxer_options: options of ffmpeg's muxer where samples are kept.
        captions: how it carries a timeline; None where it cannot.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    codecs: tuple[str, ...] = ()

    demuxers: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    magics: tuple[bytes, ...] = ()
    is_riff: bool = False

    muxer: str = ""
    codec_muxers: Mapping[str, str] = field(default_factory=dict)
    codec_suffixes: Mapping[str, str] = field(default_factory=dict)
    moving_suffix: str = ""
    sound_alone: tuple[str, frozenset[str]] = ("", frozenset())
    media_type: str = ""

    states_duration: bool = True
    duration_from_zero: bool = False
    counts_frames: bool = False
    end_unchecked: bool = False
    packet_counted: frozenset[str] = frozenset()
    packets_vary: bool = False
    is_seekable: bool = False
    has_time_stamps: bool = False
    untimed_codecs: frozenset[str] = frozenset()
    starts_at_zero: bool = False
    hides_delay: bool = False

    is_frame_stream: bool = False
    fewest_frames: int = 1
    stream_title: str = ""
    has_index_frame: bool = False
    bare_options: Mapping[str, str | int] = field(default_factory=dict)
    tag_options: Mapping[str, str | int] = field(default_factory=dict)
    raw_codecs: frozenset[str] = frozenset()
    holds_samples: bool = False
    byte_order: str = ""
    read_by_libsndfile: bool = False
    in_libsndfile: bool = False
    muxer_pads: bool = False
    muxer_options: Mapping[str, str | int] = field(default_factory=dict)
    captions: CaptionSupport | None = None

    @property
    def is_written(self) -> bool:
        """Whether captoolkit writes it."""
        return bool(self.muxer)

    def muxer_of(self, codec: str) -> str:
        """Return ffmpeg's muxer for a codec."""
        return self.codec_muxers.get(codec, self.muxer)

    def suffix_of(self, codec: str, *, is_moving: bool = False) -> str:
        """Return the ending of a file with that codec and, if so, a moving picture."""
        if is_moving and self.moving_suffix:
            return self.moving_suffix
        return self.codec_suffixes.get(codec, self.suffixes[0])


# The codecs of which an MP4's packets state their exact length, and those that its sound may have.
_MP4_COUNTED = frozenset({"aac", "alac", "opus"})
_MP4_CODECS = ("aac", "mp3", "alac", "opus", "flac", "ac3", "eac3")
_SOUND_IN_M4A = ("m4a", frozenset({"aac", "alac", "ac3"}))


def _mp4_captions(*suffixes: str) -> CaptionSupport:
    """Captions in the MP4 family. A file with its header in front plays while it loads."""
    return CaptionSupport(
        suffixes=suffixes,
        subtitles=MOV_TEXT,
        holds_subtitles=frozenset({MOV_TEXT, "dvd_subtitle", "eia_608", "ttml"}),
        track_tag="handler_name",
        muxer_options={"movflags": "+faststart"},
    )


_PCM = ("pcm_s16le", "pcm_s24le", "pcm_f32le")

_ROWS = (
    Container(
        name="wav",
        title="WAV",
        suffixes=("wav", "wave", "rf64"),
        codecs=("pcm_u8", *_PCM, "pcm_s32le", "gsm_ms", "pcm_mulaw", "pcm_alaw", "adpcm_ms", "mp3"),
        magics=(b"RIFF", b"RIFX", b"RF64", b"BW64"),
        is_riff=True,
        muxer="wav",
        media_type="audio/wav",
        counts_frames=True,
        holds_samples=True,
        byte_order="le",
        read_by_libsndfile=True,
        in_libsndfile=True,
        muxer_options={"rf64": "auto"},
    ),
    Container(
        name="w64",
        title="W64",
        suffixes=("w64",),
        codecs=_PCM,
        magics=(b"riff",),
        muxer="w64",
        counts_frames=True,
        holds_samples=True,
        byte_order="le",
        read_by_libsndfile=True,
        in_libsndfile=True,
        muxer_pads=True,
    ),
    Container(
        name="aiff",
        title="AIFF",
        suffixes=("aiff", "aif", "aifc"),
        codecs=("pcm_s16be", "pcm_s24be"),
        magics=(b"FORM",),
        muxer="aiff",
        counts_frames=True,
        holds_samples=True,
        byte_order="be",
        read_by_libsndfile=True,
        in_libsndfile=True,
        muxer_options={"write_id3v2": 1},
    ),
    Container(
        name="caf",
        title="CAF",
        suffixes=("caf",),
        codecs=(*_PCM, "alac"),
        magics=(b"caff",),
        muxer="caf",
        # ffmpeg's muxer states a wrong end of packets of a variable length.
        sound_alone=("m4a", frozenset({"aac", "alac"})),
        counts_frames=True,
        holds_samples=True,
        read_by_libsndfile=True,
        in_libsndfile=True,
    ),
    Container(
        name="au",
        title="AU",
        suffixes=("au", "snd"),
        codecs=("pcm_s16be", "pcm_mulaw"),
        muxer="au",
        holds_samples=True,
        byte_order="be",
        read_by_libsndfile=True,
        in_libsndfile=True,
    ),
    Container(
        name=RAW,
        title="raw PCM",
        suffixes=("pcm",),
        sound_alone=("wav", frozenset(f"pcm_{name}" for name in RAW_FORMATS)),
        states_duration=False,
        counts_frames=True,
        holds_samples=True,
    ),
    Container(
        name="flac",
        title="FLAC",
        suffixes=("flac",),
        codecs=("flac",),
        muxer="flac",
        media_type="audio/flac",
        counts_frames=True,
        end_unchecked=True,
        read_by_libsndfile=True,
        in_libsndfile=True,
    ),
    Container(
        name="mp3",
        title="MP3",
        suffixes=("mp3", "mp2", "mpa"),
        codecs=("mp3",),
        muxer="mp3",
        codec_muxers={"mp2": "mp2"},
        codec_suffixes={"mp2": "mp2"},
        media_type="audio/mpeg",
        packet_counted=frozenset({"mp3"}),
        is_frame_stream=True,
        stream_title="a plain MP3",
        has_index_frame=True,
        read_by_libsndfile=True,
        bare_options={"write_xing": 0, "id3v2_version": 0},
        # ID3v2.3, which every player reads.
        tag_options={"id3v2_version": 3, "write_xing": 0, "fflags": "+bitexact"},
        # The number in an MP3's table of contents has 8 bits.
        captions=CaptionSupport(
            suffixes=("mp3",),
            has_id3_chapters=True,
            max_chapters=255,
            muxer_options={"id3v2_version": 3},
        ),
    ),
    Container(
        name="aac",
        title="AAC (ADTS)",
        suffixes=("aac", "adts"),
        codecs=("aac",),
        muxer="adts",
        media_type="audio/aac",
        is_frame_stream=True,
        fewest_frames=3,
        stream_title="an ADTS stream",
        tag_options={"write_id3v2": 1, "fflags": "+bitexact"},
    ),
    Container(
        name="amr",
        title="AMR",
        suffixes=("amr", "awb"),
        codecs=("amr_nb", "amr_wb"),
        muxer="amr",
        # ffmpeg skips frames without data, and counts their time.
        has_time_stamps=True,
        is_frame_stream=True,
        stream_title="an AMR file",
    ),
    Container(
        name="m4a",
        title="M4A, M4B",
        suffixes=("m4a", "m4b"),
        codecs=("aac", "alac"),
        brands=("M4A", "M4B"),
        muxer="ipod",
        moving_suffix="mp4",
        media_type="audio/mp4",
        packet_counted=_MP4_COUNTED,
        is_seekable=True,
        has_time_stamps=True,
        starts_at_zero=True,
        captions=_mp4_captions("m4a", "m4b"),
    ),
    Container(
        name="mp4",
        title="MP4",
        suffixes=("mp4", "m4v"),
        codecs=_MP4_CODECS,
        muxer="mp4",
        sound_alone=_SOUND_IN_M4A,
        media_type="video/mp4",
        packet_counted=_MP4_COUNTED,
        is_seekable=True,
        has_time_stamps=True,
        starts_at_zero=True,
        captions=_mp4_captions("mp4", "m4v"),
    ),
    Container(
        name="mov",
        title="MOV",
        suffixes=("mov",),
        codecs=("aac", "pcm_s16le", "alac", "amr_nb"),
        brands=("qt",),
        muxer="mov",
        packet_counted=_MP4_COUNTED,
        is_seekable=True,
        has_time_stamps=True,
        starts_at_zero=True,
        captions=replace(_mp4_captions("mov"), holds_covers=False),  # ffmpeg writes none
    ),
    Container(
        name="3gp",
        title="3GP",
        suffixes=("3gp", "3ga"),
        codecs=("aac", "amr_nb", "amr_wb"),
        brands=("3gp", "3ge"),
        muxer="3gp",
        is_seekable=True,
        has_time_stamps=True,
        starts_at_zero=True,
    ),
    Container(
        name="3g2",
        title="3G2",
        suffixes=("3g2",),
        codecs=("aac",),
        brands=("3g2",),
        muxer="3g2",
        is_seekable=True,
        has_time_stamps=True,
        starts_at_zero=True,
    ),
    Container(
        name=MATROSKA,
        title="MKV, MKA",
        suffixes=("mka", "mkv"),
        codecs=("aac", "mp3", "amr_nb", "flac", "vorbis", "opus", "pcm_s16le", "ac3", "dts"),
        magics=(b"\x1aE\xdf\xa3",),
        muxer="matroska",
        moving_suffix="mkv",
        media_type="video/webm",
        duration_from_zero=True,
        is_seekable=True,
        has_time_stamps=True,
        hides_delay=True,
        # Players would take the delay that Matroska states for MP3 off every piece.
        raw_codecs=frozenset({"mp3"}),
        captions=CaptionSupport(
            suffixes=("mkv", "mka"),
            subtitles="subrip",
            holds_subtitles=frozenset({"subrip", "ass", "ssa", "webvtt", "text"})
            | {"hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle", "hdmv_text_subtitle"},
            attaches_covers=True,
            holds_attachments=True,
        ),
    ),
    Container(
        name="webm",
        title="WebM",
        suffixes=("webm", "weba"),
        codecs=("vorbis", "opus"),
        muxer="webm",
        captions=CaptionSupport(
            suffixes=("webm",),
            subtitles="webvtt",
            text="vtt",
            holds_subtitles=frozenset({"webvtt"}),
            holds_covers=False,
        ),
    ),
    Container(
        name="ogg",
        title="Ogg, Opus",
        suffixes=("ogg", "oga", "ogv", "opus", "spx"),
        codecs=("vorbis", "opus", "flac"),
        magics=(b"OggS",),
        muxer="ogg",
        codec_suffixes={"opus": "opus", "speex": "spx"},
        moving_suffix="ogv",
        media_type="audio/ogg",
        read_by_libsndfile=True,
        states_duration=False,  # ffmpeg reads it off the last time stamp
        packet_counted=frozenset({"vorbis", "opus"}),
        packets_vary=True,
        is_seekable=True,
        has_time_stamps=True,
        untimed_codecs=frozenset({"flac"}),
    ),
    Container(
        name="mpeg-ts",
        title="MPEG-TS",
        suffixes=("ts", "m2ts", "mts"),
        codecs=("aac", "mp2", "ac3", "eac3"),
        demuxers=("mpegts",),
        muxer="mpegts",
        states_duration=False,
        has_time_stamps=True,
    ),
    Container(
        name="mpeg-ps",
        title="MPEG-PS",
        suffixes=("mpg", "mpeg", "vob"),
        codecs=("mp2", "ac3"),
        demuxers=("mpeg",),
        magics=(b"\0\0\1\xba",),
        states_duration=False,
        has_time_stamps=True,
    ),
    Container(
        name="wma",
        title="WMA",
        suffixes=("wma", "asf", "wmv"),
        codecs=("wmav2",),
        demuxers=("asf",),
        magics=(b"0&\xb2u",),
        muxer="asf",
        moving_suffix="wmv",
        duration_from_zero=True,
        has_time_stamps=True,
    ),
    Container(name="avi", title="AVI", suffixes=("avi",), codecs=("mp3", "pcm_s16le"), muxer="avi"),
    Container(
        name="flv",
        title="FLV",
        suffixes=("flv",),
        codecs=("aac", "mp3"),
        magics=(b"FLV\1",),
        muxer="flv",
        has_time_stamps=True,
    ),
    Container(name="ac3", title="AC-3", suffixes=("ac3",), codecs=("ac3",), muxer="ac3"),
    Container(name="eac3", title="E-AC-3", suffixes=("eac3",), codecs=("eac3",), muxer="eac3"),
    Container(name="dts", title="DTS", suffixes=("dts",), codecs=("dts",), muxer="dts"),
    Container(name="tta", title="TTA", suffixes=("tta",), codecs=("tta",), muxer="tta"),
    Container(name="wv", title="WavPack", suffixes=("wv",), codecs=("wavpack",), muxer="wv"),
    Container(name="ape", title="Monkey's Audio", suffixes=("ape",), codecs=("ape",)),
    Container(name="tak", title="TAK", suffixes=("tak",), codecs=("tak",)),
    Container(name="mlp", title="MLP", suffixes=("mlp",), codecs=("mlp",)),
    Container(name="truehd", title="TrueHD", suffixes=("thd",), codecs=("truehd",)),
)
CONTAINERS = {row.name: row for row in _ROWS}


def of(name: str) -> Container:
    """Return the row of a container; one with the defaults where it has none."""
    return CONTAINERS.get(name) or Container(name=name, title=name, suffixes=(name,))


def recognized(demuxer: str, brand: str = "") -> str:
    """Return the name of the container that ffmpeg read with a demuxer.

    Args:
        demuxer: the first of the names that ffmpeg prints.
        brand: the major brand, for the MP4 family.

    ```python
    >>> recognized("mpegts"), recognized("mov", "M4A "), recognized("mov", "isom")
    ('mpeg-ts', 'm4a', 'mp4')

    ```
    """
    rows = CONTAINERS.values()
    if demuxer == MP4_DEMUXER:
        by_brand = (row.name for row in rows if brand and brand.startswith(row.brands))
        return next(by_brand, "mp4")
    return next((row.name for row in rows if demuxer in row.demuxers), demuxer)


def container_of_packets(container: str, codec: str) -> Container:
    """Return the container into which packets go that came from a container.

    Sound returns into its own container. Matroska replaces a container that captoolkit does not
    write (program streams, rare recorders' files).

    ```python
    >>> container_of_packets("mp4", "aac").name, container_of_packets("mpeg-ps", "mp2").name
    ('m4a', 'matroska')

    ```
    """
    row = of(container)
    name, codecs = row.sound_alone
    if codec in codecs:
        return CONTAINERS[name]
    return row if row.is_written else CONTAINERS[MATROSKA]


def container_of_frames(codec: str) -> Container | None:
    """Return the container that consists of frames of a codec; None if no such container exists."""
    rows = (row for row in CONTAINERS.values() if row.is_frame_stream and codec in row.codecs)
    return next(rows, None)


@functools.cache
def is_media_suffix(suffix: str) -> bool:
    """Return whether files of a container have an ending (without the dot, in small letters)."""
    return any(suffix in row.suffixes for row in CONTAINERS.values())


def captioned_containers() -> dict[str, tuple[Container, CaptionSupport]]:
    """Return the containers that carry a timeline, by the endings of their files."""
    return {
        suffix: (row, row.captions)
        for row in CONTAINERS.values()
        if row.captions is not None
        for suffix in row.captions.suffixes
    }
