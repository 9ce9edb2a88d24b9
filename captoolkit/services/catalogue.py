"""The targets by name and by model: those of captoolkit, and the user's own.

Rules: captoolkit's own table is compiled once, as Python compiles a module: `__pycache__` keeps the
targets, and a later process reads them in a tenth of the time. Where that folder cannot be written,
in a zip, and with `PYTHONDONTWRITEBYTECODE`, each process parses the table. The compiled table has
a checksum: a damaged one is compiled again.
"""

from __future__ import annotations

import binascii
import functools
import os
import sys
from collections.abc import Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, MappingProxyType
from typing import Any

from captoolkit.errors import UsageError
from captoolkit.model import Target, service_targets

ENVIRONMENT_VARIABLE = "CAPTOOLKIT_TARGETS"
TABLE = "targets.toml"
CHECKSUM_BYTES = 4  # behind a compiled table
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
    """Return the targets of captoolkit, which are read once in a process."""
    loader = _TableLoader("captoolkit.services.targets", str(Path(__file__).with_name(TABLE)))
    values: dict[str, Any] = {}
    exec(loader.get_code(loader.name) or "", values)  # noqa: S102 - trusted as any module is
    return MappingProxyType(values["rows"])


class _TableLoader(SourceFileLoader):
    """Loads `targets.toml` as if it were a module with one value, `rows`."""

    def get_data(self, path: str) -> bytes:
        """Return the table, or a compiled one without its checksum.

        Raises:
            OSError: the file cannot be read, or the compiled table is damaged.
        """
        if path == self.path:
            return self._table()
        data = super().get_data(path)
        compiled = data[:-CHECKSUM_BYTES]
        if data[-CHECKSUM_BYTES:] != _checksum(compiled):
            raise OSError(f"{path} is damaged")
        return compiled

    def _table(self) -> bytes:
        try:
            return super().get_data(self.path)
        except OSError:  # the package is in a zip
            import pkgutil

            return pkgutil.get_data(__package__, TABLE) or b""

    def set_data(self, path: Any, data: Any, *, _mode: int = 0o666) -> None:
        """Write a compiled table and its checksum."""
        super().set_data(path, bytes(data) + _checksum(bytes(data)), _mode=_mode)

    def path_stats(self, path: Any) -> Mapping[str, Any]:
        """Return the facts by which a compiled table is recent: the reader counts as its source."""
        places = (path, Path(__file__).with_name("rows.py"), service_targets.__file__)
        stats = [super(_TableLoader, self).path_stats(str(place)) for place in places]
        return {**stats[0], "mtime": max(each["mtime"] for each in stats)}

    def source_to_code(  # type: ignore[override]  # static in the stubs only
        self, data: Any, path: Any, *further: Any, **options: Any
    ) -> CodeType:
        """Parse the table, and compile the values that it stands for."""
        from captoolkit.services import rows

        targets = rows.parse(bytes(data).decode("utf-8"), origin=TABLE)
        return compile(rows.as_python(targets), TABLE, "exec", dont_inherit=True)


def _checksum(data: bytes) -> bytes:
    return binascii.crc32(data).to_bytes(CHECKSUM_BYTES)


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


def user_file() -> Path | None:
    """Return the user's own file of targets, None if it does not exist."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return Path(named)
    file = config_folder() / "targets.toml"
    return file if file.is_file() else None


def config_folder() -> Path:
    """Return the folder of the user's settings; it may not exist."""
    home, named = os.environ.get("HOME", ""), os.environ.get("XDG_CONFIG_HOME", "")
    if sys.platform == "linux" and home.startswith("/") and "ANDROID_ROOT" not in os.environ:
        # platformdirs follows the same rule; its import takes longer than the probe of a WAV.
        return Path(named if named.startswith("/") else f"{home}/.config") / "captoolkit"
    import platformdirs

    return Path(platformdirs.user_config_dir("captoolkit", appauthor=False))


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"{file} cannot be read ({reason})",
            fix=f"correct it, or unset {ENVIRONMENT_VARIABLE}",
        ) from error
