"""`captoolkit emulate`: a rehearsal of the services on this machine."""

from __future__ import annotations

import click

from captoolkit.cli.app import COMMANDS
from captoolkit.cli.show import note, say
from captoolkit.emulator.fault_injection import MEANINGS

_KINDS = "\n".join(f"  {kind:<16}{meaning}" for kind, meaning in MEANINGS.items())


@click.command(
    "emulate",
    short_help=COMMANDS["emulate"],
    epilog=f"\b\nKinds of faults:\n{_KINDS}",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=0,
    metavar="N",
    help="Where to listen on 127.0.0.1.  [default: a free port]",
)
@click.option(
    "--log",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Add one JSON line a request to FILE: path, model, audio_sha256, status, request_id, "
    "fault.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND[=HOW]",
    help="What goes wrong, and how often: a count (reset=3, the first three requests), a share "
    "(reset=0.2 or reset=20%), or nothing for always. May be given several times; the first that "
    "takes a request has it.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    metavar="N",
    help="Another number gives the faults with a share to other requests.",
)
def command(port: int, log: str | None, faults: tuple[str, ...], seed: int) -> int:
    """Answer on this machine as Model Studio does, until interrupted; nothing is paid.

    The first line on standard output is the server's URL. Below it, /api/v1 is the native protocol
    and /compatible-mode/v1 the OpenAI-compatible one, for the SDKs or for --base-url. Any key will
    do. Limits and errors are the services'; what is said is what the acoustic captioner measures.
    """
    from captoolkit.emulator import Emulator

    with Emulator(port=port, log=log, faults=faults, seed=seed) as emulator:
        say(emulator.url)
        note("listening until interrupted (Ctrl-C)")
        emulator.wait()
    return 0
