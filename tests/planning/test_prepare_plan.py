from __future__ import annotations

import itertools
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captoolkit.bitstream import encodings
from captoolkit.dsp.downmix import Mix
from captoolkit.errors import UsageError
from captoolkit.model import Action, MediaInfo, Picture, Plan, Span, Target, Track, Via
from captoolkit.planning import ladder
from captoolkit.planning.options import ParsedOptions
from captoolkit.planning.prepare_plan import largest_file_bytes, make_plan
from captoolkit.planning.segmentation import SLACK_S, SLACK_SHARE
from captoolkit.services.limits import max_bytes
from captoolkit.services.price import audio_tokens
from captoolkit.units import base64_length, format_clock
from tests.support.encodings import wav
from tests.support.media_values import CAPTIONER, QWEN_AUDIO, VLLM, media, service, track

FILM = Picture(stream_index=1, codec="h264", is_cover=False)
LEFT_ONLY = Mix(weights=(1.0, 0.0), reason="Left and right cancel each other.")


def planned(
    sound: Track,
    target: Target = CAPTIONER,
    *,
    info: MediaInfo | None = None,
    via: Via = Via.BASE64,
    mix: Mix | None = None,
    **options: Any,
) -> Plan:
    """A plan for a sound in a FLAC, or in the file that is given."""
    return make_plan(
        info or media(sound),
        sound,
        target,
        via=via,
        mix=mix,
        options=ParsedOptions(**options),
    )


def test_what_leaving_silence_out_saves_is_what_two_plans_differ_by() -> None:
    """Requests that are added for the stretches cost text of their own, and are counted."""
    sound = track(140, rate_hz=16_000)
    gaps = [
        Span(start_samples=16_000 * start, end_samples=16_000 * end, rate_hz=16_000)
        for start, end in ((20, 60), (80, 120))
    ]
    whole, info = planned(sound), media(sound)
    left = make_plan(info, sound, CAPTIONER, skipped=gaps)
    assert len(left.spans) == 3
    saved = whole.input_tokens - left.input_tokens
    assert f"Leaving silence out saves {saved} of 1,758 input tokens" in left.reasons[-1]
    assert "2 silences are left out, 1:20 in all." in left.reasons


def test_the_largest_size_of_a_segment_follows_its_encoding() -> None:
    """It is that of the longest segment that the cuts allow; a file that fits keeps its size."""
    encoded = planned(track(60), segment_s=Fraction(30))
    assert encoded.encoding is not None
    assert "Segments of about 30 s are requested." in encoded.reasons
    assert encoded.longest_samples > max(span.samples for span in encoded.spans)
    longest_s = Fraction(encoded.longest_samples, encoded.track.sample_rate_hz)
    for span in encoded.spans:
        samples = int(longest_s * encoded.encoding.sample_rate_hz) + 1
        assert largest_file_bytes(encoded, span) == encodings.file_bytes(encoded.encoding, samples)
        assert largest_file_bytes(encoded, span) <= (encoded.max_segment_bytes or 0)
    sound = track(60, rate_hz=16_000, codec="pcm_s16le")
    kept = planned(sound, info=media(sound, container="wav"))
    assert kept.action is Action.PASS_THROUGH
    assert largest_file_bytes(kept, kept.spans[0]) == kept.info.size_bytes


def test_nothing_is_said_of_a_saving_that_cannot_be_known() -> None:
    """One part may hold the sound without its silences where it would not hold all of it."""
    sound = track(3000, rate_hz=16_000)
    hush = [Span(start_samples=16_000 * 60, end_samples=16_000 * 3000, rate_hz=16_000)]
    left = make_plan(media(sound), sound, CAPTIONER, skipped=hush, options=ParsedOptions(parts=1))
    assert len(left.spans) == 1
    assert not any("saves" in reason for reason in left.reasons)


def test_a_quality_in_stereo_that_comes_out_as_mono_says_why() -> None:
    """For music of six channels, a reason says that they become one."""
    told = "Its 6 channels become one: stereo is kept where the source is stereo."
    assert told in planned(track(channels=6), quality="music").reasons
    assert told not in planned(track(channels=6), quality="music", channels=1).reasons
    for channels in (1, 2):
        assert told not in planned(track(channels=channels), quality="music").reasons
    assert told not in planned(track(channels=6), quality="podcast").reasons


