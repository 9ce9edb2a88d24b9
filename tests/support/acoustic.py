"""Clips in memory for the local captioner, its texts, and the words that it may use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from captoolkit.captioners.acoustic import AcousticCaptioner
from captoolkit.captioners.acoustic.words import SCALES, TERMS
from captoolkit.captioners.base import Samples
from captoolkit.model import Via
from tests.support.sound import silence, tone

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 16_000


@dataclass(slots=True)
class ArraySamples:
    """An array of shape (frames, channels) that comes in blocks."""

    content: NDArray[np.float32]
    rate_hz: int
    channels: int

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(self.content), 50_000):
            yield self.content[start : start + 50_000]


@dataclass(frozen=True, slots=True)
class ArrayClip:
    """A segment that is there as samples only; counts how often it was decoded."""

    content: NDArray[np.float32]
    rate_hz: int = RATE
    decoded: list[bool] = field(default_factory=list)
    start_s: float = 0.0
    via: Via = Via.BASE64
    url: str | None = None

    @property
    def path(self) -> Path:
        """There is no file."""
        raise NotImplementedError

    def read_bytes(self) -> bytes:
        """There are no bytes."""
        raise NotImplementedError

    def data_uri(self, media_type: str = "") -> str:
        """There is nothing to send."""
        raise NotImplementedError

    def samples(self) -> AbstractContextManager[Samples]:
        """Hand out the array."""
        self.decoded.append(True)
        return nullcontext(ArraySamples(self.content, self.rate_hz, self.content.shape[1]))


def caption_of(*parts: NDArray[np.floating], rate_hz: int = RATE, hears: bool = False) -> str:
    """What the captioner says of arrays of shape (frames, channels), one after another."""
    sound = np.concatenate(parts).astype(np.float32)
    with AcousticCaptioner(hears=hears) as captioner:
        caption = captioner.caption(ArrayClip(sound, rate_hz))
        return "\n\n".join(filter(None, (caption.text, caption.details)))


def summary_of(*parts: NDArray[np.floating], rate_hz: int = RATE, hears: bool = False) -> str:
    """The first sentence, the one to decide by."""
    return caption_of(*parts, rate_hz=rate_hz, hears=hears).partition("\n\n")[0]


def noise(seconds: float, *, level_db: float = -20.0, channels: int = 1) -> NDArray[np.float64]:
    """White noise of a given RMS level, the same each time, shape (frames, channels)."""
    wave = np.random.default_rng(7).standard_normal((round(seconds * RATE), channels))
    return np.asarray(wave * 10 ** (level_db / 20))


def clicks(interval_s: float, *, seconds: float) -> NDArray[np.float32]:
    """A click at every interval, in digital silence."""
    sound = silence(seconds, rate_hz=RATE)
    sound[RATE // 2 :: round(interval_s * RATE)] = 0.8
    return sound


def night(*, hush_db: float, minutes: int = 10) -> NDArray[np.float64]:
    """Hush, with a tone of 2 s after 1:12, a burst of noise after 3:12 and a fainter one."""
    sound = noise(60 * minutes, level_db=hush_db)
    sound[72 * RATE : 74 * RATE] += tone(2.0, rate_hz=RATE, frequency_hz=600.0, amplitude=0.05)
    sound[192 * RATE : 194 * RATE] += noise(2.0, level_db=-24.0)
    sound[431 * RATE : 432 * RATE] += noise(1.0, level_db=-32.0)
    return sound


# Words that carry no judgement: with those of the table they are all that is ever said.
PLAIN = """
a about above absurdly alike all an and are as at beginning below between both by centres channel
channels clip correlation count dc describe end events every exceeds figure files fill for from
full holds in integrated intervals is it its large left less lies little loudest loudness low
minute more needed never no nothing number of on one onsets or order peak peaks percentile pitch
place places power rate reach reaches right sample samples say scale short shorter sound stand
stands stereo stretch stretches taken th than that the their they time to too up was wav were what
where with zero cancels dead faulty lies longest loses mixed mono mostly tone tones strokes then
without clipped quiet very sounds pause pauses pitch stretches
"""

UNITS = frozenset({"db", "dbfs", "hz", "khz", "lufs", "min", "ms", "s"})

SOURCES = re.compile(
    r"\b(speak\w*|talk\w*|vocal\w*|singing|song|melod\w*|instrument\w*|rain"
    r"|wind|water|birds?|dogs?|bark\w*|cars?|engines?|traffic|people|man|woman|child\w*|crowd"
    r"|laugh\w*|cough\w*|snor\w*|footsteps?|doors?|clock|drums?|piano|guitar|alarm|hiss)\b",
    re.IGNORECASE,
)


def vocabulary() -> frozenset[str]:
    """Every word that may be said."""
    judging = [*TERMS, *(word for scale in SCALES for word in scale.words)]
    return (
        frozenset(PLAIN.split())
        | UNITS
        | {part for word in judging for part in re.findall(r"[a-z]+", word)}
    )


def examples() -> Iterator[str]:
    """Texts of every kind."""
    left = tone(6.0, rate_hz=RATE)
    yield caption_of(np.zeros((0, 1)))
    yield caption_of(np.full((1, 1), 0.5))
    yield caption_of(np.zeros((RATE, 1)))
    yield caption_of(np.full((RATE, 2), 0.25))
    yield caption_of(noise(60.0, level_db=-66.0))
    yield caption_of(noise(60.0, level_db=-90.0))
    yield caption_of(night(hush_db=-66.0, minutes=8))
    yield caption_of(night(hush_db=-48.0, minutes=8))
    yield caption_of(night(hush_db=-120.0, minutes=8))
    yield caption_of(np.concatenate([noise(20.0), np.zeros((30 * RATE, 1)), left]))
    yield caption_of(clicks(0.55, seconds=40.0), noise(10.0, level_db=-30.0))
    yield caption_of(np.hstack([left, -left]), np.full((4, 2), np.nan))
    yield caption_of(np.hstack([left, 0 * left]))
    yield caption_of(np.hstack([left, noise(6.0)]))
    yield caption_of(np.hstack([left, -left + 0.2 * noise(6.0)]))
    yield caption_of(noise(6.0, channels=8) * 10 + 0.1)
    yield caption_of(noise(10.0, level_db=-30.0) + tone(10.0, rate_hz=RATE, amplitude=0.05))
    yield caption_of(tone(0.2, rate_hz=RATE))
    yield caption_of(noise(1.0), rate_hz=100)


def check_sentences(text: str) -> None:
    """A text is there, and holds no figure that is none and no sentence that is broken."""
    assert text.endswith(".")
    assert not re.search(r"\b(nan|inf|none|null|true|false)\b|[{}\[\]]|-0(\.0)? | {2}", text, re.I)
    for sentence in text.replace("\n\n", " ").split(". "):
        assert sentence[0].isupper() or sentence[0].isdigit(), sentence
