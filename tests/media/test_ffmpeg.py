from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from captoolkit.errors import NotMediaError, ToolError, ToolNotFoundError
from captoolkit.media import decode, ffmpeg_process
from captoolkit.media import ffmpeg as tool
from captoolkit.media.probe_file import probe
from captoolkit.model import Track
from tests.support.paths import ROOT
from tests.support.processes import posix, script
from tests.support.sound import Convert, noise, tone, write_wav
from tests.support.web import Web

A_TRACK = Track(
    number=1,
    stream_index=0,
    codec="mp3",
    sample_rate_hz=16_000,
    channels=1,
    layout="mono",
    duration_samples=16_000,
)


def stand_in(
    folder: Path, *encoders: str, version: str = "7.1-small", avutil: str = "59. 39.100"
) -> Path:
    """Write a program that identifies itself as ffmpeg and lists these encoders."""
    folder.mkdir(exist_ok=True)
    listing = [f"echo ' A....D {name}   its description'" for name in encoders]
    return script(
        folder / "ffmpeg",
        'case "$*" in *-version*)',
        f"  echo 'ffmpeg version {version} Copyright (c) 2000-2024'",
        f"  echo 'libavutil      {avutil} / {avutil}';;",
        "*)",
        "  echo 'Encoders:'; echo ' A..... = Audio'; echo ' ------'",
        *listing,
        ";; esac",
    )


# -------------------------------------------------------------------------------- finding


