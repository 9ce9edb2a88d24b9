"""The options of a plan: which are refused, and what they ask for."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, get_args

import pytest

from captoolkit.bitstream.encodings import ENCODINGS
from captoolkit.errors import UsageError
from captoolkit.planning.ladder import QUALITIES
from captoolkit.planning.options import FormatName, ParsedOptions, QualityName, check_options


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"format": "gsm", "sample_rate_hz": 16_000}, "GSM is 8 kHz mono; leave the sample rate"),
        ({"format": "gsm", "channels": 2}, "GSM is 8 kHz mono; leave the sample rate"),
        ({"format": "amr", "channels": 2}, "AMR is 8 kHz mono; leave the sample rate"),
        ({"format": "gsm", "bit_rate": 12_200}, "it has 13 kbit/s; leave the bit rate out"),
        ({"format": "wav", "bit_rate": 64_000}, "cannot be had of WAV"),
        (
            {"format": "ogg"},
            "format=ogg is not known; take auto, wav, mp3, aac, amr, gsm",
        ),
        ({"effort": "some"}, "effort=some is not known; take fast, best"),
        ({"quality": "fine"}, "quality=fine is not known; take auto, voice"),
        ({"segment_s": Fraction(1, 2)}, "segments of 0.5 s are too short"),
        ({"channels": 0}, "channels=0 must be at least 1"),
        ({"bit_rate": "64k"}, "bit_rate='64k' must be a whole number"),
        ({"sample_rate_hz": 16e3}, "sample_rate_hz=16000.0 must be a whole number"),
        ({"parts": "2"}, "parts='2' must be a whole number"),
        ({"channels": True}, "channels=True must be a whole number"),
    ],
    ids=str,
)
def test_wish_that_nothing_can_meet_is_refused(options: dict[str, Any], told: str) -> None:
    """A wish against what a format is, or for what there is not, says what can be had."""
    with pytest.raises(UsageError, match=told):
        check_options(ParsedOptions(**options))


def test_effort_alone_asks_for_no_encoding() -> None:
    """A file that fits needs none, however good it would be."""
    assert not ParsedOptions(effort="best").shape_the_sound


def test_the_literals_name_what_the_tables_have() -> None:
    """Type checkers and the command line know the formats and the qualities of the tables."""
    assert get_args(FormatName) == ("auto", *ENCODINGS)
    assert get_args(QualityName) == ("auto", *QUALITIES)
