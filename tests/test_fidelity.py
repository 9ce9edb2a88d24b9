from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from captoolkit.bitstream.encodings import MODEL_BAND_HZ
from captoolkit.model import Encoding
from captoolkit.planning import ladder
from scripts import fidelity, fidelity_sounds
from tests.support.encodings import aac, amr, gsm, mp3, wav
from tests.support.paths import ROOT

RATE_HZ = 16_000

Samples = NDArray[np.float64]


@pytest.fixture(scope="module")
def music() -> Samples:
    """Some seconds with loud and soft, low and high in them, at 16 kHz."""
    return np.asarray(fidelity_sounds.tune(np.random.default_rng(1))[: 8 * RATE_HZ], np.float64)


@pytest.fixture(scope="module")
def hiss(music: Samples) -> Samples:
    """White noise as loud as the music."""
    return np.asarray(np.random.default_rng(2).normal(0, np.std(music), len(music)))


@pytest.fixture
def sound(tmp_path: Path, music: Samples) -> Path:
    """A short recording."""
    path = tmp_path / "sound.wav"
    soundfile.write(path, music[: 2 * RATE_HZ], RATE_HZ)
    return path


def fidelity_db(reference: Samples, encoded: Samples) -> float:
    """What is kept of samples that are aligned."""
    return fidelity.fidelity_db(fidelity.log_mel(reference), fidelity.log_mel(encoded))


# ------------------------------------------------------------------------------- the metric


def test_nothing_is_lost_of_what_stays_the_same(music: Samples) -> None:
    """A perfect copy keeps everything."""
    assert fidelity_db(music, music) == math.inf


@pytest.mark.parametrize("gain", [0.25, 0.95, 1.5])
def test_change_of_level_costs_nothing(music: Samples, gain: float) -> None:
    """Louder or softer is not worse: all that is left is rounding."""
    assert fidelity_db(music, gain * music) > 100


@pytest.mark.parametrize("error", [0.01, 0.1])
def test_known_error_of_the_log_mel_is_known_db(error: float) -> None:
    """An error of e beside cells that are 0 and 1 in equal parts costs log10(e^2 / 0.25)."""
    cells = np.tile([-4.0, 0.0], (40, 64))  # in powers of ten, four of which are a unit
    wrong = cells.copy()
    # In half of the soft cells up, in half of them down: the level and the floor stay.
    wrong[::2, ::2] += 4 * error
    wrong[1::2, ::2] -= 4 * error
    expected_db = 10 * math.log10(0.25 / (error**2 / 2))
    assert fidelity.fidelity_db(cells, wrong) == pytest.approx(expected_db)


def test_what_lies_eight_decades_under_the_loudest_is_not_heard() -> None:
    """An error under the floor is none."""
    cells = np.tile([-9.0, 0.0], (40, 64))
    wrong = np.tile([-8.5, 0.0], (40, 64))
    assert fidelity.fidelity_db(cells, wrong) == math.inf


def test_log_mel_is_the_models_own(music: Samples) -> None:
    """A hop every 10 ms from the first sample on; a cell is power in a Hann window of 25 ms."""
    heard = fidelity.log_mel(music)
    assert heard.shape == (len(music) // 160 + 1, 128)
    tone = np.sin(2 * np.pi * 1000 / RATE_HZ * np.arange(RATE_HZ))
    # The window's sum is 200, a sine's peak half of that; beside it are two lines of half its size.
    power = 100**2 + 2 * 50**2
    mels = np.linspace(0, 15 + 27 * np.log(8) / np.log(6.4), 130)
    edges_hz = np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))
    # Overlapping triangles of area 1: times half their widths, they count every line once.
    cells = 10.0 ** fidelity.log_mel(tone)[50]
    assert cells @ (edges_hz[2:] - edges_hz[:-2]) / 2 == pytest.approx(power)
    assert 990 < edges_hz[cells.argmax() + 1] < 1010


def test_long_sound_is_heard_in_blocks(monkeypatch: pytest.MonkeyPatch, music: Samples) -> None:
    """Where one block ends and the next begins makes no difference."""
    whole = fidelity.log_mel(music)
    monkeypatch.setattr(fidelity, "BLOCK_HOPS", 7)
    assert fidelity.log_mel(music) == pytest.approx(whole)


