"""Difficult captions, and the words that a reader should find in them."""

from __future__ import annotations

import unicodedata

LONG = "The rain goes on, and somewhere behind it a train. " * 400

NASTY = {
    "blank lines": "One.\n\nTwo.\n\n\n  \n\nThree.",
    "arrow": "left --> right -->\n--> and -->",
    "a whole cue": "before\n\n7\n00:00:01,000 --> 00:00:02,000\nafter",
    "a whole VTT cue": "before\n\n7\n00:00:01.000 --> 00:00:02.000 align:start\nafter",
    "two times": "from 00:00:01,000 until 00:00:02,500 and 00:00:03,000 there is hum",
    "two VTT times": "from 00:00:01.000 until 00:00:02.500 hum",
    "loose arrow": "00:00:01,000 -- > 00:00:02,000",
    "VTT keywords": "WEBVTT\n\nNOTE nothing\n\nSTYLE\n::cue {}\n\nREGION\nid:a",
    "ampersands": "Q&A, AT&T; &amp; &lt;b&gt; &nbsp; &#65;",
    "tags": "<b>loud</b> <i>x</i> <font color=red>y</font> < b > <c.red>z <00:00:01.000> </",
    "unclosed tag": "a < b and <u",
    "script": "<script>alert('x')</script><!-- y --><![CDATA[z]]>",
    "braces": r"{\an8}up {music} {} { and }",
    "backslashes": r"C:\new\Night\home \\ \N \n \h \* end\ ",
    "quotes": '"double" \'single\' “curly” „low“ «guillemets» 「鉤括弧」 `tick` """',
    "Chinese": "一位女士在说话。\n\n背景有雨声，“滴答”。",
    "right to left": "صوت المطر\nקול הגשם and English",
    "combining": "e\u0301 नमस्ते ไทย",
    "emoji": "👩‍👩‍👧 🏳️‍🌈 🎵",
    "controls": "bell\x07 nul\x00 esc\x1b[31m del\x7f c1\x9b31m\x1f back\x08",
    "line ends": "a\r\nb\rc\nd\r\n\r\ne\n\rf",
    "rare line ends": "a\u2028b\u2029c\x0bd\x0ce\x85f\x1cg",
    "tabs": "\ta\tb\n\t\n\tc",
    "spaces": "   a   \n\u3000b\u00a0\n\u00a0\nc",
    "digits": "42",
    "digit lines": "1\n2\n\n3\n４\n٥\n-6\n7.5",
    "digits, then a date": "2024\n12.10.2024 was wet\n5\n1:2:3",
    "ends in digits": "They count:\n\n42",
    "headings": "# one\n## two #\nthree\n===\nfour\n---\n***\n___",
    "lists": "- a\n+ b\n* c\n1. d\n2) e\n1234567890. f\n- [ ] g\n:- \n= h",
    "Markdown": "*a* _b_ ~~c~~ `d` $e$ [f](http://g.example) ![h](i.png)\n[j]: k\n[^1]\n> l",
    "code": "    four spaces\n```sh\nx\n```\n~~~\ny",
    "table": "a | b\n--- | ---\n1 | 2\nc\n:-",
    "links": "https://a.example www.b.example <https://c.example> d@e.example mailto:f@g.example",
    "markers": "[silence]\n[no caption: never]",
    "long": LONG,
    "one long word": "x" * 20_000,
    "surrogate": "half \ud83d of one",
    "noncharacters": "a \ufffe b \uffff c",
    "byte order mark": "\ufeffa\ufeffb",
}


def words(text: str) -> list[str]:
    """Return the words of a text, full-width and ordinary forms taken for the same."""
    return unicodedata.normalize("NFKC", text).split()


def shown_words(text: str) -> list[str]:
    """Return the words a reader should find: as written, but for what cannot be shown."""
    return words("".join(map(_shown, text)))


def _shown(character: str) -> str:
    if character.isspace() and character != "\x1f":  # a space for Python, a control for others
        return " "
    is_dropped = unicodedata.category(character) in {"Cc", "Cs"} or character in "\ufffe\uffff"
    return "\ufffd" if is_dropped else character
