"""Pass a pydub clip in and receive clips."""

from pydub import AudioSegment

import captoolkit

tones = AudioSegment.from_wav("fixtures/tones-and-silences.wav").apply_gain(-3)
with captoolkit.prepare(tones, segment="5s") as prepared:
    for segment in prepared:
        clip = segment.to_audiosegment()
        print(segment.source_span.start_s, len(clip), clip.dBFS)
