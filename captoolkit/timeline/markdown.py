"""Markdown: a page with the recording's name, and a section for each entry.

Text stays text: every character that CommonMark or GitHub's dialect would read as emphasis, code, a
link, HTML, a table, a formula, a heading or a list gets a backslash before it, which both dialects
remove. Lines stay lines (each but the last ends in a backslash), paragraphs stay paragraphs. The
details of an entry are a quotation below its text.
"""

from __future__ import annotations

import re
from pathlib import PurePath

from captoolkit.model import CaptionerInfo
from captoolkit.timeline.cues import Cue, cues, millisecond_losses
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import detail_paragraphs, one_line, paragraphs

_ANYWHERE = re.compile(r"[\\`*_\[\]<>&~|$#@]|:(?=//)|(?<=www)\.", re.IGNORECASE)
_LINE_START = re.compile(r"^(\d{1,9}(?=[.)])|(?=[-+=:]))")


def render(timeline: Timeline) -> str:
    """Return the timeline as a Markdown page."""
    path = timeline.source.path
    title = f"# {escape(one_line(PurePath(path).name or path))}\n"
    credit = f"Captions by {_captioner(timeline.captioner)}.\n"
    return "\n".join([title, credit, *(_section(cue) for cue in cues(timeline))])


def losses(timeline: Timeline) -> list[str]:
    """Return a sentence on very short entries."""
    return millisecond_losses(timeline)


def escape(line: str) -> str:
    r"""Return one line of text so that Markdown shows exactly that text.

    ```python
    >>> print(escape("1. *loud* <b> & http://a.example"))
    1\. \*loud\* \<b\> \& http\://a.example

    ```
    """
    return _LINE_START.sub(r"\1\\", _ANYWHERE.sub(r"\\\g<0>", line))


def _captioner(captioner: CaptionerInfo) -> str:
    return f"{escape(one_line(captioner.name))}, model {escape(one_line(captioner.model))}"


def _section(cue: Cue) -> str:
    texts = ["\\\n".join(map(escape, lines)) for lines in paragraphs(cue.entry)]
    details = ["\\\n> ".join(map(escape, lines)) for lines in detail_paragraphs(cue.entry)]
    if details:
        texts.append("> " + "\n>\n> ".join(details))
    return "\n\n".join([f"## {cue.times}", *texts]) + "\n"
