"""The targets by name and by model: those of captoolkit, and the user's own."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from captoolkit.errors import UsageError
from captoolkit.model import Target

ENVIRONMENT_VARIABLE = "CAPTOOLKIT_TARGETS"
DEFAULT_TARGET = "qwen3-omni-captioner"


def targets() -> dict[str, Target]:
    """Return every target by name, the user's own first.

    The user's own are read from the file that `CAPTOOLKIT_TARGETS` names, else from `targets.toml`
    in the configuration folder. They replace captoolkit's targets of the same name.

    Raises:
        UsageError: the user's file cannot be read or holds a mistake; the error names the place.
    """
    rows = _ours()
    file = user_file()
    own = _parsed_own(_read(file), str(file)) if file is not None else {}
    return {**own, **{name: row for name, row in rows.items() if name not in own}}


@functools.cache
def _ours() -> Mapping[str, Target]:
    """Return the targets of captoolkit, which are parsed once in a process."""
    from captoolkit.services.rows import parse

    file = Path(__file__).with_name("targets.toml")
    return MappingProxyType(parse(file.read_text(encoding="utf-8"), origin=file.name))


@functools.lru_cache(maxsize=4)
def _parsed_own(text: str, origin: str) -> Mapping[str, Target]:
    """Return the targets in the user's own file; each text is parsed once in a process."""
    from captoolkit.services.rows import parse

    return MappingProxyType(parse(text, origin=origin, others=_ours()))


def target(name: str | Target) -> Target:
    """Return the target with a name, or the first target that serves the model with that name.

    Raises:
        UsageError: no target has that name or model.
    """
    if isinstance(name, Target):
        return name
    rows = targets()
    if not isinstance(name, str):
        raise UsageError(f"target={name!r} is neither a Target nor the name of one")
    if name in rows:
        return rows[name]
    for row in rows.values():
        if name in row.models:
            return row
    raise UsageError(f"target={name} is not known", fix=f"take one of {', '.join(sorted(rows))}")


def rows_of(model: str) -> list[Target]:
    """Return the targets that serve a model, the user's own first."""
    return [row for row in targets().values() if model in row.models]


def limits_for(model: str, chosen: str | Target | None = None) -> Target:
    """Return the target for the limits: the chosen one, else the model's, else the default.

    Raises:
        UsageError: the chosen target is not known.
    """
    if chosen is not None:
        return target(chosen)
    return next(iter(rows_of(model)), None) or target(DEFAULT_TARGET)


def user_file() -> Path | None:
    """Return the user's own file of targets, None if it does not exist."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return Path(named)
    file = config_folder() / "targets.toml"
    return file if file.is_file() else None


def config_folder() -> Path:
    """Return the folder of the user's settings; it may not exist."""
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
