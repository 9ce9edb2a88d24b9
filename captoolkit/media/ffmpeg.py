"""Find ffmpeg, query its abilities, and build the arguments that it runs with.

Rules: ffmpeg-python's `compile()` builds argument lists, which run without a shell. A source is an
absolute `file:` URL, read under a protocol whitelist and a list of demuxers for media alone (no
playlists, no scripts, no devices). captoolkit uses no ffprobe, because the bundled ffmpeg comes
without it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from captoolkit.bitstream.encodings import ENCODINGS
from captoolkit.errors import ToolError, ToolNotFoundError
from captoolkit.media import ffmpeg_process, tool_cache

ENVIRONMENT_VARIABLE = "CAPTOOLKIT_FFMPEG"
NEEDED_ENCODERS = frozenset(row.encoder for row in ENCODINGS.values() if row.encoder)
TESTED_VERSION = "9.0.2"  # brought by imageio-ffmpeg as pinned in constraints.txt
# Debian 12 has it, and the media tests also run on it where it is installed. Builds from git have
# no number, so programs are compared by libavutil (source: ffmpeg, doc/APIchanges).
OLDEST_VERSION, OLDEST_AVUTIL = "5.1", (57, 28)
WAY_OUT = (
    f"pip install imageio-ffmpeg, or set {ENVIRONMENT_VARIABLE} to ffmpeg {OLDEST_VERSION} or newer"
)

HEADER_S = 60.0  # longest wait for a header
MAX_HEADER_BYTES = 1 << 24  # ffmpeg prints up to 200 bytes for each chapter
MAX_ALLOCATION_BYTES = 1 << 28  # one allocation inside ffmpeg; refuses hostile headers
BOUNDS = ("-max_alloc", str(MAX_ALLOCATION_BYTES))
# ffmpeg reads a stream that its list of streams announces for so long until the first packet comes;
# its own 5 s leave out sound that begins later in a film. It stops as soon as it knows all streams.
PATIENCE = {"analyzeduration": 60_000_000, "probesize": 32_000_000}  # microseconds, bytes
TS_HEAD_BYTES = 197
# ffmpeg's decoders refuse frames without data, as in a pause, and ffmpeg fails if most are refused.
PAUSING_CODECS = frozenset({"amr_nb", "amr_wb"})
PROTOCOLS = "file,pipe"
# Demuxers of sound, by ffmpeg's names. Others are missing on purpose: hls, dash, imf, concat, sdp
# and rtp open the addresses in a file's text; avisynth, sbg and lavfi run scripts; tty, image2 and
# the subtitle demuxers find "media" in any text or picture.
DEMUXERS = (
    "aa,aac,aax,ac3,ac4,act,adx,aea,aiff,alp,amr,amrnb,amrwb,ape,aptx,aptx_hd,asf,ast,au,avi,avr,"
    "bonk,caf,codec2,daud,dhav,dsf,dss,dts,dtshd,dv,eac3,epaf,flac,flv,g722,g723_1,g726,g729,"
    "gsm,gxf,hca,iamf,iff,ilbc,ircam,kux,lc3,live_flv,loas,matroska,webm,mlp,mov,mp4,m4a,3gp,3g2,"
    "mj2,mp3,mpc,mpc8,mpeg,mpegts,mxf,nistsphere,nsv,nut,ogg,oma,osq,paf,pvf,qcp,qoa,rka,rm,rso,"
    "sbc,sds,shn,sox,spdif,swf,tak,truehd,tta,ty,voc,vqf,w64,wav,wavarc,wsd,wtv,wv,wve,xwma"
)


class Origin(StrEnum):
    """Where an ffmpeg comes from."""

    NAMED = "named by CAPTOOLKIT_FFMPEG"
    BUNDLED = "brought by imageio-ffmpeg"
    PATH = "found on PATH"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """An ffmpeg program and its abilities.

    Attributes:
        version: as the program prints it (`n9.0.2-17-g2a571b6068`, `5.1.9-0+deb12u1`).
        avutil: major and minor version of its libavutil, which every build states.
        encoders: the names of its encoders.
        has_soxr: True if it can resample with soxr.
    """

    path: str
    origin: Origin
    version: str
    avutil: tuple[int, int]
    encoders: frozenset[str]
    has_soxr: bool

    @property
    def is_tested(self) -> bool:
        """Whether captoolkit's tests run on this release of ffmpeg."""
        return self.version.removeprefix("n").split("-")[0] == TESTED_VERSION

    @property
    def missing_encoders(self) -> tuple[str, ...]:
        """The encoders that captoolkit needs and this program lacks, sorted."""
        return tuple(sorted(NEEDED_ENCODERS - self.encoders))

    @property
    def way_out(self) -> str:
        """How the user gets an ffmpeg that can do more."""
        if self.origin is Origin.NAMED:
            return f"unset {ENVIRONMENT_VARIABLE} to use the one {Origin.BUNDLED}"
        return WAY_OUT


