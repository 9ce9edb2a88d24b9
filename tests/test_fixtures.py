from __future__ import annotations

import functools
import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
import pytest
import soundfile

Truth = dict[str, Any]
Sound = npt.NDArray[np.float64]

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "fixtures"
LIMIT_BYTES = 5_000_000
FIELDS = {"describes", "made_by", "what", "container", "tracks", "pictures", "spans"}
# How far a level may be from the truth: lossless sound is the truth, a codec only resembles it.
LOSSLESS_DB, LOSSY_DB = 0.1, 1.0
SILENT_DBFS = -80.0

TRUTHS: dict[str, Truth] = {
    path.relative_to(FIXTURES).as_posix().removesuffix(".json"): json.loads(
        path.read_text(encoding="utf-8")
    )
    for path in sorted(FIXTURES.rglob("*.json"))
}
MEDIA = [name for name, truth in TRUTHS.items() if truth["container"]]
TRACKS = [(name, track["number"]) for name in MEDIA for track in TRUTHS[name]["tracks"]]
SPANS = [(name, span) for name in MEDIA for span in TRUTHS[name]["spans"]]
TONES = [(name, span) for name, span in SPANS if span["kind"] == "tone"]
AUDIO_LINE = re.compile(
    r"Stream #0:(?P<index>\d+)(?:\[\w+\])?(?:\((?P<language>\w+)\))?: Audio: (?P<codec>\w+)"
    r".*?, (?P<rate>\d+) Hz, (?P<layout>mono|stereo)(?P<rest>.*)"
)
VIDEO_LINE = re.compile(r"Stream #0:(?P<index>\d+).*: Video: (?P<codec>\w+)(?P<rest>.*)")


def ffmpeg(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run ffmpeg, whatever it thinks of the file."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", *arguments]
    return subprocess.run(command, capture_output=True, check=False)


@functools.cache
def inspected(name: str) -> str:
    """What ffmpeg says about a fixture."""
    report = ffmpeg("-protocol_whitelist", "file,pipe", "-i", str(FIXTURES / name)).stderr
    return report.decode("utf-8", "replace")


@functools.cache
def sound_of(name: str, number: int = 1) -> Sound:
    """A track as its reader gives it: libsndfile where it can, else ffmpeg."""
    truth = TRUTHS[name]
    if is_lossless(name) and "header_duration_samples" not in truth:
        samples, _ = soundfile.read(FIXTURES / name, always_2d=True)
        return np.asarray(samples, dtype=np.float64)
    track = truth["tracks"][number - 1]
    arguments = ("-map", f"0:a:{number - 1}", "-c:a", "pcm_s16le", "-f", "s16le", "pipe:1")
    decoded = ffmpeg("-v", "error", "-i", str(FIXTURES / name), *arguments).stdout
    samples = np.frombuffer(decoded, dtype="<i2").reshape(-1, track["channels"])
    return samples / 32_768


def is_lossless(name: str) -> bool:
    """Whether the sound in a fixture is bit by bit what was written."""
    return name.endswith((".wav", ".flac"))


def heard(name: str, span: Truth) -> Sound:
    """What sounds during a span."""
    return sound_of(name, span["track"])[span["start_samples"] : span["end_samples"]]


def level_dbfs(sound: Sound) -> float:
    """The RMS level, digital silence being minus infinity."""
    rms = float(np.sqrt(np.mean(sound**2)))
    return 20 * float(np.log10(rms)) if rms else float("-inf")


def spans_of(name: str, *kinds: str) -> list[Truth]:
    """The spans of a fixture that are of one of these kinds."""
    return [span for span in TRUTHS[name]["spans"] if span["kind"] in kinds]


def shown(parameter: str | Truth) -> str:
    """A parameter as it stands in the name of a test."""
    if isinstance(parameter, str):
        return parameter
    return f"{parameter['kind']}-at-{parameter['start_samples']}"


