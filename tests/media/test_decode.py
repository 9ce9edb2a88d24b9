from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from captoolkit.errors import ToolError
from captoolkit.media import decode
from captoolkit.media.probe_file import probe
from captoolkit.units import rescale
from tests.support.clocked_files import ClockedFiles
from tests.support.processes import has_children
from tests.support.sound import Convert, Sound, level_dbfs, noise, tone, write_wav

RATE_HZ = 16_000


def decoded(path: Path, **options: object) -> Sound:
    """Decode all samples of the first track."""
    track = probe(path).default_track
    with decode.TrackDecoder(path, track=track, **options) as decoder:  # type: ignore[arg-type]
        return np.concatenate(list(decoder))


def wav_of(path: Path, *columns: Sound, rate_hz: int = RATE_HZ) -> Path:
    """Write a WAV with one column per channel."""
    return write_wav(path, np.hstack(columns), rate_hz=rate_hz, subtype="FLOAT")


def test_blocks_are_frames_by_channels(tmp_path: Path) -> None:
    """Blocks are float32, two-dimensional and about a second long, except the last."""
    sound = noise(2.25, rate_hz=RATE_HZ, channels=2)
    path = wav_of(tmp_path / "a.wav", sound)
    with decode.TrackDecoder(path, track=probe(path).default_track) as decoder:
        blocks = list(decoder)
        assert (decoder.rate_hz, decoder.channels) == (RATE_HZ, 2)
    assert [block.shape for block in blocks] == [(16_000, 2), (16_000, 2), (4_000, 2)]
    assert {block.dtype for block in blocks} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(np.concatenate(blocks), sound)


def test_one_channel_has_two_dimensions_too(tmp_path: Path) -> None:
    """A mono block is a single column."""
    assert decoded(wav_of(tmp_path / "a.wav", noise(0.5, rate_hz=RATE_HZ))).shape == (8_000, 1)


def test_samples_over_full_scale_are_kept(tmp_path: Path) -> None:
    """The decoder does not clip; the encoder decides about that."""
    loud = tone(0.5, rate_hz=RATE_HZ, amplitude=3.0)
    assert np.abs(decoded(wav_of(tmp_path / "a.wav", loud))).max() == pytest.approx(3.0, abs=0.01)


@pytest.mark.parametrize(
    ("weights", "factors"),
    [
        ([[0.5, 0.5]], (0.5, 0.5)),
        ([[1.0, 0.0]], (1.0, 0.0)),
        ([[0.0, 1.0]], (0.0, 1.0)),
        ([[0.25, 0.75]], (0.25, 0.75)),
        ([[0.5, -0.5]], (0.5, -0.5)),
        ([[1.0, 1.0]], (1.0, 1.0)),
    ],
    ids=["average", "left", "right", "unequal", "difference", "sum"],
)
def test_a_mix_is_exactly_its_weights(
    tmp_path: Path, weights: list[list[float]], factors: tuple[float, float]
) -> None:
    """A mix is the weighted sum, neither normalised, clipped nor rounded."""
    left = tone(0.5, rate_hz=RATE_HZ, frequency_hz=500, amplitude=0.9)
    right = tone(0.5, rate_hz=RATE_HZ, frequency_hz=800, amplitude=0.8)
    mixed = decoded(wav_of(tmp_path / "a.wav", left, right), mix=weights)
    np.testing.assert_allclose(mixed, factors[0] * left + factors[1] * right, atol=1e-6)


