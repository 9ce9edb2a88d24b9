"""HTML: one page to look at, to search and to play the recording from.

The page opens from disk without a network. It contains its styles, scripts, waveform and captions;
only the recording may be a separate file. Captions, names and reasons are text and stay text: the
template escapes them, and the page's Content-Security-Policy would block markup that got through.

The policy allows, and why:

- scripts: the two scripts of the page, each by its hash; no inline handlers, no other source.
- styles: the page's own by its hash; wavesurfer's by a nonce, because wavesurfer writes a `<style>`
  into the shadow root of its waveform. The nonce is a hash over the whole content of the page, so
  that no part of the content can contain it. `style` attributes are not allowed; scripts set
  properties instead.
- media: files (`file:`), files in the folder of the page on a server (`'self'`), and `data:`.
- nothing else: no connections, frames, forms, fonts, pictures, plugins, workers.

The waveform and the player are wavesurfer.js, a pinned copy in `vendor/` that
`scripts/vendor_wavesurfer.py` renews. The page's own script is the files of `script/`, one after
another. It draws entries, ruler and spectrogram itself, and only where they are in view, because
wavesurfer's plugins draw all of a recording at each zoom.

This module is pure like every format: the caller passes the recording's envelope and its URLs.
Without them the page shows a note in their place, and everything else.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePath
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from captoolkit.model import Envelope, Spectrogram, Status
from captoolkit.timeline import json
from captoolkit.timeline.cues import Cue, cues
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import detail_paragraphs, one_line, paragraphs
from captoolkit.units import format_clock, format_size

LIBRARY = "vendor/wavesurfer.min.js"
SCRIPT = ("page", "waveform", "position", "captions", "files", "editing", "controls")
CHUNK_ROWS = 40  # the entries that a browser lays out together, when they come near the window
MOST_NOTES = 20  # of the timeline, above its captions
NO_RECORDING = "This page was made without its recording: there is no waveform and no sound."
NO_SOUND = "This page was made without its recording: there is no sound."


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One entry on the page; `number` counts from 1."""

    number: int
    cue: Cue
    paragraphs: list[list[str]]
    details: list[list[str]]

    @property
    def start_duration(self) -> str:
        """Its start as HTML writes durations: `PT83.500S`."""
        return f"PT{self.cue.start_ms / 1000:.3f}S"

    @property
    def end_duration(self) -> str:
        """Its end as HTML writes durations."""
        return f"PT{self.cue.end_ms / 1000:.3f}S"

    @property
    def start(self) -> str:
        """Its start, as a clock time."""
        return format_clock(self.cue.entry.source_span.start_s)

    @property
    def end(self) -> str:
        """Its end, as a clock time."""
        return format_clock(self.cue.entry.source_span.end_s)

    @property
    def length(self) -> str:
        """Its duration in seconds."""
        return f"{self.cue.entry.source_span.duration_s:.1f} s"


def render(
    timeline: Timeline,
    *,
    envelope: Envelope | None = None,
    spectrogram: Spectrogram | None = None,
    places: Sequence[str] = (),
    is_film: bool = False,
    remarks: Sequence[str] | None = None,
) -> str:
    """Return the timeline as a page.

    Args:
        timeline: the timeline to show.
        envelope: the loudness of the recording over its length; None takes the timeline's own.
        spectrogram: the spectrogram of the recording; None if the page has none.
        places: the URLs at which the page looks for the recording, in order: relative, `file:` or
            `data:`; empty if there is no sound.
        is_film: whether the recording has a moving picture.
        remarks: sentences about the recording for the reader; None states that the recording, or
            its sound, is missing.
    """
    envelope = envelope or timeline.envelope
    if remarks is None:
        remarks = [NO_RECORDING if envelope is None else NO_SOUND]
    source = timeline.source
    name = one_line(PurePath(source.path).name or source.path)
    style = _asset("page.css")
    licence = f"/*! {_asset('vendor/VERSION')}{_asset('vendor/LICENSE')}*/\n"
    scripts = [licence + _asset(LIBRARY), _page_script()]
    data = _data(timeline, envelope, spectrogram, places)
    nonce = _nonce(timeline, *places, *remarks)
    statuses = [entry.status for entry in timeline.entries]
    page: str = _template().render(
        name=name,
        path=one_line(source.path),
        facts=_facts(timeline),
        counts={status: statuses.count(status) for status in Status},
        rows=[
            Row(
                number=number,
                cue=cue,
                paragraphs=paragraphs(cue.entry),
                details=detail_paragraphs(cue.entry),
            )
            for number, cue in enumerate(cues(timeline), 1)
        ],
        chunk_rows=CHUNK_ROWS,
        places=places,
        is_film=is_film,
        remarks=list(map(one_line, (*_notes(timeline), *remarks))),
        nonce=nonce,
        style=style,
        scripts=scripts,
        policy=_policy(style, scripts, nonce),
        data=data,
        spectrogram_size=spectrogram and format_size(len(data["spectrogram"]["levels"])),
    )
    return page.rstrip("\n") + "\n"


