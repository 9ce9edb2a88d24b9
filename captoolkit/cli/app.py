"""The group of commands, their exit statuses, and how a run ends.

How to add a command, in three steps:

1. Write `captoolkit/cli/NAME_command.py`. It defines `command`, decorated with
   `@click.command("NAME", short_help=COMMANDS["NAME"])`. Shared options are in `basic_options.py`
   and `shared_options.py`, functions that print are in `show.py`. The function makes one library
   call and returns the exit status; `run_inputs` turns the errors of inputs into error lines.
2. Add a row to `COMMANDS` below: the name and the short help, one verb phrase.
3. Write `tests/cli/test_NAME_command.py`, and run `scripts/make_reference.py`, which adds the
   command to the documentation.

Rules: `--help` imports only click, and a command's module is imported when the command runs. A
fault of an input or a service is one line on standard error and never a traceback; `--debug` shows
the traceback.
"""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from captoolkit import __version__
from captoolkit.cli.show import configure, display_source, learn_options, print_error
from captoolkit.errors import CaptoolkitError, UsageError

if TYPE_CHECKING:
    from captoolkit.jobs.listing.inputs import Input

FAILED, USAGE, INTERRUPTED = 1, 2, 130
INTERRUPTING = ("SIGINT", "SIGTERM", "SIGHUP")
SKIP_SILENCE = "--skip-silence"
DEFAULT_SILENCE = f"{SKIP_SILENCE}=10s"

COMMANDS = {
    "ask": "Ask a model questions about a file, in one conversation.",
    "batch": "Do many recordings, on one machine or many.",
    "caption": "Caption files and write their timelines.",
    "doctor": "Check ffmpeg, the key, folders and versions.",
    "emulate": "Emulate the services on this machine, free of charge.",
    "embed": "Embed a timeline in its media file, as subtitles and chapters.",
    "export": "Write a timeline in other formats.",
    "ledger": "List, export, back up or prune the stored answers of services.",
    "plan": "Show how each file would be prepared, and why; write nothing.",
    "prepare": "Make files that fit the target, with a manifest.",
    "probe": "Show the properties of files, and the limits that they exceed.",
    "split": "Split files in their own codec, with cuts in quiet places.",
    "targets": "List the known services and their limits.",
    "view": "Show a timeline as a page in the browser.",
}


class CommandGroup(click.Group):
    """A group that suggests a command for a misspelled one, and explains a file in its place."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command; refuse any other word."""
        word = args[0]
        if word not in self.list_commands(ctx) and not word.startswith("-"):
            ctx.fail(self._describe_unknown(word, ctx))
        return super().resolve_command(ctx, args)

    def _describe_unknown(self, word: str, ctx: click.Context) -> str:
        import difflib

        if os.path.lexists(word):
            return (
                f"{word!r} is a file, not a command. Write the command first, such as: "
                f"{ctx.command_path} probe {word}"
            )
        near = difflib.get_close_matches(word, self.list_commands(ctx), n=2)
        names = " or ".join(repr(name) for name in near)
        return f"No such command {word!r}." + (f" Did you mean {names}?" if near else "")