def said(plan: Plan) -> str:
    """The number, the length and the encoding of the segments."""
    assert plan.encoding is not None
    longest = max(plan.spans, key=lambda span: span.samples)
    length = format_clock(Fraction(longest.samples, longest.rate_hz), decimals=1)
    return f"{len(plan.spans)} x {length} {encodings.describe(plan.encoding)}"


def mp3_file(seconds: Fraction | float, *, size_bytes: int, **options: int) -> MediaInfo:
    """An MP3 of that length and size."""
    sound = track(seconds, codec="mp3", **options)
    return media(sound, container="mp3", size_bytes=size_bytes)


# ----------------------------------------------------------------------------- untouched


@pytest.mark.parametrize("seconds", [0.001, 1, 30, 2400], ids=lambda seconds: f"{seconds} s")
def test_what_fits_is_not_touched(seconds: float) -> None:
    """A file within the limits passes through, also one of exactly 2400.000 s."""
    info = mp3_file(seconds, size_bytes=7_200_000)
    plan = planned(info.tracks[0], info=info)
    (span,) = plan.spans
    assert (plan.action, plan.encoding, plan.mix) == (Action.PASS_THROUGH, None, None)
    assert (span.start_samples, span.end_samples) == (0, info.tracks[0].duration_samples)
    assert plan.max_segment_samples == info.tracks[0].duration_samples
    assert plan.max_segment_bytes == 7_499_988


def test_untouched_says_so() -> None:
    """The reason for a pass-through names the format and the way."""
    info = mp3_file(2400, size_bytes=7_200_000)
    assert planned(info.tracks[0], info=info).reasons == (
        "It fits unchanged: mp3, 40:00, 9.60 MB as Base64 text.",
    )


def test_cover_picture_is_no_reason_to_touch() -> None:
    """A cover goes along, a film does not."""
    cover = Picture(stream_index=1, codec="mjpeg", is_cover=True)
    sound = track(60, codec="mp3")
    for picture, action in ((cover, Action.PASS_THROUGH), (FILM, Action.ENCODE)):
        info = media(sound, container="mp3", pictures=(picture,))
        assert planned(sound, info=info).action is action


@pytest.mark.parametrize(
    "options",
    [
        {"format": "wav"},
        {"bit_rate": 64_000},
        {"quality": "voice"},
        {"sample_rate_hz": 16_000},
        {"channels": 1},
        {"segment_s": Fraction(10)},
        {"max_segment_s": Fraction(30)},
        {"mix": LEFT_ONLY},
    ],
    ids=lambda options: next(iter(options)),
)
def test_wish_moves_what_would_fit(options: dict[str, Any]) -> None:
    """Options are satisfied even if the file would have passed through."""
    info = mp3_file(60, size_bytes=500_000, channels=2)
    assert planned(info.tracks[0], info=info).action is Action.PASS_THROUGH
    assert planned(info.tracks[0], info=info, **options).action is Action.ENCODE


@pytest.mark.parametrize(
    "options", [{"format": "mp3"}, {"segment_s": Fraction(60)}, {"max_segment_s": Fraction(90)}]
)
def test_wish_that_is_met_already_changes_nothing(options: dict[str, Any]) -> None:
    """A file that already satisfies the options passes unchanged."""
    info = mp3_file(60, size_bytes=500_000)
    assert planned(info.tracks[0], info=info, **options).action is Action.PASS_THROUGH


# -------------------------------------------------------------------- the fewest segments