def find() -> Tool:
    """Return the ffmpeg that captoolkit runs; each program is queried once.

    The order is: the program that `CAPTOOLKIT_FFMPEG` names; the one that imageio-ffmpeg brings,
    because the tests ran on it; where the wheel brings none, the one on PATH.

    Raises:
        ToolNotFoundError: there is no such program, or it is older than `OLDEST_VERSION`.
    """
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return _supported(_named(named))
    bundled = _bundled()
    tool = _query(bundled, Origin.BUNDLED) if bundled else None
    if tool is not None:
        return tool
    on_path = shutil.which("ffmpeg")
    tool = _query(on_path, Origin.PATH) if on_path else None
    if tool is None:
        raise ToolNotFoundError("there is no ffmpeg that runs", fix=WAY_OUT)
    return _supported(tool)


def require_encoder(name: str) -> str:
    """Return `name`, if the ffmpeg that captoolkit runs has that encoder.

    Raises:
        ToolNotFoundError: it has not; other encodings may still work.
    """
    tool = find()
    if name not in tool.encoders:
        raise ToolNotFoundError(
            f"ffmpeg {tool.version} ({tool.path}, {tool.origin}) has no encoder {name}",
            fix=f"take another `format`, or {tool.way_out}",
        )
    return name


def _named(path: str) -> Tool:
    found = shutil.which(path)
    tool = _query(found, Origin.NAMED) if found else None
    if tool is None:
        raise ToolNotFoundError(
            f"{ENVIRONMENT_VARIABLE}={path} is not an ffmpeg that runs",
            fix=f"set it to an ffmpeg program, or unset it to use the one {Origin.BUNDLED}",
        )
    return tool


def _supported(tool: Tool) -> Tool:
    """Return `tool`, unless it is too old."""
    if tool.avutil < OLDEST_AVUTIL:
        raise ToolNotFoundError(
            f"ffmpeg {tool.version} ({tool.path}, {tool.origin}) is older than {OLDEST_VERSION}, "
            "the oldest release that captoolkit supports",
            fix=tool.way_out,
        )
    return tool


def _bundled() -> str | None:
    """Return the program inside the imageio-ffmpeg wheel, None on a platform without one.

    `imageio_ffmpeg.get_ffmpeg_exe()` would also return the program on PATH, and start it.
    """
    wheel = importlib.util.find_spec("imageio_ffmpeg")
    if wheel is None or wheel.origin is None:  # a distribution's package may leave the wheel out
        return None
    programs = Path(wheel.origin).with_name("binaries").glob("ffmpeg-*")
    return next(map(str, sorted(programs)), None)


@functools.cache
def _query(path: str, origin: Origin) -> Tool | None:
    """Query the program at `path` for its version and encoders; None when it is no ffmpeg.

    The answer of an earlier process counts while the program is the same (`tool_cache`).
    """
    facts = tool_cache.read(path)
    with contextlib.suppress(KeyError, TypeError, ValueError):  # written by another version
        if facts is not None:
            return _tool(path, origin, facts)
    try:
        version = _output([path, "-hide_banner", "-version"])
        listing = _output([path, "-hide_banner", "-encoders"])
    except (ToolError, OSError):
        return None
    words = version.split(None, 3)
    avutil = re.search(r"^libavutil\s+(\d+)\.\s*(\d+)\.", version, re.MULTILINE)
    if words[:2] != ["ffmpeg", "version"] or avutil is None:
        return None
    rows = (line.split(None, 2) for line in listing.splitlines())
    # The legend looks like a row: `A..... = Audio`.
    encoders = {row[1] for row in rows if len(row) == 3 and row[0][0] in "AVS" and row[1] != "="}
    facts = {
        "version": words[2],
        "avutil": [int(avutil[1]), int(avutil[2])],
        "encoders": sorted(encoders),
        "has_soxr": "--enable-libsoxr" in version,
    }
    tool_cache.write(path, facts)
    return _tool(path, origin, facts)


