"""The journal of a group of files that move to their names together.

Rules: the journal is written before the first file moves, into the hidden folder (`aside`) that
receives the files to be replaced. After the moves, after an error and after the death of the
process, the same function, `settle`, reads the journal and looks at the files. If the last file has
moved, it renames the journal, then removes the replaced and the stale files; otherwise it moves
everything back. A file that has changed since (its size or its time of change) belongs to the user:
it stays.

A journal, in which each file is described by its size in bytes and its time of change in ns:

    {"format": "captoolkit.moves/1",
     "moves": [{"name": "talk.001.mp3", "new": [480921, 17...], "old": null}, ...],
     "stale": [{"name": "talk.002.mp3", "old": [239112, 17...]}]}
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMAT = "captoolkit.moves/1"
JOURNAL = ".captoolkit-moves.json"
COMPLETE = ".captoolkit-moved.json"  # the journal's name once all files have moved
CLOCK_STEP_NS = 2_000_000_000  # some file systems round the time of change, FAT to two seconds

State = tuple[int, int]  # size in bytes and time of change in ns: a move keeps both


@dataclass(frozen=True, slots=True)
class Move:
    """A file that moves to `name`: its state, and the state of the file that it replaces."""

    name: str
    new: State
    old: State | None


def write(aside: Path, staged: Path, names: Iterable[str], stale: Iterable[str]) -> None:
    """Record that the files `names` of `staged` are about to move to the parent of `aside`.

    Args:
        aside: an empty hidden folder inside the folder that receives the files.
        staged: the folder that the files are in now.
        names: the files; all are in place once the last one is.
        stale: files of the receiving folder to be removed after that.

    Raises:
        OSError: a file is missing, or the journal cannot be written.
    """
    out = aside.parent
    moves = []
    for name in names:
        new = _state(staged / name)
        if new is None:
            raise FileNotFoundError(errno.ENOENT, f"the file made for {name} is missing")
        moves.append({"name": name, "new": new, "old": _state(out / name)})
    removals = [{"name": name, "old": _state(out / name)} for name in stale]
    document = {"format": FORMAT, "moves": moves, "stale": removals}
    (aside / JOURNAL).write_text(json.dumps(document), encoding="ascii")


def settle(aside: Path, *, staged: Path | None = None) -> None:
    """Complete the moves that the journal of `aside` records, or take them back.

    Args:
        aside: the hidden folder; without a journal nothing is done.
        staged: after an error, the folder to which moved files go back. None after the last move,
            or after the death of the process: files that must go back are then removed.

    Raises:
        OSError: a file cannot be moved back. A later call can continue.
    """
    out = aside.parent
    moves, stale = _read(aside)
    if moves and (os.path.lexists(aside / COMPLETE) or _is_in_place(moves[-1], out, aside)):
        replaced = [(aside / move.name, move.old) for move in moves if move.old]
        earlier = [*replaced, *((out / name, state) for name, state in stale)]
        if earlier:
            with contextlib.suppress(OSError):
                (aside / JOURNAL).replace(aside / COMPLETE)
        for path, state in earlier:
            if _is_alike(_state(path), state):
                with contextlib.suppress(OSError):  # the new files are in place
                    path.unlink()
    elif moves and (staged or _is_unmoved(moves[-1], out)):
        for move in reversed(moves):
            _take_back(move, out, aside, staged)
    for name in (JOURNAL, COMPLETE):
        with contextlib.suppress(OSError):
            (aside / name).unlink(missing_ok=True)


def _take_back(move: Move, out: Path, aside: Path, staged: Path | None) -> None:
    """Restore the earlier state of a name, unless a changed file has that name."""
    if _is_in_place(move, out, aside):
        if staged is None:
            (out / move.name).unlink()
        else:
            (out / move.name).replace(staged / move.name)
    if os.path.lexists(aside / move.name) and not os.path.lexists(out / move.name):
        (aside / move.name).replace(out / move.name)


def _is_in_place(move: Move, out: Path, aside: Path) -> bool:
    """Return whether the new file has its name, unchanged since."""
    is_free = move.old is None or os.path.lexists(aside / move.name)
    return is_free and _is_alike(_state(out / move.name), move.new)


def _is_unmoved(move: Move, out: Path) -> bool:
    """Return whether the name of a move is free, or still has the file that was to be replaced."""
    state = _state(out / move.name)
    return state is None or _is_alike(state, move.old)


def _is_alike(one: State | None, other: State | None) -> bool:
    """Return whether two states may be those of one file."""
    if one is None or other is None:
        return False
    return one[0] == other[0] and abs(one[1] - other[1]) < CLOCK_STEP_NS


def _state(path: Path) -> State | None:
    """Return size and time of change of a file or link; None if there is no such file."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _read(aside: Path) -> tuple[list[Move], list[tuple[str, State | None]]]:
    """Return the moves and the stale files of the journal; empty if nothing can have moved."""
    for name in (COMPLETE, JOURNAL):
        try:
            if not stat.S_ISREG((aside / name).lstat().st_mode):
                continue
            document = json.loads((aside / name).read_text(encoding="ascii"))
            if document["format"] != FORMAT:
                continue
            moves = [
                Move(_plain(row["name"]), _numbers(row["new"]), _state_in(row["old"]))
                for row in document["moves"]
            ]
            stale = [(_plain(row["name"]), _state_in(row["old"])) for row in document["stale"]]
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            continue  # missing, or cut off before the first move
        return moves, stale
    return [], []


def _state_in(row: Any) -> State | None:
    return None if row is None else _numbers(row)


def _numbers(row: Any) -> State:
    size, changed_ns = row
    if not isinstance(size, int) or not isinstance(changed_ns, int):
        raise TypeError(row)
    return size, changed_ns


def _plain(name: Any) -> str:
    if not is_plain_name(name):
        raise ValueError(name)
    return str(name)


def is_plain_name(name: object) -> bool:
    """Return whether a value that was read from a file names a file without a folder."""
    if not isinstance(name, str) or name in ("", ".", "..") or set("/\\\0") & set(name):
        return False
    try:
        os.fsencode(name)
    except UnicodeEncodeError:  # no file can have that name
        return False
    return Path(name).name == name  # Windows: no drive either