@pytest.mark.parametrize(
    ("seconds", "made"),
    [
        (1, "1 x 0:01.0 16-bit WAV, 16 kHz mono"),
        (234, "1 x 3:54.0 16-bit WAV, 16 kHz mono"),
        (235, "1 x 3:55.0 MP3 128 kbit/s, 24 kHz mono"),
        (468, "1 x 7:48.0 MP3 128 kbit/s, 24 kHz mono"),
        (469, "1 x 7:49.0 MP3 112 kbit/s, 24 kHz mono"),
        (900, "1 x 15:00.0 MP3 64 kbit/s, 24 kHz mono"),
        (1500, "1 x 25:00.0 MP3 32 kbit/s, 22.05 kHz mono"),
        (2399, "1 x 39:59.0 MP3 24 kbit/s, 16 kHz mono"),
        (2400, "1 x 40:00.0 MP3 24 kbit/s, 16 kHz mono"),
        (2460, "2 x 20:30.0 MP3 48 kbit/s, 24 kHz mono"),
        (2479.7, "2 x 20:39.9 MP3 48 kbit/s, 24 kHz mono"),  # 10 s are left to move the cut in
        (2480, "2 x 20:40.0 MP3 40 kbit/s, 24 kHz mono"),  # not quite 10 s would be
        (10_800, "5 x 36:00.0 MP3 24 kbit/s, 16 kHz mono"),
    ],
)
def test_inline_to_the_captioner(seconds: float, made: str) -> None:
    """The fewest balanced segments, on the best rung on which they fit into a request."""
    assert said(planned(track(seconds))) == made


@pytest.mark.parametrize(
    ("via", "seconds", "made"),
    [
        (Via.UPLOAD, 312, "1 x 5:12.0 16-bit WAV, 16 kHz mono"),
        (Via.UPLOAD, 313, "1 x 5:13.0 MP3 128 kbit/s, 24 kHz mono"),
        (Via.URL, 2400, "1 x 40:00.0 16-bit WAV, 16 kHz mono"),
        (Via.URL, 2401, "2 x 20:00.5 16-bit WAV, 16 kHz mono"),
        (Via.URL, 10_800, "5 x 36:00.0 16-bit WAV, 16 kHz mono"),
    ],
)
def test_other_ways_to_the_captioner(via: Via, seconds: int, made: str) -> None:
    """Uploaded and by URL the limits are wider, and the encoding better."""
    assert said(planned(track(seconds), via=via)) == made


@pytest.mark.parametrize(
    ("seconds", "made"),
    [
        (30, "1 x 0:30.0 16-bit WAV, 16 kHz mono"),
        (31, "2 x 0:15.5 16-bit WAV, 16 kHz mono"),
        (60, "3 x 0:20.0 16-bit WAV, 16 kHz mono"),
        (600, "24 x 0:25.0 16-bit WAV, 16 kHz mono"),
    ],
)
def test_service_that_hears_only_half_a_minute(seconds: int, made: str) -> None:
    """Sound that a service would cut off becomes segments that it hears whole."""
    assert said(planned(track(seconds), QWEN_AUDIO)) == made


@pytest.mark.parametrize(
    ("seconds", "made"),
    [
        (600, "1 x 10:00.0 16-bit WAV, 16 kHz mono"),
        (601, "2 x 5:00.5 16-bit WAV, 16 kHz mono"),
        (2400, "5 x 8:00.0 16-bit WAV, 16 kHz mono"),
    ],
)
def test_server_of_ones_own(seconds: int, made: str) -> None:
    """A self-hosted server takes ten minutes of WAV at a time."""
    sound = track(seconds, codec="aac")
    assert said(planned(sound, VLLM, info=media(sound, container="m4a"))) == made


def test_flac_goes_to_a_server_that_takes_it() -> None:
    """One service takes a file unchanged that another refuses."""
    assert planned(track(600), VLLM).action is Action.PASS_THROUGH
    assert planned(track(600), CAPTIONER).action is Action.ENCODE


def test_advice_of_the_makers_is_passed_on() -> None:
    """Where the makers advise shorter clips, the reasons say how to get them."""
    sound = track(60, codec="aac")
    plan = planned(sound, VLLM, info=media(sound, container="m4a"))
    assert plan.reasons[-1].endswith("at most 30 s: segment=30s makes them.")
    short = planned(sound, VLLM, info=media(sound, container="m4a"), segment_s=Fraction(30))
    assert not any("advise" in reason for reason in short.reasons)


