"""A service model: the files that it accepts, its limits, its prices and its requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any


class Dialect(StrEnum):
    """How a chat completion carries sound.

    `MODEL_STUDIO` is an `input_audio` part with a data URI or a URL, `AUDIO_URL` an `audio_url`
    part with the same, `OPENAI` an `input_audio` part with bare Base64 text and a format's name.
    """

    MODEL_STUDIO = "model-studio"
    AUDIO_URL = "audio-url"
    OPENAI = "openai"


class Via(StrEnum):
    """The way of a segment to the service; each way has its own size limit.

    `BASE64` puts it into the request, `UPLOAD` into the service's temporary storage, `URL` lets the
    service fetch the source itself.
    """

    BASE64 = "base64"
    UPLOAD = "upload"
    URL = "url"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The price of a service in one region, per million tokens.

    Attributes:
        currency: the ISO 4217 code.
        input_per_million: of text, and of sound if that has no price of its own.
        audio_input_per_million: of sound; None if it costs as much as text.
        until: the last day on which the price holds; None if the page states none.
        source: the title of the page with the price.
        checked: the day on which the page was read, as YYYY-MM-DD.
    """

    region: str
    currency: str
    input_per_million: Decimal
    output_per_million: Decimal
    source: str
    checked: str
    audio_input_per_million: Decimal | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A limit or a rate of a service, with its source.

    Attributes:
        value: the number, in the unit at the end of the fact's name.
        source: the title of the page with the number.
        checked: the day on which the page was read, as YYYY-MM-DD.
        note: the wording of the page, if it matters.
    """

    value: Fraction
    source: str
    checked: str
    note: str = ""


DEFAULT_TRUE_PEAK_DBTP = -1.0  # EBU R 128


@dataclass(frozen=True, slots=True, kw_only=True)
class LoudnessTarget:
    """A loudness to bring a recording to, after ITU-R BS.1770.

    Attributes:
        lufs: the integrated loudness.
        true_peak_dbtp: the largest true peak; where it is reached first, the recording stays
            quieter.
    """

    lufs: float
    true_peak_dbtp: float = DEFAULT_TRUE_PEAK_DBTP


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A service model: the files that it accepts, its limits and its prices.

    Attributes:
        title: the name for people.
        models: the service's names of the model.
        accepts: the accepted codecs, by container.
        facts: limits and rates by name; an absent one is unknown.
        prices: one for each region and currency; empty if they are unknown.
        on_exceed: `error` or `truncate`: the service's reaction to a clip that is too long.
        full_sound: True if the model hears more than 16 kHz mono; rate and channels are then kept.
        prompt, system, turns: whether the model takes a prompt, a system message, several turns.
        hosted_by: the provider on whose hosts prices and rates hold; empty if they hold anywhere.
        region: the default region; empty for the provider's usual one.
        protocols: the captioners that can reach the model there; empty if all can.
        loudness: the loudness that the service prefers; None if it states none.
        dialect: how a chat completion carries sound there; None if the base URL decides.
        base_url: where requests go if the caller names no base URL; empty if that is unknown.
        hosts: further hosts of the service, such as `*.openai.azure.com`.
        key_variable: the environment variable of the key; empty for `DASHSCOPE_API_KEY`.
        key_header: the header that holds the key alone; empty for `Authorization: Bearer KEY`.
        headers, query: names and values that each request has.
        body: the members that each request body has besides model and messages.
        max_tokens_name: the name of the member that limits the answer's tokens.
        default_prompt: the question about each segment if the caller gives none.
        must_stream: whether the service answers only requests for a stream.
        has_format: whether `input_audio` names the format in the dialect `model-studio`, too.
        timeout_s: the longest time of a request; None for captoolkit's own.
        silence_s: the longest time without a byte of the answer; None for captoolkit's own.
    """

    name: str
    title: str
    models: tuple[str, ...]
    accepts: Mapping[str, tuple[str, ...]]
    facts: Mapping[str, Fact]
    prices: tuple[Price, ...] = ()
    on_exceed: str = "error"
    full_sound: bool = False
    prompt: bool = False
    system: bool = False
    turns: bool = False
    hosted_by: str = ""
    region: str = ""
    protocols: tuple[str, ...] = ()
    loudness: LoudnessTarget | None = None
    dialect: Dialect | None = None
    base_url: str = ""
    hosts: tuple[str, ...] = ()
    key_variable: str = ""
    key_header: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    max_tokens_name: str = "max_tokens"
    default_prompt: str = ""
    must_stream: bool = False
    has_format: bool = False
    timeout_s: float | None = None
    silence_s: float | None = None

    def __repr__(self) -> str:
        """Return a summary: `captoolkit targets NAME` prints the fields."""
        return f"<Target {self.name!r}: {self.title}>"

    def limit(self, name: str) -> Fraction | None:
        """Return the value of the fact called `name`; None if it is unknown."""
        fact = self.facts.get(name)
        return fact.value if fact else None
