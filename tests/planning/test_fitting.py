from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from captoolkit.bitstream import encodings
from captoolkit.errors import UsageError
from captoolkit.model import Encoding, Target, Track
from captoolkit.planning.fitting import candidates, fallbacks
from captoolkit.planning.options import ParsedOptions, check_options
from tests.support.encodings import AAC_RUNGS, RUNGS, aac, amr, gsm, mp3, wav
from tests.support.media_values import CAPTIONER, service, track

STEREO = track(channels=2)
HEARS_ALL = replace(service(), full_sound=True)


def had(target: Target = CAPTIONER, sound: Track = STEREO, **options: Any) -> Sequence[Encoding]:
    """The candidates for a recording."""
    asked = ParsedOptions(**options)
    check_options(asked)
    return candidates(sound, target, asked)


def next_ones(
    encoding: Encoding, target: Target = CAPTIONER, **options: Any
) -> tuple[Encoding, ...]:
    """The fallbacks of a stereo recording for a file of `encoding` that is too large."""
    return fallbacks(STEREO, target, ParsedOptions(**options), encoding)


# ------------------------------------------------------------------------- candidates


@pytest.mark.parametrize(
    ("options", "made"),
    [
        ({}, RUNGS),
        ({"format": "wav"}, [wav()]),
        ({"format": "mp3"}, RUNGS[1:]),
        ({"format": "aac"}, list(AAC_RUNGS)),
        ({"format": "amr"}, [amr()]),
        ({"format": "gsm"}, [gsm()]),
        ({"quality": "music"}, [mp3(192_000, 44_100, 2)]),
        ({"quality": "voice", "format": "gsm"}, [gsm()]),
        ({"bit_rate": 6_700, "format": "amr"}, [amr(6_700)]),
        ({"bit_rate": 32_000, "format": "aac", "channels": 2}, [aac(32_000, 16_000, 2)]),
    ],
    ids=str,
)
def test_wishes_are_met_best_first(options: dict[str, Any], made: list[Encoding]) -> None:
    """A format gives its rungs, a quality or a bit rate one encoding, nothing the whole ladder."""
    assert list(had(**options)) == made


@pytest.mark.parametrize("rung", [*RUNGS[1:], *AAC_RUNGS], ids=encodings.describe)
def test_a_bit_rate_that_is_on_the_ladder_is_the_ladders_rung(rung: Encoding) -> None:
    """The bit rate of a rung selects its sample rate and its low-pass, which were measured."""
    assert had(format=rung.format, bit_rate=rung.bit_rate) == [rung]
    (other,) = had(format=rung.format, bit_rate=rung.bit_rate, sample_rate_hz=24_000)
    assert other == replace(rung, sample_rate_hz=24_000)


@pytest.mark.parametrize(
    ("source_hz", "options", "made"),
    [
        (16_000, {"bit_rate": 16_000}, mp3(16_000, 16_000)),
        (16_000, {"bit_rate": 160_000}, mp3(160_000, 24_000)),
        (48_000, {"bit_rate": 192_000}, mp3(192_000, 48_000)),
        (16_000, {"bit_rate": 192_000}, mp3(192_000, 44_100)),
        (96_000, {"bit_rate": 320_000}, mp3(320_000, 44_100)),
        (
            48_000,
            {"bit_rate": 192_000, "sample_rate_hz": 32_000},
            mp3(192_000, 32_000),
        ),
        (48_000, {"format": "aac", "bit_rate": 96_000}, aac(96_000, 16_000)),
        (48_000, {"format": "aac", "bit_rate": 128_000}, aac(128_000, 48_000)),
        (11_025, {"format": "aac", "bit_rate": 128_000}, aac(128_000, 44_100)),
        (48_000, {"format": "aac", "quality": "voice"}, aac(64_000)),
    ],
    ids=str,
)
def test_a_bit_rate_beyond_the_ladder_takes_a_rate_that_has_it(
    source_hz: int, options: dict[str, Any], made: Encoding
) -> None:
    """A bit rate that the nearest rung's rate lacks gets the sound's own rate, or 44.1 kHz."""
    assert had(sound=track(rate_hz=source_hz), **options) == [made]


def test_all_of_the_sound_is_kept_for_who_hears_it() -> None:
    """A target that hears more than 16 kHz mono gets the recording's own rate and channels."""
    assert list(had(HEARS_ALL)) == [wav(44_100, 2)]
    assert list(had(HEARS_ALL, track(rate_hz=48_000))) == [wav(48_000)]


@pytest.mark.parametrize("name", ["gsm", "amr"])
def test_what_a_telephone_format_is_may_be_said(name: str) -> None:
    """8 kHz, mono and the bit rate that it has all the same change nothing."""
    assert had(format=name, sample_rate_hz=8_000, channels=1) == had(format=name)
    assert had(format="gsm", bit_rate=13_000) == [gsm()]


