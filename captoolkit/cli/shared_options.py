"""Options that several commands share. Each is a decorator; a group is one decorator of several.

Rules: there are no branches here. The parameter's name is the library's keyword. A closed set of
values comes from the library: captioners from the registry's rows, timeline formats from theirs,
other choices from the `Literal` types of the options. Importing this module loads only click.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, get_args

import click

from captoolkit.captioners.registry import (
    CAPTIONERS,
    DEFAULT_CAPTIONER,
    DEFAULT_QUESTION_CAPTIONER,
    names_that_answer,
    row_of,
)
from captoolkit.captioners.request_options import checked_timeout, parse_parameters
from captoolkit.cli.basic_options import (
    BASE64,
    as_json,
    debug,
    overwrite,
    raw,
    report,
)
from captoolkit.cli.help_sections import (
    CAPTIONER,
    INPUTS,
    MESSAGES,
    OUTPUT,
    REQUESTS,
    SOUND,
    TARGET,
    group,
    option,
    section,
)
from captoolkit.cli.option_types import (
    FilePlace,
    FolderPlace,
    Place,
    WholeNumber,
    complete_from,
    complete_path,
    complete_target,
    parsed_by,
    refused_option,
)
from captoolkit.model import Dialect
from captoolkit.planning.gain import checked_normalize, parse_gain
from captoolkit.planning.options import (
    MAX_DURATION_S,
    CutMarks,
    EffortName,
    FormatName,
    QualityName,
    ViaName,
)
from captoolkit.services.catalogue import DEFAULT_TARGET
from captoolkit.services.regions import DEFAULT_REGION, REGIONS
from captoolkit.timeline import FORMATS
from captoolkit.units import parse_bit_rate, parse_duration

AUTO = "auto"


# -------------------------------------------------------------------------------- files in and out

output_folder = option(
    OUTPUT,
    "-o",
    "out",
    required=True,
    metavar="DIR",
    type=FolderPlace(path_type=Path),
    help="Write the files into this folder; it is created if necessary.",
)
skip_existing = option(
    OUTPUT,
    "--skip-existing",
    is_flag=True,
    help="Keep the files of an earlier run if the same options made them from the same FILE and "
    "they have not changed; other existing files are named and not replaced.",
)
name = option(
    OUTPUT,
    "--name",
    metavar="TEMPLATE",
    help="Names of the files in DIR, without ending, from the fields {stem}, {parent}, {path} and "
    "{index}.  [default: {path}.{index:03}]",
)
file_name = option(
    OUTPUT,
    "--name",
    metavar="TEMPLATE",
    help="Names of the timelines in the folder of -o, without ending, from the fields {stem}, "
    "{parent} and {path}.  [default: {path}]",
)
stdin_stem = option(
    OUTPUT,
    "--stem",
    "stdin_stem",
    metavar="NAME",
    help="Beginning of the names for a recording on standard input.  [default: stdin]",
)
cuts = section(
    TARGET,
    click.option(
        "--exact",
        is_flag=True,
        help="Cut at the exact sample instead of between frames; sound of a lossy codec becomes "
        "FLAC.",
    ),
    click.option(
        "--at",
        type=click.Choice(get_args(CutMarks)),
        help="Cut at the chapter marks of the recording; chapters that are too long are cut "
        "further.",
    ),
)
jobs = option(
    MESSAGES,
    "--jobs",
    type=WholeNumber(1),
    metavar="N",
    help="Number of recordings, and stretches of them, that are processed in parallel.  [default: "
    "one for each core]",
)
saving = group(
    jobs, name, stdin_stem, overwrite, skip_existing, report, as_json, debug
)  # the parameters of `save_each`
picture = option(
    OUTPUT,
    "--picture",
    metavar="SVG",
    type=FilePlace(),
    shell_complete=complete_path,
    help="Draw the loudness and the cuts of FILE as SVG, into this file or an existing folder; for "
    "several FILEs, into a folder. This decodes FILE once more.",
)
embed_audio = option(
    OUTPUT,
    "--embed-audio",
    is_flag=True,
    help="Embed the recording in the HTML page, up to 20 MB. Otherwise the page plays the file: "
    "at its path relative to the page, at its absolute path, or in the page's folder.",
)
spectrogram = option(
    OUTPUT,
    "--spectrogram",
    is_flag=True,
    help="Show a spectrogram in the HTML page: one more decode of the recording, and up to 180 kB.",
)
shareable = option(
    OUTPUT,
    "--shareable",
    is_flag=True,
    help="Make an HTML page to publish: without the folder of the recording, the address of the "
    "service, the prompt, the numbers of the requests and the messages of errors. It plays the "
    "recording in its own folder.",
)
spread = option(
    OUTPUT,
    "--spread",
    is_flag=True,
    help="Write each sentence as a cue of its own, with a share of the segment's time in "
    "proportion to its length. These times are estimates; formats with comments say so.",
)
format_options = section(
    OUTPUT,
    spread,
    click.option(
        "--frame-rate",
        metavar="FPS",
        help="Frames per second of the editor's timeline, for edl and fcpxml.  [default: 25]",
    ),
    click.option(
        "--drop-frame",
        is_flag=True,
        help="Count drop-frame timecode, for edl and fcpxml at 29.97 and 59.94 frames a second.",
    ),
    click.option(
        "--csv-bom/--no-csv-bom",
        default=True,
        help="Begin a CSV file with a byte order mark, which Excel needs.  [default: with it]",
    ),
)
timeline_output = section(
    OUTPUT,
    click.option(
        "-f",
        "formats",
        metavar="FORMAT,...",
        shell_complete=complete_from(FORMATS),
        help=f"Formats to write, separated by commas: {', '.join(FORMATS)}.  [default: by the "
        "extension of -o, else json]",
    ),
    click.option(
        "-o",
        "out",
        metavar="PATH",
        type=Place(),
        help="For one input and one format: a file, a folder (an existing one, or a new name "
        "without an ending), or - for standard output. For several: a folder that receives "
        "STEM.json, STEM.srt, ...  [default: the current folder]",
    ),
    format_options,
)

# --------------------------------------------------------------------------- how files are prepared


def _target_of_model(default: str) -> Callable[[Any], Any]:
    return option(
        TARGET,
        "--target",
        metavar="NAME",
        shell_complete=complete_target,
        help="The service or model whose limits the segments keep; `captoolkit targets` lists "
        f"them.  [default: {default}]",
    )


target_of_model = _target_of_model("the target of the model")
via_or_auto = option(
    TARGET,
    "--via",
    type=click.Choice(get_args(ViaName)),
    default=BASE64,
    show_default=True,
    help="How the files are sent; each way has its own size limit. auto is base64, unless another "
    "way needs fewer requests or changes the sound less.",
)
lengths = section(
    TARGET,
    click.option(
        "--segment",
        callback=parsed_by(parse_duration),
        metavar="LENGTH",
        help="Make segments of about this length, such as 30s. Cuts are in pauses, so segments "
        "last from half of it to one and a half; the plan shows the range.",
    ),
    click.option(
        "--max-segment",
        callback=parsed_by(parse_duration),
        metavar="LENGTH",
        help="Make no segment longer than this, such as 10m, and as few as pauses allow.",
    ),
    click.option("--parts", type=WholeNumber(1), metavar="N", help="Make this number of segments."),
)
track = option(
    INPUTS,
    "--track",
    metavar="N|LANG",
    help="Sound track: its number from 1, or its language, such as zho.  [default: the default "
    "track]",
)
max_duration = option(
    INPUTS,
    "--max-duration",
    callback=parsed_by(parse_duration),
    default=f"{MAX_DURATION_S // 3600}h",
    show_default=True,
    metavar="LENGTH",
    help="Refuse a recording that is longer.",
)
shape = section(
    SOUND,
    click.option(
        "--format",
        type=click.Choice(get_args(FormatName)),
        default=AUTO,
        show_default=True,
        help="Output format; auto takes the one with the least loss that fits, gsm is a WAV.",
    ),
    click.option(
        "--quality",
        type=click.Choice(get_args(QualityName)),
        default=AUTO,
        show_default=True,
        help="A preset that the services recommend: voice is MP3 at 64k, podcast 128k, music 192k "
        "(stereo if the source has two channels); auto takes the best that fits.",
    ),
    click.option(
        "--effort",
        type=click.Choice(get_args(EffortName)),
        default="fast",
        show_default=True,
        help="best takes the MP3 encoder's slower setting at the bit rates where that sounds "
        "better.",
    ),
    click.option(
        "--bitrate",
        "bit_rate",
        callback=parsed_by(parse_bit_rate),
        metavar="RATE",
        help="Output bit rate, such as 64k. The format is MP3 unless --format sets another; the "
        "sample rate is the one that measured best for it.",
    ),
    click.option(
        "--sample-rate",
        "sample_rate_hz",
        type=WholeNumber(1),
        metavar="HZ",
        help="Output sample rate.",
    ),
    click.option(
        "--channels",
        type=WholeNumber(1, 2),
        metavar="N",
        help="Output channels; 2 needs a source with two.",
    ),
    click.option(
        "--gain",
        default=AUTO,
        show_default=True,
        callback=parsed_by(parse_gain),
        metavar="auto|none|DB",
        help="Gain of the whole recording: auto turns floating-point sound above full scale down "
        "until its peak fits, none clips it, and a number of dB, such as -6 or 12, is applied to "
        "any.",
    ),
    click.option(
        "--normalize",
        callback=parsed_by(checked_normalize),
        metavar="LUFS[,DBTP]",
        help="Bring the recording to this loudness by one gain for its whole length, such as -23; "
        "the true peak stays below DBTP, -1 if it is not given. This decodes it once more.",
    ),
    option(
        TARGET,
        "--skip-silence",
        callback=parsed_by(parse_duration),
        metavar="[=LENGTH]",
        help="Leave out silences of at least this length, as in --skip-silence=5s; the default "
        "length is 10s. Quiet sound is not silence. Times stay those of the recording. One with "
        "such a silence between sounds cannot be cut into --parts.",
    ),
    lengths,
    track,
    max_duration,
    raw,
)

# ---------------------------------------------------------------------- captioners, models, costs


def _captioner_help(names: Iterable[str]) -> str:
    return f"{'; '.join(f'{name}: {CAPTIONERS[name].help}' for name in names)}."


def _question_models() -> str:
    """Return the default model of each captioner that answers questions, for a help text."""
    models = {name: row_of(name).question_model for name in names_that_answer()}
    first = models.pop(DEFAULT_QUESTION_CAPTIONER)
    return ", ".join([f"{first}", *(f"for {name} {model}" for name, model in models.items())])


def _model(default: str | None) -> Callable[[Any], Any]:
    return click.option(
        "--model", metavar="NAME", help=f"The service's model.  [default: {default}]"
    )


_BASE_URLS = ", ".join(
    f"{row.interface.base_urls} for {row.name}" for row in CAPTIONERS.values() if row.interface
)
_server = section(
    CAPTIONER,
    click.option(
        "--region",
        metavar="NAME",
        shell_complete=complete_from(REGIONS),
        help=f"Region of Model Studio: {', '.join(REGIONS)}.  [default: {DEFAULT_REGION}; for "
        "Qwen-Audio beijing]",
    ),
    click.option(
        "--base-url",
        metavar="URL",
        help=f"Another server, with the ending that the SDKs use: {_BASE_URLS}.",
    ),
)
_system = click.option(
    "--system",
    metavar="TEXT",
    help="System message, for a model that takes one.",
)


def _flag(name: str, text: str) -> Callable[[Any], Any]:
    """Return an option that is True if it is given, else None as the library's options are."""
    return click.option(name, is_flag=True, callback=lambda _, __, value: value or None, help=text)


