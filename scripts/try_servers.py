"""Try captoolkit and its emulator with the servers and clients of others, and print a table.

    python scripts/try_servers.py                  # what is installed in build/servers
    python scripts/try_servers.py --install        # install it there first (a few minutes)
    python scripts/try_servers.py --only vllm

Four kinds of trials, all on this machine and without a model of size:

- the official SDKs (`openai` for Python and for Node, `dashscope`) ask the emulator;
- captoolkit asks LiteLLM's proxy, which asks the emulator;
- captoolkit asks vLLM and `transformers serve`, which serve a tiny model with random weights
  (`make_tiny_model.py`);
- vLLM and the emulator answer the same wrong requests, and the answers are compared.

A server or client that is missing is a row of the table that says so. The exit status is 1 if a
trial failed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

import captoolkit
from captoolkit.emulator import Emulator
from scripts.other_servers import Installed, MissingError, free_port, running

ROOT = Path(__file__).parents[1]
CLIP = ROOT / "fixtures" / "tones-and-silences.wav"
KEY = "sk-rehearsal"
CAPTIONER, GPT_AUDIO = "qwen3-omni-30b-a3b-captioner", "gpt-audio"
SELF_HOSTED = "Qwen/Qwen3-Omni-30B-A3B-Captioner"
# like, model, dialect
LIKENESSES = (
    ("model-studio", CAPTIONER, "model-studio"),
    ("vllm", SELF_HOSTED, "audio-url"),
    ("openai", GPT_AUDIO, "openai"),
)

NODE_CLIENT = """
import OpenAI from "openai";
import fs from "node:fs";
const [, , baseURL, apiKey, model, file, dialect] = process.argv;
const client = new OpenAI({baseURL, apiKey, maxRetries: 0});
const data = fs.readFileSync(file).toString("base64");
const uri = `data:;base64,${data}`;
const part = {
  "audio-url": {type: "audio_url", audio_url: {url: uri}},
  "openai": {type: "input_audio", input_audio: {data, format: "wav"}},
  "model-studio": {type: "input_audio", input_audio: {data: uri}},
}[dialect];
const messages = [{role: "user", content: [part]}];
const whole = await client.chat.completions.create({model, messages});
let streamed = "";
for await (const chunk of await client.chat.completions.create({model, messages, stream: true}))
  streamed += chunk.choices[0]?.delta?.content ?? "";
const models = [];
for await (const each of client.models.list()) models.push(each.id);
let refused = null;
try { await client.chat.completions.create({model: "nobody", messages}); }
catch (error) { refused = `${error.constructor.name} ${error.status}`; }
console.log(JSON.stringify({
  text: whole.choices[0].message.content, streamed, listed: models.includes(model), refused,
}));
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the table."""

    server: str
    dialect: str
    how: str
    seen: str
    failed: bool = False


def attempt(server: str, dialect: str, how: str, trial: Callable[[], str]) -> Row:
    """Return the row of a trial."""
    try:
        return Row(server=server, dialect=dialect, how=how, seen=trial())
    except MissingError as missing:
        return Row(server=server, dialect=dialect, how=how, seen=f"not tried: {missing}")
    except Exception as error:
        seen = f"FAILED: {type(error).__name__}: {' '.join(str(error).split())[:160]}"
        return Row(server=server, dialect=dialect, how=how, seen=seen, failed=True)


# --------------------------------------------------------------------------------- the pieces


def caption(base_url: str, *, model: str, dialect: Any, **options: Any) -> str:
    """Return captoolkit's caption, or raise its error."""
    timeline = captoolkit.caption(
        CLIP,
        captioner="openai",
        base_url=base_url,
        model=model,
        dialect=dialect,
        ledger=":memory:",
        retry_policy=captoolkit.RetryPolicy(segment_s=5),
        **options,
    )
    (entry,) = timeline.entries
    if entry.error:
        raise RuntimeError(entry.error)
    return str(entry.text)


def measured() -> str:
    """Return the beginning of the local captioner's description, which the emulator answers."""
    (entry,) = captoolkit.caption(CLIP).entries
    return str(entry.text)


def require(condition: bool, problem: str) -> None:
    """Raise if a trial did not show what it should."""
    if not condition:
        raise RuntimeError(problem)


# ------------------------------------------------------------------ official SDKs -> emulator


