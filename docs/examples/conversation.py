"""Ask a model several questions about one sound; here the emulator answers."""

import captoolkit
from captoolkit.emulator import Emulator

with (
    Emulator() as emulator,
    captoolkit.Conversation("dashscope", base_url=emulator.native_url, api_key="any") as talk,
):
    first = talk.ask("What is being said?", audio="fixtures/speech.amr")
    second = talk.ask("In what mood?")
    print(first.text, second.text, second.usage.total_tokens, sep="\n")
