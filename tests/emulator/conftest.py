"""Fixtures of the emulator's tests: running emulators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from captoolkit.emulator import Emulator
from tests.support.emulator_requests import StartEmulator


@pytest.fixture
def start() -> Iterator[StartEmulator]:
    """Start emulators that close with the test."""
    started: list[Emulator] = []

    def call(**options: Any) -> Emulator:
        started.append(Emulator(**options))
        return started[-1]

    yield call
    for emulator in started:
        emulator.close()


@pytest.fixture
def emulator(start: StartEmulator) -> Emulator:
    """An emulator without faults."""
    return start()