def test_bit_rate_that_mp3_lacks_is_refused() -> None:
    """A bit rate that no MP3 has is refused with the list of those that exist."""
    with pytest.raises(UsageError, match=r"bit_rate=50000 .* take one of 8k, .*, 320k$"):
        had(bit_rate=50_000)


@pytest.mark.parametrize(
    ("accepts", "told"),
    [
        ({"wav": ("pcm_s16le",), "mp3": ("mp3",)}, "take a format of wav, mp3$"),
        ({"wav": ("gsm_ms_like", "pcm_u8"), "aac": ("aac",)}, "take a format of aac$"),
        ({"ogg": ("opus",)}, "take another target$"),
    ],
    ids=str,
)
def test_format_not_taken_is_refused_with_those_that_are(
    accepts: dict[str, tuple[str, ...]], told: str
) -> None:
    """A container that is taken is not enough: its codec must be taken too."""
    with pytest.raises(UsageError, match="not take GSM WAV 13 kbit/s, 8 kHz mono; " + told):
        had(service(accepts=accepts), format="gsm")


def test_gsm_is_never_taken_unasked() -> None:
    """GSM is made for who asks for it: no ladder holds it."""
    only_gsm = service(accepts={"wav": ("gsm_ms",)})
    assert had(only_gsm, format="gsm") == [gsm()]
    with pytest.raises(UsageError, match=r"take a format of gsm$"):
        had(only_gsm)


# ---------------------------------------------------------------------------------- effort


def test_effort_changes_only_the_encoders_level() -> None:
    """The best effort makes the same rungs, the lowest two with LAME's slower level."""
    fast, best = had(), had(effort="best")
    assert [replace(one, effort=None) for one in fast] == [
        replace(one, effort=None) for one in best
    ]
    assert {one.effort for one in fast} == {None, 7}
    assert [one.bit_rate for one in best if one.effort == 5] == [32_000, 24_000]


# ------------------------------------------------------------------------------- fallbacks


@pytest.mark.parametrize("at", range(len(RUNGS)))
def test_what_is_too_large_goes_down_the_ladder(at: int) -> None:
    """After a rung come all those below it, in their order."""
    assert next_ones(RUNGS[at]) == tuple(RUNGS[at + 1 :])


def test_fallbacks_keep_to_the_wishes() -> None:
    """Fallbacks have the requested format, rate and channels."""
    asked: dict[str, Any] = {"format": "aac", "sample_rate_hz": 24_000, "channels": 2}
    first, *rest = had(**asked)
    assert next_ones(first, **asked) == tuple(rest)
    assert [one.bit_rate for one in rest] == [48_000, 32_000, 24_000]
    assert {(one.sample_rate_hz, one.channels) for one in rest} == {(24_000, 2)}


@pytest.mark.parametrize(
    ("options", "kbps"),
    [
        ({"quality": "voice"}, [56, 48, 40, 32, 24]),
        ({"quality": "music"}, [160, 128, 112, 96, 80, 64, 56, 48, 40, 32]),
        ({"bit_rate": 40_000, "format": "aac", "sample_rate_hz": 16_000}, [32, 24]),
        ({"bit_rate": 24_000, "sample_rate_hz": 16_000}, []),
        ({"bit_rate": 5_900, "format": "amr"}, [5.15, 4.75]),
        ({"format": "amr"}, [10.2, 7.95, 7.4, 6.7, 5.9, 5.15, 4.75]),
        ({"format": "wav"}, []),
        ({"format": "gsm"}, []),
    ],
    ids=str,
)
def test_an_encoding_asked_for_goes_down_in_bit_rate_only(
    options: dict[str, Any], kbps: list[float]
) -> None:
    """An exactly requested encoding keeps its format, rate and channels down to the floor."""
    (asked,) = had(**options)
    assert next_ones(asked, **options) == tuple(
        replace(asked, bit_rate=round(1000 * rate)) for rate in kbps
    )


def test_fallbacks_take_the_effort_that_is_asked_for() -> None:
    """Fallbacks have the slower level where it sounds better, too."""
    for options in ({"bit_rate": 48_000, "format": "mp3"}, {"format": "mp3"}):
        tried = next_ones(mp3(48_000, 24_000), effort="best", **options)
        assert [(one.bit_rate, one.effort) for one in tried] == [
            (40_000, 7),
            (32_000, 5),
            (24_000, 5),
        ]


def test_there_may_be_nothing_smaller() -> None:
    """Below the floor, and where only WAV is taken, nothing is left to try."""
    assert next_ones(RUNGS[-1]) == ()
    assert next_ones(wav(44_100, 2), HEARS_ALL) == ()
    assert next_ones(wav(), service(accepts={"wav": ("pcm_s16le",)})) == ()