def test_more_noise_is_less_fidelity(music: Samples, hiss: Samples) -> None:
    """Each louder noise on the sound costs more."""
    found_db = [fidelity_db(music, music + 10 ** (db / 20) * hiss) for db in range(-80, 1, 10)]
    assert found_db == sorted(found_db, reverse=True)
    assert found_db[0] - found_db[-1] > 20


@pytest.mark.parametrize("late", [0, 1, 79, 1024, -37])
def test_delay_is_found_and_taken_out(music: Samples, hiss: Samples, late: int) -> None:
    """A shift by whole samples, also under noise, is found to the sample and costs nothing."""
    shifted = np.concatenate([np.zeros(late), music]) if late > 0 else music[-late:]
    assert fidelity.find_delay(music, shifted, expected=0) == late
    noisy = shifted + 0.05 * np.resize(hiss, len(shifted))
    assert fidelity.find_delay(music, noisy, expected=0) == late
    back = fidelity.aligned(shifted, late, len(music))
    inside = slice(abs(late), len(music) - abs(late))
    assert len(back) == len(music)
    assert np.array_equal(back[inside], music[inside])


def test_delay_is_the_expected_one_where_nothing_correlates(music: Samples, hiss: Samples) -> None:
    """What has nothing to do with the sound says nothing about the delay, and silence nothing."""
    assert fidelity.find_delay(music, hiss, expected=80) == 80
    assert fidelity.find_delay(music, np.zeros(len(music)), expected=80) == 80


# -------------------------------------------------------------------------------- the rungs


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("mp3:64k:24000", mp3(64_000, 24_000)),
        ("mp3:128k:44100:7:none", mp3(128_000, 44_100)),
        ("aac:48k:16000", aac(48_000)),
        ("amr:12.2k", amr()),
        ("wav:16000", wav()),
        ("gsm", gsm()),
    ],
)
def test_names_of_rungs(name: str, encoding: Encoding) -> None:
    """A name stands for an encoding, and an encoding is called by that name."""
    assert fidelity.rung_of(name) == encoding
    assert fidelity.name_of(encoding) == name


def test_every_rung_that_is_measured_has_a_name_of_its_own() -> None:
    """No two rows of the table are called the same."""
    encodings = fidelity.chosen(["all"], cutoff_hz=MODEL_BAND_HZ)
    names = [fidelity.name_of(encoding) for encoding in encodings]
    assert len(set(names)) == len(names) >= len(ladder.LADDER) + len(fidelity.RIVALS)
    assert [fidelity.rung_of(name) for name in names] == encodings


def test_effort_and_cutoff_of_an_mp3() -> None:
    """The effort is in the name; the low-pass is too, or is the one that is asked for."""
    named = fidelity.rung_of("mp3:24k:16000:5:7000", cutoff_hz=None)
    assert (named.effort, named.cutoff_hz) == (5, 7000)
    assert fidelity.rung_of("mp3:24k:16000:5", cutoff_hz=None).cutoff_hz is None
    assert fidelity.name_of(named) == "mp3:24k:16000:5:7000"


# -------------------------------------------------------------------------------- judging


def result(rung: ladder.Rung, speech_db: float) -> fidelity.Result:
    """What might have been measured of a rung."""
    return fidelity.Result(
        name=fidelity.name_of(rung.encoding),
        encoding=rung.encoding,
        kbps=64.0,
        speed=500.0,
        delays_samples={"speech": 0},
        fidelity_db={"speech": speech_db},
    )


def test_order_is_judged_against_the_rung_above() -> None:
    """A rung that is better than the one above is told, however the rungs were named."""
    upper, lower = ladder.LADDER[1], ladder.LADDER[3]
    assert fidelity.disorder([result(lower, 30.0), result(upper, 40.0)]) == []
    assert fidelity.disorder([result(lower, 40.2), result(upper, 40.0)]) == []
    told = fidelity.disorder([result(lower, 41.0), result(upper, 40.0)])
    assert told == ["speech: mp3:96k:24000 is 1.0 dB better than mp3:128k:24000"]


