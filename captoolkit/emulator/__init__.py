"""A rehearsal room: a server on this machine that answers as Model Studio does, for nothing.

`with Emulator() as emulator:` gives base URLs to ask at. Both protocols are spoken, streaming or
not; audio comes as Base64 text, by URL from this machine, or by upload; limits are those of the
targets' rows, refusals are worded as the services word them, and what is said is what the local
captioner measures. Faults happen on request, the same ones each time.

Rules: it listens on 127.0.0.1 and fetches from loopback hosts only; no key is kept or shown; what
is pure (`words`, `asking`, `answers`, `native`, `compatible`, `faults`, `spoiling`) stays apart
from what serves; requests are read and answers written without the clients in `captioners`, so that
both cannot be wrong together.

Needs the extra: `pip install "captoolkit[emulator]"`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from captoolkit.errors import UsageError

if TYPE_CHECKING:
    from captoolkit.emulator.journal import Visit
    from captoolkit.emulator.server import Emulator

__all__ = ["Emulator", "Visit"]


def __getattr__(name: str) -> Any:
    """Fetch the emulator when it is first used: it alone needs the extra's libraries."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from captoolkit.emulator import journal, server
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the emulator needs {error.name}, which is not installed",
            fix='pip install "captoolkit[emulator]"',
        ) from error
    return {"Emulator": server.Emulator, "Visit": journal.Visit}[name]