def test_service_without_limits() -> None:
    """A service that names no limits gets one lossless segment, however short or long."""
    for seconds in (0.01, 100_000):
        plan = planned(track(seconds), service())
        assert len(plan.spans) == 1
        assert plan.encoding == wav()
        assert plan.max_segment_bytes is not None
        assert plan.max_segment_bytes >= encodings.file_bytes(wav(), int(seconds * 16_000))


def test_limits_that_hold_no_second() -> None:
    """A service into which not even a second fits is refused with a way out."""
    with pytest.raises(UsageError, match="not even a second fits in one segment; choose"):
        planned(track(10), service(max_bytes_base64=1000))


# --------------------------------------------------------------------------------- wishes


@pytest.mark.parametrize(
    ("options", "made"),
    [
        ({"format": "wav"}, "1 x 1:00.0 16-bit WAV, 16 kHz mono"),
        ({"format": "mp3"}, "1 x 1:00.0 MP3 128 kbit/s, 24 kHz mono"),
        ({"format": "aac"}, "1 x 1:00.0 AAC 64 kbit/s, 16 kHz mono"),
        ({"format": "amr"}, "1 x 1:00.0 AMR 12.2 kbit/s, 8 kHz mono"),
        ({"format": "amr", "bit_rate": 4_750}, "1 x 1:00.0 AMR 4.75 kbit/s, 8 kHz mono"),
        ({"format": "aac", "bit_rate": 32_000}, "1 x 1:00.0 AAC 32 kbit/s, 16 kHz mono"),
        ({"format": "wav", "sample_rate_hz": 8_000}, "1 x 1:00.0 16-bit WAV, 8 kHz mono"),
        ({"quality": "voice"}, "1 x 1:00.0 MP3 64 kbit/s, 24 kHz mono"),
        ({"quality": "podcast"}, "1 x 1:00.0 MP3 128 kbit/s, 44.1 kHz mono"),
        ({"quality": "music"}, "1 x 1:00.0 MP3 192 kbit/s, 44.1 kHz stereo"),
        ({"quality": "music", "channels": 1}, "1 x 1:00.0 MP3 192 kbit/s, 44.1 kHz mono"),
        ({"bit_rate": 32_000}, "1 x 1:00.0 MP3 32 kbit/s, 22.05 kHz mono"),
        ({"sample_rate_hz": 48_000}, "1 x 1:00.0 16-bit WAV, 48 kHz mono"),
        ({"channels": 2}, "1 x 1:00.0 16-bit WAV, 16 kHz stereo"),
        ({"segment_s": Fraction(30)}, "2 x 0:30.0 16-bit WAV, 16 kHz mono"),
        ({"segment_s": Fraction(25)}, "3 x 0:20.0 16-bit WAV, 16 kHz mono"),
        ({"max_segment_s": Fraction(45)}, "2 x 0:30.0 16-bit WAV, 16 kHz mono"),
        ({"max_segment_s": Fraction(31)}, "3 x 0:20.0 16-bit WAV, 16 kHz mono"),
    ],
    ids=str,
)
def test_wishes_are_met(options: dict[str, Any], made: str) -> None:
    """A minute of stereo gets the requested encoding; the plan chooses the rest."""
    assert said(planned(track(60, channels=2), **options)) == made


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"format": "ogg"}, "format=ogg is not known; take auto, wav, mp3, aac, amr"),
        ({"quality": "best"}, "quality=best is not known; take auto, voice, podcast, music"),
        ({"bit_rate": 63_000}, "bit_rate=63000 is not a bit rate of MP3; take one of 8k,"),
        (
            {"format": "amr", "bit_rate": 64_000},
            "bit_rate=64000 is not a bit rate of AMR",
        ),
        ({"format": "amr", "sample_rate_hz": 16_000}, "AMR is 8 kHz mono; leave the sample rate"),
        ({"format": "amr", "channels": 2}, "AMR is 8 kHz mono; leave the sample rate"),
        ({"format": "wav", "bit_rate": 64_000}, "bit_rate=64000 does nothing for WAV: its"),
        (
            {"format": "mp3", "sample_rate_hz": 11_025},
            "sample_rate_hz=11025 is not a sample rate of MP3; take one of",
        ),
        (
            {"format": "aac", "sample_rate_hz": 9},
            "sample_rate_hz=9 is not a sample rate of AAC",
        ),
        ({"channels": 6}, "channels=6 is not possible; take 1, or 2"),
        ({"channels": 0}, "channels=0 must be at least 1; leave it out"),
        ({"channels": -1}, "channels=-1 must be at least 1; leave it out"),
        ({"bit_rate": 0}, "bit_rate=0 must be at least 1; leave it out"),
        ({"format": "wav", "sample_rate_hz": -8}, "sample_rate_hz=-8 must be at least 1; leave"),
        ({"max_segment_s": Fraction(1, 2)}, "segments of 0.5 s are too short"),
    ],
    ids=str,
)
def test_wish_that_cannot_be_met_is_refused(options: dict[str, Any], words: str) -> None:
    """An option that no plan satisfies is refused in one line with the valid values."""
    with pytest.raises(UsageError) as raised:
        planned(track(60, channels=2), **options)
    assert str(raised.value).startswith(words)
    assert "\n" not in str(raised.value)
    assert raised.value.fix


