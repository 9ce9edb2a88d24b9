from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from captoolkit.errors import InputError
from captoolkit.model import Cost, Envelope, Usage
from captoolkit.support.provenance import OptionValue, Provenance
from captoolkit.timeline import parse, render
from captoolkit.timeline.json import MOST_LEVELS
from captoolkit.timeline.value import Timeline
from tests.support.racing import statuses
from tests.support.timelines import TimelineOf, timelines


@given(timelines())
def test_reading_gives_back_what_was_written(timeline: Timeline) -> None:
    """Every sample, word, token and amount survives the file."""
    assert parse(render(timeline, "json")) == timeline


def test_a_json_file_looks_like_this(timeline_of: TimelineOf) -> None:
    """The fields are in order, times have six decimals, text is unchanged."""
    timeline = timeline_of("雨。\n“drip” & <b>")
    usage = Usage(audio_tokens=25, total_tokens=40)
    timeline = replace(
        timeline,
        entries=(replace(timeline.entries[0], usage=usage, finish_reason="stop"),),
        cost=Cost(currency="CNY", amount=Decimal("0.10")),
    )
    assert render(timeline, "json") == GOLDEN


GOLDEN = """\
{
  "format": "captoolkit.timeline/1",
  "source": {
    "path": "/recordings/night in the harbour.flac",
    "sha256": "abababababababababababababababababababababababababababababababab",
    "bytes": 123456,
    "container": "flac",
    "codec": "flac",
    "sample_rate_hz": 48000,
    "channels": 2,
    "track": 1,
    "duration_s": 1.000000
  },
  "captioner": {
    "name": "acoustic",
    "model": "acoustic-1",
    "base_url": null
  },
  "entries": [
    {
      "index": 1,
      "start_s": 0.000000,
      "end_s": 1.000000,
      "status": "ok",
      "text": "雨。\\n“drip” & <b>",
      "finish_reason": "stop",
      "request_id": null,
      "error": null,
      "usage": {
        "audio_tokens": 25,
        "text_tokens": null,
        "input_tokens": null,
        "output_tokens": null,
        "total_tokens": 40
      }
    }
  ],
  "usage": {
    "audio_tokens": 25,
    "text_tokens": null,
    "input_tokens": null,
    "output_tokens": null,
    "total_tokens": 40
  },
  "cost": {
    "currency": "CNY",
    "amount": 0.10
  }
}
"""


def test_a_name_that_is_not_unicode_survives(timeline_of: TimelineOf) -> None:
    """A file name of arbitrary bytes has lone surrogates, which survive the file."""
    timeline = timeline_of("x")
    path = b"/in/caf\xe9.wav".decode("utf-8", "surrogateescape")
    named = replace(timeline, source=replace(timeline.source, path=path))
    written = render(named, "json")
    assert written.isascii()
    assert parse(written) == named


def test_controls_and_separators_are_escaped_and_come_back(timeline_of: TimelineOf) -> None:
    """No character in the file moves a terminal's cursor or breaks a line, and all survive."""
    timeline = timeline_of("\x00\x07\x1b[31m\x7f\x85\x9b \u2028\u2029 \r\n\t雨")
    written = render(timeline, "json")
    assert len(written.splitlines()) == written.count("\n")
    assert "雨" in written
    assert parse(written) == timeline


def broken(timeline: Timeline, *path: str | int, value: Any = ...) -> str:
    """Return the timeline's JSON with one value replaced or removed."""
    document = json.loads(render(timeline, "json"))
    place = document
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (["format"], "captoolkit.timeline/2", r"version 2 .* captoolkit reads version 1.*newer"),
        (
            ["format"],
            "captoolkit.manifest/1",
            r"a manifest of prepared files .* not a timeline",
        ),
        (["format"], ..., "format is None"),
        (["colour"], "red", "unknown field `colour`"),
        (["cost"], ..., "missing required field `cost`"),
        (
            ["cost"],
            {"currency": "CNY", "amount": "NaN"},
            r"NaN is not an amount.*\$\.cost\.amount \(line 1\)",
        ),
        (["source", "bytes"], "many", r"\$\.source\.bytes"),
        (["source", "sample_rate_hz"], 0, r"\$\.source\.sample_rate_hz"),
        (["source", "duration_s"], 1e400, "not JSON: Infinity"),
        (["source", "duration_s"], 1e12, r"\$\.source\.duration_s"),
        (["entries"], {}, r"\$\.entries"),
        (["entries", 1, "start_s"], "1.0", r"\$\.entries\[1\]\.start_s"),
        (["entries", 1, "start_s"], -1.0, r"\$\.entries\[1\]\.start_s"),
        (["entries", 1, "status"], "lost", r"'lost', at \$\.entries\[1\]\.status"),
        (["entries", 1, "text"], None, r"\$\.entries\[1\]\.text"),
        (["entries", 1, "note"], "", r"unknown field `note`, at \$\.entries\[1\]"),
        (["entries", 1, "usage", "audio_tokens"], -1, r"\$\.entries\[1\]\.usage\.audio_tokens"),
        (
            ["entries", 1, "start_s"],
            0.5,
            r"entry 2 starts at 0\.500000 s, before .* at \$\.entries\[1\] \(line 1\)",
        ),
        (["entries", 0, "end_s"], 0.0, "entry 1 is empty"),
        (["entries", 1, "end_s"], 2.5, r"entry 2 ends at 2\.500000 s, after"),
    ],
)
def test_a_file_of_another_shape_is_refused_with_the_place(
    path: list[str | int], value: Any, problem: str, timeline_of: TimelineOf
) -> None:
    """Wrong versions, fields, types and orders are errors with the place in the file."""
    with pytest.raises(InputError, match=problem):
        parse(broken(timeline_of("a", "b"), *path, value=value))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "WEBVTT\n",
        "{",
        "[]",
        "null",
        '"captoolkit.timeline/1"',
        "[" * 100_000,
        '{"format": 1e9999999999999999999}',
        '{"format": ' + "9" * 5_000 + "}",
    ],
    ids=["empty", "vtt", "cut", "list", "null", "string", "deep", "exponent", "digits"],
)
def test_what_is_no_timeline_at_all_is_the_inputs_fault(text: str) -> None:
    """Any other text is an `InputError`."""
    with pytest.raises(InputError):
        parse(text)


