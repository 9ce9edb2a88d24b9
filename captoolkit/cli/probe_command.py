"""`captoolkit probe`: the exact properties of each file, and the limits that it exceeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from captoolkit.cli import basic_options as basic
from captoolkit.cli.app import COMMANDS
from captoolkit.cli.show import (
    display_source,
    name_options,
    print_json,
    print_line,
    print_sentence,
    print_table,
)
from captoolkit.units import format_count

if TYPE_CHECKING:
    from decimal import Decimal
    from fractions import Fraction
    from pathlib import Path

    from captoolkit.jobs.commands.outcomes import InputOutcome
    from captoolkit.jobs.listing.inputs import Input
    from captoolkit.model import Chapter, MediaInfo, SubtitleTrack, Target, Track

MAX_CHAPTERS = 20  # that the text lists; it counts the others


@click.command("probe", short_help=COMMANDS["probe"])
@basic.inputs
@basic.target
@basic.via
@basic.raw
@basic.report
@basic.overwrite
@basic.as_json
@basic.debug
def command(
    inputs: list[Input],
    target: str,
    via: str,
    raw: str | None,
    report: Path | None,
    overwrite: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Show container, tracks, codec, sample rate, channels and exact duration of each FILE.

    Also shows subtitle tracks, chapters, and the limits of the target that FILE exceeds. Only the
    file of --report is written.
    """
    from captoolkit.api.probe import probe
    from captoolkit.cli.run_report import RunReport
    from captoolkit.jobs.commands.outcomes import InputOutcome
    from captoolkit.model import Via
    from captoolkit.services import catalogue
    from captoolkit.services.limits import misfits

    row, documents = catalogue.target(target), []

    def show(item: Input) -> InputOutcome:
        info = probe(item.source(), raw=raw)
        reasons = misfits(info, info.default_track, row, Via(via))
        if as_json:
            documents.append(_document(info, row, via, reasons))
        else:
            _print(display_source(item.url), info, row, via, reasons)
        return InputOutcome.of_source(item, display_source(item.url), info, info.default_track)

    with RunReport(inputs, out=None, done="probed", report=report, overwrite=overwrite) as reporter:
        status = reporter.run(inputs, show, debug=debug)
        if as_json:
            print_json("probe", {"files": documents})
    return status


def _print(name: str, info: MediaInfo, row: Target, via: str, reasons: tuple[str, ...]) -> None:
    from captoolkit.units import format_clock, format_size

    length = format_clock(info.default_track.duration_s, decimals=3)
    if any(not picture.is_cover for picture in info.pictures):  # the video may be longer
        length = f"{length} of sound"
    print_line(f"{name}: {info.container}, {length}, {format_size(info.size_bytes)}")
    tracks = [_track_row(track) for track in info.tracks]
    print_table(tracks, indent="  ")
    for picture in info.pictures:
        print_line(f"  {'cover' if picture.is_cover else 'video'}    {picture.codec}")
    print_table([_subtitle_row(each) for each in info.subtitles], indent="  ")
    listed = enumerate(info.chapters[:MAX_CHAPTERS], start=1)
    print_table([_chapter_row(number, chapter) for number, chapter in listed], indent="  ")
    if len(info.chapters) > MAX_CHAPTERS:
        print_line(f"  and {format_count(len(info.chapters) - MAX_CHAPTERS, 'more chapter')}")
    for warning in info.warnings:
        print_sentence(f"warning: {name_options(warning)}", indent="  ")
    verdict = "does not fit without change" if reasons else "fits without change"
    print_line(f"  {row.name} via {via}: {verdict}")
    for reason in reasons:
        print_sentence(reason, indent="    ")


def _track_row(track: Track) -> tuple[str, ...]:
    from captoolkit.units import format_clock

    late = f"begins at {format_clock(track.start_samples / track.sample_rate_hz, decimals=3)}"
    notes = [track.language or "", "default" if track.default else ""]
    notes += [late] if track.start_samples else []
    return (
        f"sound {track.number}",
        track.codec,
        f"{track.sample_rate_hz} Hz",
        track.layout,
        format_clock(track.duration_s, decimals=3) + (" (counted)" if track.counted else ""),
        " ".join(filter(None, notes)),
    )


def _subtitle_row(track: SubtitleTrack) -> tuple[str, ...]:
    marks = ["default" if track.is_default else "", "forced" if track.is_forced else ""]
    notes = filter(None, [track.language or "", *marks])
    return f"subtitles {track.number}", track.codec, " ".join(notes)


def _chapter_row(number: int, chapter: Chapter) -> tuple[str, ...]:
    from captoolkit.units import format_clock

    end = "" if chapter.end_s is None else f" - {format_clock(float(chapter.end_s), decimals=3)}"
    start = format_clock(float(chapter.start_s), decimals=3)
    return f"chapter {number}", f"{start}{end}", chapter.title


def _track_fields(track: Track) -> dict[str, Any]:
    from captoolkit.support.exact_json import seconds

    fields: dict[str, Any] = {
        "number": track.number,
        "codec": track.codec,
        "sample_rate_hz": track.sample_rate_hz,
        "channels": track.channels,
        "layout": track.layout,
        "bit_rate": track.bit_rate,
        "language": track.language,
        "default": track.default,
        "duration_s": seconds(track.duration_samples, track.sample_rate_hz),
        "duration_samples": track.duration_samples,
        "counted": track.counted,
    }
    if track.start_samples:
        fields["start_s"] = seconds(track.start_samples, track.sample_rate_hz)
    return fields


def _seconds(time_s: Fraction) -> Decimal:
    from captoolkit.support.exact_json import seconds

    return seconds(time_s.numerator, time_s.denominator)


def _document(info: MediaInfo, row: Target, via: str, reasons: tuple[str, ...]) -> dict[str, Any]:
    return {
        "path": info.path,
        "bytes": info.size_bytes,
        "container": info.container,
        "tracks": [_track_fields(track) for track in info.tracks],
        "pictures": [
            {"codec": picture.codec, "cover": picture.is_cover} for picture in info.pictures
        ],
        "subtitles": [
            {
                "number": each.number,
                "codec": each.codec,
                "language": each.language,
                "default": each.is_default,
                "forced": each.is_forced,
            }
            for each in info.subtitles
        ],
        "chapters": [
            {
                "start_s": _seconds(each.start_s),
                "end_s": None if each.end_s is None else _seconds(each.end_s),
                "title": each.title,
            }
            for each in info.chapters
        ],
        "target": row.name,
        "via": via,
        "warnings": list(info.warnings),
        "fits": not reasons,
        "misfits": list(reasons),
    }
