"""Everything that serves a request and does not speak HTTP; what waits here, waits in a thread.

Rules: as many requests are worked on as there are cores, and a few are held in memory at once; the
rest wait in their connections. What a request brought goes with it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

from captoolkit.emulator import corrupt, refusals
from captoolkit.emulator import listen as hearing
from captoolkit.emulator.audio_input import Fetcher, decode
from captoolkit.emulator.chat_request import Ask, refuse_unfit
from captoolkit.emulator.fault_injection import Fault, Kind, Schedule
from captoolkit.emulator.journal import Journal
from captoolkit.emulator.refusals import Refusal, RefusedError
from captoolkit.emulator.replies import Reply, Wire, encoded, input_tokens, make_answer
from captoolkit.emulator.storage import SCHEME, Uploads
from captoolkit.model import Target
from captoolkit.services import catalogue
from captoolkit.support import files
from captoolkit.support.cancel import Closing, StoppedError

LOG = logging.getLogger("captoolkit")

RESOLVE_HEADER = "x-dashscope-ossresourceresolve"
# Rows of what is not asked over Model Studio's protocols.
ELSEWHERE = frozenset({"acoustic", "sglang", "vllm"})
COMPATIBLE = "openai"  # what rows call the compatible protocol


@dataclass(slots=True, kw_only=True)
class Request:
    """One request: what arrived, and what becomes known of it on the way.

    Attributes:
        headers: their names are in lower case; the key is among them.
        body: whole, or why it is not.
        port: the emulator's.
    """

    wire: Wire
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | Refusal = field(repr=False)
    fault: Kind | None
    port: int
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    model: str | None = None
    streams: bool = False
    audio_sha256: str | None = None


class Room(Closing):
    """The models served here, the storage, the faults, the journal, and the workers."""

    def __init__(
        self, *, faults: Iterable[str | Fault] = (), seed: int = 0, log: Path | None = None
    ) -> None:
        self.schedule = Schedule(faults, seed=seed)
        self.stop = Event()
        rows = [row for row in catalogue.targets().values() if row.name not in ELSEWHERE]
        # Of two rows with one model the first counts, as everywhere; the user's own come first.
        self.targets = {model: row for row in reversed(rows) for model in row.models}
        self.journal = Journal(log)
        self._folder = files.make_staging(None)
        self.uploads = Uploads(self._folder)
        cores = os.cpu_count() or 1
        self.workers = ThreadPoolExecutor(max(2, cores), thread_name_prefix="captoolkit-emulator")

    def close(self) -> None:
        """Stop working and remove all files; may be called twice."""
        self.stop.set()
        self.workers.shutdown(cancel_futures=True)
        self.journal.close()
        files.remove_folder(self._folder)

    def target(self, model: str) -> Target:
        """Return the row of a model.

        Raises:
            RefusedError: there is none of that name.
        """
        if model not in self.targets:
            raise RefusedError(refusals.unknown_model(model))
        return self.targets[model]

    def models(self) -> list[str]:
        """Return the models that the compatible protocol has."""
        return [name for name, row in self.targets.items() if _is_compatible(row)]

    def answer(self, request: Request) -> Reply | None:
        """Return the answer to a request for a caption, None where a fault wants none."""
        try:
            reply = self._answer(request)
        except RefusedError as refused:
            reply = refuse(request, refused.refusal)
        except StoppedError:
            return None
        except Exception:  # one request must not end the server
            LOG.exception("the emulator failed on request %s", request.request_id)
            reply = refuse(request, refusals.FAILED)
        return None if reply is None else corrupt.spoil(reply, request.fault)

    def _answer(self, request: Request) -> Reply | None:
        """The answer; a fault comes before everything else, but the request is read for it too."""
        if self.stop.is_set():
            raise StoppedError
        read = self._read(request)
        if request.fault in corrupt.UNANSWERED:
            return None
        if request.fault in corrupt.REFUSALS:
            raise RefusedError(corrupt.REFUSALS[request.fault])
        if request.fault is Kind.HTML:
            return corrupt.page()
        if request.fault is Kind.REDIRECT:
            return corrupt.redirect(request.port)
        refuse_key(request.headers)
        if isinstance(read, Refusal):
            raise RefusedError(read)
        return self._said(request, read)

    def _read(self, request: Request) -> Ask | Refusal:
        """What is asked, or why it cannot be read; the request then knows what it is about."""
        try:
            document = read_document(request.body)
            request.body = b""
            model = document.get("model")
            request.model = model if isinstance(model, str) else None
            ask = request.wire.read(document, request.headers)
        except RefusedError as refused:
            return refused.refusal
        request.streams = ask.streams
        request.audio_sha256 = self._sha256(ask)
        return ask

    def _sha256(self, ask: Ask) -> str | None:
        """Of the newest audio, if it is at hand; that of a URL is known when it is fetched."""
        newest = next(reversed(ask.audios), "")
        if newest.startswith(SCHEME):
            stored = self.uploads.find(newest)
            return stored.sha256 if stored else None
        data = decode(newest)
        return None if data is None else hashlib.sha256(data).hexdigest()

    def _said(self, request: Request, ask: Ask) -> Reply:
        target = self.target(ask.model)
        if request.wire.is_compatible and not _is_compatible(target):
            raise RefusedError(refusals.not_compatible(ask.model))
        refuse_unfit(ask, target)
        with files.staging(self._folder) as folder:
            fetcher = Fetcher(
                folder=folder,
                target=target,
                model=ask.model,
                uploads=self.uploads,
                resolves=request.headers.get(RESOLVE_HEADER) == "enable",
            )
            fetched = [fetcher.fetch(audio, str(i)) for i, audio in enumerate(ask.audios)]
            request.audio_sha256 = fetched[-1].sha256
            sounds = [hearing.look(one.path, target) for one in fetched]
            counted = input_tokens(ask, target, [sound.duration_s for sound in sounds])
            refuse_many_tokens(sum(counted), target)
            measured = hearing.listen(sounds[-1], self.stop)
        answer = make_answer(
            ask,
            target,
            measured=measured,
            counted=counted,
            request_id=request.request_id,
            created_s=int(time.time()),
        )
        return _headed(request.wire.answer(answer, ask), request.request_id)


def read_document(body: bytes | Refusal) -> dict[str, Any]:
    """Return the JSON object that a body holds.

    Raises:
        RefusedError: it holds none, or was refused as it arrived.
    """
    if isinstance(body, Refusal):
        raise RefusedError(body)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedError(refusals.NO_JSON) from None
    if not isinstance(document, dict):
        raise RefusedError(refusals.NO_JSON)
    return document


def refuse_key(headers: Mapping[str, str]) -> None:
    """Refuse a request without a key; any key will do, as long as it is one.

    Raises:
        RefusedError: it has none.
    """
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if not scheme:
        raise RefusedError(refusals.NO_KEY)
    if scheme.lower() != "bearer" or not key.strip():
        raise RefusedError(refusals.BAD_KEY)


def refuse_many_tokens(tokens: int, target: Target) -> None:
    """Refuse a request that is longer than a model reads.

    Raises:
        RefusedError: it is.
    """
    most = target.limit("max_input_tokens")
    if most is not None and tokens > most:
        raise RefusedError(refusals.out_of_range("input length", int(most)))


def refuse(request: Request, refusal: Refusal) -> Reply:
    """Return a refusal as the request's protocol puts it."""
    reply = request.wire.refuse(refusal, request.request_id, request.streams)
    headers = {} if refusal.retry_after_s is None else {"Retry-After": str(refusal.retry_after_s)}
    return _headed(reply, request.request_id, headers)


def tell(request: Request, document: Mapping[str, Any]) -> Reply:
    """Return a document that is no caption."""
    return _headed(Reply(status=200, parts=(encoded(document),)), request.request_id)


def _headed(reply: Reply, request_id: str, headers: Mapping[str, str] | None = None) -> Reply:
    return replace(reply, headers={"X-Request-Id": request_id, **(headers or {})})


def _is_compatible(row: Target) -> bool:
    return COMPATIBLE in (row.protocols or (COMPATIBLE,))