def test_format_that_the_service_refuses() -> None:
    """A format that is made here but not taken there is refused with those that are taken."""
    with pytest.raises(UsageError) as raised:
        planned(track(60), VLLM, format="amr")
    assert str(raised.value) == (
        "vllm does not take AMR 12.2 kbit/s, 8 kHz mono; take a format of wav, mp3"
    )


def test_stereo_cannot_be_made_of_mono_or_surround() -> None:
    """Two channels are kept where there are two, and nowhere invented."""
    for channels in (1, 6):
        with pytest.raises(UsageError, match=f"channels=2 cannot be made of {channels};"):
            planned(track(60, channels=channels), channels=2)


# ----------------------------------------------------------------------------- the mix


def test_mix_is_one_row_of_weights() -> None:
    """Where several channels become one the plan holds their weights, else nothing."""
    assert planned(track(60, channels=2)).mix == ((0.5, 0.5),)
    assert planned(track(60, channels=2), mix=LEFT_ONLY).mix == ((1.0, 0.0),)
    assert planned(track(60, channels=1)).mix is None
    assert planned(track(60, channels=2), channels=2).mix is None
    (row,) = planned(track(60, channels=6)).mix or ()
    assert sum(row) == pytest.approx(1)
    assert max(row) == row[2]


def test_mix_is_told_only_where_it_is_made() -> None:
    """Why a channel was chosen is a reason only if one was."""
    assert LEFT_ONLY.reason in planned(track(60, channels=2), mix=LEFT_ONLY).reasons
    kept = planned(track(60, channels=2), mix=LEFT_ONLY, quality="music")
    assert LEFT_ONLY.reason not in kept.reasons


# ------------------------------------------------------------------------- tokens, money


@pytest.mark.parametrize(
    ("target", "seconds", "tokens"),
    [
        (CAPTIONER, 0.001, 13),
        (CAPTIONER, 1, 13),
        (CAPTIONER, Fraction(101, 100), 13),
        (CAPTIONER, Fraction(105, 100), 14),
        (CAPTIONER, 2400, 30_000),
        (QWEN_AUDIO, 0.001, 25),
        (QWEN_AUDIO, 30, 750),
        (service(), 30, 0),
    ],
)
def test_tokens_of_a_sound(target: Target, seconds: Fraction | float, tokens: int) -> None:
    """Tokens go by the second, rounded up, and the first second counts in full."""
    assert audio_tokens(target, Fraction(seconds)) == tokens


def test_bill_of_forty_one_minutes() -> None:
    """41 minutes are 30,750 tokens of sound and 8 of text a request, at each region's prices."""
    plan = planned(track(2460))
    assert (plan.audio_tokens, plan.input_tokens) == (30_750, 30_766)
    costs = {(cost.region, cost.currency): cost for cost in plan.costs}
    assert costs["singapore", "USD"].least == Decimal("0.11721846")
    more = 2 * 8 * Decimal("3.81") / 1_000_000  # for files that are longer than their segments
    assert costs["singapore", "USD"].most == Decimal("0.31775862") + more
    assert costs["beijing", "CNY"].least == Decimal("0.4861028")
    assert len(costs) == 4


