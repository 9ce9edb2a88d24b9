from __future__ import annotations

import copy
import inspect
import multiprocessing
import pickle
import re
from concurrent.futures import ProcessPoolExecutor

import pytest

from captoolkit import errors
from captoolkit.errors import CaptoolkitError, UsageError
from captoolkit.units import parse_duration

LINE = re.compile(r"(?P<branch>[│├└─ ]*)(?P<name>[A-Z]\w+Error)(?: \((?P<builtin>\w+)\))?")
CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, CaptoolkitError)
]
# A value for each field that any of them has: no default, none equal to another.
FIELDS = {
    "fix": "try again later",
    "path": "/sounds/night.wav",
    "argv": ("ffmpeg", "-i", "night.wav"),
    "returncode": -9,
    "stderr_tail": "Killed",
    "status_code": 429,
    "code": "Throttling.RateQuota",
    "message": "Requests rate limit exceeded",
    "request_id": "b1946ac9",
    "retry_after_s": 2.5,
    "kind": errors.ConnectionFailure.SILENT,
}

every_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


def fields_of(cls: type[CaptoolkitError]) -> dict[str, object]:
    """Return a value for each keyword argument of the class."""
    names = inspect.signature(cls).parameters
    return {name: FIELDS[name] for name in names if name != "problem"}


def made(cls: type[CaptoolkitError]) -> CaptoolkitError:
    """Return an error of the class with all fields set."""
    return cls("it went wrong", **fields_of(cls))  # type: ignore[arg-type]


def drawn_tree() -> dict[str, tuple[str | None, str | None]]:
    """Return the tree in the docstring: each name with its parent and its builtin."""
    tree: dict[str, tuple[str | None, str | None]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = LINE.match(line)
        if found:
            depth = len(found["branch"]) // 4
            above = [*above[:depth], found["name"]]
            tree[found["name"]] = (above[-2] if depth else None, found["builtin"])
    return tree


def test_the_docstring_draws_the_whole_tree() -> None:
    """The tree in the docstring has every class with its parent and its builtin."""
    real = {}
    for cls in CLASSES:
        ours = [base.__name__ for base in cls.__bases__ if issubclass(base, CaptoolkitError)]
        others = [base.__name__ for base in cls.__bases__ if base.__name__ not in ours]
        builtin = others[0] if others and cls is not CaptoolkitError else None
        real[cls.__name__] = (ours[0] if ours else None, builtin)
    assert drawn_tree() == real


@every_class
def test_message_is_problem_and_fix(cls: type[CaptoolkitError]) -> None:
    """The text of an error is the problem, a semicolon and the remedy, for every builtin base."""
    assert str(made(cls)) == "it went wrong; try again later"
    assert str(cls("it went wrong")) == "it went wrong"


@every_class
def test_fields_can_be_read(cls: type[CaptoolkitError]) -> None:
    """An error holds the values of its arguments."""
    error = made(cls)
    assert {name: getattr(error, name) for name in fields_of(cls)} == fields_of(cls)


@every_class
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_error_keeps_everything(cls: type[CaptoolkitError], protocol: int) -> None:
    """A pickled error keeps its class, text, fields and notes."""
    error = made(cls)
    error.add_note("while reading night.wav")
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(again) is cls
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))
    assert again.__notes__ == ["while reading night.wav"]


@every_class
def test_copied_error_is_alike(cls: type[CaptoolkitError]) -> None:
    """A copy of an error has the same text and fields."""
    error = made(cls)
    again = copy.deepcopy(error)
    assert again is not error
    assert (type(again), str(again), vars(again)) == (cls, str(error), vars(error))


def test_error_crosses_a_process_pool() -> None:
    """An error that is raised in another process keeps its class and fields."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        error = pool.submit(parse_duration, "soon").exception(timeout=60)
    assert isinstance(error, UsageError)
    assert error.problem == "'soon' is not a duration above zero"
    assert error.fix.startswith("write 90")


def test_path_is_kept_as_text() -> None:
    """The path is held as text, so that the error can be pickled."""
    assert CaptoolkitError("no", path=object.__new__(object)).path is not None
    assert CaptoolkitError("no").path is None


@every_class
def test_the_repr_has_the_message_and_the_path(cls: type[CaptoolkitError]) -> None:
    """A list of results shows which file failed, and why."""
    name = cls.__name__
    assert repr(cls("no such file", fix="check the name", path="a.wav")) == (
        f"{name}('no such file; check the name', path='a.wav')"
    )
    assert repr(cls("broken")) == f"{name}('broken')"
