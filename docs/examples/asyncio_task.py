"""Caption in an asyncio program, with progress and a time limit."""

import asyncio

import captoolkit
from captoolkit.events import EntryReady, Event, Started


async def caption_upload(upload: bytes, name: str) -> captoolkit.Timeline | None:
    """Return the captions of an upload, or None after a minute."""
    loop = asyncio.get_running_loop()
    segments = done = 0

    def show(event: Event) -> None:
        nonlocal segments, done
        if isinstance(event, Started):
            segments = len(event.plan.spans)
        elif isinstance(event, EntryReady):
            done += 1
            print(f"{name}: {done} of {segments} captions")

    def on_event(event: Event) -> None:  # on a thread of captoolkit
        loop.call_soon_threadsafe(show, event)

    try:
        async with asyncio.timeout(60):
            return await captoolkit.acaption(upload, segment="15s", on_event=on_event)
    except TimeoutError:
        return None


async def main() -> None:
    """Caption an upload, and plan it on another thread meanwhile."""
    with open("fixtures/hammering-mandarin.flac", "rb") as file:
        upload = file.read()
    timeline, plan = await asyncio.gather(
        caption_upload(upload, "hammering"),
        asyncio.to_thread(captoolkit.plan, upload),  # every other verb runs like this
    )
    print(timeline, plan)


asyncio.run(main())
