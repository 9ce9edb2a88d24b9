"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from captoolkit.captioners.registry import (
    CAPTIONERS,
    DEFAULT_CAPTIONER,
    DEFAULT_QUESTION_CAPTIONER,
    names_that_answer,
    row_of,
)
from captoolkit.errors import UsageError
from captoolkit.services.catalogue import DEFAULT_TARGET
from captoolkit.timeline import FORMATS
from captoolkit.units import parse_bit_rate, parse_duration

Command = TypeVar("Command", bound=Callable[..., Any])


def parsed_by(parse: Callable[[str], Any]) -> Callable[..., Any]:
    """Return an option callback that reads a value as people write it."""

    def callback(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
        try:
            return None if value is None else parse(value)
        except UsageError as error:
            raise click.BadParameter(str(error), ctx, param) from error

    return callback


def files_argument(command: Command) -> Command:
    """One or more media files."""
    return click.argument("files", metavar="FILE...", nargs=-1, required=True)(command)


def jobs_option(command: Command) -> Command:
    """`--jobs`."""
    return click.option(
        "--jobs",
        type=click.IntRange(1),
        metavar="N",
        help="How much is worked on at once.  [default: one for each core]",
    )(command)


def json_option(command: Command) -> Command:
    """`--json`."""
    help_text = "Print one JSON document instead of text."
    return click.option("--json", "as_json", is_flag=True, help=help_text)(command)


def debug_option(command: Command) -> Command:
    """`--debug`."""
    help_text = "Show where in the program an error arose."
    return click.option("--debug", is_flag=True, help=help_text)(command)


def picture_option(command: Command) -> Command:
    """`--picture`."""
    help_text = (
        "Draw how loud FILE is and where it is cut, as SVG, into the file that this names, or into "
        "a folder that is there. It takes a decode of its own. Of several FILEs each gets its "
        "picture: then it names a folder."
    )
    return click.option("--picture", metavar="SVG", help=help_text)(command)


def embed_option(command: Command) -> Command:
    """`--embed-audio`."""
    help_text = (
        "Put the recording itself into the HTML page, if it has 20 MB at most; without it the "
        "page plays the file where it lies."
    )
    return click.option("--embed-audio", is_flag=True, help=help_text)(command)


def overwrite_option(command: Command) -> Command:
    """`-y`."""
    help_text = "Replace files that are there already."
    return click.option("-y", "--overwrite", is_flag=True, help=help_text)(command)


def folder_option(command: Command) -> Command:
    """`-o`: the folder that receives files."""
    return click.option(
        "-o",
        "out",
        required=True,
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="The folder that receives them; made if it is not there.",
    )(command)


def length_options(command: Command) -> Command:
    """How long segments are, or how many."""
    return _stack(
        command,
        click.option(
            "--segment",
            callback=parsed_by(parse_duration),
            metavar="LENGTH",
            help="Make segments of about this length, such as 30s.",
        ),
        click.option(
            "--max-segment",
            callback=parsed_by(parse_duration),
            metavar="LENGTH",
            help="Make no segment longer than this, such as 10m.",
        ),
        click.option(
            "--parts",
            type=click.IntRange(1),
            metavar="N",
            help="Make this many segments.",
        ),
    )


def max_duration_option(command: Command) -> Command:
    """`--max-duration`."""
    return click.option(
        "--max-duration",
        callback=parsed_by(parse_duration),
        default="48h",
        show_default=True,
        metavar="LENGTH",
        help="Refuse a FILE that lasts longer.",
    )(command)


def track_option(command: Command) -> Command:
    """`--track`."""
    return click.option(
        "--track",
        metavar="N|LANG",
        help="The sound track to take: its number from 1, or its language, such as zho. "
        "The default track without it.",
    )(command)


def output_options(command: Command) -> Command:
    """`-f` and `-o`: which formats a timeline is written in, and where; and how."""
    return _stack(
        command,
        click.option(
            "-f",
            "formats",
            metavar="FORMAT,...",
            help=f"What to write: {', '.join(FORMATS)}; several with commas.  [default: by the "
            "ending of -o, else json]",
        ),
        click.option(
            "-o",
            "out",
            metavar="PATH",
            help="One input and one format: the file, a folder that exists, or - for standard "
            "output. Several: a folder that receives STEM.json, STEM.srt, ...  [default: the "
            "current folder]",
        ),
        spread_option,
        click.option(
            "--frame-rate",
            metavar="FPS",
            help="Frames per second of the editor's timeline, for edl and fcpxml.  [default: 25]",
        ),
    )


def spread_option(command: Command) -> Command:
    """`--spread`."""
    return click.option(
        "--spread",
        is_flag=True,
        help="Lay the sentences of each segment over it in proportion to their length, as cues of "
        "their own. Their times are then estimates, and the file says so where it can.",
    )(command)


WAYS = ("base64", "upload", "url")
AUTO = "auto"


def target_options(
    command: Command, *, target: str | None = DEFAULT_TARGET, ways: tuple[str, ...] = WAYS
) -> Command:
    """Where the files are to go; without a default target it goes by who is asked."""
    return _stack(
        command,
        click.option(
            "--target",
            default=target,
            metavar="NAME",
            help="The service whose limits are kept: a name or a model that `captoolkit targets` "
            f"lists.  [default: {target or 'that of the model that is asked'}]",
        ),
        click.option(
            "--via",
            type=click.Choice(ways),
            default="base64",
            show_default=True,
            help=_said_of_ways(ways),
        ),
    )


def talking_options(command: Command) -> Command:
    """Whose limits are kept for a sound that is asked about, and how it travels."""
    return target_options(command, target=None, ways=(*WAYS, AUTO))


def _said_of_ways(ways: tuple[str, ...]) -> str:
    said = "How they will travel; each way has its own size limit."
    if AUTO not in ways:
        return said
    return f"{said} auto is base64 unless another way keeps more of the sound; the plan says so."


def preparing_options(*, target: str | None = DEFAULT_TARGET) -> Callable[[Command], Command]:
    """Everything that says how files are prepared."""

    def decorate(command: Command) -> Command:
        plain = length_options(track_option(max_duration_option(command)))
        shaped = _stack(plain, *_shaping_options())
        return target_options(shaped, target=target, ways=(*WAYS, AUTO))

    return decorate


def _shaping_options() -> list[Callable[[Any], Any]]:
    """What the caller wants beyond the target's limits."""
    return [
        click.option(
            "--format",
            "format_",
            type=click.Choice(["auto", "wav", "mp3", "aac", "amr", "gsm"]),
            default="auto",
            show_default=True,
            help="The format that comes out; auto takes the least loss that fits, gsm is a WAV.",
        ),
        click.option(
            "--quality",
            type=click.Choice(["auto", "voice", "podcast", "music"]),
            default="auto",
            show_default=True,
            help="The services' own guidance: voice is MP3 at 64k, podcast 128k, music 192k, in "
            "stereo where the source has two channels; auto takes the best that fits.",
        ),
        click.option(
            "--effort",
            type=click.Choice(["fast", "best"]),
            default="fast",
            show_default=True,
            help="best takes the MP3 encoder's slower setting where it sounds better.",
        ),
        click.option(
            "--bitrate",
            "bit_rate",
            callback=parsed_by(parse_bit_rate),
            metavar="RATE",
            help="Bits per second that come out, such as 64k: MP3, unless --format says otherwise, "
            "at the sample rate that was measured best for it.",
        ),
        click.option(
            "--sample-rate",
            "sample_rate_hz",
            type=click.IntRange(1),
            metavar="HZ",
            help="Samples per second that come out.",
        ),
        click.option(
            "--channels",
            type=click.IntRange(1, 2),
            help="Channels that come out: 2 of a source that has two, 1 of any.",
        ),
        click.option(
            "--skip-silence",
            callback=parsed_by(parse_duration),
            metavar="[=LENGTH]",
            help="Leave out silences of at least this length, as in --skip-silence=5s; without "
            "one, of ten seconds. Quiet sound is no silence. Times stay those of FILE. Where one "
            "is left out between sounds, --parts cannot be counted and is refused.",
        ),
    ]


def options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of `preparing_options` as the library's keyword arguments."""
    names = ("target", "via", "quality", "bit_rate", "sample_rate_hz", "channels")
    taken = {name: options[name] for name in (*names, "segment", "max_segment", "track")}
    more = ("effort", "parts", "skip_silence", "max_duration")
    taken |= {name: options[name] for name in more}
    return taken | {"format": options["format_"]}


def captioner_options(command: Command) -> Command:
    """Who is asked."""
    return _stack(
        command,
        click.option(
            "--captioner",
            metavar="NAME",
            default=DEFAULT_CAPTIONER,
            show_default=True,
            help=f"Who describes the sound. {_captioner_help(list(CAPTIONERS))}",
        ),
        *_service_options(),
        click.option(
            "--prompt",
            metavar="TEXT",
            help="What to ask about each segment, of a model that takes a prompt (Qwen-Audio).",
        ),
        system_option,
    )


def _captioner_help(names: list[str]) -> str:
    return f"{'; '.join(f'{name}: {CAPTIONERS[name].help}' for name in names)}."


def _base_url_endings() -> str:
    rows = [row for row in CAPTIONERS.values() if row.interface]
    return ", ".join(f"{row.interface.base_urls} for {row.name}" for row in rows if row.interface)


def system_option(command: Command) -> Command:
    """`--system`."""
    help_text = "What to tell the model beforehand, if it takes a system message (Qwen-Audio)."
    return click.option("--system", metavar="TEXT", help=help_text)(command)


def asked_options(command: Command) -> Command:
    """Who is asked questions: a service, whatever it is."""
    return _stack(
        command,
        click.option(
            "--captioner",
            type=click.Choice(names_that_answer()),
            default=DEFAULT_QUESTION_CAPTIONER,
            show_default=True,
            help=f"Who answers. {_captioner_help(names_that_answer())}",
        ),
        *_service_options(model=row_of(DEFAULT_QUESTION_CAPTIONER).question_model),
        system_option,
    )


def _service_options(
    *, model: str | None = "the target's, else Qwen3-Omni-Captioner"
) -> list[Callable[[Any], Any]]:
    """Which model is asked, and where."""
    return [
        click.option(
            "--model",
            metavar="NAME",
            help=f"The service's model.  [default: {model}]",
        ),
        click.option(
            "--region",
            metavar="NAME",
            help="Which of Model Studio's hosts is asked: singapore or beijing.  "
            "[default: singapore; for Qwen-Audio beijing]",
        ),
        click.option(
            "--base-url",
            metavar="URL",
            help=f"Another server, with the ending that the SDKs use: {_base_url_endings()}.",
        ),
    ]


def ledger_option(command: Command) -> Command:
    """`--ledger`."""
    return click.option(
        "--ledger",
        metavar="PATH",
        help="The file of what has been asked and answered.  [default: the one that "
        "CAPTOOLKIT_LEDGER names, else one in the user's cache folder]",
    )(command)


def asking_options(command: Command) -> Command:
    """How many are asked about at once, what it may cost, what is known already."""
    return _stack(
        command,
        click.option(
            "--concurrency",
            type=click.IntRange(1),
            default=4,
            show_default=True,
            metavar="N",
            help="How many segments are asked about at once.",
        ),
        click.option(
            "--max-cost",
            metavar="AMOUNT",
            help="Spend no more than this, such as 0.50, in the currency in which the region's "
            "prices are listed, on all FILEs together. What it does not reach for is marked in the "
            "timeline.",
        ),
        click.option(
            "--yes", "agreed", is_flag=True, help="Do not ask whether what it costs is all right."
        ),
        ledger_option,
        click.option(
            "--no-resume",
            "anew",
            is_flag=True,
            help="Ask about every segment, whatever the ledger knows.",
        ),
        click.option(
            "--stream", is_flag=True, help="Show captions on standard error as they come."
        ),
    )


def _stack(command: Command, *options: Callable[[Command], Command]) -> Command:
    """Apply decorators so that help lists them in the order given."""
    return functools.reduce(lambda made, option: option(made), reversed(options), command)
