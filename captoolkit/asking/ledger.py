"""What has been asked and answered, so that nothing is paid for twice: one SQLite file.

Rules: an answer is found by the bytes of the sound and by the recipe of the request; a question is
written down before it is sent and its end when it is here. Several processes may use the file at
once: a segment that another living one is asking about is waited for. Who is alive is told by a
lock on a file beside the ledger, which the system lets go of when a process ends, however it ends:
what a killed run had asked without an answer is free for the next one at once. The file may hold
private captions and is for its owner's eyes only; a key never comes near it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import filelock
import msgspec
import platformdirs

from captoolkit.asking.clock import CLOCK, Clock
from captoolkit.captioners.base import PaidCaptioner
from captoolkit.closing import Closing
from captoolkit.errors import OutputError
from captoolkit.model import Caption, CaptionerInfo, Usage

ENVIRONMENT_VARIABLE = "CAPTOOLKIT_LEDGER"
IN_MEMORY = ":memory:"
VERSION = 1
APPLICATION_ID = 0x63617074  # "capt"
BUSY_S = 60  # how long a process waits while others write
LOOK_AGAIN_S = 0.25  # how often to look whether another process has its answer

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
_ENDINGS = ("text", "finish_reason", "request_id", "usage", "error")
_KEY = "audio_sha256 = ? AND recipe_sha256 = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request, by what makes it the same as another."""

    audio_sha256: str
    recipe: str
    info: CaptionerInfo

    @classmethod
    def about(cls, audio_sha256: str, captioner: PaidCaptioner) -> Question:
        """Return what asking `captioner` about that sound is."""
        return cls(audio_sha256=audio_sha256, recipe=captioner.recipe, info=captioner.info)

    @property
    def key(self) -> tuple[str, str]:
        """The two hashes by which it is found."""
        return self.audio_sha256, hashlib.sha256(self.recipe.encode()).hexdigest()


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the ledger, as it is listed and exported."""

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
        """Return it as one line of JSON."""
        return msgspec.json.encode(self).decode()


def default_path() -> Path:
    """Return the file that `CAPTOOLKIT_LEDGER` names, else the one in the user's cache folder."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return Path(named)
    return Path(platformdirs.user_cache_dir("captoolkit", appauthor=False)) / "ledger.sqlite3"


