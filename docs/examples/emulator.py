"""Caption through the emulator, and look at the requests that it received."""

import captoolkit
from captoolkit.emulator import Emulator

with Emulator(faults=["error500=1"], log="requests.jsonl") as emulator:
    timeline = captoolkit.caption(
        "fixtures/two-languages.mp4",
        captioner="openai",
        base_url=emulator.compatible_url,  # for `dashscope`: emulator.native_url
        api_key="any",
    )
    for visit in emulator.requests:
        print(visit.path, visit.model, visit.audio_sha256, visit.status, visit.fault)
