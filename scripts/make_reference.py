"""Write the parts of README.md that the code knows: the command line's help, the limits table.

    python scripts/make_reference.py           # write them anew
    python scripts/make_reference.py --check   # write nothing; 1 if README.md is stale

Each stands between two comments, `<!-- NAME: written by ... -->` and `<!-- end of NAME -->`, and
nothing else of README.md is touched.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from fractions import Fraction
from importlib import resources
from pathlib import Path

import click

from captoolkit.cli.app import COMMANDS, app
from captoolkit.model import Target, Via
from captoolkit.services import rows as targets
from captoolkit.units import format_size

README = Path(__file__).resolve().parents[1] / "README.md"
WIDTH = 96


def main() -> int:
    """Write README.md anew, or with --check say whether it is as it would be written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if it is stale")
    check = parser.parse_args().check
    before = README.read_text(encoding="utf-8")
    after = renewed(before)
    if before == after:
        return 0
    if check:
        print("README.md is stale: run scripts/make_reference.py", file=sys.stderr)
        return 1
    README.write_text(after, encoding="utf-8")
    return 0


def renewed(text: str) -> str:
    """Return README.md's text with what is written by this script as it is now."""
    for name, lines in (("limits", limits()), ("commands", commands())):
        begin = re.search(rf"<!-- {name}: .*-->\n", text)
        end = re.search(rf"<!-- end of {name} -->", text)
        if begin is None or end is None:
            raise SystemExit(f"error: README.md has no place for the {name}")
        body = "\n".join(lines)
        text = f"{text[: begin.end()]}\n{body}\n\n{text[end.start() :]}"
    return text


# ------------------------------------------------------------------------- the command line


def commands() -> Iterator[str]:
    """The help of every command, folded away behind its one line."""
    for name in sorted(COMMANDS):
        command = app.get_command(click.Context(app), name)
        assert command is not None
        yield f"<details><summary><code>captoolkit {name}</code>: {COMMANDS[name]}</summary>"
        yield ""
        yield "```text"
        yield help_of(name, command)
        yield "```"
        yield ""
        yield "</details>"


def help_of(name: str, command: click.Command) -> str:
    """What `captoolkit NAME --help` prints on a terminal that is wide enough."""
    settings = app.context_settings
    parent = click.Context(app, info_name="captoolkit", **settings)
    context = click.Context(command, info_name=name, parent=parent, terminal_width=WIDTH)
    lines = command.get_help(context).splitlines()
    return "\n".join(line.rstrip() for line in lines)


# ----------------------------------------------------------------------------- the limits


def limits() -> Iterator[str]:
    """The table of the services that come along, from `targets.toml`."""
    rows = resources.files("captoolkit.planning").joinpath("targets.toml")
    yield "| target | longest clip | file as Base64 text | uploaded | by URL | tokens a second |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for target in targets.parse(rows.read_text(encoding="utf-8"), origin="targets.toml").values():
        sizes = (size(target, via) for via in (Via.BASE64, Via.UPLOAD, Via.URL))
        tokens = float(target.limit("tokens_per_s") or 0)
        yield f"| `{target.name}` | {longest(target)} | {' | '.join(sizes)} | {tokens:g} |"


def longest(target: Target) -> str:
    """How long one clip may be, and what becomes of a longer one if it is not refused."""
    seconds = target.limit("max_duration_s")
    if seconds is None:
        return "any"
    cut_off = ", the rest is cut off" if target.on_exceed == "truncate" else ""
    return length(seconds) + cut_off


def length(seconds: Fraction) -> str:
    """Whole minutes as minutes."""
    return f"{seconds / 60} min" if seconds % 60 == 0 else f"{float(seconds):g} s"


def size(target: Target, via: Via) -> str:
    """How large a file may be that travels this way."""
    most = targets.max_bytes(target, via)
    return "any" if most is None else format_size(most)


if __name__ == "__main__":
    sys.exit(main())