class Ledger(Closing):
    """The ledger in one file; safe to use from several threads.

    Args:
        path: the file, made if it is not there; `:memory:` keeps nothing; None for the default.
        clock: where time comes from.

    Raises:
        OutputError: it cannot be opened, is none, or is damaged.
    """

    def __init__(self, path: str | Path | None = None, *, clock: Clock = CLOCK) -> None:
        self.path = Path(path) if path is not None else default_path()
        self._clock = clock
        self._guard = threading.RLock()
        self._owner = uuid.uuid4().hex
        self._alive: filelock.BaseFileLock | None = None
        self._is_shared = str(self.path) != IN_MEMORY
        with self._told():
            self._db = self._open()
            try:
                with self._opening():
                    self._prepare()
            except BaseException:
                self._db.close()
                raise

    def claim(
        self, question: Question, *, stop: threading.Event, resume: bool = True
    ) -> Caption | None:
        """Return the answer that is known; None if there is none and the caller is to ask.

        Whoever is told None must call `answer` or `fail`. While somebody else who is alive is
        asking, this waits.

        Args:
            question: what would be asked.
            stop: ends waiting.
            resume: whether an answer that is known will do.

        Raises:
            StoppedError: `stop` was set meanwhile.
            OutputError: the ledger cannot be read or written.
        """
        while True:
            with self._writing() as db:
                row = db.execute(
                    f"SELECT state, owner, text, finish_reason, request_id, usage "  # noqa: S608
                    f"FROM questions WHERE {_KEY}",
                    question.key,
                ).fetchone()
                if row and row[0] == "answered" and resume:
                    return _caption(*row[2:])
                if not row or row[0] != "asked" or not self._is_alive(row[1]):
                    self._write(question, "asked")
                    return None
            self._clock.wait(stop, LOOK_AGAIN_S)

    def answer(self, question: Question, caption: Caption) -> None:
        """Write an answer down.

        Raises:
            OutputError: the ledger cannot be written.
        """
        with self._writing():
            self._write(
                question,
                "answered",
                text=caption.text,
                finish_reason=caption.finish_reason,
                request_id=caption.request_id,
                usage=msgspec.json.encode(caption.usage).decode(),
            )

    def fail(self, question: Question, reason: str, *, request_id: str | None = None) -> None:
        """Write down that no answer came, and why.

        Raises:
            OutputError: the ledger cannot be written.
        """
        with self._writing():
            self._write(question, "failed", error=reason, request_id=request_id)

    def records(self) -> Iterator[Record]:
        """Yield every question, the oldest first.

        Raises:
            OutputError: the ledger cannot be read.
        """
        with self._told():
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
        """Forget what was asked longer ago than that; return how many questions that were.

        Raises:
            OutputError: the ledger cannot be written.
        """
        before = self._clock.today() - timedelta(seconds=float(older_than_s))
        with self._told(), self._guard:
            with self._writing() as db:
                done = db.execute("DELETE FROM questions WHERE asked_at <= ?", (_stamp(before),))
            self._db.execute("VACUUM")  # what is forgotten is gone from the file, too
            return done.rowcount

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        with self._guard:
            self._db.close()
            if self._alive is not None:
                self._alive.release()
                self._lock_of(self._owner).unlink(missing_ok=True)
                self._alive = None

    # ------------------------------------------------------------------------------ the file

    def _open(self) -> sqlite3.Connection:
        if self._is_shared:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Made before SQLite would make it, which gives its own companions the same mode.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        return sqlite3.connect(
            self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )

    def _opening(self) -> contextlib.AbstractContextManager[object]:
        """Keep others from opening the same file at the same time."""
        if not self._is_shared:
            return contextlib.nullcontext()
        folder = self._lock_of("").parent
        folder.mkdir(mode=0o700, exist_ok=True)
        return filelock.FileLock(folder / "opening", timeout=BUSY_S)

    def _prepare(self) -> None:
        """Make the tables of a new file, refuse one that is not ours, begin to be alive."""
        if self._is_shared:
            self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")  # a paid answer survives a power cut
        self._db.execute("PRAGMA secure_delete = ON")
        with self._writing() as db:
            tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if not tables:
                db.execute(_SCHEMA)
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {VERSION}")
            if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                raise self._error("is a database, but not a ledger of captoolkit's")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version != VERSION:
                raise self._error(f"is of version {version}; this captoolkit reads {VERSION}")
            self._begin_to_live()

    def _begin_to_live(self) -> None:
        """Lock a file of our own, and remove those of the dead."""
        if not self._is_shared:
            return
        for lock in self._lock_of("").parent.glob("*.lock"):
            if not self._is_alive(lock.stem):
                lock.unlink(missing_ok=True)
        self._alive = self._filelock(self._owner)
        self._alive.acquire()

    def _is_alive(self, owner: str) -> bool:
        """Whether whoever asked may still bring the answer."""
        if owner == self._owner:
            return True
        if not self._is_shared or not self._lock_of(owner).exists():
            return False
        lock = self._filelock(owner)
        try:
            lock.acquire()
        except filelock.Timeout:
            return True
        lock.release()
        return False

    def _filelock(self, owner: str) -> filelock.BaseFileLock:
        return filelock.FileLock(self._lock_of(owner), blocking=False, thread_local=False)

    def _lock_of(self, owner: str) -> Path:
        return self.path.with_name(f"{self.path.name}-owners") / f"{owner}.lock"

    def _write(self, question: Question, state: str, **ending: str | None) -> None:
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
            "owner": self._owner,
            "asked_at": now,
            "ended_at": None if state == "asked" else now,
            **dict.fromkeys(_ENDINGS),
            **ending,
        }
        names = ", ".join(values)
        changed = [name for name in values if state == "asked" or name != "asked_at"]
        self._db.execute(
            f"INSERT INTO questions ({names}) VALUES ({', '.join(f':{name}' for name in values)}) "  # noqa: S608
            "ON CONFLICT DO UPDATE SET "
            + ", ".join(f"{name} = excluded.{name}" for name in changed),
            values,
        )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction in which nobody else writes."""
        with self._told(), self._guard:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what SQLite and the system say into one clear line."""
        try:
            yield
        except (sqlite3.OperationalError, sqlite3.ProgrammingError) as error:
            raise self._unusable(error) from error
        except (sqlite3.DatabaseError, msgspec.MsgspecError) as error:
            raise self._error(f"is damaged, or no ledger ({error})") from error
        except OutputError:
            raise
        except (OSError, UnicodeError) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> OutputError:
        return OutputError(
            f"the ledger {self.path} cannot be used ({error})",
            fix="name another place with --ledger (ledger=)",
            path=self.path,
        )

    def _error(self, problem: str) -> OutputError:
        return OutputError(
            f"the ledger {self.path} {problem}",
            fix="move it away, or name another with --ledger (ledger=); without it, what it holds "
            "would be asked and paid for again",
            path=self.path,
        )


def _stamp(moment: object) -> str:
    """A date and time that sorts as it goes."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"


def _caption(text: str, finish_reason: str, request_id: str, usage: str) -> Caption:
    return Caption(
        text=text, finish_reason=finish_reason, request_id=request_id, usage=_usage(usage)
    )


def _usage(text: str) -> Usage:
    return msgspec.json.decode(text, type=Usage)
