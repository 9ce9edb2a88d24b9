"""The faults of a store: which are retried, and the one line that a user reads.

Rules: the libraries of the stores have no common base class, so faults are told apart by builtin
class, error number, HTTP status and class name. Transient faults are retried for a limited time, on
top of the retries of the library.
"""

from __future__ import annotations

import errno
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from captoolkit.errors import InputError, OutputError, SourceNotFoundError
from captoolkit.support import files

Result = TypeVar("Result")

WAITS_S = (1.0, 2.0, 4.0)  # before each retry of a transient fault
RETRY_WITHIN_S = 20.0  # a fault that took longer than this is not retried
_TRANSIENT_NUMBERS = {
    errno.EBUSY,  # 503 and SlowDown of S3
    getattr(errno, "EREMOTEIO", errno.EIO),  # 500 of S3
    errno.ETIMEDOUT,
    errno.ECONNRESET,
    errno.ECONNREFUSED,
    errno.EPIPE,
}
_TRANSIENT_CLASSES = {  # of botocore, aiohttp and fsspec, which have no common builtin base
    "EndpointConnectionError",
    "HTTPClientError",
    "IncompleteRead",
    "ResponseParserError",
    "ClientConnectionError",
    "ClientPayloadError",
    "ServerDisconnectedError",
    "FSTimeoutError",
    "ProxyError",  # 502 of GCS
}
_CREDENTIAL_CLASSES = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
    "DefaultCredentialsError",
    "RefreshError",
}
_BUSY_CODES = {408, 429, *range(500, 600)}
_FORBIDDEN = "Forbidden: "  # how gcsfs begins the message of 403, an `OSError` without a number


def retry(call: Callable[[], Result]) -> Result:
    """Call, and call again after transient faults, for a limited time."""
    begun_s = time.monotonic()
    for wait_s in WAITS_S:
        try:
            return call()
        except Exception as error:
            if not _is_transient(error) or time.monotonic() - begun_s > RETRY_WITHIN_S:
                raise
            time.sleep(wait_s)
    return call()


def _is_transient(error: Exception) -> bool:
    if isinstance(error, PermissionError | FileNotFoundError | FileExistsError):
        return False
    if isinstance(error, ConnectionError | TimeoutError) or _classes(error) & _TRANSIENT_CLASSES:
        return True
    if isinstance(error, OSError) and error.errno in _TRANSIENT_NUMBERS:
        return True
    return http_status(error) in _BUSY_CODES


def _classes(error: Exception) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def http_status(error: Exception) -> int:
    """The HTTP status of an error of gcsfs or aiohttp; 0 for any other error."""
    code = getattr(error, "status", None) or getattr(error, "code", None)
    try:
        return int(code) if code is not None else 0
    except (TypeError, ValueError):
        return 0


def s3_code(error: Exception) -> str:
    """The code of an error of S3; empty for any other error."""
    response = getattr(error.__cause__, "response", None)
    is_answer = isinstance(response, dict) and isinstance(response.get("Error"), dict)
    return str(response["Error"].get("Code", "")) if is_answer and response else ""


def read_error(url: str, error: Exception) -> InputError | OutputError:
    """Return the error for a file or a listing that cannot be read."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return files.disk_full(Path(tempfile.gettempdir()))
    problem, fix = _reason(error)
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return SourceNotFoundError(f"{url}: {problem}", fix=fix, path=url)
    return InputError(f"{url} cannot be read: {problem}", fix=fix, path=url)


def write_error(url: str, error: Exception) -> OutputError:
    """Return the error for a file that cannot be written."""
    problem, fix = _reason(error)
    if isinstance(error, FileNotFoundError):
        problem = "there is no such bucket"
    return OutputError(f"{url} cannot be written: {problem}", fix=fix, path=url)


def _reason(error: Exception) -> tuple[str, str]:
    """Return why a store failed, and the remedy."""
    if _classes(error) & _CREDENTIAL_CLASSES:
        return "no credentials were found", "set those of the store, such as AWS_ACCESS_KEY_ID"
    if isinstance(error, FileNotFoundError):
        what = "bucket" if s3_code(error) == "NoSuchBucket" else "file"
        return f"there is no such {what}", "check the name"
    is_denied = isinstance(error, PermissionError) or http_status(error) in (401, 403)
    if is_denied or str(error).startswith(_FORBIDDEN):
        return "permission is denied", "give the key the permission, or check the name"
    if _is_transient(error):
        is_unreachable = "EndpointConnectionError" in _classes(error) or isinstance(
            error, ConnectionError
        )
        state = "does not answer" if is_unreachable else "is busy or fails"
        return f"the store {state}, also after retries", "run the same command again later"
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return " ".join(text.split()) or type(error).__name__, ""
