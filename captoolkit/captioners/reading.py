"""Reading an answer while it comes, whatever it is wrapped in: bytes in, one caption out.

Rules: pure. An answer is judged by its body and never by its Content-Type, because Model Studio
sends event streams under `application/json` and errors under status 200. Reading raises nothing but
`ServiceError`, whatever the bytes are, and never returns an empty caption, nor one whose stream
ended before its end. A stream that breaks after its end is whole: it has been paid for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from captoolkit.captioners.answers import (
    JsonObject,
    Part,
    ReadPart,
    decode,
    find_fault,
    make_caption,
)
from captoolkit.captioners.exchange import EXCERPT_CHARS, Arriving, Reply, clean
from captoolkit.captioners.faults import Fault, http_error_status, service_error
from captoolkit.captioners.sse import Decoder, Event
from captoolkit.errors import ServiceConnectionError
from captoolkit.model import Caption, Usage

OnText = Callable[[str], None]

# So much text that begins exactly as all the text before it is no coincidence.
TELLING_CHARS = 8


def ignore(text: str) -> None:
    """Do nothing with a piece of text."""


def read(
    arriving: Arriving, read_part: ReadPart, *, cumulates: bool = False, on_text: OnText = ignore
) -> Caption:
    """Return the caption that an answer holds, once it has come.

    Args:
        arriving: the answer; its body may be one JSON document or a stream of events.
        read_part: reads one document.
        cumulates: whether the pieces of a stream may each hold all the text so far.
        on_text: receives each new piece of the text as it comes.

    Raises:
        ServiceError: the answer holds an error in any wrapping, no caption, or is unreadable.
        ServiceConnectionError: it broke off before its end.
    """
    answer = _Answer(arriving, read_part, cumulates=cumulates, on_text=on_text)
    try:
        for event in answer.events():
            answer.take(event)
            if answer.is_over:
                break
    except ServiceConnectionError:
        if not answer.is_whole:
            raise
    return answer.caption()


def whole(reply: Reply) -> Arriving:
    """Return a reply that has come as one that is coming."""
    return Arriving(status_code=reply.status_code, headers=reply.headers, blocks=iter([reply.body]))


class _Answer:
    """An answer in the making."""

    def __init__(
        self, arriving: Arriving, read_part: ReadPart, *, cumulates: bool, on_text: OnText
    ) -> None:
        self._arriving = arriving
        self._read_part = read_part
        self._on_text = on_text
        self._pieces = Pieces(cumulates=cumulates)
        self._part = Part()
        self._body = bytearray()
        self._is_stream = False
        self._is_done = False

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the text is missing."""
        return self._is_done or self._part.finish_reason is not None

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to wait for: some hosts never close their end."""
        return self._is_done or (self.is_whole and self._part.usage != Usage())

    def events(self) -> Iterator[Event]:
        """Yield the events of the body while it comes."""
        decoder = Decoder()
        for block in self._arriving.blocks:
            self._body += block
            yield from decoder.feed(block)
        yield from decoder.end()

    def take(self, event: Event) -> None:
        """Take in one event.

        Raises:
            ServiceError: it is an error.
        """
        document = decode(event.data)
        if isinstance(document, dict):
            self._is_stream = True
            self._refuse_fault(document, http_error_status(event.status))
            part = self._read_part(document)
            new = self._pieces.take(part.text)
            self._part = self._part.then(part, self._pieces.text)
            self._tell(new)
        self._is_done = self._is_done or (self._is_stream and event.is_done)

    def caption(self) -> Caption:
        """Return what all of it says.

        Raises:
            ServiceError: it is an error, holds no caption, or is unreadable.
            ServiceConnectionError: it is a part of a stream.
        """
        if not self._is_stream:
            return make_caption(self._read_document(), self._reply)
        self._tell(self._pieces.end())
        if not self.is_whole:
            raise ServiceConnectionError(
                "the service's answer broke off before its end",
                fix="ask again",
                status_code=self._arriving.status_code,
            )
        return make_caption(self._part.then(Part(), self._pieces.text), self._reply)

    def _read_document(self) -> Part:
        """What a body that is no stream says."""
        document = decode(bytes(self._body))
        if isinstance(document, dict):
            self._refuse_fault(document, None)
        if self._arriving.status_code // 100 != 2 or not isinstance(document, dict):
            start = self._body[: 4 * EXCERPT_CHARS].decode(errors="replace")
            excerpt = clean(start, EXCERPT_CHARS)
            message = f"something else than a JSON object: {excerpt}" if excerpt else "nothing"
            raise service_error(Fault(message=message), self._reply)
        part = self._read_part(document)
        self._tell(part.text)
        return part

    def _refuse_fault(self, document: JsonObject, status_code: int | None) -> None:
        fault = find_fault(document, status_code or self._arriving.status_code)
        if fault:
            raise service_error(fault, self._reply)

    def _tell(self, text: str) -> None:
        # The words under this reason are an error's.
        if text and self._part.finish_reason != "error_finish":
            self._on_text(text)

    @property
    def _reply(self) -> Reply:
        return Reply(
            status_code=self._arriving.status_code,
            headers=self._arriving.headers,
            body=bytes(self._body),
        )


class Pieces:
    """The text of a stream, put together from its pieces.

    In an incremental stream each piece continues the text; in a cumulative one each holds all the
    text so far. The former is asked for; some hosts send the latter even so. As long as it is not
    clear which it is, a piece is held back: mostly that is the second one alone.

    ```python
    >>> pieces = Pieces(cumulates=True)
    >>> [pieces.take(piece) for piece in ("The audio", "The audio clip", "The audio clip is")]
    ['The audio', ' clip', ' is']

    ```
    """

    def __init__(self, *, cumulates: bool) -> None:
        self._cumulates: bool | None = None if cumulates else False  # None: not clear yet
        self._joined = ""
        self._latest = ""
        self._steps = 0
        self._told_chars = 0

    @property
    def text(self) -> str:
        """All the text so far."""
        return self._latest if self._cumulates else self._joined

    def take(self, piece: str) -> str:
        """Take in a piece; return what is new in the text, as far as it is clear."""
        if not piece:
            return ""
        if self._cumulates is None and self._latest:
            self._compare(piece)
        self._joined += piece
        self._latest = piece
        return "" if self._cumulates is None and self._told_chars else self._new()

    def end(self) -> str:
        """Return what was held back: what is not clear by now is what was asked for."""
        self._cumulates = bool(self._cumulates)
        return self._new()

    def _compare(self, piece: str) -> None:
        """See what a piece says of the kind of stream, beside the one before it."""
        if not piece.startswith(self._latest):
            self._cumulates = False
        elif piece != self._latest:
            self._steps += 1
            if self._steps > 1 or len(self._latest) >= TELLING_CHARS:
                self._cumulates = True

    def _new(self) -> str:
        new = self.text[self._told_chars :]
        self._told_chars += len(new)
        return new
