"""What the local captioner says of sounds that are known, as a Markdown table.

    .venv/bin/python scripts/acoustic_truth.py                 the made sounds and the corpus
    .venv/bin/python scripts/acoustic_truth.py talk.flac ...   recordings of your own
    .venv/bin/python scripts/acoustic_truth.py --short ...     how many short cuts are voice-like

Each row has the sound, the caption with the model of the extra `hear`, and the caption without it.
Made sounds come from `tests/support/made_sounds.py`, so their truth is known by construction.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from captoolkit.captioners.acoustic import Measurer, hearing
from captoolkit.captioners.acoustic.headline import headline
from captoolkit.media import decode, probe_file
from tests.support import made_sounds as made
from tests.support.paths import CORPUS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

CUTS = 40
MADE: dict[str, NDArray[np.float32]] = {
    "silence": np.zeros((20 * made.RATE, 1), np.float32),
    "sine of 440 Hz": made.sine(440, 20),
    "sine of 100 Hz": made.sine(100, 20),
    "square wave of 300 Hz": made.square(300, 20),
    "two sines": made.sine(440, 20) + made.sine(350, 20),
    "hum of 50 Hz": made.hum(50, 20),
    "rain": made.rain(20),
    "hammering every 0.5 s": made.strokes(0.5, 20),
    "hammering every 2 s": made.strokes(2.0, 20),
    "music": made.music(20),
    "music of 4 s in rain": np.concatenate([made.rain(8), made.music(4), made.rain(8)]),
    "buzz with the pitch and rhythm of a voice": made.voice(20),
}


def caption_of(blocks: Sequence[NDArray[np.float32]], rate_hz: int, *, hears: bool) -> str:
    """Return the text of a caption."""
    measurer = Measurer(rate_hz=rate_hz, channels=blocks[0].shape[1], hears=hears)
    for block in blocks:
        measurer.feed(block)
    return headline(measurer.finish())


def sounds(paths: Sequence[Path]) -> Iterator[tuple[str, list[NDArray[np.float32]], int]]:
    """Yield each sound with its name and rate."""
    if not paths:
        for name, sound in MADE.items():
            yield f"{name} (made)", [sound], made.RATE
        paths = sorted(path for path in CORPUS.glob("*") if path.suffix != ".md")
    for path in paths:
        track = probe_file.probe(path).default_track
        with decode.TrackDecoder(path, track=track) as decoder:
            yield path.name, list(decoder), decoder.rate_hz


def voice_like_cuts(sound: NDArray[np.float32], rate_hz: int) -> int:
    """Return how many of `CUTS` random cuts of 2.1 to 3.9 s are voice-like without the model."""
    rng, count = np.random.default_rng(1), 0
    for length_s in rng.uniform(2.1, 3.9, CUTS):
        length = min(len(sound), round(length_s * rate_hz))
        start = int(rng.integers(0, len(sound) - length + 1))
        text = caption_of([sound[start : start + length].copy()], rate_hz, hears=False)
        count += "voice-like" in text.lower()
    return count


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    if "--short" in arguments:
        paths = [Path(argument) for argument in arguments if argument != "--short"]
        sys.stdout.write(f"| sound | voice-like of {CUTS} cuts |\n| --- | --- |\n")
        for name, blocks, rate_hz in sounds(paths):
            count = voice_like_cuts(np.concatenate(blocks), rate_hz)
            sys.stdout.write(f"| {name} | {count} |\n")
        return 0
    if not hearing.is_installed():
        sys.stderr.write("the extra `hear` is not installed: pip install '.[hear]'\n")
        return 1
    sys.stdout.write("| sound | with `hear` | without |\n| --- | --- | --- |\n")
    for name, blocks, rate_hz in sounds([Path(argument) for argument in arguments]):
        cells = [caption_of(blocks, rate_hz, hears=hears) for hears in (True, False)]
        sys.stdout.write(f"| {name} | {' | '.join(cells)} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