HUGE = ("1e-100000000", "1e100000000", "0e-99999999", "0." + "1" * 5_000)


@pytest.mark.parametrize("number", [*HUGE, '"1e100000000"'], ids=lambda number: number[:14])
def test_a_number_that_nobody_could_work_out_is_refused(
    number: str, timeline_of: TimelineOf
) -> None:
    """A number with a huge exponent or many digits is an error before any arithmetic."""
    text = render(timeline_of("a"), "json")
    found = text.replace('"cost": null', f'"cost": {{"currency": "CNY", "amount": {number}}}')
    with pytest.raises(InputError, match=r"has more than 400 digits"):
        parse(found)
    if number in HUGE:
        with pytest.raises(InputError, match=r"has more than 400 digits; undo"):
            parse(text.replace('"start_s": 0.000000', f'"start_s": {number}'))


@pytest.mark.parametrize(
    "path",
    [
        ("entries", 0, "index"),
        ("entries", 0, "usage", "total_tokens"),
        ("source", "sample_rate_hz"),
    ],
)
def test_an_integer_of_more_than_64_bits_is_refused(
    path: tuple[str | int, ...], timeline_of: TimelineOf
) -> None:
    """Other formats cannot hold it, so the error names its place instead of a failed export."""
    with pytest.raises(InputError, match=rf"{path[-1]} \(line"):
        parse(broken(timeline_of("a"), *path, value=10**19))


def test_a_cut_off_file_is_refused_with_line_and_column(timeline_of: TimelineOf) -> None:
    """The error gives the line and the column."""
    with pytest.raises(InputError, match=r"line 40 column \d+"):
        parse("".join(render(timeline_of("a"), "json").splitlines(keepends=True)[:40])[:-5])


def test_the_place_is_told_as_path_and_line(timeline_of: TimelineOf) -> None:
    """The error gives the JSON path and the line."""
    lines = render(timeline_of("a", "b"), "json").splitlines()
    (number,) = [n for n, line in enumerate(lines) if '"text": "b"' in line]
    lines[number] = '      "text": 7,'
    with pytest.raises(InputError, match=rf"at \$\.entries\[1\]\.text \(line {number + 1}\); "):
        parse("\n".join(lines))


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.999])
def test_a_cut_off_file_is_called_so(kept: float, timeline_of: TimelineOf) -> None:
    """A file cut off at any place is reported as cut off."""
    text = render(timeline_of("a dog and another", "rain"), "json")
    with pytest.raises(InputError, match=r"cut off: the file ends in the middle of line \d+"):
        parse(text[: int(len(text) * kept)])


def test_parts_and_notes_are_written_only_where_there_are_any(timeline_of: TimelineOf) -> None:
    """`parts` and `notes` are optional in the file and absent if empty."""
    timeline = timeline_of("a")
    document = json.loads(render(timeline, "json"))
    assert not {"parts", "notes"} & set(document)
    assert parse(json.dumps(document | {"parts": [], "notes": []})) == timeline
    shifted = json.loads(render(replace(timeline.shifted(1), notes=("Late.",)), "json"))
    assert shifted["notes"] == ["Late."]
    assert [part["at_s"] for part in shifted["parts"]] == [1.0]
    with pytest.raises(InputError, match=r"\$\.parts\[0\]\.at_s"):
        parse(json.dumps(shifted | {"parts": [shifted["parts"][0] | {"at_s": -1}]}))