def load_script() -> ModuleType:
    """The script that makes the fixtures, as a module."""
    spec = importlib.util.spec_from_file_location(
        "make_fixtures", ROOT / "scripts" / "make_fixtures.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ----------------------------------------------------------------------------- files and truths


def test_every_fixture_has_its_truth() -> None:
    """Beside each fixture lies a truth, and no truth lies there alone; pictures are no sounds."""
    paths = (path.relative_to(FIXTURES) for path in FIXTURES.rglob("*.*"))
    files = {path.as_posix() for path in paths if path.parts[0] != "pictures"}
    assert {name for name in files if not name.endswith(".json")} == set(TRUTHS)


def test_the_fixtures_stay_small() -> None:
    """All fixtures together stay below the limit of a light repository."""
    sizes_bytes = [path.stat().st_size for path in FIXTURES.rglob("*.*")]
    assert 0 < sum(sizes_bytes) < LIMIT_BYTES


@pytest.mark.parametrize("name", TRUTHS)
def test_a_truth_is_complete(name: str) -> None:
    """A truth names its file and its maker, and has every field of the schema."""
    truth = TRUTHS[name]
    assert set(truth) >= FIELDS
    assert truth["describes"] == Path(name).name
    assert (ROOT / truth["made_by"]).is_file()


@pytest.mark.parametrize(("name", "span"), SPANS, ids=shown)
def test_a_span_lies_within_its_track(name: str, span: Truth) -> None:
    """A span begins before it ends, and ends within the track that it is on."""
    track = TRUTHS[name]["tracks"][span["track"] - 1]
    assert 0 <= span["start_samples"] < span["end_samples"] <= track["duration_samples"]


# --------------------------------------------------------------------------- what is in the files


@pytest.mark.parametrize("name", MEDIA)
def test_the_sound_tracks_are_as_told(name: str) -> None:
    """Codec, rate, channels, language and default mark are those that ffmpeg finds."""
    found = [
        {
            "number": number,
            "stream_index": int(line["index"]),
            "codec": line["codec"],
            "sample_rate_hz": int(line["rate"]),
            "channels": {"mono": 1, "stereo": 2}[line["layout"]],
            "language": line["language"],
            "default": "(default)" in line["rest"],
        }
        for number, line in enumerate(AUDIO_LINE.finditer(inspected(name)), start=1)
    ]
    durations = {"duration_samples", "duration_from"}
    told = [
        {key: value for key, value in track.items() if key not in durations}
        for track in TRUTHS[name]["tracks"]
    ]
    assert found == told


@pytest.mark.parametrize("name", MEDIA)
def test_the_pictures_are_as_told(name: str) -> None:
    """The video streams are those that ffmpeg finds, and a cover is told from a film."""
    found = [
        {
            "stream_index": int(line["index"]),
            "codec": line["codec"],
            "is_cover": "(attached pic)" in line["rest"],
        }
        for line in VIDEO_LINE.finditer(inspected(name))
    ]
    assert found == TRUTHS[name]["pictures"]


@pytest.mark.parametrize("name", [name for name in TRUTHS if name not in MEDIA])
def test_what_is_no_media_file_opens_as_none(name: str) -> None:
    """In what only has the name of a sound, ffmpeg finds no stream."""
    assert "Stream #" not in inspected(name)
    assert "Invalid data found" in inspected(name)


@pytest.mark.parametrize(("name", "number"), TRACKS)
def test_a_track_is_as_long_as_told(name: str, number: int) -> None:
    """A full read gives exactly the samples that the truth promises."""
    track = TRUTHS[name]["tracks"][number - 1]
    assert sound_of(name, number).shape == (track["duration_samples"], track["channels"])


@pytest.mark.parametrize("name", MEDIA)
def test_no_file_says_when_it_was_made(name: str) -> None:
    """No file carries a time of creation or the version of ffmpeg that wrote it."""
    assert "Duration:" in inspected(name)
    assert "creation_time" not in inspected(name)
    assert not re.search(r"Lavf\d|Lavc\d", inspected(name))


@pytest.mark.parametrize(("name", "span"), SPANS, ids=shown)
def test_a_span_is_as_loud_as_told(name: str, span: Truth) -> None:
    """The level during a span is that of the truth, and a digital silence is exactly zero."""
    sound = heard(name, span)
    if span["level_dbfs"] is not None:
        tolerance_db = LOSSLESS_DB if is_lossless(name) else LOSSY_DB
        assert level_dbfs(sound) == pytest.approx(span["level_dbfs"], abs=tolerance_db)
    elif is_lossless(name):
        assert not sound.any()
    else:
        assert level_dbfs(sound) < SILENT_DBFS


@pytest.mark.parametrize(("name", "span"), TONES, ids=shown)
def test_a_tone_has_the_pitch_told(name: str, span: Truth) -> None:
    """The strongest frequency of a tone is the one that the truth tells."""
    sound = heard(name, span)[:, 0]
    rate_hz = TRUTHS[name]["tracks"][0]["sample_rate_hz"]
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    bin_hz = rate_hz / len(sound)
    assert np.argmax(spectrum) * bin_hz == pytest.approx(span["frequency_hz"], abs=bin_hz)


# ------------------------------------------------------------------------------ one by one


def test_tones_and_silences_touch_each_other() -> None:
    """The spans of the tones tile their file: each begins where the one before it ends."""
    name = "tones-and-silences.wav"
    spans = TRUTHS[name]["spans"]
    ends = [0, *(span["end_samples"] for span in spans)]
    assert [*(span["start_samples"] for span in spans), len(sound_of(name))] == ends


def test_each_blow_of_the_hammer_stands_out() -> None:
    """In the run without a voice, each blow begins in the very millisecond that the truth tells."""
    name = "hammering-mandarin.flac"
    alone = spans_of(name, "hammering")[1]
    sound = sound_of(name)
    blows = [
        span["start_samples"]
        for span in spans_of(name, "blow")
        if alone["start_samples"] <= span["start_samples"] < alone["end_samples"]
    ]
    assert len(blows) == alone["blows"]
    for start in blows:
        assert level_dbfs(sound[start : start + 44]) > level_dbfs(sound[start - 44 : start]) + 20


def test_the_hammering_keeps_its_beat() -> None:
    """Within a run, one blow follows another after the period told, give or take 30 ms."""
    name = "hammering-mandarin.flac"
    for run in spans_of(name, "hammering"):
        starts_s = [
            span["start_samples"] / 44_100
            for span in spans_of(name, "blow")
            if run["start_samples"] <= span["start_samples"] < run["end_samples"]
        ]
        assert np.diff(starts_s) == pytest.approx(run["period_s"], abs=0.030)


def test_the_hammer_sounds_of_metal() -> None:
    """The strongest partials of a blow are no whole multiples of the lowest one."""
    name = "hammering-mandarin.flac"
    run = spans_of(name, "hammering")[1]
    start = run["start_samples"] + 500
    ring = sound_of(name)[start : start + 8_820, 0]
    spectrum = np.abs(np.fft.rfft(ring * np.hanning(len(ring))))
    hz = np.fft.rfftfreq(len(ring), 1 / 44_100)
    bands = ((300, 1200), (1200, 2500), (2500, 4500))
    peaks = [
        hz[band][np.argmax(spectrum[band])] for band in ((hz > a) & (hz < b) for a, b in bands)
    ]
    lowest, *others = peaks
    ratios = np.array(others) / lowest
    assert np.all(np.abs(ratios - np.round(ratios)) > 0.1)


def test_the_pauses_are_where_neither_hammer_nor_voice_is() -> None:
    """Hammering, speech and pauses cover the recording, and no pause overlaps the others."""
    name = "hammering-mandarin.flac"
    times = np.zeros((2, len(sound_of(name))), dtype=bool)
    for span in spans_of(name, "hammering", "speech", "pause"):
        row = int(span["kind"] == "pause")
        times[row, span["start_samples"] : span["end_samples"]] = True
    assert np.all(times[0] ^ times[1])


def test_the_channels_out_of_phase_cancel() -> None:
    """Either channel is a voice, one is the other's negative, and their average is silence."""
    truth = TRUTHS["out-of-phase.flac"]
    left, right = sound_of("out-of-phase.flac").T
    assert np.array_equal(left, -right)
    assert not (left + right).any()
    levels_dbfs = [level_dbfs(left), level_dbfs(right)]
    assert levels_dbfs == pytest.approx(truth["channel_levels_dbfs"], abs=LOSSLESS_DB)
    assert np.corrcoef(left, right)[0, 1] == pytest.approx(truth["channel_correlation"])


def test_each_language_begins_at_a_time_of_its_own() -> None:
    """Either track is silent until its own phrase, so that neither can pass for the other."""
    for span in spans_of("two-languages.mp4", "speech"):
        before = sound_of("two-languages.mp4", span["track"])[: span["start_samples"] * 9 // 10]
        assert level_dbfs(before) < SILENT_DBFS


def test_the_cut_off_file_promises_more_than_it_has() -> None:
    """The header of the file cut off still states the length of the whole."""
    truth = TRUTHS["cut-off.flac"]
    claimed = soundfile.info(FIXTURES / "cut-off.flac").frames
    assert claimed == truth["header_duration_samples"]
    assert claimed > truth["tracks"][0]["duration_samples"]


def test_the_mp3_without_xing_misleads() -> None:
    """Without a Xing header, ffmpeg's guess of the length is more than a second wrong."""
    content = (FIXTURES / "no-xing.mp3").read_bytes()
    assert b"Xing" not in content
    assert b"Info" not in content
    guess = re.search(r"Duration: 00:00:([\d.]+)", inspected("no-xing.mp3"))
    assert guess is not None
    duration_s = TRUTHS["no-xing.mp3"]["tracks"][0]["duration_samples"] / 44_100
    assert abs(float(guess[1]) - duration_s) > 1


def test_the_playlist_leads_to_a_file_that_exists() -> None:
    """The trap is a real one: the playlist names a fixture beside it."""
    bait = TRUTHS["playlist.mp3"]["refers_to"]
    assert bait in (FIXTURES / "playlist.mp3").read_text(encoding="utf-8").splitlines()
    assert (FIXTURES / bait).is_file()


# ----------------------------------------------------------------------------------- the script


def test_the_check_names_every_difference(tmp_path: Path) -> None:
    """What is missing, what is strange, what differs and what is too short are each named."""
    script = load_script()
    shutil.copytree(FIXTURES, tmp_path / "fixtures")
    damaged = tmp_path / "fixtures"
    assert script.differences(damaged, FIXTURES) == []
    (damaged / "empty.wav").unlink()
    (damaged / "stray.wav").write_bytes(b"")
    (damaged / "playlist.mp3").write_text("#EXTM3U\n", encoding="utf-8")
    (damaged / "tones-and-silences.wav.json").write_text("{}", encoding="utf-8")
    amr = (damaged / "speech.amr").read_bytes()
    (damaged / "speech.amr").write_bytes(amr[: 6 + 100 * 32])
    assert script.differences(damaged, FIXTURES) == [
        "empty.wav is missing",
        "playlist.mp3 differs",
        "speech.amr decodes to [16000] samples, not [36160]",
        "stray.wav is made by nothing here",
        "tones-and-silences.wav.json differs",
    ]
