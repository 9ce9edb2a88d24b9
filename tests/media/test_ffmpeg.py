from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from captoolkit.errors import NotMediaError, ToolError, ToolNotFoundError, ToolTimeoutError
from captoolkit.media import decode
from captoolkit.media import ffmpeg as tool
from captoolkit.media.probe_file import probe
from captoolkit.model import Track
from tests.support.paths import ROOT
from tests.support.processes import has_children, posix, python, script
from tests.support.sound import Convert, noise, tone, write_wav
from tests.support.web import Web

FOREVER = python("import time; time.sleep(600)")
LONG_S = 30.0  # far more than anything here needs
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

    with tool.Process(argv, feed=True) as process:
        process.write(tone(0.25, rate_hz=8_000).tobytes())
        process.finish()

    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert probe(tmp_path / name).default_track.duration_samples == 2_000


# ------------------------------------------------------------------------------ processes


def test_a_child_that_stalls_is_ended() -> None:
    """A child without output is ended after the stall limit."""
    began = time.monotonic()
    with tool.Process(FOREVER, stall_s=0.2) as process:
        with pytest.raises(ToolTimeoutError) as caught:
            process.read(1)
        assert caught.value.argv == tuple(FOREVER)
    assert time.monotonic() - began < LONG_S
    assert not has_children()


def test_a_child_that_takes_no_input_is_ended() -> None:
    """A child that never reads its input is ended after the stall limit."""
    process = tool.Process(FOREVER, feed=True, stall_s=0.2)
    with process, pytest.raises(ToolTimeoutError):
        process.write(bytes(1 << 22))
    assert not has_children()


def test_a_child_that_never_exits_is_ended() -> None:
    """A child that closes its output and does not exit is ended after the stall limit."""
    quiet = python("import os, time; os.close(1); time.sleep(600)")
    with tool.Process(quiet, stall_s=1.0) as process:
        assert process.read(1) == b""
        with pytest.raises(ToolTimeoutError):
            process.finish()


def test_a_child_that_writes_a_file_makes_progress(stereo: Path, tmp_path: Path) -> None:
    """A copy may take longer than the stall limit while its file grows."""
    made = tmp_path / "copy.wav"
    argv = [tool.find().path, "-v", "error", "-nostdin", "-readrate", "4", "-i", str(stereo)]
    argv += ["-c", "copy", "-flush_packets", "1", str(made)]
    with tool.Process(argv, stall_s=0.3, writes=made) as process:
        process.finish()
    assert made.stat().st_size >= stereo.stat().st_size
    made.unlink()
    with (
        tool.Process(argv, stall_s=0.3) as process,
        pytest.raises(ToolTimeoutError, match=r"no progress within 0\.3 s"),
    ):
        process.finish()


def test_a_child_whose_file_no_longer_changes_is_ended(tmp_path: Path) -> None:
    """A file that has stopped changing is no progress."""
    made = tmp_path / "made"
    writer = python("import sys, time; open(sys.argv[1], 'w').close(); time.sleep(600)", str(made))
    with tool.Process(writer, stall_s=0.3, writes=tmp_path) as process:
        with pytest.raises(ToolTimeoutError):
            process.finish()
        assert made.exists()


def test_a_child_that_drips_is_ended_at_the_total() -> None:
    """A child with slow progress is ended at the total limit."""
    drip = python("import os, time\nwhile True: os.write(1, b'.'); time.sleep(0.01)")
    began = time.monotonic()
    process = tool.Process(drip, total_s=0.3, stall_s=0.8)
    with process, pytest.raises(ToolTimeoutError):
        process.read(1 << 20)
    assert time.monotonic() - began < LONG_S
    assert not has_children()


def test_the_time_of_the_caller_is_not_the_time_of_the_child() -> None:
    """The time between two calls does not count towards the limits."""
    echo = python("import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())")
    with tool.Process(echo, feed=True, total_s=3.0, stall_s=0.4) as process:
        time.sleep(1.0)
        process.write(b"still here")
        process.end_input()
        time.sleep(0.6)
        process.wait()
        assert process.read_all(100) == b"still here"


@posix
def test_a_script_around_the_program_ends_with_it(tmp_path: Path) -> None:
    """An ffmpeg that a wrapper script started is ended together with it."""
    wrapper = script(tmp_path / "wrapper", "sleep 600 &", "echo $!", "wait")
    began = time.monotonic()
    with tool.Process([str(wrapper)], stall_s=0.3) as process:
        inner = int(_first_line(process))
        with pytest.raises(ToolTimeoutError):
            process.read(1)
    assert time.monotonic() - began < LONG_S
    assert _is_gone(inner)


def _first_line(process: tool.Process) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        line += process.read(1)
    return line


def _is_gone(pid: int) -> bool:
    """Whether a process has ended, even if its parent has not reaped it."""
    for _ in range(100):
        status = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout.strip()
        if not status or status.startswith("Z"):
            return True
        time.sleep(0.05)
    return False


def test_a_flood_of_errors_does_not_block() -> None:
    """Standard error is always drained, and only its tail is kept."""
    code = (
        "import os, sys\nfor n in range(2000): os.write(2, b'%06d' % n + b'x' * 2000)\nprint('ok')"
    )
    with tool.Process(python(code), tail_bytes=1000) as process:
        assert process.read_all(100).strip() == b"ok"
        process.finish()
        assert process.stderr_tail == "x" * 1000


