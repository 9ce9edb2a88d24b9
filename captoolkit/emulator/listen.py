"""What is to be heard in a file: refused as a service would, else measured on this machine.

Rules: how long a file is, is proven and not believed (`audio.probe`); of what a model cuts off,
nothing is heard; the same bytes always give the same words.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from threading import Event

from captoolkit.captioners.acoustic import Measurer, describe
from captoolkit.emulator import refusals
from captoolkit.emulator.refusals import RefusedError
from captoolkit.errors import InputError, NoAudioError, ToolError
from captoolkit.media import decode, probe_file
from captoolkit.model import Target, Track
from captoolkit.services.rows import longest_s
from captoolkit.support.cancel import StoppedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """A file that a model takes, and how much of it the model hears."""

    path: Path
    track: Track
    heard_samples: int

    @property
    def duration_s(self) -> Fraction:
        """How long what is heard lasts."""
        return Fraction(self.heard_samples, self.track.sample_rate_hz)


def look(path: Path, target: Target) -> Sound:
    """Return what is in a file, if the model takes it.

    Raises:
        RefusedError: it is empty, too long, no audio, or in a format that the model does not take.
    """
    if not path.stat().st_size:
        raise RefusedError(refusals.EMPTY)
    try:
        info = probe_file.probe(path)
    except NoAudioError:
        raise RefusedError(refusals.EMPTY) from None
    except (InputError, ToolError):
        raise RefusedError(refusals.NOT_AUDIO) from None
    track = info.default_track
    if track.codec not in target.accepts.get(info.container, ()):
        raise RefusedError(refusals.WRONG_FORMAT)
    most_s, samples = longest_s(target), track.duration_samples
    if most_s is not None and samples > most_s * track.sample_rate_hz:
        if target.on_exceed != "truncate":
            raise RefusedError(refusals.TOO_LONG)
        samples = int(most_s * track.sample_rate_hz)
    return Sound(path=path, track=track, heard_samples=samples)


def listen(sound: Sound, stop: Event) -> str:
    """Return what can be measured in what the model hears.

    Raises:
        RefusedError: it cannot be decoded.
        StoppedError: `stop` was set meanwhile.
    """
    track = sound.track
    is_cut = sound.heard_samples < track.duration_samples
    end = sound.heard_samples if is_cut else None
    try:
        with decode.Decoder(sound.path, track=track, end_samples=end) as samples:
            measurer = Measurer(rate_hz=samples.rate_hz, channels=samples.channels)
            for block in samples:
                if stop.is_set():
                    raise StoppedError
                measurer.feed(block)
    except ToolError:
        raise RefusedError(refusals.NOT_AUDIO) from None
    return describe(measurer.finish())
