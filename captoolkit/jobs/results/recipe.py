"""The recipe of a job: the verb, its options and the versions that decide the results in OUT.

Rules: `.captoolkit/job.json` is created by the first run and never replaced. A later run with
another recipe is refused: its results would differ from those that OUT holds. A recipe holds no
key, and no option that leaves the results as they are, such as the number of workers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any, cast

import captoolkit
from captoolkit.errors import InputError, SourceNotFoundError, UsageError
from captoolkit.jobs.stores.base_store import Store
from captoolkit.media import ffmpeg
from captoolkit.planning.options import (
    MAX_DURATION_S,
    PlanOptions,
    SplitOptions,
    option_values,
    parse_plan_options,
    parse_split_options,
)
from captoolkit.services import catalogue
from captoolkit.support.exact_json import escape

# Kept in seconds, as numbers; a job may have them as text.
LENGTH_NAMES = frozenset({"segment", "max_segment", "max_duration", "skip_silence"})
# Values that are the defaults of their options. `option_values` knows those of the sound.
DEFAULTS: Mapping[str, Any] = {
    "target": catalogue.DEFAULT_TARGET,
    "via": "base64",
    "exact": False,
    "parameters": {},
    "formats": [],
    "spread": False,
    "drop_frame": False,
    "csv_bom": True,
}
DEFAULT_FRAME_RATE = 25
SOUND_OPTIONS = frozenset(
    {
        *(PlanOptions.__annotations__.keys() - {"target", "via"}),
        *(SplitOptions.__annotations__.keys() - {"exact", "at"}),
    }
)

FORMAT = "captoolkit.batch/1"
JOB = ".captoolkit/job.json"
VERBS = ("probe", "prepare", "split", "caption")
SECRET_OPTIONS = frozenset({"api_key"})


class ResultLayout(StrEnum):
    """How the results lie in OUT."""

    FILES = "files"  # REL/STEM/STEM.001.wav
    TAR = "tar"  # shard-000123.tar, for WebDataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything but the recordings that decides the results.

    Attributes:
        verb: `probe`, `prepare`, `split` or `caption`.
        options: the keyword arguments of the verb, as JSON values; without None and without keys.
        layout: how the results lie in OUT.
        captoolkit_version: the version of captoolkit.
        ffmpeg_version: the version of ffmpeg, the same on each worker.
        mp3_encoder: the encoder of MP3, the same on each worker: `ffmpeg`, or the package and
            version of the extra `fast`.
        sending: how requests travel, for workers that ask; it decides no result.
    """

    verb: str
    options: Mapping[str, Any] = field(default_factory=dict)
    layout: ResultLayout = ResultLayout.FILES
    captoolkit_version: str = captoolkit.__version__
    ffmpeg_version: str = ""
    mp3_encoder: str = ""
    sending: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def of(
        cls,
        verb: str,
        options: Mapping[str, Any],
        *,
        layout: str | ResultLayout = ResultLayout.FILES,
        sending: Mapping[str, Any] | None = None,
    ) -> Recipe:
        """Return the recipe of a call on this machine.

        Raises:
            UsageError: the verb or the layout is not known, or does not go with the other.
        """
        from captoolkit.media import encode_mp3

        if verb not in VERBS:
            raise UsageError(f"verb={verb} is not known", fix=f"take {', '.join(VERBS)}")
        if layout not in tuple(ResultLayout):
            raise UsageError(f"layout={layout} is not known", fix=f"take {', '.join(ResultLayout)}")
        if layout == ResultLayout.TAR and verb not in ("prepare", "split"):
            raise UsageError(
                f"{verb} writes no tar files", fix="leave --layout out, or prepare the recordings"
            )
        return cls(
            verb=verb,
            options={
                name: _json_value(value)
                for name, value in sorted(options.items())
                if value not in (None, DEFAULTS.get(name)) and name not in SECRET_OPTIONS
            },
            layout=ResultLayout(layout),
            ffmpeg_version=ffmpeg.find().version,
            mp3_encoder=encode_mp3.encoder_name(),
            sending=sending or {},
        )

    @property
    def hash(self) -> str:
        """The SHA-256 of the recipe, in hexadecimal."""
        text = json.dumps(self._fields(), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    def render(self) -> str:
        """Return the text of `job.json`."""
        document = {"format": FORMAT, **self._fields(), "recipe_sha256": self.hash}
        return escape(json.dumps(document, indent=2, ensure_ascii=False)) + "\n"

    @classmethod
    def parse(cls, data: bytes, *, path: str) -> Recipe:
        """Return the recipe in a `job.json`.

        Raises:
            InputError: it is no `job.json` of this format.
        """
        try:
            document = json.loads(data)
            if document["format"] != FORMAT:
                raise ValueError(document["format"])
            verb = str(document["verb"])
            if verb not in VERBS:
                raise ValueError(verb)
            options = dict(document["options"])
            with contextlib.suppress(UsageError):  # the differences name the option
                options = deciding_options(verb, options)
            return cls(
                verb=verb,
                options={name: _json_value(value) for name, value in options.items()},
                layout=ResultLayout(document["layout"]),
                captoolkit_version=str(document["captoolkit"]),
                ffmpeg_version=str(document["ffmpeg"]),
                # Jobs without the field were begun when only ffmpeg encoded MP3.
                mp3_encoder=str(document.get("mp3_encoder", "ffmpeg")),
            )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(
                f"{path} describes no batch of this version of captoolkit",
                fix="choose another folder or prefix for the results",
                path=path,
            ) from error

    def _fields(self) -> dict[str, Any]:
        return {
            "verb": self.verb,
            "options": dict(self.options),
            "layout": self.layout.value,
            "captoolkit": self.captoolkit_version,
            "ffmpeg": self.ffmpeg_version,
            "mp3_encoder": self.mp3_encoder,
        }

    def differences(self, other: Recipe) -> list[str]:
        """Return what differs, as clauses such as "`segment` is 20s there and 30s here"."""
        own, theirs = self._fields(), other._fields()
        own |= {f"`{name}`": value for name, value in own.pop("options").items()}
        theirs |= {f"`{name}`": value for name, value in theirs.pop("options").items()}
        return [
            f"{name} is {show_value(name, theirs.get(name))} there "
            f"and {show_value(name, own.get(name))} here"
            for name in sorted({*own, *theirs})
            if own.get(name) != theirs.get(name)
        ]


def deciding_options(verb: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that decide the results, in one form for all values that mean the same.

    An option that states its default is left out, as one without a value is.

    Raises:
        UsageError: an option is invalid.
    """
    stated = {
        name: value
        for name, value in options.items()
        if value is not None and value != DEFAULTS.get(name)
    }
    own = {name: value for name, value in stated.items() if name not in SOUND_OPTIONS}
    if verb == "probe":
        return own
    sound = cast(Any, {name: stated[name] for name in SOUND_OPTIONS & stated.keys()})
    is_split = verb == "split"
    parsed = parse_split_options(sound) if is_split else parse_plan_options(sound)
    own |= option_values(parsed)
    if parsed.max_duration_s != MAX_DURATION_S:
        own["max_duration"] = _seconds(parsed.max_duration_s)
    if "frame_rate" in own:
        own["frame_rate"] = str(own["frame_rate"])
        with contextlib.suppress(ValueError, ZeroDivisionError):  # `check` refuses it
            if Fraction(own["frame_rate"]) == DEFAULT_FRAME_RATE:
                del own["frame_rate"]
    return own


def _seconds(length_s: Fraction) -> int | float:
    return int(length_s) if length_s.denominator == 1 else float(length_s)


def open_job(store: Store, recipe: Recipe) -> None:
    """Begin a job in a store, or continue the one that it holds.

    Raises:
        UsageError: the store holds the results of another verb, or of other options; the message
            names the differences.
        InputError, OutputError: the store cannot be read or written.
    """
    if not store.write_new(JOB, recipe.render().encode()):
        refuse_other_job(store, recipe)


def refuse_other_job(store: Store, recipe: Recipe) -> None:
    """Refuse a store that holds a job of another recipe; it may hold none.

    Raises:
        UsageError: as `open_job`.
        InputError: the store cannot be read.
    """
    try:
        there = read_job(store)
    except SourceNotFoundError:
        return
    if there.verb != recipe.verb:  # their options differ as well, which would hide it
        raise UsageError(
            f"{store.url} holds the results of `batch {there.verb}`",
            fix=f"choose another place (`out`) for those of `batch {recipe.verb}`",
        )
    if there.hash != recipe.hash:
        raise UsageError(
            f"{store.url} holds the results of other options: "
            f"{'; '.join(recipe.differences(there))}",
            fix="pass the same options, or choose another place (`out`)",
        )


def read_job(store: Store) -> Recipe:
    """Return the recipe of the job in a store.

    Raises:
        InputError: the store holds no job, or cannot be read.
    """
    try:
        data = store.read(JOB)
    except SourceNotFoundError as error:
        raise SourceNotFoundError(
            f"{store.url} holds no batch",
            fix="pass the folder or URL that -o of `captoolkit batch` names",
            path=store.url,
        ) from error
    return Recipe.parse(data, path=store.url_of(JOB))


def show_value(name: str, value: object) -> str:
    """Return the value of an option as a user would write it."""
    if value is None:
        return "not given"
    if isinstance(value, list):
        return ",".join(map(str, value))
    is_seconds = name.strip("`") in LENGTH_NAMES and str(value)[-1:].isdigit()
    return f"{value}s" if is_seconds else str(value)


@functools.singledispatch
def _json_value(value: Any) -> Any:
    """Return an option's value as JSON; numbers that JSON has not are written as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _json_value(getattr(value, field.name))
            for field in dataclasses.fields(value)
        }
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [_json_value(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _json_value(item) for name, item in value.items()}
    return str(value)


@_json_value.register(StrEnum)
def _(value: StrEnum) -> str:
    return value.value


@_json_value.register(Fraction)
@_json_value.register(Decimal)
def _(value: Fraction | Decimal) -> str:
    return str(value)
