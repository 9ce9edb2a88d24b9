"""How options read their values, and how the shell completes them. This loads only click."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from captoolkit.cli.show import name_options
from captoolkit.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class WholeNumber(click.IntRange):
    """A bounded integer, with a name that a user understands in click's messages."""

    name = "whole number"


def parsed_by(parse: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return an option callback that parses the value; a refusal is wrong usage."""

    def callback(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        try:
            return None if value is None else parse(value)
        except UsageError as error:
            raise click.BadParameter(name_options(str(error)), ctx, param) from error

    return callback


class Place(click.Path):
    """A path that is not empty: a shell makes an empty one of a variable that is not set."""

    fix = "name a place, or . for the current folder"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, or refuse it."""
        if str(value) == "":
            self.fail(f"it is empty; {self.fix}", param, ctx)
        return super().convert(value, param, ctx)


class StreamPlace(Place):
    """The path of a file; `-` is standard input or output."""

    fix = "name a file"


class FilePlace(StreamPlace):
    """The path of a file; `-` is refused."""

    use = "this is a file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, or refuse it."""
        if str(value) == "-":
            problem = f"- is standard output, and {self.use}"
            self.fail(f"{problem}; {self.fix} (one called - is ./-)", param, ctx)
        return super().convert(value, param, ctx)


class FolderPlace(FilePlace):
    """A folder for results; `-` is refused, because results are several files."""

    use = "the results are files in a folder"
    fix = "name a folder"


OUTPUT_OPTIONS = {"out": "-o", "report": "--report", "picture": "--picture", "ledger": "--ledger"}


def refuse_output_over_listing(files_from: str | None, options: Mapping[str, Any]) -> None:
    """Refuse an output at the place of the list of inputs.

    Raises:
        UsageError: there is one.
    """
    from captoolkit.support.files import refuse_shared

    if files_from in (None, "-"):
        return
    for name, option_name in OUTPUT_OPTIONS.items():
        refuse_shared([("--files-from", files_from), (option_name, options.get(name))])


def refused_option(
    command: str, name: str, problem: str, fix: str, *, is_flag: bool = False
) -> Callable[..., Any]:
    """Return a hidden option that similar commands have; `command` refuses it with the reason."""

    def refuse(_: click.Context, __: click.Parameter, value: Any) -> None:
        if value not in (None, False):
            raise UsageError(f"{command} has no {name}: {problem}", fix=fix)

    return click.option(
        name,
        is_flag=is_flag,
        hidden=True,
        expose_value=False,
        callback=refuse,
        help=f"Refused: {problem}.",
    )


def complete_path(
    context: click.Context, parameter: click.Parameter, beginning: str
) -> list[CompletionItem]:
    """Let the shell complete the name of a file or folder."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(beginning, type="file")]


def complete_target(
    context: click.Context, parameter: click.Parameter, beginning: str
) -> list[str]:
    """Return the targets whose name begins so, the user's own too."""
    from captoolkit.services import catalogue

    return [name for name in catalogue.targets() if name.startswith(beginning)]


def complete_from(names: Iterable[str]) -> Callable[..., list[str]]:
    """Return a completion of these names; the last one of a list with commas is completed."""

    def complete(context: click.Context, parameter: click.Parameter, beginning: str) -> list[str]:
        head, comma, last = beginning.rpartition(",")
        return [head + comma + name for name in names if name.startswith(last)]

    return complete
