r"""Server-sent events as they come: bytes in, events out.

Rules: pure and incremental; a block may end anywhere, inside a letter too. Tolerant of what Model
Studio and gateways in front of it send: no space after the colon, no blank line between events,
any line ending, the real status in a comment (`:HTTP_STATUS/429`), which other readers drop. What
is no field of an event (HTML, a JSON document) gives no event. Source of the format: WHATWG HTML,
"Server-sent events"; of its exceptions: Model Studio, "Audio understanding (Qwen-Audio)", and the
code of its SDK for older gateways.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from captoolkit.net.http_messages import parse_json

STATUS_COMMENT = b":HTTP_STATUS/"
DONE = b"[DONE]"  # how OpenAI's protocol ends a stream
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event.

    Attributes:
        data: what it carries, UTF-8.
        status: what stood in the comment, such as `429`; empty where there was none.
    """

    data: bytes
    status: str = ""

    @property
    def is_done(self) -> bool:
        """Whether this is the mark at the end of a stream."""
        return self.data == DONE


class Decoder:
    r"""Takes the bytes of a stream, block by block, and gives its events.

    ```python
    >>> decoder = Decoder()
    >>> [event.data for event in decoder.feed(b"id:1\ndata:{}\nid:2\nda")]
    [b'{}']
    >>> [event.data for event in (*decoder.feed(b"ta: [DONE]"), *decoder.end())]
    [b'[DONE]']

    ```
    """

    def __init__(self) -> None:
        self._held: list[bytes] = []  # the beginning of a line whose end has not come
        self._after_cr = False
        self._is_first_line = True
        self._data: list[bytes] = []
        self._status = ""

    def feed(self, block: bytes) -> Iterator[Event]:
        """Yield the events that end within this block."""
        if self._after_cr and block:  # a CRLF that was cut in two is one line's end
            block = block.removeprefix(b"\n")
            self._after_cr = False
        lines = block.splitlines(keepends=True)
        for line in lines:
            self._held.append(line)
            if line.endswith((b"\n", b"\r")):
                yield from self._line(self._taken())
        self._after_cr = block.endswith(b"\r")

    def end(self) -> Iterator[Event]:
        """Yield what the end of the stream completes: an event without a blank line after it."""
        yield from self._line(self._taken())
        yield from self._event()

    def _taken(self) -> bytes:
        line = b"".join(self._held).rstrip(b"\r\n")
        self._held.clear()
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(BOM)
        return line

    def _line(self, line: bytes) -> Iterator[Event]:
        if not line:
            yield from self._event()
            return
        name, _, value = line.partition(b":")
        is_status = line.startswith(STATUS_COMMENT)
        if (is_status or name in (b"id", b"event", b"data")) and self._is_complete():
            yield from self._event()
        if is_status:
            self._status = line[len(STATUS_COMMENT) :].strip().decode("ascii", "replace")
        elif name == b"data":
            self._data.append(value.removeprefix(b" "))

    def _is_complete(self) -> bool:
        """Whether the data so far needs no further line: it is a JSON value, or the end's mark.

        Only a first line is looked at: data of several lines comes from who knows blank lines.
        """
        if len(self._data) != 1:
            return False
        try:
            parse_json(self._data[0])
        except ValueError:
            return self._data[0].strip() == DONE
        return True

    def _event(self) -> Iterator[Event]:
        data, status = b"\n".join(self._data).strip(), self._status
        self._data, self._status = [], ""
        if data:
            yield Event(data=data, status=status)
