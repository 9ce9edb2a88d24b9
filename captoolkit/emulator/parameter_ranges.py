"""The ranges of request parameters, and the words in which a service refuses others. Pure.

Each protocol has its own table. A parameter that no table names is accepted unchanged, as the
services do; a parameter that is null counts as missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from captoolkit.emulator import refusals
from captoolkit.emulator.refusals import RefusedError


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterRange:
    """The range of one parameter.

    Attributes:
        least, most: the bounds; infinite where the service sets none.
        excludes_least, excludes_most: the bound itself is refused.
        is_whole: the parameter is a whole number.
        words: the refusal of a value above the range, and below it unless `words_below` is given;
            `{name}`, `{value}`, `{least}` and `{most}` stand for the values.
        wrong_kind: the refusal of a value that is no such number; `{value}` and `{kind}`, the
            JSON name of its type, stand for it.
    """

    name: str
    words: str
    wrong_kind: str
    least: float = -inf
    most: float = inf
    excludes_least: bool = False
    excludes_most: bool = False
    is_whole: bool = False
    words_below: str = ""

    def check(self, value: object) -> None:
        """Refuse a value that is no number, or is out of range.

        Raises:
            RefusedError: in the words of the range.
        """
        kinds = (int,) if self.is_whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            words = self.wrong_kind.format(name=self.name, value=value, kind=json_kind(value))
            raise RefusedError(refusals.no_number(self.name, value, words))
        is_below = value < self.least or (self.excludes_least and value == self.least)
        is_above = value > self.most or (self.excludes_most and value == self.most)
        if not is_below and not is_above:
            return
        template = (self.words_below or self.words) if is_below else self.words
        words = template.format(name=self.name, value=value, least=self.least, most=self.most)
        raise RefusedError(
            refusals.out_of_range(
                self.name, value, words, is_below=is_below, is_whole=self.is_whole
            )
        )


def check_parameters(parameters: Mapping[str, Any], ranges: Iterable[ParameterRange]) -> None:
    """Refuse the first parameter that is out of its range.

    Raises:
        RefusedError: in the words of the range.
    """
    for one in ranges:
        if parameters.get(one.name) is not None:
            one.check(parameters[one.name])


def json_kind(value: object) -> str:
    """Return the JSON name of a value's type, with its article.

    ```python
    >>> json_kind("x"), json_kind(True), json_kind(1.5), json_kind([])
    ('a string', 'a boolean', 'a decimal', 'an array')

    ```
    """
    names = {
        bool: "a boolean",
        int: "an integer",
        float: "a decimal",
        str: "a string",
        list: "an array",
    }
    return names.get(type(value), "an object" if isinstance(value, dict) else "null")
