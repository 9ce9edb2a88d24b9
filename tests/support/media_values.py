"""Makers of media, tracks and targets as values; only the target rows are read from a file."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from importlib import resources

from captoolkit.model import Fact, MediaInfo, Picture, Target, Track
from captoolkit.services import rows

ROWS = resources.files("captoolkit.services").joinpath("targets.toml").read_text(encoding="utf-8")
SERVICES = rows.parse(ROWS, origin="targets.toml")
CAPTIONER = SERVICES["qwen3-omni-captioner"]
QWEN_AUDIO = SERVICES["qwen-audio"]
VLLM = SERVICES["vllm"]
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def track(
    seconds: Fraction | float = 60,
    *,
    rate_hz: int = 44_100,
    channels: int = 1,
    codec: str = "flac",
    number: int = 1,
    samples: int | None = None,
) -> Track:
    """A sound track of that length, or of exactly that many samples."""
    return Track(
        number=number,
        stream_index=number - 1,
        codec=codec,
        sample_rate_hz=rate_hz,
        channels=channels,
        layout=LAYOUTS[channels],
        duration_samples=round(Fraction(seconds) * rate_hz) if samples is None else samples,
    )


def media(
    *tracks: Track,
    container: str = "flac",
    size_bytes: int = 1_000_000,
    pictures: tuple[Picture, ...] = (),
    plain_header: bool = True,
) -> MediaInfo:
    """A file that holds those tracks."""
    return MediaInfo(
        path=f"/sounds/night.{container}",
        size_bytes=size_bytes,
        container=container,
        tracks=tracks,
        pictures=pictures,
        plain_header=plain_header,
    )


def service(
    *,
    accepts: Mapping[str, tuple[str, ...]] | None = None,
    on_exceed: str = "error",
    **limits: Fraction | float,
) -> Target:
    """A service with those limits and no others; it takes WAV and MP3 unless told otherwise."""
    return Target(
        name="mine",
        title="A service of my own",
        models=("mine-1",),
        accepts=accepts or {"wav": ("pcm_s16le",), "mp3": ("mp3",)},
        facts={
            name: Fact(value=Fraction(value), source="its page", checked="2026-11-20")
            for name, value in limits.items()
        },
        on_exceed=on_exceed,
    )