def _tool(path: str, origin: Origin, facts: Mapping[str, Any]) -> Tool:
    major, minor = facts["avutil"]
    return Tool(
        path=path,
        origin=origin,
        version=str(facts["version"]),
        avutil=(int(major), int(minor)),
        encoders=frozenset(facts["encoders"]),
        has_soxr=bool(facts["has_soxr"]),
    )


def _output(argv: Sequence[str]) -> str:
    with ffmpeg_process.Process(argv, total_s=HEADER_S) as process:
        text = process.read_all(MAX_HEADER_BYTES).decode(errors="replace")
        process.finish()
    return text


# ------------------------------------------------------------------------- argument lists


def source(path: str | Path, *, codec: str = "", **options: Any) -> Any:
    """Return ffmpeg-python's input node for an untrusted media file, inside the fence.

    Args:
        path: the file.
        codec: the codec of the track that is decoded, where it is known.
        **options: options of the input. A demuxer (`f`) is one of raw samples, which open nothing.
    """
    import ffmpeg

    if _is_transport_stream(path):
        options = {**PATIENCE, **options}
    if codec in PAUSING_CODECS:
        options = {**options, "max_error_rate": 1}
    demuxers = options.get("f", DEMUXERS)
    return ffmpeg.input(
        file_url(path), protocol_whitelist=PROTOCOLS, format_whitelist=demuxers, **options
    )


def _is_transport_stream(path: str | Path) -> bool:
    """Whether a file begins with packets of an MPEG-TS, or of an M2TS, which have 4 bytes more."""
    try:
        with Path(path).open("rb") as stream:
            head = stream.read(TS_HEAD_BYTES)
    except (OSError, ValueError):
        return False
    return head[0:189:188] == b"GG" or head[4:197:192] == b"GG"


def own_source(path: str | Path, *, demuxer: str) -> Any:
    """Return the input node for a file that captoolkit has written, with its known demuxer."""
    import ffmpeg

    return ffmpeg.input(file_url(path), f=demuxer, protocol_whitelist=PROTOCOLS)


def output(nodes: Sequence[Any], path: str | Path, **options: Any) -> Any:
    """Return the output node for streams of several inputs."""
    import ffmpeg

    return ffmpeg.output(*nodes, file_url(path), **options)


def merged(nodes: Sequence[Any]) -> Any:
    """Return the node of one ffmpeg with several outputs."""
    import ffmpeg

    return ffmpeg.merge_outputs(*nodes) if len(nodes) > 1 else nodes[0]


def raw_source(*, rate_hz: int, channels: int, sample_format: str = "f32le", **options: Any) -> Any:
    """Return the input node for samples on standard input, float32 by default."""
    import ffmpeg

    return ffmpeg.input(
        "pipe:0",
        f=sample_format,
        ar=rate_hz,
        ac=channels,
        protocol_whitelist=PROTOCOLS,
        **options,
    )


def file_url(path: str | Path) -> str:
    """Return `path` in a form that ffmpeg cannot misread: absolute, and behind `file:`.

    Without the prefix ffmpeg reads a leading `-` as an option, and a colon as the end of a
    protocol's name.
    """
    return _Name(f"file:{Path(path).absolute()}")


class _Name(str):
    """A name in a node. ffmpeg-python encodes `str(name)` as UTF-8, which fails for some names."""

    __slots__ = ()

    def __str__(self) -> str:
        return self.encode(errors="backslashreplace").decode()


def compile_argv(node: Any) -> list[str]:
    """Return the argument list that ffmpeg-python makes of an output node."""
    quiet = ["-nostdin", "-hide_banner", "-loglevel", "error"]
    argv = node.compile(cmd=[find().path, *quiet, *BOUNDS], overwrite_output=True)
    return [word if isinstance(word, str) else str(word) for word in argv]


def header(path: str | Path) -> str:
    """Return ffmpeg's description of a media file: its container and streams, as printed."""
    import ffmpeg

    argv = ffmpeg.output(source(path), "-").compile(
        cmd=[find().path, "-nostdin", "-hide_banner", *BOUNDS]
    )
    # Without an output ffmpeg stops after the header, always with status 1.
    with ffmpeg_process.Process(
        argv[:-1], total_s=HEADER_S, tail_bytes=MAX_HEADER_BYTES
    ) as process:
        process.read_all(MAX_HEADER_BYTES)
        process.wait()
        return process.stderr_tail
