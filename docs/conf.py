"""Settings of the documentation: `sphinx-build -W -b html docs build/docs`.

The pages are Markdown (MyST). The API reference is read from the docstrings, which are Google style
with code in Markdown; `convert_markdown` turns that code into reStructuredText for autodoc.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from captoolkit import __version__, model  # noqa: E402 - the path above comes first

project = "captoolkit"
author = "The captoolkit authors"
copyright = author
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["examples"]
html_theme = "furo"
html_title = f"captoolkit {release}"
html_copy_source = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

default_role = "code"  # a name in backticks that runs over two lines of a docstring
napoleon_use_ivar = True  # `Attributes:` documents fields without a second entry for each
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True}
python_display_short_literal_types = True
python_maximum_signature_line_length = 88

# Classes that only captoolkit makes; the arguments of their constructors are no part of the API.
RETURNED = {"Captions", "CaptionRun", "Prepared", "ReadySegment"}

FENCE = re.compile(r"^( *)```(\w*) *$")
CODE = re.compile(r"(?<![`:])`([^`]+)`(?!`)")


def convert_markdown(
    app: object, kind: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """Turn the Markdown code of a docstring into that of reStructuredText, in place."""
    converted: list[str] = []
    indent = None
    for line in lines:
        fence = FENCE.match(line)
        if fence and indent is None:
            indent = fence[1]
            converted += ["", f"{indent}.. code-block:: {fence[2] or 'text'}", ""]
        elif fence:
            indent = None
            converted.append("")
        else:
            converted.append(f"   {line}" if indent is not None else CODE.sub(r"``\1``", line))
    lines[:] = converted


def hide_constructor(
    app: object, kind: str, name: str, *signature: object
) -> tuple[str, None] | None:
    """Leave out the arguments of a class that only captoolkit makes."""
    return ("", None) if name.removeprefix("captoolkit.") in RETURNED else None


def setup(app: Any) -> None:
    """Connect `convert_markdown`; it runs before napoleon reads the docstring's sections.

    The values are shown and linked by the module that code imports them from.
    """
    for value in (getattr(model, name) for name in dir(model)):
        if isinstance(value, type):
            value.__module__ = model.__name__
    app.connect("autodoc-process-docstring", convert_markdown, priority=400)
    app.connect("autodoc-process-signature", hide_constructor)
