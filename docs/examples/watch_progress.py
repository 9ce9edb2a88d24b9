"""Show a bar with the time left, and warnings."""

import time

import captoolkit
from captoolkit.events import Progressed, Warned

started_s = time.monotonic()


def show(event: object) -> None:
    """Print one event."""
    if isinstance(event, Progressed) and event.done_s:
        share = event.done_s / event.total_s
        left_s = (time.monotonic() - started_s) * (1 - share) / share
        print(f"\r[{'#' * round(30 * share):30}] {left_s:.0f} s left ", end="", flush=True)
    elif isinstance(event, Warned):
        print(f"\n{event.message}")


captoolkit.prepare("fixtures/hammering-mandarin.flac", segment="15s", on_event=show).save("watched")
