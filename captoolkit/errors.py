"""Every exception captoolkit raises, in one tree, by whose fault it is.

```
CaptoolkitError
├── UsageError (ValueError)            the caller asked for something that cannot be
├── InputError (ValueError)            the source is at fault: `path`
│   ├── SourceNotFoundError (FileNotFoundError)
│   ├── NotMediaError                  nothing in it that can be decoded
│   └── NoAudioError                   media, but without the sound asked for
├── OutputError (OSError)              the result cannot be written: `path`
│   └── OutputExistsError (FileExistsError)
├── LimitError                         a finished file breaks a limit and is not shipped: `path`
├── ToolError (RuntimeError)           ffmpeg failed: `argv`, `returncode`, `stderr_tail`
│   ├── ToolNotFoundError
│   └── ToolTimeoutError (TimeoutError)
└── ServiceError (RuntimeError)        a captioner failed: `status_code`, `code`, `request_id`
    ├── ServiceConnectionError (ConnectionError)
    └── KeyMissingError
```

`str(error)` is one line: what is wrong, then, after a semicolon, what to do about it. The parts
are in `problem` and `fix`. Every error pickles, so it can cross a process pool.

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


class CaptoolkitError(Exception):
    """The root: catch this to catch everything that captoolkit raises on purpose.

    Attributes:
        problem: what is wrong, as a clause without a full stop.
        fix: what the reader can do about it; empty when there is nothing useful to say.
        path: the file concerned, or None.
    """

    def __init__(self, problem: str, *, fix: str = "", path: object = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix
        self.path = None if path is None else str(path)

    def __str__(self) -> str:
        return f"{self.problem}; {self.fix}" if self.fix else self.problem

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, dict(self.__dict__))


def _rebuild(
    cls: type[CaptoolkitError], args: tuple[Any, ...], state: dict[str, Any]
) -> CaptoolkitError:
    # By calling the class: `cls.__new__` is not safe where two builtins are among its bases.
    error = cls(state["problem"])
    error.args = args
    error.__dict__.update(state)
    return error


class UsageError(CaptoolkitError, ValueError):
    """The caller asked for something that cannot be: exit status 2 on the command line."""


class InputError(CaptoolkitError, ValueError):
    """The source is at fault."""


class SourceNotFoundError(InputError, FileNotFoundError):
    """There is no such source, or it may not be read."""


class NotMediaError(InputError):
    """ffmpeg finds nothing in the source that can be decoded."""


class NoAudioError(InputError):
    """The source is media, but holds no sound, or not the track asked for."""


class OutputError(CaptoolkitError, OSError):
    """The result cannot be written."""


class OutputExistsError(OutputError, FileExistsError):
    """The result is there already and overwriting was not asked for."""


class LimitError(CaptoolkitError):
    """A finished file, read back, breaks a limit of its target."""


class ToolError(CaptoolkitError, RuntimeError):
    """ffmpeg failed.

    Attributes:
        argv: the argument list that was run.
        returncode: its exit status (negative: the signal that ended it), None if it never ran.
        stderr_tail: the last lines it wrote to standard error.
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
    """There is no ffmpeg that can do the work."""


class ToolTimeoutError(ToolError, TimeoutError):
    """ffmpeg made no progress within its time and was ended."""


class ServiceError(CaptoolkitError, RuntimeError):
    """A captioning service failed or refused.

    Attributes:
        status_code: the HTTP status, None when no answer came.
        code: the service's own error code, None when it gave none.
        message: the service's own message, None when it gave none.
        request_id: what the service's support asks for, None when it gave none.
        retry_after_s: how long the service wants to be left alone, None when it did not say.
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
    """Why no complete answer arrived."""

    UNREACHABLE = "unreachable"  # no connection was made
    CERTIFICATE = "certificate"  # the host could not prove its name
    PROXY = "proxy"  # the proxy refused or failed
    SILENT = "silent"  # the service sent nothing for too long
    STALLED_UPLOAD = "stalled upload"  # the service accepted nothing for too long
    TOO_LATE = "too late"  # the whole exchange took too long
    BROKEN = "broken"  # the connection ended before an answer began
    CUT_OFF = "cut off"  # the connection ended within an answer


class ServiceConnectionError(ServiceError, ConnectionError):
    """No answer arrived, or only a part of one: refused, reset, timed out, not to be trusted.

    `status_code` is None as long as no part of an answer has arrived.

    Attributes:
        kind: why; if it is not given, `CUT_OFF` with a status and `BROKEN` without one.
    """

    def __init__(
        self,
        problem: str,
        *,
        fix: str = "",
        path: object = None,
        status_code: int | None = None,
        kind: ConnectionFailure | None = None,
        **details: Any,
    ) -> None:
        super().__init__(problem, fix=fix, path=path, status_code=status_code, **details)
        is_answered = status_code is not None
        self.kind = kind or (ConnectionFailure.CUT_OFF if is_answered else ConnectionFailure.BROKEN)


class KeyMissingError(ServiceError):
    """The service needs a key and the environment holds none."""