_sampling = section(
    CAPTIONER,
    click.option(
        "--max-tokens",
        type=WholeNumber(1),
        metavar="N",
        help="Longest answer, in tokens; a lower number lowers the worst case that --max-cost "
        "reserves.",
    ),
    click.option("--temperature", type=float, metavar="T", help="Sampling temperature."),
    click.option("--top-p", type=float, metavar="P", help="Nucleus sampling, up to 1."),
    click.option("--seed", type=int, metavar="N", help="Seed of the sampling."),
    click.option(
        "--param",
        "parameters",
        multiple=True,
        metavar="NAME=JSON",
        callback=parsed_by(parse_parameters),
        help="A further member of the request, such as --param top_k=20; null leaves out one that "
        "the target states. May be repeated.",
    ),
)
_sending = section(
    CAPTIONER,
    click.option(
        "--dialect",
        type=click.Choice(tuple(map(str, Dialect))),
        help="How a chat completion carries sound.  [default: the target's]",
    ),
    click.option(
        "--timeout",
        metavar="LENGTH[,TOTAL]",
        callback=parsed_by(checked_timeout),
        help="Longest time of a request, such as 1h; two lengths are the longest silence and the "
        "longest time in total.  [default: the target's, else 5m,15m]",
    ),
    _flag(
        "--insecure-http",
        "Allow plain http to a private address, such as http://192.168.0.2:8000/v1. No key goes "
        "there without --send-key.",
    ),
    _flag(
        "--send-key",
        "Send the key of the target's variable to the server of --base-url, even if it is not one "
        "of the target's own hosts.",
    ),
    click.option(
        "--workspace", metavar="ID", help="Model Studio workspace that the requests count for."
    ),
)
captioner = section(
    CAPTIONER,
    click.option(
        "--captioner",
        metavar="NAME",
        default=DEFAULT_CAPTIONER,
        show_default=True,
        shell_complete=complete_from(CAPTIONERS),
        help=f"The captioner. {_captioner_help(CAPTIONERS)}",
    ),
    _model("the target's, else Qwen3-Omni-Captioner"),
    _server,
    click.option(
        "--prompt",
        metavar="TEXT",
        help="Question about each segment, for a model that takes a prompt.  [default: the "
        "target's]",
    ),
    _system,
    _sampling,
    _sending,
)
planned_captioner = group(
    section(
        CAPTIONER,
        click.option(
            "--captioner",
            type=click.Choice(tuple(CAPTIONERS)),
            help="Plan for this captioner, with the limits and prices of its model. No key is "
            "needed.",
        ),
        _model("the captioner's"),
    ),
    _target_of_model(f"the target of the model, else {DEFAULT_TARGET}"),
)
question_captioner = section(
    CAPTIONER,
    click.option(
        "--captioner",
        type=click.Choice(names_that_answer()),
        help=f"The captioner. {_captioner_help(names_that_answer())}  [default: the target's, else "
        f"{DEFAULT_QUESTION_CAPTIONER}]",
    ),
    _model(f"the target's, else {_question_models()}"),
    _server,
    _system,
    _sampling,
    _sending,
)
ledger = option(
    REQUESTS,
    "--ledger",
    metavar="PATH",
    type=FilePlace(),
    shell_complete=complete_path,
    help="File of the stored answers.  [default: CAPTOOLKIT_LEDGER, else a file in the user's "
    "cache folder]",
)
budget = section(
    REQUESTS,
    click.option(
        "--concurrency",
        type=WholeNumber(1),
        default=4,
        show_default=True,
        metavar="N",
        help="Number of simultaneous requests.",
    ),
    click.option(
        "--max-cost",
        metavar="AMOUNT",
        help="Spend at most this amount, such as 0.50, on all recordings together, in the currency "
        "of the region's prices. The timeline marks the segments beyond it.",
    ),
    click.option(
        "--give-up-after",
        type=WholeNumber(0),
        default=8,
        show_default=True,
        metavar="N",
        help="End the run when N segments in a row fail with one kind of error and nothing is "
        "answered between them; 0 never gives up. An error that every request would meet (an "
        "invalid key, no credit) ends it at once.",
    ),
    click.option(
        "--yes",
        "confirmed",
        is_flag=True,
        help="Skip the cost confirmation. It has no short form.",
    ),
    ledger,
)
question_requests = section(
    REQUESTS,
    click.option(
        "--max-cost",
        metavar="AMOUNT",
        help="Spend at most this amount, such as 0.50, on all questions together, in the currency "
        "of the region's prices.",
    ),
    ledger,
    click.option(
        "--no-resume",
        "fresh",
        is_flag=True,
        help="Ask every question again, even one with an answer in the ledger.",
    ),
)
no_resume = option(
    REQUESTS,
    "--no-resume",
    "fresh",
    is_flag=True,
    help="Request every segment again, even those with an answer in the ledger.",
)
requests = section(
    REQUESTS,
    budget,
    no_resume,
    click.option("--stream", is_flag=True, help="Show captions on standard error as they arrive."),
)


def no_dry_run(command: str, words: str = "") -> Callable[[Any], Any]:
    """Return the refusal of `--dry-run`, which `split` and `batch` have."""
    return refused_option(
        command,
        "--dry-run",
        "`captoolkit plan` shows the steps and writes nothing",
        f"take `captoolkit plan{words}`, with the options about target, cuts and sound",
        is_flag=True,
    )