@posix
def test_the_named_ffmpeg_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`CAPTOOLKIT_FFMPEG` names the program to run, even one that lacks encoders."""
    program = stand_in(tmp_path / "my tools", "pcm_s16le", version="6.0-mine", avutil="58.  2.100")
    monkeypatch.setenv(tool.ENVIRONMENT_VARIABLE, str(program))

    found = tool.find()

    assert found == tool.Tool(
        path=str(program),
        origin=tool.Origin.NAMED,
        version="6.0-mine",
        avutil=(58, 2),
        encoders=frozenset({"pcm_s16le"}),
        has_soxr=False,
    )
    assert found.missing_encoders == ("aac", "libmp3lame", "libopencore_amrnb")
    assert not found.is_tested


@posix
def test_the_bundled_ffmpeg_comes_before_the_one_on_path(
    tmp_path: Path, ffmpeg: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a named program captoolkit runs the one that its tests ran on."""
    stand_in(tmp_path, *tool.NEEDED_ENCODERS)
    monkeypatch.delenv(tool.ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    found = tool.find()

    assert (found.path, found.origin) == (ffmpeg, tool.Origin.BUNDLED)
    assert found.is_tested, "TESTED_VERSION is not that of the wheel in constraints.txt"
    assert not found.missing_encoders


def find_without_a_bundled_ffmpeg(tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run `find()` where the imageio-ffmpeg wheel holds no program, as on rare platforms."""
    empty = tmp_path / "site" / "imageio_ffmpeg"
    (empty / "binaries").mkdir(parents=True)
    for package in (empty, empty / "binaries"):
        (package / "__init__.py").touch()
    code = "from captoolkit.media.ffmpeg import find; one = find(); print(one.origin, one.path)"
    environment = dict(os.environ, PATH=str(tmp_path / "bin"), PYTHONSAFEPATH="1")
    environment["PYTHONPATH"] = os.pathsep.join([str(empty.parent), str(ROOT)])
    environment.pop(tool.ENVIRONMENT_VARIABLE, None)
    argv = [sys.executable, "-c", code]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)


@posix
def test_the_ffmpeg_on_path_serves_where_the_wheel_brings_none(tmp_path: Path) -> None:
    """PATH is searched last; its program may lack encoders."""
    program = stand_in(tmp_path / "bin", "aac")

    done = find_without_a_bundled_ffmpeg(tmp_path)

    assert done.stdout == f"{tool.Origin.PATH} {program}\n"


@posix
@pytest.mark.parametrize(
    ("program", "problem"),
    [
        (None, "there is no ffmpeg that runs"),
        (
            {"encoders": sorted(tool.NEEDED_ENCODERS), "version": "4.4.2", "avutil": "56. 70.100"},
            "is older than 5.1, the oldest release that captoolkit supports; pip install",
        ),
    ],
    ids=["none", "too old"],
)
def test_an_ffmpeg_on_path_that_cannot_do_the_work_is_refused(
    tmp_path: Path, program: dict[str, Any] | None, problem: str
) -> None:
    """The error names the problem and the way out."""
    (tmp_path / "bin").mkdir()
    if program:
        encoders = program.pop("encoders")
        stand_in(tmp_path / "bin", *encoders, **program)

    done = find_without_a_bundled_ffmpeg(tmp_path)

    assert problem in done.stderr.splitlines()[-1]
    assert "imageio-ffmpeg" in done.stderr.splitlines()[-1]


@posix
def test_a_missing_encoder_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ffmpeg without one encoder serves for the others."""
    program = stand_in(tmp_path, "aac", version="5.1.9-distribution")
    monkeypatch.setenv(tool.ENVIRONMENT_VARIABLE, str(program))

    assert tool.require_encoder("aac") == "aac"
    with pytest.raises(
        ToolNotFoundError,
        match=r"ffmpeg 5\.1\.9-distribution .* has no encoder libmp3lame; take another `format`",
    ):
        tool.require_encoder("libmp3lame")


@posix
@pytest.mark.parametrize(
    ("avutil", "is_supported"), [("57. 27.100", False), ("57. 28.100", True), ("61.  1.102", True)]
)
def test_a_named_ffmpeg_older_than_the_oldest_supported_is_refused(
    tmp_path: Path, avutil: str, is_supported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Age is read from libavutil, because builds from git have no release number."""
    program = stand_in(tmp_path, *tool.NEEDED_ENCODERS, version="N-1-gabcdef", avutil=avutil)
    monkeypatch.setenv(tool.ENVIRONMENT_VARIABLE, str(program))

    if is_supported:
        assert tool.find().path == str(program)
    else:
        with pytest.raises(ToolNotFoundError, match=r"older than 5\.1.*; unset CAPTOOLKIT_FFMPEG"):
            tool.find()


@posix
@pytest.mark.parametrize("kind", ["missing", "folder", "not a program", "fails", "talks nonsense"])
def test_a_named_ffmpeg_that_is_none_is_refused(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong `CAPTOOLKIT_FFMPEG` raises an error that names it, and is never replaced silently."""
    path = tmp_path / "tool"
    if kind == "folder":
        path.mkdir()
    elif kind == "not a program":
        path.write_text("hello")
        path.chmod(0o755)
    elif kind == "fails":
        script(path, "exit 1")
    elif kind == "talks nonsense":
        script(path, "echo hello, world")
    monkeypatch.setenv(tool.ENVIRONMENT_VARIABLE, str(path))

    with pytest.raises(ToolNotFoundError, match=f"{tool.ENVIRONMENT_VARIABLE}=.*tool"):
        tool.find()


# ---------------------------------------------------------------------------------- names

NAMES = {
    "option": "-i.wav",
    "spaces": "  a b .wav",
    "quotes": 'it\'s "so" `called`.wav',
    "percent": "100%d%03d%%.wav",
    "protocol": "http:x:y.wav",
    "pipe": "pipe:0.wav",
    "concat": "concat:a|b.wav",
    "shell": "$(touch x);&|<>*?.wav",
    "filter": "[0:a],volume=0;x=1.wav",
    "newline": "two\nlines.wav",
    "chinese": "会议录音.wav",
    "not utf-8": "caf\udce9 \udcff.wav",
}


@posix
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_any_file_name_can_be_read(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ffmpeg takes every name that a file system allows for a name, not an option or a protocol."""
    write_wav(tmp_path / "plain.wav", tone(0.25, rate_hz=8_000), rate_hz=8_000)
    (tmp_path / "plain.wav").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)

    track = probe(name).default_track
    with decode.TrackDecoder(name, track=track) as decoder:
        samples = sum(len(block) for block in decoder)

    assert samples == track.duration_samples == 2_000
    assert [path.name for path in tmp_path.iterdir()] == [name]


@posix
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_any_file_name_can_be_written(tmp_path: Path, name: str) -> None:
    """An output is written under exactly its given name."""
    source = tool.raw_source(rate_hz=8_000, channels=1)
    argv = tool.compile_argv(source.output(tool.file_url(tmp_path / name), f="wav"))

    with ffmpeg_process.Process(argv, feed=True) as process:
        process.write(tone(0.25, rate_hz=8_000).tobytes())
        process.finish()

    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert probe(tmp_path / name).default_track.duration_samples == 2_000


# ---------------------------------------------------------------------------------- fence


def playlist(reference: str) -> str:
    """Return an HLS playlist of one segment."""
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{reference}\n#EXT-X-ENDLIST\n"


def concat(reference: str) -> str:
    """Return a script for ffmpeg's concat demuxer."""
    return f"ffconcat version 1.0\nfile '{reference}'\n"


def sdp(reference: str) -> str:
    """Return the SDP of a stream over the network."""
    return (
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        f"a=control:{reference}\nm=audio 5004 RTP/AVP 0\n"
    )


def avisynth(reference: str) -> str:
    """Return an AviSynth script."""
    return f'WavSource("{reference}")\n'


def dash(reference: str) -> str:
    """Return a DASH manifest."""
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT3S"><Period><AdaptationSet mimeType="audio/mp4">'
        f'<Representation id="1" bandwidth="1000"><BaseURL>{reference}</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>"
    )


FORMS = {
    ".m3u8": playlist, ".ffconcat": concat, ".sdp": sdp, ".avs": avisynth, ".mpd": dash
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".mp3", ".wav", "its own"])
@pytest.mark.parametrize("form", FORMS)
def test_a_text_that_names_other_media_is_refused(
    tmp_path: Path, form: str, suffix: str, web: Web
) -> None:
    """No playlist, script or manifest is followed, to a file or to a server."""
    write_wav(tmp_path / "secret.wav", noise(0.5, rate_hz=8_000), rate_hz=8_000)
    for reference in ("secret.wav", (tmp_path / "secret.wav").as_uri(), f"{web.url}/a.wav"):
        path = tmp_path / f"talk{form if suffix == 'its own' else suffix}"
        path.write_text(FORMS[form](reference))

        with pytest.raises(NotMediaError):
            probe(path)
        with pytest.raises(ToolError), decode.TrackDecoder(path, track=A_TRACK) as decoder:
            list(decoder)
    assert web.asked == []


@pytest.mark.parametrize("form", [".m3u8", ".ffconcat"])
def test_an_unfenced_ffmpeg_would_follow(tmp_path: Path, form: str, ffmpeg: str, web: Web) -> None:
    """The texts above are real: an ffmpeg without the fence requests the URL."""
    path = tmp_path / f"talk{form}"
    path.write_text(FORMS[form](f"{web.url}/a.wav"))
    allowed = ["-protocol_whitelist", "file,http,tcp", "-safe", "0"][: 4 if "conc" in form else 2]

    subprocess.run(
        [ffmpeg, *allowed, "-i", str(path)],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=30,
    )  # fmt: skip

    assert web.asked[:1] == ["/a.wav"]


def test_the_playlist_among_the_fixtures_is_refused(fixtures: Path) -> None:
    """A playlist with the suffix of an MP3 does not lead to the recording next to it."""
    with pytest.raises(NotMediaError):
        probe(fixtures / "playlist.mp3")


def test_the_list_of_demuxers_holds_media_only() -> None:
    """Demuxers that open other files, use the network or run scripts are not on the list."""
    dangerous = {
        "alsa", "applehttp", "avisynth", "concat", "concatf", "dash", "dshow", "ffmetadata",
        "fbdev", "hls", "image2", "image2pipe", "imf", "lavfi", "pulse", "rtp", "rtsp", "sap",
        "sbg", "sdp", "tty", "v4l2", "vapoursynth", "webm_dash_manifest", "x11grab",
    }  # fmt: skip
    assert not dangerous & set(tool.DEMUXERS.split(","))
    assert set(tool.PROTOCOLS.split(",")) == {"file", "pipe"}


def test_ffmpeg_knows_every_demuxer_on_the_list(ffmpeg: str) -> None:
    """A misspelt name would silently exclude a format."""
    listing = subprocess.run([ffmpeg, "-demuxers"], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listing.stdout.splitlines()]
    known = {name for row in rows if len(row) > 2 for name in row[1].split(",")}

    assert set(tool.DEMUXERS.split(",")) - known == set()


def test_a_text_is_fenced_in_decoding_too(tmp_path: Path, stereo: Path, convert: Convert) -> None:
    """The fence applies to decoding, not only to the read of a header."""
    flac = convert(stereo, tmp_path / "talk.flac")
    track = probe(flac).default_track
    flac.write_text(playlist(str(stereo)))

    with decode.TrackDecoder(flac, track=track) as decoder, pytest.raises(ToolError):
        list(decoder)
