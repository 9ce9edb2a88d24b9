"""Calls that the type checkers must refuse: no test runs this module.

mypy and pyright report a `type: ignore` that hides no error, so each line below is proof that the
call is refused.
"""

from __future__ import annotations

import captoolkit
from captoolkit import captioners, timeline


def misspell_options(value: captoolkit.Timeline) -> None:
    """An option that the function does not have."""
    captoolkit.plan("a.wav", segmnt="30s")  # type: ignore[call-arg]
    captoolkit.prepare("a.wav", segmnt="30s")  # type: ignore[call-arg]
    captoolkit.prepare("a.wav", ways=None)  # type: ignore[call-arg]
    captoolkit.split("a.wav", fromat="wav")  # type: ignore[call-arg]
    captoolkit.caption("a.wav", max_cots=1)  # type: ignore[call-arg]
    captoolkit.captions("a.wav", modle="x")  # type: ignore[call-arg]
    captoolkit.Conversation(prompt="What is it?")  # type: ignore[call-arg]
    captoolkit.render(value, "srt", sprad=1)  # type: ignore[call-arg]
    captoolkit.save(value, "a.srt", sprad=1)  # type: ignore[call-arg]
    timeline.losses(value, "srt", sprad=1)  # type: ignore[call-arg]
    captioners.open_captioner("openai", regoin="beijing")  # type: ignore[call-arg]


async def misspell_option_of_a_coroutine() -> None:
    """An option that `acaption` does not have."""
    await captoolkit.acaption("a.wav", max_cots=1)  # type: ignore[call-arg]


def pass_wrong_types(value: captoolkit.Timeline) -> None:
    """An option of the wrong type."""
    captoolkit.prepare("a.wav", parts="three")  # type: ignore[arg-type]
    captoolkit.prepare("a.wav", format="ogg")  # type: ignore[arg-type]
    captoolkit.prepare("a.wav", via="pigeon")  # type: ignore[arg-type]
    captoolkit.prepare("a.wav", channels=3)  # type: ignore[arg-type]
    captoolkit.prepare("a.wav", jobs="all")  # type: ignore[arg-type]
    captoolkit.prepare("a.wav", on_event=None)  # type: ignore[arg-type]
    captoolkit.split("a.wav", at="silences")  # type: ignore[arg-type]
    captoolkit.caption("a.wav", captioner=3)  # type: ignore[arg-type]
    captoolkit.caption("a.wav", retry_policy=3)  # type: ignore[arg-type]
    captoolkit.caption("a.wav", concurrency="4")  # type: ignore[arg-type]
    captoolkit.Conversation(via="pigeon")  # type: ignore[arg-type]
    captoolkit.render(value, "srt", spread="yes")  # type: ignore[arg-type]


def pass_wrong_sources() -> None:
    """A source of a type that captoolkit does not read."""
    captoolkit.probe(None)  # type: ignore[arg-type]
    captoolkit.prepare(3)  # type: ignore[arg-type]
    captoolkit.caption(["a.wav"])  # type: ignore[arg-type]


def pass_by_position() -> None:
    """An option is never passed by its position."""
    captoolkit.plan("a.wav", "qwen-audio")  # type: ignore[call-arg]
    captoolkit.caption("a.wav", "dashscope")  # type: ignore[call-arg]
