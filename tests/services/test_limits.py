"""Does a file fit: the size and duration limits of targets, and the sentences for a misfit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from captoolkit.model import MediaInfo, Picture, Span, Target, Via
from captoolkit.pipeline.segment import Folder, ReadySegment
from captoolkit.services.limits import (
    DATA_URI_PREFIX,
    longest_s,
    max_bytes,
    misfits,
    with_answer_limit,
)
from tests.support.media_values import CAPTIONER, QWEN_AUDIO, VLLM, media, service, track


@pytest.mark.parametrize(
    ("row", "via", "largest"),
    [
        (CAPTIONER, Via.BASE64, 7_499_988),
        (CAPTIONER, Via.UPLOAD, 9_999_999),
        (CAPTIONER, Via.URL, 1_000_000_000),
        (QWEN_AUDIO, Via.BASE64, 7_499_988),
        (QWEN_AUDIO, Via.UPLOAD, 9_999_999),
        (QWEN_AUDIO, Via.URL, 10_000_000),
        (VLLM, Via.BASE64, 25 * 2**20),
    ],
)
def test_largest_file_of_each_way(row: Target, via: Via, largest: int) -> None:
    """The pages' sizes: less than 10 MB inline and uploaded, 1 GB by URL, 25 MiB for vLLM."""
    assert max_bytes(row, via) == largest


def test_smaller_of_two_limits_counts() -> None:
    """With limits of raw bytes and of Base64 text, the tighter one holds for Base64."""
    both = service(max_bytes_base64=1000, max_base64_chars=413)
    assert max_bytes(both, Via.BASE64) == 300
    assert max_bytes(service(max_bytes_base64=200, max_base64_chars=413), Via.BASE64) == 200
    assert max_bytes(both, Via.URL) is None


def test_largest_file_really_travels_in_less_than_10_mb(tmp_path: Path) -> None:
    """The largest file has a data URI below 10,000,000 characters; one byte more has not."""
    lengths = []
    for size_bytes in (7_499_988, 7_499_989):
        (tmp_path / "night.mp3").write_bytes(bytes(size_bytes))
        segment = ReadySegment(
            index=1,
            source_span=Span(start_samples=0, end_samples=1, rate_hz=16_000),
            file="night.mp3",
            size_bytes=size_bytes,
            sha256="",
            folder=Folder(tmp_path),
        )
        lengths.append(len(segment.data_uri()))
    assert lengths == [9_999_997, 10_000_001]


# ------------------------------------------------------------------------- does it fit?

WAV_TRACK = track(60, codec="pcm_s16le")
COVER = Picture(stream_index=1, codec="mjpeg", is_cover=True)
FILM = Picture(stream_index=1, codec="h264", is_cover=False)


def wav_file(**changes: object) -> MediaInfo:
    """Return a WAV that every service takes, but for the changes."""
    return replace(media(WAV_TRACK, container="wav"), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "info",
    [
        pytest.param(wav_file(), id="plain"),
        pytest.param(wav_file(pictures=(COVER,)), id="with a cover"),
        pytest.param(wav_file(size_bytes=7_499_988), id="as large as may be"),
        pytest.param(media(track(2400, codec="mp3"), container="mp3"), id="as long as may be"),
        pytest.param(media(track(9, codec="amr_wb"), container="3gp"), id="wideband in 3gp"),
    ],
)
def test_what_fits_has_no_misfits(info: MediaInfo) -> None:
    """A file within every limit, limits included, has no misfit."""
    assert misfits(info, info.tracks[0], CAPTIONER, Via.BASE64) == ()


