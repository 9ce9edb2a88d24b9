r"""Server-sent events while they arrive: bytes in, events out.

Rules: pure and incremental; a block may end anywhere, even within a letter. The decoder tolerates
the streams of Model Studio and of gateways in front of it: no space after the colon, no blank line
between events, any line ending, the real status in a comment (`:HTTP_STATUS/429`), which other
decoders drop. A line that is no field of an event (HTML, a JSON document) gives no event. Source of
the format: WHATWG HTML, "Server-sent events"; of the exceptions: Model Studio, "Audio understanding
(Qwen-Audio)", and the code of its SDK for older gateways.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from captoolkit.net.http_messages import BOM, parse_json

STATUS_COMMENT = b":HTTP_STATUS/"
DONE = b"[DONE]"  # the end of a stream in OpenAI's protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSentEvent:
    """One event.

    Attributes:
        data: UTF-8.
        status: the status in the comment, such as `429`; empty without one.
    """

    data: bytes
    status: str = ""

    @property
    def is_done(self) -> bool:
        """Whether the event marks the end of the stream."""
        return self.data == DONE


class SseDecoder:
    r"""Decodes a stream, block by block.

    ```python
    >>> decoder = SseDecoder()
    >>> [event.data for event in decoder.feed(b"id:1\ndata:{}\nid:2\nda")]
    [b'{}']
    >>> [event.data for event in (*decoder.feed(b"ta: [DONE]"), *decoder.end())]
    [b'[DONE]']

    ```
    """

    def __init__(self) -> None:
        self._held: list[bytes] = []  # the beginning of an unfinished line
        self._after_cr = False
        self._is_first_line = True
        self._data: list[bytes] = []
        self._status = ""

    def feed(self, block: bytes) -> Iterator[ServerSentEvent]:
        """Yield the events that end within this block."""
        if self._after_cr and block:  # a CRLF in two blocks is one line ending
            block = block.removeprefix(b"\n")
            self._after_cr = False
        lines = block.splitlines(keepends=True)
        for line in lines:
            self._held.append(line)
            if line.endswith((b"\n", b"\r")):
                yield from self._line(self._held_line())
        self._after_cr = block.endswith(b"\r")

    def end(self) -> Iterator[ServerSentEvent]:
        """Yield the event that the end of the stream completes, without a blank line after it."""
        yield from self._line(self._held_line())
        yield from self._event()

    def _held_line(self) -> bytes:
        line = b"".join(self._held).rstrip(b"\r\n")
        self._held.clear()
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(BOM)
        return line

    def _line(self, line: bytes) -> Iterator[ServerSentEvent]:
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
        """Whether the data so far is complete: a JSON value, or the mark of the end.

        Only a first line is checked: senders of several lines send blank lines as well.
        """
        if len(self._data) != 1:
            return False
        try:
            parse_json(self._data[0])
        except ValueError:
            return self._data[0].strip() == DONE
        return True

    def _event(self) -> Iterator[ServerSentEvent]:
        data, status = b"\n".join(self._data).strip(), self._status
        self._data, self._status = [], ""
        if data:
            yield ServerSentEvent(data=data, status=status)
