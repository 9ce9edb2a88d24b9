"""The screen of a terminal: what a person sees of text with control sequences."""

from __future__ import annotations

import re

TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b[()][A-Z0-9]|\x1b.|([\r\n\b])|([^\x1b\r\n\b]+)")


class Screen:
    """The lines of a terminal that is as high as it must be, so that nothing scrolls away.

    Args:
        columns: the width; longer lines continue on the next one.
    """

    def __init__(self, columns: int = 100) -> None:
        self._columns = columns
        self._rows: list[list[str]] = [[]]
        self._row = 0
        self._column = 0

    def write(self, text: str) -> None:
        """Obey text with control sequences."""
        for match in TOKEN.finditer(text):
            parameters, command, control, plain = match.groups()
            if command:
                first = parameters.split(";")[0]
                self._obey(command, int(first) if first.isdigit() else 0)
            elif control:
                self._move(control)
            elif plain:
                for char in plain:
                    self._put(char)

    @property
    def lines(self) -> list[str]:
        """The lines on the screen, without spaces at their ends and without empty ones."""
        lines = ("".join(row).rstrip() for row in self._rows)
        return [line for line in lines if line]

    def _move(self, control: str) -> None:
        if control == "\n":
            self._row += 1
            self._grow()
        self._column = max(0, self._column - 1) if control == "\b" else 0

    def _obey(self, command: str, number: int) -> None:
        row = self._rows[self._row]
        if command == "A":
            self._row = max(0, self._row - max(1, number))
        elif command == "K" and number == 2:
            self._rows[self._row] = []
        elif command == "K" and number == 1:
            row[: self._column] = " " * min(self._column, len(row))
        elif command == "K":
            del row[self._column :]
        elif command == "J":
            del row[self._column :], self._rows[self._row + 1 :]

    def _put(self, char: str) -> None:
        if self._column == self._columns:
            self._row, self._column = self._row + 1, 0
            self._grow()
        row = self._rows[self._row]
        row.extend(" " * (self._column + 1 - len(row)))
        row[self._column] = char
        self._column += 1

    def _grow(self) -> None:
        while len(self._rows) <= self._row:
            self._rows.append([])