def test_bill_of_what_is_not_touched() -> None:
    """A file that passes through costs one request."""
    info = mp3_file(Fraction(1, 2), size_bytes=8_000)
    plan = planned(info.tracks[0], info=info)
    assert (plan.audio_tokens, plan.input_tokens) == (13, 21)


def test_without_prices_there_is_no_bill() -> None:
    """A service without prices has tokens and no costs."""
    plan = planned(track(60), QWEN_AUDIO)
    assert plan.audio_tokens == 3 * 500
    assert plan.costs == ()


# ------------------------------------------------------------------------------- reasons


def test_reasons_tell_the_whole_story() -> None:
    """Causes, number, cuts, encoding and limit: each has a sentence."""
    sound = track(2460, codec="aac")
    plan = planned(sound, info=media(sound, container="mp4", pictures=(FILM,)))
    assert plan.reasons == (
        "It is mp4; qwen3-omni-captioner takes 3gp, aac, amr, mp3, wav.",
        "It holds a video track.",
        "It lasts 41:00; qwen3-omni-captioner takes at most 40:00 at a time.",
        "It becomes 2 balanced segments of about 20:30 (20:10 to 20:50), cut at the quietest place "
        "within 19.874 s.",
        "Each is encoded as MP3 48 kbit/s, 24 kHz mono. No better encoding of that length stays "
        "within 10.00 MB as Base64 text.",
    )


@pytest.mark.parametrize(
    "options", [{"format": "mp3"}, {"bit_rate": 64_000}, {"format": "wav"}, {"quality": "podcast"}]
)
def test_nothing_better_is_denied_where_it_was_not_tried(options: dict[str, Any]) -> None:
    """Where the best candidate fits, no reason says that nothing better would."""
    plan = planned(track(10), **options)
    assert not any("No better" in reason for reason in plan.reasons)


@pytest.mark.parametrize("target", [CAPTIONER, QWEN_AUDIO, VLLM], ids=lambda target: target.name)
@pytest.mark.parametrize("seconds", [0.5, 300, 5000])
def test_reasons_are_sentences(target: Target, seconds: float) -> None:
    """Each reason begins with a capital, ends with a full stop, and is one line."""
    sound = track(seconds, channels=2, codec="opus")
    plan = planned(sound, target, info=media(sound, container="matroska"), mix=LEFT_ONLY)
    assert len(plan.reasons) >= 3
    for reason in plan.reasons:
        assert reason[0].isupper()
        assert reason.endswith(".")
        assert "\n" not in reason


# ------------------------------------------------------------------- properties

HOUR_MS = 3_600_000


