"""Write the parts of the documentation that the code knows: options, limits, prices, formats.

    python scripts/make_reference.py           # write them
    python scripts/make_reference.py --check   # write nothing; exit with 1 if a page is stale

Each part is between two comments, `<!-- NAME: written by ... -->` and `<!-- end of NAME -->`. The
script changes nothing else.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from importlib import resources
from pathlib import Path

import click

from captoolkit.bitstream.containers import CONTAINERS, Container, container_of_frames
from captoolkit.bitstream.encodings import ENCODINGS, EncodingSpec
from captoolkit.bitstream.riff import PCM_CODECS
from captoolkit.captioners import acoustic
from captoolkit.cli.app import COMMANDS, app
from captoolkit.emulator.fault_injection import MEANINGS
from captoolkit.model import Action, Price, Target, Via
from captoolkit.services import rows
from captoolkit.services.keys import key_variable
from captoolkit.services.limits import max_bytes
from captoolkit.timeline import FORMATS
from captoolkit.units import format_size

DOCS = Path(__file__).resolve().parents[1] / "docs"
HELP_COLUMNS = 84  # the widest line that a page shows without a scroll bar


def main() -> int:
    """Write the pages, or with --check compare them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a page is stale")
    check = parser.parse_args().check
    stale = False
    for name in sorted({name for name, _ in PARTS}):
        page = DOCS / name
        before = page.read_text(encoding="utf-8")
        after = updated(name, before)
        if before != after and check:
            print(f"docs/{name} is stale: run scripts/make_reference.py", file=sys.stderr)
        elif before != after:
            page.write_text(after, encoding="utf-8")
        stale = stale or before != after
    return 1 if check and stale else 0


def updated(name: str, text: str) -> str:
    """Return the text of a page with its generated parts as the code has them now."""
    for (page, part), lines in PARTS.items():
        if page == name:
            begin = re.search(rf"<!-- {part}: .*-->\n", text)
            end = re.search(rf"<!-- end of {part} -->", text)
            if begin is None or end is None:
                raise SystemExit(f"error: docs/{name} has no place for the {part}")
            body = "\n".join(lines())
            text = f"{text[: begin.end()]}\n{body}\n\n{text[end.start() :]}"
    return text