def test_shortfall_is_more_than_the_tolerance() -> None:
    """A rung may lie below its figure by the tolerance; without a figure it cannot fall short."""
    rung = ladder.LADDER[1]
    assert rung.fidelity_db is not None
    found = result(rung, rung.fidelity_db.speech - 1.5)
    assert fidelity.shortfalls([found], tolerance_db=2.0) == []
    told = fidelity.shortfalls([found], tolerance_db=1.0)
    assert told == ["speech: mp3:128k:24000 is 1.5 dB below its figure"]
    assert fidelity.shortfalls([result(ladder.LADDER[2], 0.0)], tolerance_db=1.0) == []


# ------------------------------------------------------------------------- the command line


def test_table_of_two_rungs(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both rungs, their delays and the ladder's figure are in the table."""
    rungs = ["mp3:64k:24000", "aac:48k:16000"]
    assert fidelity.main([f"speech={sound}", "--rungs", *rungs]) == 0
    shown = capsys.readouterr().out
    (mp3,) = [line for line in shown.splitlines() if line.startswith(rungs[0])]
    (aac,) = [line for line in shown.splitlines() if line.startswith(rungs[1])]
    assert mp3.split()[3:5] == ["0", "|"]
    assert mp3.split()[6] == "25.6"
    assert aac.split()[3] == "1024"
    assert "sound.wav (2 s)" in shown
    assert "the order counts" in shown
    assert "The order of the ladder holds" in shown


def test_json_of_two_rungs(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same as JSON; a recording of no stated kind is given, and held against nothing."""
    assert fidelity.main([str(sound), "--json", "--rungs", "wav:16000", "amr:12.2k"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["sounds"] == [{"name": "sound.wav", "kind": "given", "duration_s": 2.0}]
    wav, amr = document["rungs"]
    assert (wav["name"], amr["name"]) == ("wav:16000", "amr:12.2k")
    assert wav["fidelity_db"]["given"] > amr["fidelity_db"]["given"]
    assert wav["delays_samples"]["given"] == 0
    assert amr["delays_samples"]["given"] == pytest.approx(80, abs=1)
    assert wav["kbps"] == pytest.approx(256, rel=0.01)
    assert amr["kbps"] == pytest.approx(12.8, rel=0.02)


@pytest.mark.parametrize(("tolerance", "status"), [("100", 0), ("-100", 1)])
def test_check_sets_the_exit_status(
    sound: Path, tolerance: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only a rung below its figure by more than the tolerance fails the check, and is named."""
    arguments = [f"music={sound}", "--rungs", "mp3:48k:24000", "--check", "--tolerance", tolerance]
    assert fidelity.main(arguments) == status
    assert ("mp3:48k:24000" in capsys.readouterr().err) is bool(status)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--rungs", "opus:24k"], "'opus:24k' is no rung"),
        (["--rungs", "mp3:24k:16000:11"], "is no rung"),
        (["--rungs", "mp3:24k:fast"], "'fast' is not a whole number"),
        (["--rungs", "mp3:63k:24000"], "take one of 8k, 16k"),
        (["--cutoff", "low"], "'low' is not a whole number"),
        (["absent.wav"], "absent.wav: no such file"),
        (["fixtures/empty.wav"], "empty.wav: the file is empty"),
        (["fixtures/speech/en-first-track.flac", "--check"], "there is no figure to check"),
    ],
)
def test_wrong_usage_is_told(
    arguments: list[str],
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What cannot be is said in a line, with exit status 2."""
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as raised:
        fidelity.main(arguments)
    assert raised.value.code == 2
    assert complaint in capsys.readouterr().err


def test_sounds_of_its_own_are_of_every_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without recordings beside the project there is still a sound of each kind, none too loud."""
    monkeypatch.setattr(fidelity_sounds, "CORPUS", ROOT / "absent")
    parts = list(fidelity_sounds.usual_parts())
    assert {part.kind for part in parts} == set(fidelity_sounds.KINDS)
    for part in parts:
        assert np.isfinite(part.samples).all(), part.name
        # Resampling adds a little to what was recorded up to full scale.
        assert 1e-3 < np.abs(part.samples).max() < 1.02, part.name


def test_script_can_be_run() -> None:
    """It is a program."""
    assert os.access(ROOT / "scripts" / "fidelity.py", os.X_OK)
