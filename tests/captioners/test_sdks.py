"""Requests and answers of the official SDKs, compared with captoolkit's, over one server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message as Mail
from email.parser import BytesParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from captoolkit.captioners.base import ConversationalCaptioner
from captoolkit.captioners.messages import Message, Role
from captoolkit.captioners.registry import open_captioner
from captoolkit.model import Caption, Via
from tests.support.clips import BytesClip
from tests.support.model_studio import NATIVE_ANSWER, SAMPLE_TEXT, upload_policy
from tests.support.model_studio import NATIVE_EVENTS as NATIVE
from tests.support.streamed_answers import CHAT

if TYPE_CHECKING:
    from tests.support.recorder import Recorder, Seen

KEY = "sk-test-0123456789abcdef"
CAPTIONER, TALKER = "qwen3-omni-30b-a3b-captioner", "qwen-audio-turbo"
SYSTEM, QUESTION, NEXT = "You are a helpful assistant.", "这段音频在说什么?", "介绍一下这家公司。"
PUBLIC = "https://example.invalid/talk.mp3?signature=a%2Fb"

CHAT_ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": CAPTIONER,
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": SAMPLE_TEXT},
        }
    ],
    "usage": {"prompt_tokens": 118, "completion_tokens": 10, "total_tokens": 128},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request to a service.

    Attributes:
        conversation: what has been said before: questions and answers in turn.
        streamed: whether the answer comes piece by piece.
    """

    model: str = CAPTIONER
    via: Via = Via.BASE64
    system: str | None = None
    prompt: str | None = None
    conversation: tuple[tuple[str, str], ...] = ()
    streamed: bool = False


TABLE = {
    "inline": Asked(),
    "by its URL": Asked(via=Via.URL),
    "uploaded": Asked(via=Via.UPLOAD),
    "streamed": Asked(streamed=True),
    "uploaded and streamed": Asked(via=Via.UPLOAD, streamed=True),
    "a prompt": Asked(model=TALKER, prompt=QUESTION),
    "a system message": Asked(model=TALKER, prompt=QUESTION, system=SYSTEM),
    "voice chat": Asked(model=TALKER, system=SYSTEM, via=Via.URL),
    "the second turn": Asked(model=TALKER, prompt=NEXT, conversation=((QUESTION, SAMPLE_TEXT),)),
    "the second turn, streamed": Asked(
        model=TALKER,
        prompt=NEXT,
        system=SYSTEM,
        conversation=((QUESTION, SAMPLE_TEXT),),
        streamed=True,
    ),
}


@pytest.fixture
def sound(tmp_path: Path) -> BytesClip:
    """A clip in memory, in a file and, for the test, on the web."""
    content = b"RIFF\xfb\xff\xbf" + bytes(range(256))
    file = tmp_path / "clip one.wav"
    file.write_bytes(content)
    return BytesClip(content=content, file=file, url=PUBLIC)


def at(clip: BytesClip, via: Via) -> BytesClip:
    """Return the clip, sent in another way."""
    return BytesClip(content=clip.content, file=clip.file, url=clip.url, via=via)


# ------------------------------------------------------------------------- ours and theirs


def ours(name: str, base_url: str, asked: Asked, clip: BytesClip) -> tuple[Caption, str]:
    """Ask by captoolkit; return the caption, and the text that arrived piece by piece."""
    pieces: list[str] = []
    on_text = pieces.append if asked.streamed else None
    options: dict[str, Any] = {"model": asked.model, "system": asked.system}
    with open_captioner(name, base_url=base_url, api_key=KEY, **options) as captioner:
        assert isinstance(captioner, ConversationalCaptioner)
        heard = captioner.audio_reference(at(clip, asked.via))
        messages = []
        for number, (question, answer) in enumerate(asked.conversation):
            audio = None if number else heard
            messages.append(Message(role=Role.USER, audio=audio, text=question))
            messages.append(Message(role=Role.ASSISTANT, text=answer))
        audio = None if messages else heard
        messages.append(Message(role=Role.USER, audio=audio, text=asked.prompt))
        return captioner.ask(messages, on_text=on_text), "".join(pieces)


def dashscope_sdk(base_url: str, asked: Asked, clip: BytesClip) -> str:
    """Ask by the `dashscope` package, which uploads a file given by its URL."""
    from dashscope import MultiModalConversation

    assert clip.file is not None
    heard = {
        Via.BASE64: clip.data_uri(),
        Via.URL: clip.url,
        Via.UPLOAD: f"file://{clip.file}",
    }[asked.via]
    messages: list[dict[str, Any]] = []
    if asked.system is not None:
        messages.append({"role": "system", "content": [{"text": asked.system}]})
    sound: list[dict[str, Any]] = [{"audio": heard}]
    for question, answer in asked.conversation:
        messages.append({"role": "user", "content": [*sound, {"text": question}]})
        messages.append({"role": "assistant", "content": [{"text": answer}]})
        sound = []
    words = [] if asked.prompt is None else [{"text": asked.prompt}]
    messages.append({"role": "user", "content": [*sound, *words]})
    more: dict[str, Any] = {"stream": True, "incremental_output": True} if asked.streamed else {}
    answers: Any = MultiModalConversation.call(
        api_key=KEY, model=asked.model, messages=messages, base_address=base_url, **more
    )
    parts = [
        part["text"]
        for one in (answers if asked.streamed else [answers])
        for part in one.output.choices[0].message.content
    ]
    return "".join(parts)