def sdk_rows(installed: Installed) -> Iterator[Row]:
    """Yield the rows of the official SDKs."""
    import dashscope
    import openai

    for like, model, dialect in LIKENESSES:
        with Emulator(like=like, key=KEY) as emulator:
            place = (emulator.compatible_url, model, dialect)
            name = f"emulator, like {like}"
            how = f"openai {openai.__version__} for Python"
            yield attempt(name, dialect, how, partial(ask_with_python, *place))
            how = "openai for Node"
            yield attempt(name, dialect, how, partial(ask_with_node, installed, *place))
    with Emulator(key=KEY) as emulator:
        how = f"dashscope {dashscope.version.__version__}"
        yield attempt(
            "emulator, like model-studio",
            "native",
            how,
            lambda: ask_with_dashscope(emulator.native_url),
        )


def part_of(dialect: str) -> Any:
    """Return the clip as a part of a message."""
    import base64

    data = base64.b64encode(CLIP.read_bytes()).decode()
    uri = f"data:;base64,{data}"
    return {
        "audio-url": {"type": "audio_url", "audio_url": {"url": uri}},
        "openai": {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
        "model-studio": {"type": "input_audio", "input_audio": {"data": uri}},
    }[dialect]


def ask_with_python(base_url: str, model: str, dialect: str) -> str:
    """Ask with the SDK: whole, streamed, with a wrong model, key and temperature."""
    import openai

    client = openai.OpenAI(base_url=base_url, api_key=KEY, max_retries=0)
    messages: Any = [{"role": "user", "content": [part_of(dialect)]}]
    ask: Any = client.chat.completions.create
    whole = ask(model=model, messages=messages).choices[0].message.content
    chunks = ask(model=model, messages=messages, stream=True)
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    require(whole == streamed, "the stream differs from the whole answer")
    require(measured() in whole, "another caption")
    for error, more in (
        (openai.NotFoundError, {"model": "nobody"}),
        (openai.BadRequestError, {"temperature": 3}),
    ):
        with contextlib.suppress(error):
            ask(**{"model": model, "messages": messages, **more})
            raise RuntimeError(f"{more} was taken")
    other = openai.OpenAI(base_url=base_url, api_key="sk-wrong", max_retries=0)
    with contextlib.suppress(openai.AuthenticationError):
        other.models.list()
        raise RuntimeError("a wrong key was taken")
    return "the caption, whole and streamed; 404, 400 and 401 as the SDK's own errors"


def ask_with_node(installed: Installed, base_url: str, model: str, dialect: str) -> str:
    """Ask with the SDK for Node: whole, streamed, the list of models, a wrong model."""
    node = shutil.which("node")
    if node is None:
        raise MissingError("there is no node")
    package = installed.program("node", "node_modules", "openai", "package.json")
    version = json.loads(package.read_text(encoding="utf-8"))["version"]
    script = installed.folder / "node" / "client.mjs"
    script.write_text(NODE_CLIENT, encoding="utf-8")
    command = [node, str(script), base_url, KEY, model, str(CLIP), dialect]
    answer = json.loads(subprocess.check_output(command, text=True, timeout=120))
    require(answer["text"] == answer["streamed"], "the stream differs from the whole answer")
    require(measured() in answer["text"], "another caption")
    require(answer["listed"], "the model is not listed")
    require(answer["refused"] == "NotFoundError 404", str(answer["refused"]))
    return f"{version}: the caption, whole and streamed; the model is listed; 404 as NotFoundError"


def ask_with_dashscope(base_url: str) -> str:
    """Ask with the SDK: a data URI, and a file that it uploads."""
    import dashscope

    dashscope.base_http_api_url = base_url
    texts = []
    messages: list[Any] = []
    for audio in (f"file://{CLIP}", part_of("model-studio")["input_audio"]["data"]):
        messages = [{"role": "user", "content": [{"audio": audio}]}]
        answer: Any = dashscope.MultiModalConversation.call(
            model=CAPTIONER, messages=messages, api_key=KEY
        )
        texts.append(answer.output.choices[0].message.content[0]["text"])
    require(texts[0] == texts[1] and measured() in texts[0], "another caption")
    wrong: Any = dashscope.MultiModalConversation.call(
        model=CAPTIONER, messages=messages, api_key="sk-wrong"
    )
    require(wrong.code == "InvalidApiKey", str(wrong.code))
    return "the caption of an upload and of a data URI; InvalidApiKey for a wrong key"


# -------------------------------------------------------------------------- LiteLLM's proxy


def litellm_rows(installed: Installed) -> Iterator[Row]:
    """Yield the rows of LiteLLM's proxy in front of the emulator."""
    try:
        program = installed.program("litellm", "bin", "litellm")
    except MissingError as missing:
        yield Row(server="LiteLLM proxy", dialect="all", how="-", seen=f"not tried: {missing}")
        return
    providers = {"model-studio": "openai", "vllm": "hosted_vllm", "openai": "openai"}
    version = installed.version("litellm", "litellm")
    with contextlib.ExitStack() as stack:
        lines = ["model_list:"]
        for like, model, _ in LIKENESSES:
            emulator = stack.enter_context(Emulator(like=like, key="sk-behind"))
            lines += [
                f"  - model_name: {like}",
                "    litellm_params:",
                f"      model: {providers[like]}/{model}",
                f"      api_base: {emulator.compatible_url}",
                "      api_key: sk-behind",
            ]
        lines += ["general_settings:", f"  master_key: {KEY}", ""]
        config = installed.folder / "litellm.yaml"
        config.write_text("\n".join(lines), encoding="utf-8")
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        command = [program, "--config", config, "--host", "127.0.0.1", "--port", port]
        stack.enter_context(
            running(
                command,
                f"{url}/health/liveliness",
                installed.folder / "litellm.log",
                LITELLM_LOCAL_MODEL_COST_MAP="True",
            )
        )
        for like, _, dialect in LIKENESSES:
            how = "captoolkit caption, and the emulator behind it"
            yield attempt(
                f"LiteLLM proxy {version}, {like} behind it",
                dialect,
                how,
                partial(ask_litellm, f"{url}/v1", like, dialect),
            )


def ask_litellm(base_url: str, like: str, dialect: str) -> str:
    """Caption through the proxy; another dialect must fail with the words of the service."""
    target = "qwen3-omni-captioner" if like == "model-studio" else "litellm"
    options: dict[str, Any] = {"model": like, "target": target, "api_key": KEY}
    text = caption(base_url, dialect=dialect, **options)
    require(measured() in text, "another caption")
    wrong = "audio-url" if dialect != "audio-url" else "model-studio"
    try:
        caption(base_url, dialect=wrong, **options)
    except (captoolkit.CaptoolkitError, RuntimeError) as error:
        require("400" in str(error), str(error))
        return f"the caption; `{wrong}` gets the service's 400"
    raise RuntimeError(f"{wrong} was taken")


# -------------------------------------------------- vLLM and transformers, with a tiny model


def vllm_rows(installed: Installed) -> Iterator[Row]:
    """Yield the rows of vLLM, and its answers to wrong requests compared with the emulator's."""
    try:
        program = installed.program("vllm", "bin", "vllm")
        model = installed.tiny_model()
    except MissingError as missing:
        yield Row(server="vLLM", dialect="audio-url", how="-", seen=f"not tried: {missing}")
        return
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    name = f"vLLM {installed.version('vllm', 'vllm')}, a tiny Qwen2-Audio"
    command = [program, "serve", model, "--served-model-name", "tiny", "--api-key", KEY]
    command += ["--host", "127.0.0.1", "--port", port, "--dtype", "float32", "--enforce-eager"]
    command += ["--load-format", "dummy", "--max-model-len", 4096, "--max-num-seqs", 2]
    path = f"{installed.folder / 'vllm' / 'bin'}:{os.environ['PATH']}"
    log = installed.folder / "vllm.log"
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(
                running(command, f"{url}/health", log, PATH=path, VLLM_CPU_KVCACHE_SPACE="1")
            )
        except RuntimeError as error:
            yield Row(server=name, dialect="all", how="-", seen=f"not tried: {error}")
            return
        options: dict[str, Any] = {"model": "tiny", "target": "vllm", "max_tokens": 8}
        for dialect in ("audio-url", "openai"):
            yield attempt(
                name,
                dialect,
                "captoolkit caption",
                partial(took, f"{url}/v1", dialect, api_key=KEY, **options),
            )
        yield attempt(
            name,
            "model-studio",
            "captoolkit caption",
            lambda: refused(f"{url}/v1", "model-studio", api_key=KEY, **options),
        )
        yield attempt(
            name,
            "all",
            "the same wrong requests to vLLM and to the emulator, like vllm",
            lambda: compare(f"{url}/v1"),
        )


def transformers_rows(installed: Installed) -> Iterator[Row]:
    """Yield the rows of `transformers serve`."""
    try:
        program = installed.program("vllm", "bin", "transformers")
        model = installed.tiny_model()
    except MissingError as missing:
        seen = f"not tried: {missing}"
        yield Row(server="transformers serve", dialect="openai", how="-", seen=seen)
        return
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    name = f"transformers serve {installed.version('vllm', 'transformers')}, a tiny Qwen2-Audio"
    command = [program, "serve", model, "--host", "127.0.0.1", "--port", port, "--device", "cpu"]
    with contextlib.ExitStack() as stack:
        try:
            log = installed.folder / "transformers.log"
            stack.enter_context(running(command, f"{url}/health", log))
        except RuntimeError as error:
            yield Row(server=name, dialect="openai", how="-", seen=f"not tried: {error}")
            return
        options: dict[str, Any] = {"model": str(model), "target": "transformers", "max_tokens": 8}
        yield attempt(
            name,
            "openai",
            "captoolkit caption",
            lambda: took(f"{url}/v1", "openai", **options),
        )


def took(base_url: str, dialect: str, **options: Any) -> str:
    """Return that the server answered."""
    text = caption(base_url, dialect=dialect, **options)
    return f"an answer of {len(text)} characters (noise: the weights are random)"


def refused(base_url: str, dialect: str, **options: Any) -> str:
    """Return that the server refused the dialect."""
    try:
        caption(base_url, dialect=dialect, **options)
    except (captoolkit.CaptoolkitError, RuntimeError) as error:
        require("400" in str(error), str(error))
        return "refused with 400, as it should be"
    raise RuntimeError("the dialect was taken")


def wrong_requests(model: str) -> dict[str, dict[str, Any]]:
    """Return the wrong requests by name."""
    good = {"model": model, "messages": [{"role": "user", "content": [part_of("audio-url")]}]}

    def with_part(part: object) -> dict[str, Any]:
        return {**good, "messages": [{"role": "user", "content": [part]}]}

    def url(text: str) -> dict[str, Any]:
        return with_part({"type": "audio_url", "audio_url": {"url": text}})

    numbers = (
        ("temperature", 3),
        ("temperature", -1),
        ("temperature", "hot"),
        ("top_p", 0),
        ("top_p", 2),
        ("max_tokens", 0),
        ("max_completion_tokens", 0),
        ("presence_penalty", 3),
        ("top_k", -5),
        ("n", 0),
        ("seed", "x"),
    )
    bare = {"type": "input_audio", "input_audio": {"data": "@@@@", "format": "wav"}}
    return {
        **{f"{name}={value}": {**good, name: value} for name, value in numbers},
        "no messages": {"model": model},
        "no Base64": with_part(bare),
        "no audio": url("data:;base64,aGVsbG8gd29ybGQ="),
        "another scheme": url("ftp://127.0.0.1/a.wav"),
        "no Base64 URI": url("data:audio/wav,AAAA"),
        "another part": with_part({"type": "video", "video": "x"}),
        "no format": with_part({"type": "input_audio", "input_audio": {"data": "AAAA"}}),
    }


def compare(base_url: str) -> str:
    """Return how many answers of vLLM and of the emulator agree in status, type and words."""
    agree, differ, total = 0, [], 0
    with Emulator(like="vllm", key=KEY) as emulator:
        ours, theirs = wrong_requests(SELF_HOSTED), wrong_requests("tiny")
        for name in theirs:
            real, imitated = (
                reply_to(place, body)
                for place, body in (
                    (base_url, theirs[name]),
                    (emulator.compatible_url, ours[name]),
                )
            )
            require(real[:2] == imitated[:2], f"{name}: {real} and {imitated}")
            total += 1
            agree += real == imitated
            differ += [] if real == imitated else [name]
    note = f"; other words for {', '.join(differ)}" if differ else ""
    return f"{total} of {total} agree in status and type, {agree} word by word{note}"


def reply_to(base_url: str, body: dict[str, Any]) -> tuple[object, ...]:
    """Return the status, the type and the message of an error reply."""
    headers = {"Authorization": f"Bearer {KEY}"}
    reply = httpx.post(f"{base_url}/chat/completions", json=body, headers=headers, timeout=120)
    error = reply.json().get("error", {})
    return reply.status_code, error.get("type"), error.get("param"), error.get("message")


TRIALS = {
    "sdks": sdk_rows,
    "litellm": litellm_rows,
    "vllm": vllm_rows,
    "transformers": transformers_rows,
}


def main() -> int:
    """Run the trials and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "servers")
    parser.add_argument("--install", action="store_true", help="install what is tried, first")
    parser.add_argument("--only", action="append", choices=TRIALS, help="may be repeated")
    arguments = parser.parse_args()
    installed = Installed(folder=arguments.folder.absolute())
    installed.folder.mkdir(parents=True, exist_ok=True)
    if arguments.install:
        installed.install()
    print("| server | dialect | how it was tried | what was seen |\n| --- | --- | --- | --- |")
    failed = 0
    for name in arguments.only or TRIALS:
        for row in TRIALS[name](installed):
            print(f"| {row.server} | {row.dialect} | {row.how} | {row.seen} |", flush=True)
            failed += row.failed
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
