"""Channel layouts, and the largest rates and channel counts that captoolkit decodes.

captoolkit decodes blocks of one second, so a rate or a channel count bounds its memory. A header
that is damaged or hostile is refused before anything is decoded.
"""

from __future__ import annotations

import re

MAX_RATE_HZ = 3_000_000  # the decoder of DSD512 returns 2.8 MHz
MAX_CHANNELS = 64  # ffmpeg mixes no more
MAX_VALUES_PER_S = MAX_CHANNELS * 384_000

LAYOUT_CHANNELS = {"mono": 1, "stereo": 2, "binaural": 2, "downmix": 2, "quad": 4, "hexagonal": 6}
LAYOUT_CHANNELS |= {"octagonal": 8, "cube": 8, "hexadecagonal": 16}


def channels(layout: str) -> int:
    """Return the number of channels of a layout by ffmpeg's name; 0 if it is no layout.

    ```python
    >>> channels("stereo"), channels("5.1(side)"), channels("4 channels (FL+FR+LFE+TC)")
    (2, 6, 4)

    ```
    """
    word = re.match(r"[\w.]+", layout)
    name = word[0] if word else ""
    if name in LAYOUT_CHANNELS:
        return LAYOUT_CHANNELS[name]
    if " channel" in layout:
        return int(name)
    order = re.match(r"ambisonic (\d+)(\+stereo)?", layout)
    if order:
        return (int(order[1]) + 1) ** 2 + (2 if order[2] else 0)
    return sum(int(part) for part in name.split(".") if part.isdigit())


def excess(*, rate_hz: int, channels: int) -> str:
    """Return why a track is too large to decode, as the end of a sentence; empty if it is not.

    ```python
    >>> excess(rate_hz=16_000, channels=65)
    'has 65 channels, more than the 64 that can be read'
    >>> excess(rate_hz=192_000, channels=8)
    ''

    ```
    """
    if channels > MAX_CHANNELS:
        return f"has {channels:,} channels, more than the {MAX_CHANNELS} that can be read"
    if rate_hz > MAX_RATE_HZ:
        return f"has {rate_hz:,} samples a second, more than the {MAX_RATE_HZ:,} that can be read"
    if rate_hz * channels > MAX_VALUES_PER_S:
        return (
            f"has {channels} channels of {rate_hz:,} samples a second, more than the "
            f"{MAX_VALUES_PER_S:,} in all that can be read"
        )
    return ""