def test_the_run_that_made_a_timeline_is_recorded(timeline_of: TimelineOf) -> None:
    """`made_by` survives the JSON file, older files lack it, and an edit removes it."""
    timeline = timeline_of("one", "two", "three")
    options: dict[str, OptionValue] = {
        "segment": 2.5,
        "captioner": "acoustic",
        "exact": True,
        "track": 2,
    }
    made_by = Provenance(verb="caption", options=options)
    made = replace(timeline, made_by=made_by, modified_ns=1_795_915_369_531_186_391)
    document = json.loads(render(made, "json"))
    assert document.pop("made_by") == {"verb": "caption", "options": options}
    assert document["source"].pop("modified_ns") == made.modified_ns
    assert document == json.loads(render(timeline, "json"))
    parsed = parse(render(made, "json"))
    assert parsed == made
    assert parsed.made_by is not None
    assert [type(value) for value in parsed.made_by.options.values()] == [float, str, bool, int]
    assert render(made, "otio") == render(timeline, "otio")
    assert made.slice() == made
    for edited in (made.slice(0, 1), made.shifted(1), made.merged(1, 2), made.filtered(text="one")):
        assert (edited.made_by, edited.modified_ns) == (None, None)
    with pytest.raises(InputError, match=r"at \$\.made_by"):
        parse(broken(made, "made_by", "verb"))


def test_the_envelope_and_the_mark_of_an_edit_come_back(timeline_of: TimelineOf) -> None:
    """An envelope and an edited entry are read back; a timeline without them has no such field."""
    plain = timeline_of("A dog.", "Rain.")
    assert "envelope" not in render(plain, "json")
    assert "is_edited" not in render(plain, "json")
    edited = replace(plain.entries[0], is_edited=True)
    length = plain.source.duration_samples
    envelope = Envelope(
        rate_hz=plain.source.sample_rate_hz,
        step_samples=length // 2 - 1,
        duration_samples=length,
        peaks=b"\xff\x00\x80",
        loudness=b"\xf0\x00\x7f",
    )
    whole = replace(plain, entries=(edited, plain.entries[1]), envelope=envelope)
    assert parse(render(whole, "json")) == whole
    for wrong, problem in (
        (replace(envelope, step_samples=length // 2), "does not have the 2 levels"),
        (replace(envelope, duration_samples=0), "is not as long as the recording,"),
    ):
        with pytest.raises(InputError, match=rf"the envelope {problem} .*\$\.envelope"):
            parse(render(replace(whole, envelope=wrong), "json"))


@pytest.mark.parametrize("levels", [MOST_LEVELS, MOST_LEVELS + 1])
def test_an_envelope_has_a_bounded_number_of_levels(levels: int, timeline_of: TimelineOf) -> None:
    """An envelope in a stranger's timeline cannot make a page of any size."""
    envelope = Envelope(
        rate_hz=levels,
        step_samples=1,
        duration_samples=levels,
        peaks=bytes(levels),
        loudness=bytes(levels),
    )
    text = render(replace(timeline_of("A dog."), envelope=envelope), "json")
    if levels <= MOST_LEVELS:
        assert parse(text).envelope == envelope
    else:
        with pytest.raises(InputError, match=r"has 65,537 levels and may have 65,536, .*envelope"):
            parse(text)


def test_the_envelope_goes_with_the_clock_of_its_recording(timeline_of: TimelineOf) -> None:
    """Filtering keeps the envelope; a clock that is no recording's own has none."""
    envelope = Envelope(
        rate_hz=1, step_samples=1, duration_samples=2, peaks=b"\1\2", loudness=b"\1\2"
    )
    timeline = replace(timeline_of("A dog.", "Rain."), envelope=envelope)
    assert timeline.filtered(text="dog").envelope == envelope
    assert timeline.spread().envelope == envelope
    assert timeline.slice(1, from_zero=True).envelope is None
    assert timeline.shifted(1).envelope is None


def test_a_byte_order_mark_is_no_obstacle(timeline_of: TimelineOf) -> None:
    """A byte order mark, which some editors write, is ignored."""
    timeline = timeline_of("a")
    assert parse("\ufeff" + render(timeline, "json")) == timeline


def test_only_json_loads_a_library() -> None:
    """Subtitles and plain text are written without importing msgspec."""
    code = (
        "import sys, captoolkit.timeline as t, captoolkit.timeline.srt, captoolkit.timeline.vtt,"
        " captoolkit.timeline.text, captoolkit.timeline.markdown;"
        "sys.exit('msgspec' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_threads_may_read_the_first_timelines_together(timeline_of: TimelineOf) -> None:
    """The process must not crash."""
    text = render(timeline_of("rain"), "json")
    setup = (
        f"from captoolkit.timeline import parse\nimport captoolkit.timeline.json\ntext = {text!r}"
    )
    assert statuses(setup, "parse(text)") == {0}
