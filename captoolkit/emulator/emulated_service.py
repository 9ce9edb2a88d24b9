"""The service behind the HTTP application: models, storage, faults, journal, worker threads.

Rules: this module does not speak HTTP and may block; it runs in worker threads, as many as there
are cores. The files of a request are removed with its reply.
"""

from __future__ import annotations

import hashlib
import hmac
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

from captoolkit.emulator import audio_input, refusals, replies
from captoolkit.emulator.audio_input import AudioFetcher
from captoolkit.emulator.chat import (
    ChatRequest,
    count_input_tokens,
    make_answer,
    refuse_long_output,
    refuse_unfit,
)
from captoolkit.emulator.fault_injection import FaultKind, FaultSchedule
from captoolkit.emulator.journal import RequestJournal
from captoolkit.emulator.refusals import Refusal, RefusedError
from captoolkit.emulator.replies import HttpReply, ServerProtocol
from captoolkit.emulator.service_profiles import DEFAULT_PROFILE, profile_of
from captoolkit.emulator.storage import SCHEME, UploadStorage
from captoolkit.errors import UsageError
from captoolkit.model import Target
from captoolkit.services import catalogue
from captoolkit.support import files
from captoolkit.support.cancel import Closing, StoppedError

LOG = logging.getLogger("captoolkit")

RESOLVE_HEADER = "x-dashscope-ossresourceresolve"
COMPATIBLE = "openai"  # the name of the compatible protocol in the rows
NO_SOUND = "There is no audio to measure."


@dataclass(slots=True, kw_only=True)
class ReceivedRequest:
    """One request, and the facts about it that the journal records.

    Attributes:
        headers: their names are in lower case; the key is among them.
        body: complete, or the reason why it is not.
        port: the emulator's.
    """

    protocol: ServerProtocol
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | Refusal = field(repr=False)
    fault: FaultKind | None
    port: int
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    model: str | None = None
    streams: bool = False
    audio_sha256: str | None = None


