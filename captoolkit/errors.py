"""The exceptions of captoolkit, in one tree, by the party at fault.

```
CaptoolkitError
├── UsageError (ValueError)            an argument or a combination of arguments is invalid
│   └── CancelledError                 the caller cancelled the work: `close`, or `stop`
├── InputError (ValueError)            the source is at fault: `path`
│   ├── SourceNotFoundError (FileNotFoundError)
│   ├── NotMediaError                  ffmpeg can decode nothing in it
│   └── NoAudioError                   media without sound, or without the chosen track
├── OutputError (OSError)              a file cannot be written: `path`
│   ├── DiskFullError                  there is no room left
│   └── OutputExistsError (FileExistsError)
├── LimitError                         a finished file breaks a limit and is withheld: `path`
├── ToolError (RuntimeError)           ffmpeg failed: `argv`, `returncode`, `stderr_tail`
│   ├── ToolNotFoundError
│   └── ToolTimeoutError (TimeoutError)
└── ServiceError (RuntimeError)        a captioner failed: `status_code`, `code`, `request_id`
    ├── ServiceConnectionError (ConnectionError)
    └── KeyMissingError
```

Messages name an option by the keyword of the library: `max_cost=0.5` with a value, else in
backquotes. The command line shows the option of the command instead (`cli/show.py`).

`str(error)` is one line: the problem and, after a semicolon, the remedy. The two parts are in
`problem` and `fix`. Every error can be pickled, and so can cross a process pool. A keyword argument
that a function does not have raises Python's own `TypeError`.

```python
>>> error = UsageError("sample_rate_hz=0 must be at least 1", fix="pass the rate of the samples")
>>> str(error)
'sample_rate_hz=0 must be at least 1; pass the rate of the samples'

```
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

__all__ = [
    "CancelledError",
    "CaptoolkitError",
    "ConnectionFailure",
    "DiskFullError",
    "InputError",
    "KeyMissingError",
    "LimitError",
    "NoAudioError",
    "NotMediaError",
    "OutputError",
    "OutputExistsError",
    "ServiceConnectionError",
    "ServiceError",
    "SourceNotFoundError",
    "ToolError",
    "ToolNotFoundError",
    "ToolTimeoutError",
    "UsageError",
]


class CaptoolkitError(Exception):
    """The base class of all errors that captoolkit raises on purpose.

    Attributes:
        problem: the problem, as a clause without a full stop.
        fix: the remedy, as an imperative clause; empty if there is no useful one.
        path: the file concerned, or None.
    """

    def __init__(self, problem: str, *, fix: str = "", path: object = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix
        self.path = None if path is None else str(path)

    def __str__(self) -> str:
        return f"{self.problem}; {self.fix}" if self.fix else self.problem

    def __repr__(self) -> str:
        path = "" if self.path is None else f", path={self.path!r}"
        return f"{type(self).__name__}({str(self)!r}{path})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, dict(self.__dict__))


def _rebuild(
    cls: type[CaptoolkitError], args: tuple[Any, ...], state: dict[str, Any]
) -> CaptoolkitError:
    # Calls the class, because `cls.__new__` is not safe with two builtins among the bases.
    error = cls(state["problem"])
    error.args = args
    error.__dict__.update(state)
    return error


class UsageError(CaptoolkitError, ValueError):
    """An argument, or a combination of arguments, is invalid: exit status 2 on the command line."""


class CancelledError(UsageError):
    """The caller cancelled the work, by `close` or by setting `stop`, and requested its result.

    Not the `CancelledError` of asyncio, which `acaption` raises when its task is cancelled.
    """


class InputError(CaptoolkitError, ValueError):
    """The source is at fault."""


class SourceNotFoundError(InputError, FileNotFoundError):
    """The source does not exist, or cannot be read."""


class NotMediaError(InputError):
    """ffmpeg can decode nothing in the source."""


class NoAudioError(InputError):
    """The source is media without sound, or without the chosen track."""


class OutputError(CaptoolkitError, OSError):
    """A file cannot be written."""


class OutputExistsError(OutputError, FileExistsError):
    """A file of that name exists already, and `overwrite` is False."""


class DiskFullError(OutputError):
    """There is no room left on the disk of an output or of the temporary files."""


class LimitError(CaptoolkitError):
    """A finished file breaks a limit of its target; captoolkit withholds it."""


class ToolError(CaptoolkitError, RuntimeError):
    """ffmpeg failed.

    Attributes:
        argv: the arguments of the command.
        returncode: the exit status; negative for a signal; None if the command never ran.
        stderr_tail: the last lines of its standard error.
    """

    def __init__(
        self,
        problem: str,
        *,
        fix: str = "",
        path: object = None,
        argv: Sequence[str] = (),
        returncode: int | None = None,
        stderr_tail: str = "",
    ) -> None:
        super().__init__(problem, fix=fix, path=path)
        self.argv = tuple(argv)
        self.returncode = returncode
        self.stderr_tail = stderr_tail


class ToolNotFoundError(ToolError):
    """There is no ffmpeg, or it cannot do the work."""


class ToolTimeoutError(ToolError, TimeoutError):
    """ffmpeg made no progress within the time limit, and captoolkit ended it."""


class ServiceError(CaptoolkitError, RuntimeError):
    """A captioning service failed, or refused a request.

    Attributes:
        status_code: the HTTP status; None if there was no response.
        code: the service's own error code; None if it gave none.
        message: the service's own message; None if it gave none.
        request_id: the service's number of the request, for its support; None if it gave none.
        retry_after_s: the wait that the service demands; None if it demands none.
    """

    def __init__(
        self,
        problem: str,
        *,
        fix: str = "",
        path: object = None,
        status_code: int | None = None,
        code: str | None = None,
        message: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(problem, fix=fix, path=path)
        self.status_code = status_code
        self.code = code
        self.message = message
        self.request_id = request_id
        self.retry_after_s = retry_after_s


class ConnectionFailure(StrEnum):
    """The reason why no complete answer arrived."""

    UNREACHABLE = "unreachable"  # no connection was made
    CERTIFICATE = "certificate"  # the host could not prove its name
    TLS = "tls"  # the port speaks no TLS, or only TLS
    PROXY = "proxy"  # the proxy could not be reached, or failed
    PROXY_REFUSED = "proxy refused"  # the proxy refused to connect
    SILENT = "silent"  # the service sent nothing for too long
    STALLED_UPLOAD = "stalled upload"  # the service accepted nothing for too long
    TOO_LATE = "too late"  # the whole exchange took too long
    BROKEN = "broken"  # the connection ended before an answer began
    CUT_OFF = "cut off"  # the connection ended within an answer


class ServiceConnectionError(ServiceError, ConnectionError):
    """The connection failed before the whole answer had arrived.

    `status_code` is None unless a part of the answer had arrived.

    Attributes:
        kind: the reason; callers compare it with the members of `ConnectionFailure`.
    """

    def __init__(
        self,
        problem: str,
        *,
        fix: str = "",
        path: object = None,
        status_code: int | None = None,
        code: str | None = None,
        message: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        kind: ConnectionFailure | None = None,
    ) -> None:
        super().__init__(
            problem,
            fix=fix,
            path=path,
            status_code=status_code,
            code=code,
            message=message,
            request_id=request_id,
            retry_after_s=retry_after_s,
        )
        is_answered = status_code is not None
        self.kind = kind or (ConnectionFailure.CUT_OFF if is_answered else ConnectionFailure.BROKEN)


class KeyMissingError(ServiceError):
    """The service needs a key and the environment holds none."""
