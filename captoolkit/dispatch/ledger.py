"""The record of all requests and answers in one SQLite file, so that no answer is paid for twice.

Rules: the hash of the sound and the recipe of the request identify an answer. The ledger records a
request before it is sent, and its end when it arrives. Only an answer replaces an answer. Several
processes may use the file at once: a process waits for a segment that another living process has
requested (`ledger_locks.py` knows which are alive); the unanswered requests of a killed run are
free for the next run at once. The state of the rate limits is in it as well, which the processes of
the machine share; losing that is harmless. The file may hold private captions, so only its owner
may read it; it never holds a key.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import msgspec

from captoolkit.captioners.base import PaidCaptioner
from captoolkit.dispatch.ledger_locks import Owners
from captoolkit.dispatch.ledger_place import default_path, refuse_network_file_system
from captoolkit.errors import OutputError, OutputExistsError, UsageError
from captoolkit.model import Caption, CaptionerInfo, Usage
from captoolkit.support import files
from captoolkit.support.cancel import CLOCK, CancelScope, Clock, Closing

IN_MEMORY = ":memory:"
VERSION = 1
APPLICATION_ID = 0x63617074  # "capt"
BUSY_S = 60  # longest wait for a process that writes
POLL_S = 0.25  # time between two looks for the answer to another process's request

_SCHEMA = """
CREATE TABLE questions (
    audio_sha256 TEXT NOT NULL,
    recipe_sha256 TEXT NOT NULL,
    captioner TEXT NOT NULL,
    model TEXT NOT NULL,
    base_url TEXT,
    recipe TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('asked', 'answered', 'failed')),
    owner TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    ended_at TEXT,
    text TEXT,
    finish_reason TEXT,
    request_id TEXT,
    usage TEXT,
    error TEXT,
    PRIMARY KEY (audio_sha256, recipe_sha256)
) WITHOUT ROWID
"""
# The rate limits that the processes of a machine share; a ledger of an earlier captoolkit gets it.
_RATES = "CREATE TABLE IF NOT EXISTS rates (service TEXT PRIMARY KEY, state TEXT NOT NULL)"
_ENDINGS = ("text", "finish_reason", "request_id", "usage", "error")
_RATE = "SELECT state FROM rates WHERE service = ?"
_LOOK_UP = (
    "SELECT state, owner, text, finish_reason, request_id, usage FROM questions "
    "WHERE audio_sha256 = ? AND recipe_sha256 = ?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The identity of a request: requests with equal fields have the same answer."""

    audio_sha256: str
    recipe: str
    info: CaptionerInfo

    @classmethod
    def about(cls, audio_sha256: str, captioner: PaidCaptioner) -> Question:
        """Return the question of asking `captioner` about a segment with that hash."""
        return cls(audio_sha256=audio_sha256, recipe=captioner.recipe, info=captioner.info)

    @property
    def key(self) -> tuple[str, str]:
        """The two hashes that identify it."""
        return self.audio_sha256, hashlib.sha256(self.recipe.encode()).hexdigest()


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the ledger, for lists and exports."""

    audio_sha256: str
    captioner: str
    model: str
    base_url: str | None
    recipe: str
    state: str
    asked_at: str
    ended_at: str | None
    text: str | None
    finish_reason: str | None
    request_id: str | None
    usage: Usage | None
    error: str | None

    def to_json(self) -> str:
        """Return the row as one line of JSON."""
        return msgspec.json.encode(self).decode()


class Ledger(Closing):
    """The ledger in one file; safe to use from several threads.

    Args:
        path: the file, created if missing; `:memory:` keeps nothing; None for the default.
        clock: the clock.

    Raises:
        OutputError: the file cannot be opened, is not a ledger, is damaged, or is on a network file
            system.
    """

    def __init__(self, path: str | Path | None = None, *, clock: Clock = CLOCK) -> None:
        self.path = Path(path) if path is not None else default_path()
        self._clock = clock
        self._guard = threading.RLock()
        self._is_shared = str(self.path) != IN_MEMORY
        self._owners = Owners(self.path.with_name(f"{self.path.name}-owners"))
        self._asking: dict[tuple[str, str], str] = {}  # start times of own requests
        self._unwritten: dict[tuple[str, str], Caption] = {}  # answers that could not be written
        with self._translating_errors():
            if self._is_shared:
                refuse_network_file_system(self.path)
            self._refuse_foreign()
            with self._opening():
                self._db = self._connect()
                try:
                    self._prepare()
                except BaseException:
                    self._db.close()
                    raise

    def claim(
        self, question: Question, scope: CancelScope, *, resume: bool = True
    ) -> Caption | None:
        """Return the stored answer; None if the caller has to send the request.

        After None the caller must call `answer` or `fail`. While another living owner has the same
        request in flight, this waits for its end.

        Args:
            question: the question.
            scope: ends the wait.
            resume: whether to return a stored answer.

        Raises:
            StoppedError, CaptoolkitError: the scope ended meanwhile.
            OutputError: the ledger cannot be read or written.
        """
        while True:
            if resume and (unwritten := self._unwritten.get(question.key)):
                return unwritten
            with self._writing() as db:
                row = db.execute(_LOOK_UP, question.key).fetchone()
                if row and row[0] == "answered" and resume:
                    return _caption(*row[2:])
                if not row or row[0] != "asked" or not self._is_in_flight(row[1], question):
                    self._asking[question.key] = _stamp(self._clock.today())
                    self._write(question, "asked")
                    return None
            scope.wait(POLL_S)

    def answer(self, question: Question, caption: Caption) -> None:
        """Record an answer; if it cannot be written, keep it in memory until `close`.

        Raises:
            OutputError: the ledger cannot be written.
        """
        self._unwritten[question.key] = caption
        with self._ending(question):
            self._write(
                question,
                "answered",
                text=caption.text,
                finish_reason=caption.finish_reason,
                request_id=caption.request_id,
                usage=msgspec.json.encode(caption.usage).decode(),
            )
        self._unwritten.pop(question.key, None)

    def fail(self, question: Question, reason: str, *, request_id: str | None = None) -> None:
        """Record why there is no answer; an earlier answer stays.

        Raises:
            OutputError: the ledger cannot be written.
        """
        with self._ending(question):
            self._write(question, "failed", error=reason, request_id=request_id)

    @property
    def is_shared(self) -> bool:
        """Whether other processes may use it."""
        return self._is_shared

    def read_rate(self, service: str) -> str | None:
        """Return the text that `change_rate` stored for a service; None if absent.

        Raises:
            OutputError: the ledger cannot be read.
        """
        with self._guard, self._translating_errors():
            row = self._db.execute(_RATE, (service,)).fetchone()
        return str(row[0]) if row else None

    def change_rate(self, service: str, change: Callable[[str | None], str]) -> None:
        """Replace the text of a service, in one transaction with reading it.

        Args:
            service: the service and model.
            change: returns the new text for the text so far.

        Raises:
            OutputError: the ledger cannot be written.
        """
        with self._guard, self._translating_errors():
            self._db.execute("PRAGMA synchronous = NORMAL")  # no wait for the disk: a rate may go
            try:
                with self._writing() as db:
                    row = db.execute(_RATE, (service,)).fetchone()
                    before = str(row[0]) if row else None
                    after = change(before)
                    if after != before:
                        db.execute("INSERT OR REPLACE INTO rates VALUES (?, ?)", (service, after))
            finally:
                self._db.execute("PRAGMA synchronous = FULL")

    def records(self) -> Iterator[Record]:
        """Yield all rows, the oldest first.

        Raises:
            OutputError: the ledger cannot be read.
        """
        with self._translating_errors():
            rows = self._db.execute(
                "SELECT audio_sha256, captioner, model, base_url, recipe, state, asked_at, "
                "ended_at, text, finish_reason, request_id, usage, error "
                "FROM questions ORDER BY asked_at, audio_sha256, recipe_sha256"
            )
            for row in rows:
                fields = dict(zip(Record.__struct_fields__, row, strict=True))
                fields["usage"] = fields["usage"] and _usage(fields["usage"])
                yield Record(**fields)

    def prune(self, older_than_s: Fraction | float) -> int:
        """Delete the requests that are older than that; return their number.

        The unanswered requests of living owners stay.

        Raises:
            OutputError: the ledger cannot be written.
        """
        before = self._clock.today() - timedelta(seconds=float(older_than_s))
        with self._translating_errors(), self._guard:
            with self._writing() as db:
                asking = db.execute("SELECT DISTINCT owner FROM questions WHERE state = 'asked'")
                alive = json.dumps([owner for (owner,) in asking if self._owners.is_alive(owner)])
                done = db.execute(
                    "DELETE FROM questions WHERE asked_at <= ? AND NOT "
                    "(state = 'asked' AND owner IN (SELECT value FROM json_each(?)))",
                    (_stamp(before), alive),
                )
            self._db.execute("VACUUM")  # removes the deleted text from the file
            return done.rowcount

    def backup(self, path: str | Path) -> None:
        """Copy the ledger to another file, also while runs use it; an earlier copy is replaced.

        A copy of the file alone could miss the last answers, which SQLite keeps in a second file.

        Raises:
            UsageError: `path` is the ledger itself.
            OutputExistsError: the file exists and is no ledger.
            OutputError: the ledger cannot be read, or the copy cannot be written.
        """
        path = Path(path)
        if self._is_shared and path.exists() and path.samefile(self.path):
            raise UsageError(f"{path} is the ledger itself", fix="name another file for the copy")
        with files.writing(path):
            if path.exists() and not _may_be_replaced(path):
                raise OutputExistsError(
                    f"{path} exists and is no ledger", fix="choose another name", path=path
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
                part = Path(folder) / path.name
                try:
                    with contextlib.closing(sqlite3.connect(part)) as copy, self._guard:
                        self._db.backup(copy)
                except sqlite3.Error as error:
                    raise OutputError(
                        f"the ledger {self.path} cannot be copied to {path} ({error})",
                        fix="check that the disk has room and that the ledger can be read",
                        path=path,
                    ) from error
                part.chmod(0o600)
                files.replace(part, path)

    def close(self) -> None:
        """Close the file; may be called twice."""
        with self._guard:
            self._db.close()
            self._owners.leave()

    # ------------------------------------------------------------------------------ the file

    def _refuse_foreign(self) -> None:
        """Refuse a file that is not a ledger, before anything is changed or created."""
        if self._is_shared and self.path.exists():
            with contextlib.closing(sqlite3.connect(self.path, timeout=BUSY_S)) as db:
                self._is_new(db)

    def _opening(self) -> contextlib.AbstractContextManager[object]:
        """Return a lock that keeps others from opening the same file meanwhile."""
        if not self._is_shared:
            return contextlib.nullcontext()
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._owners.opening(timeout_s=BUSY_S)

    def _connect(self) -> sqlite3.Connection:
        if self._is_shared:
            # Created before SQLite creates it, which gives its companion files the same mode. An
            # existing file is not opened: closing it would drop the locks of this process on it
            # (SQLite, "How To Corrupt An SQLite Database File", 2.2).
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        return sqlite3.connect(
            self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )

    def _prepare(self) -> None:
        """Create the table of a new file, refuse other databases, lock the owner's file."""
        self._db.execute("PRAGMA synchronous = FULL")  # a paid answer survives a power cut
        self._db.execute("PRAGMA secure_delete = ON")
        if self._is_new(self._db):
            with self._writing() as db:
                db.execute(_SCHEMA)
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {VERSION}")
        self._db.execute(_RATES)
        if self._is_shared:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._owners.join()

    def _is_new(self, db: sqlite3.Connection) -> bool:
        """Return whether the file is empty.

        Raises:
            OutputError: it is not a ledger of this version.
        """
        if not _pragma(db, "page_count"):
            return True
        if _pragma(db, "application_id") != APPLICATION_ID:
            raise self._error("is a database, but not a ledger of captoolkit")
        version = _pragma(db, "user_version")
        if version != VERSION:
            raise self._error(f"is of version {version}; this captoolkit reads {VERSION}")
        return False

    def _is_in_flight(self, owner: str, question: Question) -> bool:
        """Return whether a request is still in flight: its owner may record its end."""
        if owner == self._owners.me:
            return question.key in self._asking
        return self._is_shared and self._owners.is_alive(owner)

    @contextlib.contextmanager
    def _ending(self, question: Question) -> Iterator[None]:
        """A transaction that ends a request, which is no longer in flight even if writing fails."""
        try:
            with self._writing():
                yield
        finally:
            self._asking.pop(question.key, None)

    def _write(self, question: Question, state: str, **ending: str | None) -> None:
        """Write the row of a question; only an answer replaces an answer."""
        now = _stamp(self._clock.today())
        info = question.info
        values = {
            "audio_sha256": question.key[0],
            "recipe_sha256": question.key[1],
            "captioner": info.name,
            "model": info.model,
            "base_url": info.base_url,
            "recipe": question.recipe,
            "state": state,
            "owner": self._owners.me,
            "asked_at": self._asking.get(question.key, now),
            "ended_at": None if state == "asked" else now,
            **dict.fromkeys(_ENDINGS),
            **ending,
        }
        names = ", ".join(values)
        self._db.execute(
            f"INSERT INTO questions ({names}) VALUES ({', '.join(f':{name}' for name in values)}) "  # noqa: S608
            f"ON CONFLICT DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in values)}"
            " WHERE questions.state != 'answered' OR excluded.state = 'answered'",
            values,
        )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that keeps others from writing."""
        with self._translating_errors(), self._guard:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _translating_errors(self) -> Iterator[None]:
        """Turn errors of SQLite and of the system into an `OutputError`."""
        try:
            yield
        except (sqlite3.OperationalError, sqlite3.ProgrammingError) as error:
            raise self._unusable(error) from error
        except (sqlite3.DatabaseError, msgspec.MsgspecError) as error:
            raise self._error(f"is damaged, or not a ledger ({error})") from error
        except OutputError:
            raise
        except (OSError, UnicodeError) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> OutputError:
        reason = getattr(error, "strerror", None) or error
        return OutputError(
            f"the ledger {self.path} cannot be used ({reason})",
            fix="name another place (`ledger`)",
            path=self.path,
        )

    def _error(self, problem: str) -> OutputError:
        return OutputError(
            f"the ledger {self.path} {problem}",
            fix="move it away, or name another (`ledger`); captoolkit would then pay "
            "for its answers again",
            path=self.path,
        )


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])


def _may_be_replaced(path: Path) -> bool:
    """Return whether a path is a file that is empty, or the database of a ledger by its header."""
    if not path.is_file():  # a pipe would be waited for, and a device replaced
        return False
    with path.open("rb") as stream:
        header = stream.read(72)
    is_database = header.startswith(b"SQLite format 3\0")
    return not header or (is_database and int.from_bytes(header[68:]) == APPLICATION_ID)


def _stamp(moment: object) -> str:
    """Return a date and time as text that sorts in order of time."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"


def _caption(text: str, finish_reason: str, request_id: str, usage: str) -> Caption:
    return Caption(
        text=text, finish_reason=finish_reason, request_id=request_id, usage=_usage(usage)
    )


def _usage(text: str) -> Usage:
    return msgspec.json.decode(text, type=Usage)