def table(*head: str, body: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' for _ in head)} |"
    for cells in body:
        yield f"| {' | '.join(cells)} |"


# ------------------------------------------------------------------------- the command line


def commands() -> Iterator[str]:
    """Yield one section per command with its help."""
    for name in sorted(COMMANDS):
        command = app.get_command(click.Context(app), name)
        assert command is not None
        yield f"## captoolkit {name}"
        yield ""
        yield COMMANDS[name]
        yield ""
        yield "```text"
        yield help_of(name, command)
        yield "```"
        yield ""
        if isinstance(command, click.Group):
            yield from subcommands(name, command)


def subcommands(name: str, group: click.Group) -> Iterator[str]:
    """Yield one section per command of a group with its help."""
    for own, command in sorted(group.commands.items()):
        yield f"### captoolkit {name} {own}"
        yield ""
        yield "```text"
        yield help_of(f"{name} {own}", command)
        yield "```"
        yield ""


def help_of(name: str, command: click.Command) -> str:
    """Return the output of `captoolkit NAME --help`."""
    parent = click.Context(app, info_name="captoolkit", **app.context_settings)
    context = click.Context(command, info_name=name, parent=parent, terminal_width=HELP_COLUMNS)
    return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


# ----------------------------------------------------------------------------- the targets


def targets() -> Iterator[Target]:
    """Yield the targets of the package, without those of the user."""
    text = resources.files("captoolkit.services").joinpath("targets.toml").read_text("utf-8")
    yield from rows.parse(text, origin="targets.toml").values()


def limits() -> Iterator[str]:
    """Yield the table of limits."""
    head = ("target", "longest clip", "file as Base64 text", "uploaded", "by URL")
    yield from table(*head, "tokens a second", body=map(limits_of, targets()))


def limits_of(target: Target) -> list[str]:
    """Return the limits of one target as cells."""
    sizes = [size(target, via) for via in (Via.BASE64, Via.UPLOAD, Via.URL)]
    return [f"`{target.name}`", longest(target), *sizes, number(target.limit("tokens_per_s"))]


def longest(target: Target) -> str:
    """Return the longest clip, and the fate of a longer one if the service does not refuse it."""
    seconds = target.limit("max_duration_s")
    if seconds is None:
        return "any"
    truncated = ", the rest is cut off" if target.on_exceed == "truncate" else ""
    length = f"{seconds / 60} min" if seconds % 60 == 0 else f"{number(seconds)} s"
    return length + truncated


def number(value: Fraction | None) -> str:
    """Return a number without needless decimals, or `unknown`."""
    return f"{float(value):g}" if value is not None else "unknown"


def size(target: Target, via: Via) -> str:
    """Return the largest file that may travel this way."""
    most = max_bytes(target, via)
    return "any" if most is None else format_size(most)


def prices() -> Iterator[str]:
    """Yield the table of prices."""
    cells = (
        (
            f"`{target.name}`",
            price.region,
            price.currency,
            of_input(price),
            f"{price.output_per_million}",
        )
        for target in targets()
        for price in target.prices
    )
    yield from table("target", "region", "currency", "input", "output", body=cells)


def of_input(price: Price) -> str:
    """Return the price of the input, with that of sound and the last day if there are such."""
    of_sound = price.audio_input_per_million
    text = (
        f"{price.input_per_million}"
        if of_sound is None
        else (f"{price.input_per_million} text, {of_sound} sound")
    )
    return text if price.until is None else f"{text}, until {price.until}"


def asking() -> Iterator[str]:
    """Yield the table of how each target is asked."""
    head = ("target", "dialect", "server", "variable of the key", "always sent")
    yield from table(*head, body=map(asking_of, targets()))


def asking_of(target: Target) -> list[str]:
    """Return how one target is asked as cells."""
    if target.dialect is None:
        return [f"`{target.name}`", "", "this machine", "", ""]
    hosts = ", ".join(f"`{host}`" for host in (target.base_url, *target.hosts) if host)
    server = "Model Studio" if target.hosted_by else hosts or "your own (`--base-url`)"
    sent = [f"`{name}={json.dumps(value)}`" for name, value in target.body.items()]
    sent += ["a request for a stream"] if target.must_stream else []
    sent += ["a captioning prompt"] if target.default_prompt else []
    header = f", in the header `{target.key_header}`" if target.key_header else ""
    key = f"`{key_variable(target)}`{header}"
    return [f"`{target.name}`", f"`{target.dialect}`", server, key, ", ".join(sent)]


# ------------------------------------------------------------------------- containers


def inputs() -> Iterator[str]:
    """Yield the table of containers, with the action that `prepare` takes for each codec."""
    target = next(targets())
    head = ("container", "files", "passes through", "frames moved", "encoded")
    yield from table(
        *head, body=(input_cells(row, target) for row in CONTAINERS.values() if row.codecs)
    )


def input_cells(row: Container, target: Target) -> list[str]:
    """Return the codecs of a container by the action that makes them fit the target."""
    codecs: dict[Action, list[str]] = {Action.PASS_THROUGH: [], Action.REMUX: [], Action.ENCODE: []}
    for codec in row.codecs:
        codecs[action_of(row, codec, target)].append(f"`{codec}`")
    files = ", ".join(f".{suffix}" for suffix in row.suffixes)
    return [row.title, files, *(", ".join(names) for names in codecs.values())]


def action_of(row: Container, codec: str, target: Target) -> Action:
    """Return the action for a file that is short enough and has nothing else in it."""
    if codec in target.accepts.get(row.name, ()):
        return Action.PASS_THROUGH
    frames = container_of_frames(codec)
    moves = frames is not None and codec in target.accepts.get(frames.name, ())
    if row.holds_samples and codec in PCM_CODECS.values():  # behind the header of a WAV
        moves = codec in target.accepts.get("wav", ())
    return Action.REMUX if moves else Action.ENCODE


def outputs() -> Iterator[str]:
    """Yield the table of encodings that `--format` names."""
    cells = (
        [f"`{row.name}`", row.container, f"`{row.codec}`", sample_rates(row), bit_rates(row)]
        for row in ENCODINGS.values()
    )
    head = ("`--format`", "container", "codec", "sample rates (Hz)", "bit rates (kbit/s)")
    yield from table(*head, body=cells)


def sample_rates(row: EncodingSpec) -> str:
    """Return the sample rates of an encoding."""
    return ", ".join(map(str, row.sample_rates_hz)) or "any"


def bit_rates(row: EncodingSpec) -> str:
    """Return the bit rates of an encoding."""
    if row.sample_bits:
        return f"{row.sample_bits} bits a sample"
    if row.max_frame_bits:
        return "any"
    return ", ".join(f"{rate / 1000:g}" for rate in row.all_bit_rates)


def captioned() -> Iterator[str]:
    """Yield the table of the containers that `embed` writes."""
    cells = (
        [row.title, ", ".join(f".{one}" for one in captions.suffixes), captions.subtitles or "none"]
        for row in CONTAINERS.values()
        if (captions := row.captions) is not None
    )
    yield from table("container", "output", "subtitle track", body=cells)


# ------------------------------------------------------------------------- timelines and faults


def timeline_formats() -> Iterator[str]:
    """Yield the table of the formats of a timeline."""
    cells = ([f"`{one.name}`", f"`.{one.extension}`", one.title] for one in FORMATS.values())
    yield from table("`-f`", "file", "content", body=cells)


def faults() -> Iterator[str]:
    """Yield the table of the emulator's faults."""
    cells = ([f"`{kind.value}`", meaning] for kind, meaning in MEANINGS.items())
    yield from table("KIND", "effect", body=cells)


def acoustic_words() -> Iterator[str]:
    """Yield the table of the local captioner's words."""
    yield from acoustic.table().splitlines()


PARTS: dict[tuple[str, str], Callable[[], Iterator[str]]] = {
    ("guides/embed.md", "containers"): captioned,
    ("guides/local-captioner.md", "words"): acoustic_words,
    ("guides/rehearse.md", "faults"): faults,
    ("guides/timeline-formats.md", "timeline formats"): timeline_formats,
    ("reference/cli.md", "commands"): commands,
    ("reference/formats.md", "inputs"): inputs,
    ("reference/formats.md", "outputs"): outputs,
    ("reference/targets.md", "asking"): asking,
    ("reference/targets.md", "limits"): limits,
    ("reference/targets.md", "prices"): prices,
}


if __name__ == "__main__":
    sys.exit(main())