def _notes(timeline: Timeline) -> list[str]:
    """The notes that the page shows."""
    others = len(timeline.notes) - MOST_NOTES
    more = [f"The timeline has {others:,} more notes."] if others > 0 else []
    return [*timeline.notes[:MOST_NOTES], *more]


def losses(timeline: Timeline) -> list[str]:
    """Return a sentence on the address of a service, which a page should not make public."""
    address = timeline.captioner.base_url
    if not address:
        return []
    return [
        f"The page holds the whole timeline, with the address of the service ({one_line(address)}) "
        "and the path of the recording; `export --shareable` makes one to publish."
    ]


def _facts(timeline: Timeline) -> dict[str, str]:
    """Facts about the recording and its captions, by their labels."""
    source, usage, cost = timeline.source, timeline.usage, timeline.cost
    captioner = timeline.captioner
    by = one_line(captioner.model)
    if captioner.name not in by:
        by = f"{one_line(captioner.name)}, {by}"
    sound = f"{source.codec}, {source.sample_rate_hz / 1000:g} kHz, {_channels(source.channels)}"
    facts = {
        "Length": format_clock(source.span.duration_s),
        "Captions by": by,
        "Recording": f"{one_line(sound)}, {format_size(source.size_bytes)}",
    }
    if usage.total_tokens is not None:
        facts["Tokens"] = f"{usage.total_tokens:,}"
    if cost is not None:
        facts["Cost"] = one_line(f"{cost.currency} {cost.amount}")
    return facts


def _channels(number: int) -> str:
    return {1: "mono", 2: "stereo"}.get(number, f"{number} channels")


def _data(
    timeline: Timeline,
    envelope: Envelope | None,
    spectrogram: Spectrogram | None,
    places: Sequence[str],
) -> dict[str, Any]:
    """The data for the page's script; times are samples on the recording's clock."""
    spans = [entry.source_span for entry in timeline.entries]
    return {
        "rate_hz": timeline.source.sample_rate_hz,
        "samples": timeline.source.duration_samples,
        "starts": [span.start_samples for span in spans],
        "ends": [span.end_samples for span in spans],
        "envelope": envelope
        and {
            "peaks": base64.b64encode(envelope.peaks).decode(),
            "loudness": base64.b64encode(envelope.loudness).decode(),
        },
        "spectrogram": spectrogram
        and {
            "bands": spectrogram.bands,
            "column_s": spectrogram.column_samples / spectrogram.rate_hz,
            "levels": _deflated(spectrogram.levels),
        },
        # The player holds an embedded recording; the script needs only its scheme.
        "places": ["data:" if place.startswith("data:") else place for place in places],
        "notes": [one_line(note) for note in timeline.notes],
        "timeline": _deflated(json.render(timeline).encode()),
        "stem": PurePath(one_line(PurePath(timeline.source.path).name)).stem or "timeline",
    }


def _deflated(data: bytes) -> str:
    """Data as the page's script inflates it: zlib, in Base64."""
    return base64.b64encode(zlib.compress(data, 9)).decode()


# ------------------------------------------------------------------------------- security


def _policy(style: str, scripts: Sequence[str], nonce: str) -> str:
    """The Content-Security-Policy for this style, these scripts and this nonce."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(_hash(script) for script in scripts)}",
            f"style-src {_hash(style)} 'nonce-{nonce}'",
            "media-src 'self' file: data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _nonce(timeline: Timeline, *texts: str) -> str:
    """A nonce that no text of the page can contain, because it is a hash over all of them."""
    content = "\0".join([json.render(timeline), *texts])
    return hashlib.sha256(content.encode("utf-8", "backslashreplace")).hexdigest()[:32]


@functools.cache
def _asset(name: str) -> str:
    """The text of a file in the folder of this module."""
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")


@functools.cache
def _page_script() -> str:
    """The page's own script: the files of `script/` in one scope."""
    parts = "\n".join(_asset(f"script/{name}.js") for name in SCRIPT)
    return f'\n(() => {{\n"use strict";\n\n{parts}}})();\n'


@functools.cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader(__name__, ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")
