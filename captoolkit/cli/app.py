"""The group of commands, and what their ends mean to the shell.

Rules: only click is imported to show help; a command's module is loaded when it is called. An
input's or a service's fault is one line on stderr, never a traceback (`--debug` shows it).
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
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path

import click

from captoolkit import __version__
from captoolkit.cli.show import clean, shown
from captoolkit.errors import CaptoolkitError, UsageError

FAILED, USAGE, INTERRUPTED = 1, 2, 130
SKIP_SILENCE = "--skip-silence"
USUAL_SILENCE = f"{SKIP_SILENCE}=10s"

COMMANDS = {
    "ask": "Ask a model questions about a file, each heard with those before.",
    "caption": "Prepare, ask, stitch: write the timeline of each file.",
    "doctor": "Show what captoolkit finds here: ffmpeg, key, folders, versions.",
    "emulate": "Rehearse: answer on this machine as the services do, for nothing.",
    "embed": "Put a timeline into its media file: subtitles and chapters.",
    "export": "Write a timeline in other formats.",
    "ledger": "Show, export or prune what services have answered.",
    "plan": "Show what would be done to each file and why; write nothing.",
    "prepare": "Make files that fit the target, and a manifest of them.",
    "probe": "Show what each file is, and which limits it breaks.",
    "split": "Make pieces in a file's own codec, cut where it is quiet.",
    "targets": "Show the services known here and their limits.",
    "view": "Show a timeline as a page in the browser.",
}


class LazyGroup(click.Group):
    """A group whose commands are modules of this package, loaded when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"captoolkit.cli.{cmd_name}_command").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
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
    """Prepare audio for captioning services, and bring their captions back as one timeline.

    Data goes to standard output, progress and messages to standard error. Exit status: 0 done,
    1 at least one input failed, 2 wrong usage, 130 interrupted.
    """


def run(argv: Sequence[str]) -> int:
    """Run the group and return the exit status."""
    for stream in (sys.stdout, sys.stderr):  # a console that lacks a letter still gets the rest
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with _signals_as_interrupts():
        try:
            status = app.main(spelt_out(argv), prog_name="captoolkit", standalone_mode=False)
            sys.stdout.flush()
        except click.exceptions.Exit as stop:
            return stop.exit_code
        except (click.Abort, KeyboardInterrupt):
            return _interrupted()
        except click.ClickException as error:
            error.show()
            return error.exit_code
        except UsageError as error:
            report(str(error))
            return USAGE
        except CaptoolkitError as error:
            report(str(error))
            return FAILED
        except OSError as error:
            return _unheard(error)
    return int(status or 0)


def spelt_out(argv: Sequence[str]) -> list[str]:
    """Return arguments in which `--skip-silence` has the length that it has without one.

    click would take the next argument for the length, were it a file's name or not.

    Raises:
        UsageError: the next argument is a length, and no file.
    """
    options = list(itertools.takewhile(lambda word: word != "--", argv))
    for word, following in itertools.pairwise(options):
        if word == SKIP_SILENCE and _is_a_length(following) and not Path(following).exists():
            raise UsageError(
                f"{following}: no such file", fix=f"for a length write {SKIP_SILENCE}={following}"
            )
    written = [USUAL_SILENCE if word == SKIP_SILENCE else word for word in options]
    return [*written, *argv[len(options) :]]


def _is_a_length(word: str) -> bool:
    from captoolkit.units import parse_duration

    try:
        parse_duration(word)
    except UsageError:
        return False
    return True


def _unheard(error: OSError) -> int:
    """Standard output takes no more: its reader has had enough, or its disk is full."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(error, BrokenPipeError):
        report(f"standard output cannot be written ({error.strerror})")
    return FAILED


def for_each(names: Sequence[str], work: Callable[[str], None], *, debug: bool) -> int:
    """Do `work` for each input; one that fails is one line, and the others are still done.

    Returns:
        The exit status: wrong usage only where that is what failed for every input.
    """
    return outcome(((name, functools.partial(work, name)) for name in names), debug=debug)


def outcome(works: Iterable[tuple[str, Callable[[], None]]], *, debug: bool) -> int:
    """Do each input's work; as `for_each`, for works that are begun elsewhere."""
    failures: list[CaptoolkitError] = []
    succeeded = 0
    for name, work in works:
        try:
            work()
            succeeded += 1
        except CaptoolkitError as error:
            if debug:
                traceback.print_exc()
            report(f"{shown(name)}: {error}{request_note(getattr(error, 'request_id', None))}")
            failures.append(error)
    if not succeeded and all(isinstance(one, UsageError) for one in failures):
        return USAGE
    return FAILED if failures else 0


def report(message: str) -> None:
    """Write one line about what went wrong."""
    click.echo(f"error: {clean(message)}", err=True)


def request_note(request_id: str | None) -> str:
    """Return how an error names the request, for the service's support; empty without one."""
    return f" [request id {request_id}]" if request_id else ""


def display_name(path: str) -> str:
    """Return a path as a person sees it: relative where that is shorter."""
    with contextlib.suppress(ValueError):
        return str(Path(path).relative_to(Path.cwd()))
    return path


def _interrupted() -> int:
    """Say so and go, without waiting for requests whose answers nobody will read."""
    report("interrupted; what was unfinished has been removed")
    if threading.active_count() > 1:
        sys.stdout.flush()
        if "captoolkit.media.ffmpeg" in sys.modules:  # what a thread has begun since ends with us
            sys.modules["captoolkit.media.ffmpeg"].end_all()
        os._exit(INTERRUPTED)
    return INTERRUPTED


@contextlib.contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    """Tidy up after a polite kill or a closed terminal as after Ctrl-C."""
    names = [name for name in ("SIGTERM", "SIGHUP") if _is_heeded(name)]
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {name: signal.signal(getattr(signal, name), _interrupt) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def _is_heeded(name: str) -> bool:
    """Whether a signal exists here and nobody, such as nohup, has told us to ignore it."""
    number = getattr(signal, name, None)
    return number is not None and signal.getsignal(number) is signal.SIG_DFL


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
