"""An emulator of speech services for rehearsals: a server on this machine, free of charge.

`with Emulator() as emulator:` gives base URLs for requests. Like Model Studio, it speaks both of
that service's protocols; `Emulator(like="vllm")` and `Emulator(like="openai")` speak those servers'
forms of a chat completion. It streams or not, and takes audio as Base64 text, as a URL on this
machine, or as an upload. It enforces the limits in the targets' rows and the ranges of parameters,
words its refusals as the services do, and answers with the local captioner's measurements. It
injects faults on request, repeatably.

Rules: the server listens on 127.0.0.1 and downloads from loopback hosts only. It shows no key, and
keeps none that a request holds. `service_profiles.py` has one row for each service. Pure modules
(`chat`, `replies`, `refusals`, `parameter_ranges`, `fault_injection`, the protocols) stay apart
from those that serve. Requests are read and replies written without the clients in `captioners`,
so that one mistake cannot hide in both.

It needs an extra: `pip install "captoolkit[emulator]"`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from captoolkit.errors import UsageError

if TYPE_CHECKING:
    from captoolkit.emulator.journal import RecordedRequest
    from captoolkit.emulator.server import Emulator

__all__ = ["Emulator", "RecordedRequest"]


def __getattr__(name: str) -> Any:
    """Import the emulator on first use: only it needs the extra's libraries."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from captoolkit.emulator import journal, server
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the emulator needs {error.name}, which is not installed",
            fix='pip install "captoolkit[emulator]"',
        ) from error
    return {"Emulator": server.Emulator, "RecordedRequest": journal.RecordedRequest}[name]
