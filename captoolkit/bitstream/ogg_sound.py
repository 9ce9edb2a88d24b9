"""The sound of a whole Ogg file, by its codec, and the form of the file that every decoder reads.

How to add a codec: write a module with a function like `opus.read_opus`, and add it to `READERS`.
"""

from __future__ import annotations

from captoolkit.bitstream.ogg import OggSound, earlier, read_pages
from captoolkit.bitstream.opus import read_opus, with_plain_rate
from captoolkit.bitstream.vorbis import read_vorbis

MAX_FILE_BYTES = 4 << 20  # of a file that is read as a whole
READERS = {"opus": read_opus, "vorbis": read_vorbis}  # by ffmpeg's names of the codecs


def read_sound(data: bytes) -> OggSound | None:
    """Return the sound of a whole file with one stream; None for any unusual or larger file."""
    pages = read_pages(data) if len(data) <= MAX_FILE_BYTES else []
    return next((sound for read in READERS.values() if (sound := read(pages)) is not None), None)


def plainest(data: bytes, sound: OggSound) -> bytes:
    """Return a whole file as every reader decodes it alike.

    Some readers decode an Opus at the rate of its source, which is then 48 kHz. Some misread a
    recording that begins late, the positions of which then begin at 0.
    """
    plain = with_plain_rate(data) if sound.codec == "opus" else data
    return earlier(plain, sound.start_samples) if sound.start_samples else plain
