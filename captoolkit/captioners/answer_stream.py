"""Reading an answer while it arrives: bytes in, one caption out.

Rules: pure. The body decides whether an answer is a stream or an error, never its Content-Type:
Model Studio sends event streams under `application/json` and errors under status 200. Reading
raises nothing but `ServiceError`, for any bytes. It never returns an empty caption, nor the text of
a stream that ended early or lost an event. A stream that breaks after its end is complete: it has
been paid for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from captoolkit.captioners.answers import (
    ERROR_FINISH,
    AnswerPart,
    ReadPart,
    decode,
    fault_in_text,
    find_fault,
    make_caption,
)
from captoolkit.captioners.base import OnText
from captoolkit.captioners.failures import ServiceFault, http_error_status, service_error
from captoolkit.errors import ServiceConnectionError, ServiceError
from captoolkit.model import Caption, Usage
from captoolkit.net.http_messages import BOM, EXCERPT_CHARS, Response, StreamingResponse, clean
from captoolkit.net.redaction import RedactedStream
from captoolkit.net.sse import ServerSentEvent, SseDecoder

# The first bytes of an answer: of a JSON object, or of a stream of events.
BEGINNINGS = (b"{", b"data:", b"id:", b"event:", b"retry:", b":")
NO_CONTENT = 204
# A piece that repeats all the text before it, at least this much, is no coincidence.
DECISIVE_CHARS = 8


def ignore_text(text: str) -> None:
    """Do nothing with a piece of text."""


def read(
    response: StreamingResponse,
    read_part: ReadPart,
    *,
    cumulates: bool = False,
    on_text: OnText = ignore_text,
) -> Caption:
    """Return the caption that an answer holds, after it has arrived.

    Args:
        response: the answer; its body is one JSON document or a stream of events.
        read_part: reads one document.
        cumulates: whether the pieces of a stream may each hold all the text so far.
        on_text: receives each new piece of the text as it arrives.

    Raises:
        ServiceError: the answer holds an error in any form, no caption, or is unreadable.
        ServiceConnectionError: the answer was cut off.
    """
    reader = _AnswerReader(response, read_part, cumulates=cumulates, on_text=on_text)
    try:
        for event in reader.events():
            reader.take(event)
            if reader.is_over:
                break
    except ServiceConnectionError:
        if not reader.is_complete:
            raise
    return reader.caption()


class _AnswerReader:
    """Collects the parts of one answer."""

    def __init__(
        self, response: StreamingResponse, read_part: ReadPart, *, cumulates: bool, on_text: OnText
    ) -> None:
        self._response = response
        self._read_part = read_part
        self._on_text = on_text
        self._text = StreamedText(cumulates=cumulates)
        self._shown = RedactedStream(response.redactor)
        self._part = AnswerPart()
        self._body = bytearray()
        self._is_stream = False
        self._is_done = False

    @property
    def is_complete(self) -> bool:
        """Whether the whole text has arrived."""
        return self._is_done or self._part.finish_reason is not None

    @property
    def is_over(self) -> bool:
        """Whether nothing more is expected: some hosts never close the connection."""
        return self._is_done or (self.is_complete and self._part.usage != Usage())

    def events(self) -> Iterator[ServerSentEvent]:
        """Yield the events of the body while it arrives."""
        decoder = SseDecoder()
        for block in self._response.blocks:
            self._body += block
            yield from decoder.feed(block)
        yield from decoder.end()

    def take(self, event: ServerSentEvent) -> None:
        """Add one event.

        Raises:
            ServiceError: the event is an error.
            ServiceConnectionError: the event was cut off.
        """
        document = decode(event.data)
        status_code = http_error_status(event.status) or self._response.status_code
        if isinstance(document, dict):
            self._is_stream = True
            self._refuse(find_fault(document, status_code))
            part = self._read_part(document)
            new = self._text.take(part.text)
            if part.finish_reason == ERROR_FINISH:
                text = self._response.redactor.text(self._text.text)
                self._refuse(fault_in_text(part, text, self._complete_response))
            self._part = self._part.merged_with(part, "")
            self._emit(new)
        elif event.data.startswith(b"{"):
            raise self._unreadable(event.data, status_code)
        self._is_done = self._is_done or (self._is_stream and event.is_done)

    def caption(self) -> Caption:
        """Return the caption of the whole answer.

        Raises:
            ServiceError: the answer is an error, holds no caption, or is unreadable.
            ServiceConnectionError: the answer was cut off.
        """
        if not self._is_stream:
            return make_caption(self._read_document(), self._complete_response)
        self._emit(self._text.end(), is_last=True)
        if not self.is_complete:
            raise self._cut_off()
        text = self._response.redactor.text(self._text.text)
        part = self._part.merged_with(AnswerPart(), text)
        return make_caption(part, self._complete_response)

    def _read_document(self) -> AnswerPart:
        """Return the content of a body that is no stream."""
        body, status_code = bytes(self._body), self._response.status_code
        document = decode(body)
        if isinstance(document, dict):
            self._refuse(find_fault(document, status_code))
        if status_code // 100 != 2 or not isinstance(document, dict):
            raise self._unreadable(body, status_code)
        part = self._read_part(document)
        part = part.merged_with(AnswerPart(), without_half_letters(part.text))
        if part.finish_reason == ERROR_FINISH:
            self._refuse(fault_in_text(part, part.text, self._complete_response))
        self._emit(part.text, is_last=True)
        return part

    def _refuse(self, fault: ServiceFault | None) -> None:
        if fault:
            raise service_error(fault, self._complete_response)

    def _unreadable(self, text: bytes, status_code: int) -> ServiceError:
        """Return the error for a text that is no JSON object: a part of one, or something else."""
        text = text.removeprefix(BOM).lstrip()
        begins = any(text[: len(word)] == word[: len(text)] for word in BEGINNINGS)
        if status_code // 100 == 2 and begins and (text or not self._is_whole):
            return self._cut_off()
        excerpt = clean(text[: 4 * EXCERPT_CHARS].decode(errors="replace"), EXCERPT_CHARS)
        message = f"something else than a JSON object: {excerpt}" if excerpt else "nothing"
        fault = ServiceFault(message=message, status_code=status_code)
        return service_error(fault, self._complete_response)

    def _cut_off(self) -> ServiceConnectionError:
        return ServiceConnectionError(
            "the service's answer broke off before its end",
            fix="run it again",
            status_code=self._response.status_code,
        )

    @property
    def _is_whole(self) -> bool:
        """Whether an empty body is the whole answer, and is not cut off."""
        return self._response.status_code == NO_CONTENT or (
            self._response.headers.get("content-length") == "0"
        )

    def _emit(self, text: str, *, is_last: bool = False) -> None:
        shown = self._shown.add(text) + (self._shown.end() if is_last else "")
        if shown:
            self._on_text(shown)

    @property
    def _complete_response(self) -> Response:
        return Response(
            status_code=self._response.status_code,
            headers=self._response.headers,
            body=bytes(self._body),
        )


class StreamedText:
    """The text of a stream, joined from its pieces.

    In an incremental stream each piece continues the text; in a cumulative one each piece holds all
    the text so far. Requests ask for the former; some hosts send the latter. A piece is held back
    until the kind of stream is clear; mostly that is the second piece alone. A song may begin a
    piece with the whole piece before it ("La la", "La la la"), so one piece that does not settles
    it. An end that may be half a letter is held back as well.

    ```python
    >>> text = StreamedText(cumulates=True)
    >>> [text.take(piece) for piece in ("The audio", "The audio clip", "The audio clip is")]
    ['The audio', ' clip', ' is']

    ```
    """

    def __init__(self, *, cumulates: bool) -> None:
        self._cumulates: bool | None = None if cumulates else False  # None: not clear yet
        self._joined = ""
        self._latest = ""
        self._steps = 0
        self._emitted_chars = 0

    @property
    def text(self) -> str:
        """All the text so far."""
        return without_half_letters(self._raw)

    @property
    def _raw(self) -> str:
        return self._latest if self._cumulates else self._joined

    def take(self, piece: str) -> str:
        """Add a piece; return the part of the new text that is certain."""
        if not piece:
            return ""
        is_first = not self._latest
        if self._cumulates is not False and not is_first:
            self._compare(piece)
        self._joined = _join(self._joined, piece)
        self._latest = piece
        is_clear = is_first or self._cumulates is not None
        return self._new(_without_open_end(self._raw)) if is_clear else ""

    def end(self) -> str:
        """Return the text that was held back; a stream of unclear kind is incremental."""
        self._cumulates = bool(self._cumulates)
        return self._new(self._raw)

    def _compare(self, piece: str) -> None:
        """Find out the kind of stream from a piece and the piece before it."""
        before = _without_open_end(self._latest)
        if not piece.startswith(before):
            if self._cumulates:  # emitted text cannot be taken back; only new text follows
                self._emitted_chars = len(_without_open_end(self._joined))
            self._cumulates = False
        elif before and piece != self._latest:
            self._steps += 1
            if self._steps > 1 or len(before) >= DECISIVE_CHARS:
                self._cumulates = True

    def _new(self, text: str) -> str:
        new = text[self._emitted_chars :]
        self._emitted_chars += len(new)
        return without_half_letters(new)


# JSON may write a letter outside of the first 65536 as two halves, which are no letters: U+D800 to
# U+DBFF, then U+DC00 to U+DFFF. U+FFFD replaces a letter that is missing.
_HALF = re.compile("[\ud800-\udfff]")
_UNFINISHED = "".join(map(chr, range(0xD800, 0xDC00))) + "\ufffd"


def without_half_letters(text: str) -> str:
    """Return a text without halves of letters, which can be neither shown nor encoded."""
    return _HALF.sub("\ufffd", text)


def _without_open_end(text: str) -> str:
    """Return a text without an end that may become another letter with the next piece."""
    return text.rstrip(_UNFINISHED)


def _join(text: str, piece: str) -> str:
    """Return both as one; two halves of a letter become one."""
    seam = (text[-1:] + piece[:1]).encode("utf-16-le", "surrogatepass")
    return text[:-1] + seam.decode("utf-16-le", "surrogatepass") + piece[1:]
