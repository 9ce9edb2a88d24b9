"""Does a file fit a service, and if not, why: the limits of a target, applied to a file.

Rules: pure. `max_bytes` and `longest_s` are the only readers of the size and duration limits. The
planner stores the size limit in the plan (`Plan.max_segment_bytes`), and `media/encode.py` checks
each finished file against it; `captoolkit probe` uses `misfits`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from captoolkit.model import Fact, MediaInfo, Target, Track, Via
from captoolkit.units import base64_capacity, base64_length, format_length, format_size

DECODED_SAMPLE_BYTES = 4  # services decode to 32-bit floats
DATA_URI_PREFIX = "data:;base64,"


def max_bytes(target: Target, via: Via) -> int | None:
    """Return the size limit of a file in raw bytes, as Base64 text, upload or URL.

    Base64 text is limited in characters, its `data:;base64,` prefix included.
    """
    limits = [target.limit(f"max_bytes_{via.value}")]
    chars = target.limit("max_base64_chars")
    if via is Via.BASE64 and chars is not None:
        limits.append(Fraction(base64_capacity(int(chars) - len(DATA_URI_PREFIX))))
    stated = [int(limit) for limit in limits if limit is not None]
    return min(stated) if stated else None


def longest_s(target: Target | None) -> Fraction | None:
    """Return the duration limit of a request, by duration and by tokens.

    None where that is unknown, and without a target.
    """
    if target is None:
        return None
    limits = [target.limit("max_duration_s")]
    most, per_second = target.limit("max_input_tokens"), target.limit("tokens_per_s")
    if most is not None and per_second is not None:
        limits.append((most - (target.limit("text_tokens") or 0)) / per_second)
    stated = [limit for limit in limits if limit is not None]
    return min(stated) if stated else None


# Facts of a request, not of a row: its texts, and the sounds of a conversation's earlier turns.
PROMPT_BYTES = "prompt_bytes"
EARLIER_AUDIO_TOKENS = "earlier_audio_tokens"


def with_answer_limit(target: Target, parameters: Mapping[str, Any]) -> Target:
    """Return a target with the longest answer that the parameters of a request allow.

    The budget reserves the price of the longest answer, so a lower limit reserves less. Only the
    member that the service is known to obey counts, and only a number above 0: some servers read
    -1 as no limit.
    """
    count, stated = parameters.get(target.max_tokens_name), target.limit("max_output_tokens")
    if not isinstance(count, int) or isinstance(count, bool) or count <= 0:
        return target
    if stated is not None and stated <= count:
        return target
    fact = Fact(value=Fraction(count), source="the parameters of the request", checked="")
    return replace(target, facts={**target.facts, "max_output_tokens": fact})


def with_prompt(target: Target, prompt_bytes: int) -> Target:
    """Return a target with the length of a prompt, for the worst case: a token has a byte."""
    if prompt_bytes == 0:
        return target
    fact = Fact(value=Fraction(prompt_bytes), source="the prompt of the request", checked="")
    return replace(target, facts={**target.facts, PROMPT_BYTES: fact})


def misfits(info: MediaInfo, track: Track, target: Target, via: Via) -> tuple[str, ...]:
    """Return why `target` would refuse the unchanged file, one sentence each; none if it fits."""
    return (*_format_misfits(info, track, target), *_size_misfits(info, track, target, via))


def _format_misfits(info: MediaInfo, track: Track, target: Target) -> list[str]:
    sentences = []
    if info.container not in target.accepts:
        takes = ", ".join(sorted(target.accepts))
        sentences.append(f"It is {info.container}; {target.name} takes {takes}.")
    elif track.codec not in target.accepts[info.container]:
        takes = ", ".join(target.accepts[info.container])
        sentences.append(
            f"It is {track.codec} in {info.container}; {target.name} takes {takes} there."
        )
    elif not info.plain_header:
        sentences.append("It has an extended WAV header, which some readers do not understand.")
    sentences += info.misreadings
    if any(not picture.is_cover for picture in info.pictures):
        sentences.append("It holds a video track.")
    if len(info.tracks) > 1:
        sentences.append(f"It holds {len(info.tracks)} sound tracks, and one is sent.")
    return sentences


def _size_misfits(info: MediaInfo, track: Track, target: Target, via: Via) -> list[str]:
    sentences = []
    limit_s, limit_bytes = longest_s(target), max_bytes(target, via)
    if limit_s is not None and Fraction(track.duration_samples, track.sample_rate_hz) > limit_s:
        verb = "hears only" if target.on_exceed == "truncate" else "takes at most"
        limit = format_length(limit_s)
        length = _over(format_length(track.duration_s), limit)
        sentences.append(f"It lasts {length}; {target.name} {verb} {limit} at a time.")
    if limit_bytes is not None and info.size_bytes > limit_bytes:
        limit = sent_size(limit_bytes, via)
        size = _over(sent_size(info.size_bytes, via), limit)
        sentences.append(f"It is {size}; {target.name} takes at most {limit}.")
    decoded_bytes = track.duration_samples * track.channels * DECODED_SAMPLE_BYTES
    limit_decoded = target.limit("max_decoded_bytes")
    if limit_decoded is not None and decoded_bytes > limit_decoded:
        sentences.append(
            f"It decodes to {format_size(decoded_bytes)} of samples; {target.name} takes at most "
            f"{format_size(int(limit_decoded))}."
        )
    return sentences


def _over(text: str, limit: str) -> str:
    """Return `text`, marked where rounding makes it equal to the limit that it exceeds."""
    return f"just over {limit}" if text == limit else text


def sent_size(size_bytes: int, via: Via | None) -> str:
    """Return the size of a file for a sentence: as Base64 text if that is how it is sent."""
    if via is not Via.BASE64:
        return format_size(size_bytes)
    return f"{format_size(base64_length(size_bytes) + len(DATA_URI_PREFIX))} as Base64 text"