def sounds_of(length_ms: st.SearchStrategy[int]) -> st.SearchStrategy[Track]:
    """Sounds of those lengths at any rate and of any channels."""
    return st.builds(
        lambda length_ms, rate_hz, channels: track(
            samples=max(1, length_ms * rate_hz // 1000), rate_hz=rate_hz, channels=channels
        ),
        length_ms=length_ms,
        rate_hz=st.sampled_from([8_000, 11_025, 22_050, 44_100, 48_000, 96_000]),
        channels=st.sampled_from([1, 2, 6]),
    )


LONG_MS = st.integers(2_401_000, 4 * HOUR_MS) | st.integers(4 * HOUR_MS, 30 * HOUR_MS)
long_sounds = sounds_of(LONG_MS)  # too long for one segment of any service
sounds = sounds_of(st.integers(1, 60_000) | st.integers(60_000, 2_401_000) | LONG_MS)
services = st.sampled_from(
    [CAPTIONER, QWEN_AUDIO, service(max_duration_s=600, max_bytes_url=10**7)]
)
lengths = st.none() | st.fractions(5, 3000, max_denominator=10)


@given(
    sound=sounds,
    target=services,
    via=st.sampled_from(Via),
    segment_s=lengths,
    max_segment_s=lengths,
)
@settings(deadline=None, max_examples=100)
def test_every_plan_tiles_the_source_within_the_limits(
    sound: Track,
    target: Target,
    via: Via,
    segment_s: Fraction | None,
    max_segment_s: Fraction | None,
) -> None:
    """Spans tile the source to the sample, and no file can break a limit, wherever it is cut."""
    if segment_s is not None and max_segment_s is not None:
        segment_s = min(segment_s, max_segment_s)
    plan = planned(sound, target, via=via, segment_s=segment_s, max_segment_s=max_segment_s)
    assert plan.encoding is not None
    assert [span.start_samples for span in plan.spans] == [
        0,
        *(span.end_samples for span in plan.spans[:-1]),
    ]
    assert plan.spans[-1].end_samples == sound.duration_samples
    longest = max(span.samples for span in plan.spans)
    assert min(span.samples for span in plan.spans) > 0
    assert longest <= plan.longest_samples + 1
    assert plan.longest_samples <= plan.max_segment_samples
    assert longest <= plan.max_segment_samples
    assert_within_limits(plan, max_segment_s)
    if segment_s is not None:
        assert longest <= segment_s * sound.sample_rate_hz + 1


def assert_within_limits(plan: Plan, max_segment_s: Fraction | None) -> None:
    """The longest segment that may come out keeps every limit, its padding counted."""
    encoding = plan.encoding
    assert encoding is not None
    assert plan.target is not None
    assert plan.via is not None
    assert plan.max_segment_bytes is not None
    samples = plan.max_segment_samples * encoding.sample_rate_hz // plan.track.sample_rate_hz
    framed_s = Fraction(encodings.decoded_samples(encoding, samples), encoding.sample_rate_hz)
    size_bytes = encodings.file_bytes(encoding, samples)
    for limit_s in (plan.target.limit("max_duration_s"), max_segment_s):
        assert limit_s is None or framed_s <= limit_s
    assert size_bytes <= plan.max_segment_bytes
    largest = max_bytes(plan.target, plan.via)
    assert largest is None or plan.max_segment_bytes <= largest
    if plan.via is Via.BASE64 and plan.target.limit("max_base64_chars"):
        assert len("data:;base64,") + base64_length(size_bytes) < 10_000_000


@given(sound=long_sounds, target=services, via=st.sampled_from(Via))
@settings(deadline=None, max_examples=60)
def test_no_plan_has_a_segment_too_many(sound: Track, target: Target, via: Via) -> None:
    """With one segment fewer some limit would break on every rung, or no cut could be moved."""
    segments = len(planned(sound, target, via=via).spans) - 1
    length_s = Fraction(sound.duration_samples, sound.sample_rate_hz) / segments
    slack_s = min(SLACK_S, length_s * SLACK_SHARE) if segments > 1 else Fraction(0)
    largest, longest_s = max_bytes(target, via), target.limit("max_duration_s")
    for rung in ladder.LADDER:
        encoding = rung.encoding
        most = encodings.max_samples(encoding, size_bytes=largest, duration_s=longest_s)
        assert most is not None
        assert length_s + slack_s > Fraction(most, encoding.sample_rate_hz)


@given(sound=sounds, target=services, via=st.sampled_from(Via))
@settings(deadline=None, max_examples=100)
def test_no_better_rung_would_do(sound: Track, target: Target, via: Via) -> None:
    """Every rung above the chosen one breaks a limit with as many segments."""
    plan = planned(sound, target, via=via)
    largest, longest_s = max_bytes(target, via), target.limit("max_duration_s")
    samples = max(span.samples for span in plan.spans)
    better = itertools.takewhile(
        lambda encoding: encoding != plan.encoding, (rung.encoding for rung in ladder.LADDER)
    )
    room_s = Fraction(0) if len(plan.spans) == 1 else SLACK_S
    for encoding in better:
        most = encodings.max_samples(encoding, size_bytes=largest, duration_s=longest_s)
        assert most is not None
        length_s = Fraction(samples, sound.sample_rate_hz)
        assert Fraction(most, encoding.sample_rate_hz) < length_s + room_s


def test_a_requested_sample_rate_keeps_its_unit() -> None:
    """The reason is a sentence that begins with a capital and still says Hz."""
    reasons = planned(track(60), sample_rate_hz=12_345).reasons
    assert "A sample rate of 12345 Hz is requested." in reasons
