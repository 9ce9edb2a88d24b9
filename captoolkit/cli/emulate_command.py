"""`captoolkit emulate`: the services emulated on this machine."""

from __future__ import annotations

import contextlib
from fractions import Fraction

import click

from captoolkit.cli.app import COMMANDS
from captoolkit.cli.option_types import FilePlace, complete_from, parsed_by
from captoolkit.cli.show import print_line, print_message
from captoolkit.emulator.fault_injection import MEANINGS
from captoolkit.emulator.service_profiles import DEFAULT_PROFILE, PROFILES
from captoolkit.units import parse_duration

_LIKENESSES = "; ".join(f"{each.name}: {each.help}" for each in PROFILES.values())
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
    help="Port on 127.0.0.1.  [default: a free port]",
)
@click.option(
    "--like",
    type=click.Choice(tuple(PROFILES)),
    default=DEFAULT_PROFILE,
    show_default=True,
    help=f"The service to imitate. {_LIKENESSES}.",
)
@click.option(
    "--key",
    metavar="KEY",
    help="Accept only this key, which is made up for the rehearsal.  [default: every key]",
)
@click.option(
    "--log",
    type=FilePlace(dir_okay=False),
    metavar="FILE",
    help="Append one JSON line for each request to FILE: path, model, audio_sha256, status, "
    "request_id, fault.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND[=HOW]",
    shell_complete=complete_from(MEANINGS),
    help="Inject a fault. HOW is a count (reset=3, the first three requests), a share (reset=0.2 "
    "or reset=20%), or nothing for always. May be given several times; the first fault that "
    "selects a request applies to it.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    metavar="N",
    help="A different number selects different requests for the faults with a share.",
)
@click.option(
    "--latency",
    "latency_s",
    callback=parsed_by(parse_duration),
    metavar="LENGTH",
    help="Delay each caption by this time, such as 1s.",
)
def command(
    port: int,
    like: str,
    key: str | None,
    log: str | None,
    faults: tuple[str, ...],
    seed: int,
    latency_s: Fraction | None,
) -> int:
    """Answer requests on this machine as a service does, until interrupted, free of charge.

    Ctrl-C and SIGTERM are the usual end: the exit status is then 0.

    The first line on standard output is the server's URL. Below it, for the SDKs and for
    --base-url: like Model Studio, /api/v1 is the native protocol and /compatible-mode/v1 the
    OpenAI-compatible one; like the others, /v1 is the only one. Every key is accepted unless --key
    sets one. Limits, ranges of parameters and errors are the service's; the captions are the
    acoustic captioner's.
    """
    from captoolkit.emulator import Emulator

    with (
        Emulator(
            port=port,
            like=like,
            key=key,
            log=log,
            faults=faults,
            seed=seed,
            latency_s=float(latency_s or 0),
        ) as emulator,
        contextlib.suppress(KeyboardInterrupt),
    ):  # the usual end of a server is no error
        print_line(emulator.url)
        print_message("listening until interrupted (Ctrl-C)")
        emulator.wait()
    return 0