def test_the_tail_of_standard_error_is_kept() -> None:
    """The tail is the end of standard error, invalid bytes included."""
    code = "import os, sys; os.write(2, b'first ' + b'.' * 5000 + b' last \\xff'); sys.exit(7)"
    process = tool.Process(python(code))
    with process, pytest.raises(ToolError, match="ffmpeg failed") as caught:
        process.finish()
    assert caught.value.returncode == 7
    assert caught.value.stderr_tail.endswith(". last \ufffd")
    assert len(caught.value.stderr_tail) == tool.STDERR_TAIL_BYTES


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_leaving_on_an_exception_ends_the_child(error: type[BaseException]) -> None:
    """Any exception of the caller ends and reaps the child."""

    def interrupted() -> None:
        with tool.Process(FOREVER, feed=True) as process:
            process.write(b"x")
            assert has_children()
            raise error

    with pytest.raises(error):
        interrupted()
    assert not has_children()


def test_closing_twice_is_allowed() -> None:
    """The second `close` does nothing."""
    process = tool.Process(FOREVER)
    process.close()
    process.close()
    assert not has_children()


def test_a_failure_carries_the_command_and_the_reason(tmp_path: Path) -> None:
    """A failure has the argument list, the status and the tail of standard error."""
    argv = tool.compile_argv(tool.source(tmp_path / "nothing.wav").output("pipe:1", f="null"))
    with tool.Process(argv) as process, pytest.raises(ToolError) as caught:
        process.finish()
    assert caught.value.argv == tuple(argv)
    assert caught.value.returncode not in (0, None)
    assert "No such file or directory" in caught.value.stderr_tail


def test_writing_to_a_dead_child_raises_its_failure() -> None:
    """A broken pipe becomes the failure of the child."""
    died = python("import sys; sys.stderr.write('out of patience'); sys.exit(3)")
    process = tool.Process(died, feed=True)
    with process, pytest.raises(ToolError) as caught:
        process.write(bytes(1 << 22))
    assert caught.value.returncode == 3
    assert caught.value.stderr_tail == "out of patience"


def test_a_child_that_stops_reading_has_failed_even_with_status_zero() -> None:
    """Unread input is an error even if the child exits with 0."""
    process = tool.Process(python("import sys; sys.exit(0)"), feed=True)
    with process, pytest.raises(ToolError, match="ended before it had read its input"):
        process.write(bytes(1 << 22))


def test_a_missing_program_cannot_be_started(tmp_path: Path) -> None:
    """A failed start raises a ToolError, not an OSError."""
    with pytest.raises(ToolError, match="cannot be started"):
        tool.Process([str(tmp_path / "ffmpeg")])


def test_more_output_than_allowed_is_refused() -> None:
    """`read_all` raises beyond its limit."""
    process = tool.Process(python("print('x' * 100_000)"))
    with process, pytest.raises(ToolError, match="more than 1,000 bytes"):
        process.read_all(1000)


def test_lines_come_whole() -> None:
    """Lines are yielded whole, the last one with or without a line break."""
    with tool.Process(python("print('\\n'.join(map(str, range(50_000))), end='')")) as process:
        lines = [int(line) for line in process.lines()]
    assert lines == list(range(50_000))


def test_reading_and_writing_may_happen_at_once() -> None:
    """One thread feeds while another reads, and nothing is lost."""
    echo = python("import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)")
    read: list[bytes] = []
    sent = [bytes([number % 251]) * 70_000 for number in range(60)]
    with tool.Process(echo, feed=True) as process:
        reader = threading.Thread(target=lambda: read.append(process.read_all(1 << 24)))
        reader.start()
        for data in sent:
            process.write(data)
        process.end_input()
        reader.join(LONG_S)
        process.wait()
    assert b"".join(read) == b"".join(sent)


def test_a_child_without_input_reads_nothing() -> None:
    """A child never reads the standard input of captoolkit."""
    with tool.Process(python("import sys; print(len(sys.stdin.buffer.read()))")) as process:
        assert process.read_all(100).strip() == b"0"


def test_arguments_reach_the_child_as_they_are() -> None:
    """No shell interprets the arguments."""
    text = "$(echo a) `echo b` | cat > c; %PATH% 'd' \"e\" *"
    with tool.Process(python("import sys; print(sys.argv[1])", text)) as process:
        assert process.read_all(1000).decode().strip() == text


@posix
def test_a_child_has_its_own_session() -> None:
    """Ctrl-C in the terminal reaches captoolkit alone, which ends the child."""
    with tool.Process(python("import os; print(os.getsid(0))")) as process:
        assert int(process.read_all(100)) != os.getsid(0)


def test_the_environment_cannot_change_what_ffmpeg_prints(
    tmp_path: Path, stereo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables that colour ffmpeg's output or write a log are not passed on."""
    monkeypatch.setenv("AV_LOG_FORCE_COLOR", "1")
    monkeypatch.setenv("FFREPORT", f"file={tmp_path / 'report.log'}")

    assert len(probe(stereo).tracks) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "it gave no reason"),
        ("one\ntwo\n\n", "two"),
        ("[mp3 @ 0x5581] Header missing\n", "Header missing"),
        ("[unfinished", "[unfinished"),
        ("bad \x1b[31mred\x07", "bad ?[31mred?"),
        ("x" * 1000, "x" * 300),
    ],
    ids=["nothing", "last", "module", "bracket", "control", "long"],
)
def test_the_last_line_is_fit_to_show(text: str, line: str) -> None:
    """A reason has no addresses and control characters, and a limited length."""
    assert tool.last_line(text) == line


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
        stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=LONG_S,
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