class LazyGroup(CommandGroup):
    """A group that imports the module of a command when the command is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"captoolkit.cli.{cmd_name}_command").command
        learn_options(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(
    __version__, "--version", prog_name="captoolkit", message="%(prog)s %(version)s"
)
def app() -> None:
    """Prepare audio for captioning services, and join their captions to one timeline.

    Data goes to standard output, progress and messages to standard error. Exit status: 0 done,
    1 at least one input failed, 2 wrong usage, 130 interrupted.
    """


# -------------------------------------------------------------------------- one run of the program


def run(argv: Sequence[str], *, is_program: bool = False) -> int:
    """Run the group and return the exit status.

    Args:
        argv: the arguments.
        is_program: the process ends with the command, so that no signal needs to be obeyed after
            an interrupt.
    """
    _replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):  # a console without some character shows the others
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    configure()
    with _signals_as_interrupts():
        try:
            arguments = expand_skip_silence(argv)
            status = app.main(arguments, prog_name="captoolkit", standalone_mode=False)
            sys.stdout.flush()
        except click.exceptions.Exit as stop:
            return stop.exit_code
        except (click.Abort, KeyboardInterrupt):
            return _interrupted(is_program=is_program)
        except click.ClickException as error:
            _with_dash_explained(error, argv).show()
            return error.exit_code
        except UsageError as error:
            print_error(str(error))
            return USAGE
        except CaptoolkitError as error:
            print_error(str(error))
            return FAILED
        except OSError as error:
            return _system_failed(error)
        except RuntimeError as error:  # after CaptoolkitError: KeyMissingError is both
            # A second signal, while the first one ends a wait, breaks the lock of `threading`.
            if not isinstance(error.__context__, KeyboardInterrupt):
                raise
            return _interrupted(is_program=is_program)
    return int(status or 0)


def _replace_closed_streams() -> None:
    """Open the standard streams that the parent process closed, as `captoolkit ... <&-` does.

    To read or to write them is then an error of the system, and no file gets their numbers.
    """
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_WRONLY), encoding="utf-8")
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")


def expand_skip_silence(argv: Sequence[str]) -> list[str]:
    """Return arguments in which a bare `--skip-silence` has its default length.

    click would take the next argument as the length, even if it is a file's name.

    Raises:
        UsageError: the next argument is a length and not a file.
    """
    options = list(itertools.takewhile(lambda word: word != "--", argv))
    for word, following in itertools.pairwise(options):
        if word == SKIP_SILENCE and _is_length(following) and not os.path.lexists(following):
            raise UsageError(
                f"{following}: no such file", fix=f"for a length write {SKIP_SILENCE}={following}"
            )
    expanded = [DEFAULT_SILENCE if word == SKIP_SILENCE else word for word in options]
    return [*expanded, *argv[len(options) :]]


def _is_length(word: str) -> bool:
    from captoolkit.units import parse_duration

    try:
        parse_duration(word)
    except UsageError:
        return False
    return True


def _with_dash_explained(error: click.ClickException, argv: Sequence[str]) -> click.ClickException:
    """Return the error; if a file begins with a dash, with a sentence on how to name the file."""
    if isinstance(error, click.NoSuchOption):
        for word in argv:
            if word.startswith("-") and os.path.lexists(word):
                problem = f"{error.format_message()} To name the file, write ./{word}"
                return click.UsageError(problem, ctx=error.ctx)
    return error


def _system_failed(error: OSError) -> int:
    """Report a file that cannot be used, or that standard output cannot be written.

    A reader that closed standard output needs no report.
    """
    if error.filename is not None:
        print_error(f"{error.strerror}", name=os.fsdecode(error.filename))
        return FAILED
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(error, BrokenPipeError):
        print_error(f"standard output cannot be written ({error.strerror})")
    return FAILED


def _interrupted(*, is_program: bool) -> int:
    """Report the interrupt and exit, without waiting for pending requests or for more signals."""
    names = [name for name in INTERRUPTING if hasattr(signal, name)]
    with _signals_handled(names, signal.SIG_IGN):
        print_error("interrupted; unfinished files are removed")
        if is_program or threading.active_count() > 1:
            with contextlib.suppress(OSError):  # its reader may have ended as well
                sys.stdout.flush()
            # Also ends the programs that threads have just begun.
            if "captoolkit.media.ffmpeg_process" in sys.modules:
                sys.modules["captoolkit.media.ffmpeg_process"].end_all()
            if "captoolkit.support.staging_folders" in sys.modules:
                sys.modules["captoolkit.support.staging_folders"].remove_all()
            os._exit(INTERRUPTED)
    return INTERRUPTED


def _signals_as_interrupts() -> contextlib.AbstractContextManager[None]:
    """Treat SIGTERM and SIGHUP as Ctrl-C, so that unfinished files are removed.

    A signal that the parent process ignores stays ignored, as Unix programs do: `nohup` ignores
    SIGHUP, a shell without job control ignores SIGINT for its background jobs.
    """
    names = [name for name in INTERRUPTING if _has_default_action(name)]
    return _signals_handled(names, _raise_interrupt)


@contextlib.contextmanager
def _signals_handled(names: Iterable[str], handler: Any) -> Iterator[None]:
    """Handle signals in another way for a while; Python allows that in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {name: signal.signal(getattr(signal, name), handler) for name in names}
    try:
        yield
    finally:
        for name, own in before.items():
            signal.signal(getattr(signal, name), own)


def _has_default_action(name: str) -> bool:
    """Whether a signal exists on this platform and is neither ignored nor handled."""
    number = getattr(signal, name, None)
    return number is not None and signal.getsignal(number) is signal.SIG_DFL


def _raise_interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


# ----------------------------------------------------------------------------------- many inputs


def run_each(names: Iterable[str], work: Callable[[str], None], *, debug: bool) -> int:
    """Call `work` for each input; a failure is one error line, and the others still run.

    Returns:
        The exit status: USAGE only if every input failed by wrong usage.
    """
    return run_all(((name, functools.partial(work, name)) for name in names), debug=debug)


def run_inputs(inputs: Iterable[Input], work: Callable[[Input], None], *, debug: bool) -> int:
    """Call `work` for each input, as `run_each` does."""
    works = ((each.url, functools.partial(work, each)) for each in inputs)
    return run_all(works, debug=debug)


def run_all(works: Iterable[tuple[str, Callable[[], None]]], *, debug: bool) -> int:
    """Call the function of each input, as `run_each` does."""
    failures: list[CaptoolkitError] = []
    succeeded = 0
    for name, work in works:
        try:
            work()
            succeeded += 1
        except CaptoolkitError as error:
            if debug:
                import traceback

                traceback.print_exc()
            request_id = getattr(error, "request_id", None)
            print_error(str(error), name=display_source(name), request_id=request_id)
            failures.append(error)
    if not succeeded and all(isinstance(one, UsageError) for one in failures):
        return USAGE
    return FAILED if failures else 0
