"""The service models known here: the rows that came along, and the user's own beside them."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from captoolkit.errors import UsageError
from captoolkit.model import Target

ENVIRONMENT_VARIABLE = "CAPTOOLKIT_TARGETS"
DEFAULT_TARGET = "qwen3-omni-captioner"


def targets() -> dict[str, Target]:
    """Return every target known here, by name, the user's own first.

    A row of the user's replaces ours of the same name.

    The user's are read from the file that `CAPTOOLKIT_TARGETS` names, else from `targets.toml` in
    the configuration folder, if there is one.

    Raises:
        UsageError: the user's file cannot be read or holds a mistake; says where.
    """
    ours = resources.files("captoolkit.services").joinpath("targets.toml")
    rows = _parsed(ours.read_text(encoding="utf-8"), "targets.toml")
    file = user_file()
    own = _parsed(_read(file), str(file)) if file is not None else {}
    return {**own, **{name: row for name, row in rows.items() if name not in own}}


@functools.lru_cache(maxsize=4)
def _parsed(text: str, origin: str) -> Mapping[str, Target]:
    """The rows of a file; each text is read once, however many recordings are prepared by it."""
    from captoolkit.services.rows import parse

    return MappingProxyType(parse(text, origin=origin))


def target(name: str | Target) -> Target:
    """Return the target of that name, or the one that serves the model of that name.

    Raises:
        UsageError: there is none; names those there are.
    """
    if isinstance(name, Target):
        return name
    rows = targets()
    if name in rows:
        return rows[name]
    for row in rows.values():
        if name in row.models:
            return row
    raise UsageError(f"target={name} is not known", fix=f"take one of {', '.join(sorted(rows))}")


def rows_of(model: str) -> list[Target]:
    """Return the targets that serve a model, the user's own first; none where nobody knows it."""
    return [row for row in targets().values() if model in row.models]


def limits_for(model: str, wish: str | Target | None = None) -> Target:
    """Return the limits to keep: those asked for, else those of the model, else the usual ones.

    Raises:
        UsageError: what is asked for is not known.
    """
    if wish is not None:
        return target(wish)
    return next(iter(rows_of(model)), None) or target(DEFAULT_TARGET)


def user_file() -> Path | None:
    """Return the user's own file of targets, None where there is none."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return Path(named)
    file = config_folder() / "targets.toml"
    return file if file.is_file() else None


def config_folder() -> Path:
    """Return the folder in which the user may keep settings; it need not exist."""
    import platformdirs

    return Path(platformdirs.user_config_dir("captoolkit", appauthor=False))


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{file} cannot be read ({error})",
            fix=f"correct it, or unset {ENVIRONMENT_VARIABLE}",
        ) from error
