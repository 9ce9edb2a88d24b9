"""The options of plans and splits: how they are read, and which are refused."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, get_args

import pytest

from captoolkit.bitstream.encodings import ENCODINGS
from captoolkit.errors import UsageError
from captoolkit.model import LoudnessTarget
from captoolkit.planning.ladder import QUALITIES
from captoolkit.planning.options import (
    FormatName,
    ParsedOptions,
    PlanOptions,
    QualityName,
    SplitOptions,
    check_options,
    parse_plan_options,
    parse_split_options,
)


@pytest.mark.parametrize(
    ("options", "parsed"),
    [
        ({}, ParsedOptions()),
        ({"segment": "1m30s"}, ParsedOptions(segment_s=Fraction(90))),
        ({"max_segment": 0.1 + 0.9}, ParsedOptions(max_segment_s=Fraction(1))),
        ({"bit_rate": "12.2k"}, ParsedOptions(bit_rate=12_200)),
        ({"max_duration": "72h"}, ParsedOptions(max_duration_s=Fraction(259_200))),
        ({"track": "zho"}, ParsedOptions(track="zho")),
        ({"skip_silence": True}, ParsedOptions(skip_silence_s=Fraction(10))),
        ({"skip_silence": "5s"}, ParsedOptions(skip_silence_s=Fraction(5))),
        ({"skip_silence": False, "segment": None, "parts": None}, ParsedOptions()),
    ],
    ids=str,
)
def test_plan_options_become_exact_values(options: PlanOptions, parsed: ParsedOptions) -> None:
    """Texts and floats become exact numbers; an option that is not given has its default."""
    assert parse_plan_options(options) == parsed


@pytest.mark.parametrize("length", ["0.5s", 0.9, "soon", -1])
def test_silences_to_skip_last_a_second_or_more(length: Any) -> None:
    """A shorter length, or one that is no length, is refused."""
    with pytest.raises(UsageError, match=r"silence|duration"):
        parse_plan_options({"skip_silence": length})


def test_split_options_become_exact_values() -> None:
    """A split has the options about tracks and lengths; `exact` and `at` stay with the verb."""
    options: SplitOptions = {"segment": "30s", "track": 2, "exact": True, "at": "chapters"}
    assert parse_split_options(options) == ParsedOptions(segment_s=Fraction(30), track=2)
    with pytest.raises(UsageError, match="at=silences is not a place to cut at; take chapters, or"):
        parse_split_options({"at": "silences"})  # type: ignore[typeddict-item]
    with pytest.raises(UsageError, match="parts=2 and at=chapters both set the number"):
        parse_split_options({"at": "chapters", "parts": 2})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "gsm", "sample_rate_hz": 16_000}, "GSM is 8 kHz mono; leave the sample rate"),
        ({"format": "gsm", "channels": 2}, "GSM is 8 kHz mono; leave the sample rate"),
        ({"format": "amr", "channels": 2}, "AMR is 8 kHz mono; leave the sample rate"),
        (
            {"format": "gsm", "bit_rate": 12_200},
            "which is always 13 kbit/s; leave the bit rate out",
        ),
        ({"format": "wav", "bit_rate": 64_000}, "bit_rate=64000 does nothing for WAV"),
        (
            {"format": "ogg"},
            "format=ogg is not known; take auto, wav, mp3, aac, amr, gsm",
        ),
        (
            {"gain": 5.0, "normalize": LoudnessTarget(lufs=-16)},
            "`gain` and `normalize` both set the level; leave one of the two",
        ),
        ({"effort": "some"}, "effort=some is not known; take fast, best"),
        ({"quality": "fine"}, "quality=fine is not known; take auto, voice"),
        ({"segment_s": Fraction(1, 2)}, "segments of 0.5 s are too short"),
        (
            {"segment_s": Fraction(20), "max_segment_s": Fraction(10)},
            "segment=20 s is longer than max_segment=10 s; shorten `segment`, or raise",
        ),
        ({"channels": 0}, "channels=0 must be at least 1"),
        ({"bit_rate": "64k"}, "bit_rate='64k' must be a whole number"),
        ({"sample_rate_hz": 16e3}, "sample_rate_hz=16000.0 must be a whole number"),
        ({"parts": "2"}, "parts='2' must be a whole number"),
        ({"channels": True}, "channels=True must be a whole number"),
        ({"channels": 3}, "channels=3 is not possible; take 1, or 2 of a source that has two"),
        ({"track": 0}, "track=0 must be at least 1"),
        ({"track": 1.5}, "track=1.5 must be a whole number"),
    ],
    ids=str,
)
def test_option_that_no_plan_can_satisfy_is_refused(options: dict[str, Any], message: str) -> None:
    """An unknown value, and one that contradicts the format, raise an error with a remedy."""
    with pytest.raises(UsageError, match=message):
        check_options(ParsedOptions(**options))


def test_effort_alone_requires_no_encoding() -> None:
    """The effort applies only if the sound is encoded for another reason."""
    assert not ParsedOptions(effort="best").has_encoding_options


def test_the_literals_name_what_the_tables_have() -> None:
    """Type checkers and the command line have the formats and the qualities of the tables."""
    assert get_args(FormatName) == ("auto", *ENCODINGS)
    assert get_args(QualityName) == ("auto", *QUALITIES)


def test_a_silence_that_is_too_short_is_named_as_a_length() -> None:
    """The command line parses lengths to fractions; the message shows seconds."""
    with pytest.raises(UsageError, match=r"skip_silence=0\.1 s is too short"):
        parse_plan_options({"skip_silence": Fraction(1, 10)})
