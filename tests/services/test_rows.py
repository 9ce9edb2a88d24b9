from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest

from captoolkit.errors import UsageError
from captoolkit.model import Fact, MediaInfo, Picture, Price, Span, Target, Via
from captoolkit.pipeline.segment import Folder, ReadySegment
from captoolkit.services import rows
from captoolkit.services.rows import max_bytes, misfits, parse
from tests.support.media_values import CAPTIONER, QWEN_AUDIO, SERVICES, VLLM, media, service, track

ROW = """
[sources.page]
title = "A page"
checked = "2026-11-20"

[targets.mine]
title = "Mine"
models = ["mine-1"]
accepts = { wav = ["pcm_s16le"] }
limits.max_duration_s = { value = 30, source = "page", note = "so it says" }

[[targets.mine.prices]]
source = "page"
region = "r"
currency = "USD"
input_per_million = "1.10"
output_per_million = "2"
"""


# ----------------------------------------------------------------------------- the rows


def test_row_is_read_with_its_sources() -> None:
    """A row keeps its numbers exactly and says for each where and when it was read."""
    row = parse(ROW, origin="rows.toml")["mine"]
    fact, (price,) = row.facts["max_duration_s"], row.prices
    assert (fact.value, fact.source, fact.checked, fact.note) == (
        Fraction(30),
        "A page",
        "2026-11-20",
        "so it says",
    )
    assert (str(price.input_per_million), str(price.output_per_million)) == ("1.10", "2")
    assert (price.source, price.checked) == ("A page", "2026-11-20")


def test_decimals_are_exact() -> None:
    """A limit with decimals is the number that is written, not the float nearest to it."""
    row = parse(ROW.replace("value = 30", "value = 12.1"), origin="rows.toml")["mine"]
    assert row.limit("max_duration_s") == Fraction(121, 10)
    assert row.limit("max_bytes_url") is None


@pytest.mark.parametrize(
    ("right", "wrong", "place"),
    [
        ("value = 30", "value = 0", "targets.mine.limits.max_duration_s=0"),
        ("value = 30", "value = -1.5", "targets.mine.limits.max_duration_s=-1.5"),
        ("value = 30", "value = inf", "targets.mine.limits.max_duration_s=inf"),
        ("value = 30", "value = nan", "targets.mine.limits.max_duration_s=nan"),
        ("value = 30", 'value = "30"', "targets.mine.limits.max_duration_s: Expected `int"),
        ("value = 30", "valeu = 30", "targets.mine.limits.max_duration_s: Object"),
        ("max_duration_s", "max_duration", "targets.mine.limits: unknown max_duration"),
        ('source = "page", note', 'source = "leaf", note', "targets.mine.limits.max_duration_s"),
        ('source = "page"\nregion', 'source = "leaf"\nregion', "targets.mine.prices: there is no"),
        ('"1.10"', '"a lot"', "targets.mine.prices.input_per_million=a lot"),
        ('"1.10"', '"NaN"', "targets.mine.prices.input_per_million=NaN"),
        ('"2"', '"-2"', "targets.mine.prices.output_per_million=-2"),
        ('"2"', "2", "targets.mine.prices: Expected `str`"),
        ('models = ["mine-1"]', 'models = "mine-1"', "targets.mine: Expected `array`"),
        ('title = "Mine"', "", "targets.mine: Object missing required field `title`"),
        ('title = "Mine"', 'title = "Mine"\non_exceed = "shout"', "targets.mine.on_exceed=shout"),
        ('title = "Mine"', 'title = "Mine"\nprompts = true', "targets.mine: Object contains"),
        ('checked = "2026-11-20"', "", r"$.sources"),
        ("[targets.mine]", "[targets.mine", "line 6"),
    ],
)
def test_mistake_is_told_with_its_place(right: str, wrong: str, place: str) -> None:
    """A mistake in a row is refused in one line that names the file and the place in it."""
    assert right in ROW
    with pytest.raises(UsageError) as raised:
        parse(ROW.replace(right, wrong), origin="rows.toml")
    message = str(raised.value)
    assert message.startswith("rows.toml: ")
    assert place in message
    assert "\n" not in message


@pytest.mark.parametrize("row", SERVICES.values(), ids=lambda row: row.name)
def test_every_number_has_a_source_and_a_date(row: Target) -> None:
    """Each limit and price that came along says where it was read, and on which day."""
    said: list[Fact | Price] = [*row.facts.values(), *row.prices]
    assert said
    for one in said:
        assert len(one.source) > 10
        assert date.fromisoformat(one.checked) <= date(2026, 11, 21)


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
    """Where raw bytes and Base64 text are both limited the tighter one holds, for Base64 only."""
    both = service(max_bytes_base64=1000, max_base64_chars=413)
    assert max_bytes(both, Via.BASE64) == 300
    assert max_bytes(service(max_bytes_base64=200, max_base64_chars=413), Via.BASE64) == 200
    assert max_bytes(both, Via.URL) is None


def test_largest_file_really_travels_in_less_than_10_mb(tmp_path: Path) -> None:
    """A file of the largest size has a data URI below 10,000,000 characters; one byte more not."""
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
    """A WAV that every service takes, but for the changes."""
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
    """A file within every limit is taken as it is, limits included."""
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
            "Its WAV header is an extended one, which not every reader understands.",
        ),
        (wav_file(pictures=(COVER, FILM)), "It holds a picture track beside the sound."),
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
    """Each way not to fit is told alone, in one sentence with what was found and what is taken."""
    assert misfits(info, info.tracks[0], CAPTIONER, Via.BASE64) == (sentence,)


def test_service_that_cuts_off_is_told_so() -> None:
    """For a service that hears only the beginning the sentence says that."""
    info = wav_file()
    assert misfits(info, WAV_TRACK, QWEN_AUDIO, Via.BASE64) == (
        "It lasts 1:00; qwen-audio hears only 30 s at a time.",
    )


def test_size_is_told_as_it_travels() -> None:
    """Without Base64 the raw size is what counts and what is told."""
    info = wav_file(size_bytes=12_345_678)
    (sentence,) = misfits(info, WAV_TRACK, QWEN_AUDIO, Via.URL)[1:]
    assert sentence == "It is 12.35 MB; qwen-audio takes at most 10.00 MB."


def test_all_misfits_are_told() -> None:
    """A file that is wrong in several ways is told all of them."""
    long = track(2460, codec="aac")
    info = media(long, container="mp4", size_bytes=10**9, pictures=(FILM,))
    assert len(misfits(info, long, CAPTIONER, Via.BASE64)) == 4


def test_prefix_is_that_of_the_page() -> None:
    """The prefix that is counted has the thirteen characters of the pages' samples."""
    assert (rows.DATA_URI_PREFIX, len(rows.DATA_URI_PREFIX)) == ("data:;base64,", 13)
