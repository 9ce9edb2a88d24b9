"""`captoolkit probe`: the exact properties of each file, and the limits that it exceeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from captoolkit.cli import basic_options as basic
from captoolkit.cli.app import COMMANDS
from captoolkit.cli.show import display_source, print_json, print_line, print_table

if TYPE_CHECKING:
    from pathlib import Path

    from captoolkit.jobs.commands.outcomes import InputOutcome
    from captoolkit.jobs.listing.inputs import Input
    from captoolkit.model import MediaInfo, Target, Track


@click.command("probe", short_help=COMMANDS["probe"])
@basic.inputs
@basic.target
@basic.via
@basic.raw
@basic.report
@basic.as_json
@basic.debug
def command(
    inputs: list[Input],
    target: str,
    via: str,
    raw: str | None,
    report: Path | None,
    as_json: bool,
    debug: bool,
) -> int:
    """Show container, tracks, codec, sample rate, channels and exact duration of each FILE.

    Also shows the limits of the target that FILE exceeds. Only the file of --report is written.
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

    with RunReport(inputs, out=None, done="probed", report=report) as reporter:
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
    for warning in info.warnings:
        print_line(f"  warning: {warning}")
    verdict = "does not fit without change" if reasons else "fits without change"
    print_line(f"  {row.name} via {via}: {verdict}")
    for reason in reasons:
        print_line(f"    {reason}")


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


def _document(info: MediaInfo, row: Target, via: str, reasons: tuple[str, ...]) -> dict[str, Any]:
    return {
        "path": info.path,
        "bytes": info.size_bytes,
        "container": info.container,
        "tracks": [_track_fields(track) for track in info.tracks],
        "pictures": [
            {"codec": picture.codec, "cover": picture.is_cover} for picture in info.pictures
        ],
        "target": row.name,
        "via": via,
        "warnings": list(info.warnings),
        "fits": not reasons,
        "misfits": list(reasons),
    }
