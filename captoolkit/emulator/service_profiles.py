"""The services that the emulator can imitate: one row each. Pure.

A new service takes a protocol module and a row here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from captoolkit.emulator import (
    compatible_protocol,
    native_protocol,
    openai_protocol,
    vllm_protocol,
)
from captoolkit.emulator.replies import ServerProtocol
from captoolkit.errors import UsageError
from captoolkit.model import Dialect, Target

ACOUSTIC = "acoustic"  # the row of the captioner on this machine, which no server has


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceProfile:
    """One service as the emulator imitates it.

    Attributes:
        name: the value of `--like`.
        help: half a sentence for `--like`.
        base_path: the path of the OpenAI-compatible protocol.
        protocol: that protocol, with the service's form of audio and its words.
        dialects: those of the rows whose models it serves; None is a row that states no dialect.
        write_model: a model's name and the time in seconds since 1970 -> its entry in `/models`.
        native: Model Studio's own protocol below `/api/v1`, with uploads; None without it.
        has_model_pages: `/models/ID` is served, not only the list.
        needs_key: a request without a key is refused even if the emulator takes every key.
        takes_every_message: text, system messages and turns are taken for every model, and a
            request without audio as well.
        limits_whole_context: the input and the output share `max_input_tokens`.
    """

    name: str
    help: str
    base_path: str
    protocol: ServerProtocol
    dialects: frozenset[Dialect | None]
    write_model: Callable[[str, int], dict[str, Any]]
    native: ServerProtocol | None = None
    has_model_pages: bool = True
    needs_key: bool = True
    takes_every_message: bool = False
    limits_whole_context: bool = False

    def serves(self, row: Target) -> bool:
        """Return whether the service has the models of a row."""
        return row.name != ACOUSTIC and row.dialect in self.dialects


PROFILES = {
    profile.name: profile
    for profile in (
        ServiceProfile(
            name="model-studio",
            help="data URIs or URLs in input_audio, and the native protocol",
            base_path="/compatible-mode/v1",
            protocol=compatible_protocol.PROTOCOL,
            dialects=frozenset({None, Dialect.MODEL_STUDIO}),
            write_model=openai_protocol.write_model,
            native=native_protocol.PROTOCOL,
        ),
        ServiceProfile(
            name="vllm",
            help="audio_url, or bare Base64 in input_audio",
            base_path="/v1",
            protocol=vllm_protocol.PROTOCOL,
            dialects=frozenset({Dialect.AUDIO_URL}),
            write_model=vllm_protocol.write_model,
            has_model_pages=False,
            needs_key=False,
            takes_every_message=True,
            limits_whole_context=True,
        ),
        ServiceProfile(
            name="openai",
            help="bare Base64 and a format, wav or mp3, in input_audio",
            base_path="/v1",
            protocol=openai_protocol.PROTOCOL,
            dialects=frozenset({Dialect.OPENAI}),
            write_model=openai_protocol.write_model,
        ),
    )
}
DEFAULT_PROFILE = "model-studio"


def profile_of(name: str) -> ServiceProfile:
    """Return the profile of a service.

    Raises:
        UsageError: there is no such service.
    """
    if name not in PROFILES:
        raise UsageError(f"like={name} is not known", fix=f"known are {', '.join(PROFILES)}")
    return PROFILES[name]