def test_a_mix_to_two_channels(tmp_path: Path) -> None:
    """A mix has one channel for each row of weights."""
    left, right = noise(0.5, rate_hz=RATE_HZ), tone(0.5, rate_hz=RATE_HZ)
    path = wav_of(tmp_path / "a.wav", left, right)
    swapped = decoded(path, mix=[[0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(swapped, np.hstack([right, left]), atol=1e-6)


def test_a_mix_of_six_channels_keeps_each_ones_level(tmp_path: Path, convert: Convert) -> None:
    """Every channel of 5.1 enters the mix with its own weight."""
    frequencies = (300, 500, 700, 100, 1_100, 1_300)
    columns = [tone(1.0, rate_hz=RATE_HZ, frequency_hz=hz, amplitude=0.5) for hz in frequencies]
    path = convert(
        wav_of(tmp_path / "a.wav", *columns),
        tmp_path / "a.flac",
        ["-af", "channelmap=0|1|2|3|4|5:5.1"],
    )
    row = (0.2, 0.1, 0.4, 0.0, 0.15, 0.15)

    mixed = decoded(path, mix=[row])

    spectrum = np.abs(np.fft.rfft(mixed[:, 0])) / (len(mixed) / 2)
    np.testing.assert_allclose(spectrum[list(frequencies)], 0.5 * np.array(row), atol=1e-3)


@pytest.mark.parametrize(
    ("from_hz", "to_hz"),
    [(44_100, 16_000), (48_000, 16_000), (8_000, 16_000), (22_050, 24_000), (16_000, 44_100)],
)
def test_resampling_keeps_length_and_level(tmp_path: Path, from_hz: int, to_hz: int) -> None:
    """A resampled tone keeps its duration, pitch and level."""
    sound = tone(3.217, rate_hz=from_hz, frequency_hz=1_000, amplitude=0.5)
    path = wav_of(tmp_path / "a.wav", sound, rate_hz=from_hz)

    resampled = decoded(path, rate_hz=to_hz)

    assert abs(len(resampled) - rescale(len(sound), from_hz, to_hz)) <= 1
    middle = resampled[to_hz : 2 * to_hz]
    truth = tone(4.0, rate_hz=to_hz, frequency_hz=1_000, amplitude=0.5)[to_hz : 2 * to_hz]
    np.testing.assert_allclose(middle, truth, atol=2e-3)


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff", "caf", "w64"])
@pytest.mark.parametrize("seek", [True, False])
def test_a_span_is_exact_to_the_sample(tmp_path: Path, suffix: str, seek: bool) -> None:
    """A jump in a format that `seeks_exactly`, and dropping, both start at the exact sample."""
    sound = (noise(5.0, rate_hz=44_100) * 32768).astype(np.int16)
    path = tmp_path / f"a.{suffix}"
    soundfile.write(str(path), sound, 44_100, subtype="PCM_16")
    info = probe(path)
    assert decode.seeks_exactly(info, info.default_track)
    for start, end in ((0, 1), (1, 44_101), (66_151, 154_347), (200_003, 220_500)):
        with decode.TrackDecoder(
            path,
            track=info.default_track,
            start_samples=start,
            end_samples=end,
            seek=seek,
            dtype="int16",
        ) as decoder:
            stretch = np.concatenate(list(decoder))
        np.testing.assert_array_equal(stretch, sound[start:end])


@pytest.mark.parametrize("start", [1_000, 159_900])
@pytest.mark.parametrize("channels", [2, 3])
def test_a_span_of_a_flac_with_very_long_frames_is_exact(
    channels: int, start: int, tmp_path: Path, convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where ffmpeg finds no frame to jump to, the sound is decoded from the beginning."""
    monkeypatch.setenv("CAPTOOLKIT_DECODER", "ffmpeg")
    columns = [tone(10, rate_hz=RATE_HZ, frequency_hz=300 + 70 * n) for n in range(channels)]
    plain = write_wav(tmp_path / "a.wav", np.hstack(columns), rate_hz=RATE_HZ)
    path = convert(plain, tmp_path / "a.flac", ("-frame_size", "65535"))
    span = decoded(path, start_samples=start, end_samples=start + 100)
    np.testing.assert_array_equal(span, decoded(plain)[start : start + 100])


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff"])
@pytest.mark.parametrize("end", [None, 100_003])
def test_joined_frames_hold_the_same_samples(tmp_path: Path, suffix: str, end: int | None) -> None:
    """`steady` changes no sample, with a mix and a resampler too."""
    path = tmp_path / f"a.{suffix}"
    sound = noise(3.21, rate_hz=44_100, channels=2)
    soundfile.write(path, sound, 44_100, subtype="PCM_16")
    wanted = {"start_samples": 12_345, "end_samples": end}
    for how in ({}, {"rate_hz": RATE_HZ, "mix": [[0.5, 0.5]]}, {"dtype": "int16"}):
        plainly = decoded(path, **wanted, **how)
        np.testing.assert_array_equal(decoded(path, steady=True, **wanted, **how), plainly)


def test_a_span_of_a_lossy_file_is_exact_without_seeking(tmp_path: Path, convert: Convert) -> None:
    """Samples before the start are decoded and dropped, so the span is exact."""
    source = wav_of(tmp_path / "a.wav", noise(5.0, rate_hz=RATE_HZ))
    path = convert(source, tmp_path / "a.ogg", ["-c:a", "libvorbis"])
    info = probe(path)
    assert not decode.seeks_exactly(info, info.default_track)
    whole = decoded(path)
    stretch = decoded(path, start_samples=24_001, end_samples=56_003, seek=False)
    np.testing.assert_array_equal(stretch, whole[24_001:56_003])


def test_only_the_chosen_track_is_decoded(fixtures: Path) -> None:
    """The second track of a film is decoded alone, at its own rate."""
    path = fixtures / "two-languages.mp4"
    track = probe(path).tracks[1]
    with decode.TrackDecoder(path, track=track) as decoder:
        samples = sum(len(block) for block in decoder)
    assert (samples, decoder.rate_hz, decoder.channels) == (track.duration_samples, 22_050, 1)


def test_closing_early_leaves_no_child(tmp_path: Path) -> None:
    """Closing after the first block leaves no process running."""
    path = wav_of(tmp_path / "a.wav", noise(120.0, rate_hz=RATE_HZ))
    with decode.TrackDecoder(path, track=probe(path).default_track) as decoder:
        assert len(next(iter(decoder))) == RATE_HZ
        assert has_children()
    assert not has_children()


def test_a_source_that_cannot_be_decoded_is_an_error(tmp_path: Path) -> None:
    """A source that was removed after its probe raises a ToolError."""
    path = wav_of(tmp_path / "a.wav", noise(1.0, rate_hz=RATE_HZ))
    track = probe(path).default_track
    path.unlink()
    with (
        decode.TrackDecoder(path, track=track) as decoder,
        pytest.raises(ToolError, match="No such file"),
    ):
        list(decoder)


def test_excerpts_of_a_short_track_are_all_of_it(tmp_path: Path) -> None:
    """A short recording is excerpted whole."""
    sound = noise(20.5, rate_hz=8_000, channels=2)
    path = wav_of(tmp_path / "a.wav", sound, rate_hz=8_000)
    heard = np.concatenate(list(decode.excerpts(path, track=probe(path).default_track)))
    np.testing.assert_array_equal(heard, sound)


def test_excerpts_of_a_long_track_are_spread_over_it(tmp_path: Path) -> None:
    """A long recording gives a second from the middle of each sixteenth."""
    seconds = 160
    ramp = np.repeat(np.arange(seconds) / 1000, 8_000).astype(np.float32)[:, None]
    path = wav_of(tmp_path / "a.wav", ramp, rate_hz=8_000)
    blocks = list(decode.excerpts(path, track=probe(path).default_track))
    assert [len(block) for block in blocks] == [8_000] * decode.EXCERPTS
    places = [round(float(block.mean()) * 1000) for block in blocks]
    assert places == [10 * index + 5 for index in range(decode.EXCERPTS)]


@pytest.mark.parametrize("how", [["-b:a", "64k"], ["-q:a", "5"], ["-write_xing", "0"]])
def test_excerpts_of_an_mp3_are_spread_over_it_too(
    tmp_path: Path, convert: Convert, how: list[str]
) -> None:
    """Rough jumps still give an excerpt from each sixteenth."""
    steps_hz = [200 + 100 * index for index in range(decode.EXCERPTS)]
    parts = [tone(10, rate_hz=RATE_HZ, frequency_hz=hz) for hz in steps_hz]
    source = write_wav(tmp_path / "a.wav", np.concatenate(parts), rate_hz=RATE_HZ)
    path = convert(source, tmp_path / "a.mp3", how)
    heard = np.concatenate(list(decode.excerpts(path, track=probe(path).default_track)))
    seconds = heard[: len(heard) // RATE_HZ * RATE_HZ].reshape(-1, RATE_HZ)
    loudest_hz = np.abs(np.fft.rfft(seconds, axis=1)).argmax(axis=1)
    assert len(seconds) >= decode.EXCERPTS - 1
    assert set(np.round(loudest_hz / 100) * 100) >= set(steps_hz[:-1])


def test_sound_that_changes_its_rate_keeps_the_first_one(tmp_path: Path, convert: Convert) -> None:
    """A recording that changes its rate on the way is decoded at its first rate."""
    sound = tone(3.0, rate_hz=44_100)
    source = wav_of(tmp_path / "a.wav", sound, sound, rate_hz=44_100)
    parts = [
        convert(source, tmp_path / "1.mp3", ["-write_xing", "0"]),
        convert(source, tmp_path / "2.mp3", ["-write_xing", "0", "-ar", "22050"]),
    ]
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))

    mixed = decoded(joined, mix=[[0.5, 0.5]])

    assert len(mixed) / 44_100 == pytest.approx(6.0, abs=0.15)
    for half in (mixed[44_100 : 2 * 44_100], mixed[-2 * 44_100 : -44_100]):
        assert level_dbfs(half) == pytest.approx(level_dbfs(sound), abs=0.6)
        assert int(np.argmax(np.abs(np.fft.rfft(half[:, 0])))) == 440


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [
        ("wav", "PCM_16"),
        ("wav", "PCM_24"),
        ("flac", "PCM_16"),
        ("aiff", "PCM_16"),
        ("w64", "DOUBLE"),
    ],
)
@pytest.mark.parametrize("seconds", [20.0, 40.5])
def test_excerpts_read_in_process_are_what_ffmpeg_decodes(
    tmp_path: Path, suffix: str, subtype: str, seconds: float
) -> None:
    """Libsndfile and ffmpeg read the same excerpts."""
    path = tmp_path / f"a.{suffix}"
    sound = noise(seconds, rate_hz=8_000, channels=2)
    soundfile.write(str(path), sound, 8_000, subtype=subtype)
    whole = decoded(path)
    every = len(whole) // decode.EXCERPTS
    starts = [index * every + every // 2 for index in range(decode.EXCERPTS)]
    spread = [whole[start : start + 8_000] for start in starts]
    wanted = np.concatenate(spread if every > 2 * 8_000 else [whole])
    heard = np.concatenate(list(decode.excerpts(path, track=probe(path).default_track)))
    np.testing.assert_allclose(heard, wanted, atol=1e-7)


def test_excerpts_of_an_unknown_container_are_read_by_ffmpeg(
    tmp_path: Path, convert: Convert
) -> None:
    """PCM in a container that libsndfile cannot read is excerpted by ffmpeg."""
    sound = noise(3.0, rate_hz=8_000, channels=2)
    path = convert(wav_of(tmp_path / "a.wav", sound, rate_hz=8_000), tmp_path / "a.mka")
    heard = np.concatenate(list(decode.excerpts(path, track=probe(path).default_track)))
    assert heard.shape == sound.shape


def test_a_layout_that_changes_on_the_way_keeps_its_level(tmp_path: Path, convert: Convert) -> None:
    """Stereo that continues as mono keeps its level in the mix."""
    source = wav_of(tmp_path / "a.wav", tone(3.0, rate_hz=44_100), rate_hz=44_100)
    parts = [
        convert(source, tmp_path / f"{channels}.mp3", ["-write_xing", "0", "-ac", str(channels)])
        for channels in (2, 1)
    ]
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    mixed = decoded(joined, mix=[[0.5, 0.5]])
    before, after = mixed[44_100 : 2 * 44_100], mixed[-2 * 44_100 : -44_100]
    assert level_dbfs(after) == pytest.approx(level_dbfs(before), abs=0.3)


@pytest.mark.parametrize("kind", ["gap", "overlap"])
def test_a_span_is_on_the_clock_of_an_uneven_track(tmp_path: Path, ffmpeg: str, kind: str) -> None:
    """The gaps and overlaps before a span count, although a decoder may jump to it."""
    files = ClockedFiles(tmp_path, ffmpeg)
    if kind == "gap":
        path = files.with_gap("gap.mka", "aac", 4.0, 6.0)
    else:
        path = files.joined_stream("overlap.ts", 8.0, 5.0, 6.0)
    track = probe(path).default_track
    assert [one.samples > 0 for one in track.discontinuities] == [kind == "gap"]

    def heard(start_s: int, end_s: int | None) -> Sound:
        start, end = start_s * 48_000, None if end_s is None else end_s * 48_000
        with decode.TrackDecoder(
            path, track=track, rate_hz=16_000, start_samples=start, end_samples=end
        ) as decoder:
            return np.concatenate(list(decoder))

    whole = heard(0, None)
    np.testing.assert_array_equal(heard(0, 7), whole[: 7 * 16_000])
    np.testing.assert_array_equal(heard(3, 9), whole[3 * 16_000 : 9 * 16_000])
    np.testing.assert_array_equal(heard(7, None), whole[7 * 16_000 :])


def test_a_rough_excerpt_jumps_in_a_track_with_gaps(tmp_path: Path, ffmpeg: str) -> None:
    """An excerpt may come from a place nearby; the beginning is exact."""
    path = ClockedFiles(tmp_path, ffmpeg).with_gap("gap.mka", "aac", 4.0, 6.0)
    track = probe(path).default_track
    span = {"start_samples": 9 * 48_000, "end_samples": 10 * 48_000}

    rough = decoded(path, roughly=True, **span)

    assert len(rough) == pytest.approx(48_000, abs=2_000)
    assert sum(map(len, decode.whole(path, track=track))) == track.duration_samples
