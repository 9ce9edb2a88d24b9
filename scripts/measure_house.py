"""Measure how easily a newcomer finds a rule in captoolkit and reads it; print one row per measure.

    python scripts/measure_house.py            # this project
    python scripts/measure_house.py ANOTHER    # another checkout of it

The script only reads source text; it imports and runs nothing of the project.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import statistics
import sys
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "captoolkit"
SHARED_NAMES = {"__init__", "base"}  # every folder may have these files
SHORT_MODULE_LINES = 100
LONG_FUNCTION_LINES = 50
IDIOM_WORDS = (
    "anew|asked|beside|lies|nobody|of it|one by one|said|says|somebody|told|tells|what|whatever"
    "|whoever|whose|as it is|comes out|there is none|it is none|is held against"
)
IDIOM = re.compile(rf"\b(?:{IDIOM_WORDS})\b", re.IGNORECASE)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def main() -> int:
    """Print the measures of a checkout."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("root", nargs="?", type=Path, default=ROOT, help="default: this project")
    root = parser.parse_args().root
    rows = measures(root)
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:{width}}  {value}")
    return 0


def measures(root: Path) -> dict[str, str]:
    """Return each measure of the project in `root` by its name."""
    texts = {
        path.relative_to(root): path.read_text(encoding="utf-8")
        for path in sorted((root / PACKAGE).rglob("*.py"))
    }
    trees = {path: ast.parse(text) for path, text in texts.items()}
    private, single = private_functions(trees.values())
    words, idioms = prose_words(texts.values())
    circles = import_circles(trees)
    lengths = [length for tree in trees.values() for length in function_lengths(tree)]
    long = sum(length > LONG_FUNCTION_LINES for length in lengths)
    short = sum(text.count("\n") < SHORT_MODULE_LINES for text in texts.values())
    return {
        "private functions called from one place": f"{single} of {private}",
        "file names in several folders": listed(repeated_file_names(trees)),
        "class names in several places": listed(repeated_class_names(trees.values())),
        "public-looking functions and classes : exported": ratio(trees.values()),
        "idiom words per 1,000": f"{1000 * idioms / max(words, 1):.1f} ({words} words)",
        "README": f"{(root / 'README.md').stat().st_size} bytes",
        "import circles": listed(" <-> ".join(circle) for circle in circles),
        f"modules under {SHORT_MODULE_LINES} lines": f"{short} of {len(texts)}",
        "median lines of a function": f"{statistics.median(lengths):g}",
        f"functions over {LONG_FUNCTION_LINES} lines": f"{long} of {len(lengths)}",
    }


def listed(names: Iterable[str]) -> str:
    """Return how many names there are, and the names."""
    found = sorted(names)
    return f"{len(found)}: {', '.join(found)}" if found else "0"


# ------------------------------------------------------------------------- names


def private_functions(trees: Iterable[ast.Module]) -> tuple[int, int]:
    """Return how many private functions and methods there are, and how many have one call."""
    total = single = 0
    for tree in trees:
        nodes = list(ast.walk(tree))
        called = [node.func for node in nodes if isinstance(node, ast.Call)]
        calls = Counter(
            node.id if isinstance(node, ast.Name) else node.attr
            for node in called
            if isinstance(node, ast.Name | ast.Attribute)
        )
        names = [node.name for node in nodes if isinstance(node, Function)]
        private = [name for name in names if name.startswith("_") and not name.endswith("__")]
        total += len(private)
        single += sum(calls[name] == 1 for name in private)
    return total, single


def repeated_file_names(paths: Iterable[Path]) -> list[str]:
    """Return the names of modules that occur in several folders."""
    names = Counter(path.stem for path in paths)
    return [name for name, times in names.items() if times > 1 and name not in SHARED_NAMES]


def repeated_class_names(trees: Iterable[ast.Module]) -> list[str]:
    """Return the names of classes that are defined several times."""
    names = Counter(
        node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    )
    return [name for name, times in names.items() if times > 1]


def ratio(trees: Iterable[ast.Module]) -> str:
    """Return how many names without an underscore are defined, and how many are in an `__all__`."""
    looks_public, exported = 0, set[str]()
    for tree in trees:
        for node in tree.body:
            if isinstance(node, Function | ast.ClassDef):
                looks_public += not node.name.startswith("_")
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                exported.update(ast.literal_eval(node.value))
    return f"{looks_public} : {len(exported)}"


# ------------------------------------------------------------------------- words and sizes


def prose_words(texts: Iterable[str]) -> tuple[int, int]:
    """Return how many words docstrings and comments have, and how many idioms."""
    pieces = [piece for text in texts for piece in prose(text)]
    words = sum(len(piece.split()) for piece in pieces)
    return words, sum(len(IDIOM.findall(piece)) for piece in pieces)


def prose(text: str) -> Iterator[str]:
    """Yield the docstrings and the comments of a module."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | Function):
            yield ast.get_docstring(node) or ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string.lstrip("# ")


def function_lengths(tree: ast.Module) -> Iterator[int]:
    """Yield the lines of each function, without its decorators and its docstring."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            first = node.body[0]
            has_docstring = ast.get_docstring(node) is not None
            docstring = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
            yield (node.end_lineno or node.lineno) - node.lineno + 1 - docstring


# ------------------------------------------------------------------------- imports


def import_circles(trees: dict[Path, ast.Module]) -> list[list[str]]:
    """Return the groups of modules that import each other, directly or through others."""
    modules = {
        ".".join(path.with_suffix("").parts).removesuffix(".__init__"): path for path in trees
    }
    arrows = defaultdict[str, set[str]](set)
    for name, path in modules.items():
        arrows[name] = {one for one in imported(trees[path], set(modules)) if one != name}
    reach = {name: reachable(name, arrows) for name in modules}
    circles = {frozenset(o for o in reach[n] if n in reach[o]) for n in modules if n in reach[n]}
    return [sorted(circle) for circle in circles]


def imported(tree: ast.Module, modules: set[str]) -> Iterator[str]:
    """Yield those of `modules` that a module imports, except for types only or in `__getattr__`."""
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        or (isinstance(node, Function) and node.name == "__getattr__")
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in skipped:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield from {name if name in modules else node.module} & modules - {PACKAGE}


def reachable(start: str, arrows: dict[str, set[str]]) -> set[str]:
    """Return every module that can be reached from one by at least one import."""
    found: set[str] = set()
    waiting = list(arrows[start])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += arrows[name]
    return found


if __name__ == "__main__":
    sys.exit(main())
