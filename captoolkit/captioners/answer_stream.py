"""Reading an answer while it comes, whatever it is wrapped in: bytes in, one caption out.

Rules: pure. An answer is judged by its body and never by its Content-Type, because Model Studio
sends event streams under `application/json` and errors under status 200. Reading raises nothing but
`ServiceError`, whatever the bytes are, and never returns an empty caption, nor one whose stream
ended before its end or lost an event on its way. A stream that breaks after its end is whole: it
has been paid for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from captoolkit.captioners.answers import (
    ERROR_FINISH,
    Part,
    ReadPart,
    decode,
    find_fault,
    make_caption,
    spoken_fault,
)
from captoolkit.captioners.failures import ServiceFault, http_error_status, service_error
from captoolkit.errors import ServiceConnectionError, ServiceError
from captoolkit.model import Caption, Usage
from captoolkit.net.http_messages import EXCERPT_CHARS, Response, StreamingResponse, clean
from captoolkit.net.sse import BOM, Decoder, Event

OnText = Callable[[str], None]

# What an answer begins with: a JSON object, or a stream of events.
BEGINNINGS = (b"{", b"data:", b"id:", b"event:", b"retry:", b":")
# So much text that begins exactly as all the text before it is no coincidence.
TELLING_CHARS = 8


def ignore(text: str) -> None:
    """Do nothing with a piece of text."""


def read(
    arriving: StreamingResponse,
    read_part: ReadPart,
    *,
    cumulates: bool = False,
    on_text: OnText = ignore,
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


class _Answer:
    """An answer in the making."""

    def __init__(
        self, arriving: StreamingResponse, read_part: ReadPart, *, cumulates: bool, on_text: OnText
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
            ServiceConnectionError: it is a part of one.
        """
        document = decode(event.data)
        status_code = http_error_status(event.status) or self._arriving.status_code
        if isinstance(document, dict):
            self._is_stream = True
            self._refuse(find_fault(document, status_code))
            part = self._read_part(document)
            new = self._pieces.take(part.text)
            if part.finish_reason == ERROR_FINISH:
                self._refuse(spoken_fault(part, self._pieces.text, self._reply))
            self._part = self._part.then(part, "")
            self._tell(new)
        elif event.data.startswith(b"{"):
            raise self._unreadable(event.data, status_code)
        self._is_done = self._is_done or (self._is_stream and event.is_done)

    def caption(self) -> Caption:
        """Return what all of it says.

        Raises:
            ServiceError: it is an error, holds no caption, or is unreadable.
            ServiceConnectionError: it is a part of an answer.
        """
        if not self._is_stream:
            return make_caption(self._read_document(), self._reply)
        self._tell(self._pieces.end())
        if not self.is_whole:
            raise self._broken_off()
        return make_caption(self._part.then(Part(), self._pieces.text), self._reply)

    def _read_document(self) -> Part:
        """What a body that is no stream says."""
        body, status_code = bytes(self._body), self._arriving.status_code
        document = decode(body)
        if isinstance(document, dict):
            self._refuse(find_fault(document, status_code))
        if status_code // 100 != 2 or not isinstance(document, dict):
            raise self._unreadable(body, status_code)
        part = self._read_part(document)
        part = part.then(Part(), mended(part.text))
        if part.finish_reason == ERROR_FINISH:
            self._refuse(spoken_fault(part, part.text, self._reply))
        self._tell(part.text)
        return part

    def _refuse(self, fault: ServiceFault | None) -> None:
        if fault:
            raise service_error(fault, self._reply)

    def _unreadable(self, text: bytes, status_code: int) -> ServiceError:
        """What is wrong with what should be a JSON object: it is a part of one, or none at all."""
        text = text.removeprefix(BOM).lstrip()
        begins = any(text[: len(word)] == word[: len(text)] for word in BEGINNINGS)
        if status_code // 100 == 2 and begins:
            return self._broken_off()
        excerpt = clean(text[: 4 * EXCERPT_CHARS].decode(errors="replace"), EXCERPT_CHARS)
        message = f"something else than a JSON object: {excerpt}" if excerpt else "nothing"
        return service_error(ServiceFault(message=message, status_code=status_code), self._reply)

    def _broken_off(self) -> ServiceConnectionError:
        return ServiceConnectionError(
            "the service's answer broke off before its end",
            fix="ask again",
            status_code=self._arriving.status_code,
        )

    def _tell(self, text: str) -> None:
        if text:
            self._on_text(text)

    @property
    def _reply(self) -> Response:
        return Response(
            status_code=self._arriving.status_code,
            headers=self._arriving.headers,
            body=bytes(self._body),
        )


class Pieces:
    """The text of a stream, put together from its pieces.

    In an incremental stream each piece continues the text; in a cumulative one each holds all the
    text so far. The former is asked for; some hosts send the latter even so. As long as it is not
    clear which it is, a piece is held back: mostly that is the second one alone. A song may begin
    a piece with all of the one before ("La la", "La la la"), so one piece that does not settles it.
    An end that may be half a letter is held back as well.

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
        return mended(self._text)

    @property
    def _text(self) -> str:
        return self._latest if self._cumulates else self._joined

    def take(self, piece: str) -> str:
        """Take in a piece; return what is new in the text, as far as it is clear."""
        if not piece:
            return ""
        is_first = not self._latest
        if self._cumulates is not False and not is_first:
            self._compare(piece)
        self._joined = _join(self._joined, piece)
        self._latest = piece
        is_clear = is_first or self._cumulates is not None
        return self._new(_settled(self._text)) if is_clear else ""

    def end(self) -> str:
        """Return what was held back: what is not clear by now is what was asked for."""
        self._cumulates = bool(self._cumulates)
        return self._new(self._text)

    def _compare(self, piece: str) -> None:
        """See what a piece says of the kind of stream, beside the one before it."""
        before = _settled(self._latest)
        if not piece.startswith(before):
            if self._cumulates:  # what was told cannot be taken back; it goes on with what is new
                self._told_chars = len(_settled(self._joined))
            self._cumulates = False
        elif before and piece != self._latest:
            self._steps += 1
            if self._steps > 1 or len(before) >= TELLING_CHARS:
                self._cumulates = True

    def _new(self, text: str) -> str:
        new = text[self._told_chars :]
        self._told_chars += len(new)
        return mended(new)


# JSON may write a letter outside of the first 65536 as two halves, which are no letters: U+D800 to
# U+DBFF, then U+DC00 to U+DFFF. Where there should be a letter and is none, U+FFFD stands.
_HALF = re.compile("[\ud800-\udfff]")
_UNFINISHED = "".join(map(chr, range(0xD800, 0xDC00))) + "\ufffd"


def mended(text: str) -> str:
    """Return a text without halves of letters, which could neither be shown nor written down."""
    return _HALF.sub("\ufffd", text)


def _settled(text: str) -> str:
    """Return a text without an end that may become another letter with the next piece."""
    return text.rstrip(_UNFINISHED)


def _join(text: str, piece: str) -> str:
    """Return both as one; two halves of a letter become one."""
    seam = (text[-1:] + piece[:1]).encode("utf-16-le", "surrogatepass")
    return text[:-1] + seam.decode("utf-16-le", "surrogatepass") + piece[1:]