@pytest.mark.parametrize(
    ("info", "sentence"),
    [
        (
            media(WAV_TRACK, container="flac"),
            "It is flac; qwen3-omni-captioner takes 3gp, aac, amr, mp3, wav.",
        ),
        (
            media(track(60, codec="adpcm_ms"), container="wav"),
            "It is adpcm_ms in wav; qwen3-omni-captioner takes "
            "pcm_u8, pcm_s16le, pcm_s24le, pcm_s32le, gsm_ms there.",
        ),
        (
            wav_file(plain_header=False),
            "It has an extended WAV header, which some readers do not understand.",
        ),
        (wav_file(pictures=(COVER, FILM)), "It holds a video track."),
        (
            wav_file(tracks=(WAV_TRACK, replace(WAV_TRACK, number=2))),
            "It holds 2 sound tracks, and one is sent.",
        ),
        (
            wav_file(size_bytes=20_000_000),
            "It is 26.67 MB as Base64 text; qwen3-omni-captioner takes at most "
            "10.00 MB as Base64 text.",
        ),
        (
            wav_file(size_bytes=7_499_989),
            "It is just over 10.00 MB as Base64 text; qwen3-omni-captioner takes at most "
            "10.00 MB as Base64 text.",
        ),
        (
            wav_file(tracks=(track(2460, codec="pcm_s16le"),)),
            "It lasts 41:00; qwen3-omni-captioner takes at most 40:00 at a time.",
        ),
        (
            wav_file(tracks=(track(samples=2400 * 44_100 + 1, codec="pcm_s16le"),)),
            "It lasts just over 40:00; qwen3-omni-captioner takes at most 40:00 at a time.",
        ),
    ],
    ids=["container", "codec", "header", "film", "tracks", "size", "byte", "length", "sample"],
)
def test_each_misfit_is_a_sentence(info: MediaInfo, sentence: str) -> None:
    """Each misfit is one sentence with the file's property and the target's limit."""
    assert misfits(info, info.tracks[0], CAPTIONER, Via.BASE64) == (sentence,)


def test_a_service_that_truncates_is_named_so() -> None:
    """The sentence for a truncating service names the length that it hears."""
    info = wav_file()
    assert misfits(info, WAV_TRACK, QWEN_AUDIO, Via.BASE64) == (
        "It lasts 1:00; qwen-audio hears only 30 s at a time.",
    )


def test_the_size_is_the_size_that_is_sent() -> None:
    """Without Base64 the raw size counts, and the sentence names it."""
    info = wav_file(size_bytes=12_345_678)
    (sentence,) = misfits(info, WAV_TRACK, QWEN_AUDIO, Via.URL)[1:]
    assert sentence == "It is 12.35 MB; qwen-audio takes at most 10.00 MB."


def test_every_misfit_has_a_sentence() -> None:
    """A file with several misfits gets a sentence for each."""
    long = track(2460, codec="aac")
    info = media(long, container="mp4", size_bytes=10**9, pictures=(FILM,))
    assert len(misfits(info, long, CAPTIONER, Via.BASE64)) == 4


def test_prefix_is_that_of_the_page() -> None:
    """The counted prefix has the thirteen characters of the pages' samples."""
    assert (DATA_URI_PREFIX, len(DATA_URI_PREFIX)) == ("data:;base64,", 13)


def test_the_duration_limit_counts_seconds_and_tokens() -> None:
    """The tighter of the two limits holds; without either the duration is unlimited."""
    assert longest_s(CAPTIONER) == 2400
    assert longest_s(service(max_input_tokens=108, tokens_per_s=10, text_tokens=8)) == 10
    assert longest_s(service(max_duration_s=5, max_input_tokens=108, tokens_per_s=10)) == 5
    assert longest_s(service()) is None


@pytest.mark.parametrize(
    ("parameters", "most"),
    [
        ({"max_tokens": 100}, 100),
        ({"max_tokens": 100_000}, 32_768),
        ({"max_tokens": -1}, 32_768),
        ({"max_tokens": True}, 32_768),
        ({"max_completion_tokens": 100}, 32_768),
    ],
)
def test_only_a_limit_that_the_service_obeys_lowers_the_worst_case(
    parameters: dict[str, int], most: int
) -> None:
    """-1, which some servers read as no limit, and the member of another service do not count."""
    assert with_answer_limit(CAPTIONER, parameters).limit("max_output_tokens") == most


def test_samples_are_limited_after_decoding() -> None:
    """VLLM refuses a file whose decoded samples are too many bytes."""
    long = track(590, codec="flac")
    info = media(replace(long, channels=8), container="flac")
    assert misfits(info, info.tracks[0], VLLM, Via.URL) == (
        "It decodes to 832.61 MB of samples; vllm takes at most 268.44 MB.",
    )