def openai_sdk(base_url: str, asked: Asked, clip: BytesClip) -> str:
    """Ask by the `openai` package; a request that names an upload needs a header."""
    from openai import OpenAI

    heard = {Via.BASE64: clip.data_uri(), Via.URL: clip.url, Via.UPLOAD: "oss://there"}[asked.via]
    resolve = {"X-DashScope-OssResourceResolve": "enable"} if asked.via is Via.UPLOAD else {}
    messages: list[Any] = []
    if asked.system is not None:
        messages.append({"role": "system", "content": asked.system})
    sound: list[Any] = [{"type": "input_audio", "input_audio": {"data": heard}}]
    for question, answer in asked.conversation:
        words = {"type": "text", "text": question}
        messages.append({"role": "user", "content": [*sound, words]})
        messages.append({"role": "assistant", "content": answer})
        sound = []
    prompt = [] if asked.prompt is None else [{"type": "text", "text": asked.prompt}]
    messages.append({"role": "user", "content": [*sound, *prompt]})
    with OpenAI(api_key=KEY, base_url=base_url, max_retries=0) as client:
        if not asked.streamed:
            whole = client.chat.completions.create(
                model=asked.model, messages=messages, extra_headers=resolve
            )
            return whole.choices[0].message.content or ""
        chunks = client.chat.completions.create(
            model=asked.model,
            messages=messages,
            extra_headers=resolve,
            stream=True,
            stream_options={"include_usage": True},
        )
        return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


SDKS: dict[str, Callable[[str, Asked, BytesClip], str]] = {
    "dashscope": dashscope_sdk,
    "openai": openai_sdk,
}
PATHS = {"dashscope": "/api/v1", "openai": "/compatible-mode/v1"}


def serve(recorder: Recorder, name: str, asked: Asked) -> None:
    """Answer as the service does, uploads included."""
    if asked.streamed:
        recorder.stream(*{"dashscope": NATIVE, "openai": CHAT}[name])
    else:
        recorder.answer({"dashscope": NATIVE_ANSWER, "openai": CHAT_ANSWER}[name])
    recorder.page("/api/v1/uploads", {"request_id": "r-0", "data": upload_policy(recorder.url)})
    recorder.page("/oss", b"")


# ----------------------------------------------------------------------------- comparing


def meaning(seen: Seen) -> dict[str, Any]:
    """Return the meaning of a request: address, content, and the headers that matter."""
    said = {
        "method": seen.method,
        "path": seen.path,
        "authorization": seen.headers.get("authorization"),
        "type": (seen.headers.get("content-type") or "").partition(";")[0] if seen.body else "",
        "accept": seen.headers["accept"].partition(";")[0],
        "streamed": seen.headers.get("x-dashscope-sse"),
        "buffered": seen.headers.get("x-accel-buffering"),
        "resolves": seen.headers.get("x-dashscope-ossresourceresolve"),
    }
    if seen.path == "/oss":
        return said | {"form": form(seen)}
    # A name that nobody else has is in the key of each upload.
    text = re.sub(r"oss://[^\"]*", "oss://there", seen.body.decode())
    return said | {"body": json.loads(text) if text else None}


def form(seen: Seen) -> dict[str, bytes]:
    """Return the fields of an uploaded form, the file last, without random names."""
    head = f"Content-Type: {seen.headers['content-type']}\r\n\r\n".encode()
    parts: list[Mail] = BytesParser().parsebytes(head + seen.body).get_payload()  # type: ignore[assignment]
    fields = {}
    for part in parts:
        name = str(part.get_param("name", header="content-disposition"))
        value = part.get_payload(decode=True)
        assert isinstance(value, bytes)
        fields[name] = value
    assert list(fields)[-1] == "file"
    fields["key"] = fields["key"].rpartition(b"/")[0]
    return fields


@pytest.mark.parametrize("asked", TABLE.values(), ids=TABLE)
@pytest.mark.parametrize("name", SDKS)
def test_requests_equal_those_of_the_sdks(
    recorder: Recorder,
    sound: BytesClip,
    name: str,
    asked: Asked,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Method, path, body, form, the headers that matter and the answer are equal."""
    serve(recorder, name, asked)
    base_url = recorder.url + PATHS[name]
    monkeypatch.setattr("dashscope.base_http_api_url", base_url)  # where that SDK uploads to
    caption, pieces = ours(name, base_url, asked, sound)
    sent = [meaning(seen) for seen in recorder.seen]
    recorder.seen.clear()
    theirs = SDKS[name](base_url, asked, sound)
    expected = [meaning(seen) for seen in recorder.seen]

    if name == "openai" and asked.via is Via.UPLOAD:  # that SDK knows no uploads
        assert [one["path"].partition("?")[0] for one in sent[:2]] == ["/api/v1/uploads", "/oss"]
        sent = sent[2:]
    assert sent == expected
    assert caption.text == theirs
    assert pieces == (caption.text if asked.streamed else "")
    assert caption.finish_reason == "stop"


def test_the_key_never_goes_to_the_storage(recorder: Recorder, sound: BytesClip) -> None:
    """The policy signs the form; the key goes to the service alone."""
    asked = TABLE["uploaded"]
    serve(recorder, "dashscope", asked)
    ours("dashscope", f"{recorder.url}/api/v1", asked, sound)
    (stored,) = [seen for seen in recorder.seen if seen.path == "/oss"]
    assert KEY not in str(stored)
    assert [seen.headers.get("authorization") for seen in recorder.seen] == [
        f"Bearer {KEY}",
        None,
        f"Bearer {KEY}",
    ]