class EmulatedService(Closing):
    """The served models, the storage, the faults, the journal, and the worker threads."""

    def __init__(
        self,
        *,
        like: str = DEFAULT_PROFILE,
        key: str | None = None,
        faults: Iterable[str] = (),
        seed: int = 0,
        latency_s: float = 0.0,
        log: Path | None = None,
    ) -> None:
        self.profile = profile_of(like)
        self._key = key
        self.began_s = int(time.time())
        self.latency_s = latency_s
        if isinstance(faults, str):
            raise UsageError(f"faults={faults!r} must be a list of texts", fix=f"pass [{faults!r}]")
        self.faults = FaultSchedule(faults, seed=seed)
        self.stop = Event()
        rows = [row for row in catalogue.targets().values() if self.profile.serves(row)]
        # Of two rows with one model the first counts; the user's own rows come first.
        self.targets = {model: row for row in reversed(rows) for model in row.models}
        self.journal = RequestJournal(log)
        self._folder = files.make_staging(None)
        self.uploads = UploadStorage(self._folder)
        cores = os.cpu_count() or 1
        self.workers = ThreadPoolExecutor(max(2, cores), thread_name_prefix="captoolkit-emulator")

    def close(self) -> None:
        """Stop the workers and remove all files; may be called twice."""
        self.stop.set()
        self.workers.shutdown(cancel_futures=True)
        self.journal.close()
        files.remove_folder(self._folder)

    def target(self, model: str) -> Target:
        """Return the row of a model.

        Raises:
            RefusedError: no row has that model.
        """
        if model not in self.targets:
            served = ", ".join(self.targets)
            raise RefusedError(refusals.unknown_model(model).about(model=model, served=served))
        return self.targets[model]

    def models(self) -> list[str]:
        """Return the models that the compatible protocol serves."""
        return [name for name, row in self.targets.items() if _is_compatible(row)]

    def check_key(self, headers: Mapping[str, str]) -> None:
        """Refuse a request without a key, or with another one than the emulator's.

        Raises:
            RefusedError: the service would refuse the request.
        """
        if self._key is None and not self.profile.needs_key:
            return
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if not scheme and "api-key" in headers:  # as Azure's hosts take it
            scheme, key = "bearer", headers["api-key"]
        if not scheme:
            raise RefusedError(refusals.NO_KEY)
        if scheme.lower() != "bearer" or not key.strip():
            raise RefusedError(refusals.BAD_KEY)
        if self._key is not None and not hmac.compare_digest(key.encode(), self._key.encode()):
            raise RefusedError(refusals.BAD_KEY)

    def reply(self, request: ReceivedRequest) -> HttpReply | None:
        """Return the reply to a request for a caption; None if a fault suppresses it."""
        try:
            reply = self._reply(request)
        except RefusedError as refused:
            reply = refuse(request, refused.refusal)
        except StoppedError:
            return None
        except Exception:  # one request must not end the server
            LOG.exception("the emulator failed on request %s", request.request_id)
            reply = refuse(request, refusals.FAILED)
        return None if reply is None else replies.apply_fault(reply, request.fault)

    def _reply(self, request: ReceivedRequest) -> HttpReply | None:
        """Return the reply; a fault comes first, but the request is parsed for the journal."""
        if self.stop.is_set():
            raise StoppedError
        parsed = self._parse(request)
        if request.fault in replies.UNANSWERED:
            return None
        if request.fault in replies.REFUSALS:
            raise RefusedError(replies.REFUSALS[request.fault])
        if request.fault is FaultKind.HTML:
            return replies.gateway_page()
        if request.fault is FaultKind.REDIRECT:
            return replies.redirect(request.port)
        self.check_key(request.headers)
        if isinstance(parsed, Refusal):
            raise RefusedError(parsed)
        return self._caption(request, parsed)

    def _parse(self, request: ReceivedRequest) -> ChatRequest | Refusal:
        """Return the parsed request or its refusal; set the fields that the journal records."""
        try:
            document = parse_document(request.body)
            request.body = b""
            model = document.get("model")
            request.model = model if isinstance(model, str) else None
            chat = request.protocol.read(document, request.headers)
        except RefusedError as refused:
            return refused.refusal
        request.streams = chat.streams
        request.audio_sha256 = self._sha256(chat)
        return chat

    def _sha256(self, chat: ChatRequest) -> str | None:
        """Return the hash of the newest audio if it is here; a URL's follows with its download."""
        newest = next(reversed(chat.audios), "")
        if newest.startswith(SCHEME):
            stored = self.uploads.find(newest)
            return stored.sha256 if stored else None
        data = audio_input.decode_data_uri(newest)
        return None if data is None else hashlib.sha256(data).hexdigest()

    def _caption(self, request: ReceivedRequest, chat: ChatRequest) -> HttpReply:
        if not chat.model:
            chat = replace(chat, model=next(iter(self.targets)))
        target = self.target(chat.model)
        if request.protocol.is_compatible and not _is_compatible(target):
            raise RefusedError(refusals.not_compatible(chat.model))
        profile = self.profile
        refuse_unfit(chat, target, takes_every_message=profile.takes_every_message)
        most = target.limit(
            "max_input_tokens" if profile.limits_whole_context else "max_output_tokens"
        )
        refuse_long_output(chat, None if most is None else int(most))
        with files.staging(self._folder) as folder:
            fetcher = AudioFetcher(
                folder=folder,
                target=target,
                model=chat.model,
                uploads=self.uploads,
                resolves=request.headers.get(RESOLVE_HEADER) == "enable",
            )
            fetched = [fetcher.fetch(audio, str(i)) for i, audio in enumerate(chat.audios)]
            request.audio_sha256 = fetched[-1].sha256 if fetched else None
            audios = [audio_input.accept(one.path, target) for one in fetched]
            input_tokens = count_input_tokens(chat, target, [one.duration_s for one in audios])
            refuse_too_many_tokens(sum(input_tokens), target)
            description = audio_input.measure(audios[-1], self.stop) if audios else NO_SOUND
        answer = make_answer(
            chat,
            target,
            description=description,
            input_tokens=input_tokens,
            request_id=request.request_id,
            created_s=int(time.time()),
        )
        return _with_headers(request.protocol.answer(answer, chat), request.request_id)


def parse_document(body: bytes | Refusal) -> dict[str, Any]:
    """Return the JSON object in a body.

    Raises:
        RefusedError: the body is no JSON object, or was refused on arrival.
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


def refuse_too_many_tokens(tokens: int, target: Target) -> None:
    """Refuse a request that exceeds the model's input length.

    Raises:
        RefusedError: it does.
    """
    most = target.limit("max_input_tokens")
    if most is not None and tokens > most:
        raise RefusedError(refusals.long_input(tokens, int(most)))


def refuse(request: ReceivedRequest, refusal: Refusal) -> HttpReply:
    """Return a refusal in the format of the request's protocol."""
    reply = request.protocol.refuse(refusal, request.request_id, request.streams)
    headers = {} if refusal.retry_after_s is None else {"Retry-After": str(refusal.retry_after_s)}
    return _with_headers(reply, request.request_id, headers)


def document_reply(request: ReceivedRequest, document: Mapping[str, Any]) -> HttpReply:
    """Return a reply that is a document and no caption."""
    body = replies.encode_json(document)
    return _with_headers(HttpReply(status=200, parts=(body,)), request.request_id)


def _with_headers(
    reply: HttpReply, request_id: str, headers: Mapping[str, str] | None = None
) -> HttpReply:
    return replace(reply, headers={"X-Request-Id": request_id, **(headers or {})})


def _is_compatible(row: Target) -> bool:
    return COMPATIBLE in (row.protocols or (COMPATIBLE,))
